//! `xebec run`: the observers, on a cluster that is there already.

use anyhow::{Context, Result};
use xebec_coordinator::{Coordinator, Election, Sharding};

use crate::{
    chosen::Chosen,
    cli::{RunArguments, ShardBy},
    connection,
    crew::{self, say},
    monitoring::Monitoring,
    output, plans, signals,
};

/// Runs observers until a signal ends them; or says what they would do.
pub async fn run(arguments: RunArguments) -> Result<()> {
    let chosen = arguments.observers.chosen()?;
    if arguments.dry_run {
        return dry_run(&arguments, &chosen).await;
    }
    let shutdown = signals::shutdown()?;
    let monitoring = Monitoring::listen(arguments.metrics_address).await?;
    let (client, url) = connection::client(&arguments.cluster).await?;
    let version = client.apiserver_version().await.with_context(|| format!("reach the cluster at {url}"))?;
    let mut builder = Coordinator::builder(client);
    if let Some((namespace, name)) = arguments.leader_elect {
        builder = builder.election(Election::new(namespace, name));
    }
    let (namespace, group) = arguments.shard_group;
    match arguments.shard_by {
        Some(ShardBy::Namespace) => builder = builder.sharding(Sharding::by_namespace(namespace, group)),
        Some(ShardBy::Key) => builder = builder.sharding(Sharding::by_key(namespace, group)),
        None => {}
    }
    let coordinator = builder.build();
    let observers = crew::add_observers(&coordinator, &chosen)?;
    let names = if observers.is_empty() { "no observers".to_owned() } else { observers.join(", ") };
    let metrics = monitoring.map(|monitoring| monitoring.serve(&coordinator, &shutdown));
    say(&format!("xebec runs {names} on {url} (Kubernetes {})", version.git_version));
    if let Some(url) = metrics {
        say(&format!("  metrics: {url}"));
    }
    coordinator.run(shutdown).await.context("the coordinator")
}

async fn dry_run(arguments: &RunArguments, chosen: &[Chosen]) -> Result<()> {
    let (client, _) = connection::client(&arguments.cluster).await?;
    let mut planned = Vec::new();
    for observer in chosen {
        planned.extend(plans::all(&client, observer).await?);
    }
    output::write(&plans::render(&planned, arguments.output)?)
}
