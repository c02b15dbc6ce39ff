//! `cargo run -p xebec-examples --bin janitor -- v1/Pod example.com/v1/Widget`: deletes objects of these kinds when
//! their time is over. An operator with flags of its own, beside those that all have.

use anyhow::{Context, Result};
use clap::Parser;
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use xebec_coordinator::Kind;
use xebec_coordinator::operator::{Flags, LogFormat, start_logs};
use xebec_examples::janitor::Janitor;

/// Deletes objects when their time to live is over.
#[derive(Parser)]
struct Arguments {
    /// Which kinds, such as v1/Pod or apps/v1/Deployment.
    #[arg(required = true, value_name = "[GROUP/]VERSION/KIND", value_parser = kind)]
    kinds: Vec<GroupVersionKind>,
    #[command(flatten)]
    operator: Flags,
}

fn kind(text: &str) -> Result<GroupVersionKind, String> {
    match text.split('/').collect::<Vec<_>>()[..] {
        [version, kind] => Ok(GroupVersionKind::gvk("", version, kind)),
        [group, version, kind] => Ok(GroupVersionKind::gvk(group, version, kind)),
        _ => Err("it must be [GROUP/]VERSION/KIND".to_owned()),
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    start_logs("info", LogFormat::Human)?;
    let (client, _) = arguments.operator.cluster.connect().await?;
    let mut kinds = Vec::new();
    for wanted in &arguments.kinds {
        // Discovery knows the plural, and whether there are namespaces.
        let found = pinned_kind(&client, wanted).await;
        let (resource, capabilities) = found.with_context(|| format!("find {}", wanted.kind))?;
        let kind = Kind::new(resource);
        kinds.push(match capabilities.scope {
            Scope::Namespaced => kind.namespaced(),
            Scope::Cluster => kind.cluster_scoped(),
        });
    }
    let operator = arguments.operator.prepare("janitor").await?;
    operator.coordinator().observe(Janitor::new(kinds))?;
    Ok(operator.run().await?)
}
