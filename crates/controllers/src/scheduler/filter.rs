//! Which nodes can take a Pod, and why the others cannot, in kube-scheduler's words.

use k8s_openapi::api::core::v1::{Node, PodSpec};

use super::affinity;
use super::demand::{Amounts, Demand, HostPort, add};
use super::quantity::milli;

/// Why a node cannot take a Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    pub(super) reasons: Vec<String>,
    /// Whether it would not help to remove other Pods.
    pub(super) is_lasting: bool,
}

/// What the Pods on a node have of it.
#[derive(Debug, Default)]
pub(super) struct Usage {
    pub(super) pods: i128,
    pub(super) requests: Amounts,
    /// CPU and memory, for scoring.
    pub(super) weighed: (i128, i128),
    ports: Vec<HostPort>,
}

impl Rejection {
    /// As long as the node is as it is.
    pub(super) fn lasting(reason: impl Into<String>) -> Self {
        Self { reasons: vec![reason.into()], is_lasting: true }
    }

    /// As long as the Pods on it are there.
    pub(super) fn passing(reason: impl Into<String>) -> Self {
        Self { reasons: vec![reason.into()], is_lasting: false }
    }
}

impl Usage {
    /// A Pod more.
    pub(super) fn add(&mut self, demand: &Demand) {
        self.pods += 1;
        add(&mut self.requests, &demand.requests);
        self.weighed.0 = self.weighed.0.saturating_add(demand.weighed.0);
        self.weighed.1 = self.weighed.1.saturating_add(demand.weighed.1);
        self.ports.extend(demand.ports.iter().cloned());
    }
}

/// What a node has to give, of a resource.
pub(super) fn allocatable(node: &Node, resource: &str) -> i128 {
    let amounts = node.status.as_ref().and_then(|status| status.allocatable.as_ref());
    amounts.and_then(|amounts| amounts.get(resource)).map(milli).unwrap_or_default()
}

/// Whether a node takes a Pod, as far as the two are concerned; the first rule that is broken tells why not.
pub(super) fn check(spec: &PodSpec, demand: &Demand, node: &Node, usage: &Usage) -> Result<(), Rejection> {
    if affinity::is_closed(spec, node) {
        return Err(Rejection::lasting("node(s) were unschedulable"));
    }
    if !affinity::tolerates_node(spec, node) {
        return Err(Rejection::lasting("node(s) had untolerated taint(s)"));
    }
    if !affinity::allows(spec, node) {
        return Err(Rejection::lasting("node(s) didn't match Pod's node affinity/selector"));
    }
    let is_taken = |port: &HostPort| usage.ports.iter().any(|taken| taken.conflicts_with(port));
    if demand.ports.iter().any(is_taken) {
        return Err(Rejection::passing("node(s) didn't have free ports for the requested pod ports"));
    }
    resources(demand, node, usage)
}

fn resources(demand: &Demand, node: &Node, usage: &Usage) -> Result<(), Rejection> {
    let mut rejection = Rejection { reasons: Vec::new(), is_lasting: false };
    if (usage.pods + 1) * 1000 > allocatable(node, "pods") {
        rejection.reasons.push("Too many pods".to_owned());
    }
    for (name, wanted) in &demand.requests {
        let has = allocatable(node, name);
        let used = usage.requests.get(name).copied().unwrap_or_default();
        if *wanted > 0 && *wanted > has.saturating_sub(used) {
            rejection.reasons.push(format!("Insufficient {name}"));
            rejection.is_lasting |= *wanted > has;
        }
    }
    if rejection.reasons.is_empty() { Ok(()) } else { Err(rejection) }
}
