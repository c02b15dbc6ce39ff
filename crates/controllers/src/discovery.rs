//! Which kinds of objects a server has at the moment, custom resources included.

use kube::Client;
use kube::discovery::{ApiCapabilities, Discovery, Scope};
use xebec_coordinator::Kind;

/// A kind of objects that a server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) kind: Kind,
    pub(crate) namespaced: bool,
    operations: Vec<String>,
}

impl Resource {
    /// Whether it can be asked for all of this.
    pub(crate) fn supports(&self, operations: &[&str]) -> bool {
        operations.iter().all(|operation| self.operations.iter().any(|known| known == operation))
    }
}

/// All kinds, each in the version that its group recommends, ordered by group, version and name.
pub(crate) async fn resources(client: &Client) -> Result<Vec<Resource>, kube::Error> {
    let discovery = match Discovery::new(client.clone()).run_aggregated().await {
        Ok(discovery) => discovery,
        // A server before 1.26 tells group by group.
        Err(_) => Discovery::new(client.clone()).run().await?,
    };
    let mut resources: Vec<Resource> = discovery
        .groups()
        .flat_map(kube::discovery::ApiGroup::resources_by_stability)
        .map(|(resource, ApiCapabilities { scope, operations, .. })| Resource {
            kind: Kind::new(resource),
            namespaced: scope == Scope::Namespaced,
            operations,
        })
        .collect();
    resources.sort_by(|one, other| one.kind.cmp(&other.kind));
    resources.dedup_by(|one, other| one.kind == other.kind);
    Ok(resources)
}
