//! `xebec apiserver`: the API alone.

use std::io::{self, Write};

use anyhow::{Context, Result};
use serde_json::json;
use xebec_coordinator::operator::shutdown_on_signals;

use crate::{
    cli::ApiserverArguments,
    server::{KubeconfigPlace, Server},
};

/// Serves until a signal ends it.
pub async fn run(arguments: ApiserverArguments) -> Result<()> {
    let shutdown = shutdown_on_signals().context("listen for signals")?;
    let place = arguments.kubeconfig.map_or_else(KubeconfigPlace::temporary, KubeconfigPlace::File);
    let mut server = Server::start(&arguments.serve, &place, shutdown).await?;
    crate::initial::apply(&server.cluster, &arguments.serve.filenames).await?;
    server.begin_faults();
    let line = json!({"url": server.url, "kubeconfig": server.kubeconfig.path()});
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()?;
    drop(output);
    server.ended().await
}
