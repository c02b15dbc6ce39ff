//! Log lines, on standard error: text for people, a JSON object each for programs.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::BoxError;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Text, for a terminal.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Logging could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A filter that cannot be read.
    #[error("--log {filter:?} is no filter such as `warn` or `warn,xebec_coordinator=debug`")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
    /// The process logs already.
    #[error("start logging")]
    Started(#[source] BoxError),
}

/// Starts logging for the whole process: what a filter lets pass (a level, or a level a module), on standard error.
///
/// # Errors
/// A filter that cannot be read, or the process logs already.
pub fn start_logs(filter: &str, format: LogFormat) -> Result<(), LogError> {
    let parsed = EnvFilter::try_new(filter)
        .map_err(|error| LogError::Filter { filter: filter.to_owned(), source: error.into() })?;
    let logs = tracing_subscriber::fmt().with_env_filter(parsed).with_writer(io::stderr);
    let started = match format {
        LogFormat::Human => logs.try_init(),
        LogFormat::Json => logs.json().try_init(),
    };
    started.map_err(LogError::Started)
}
