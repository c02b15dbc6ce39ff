//! Log lines, on standard error: text for people, a JSON object each for programs.

use std::io;

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;

use crate::cli::{Arguments, LogFormat};

/// Starts logging as the flags say.
///
/// # Errors
/// A filter that cannot be read.
pub fn start(arguments: &Arguments) -> Result<()> {
    let filter = EnvFilter::try_new(&arguments.log).with_context(|| {
        format!("--log {:?} is no filter such as `warn` or `warn,xebec_apiserver=debug`", arguments.log)
    })?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match arguments.log_format {
        LogFormat::Human => logs.try_init(),
        LogFormat::Json => logs.json().try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("start logging: {error}"))
}
