//! `xebec run`: the observers, on a cluster that is there already.

use anyhow::Result;

use crate::{
    chosen::Chosen,
    cli::RunArguments,
    crew::{self, say},
    output, plans,
};

/// Runs observers until a signal ends them; or says what they would do.
pub async fn run(arguments: RunArguments) -> Result<()> {
    let chosen = arguments.observers.chosen()?;
    if arguments.dry_run {
        return dry_run(&arguments, &chosen).await;
    }
    let operator = arguments.operator.prepare("xebec").await?;
    let observers = crew::add_observers(operator.coordinator(), &chosen)?;
    let names = if observers.is_empty() { "no observers".to_owned() } else { observers.join(", ") };
    say(&format!("xebec runs {names} on {} (Kubernetes {})", operator.url(), operator.version()));
    if let Some(url) = operator.metrics_url() {
        say(&format!("  metrics: {url}"));
    }
    Ok(operator.run().await?)
}

async fn dry_run(arguments: &RunArguments, chosen: &[Chosen]) -> Result<()> {
    let (client, _) = arguments.operator.cluster.connect().await?;
    let mut planned = Vec::new();
    for observer in chosen {
        planned.extend(plans::all(&client, observer).await?);
    }
    output::write(&plans::render(&planned, arguments.output)?)
}
