//! `xebec up`: a whole cluster in this process.

use anyhow::{Context, Result};
use xebec_coordinator::operator::{listen, shutdown_on_signals};

use crate::{
    cli::UpArguments,
    crew::{self, say},
    server::{KubeconfigPlace, Server},
    started,
};

/// Runs a cluster until a signal ends it.
pub async fn run(arguments: UpArguments) -> Result<()> {
    let chosen = arguments.observers.chosen()?;
    let shutdown = shutdown_on_signals().context("listen for signals")?;
    let monitoring = listen(arguments.metrics_address).await?;
    let place = KubeconfigPlace::File(arguments.kubeconfig.clone());
    let mut server = Server::start(&arguments.serve, &place, shutdown.clone()).await?;
    let coordinator = crew::embedded(&server.cluster);
    crew::add_control_plane(&coordinator, arguments.nodes, &server.authority)?;
    let observers = crew::add_observers(&coordinator, &chosen)?;
    let metrics = monitoring.as_ref().map(|monitoring| format!("http://{}/metrics", monitoring.address()));
    if let Some(monitoring) = monitoring {
        monitoring.serve(&coordinator, &shutdown);
    }
    let running = tokio::spawn({
        let (coordinator, shutdown) = (coordinator.clone(), shutdown.clone());
        async move { coordinator.run(shutdown).await }
    });
    crate::initial::apply(&server.cluster, &arguments.serve.filenames).await?;
    server.begin_faults();
    let nodes = match arguments.nodes {
        1 => "1 simulated node".to_owned(),
        count => format!("{count} simulated nodes"),
    };
    let observers = if observers.is_empty() { "none".to_owned() } else { observers.join(", ") };
    say(&format!(
        "xebec is ready after {} ms: {}, {nodes}, observers: {observers}",
        started::elapsed_ms(),
        server.url
    ));
    say(&format!("  export KUBECONFIG={}", server.kubeconfig.path().display()));
    if let Some(url) = metrics {
        say(&format!("  metrics: {url}"));
    }
    say("Ctrl-C ends it; nothing is kept.");
    server.ended().await?;
    running.await.context("the coordinator's task")?.context("the coordinator")
}
