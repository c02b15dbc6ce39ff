//! `cargo run -p xebec-examples --bin janitor -- v1/Pod example.com/v1/Widget`: deletes objects of these kinds when
//! their time is over.

use anyhow::{Context, Result, bail};
use kube::core::GroupVersionKind;
use kube::discovery::pinned_kind;
use xebec_coordinator::Kind;
use xebec_examples::janitor::Janitor;
use xebec_examples::run::run;

#[tokio::main]
async fn main() -> Result<()> {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if wanted.is_empty() {
        bail!("say which kinds, such as v1/Pod or apps/v1/Deployment");
    }
    let client = kube::Client::try_default().await?;
    let mut kinds = Vec::new();
    for wanted in &wanted {
        let kind = match wanted.split('/').collect::<Vec<_>>()[..] {
            [version, kind] => GroupVersionKind::gvk("", version, kind),
            [group, version, kind] => GroupVersionKind::gvk(group, version, kind),
            _ => bail!("{wanted} is not [GROUP/]VERSION/KIND"),
        };
        // Discovery knows the plural.
        let (resource, _) = pinned_kind(&client, &kind).await.with_context(|| format!("find {wanted}"))?;
        kinds.push(Kind::new(resource));
    }
    run("janitor", Vec::new(), async |coordinator| Ok(coordinator.observe(Janitor::new(kinds))?)).await
}
