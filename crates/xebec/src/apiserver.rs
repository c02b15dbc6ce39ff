//! `xebec apiserver`: the API alone.

use std::io::{self, Write};

use anyhow::Result;
use serde_json::json;

use crate::{
    cli::ApiserverArguments,
    server::{KubeconfigPlace, Server},
    signals,
};

/// Serves until a signal ends it.
pub async fn run(arguments: ApiserverArguments) -> Result<()> {
    let shutdown = signals::shutdown()?;
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
