//! Registers the simulated nodes and keeps them ready.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Node};
use parking_lot::Mutex;
use serde_json::json;
use xebec_coordinator::{
    BoxError, Event, EventRecord, Key, Observer, ObserverSpec, Plan, Right, View, Watch, Write, reference_to,
};

use super::Options;
use super::machine::{self, LEASES, RENEWED_EVERY};

/// Registers the nodes, and renews their Leases and conditions.
///
/// They register once the namespace of node Leases is there. As with kubelets, a Node that somebody deletes is away
/// until xebec starts again.
#[derive(Debug)]
pub struct SimulatedNodes {
    options: Options,
    deleted: Mutex<BTreeSet<String>>,
}

impl SimulatedNodes {
    /// The observer for these nodes.
    pub fn new(options: Options) -> Self {
        Self { options, deleted: Mutex::default() }
    }
}

impl Observer for SimulatedNodes {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("simulated-nodes", "registers simulated nodes and keeps them ready")
            .watch(Watch::of::<Node>())
            .watch(Watch::of::<Lease>().namespace(LEASES))
            .watch(Watch::of::<Namespace>())
            .right(Right::to::<Node>(&["create", "patch"]))
            .right(Right::to_subresource::<Node>("status", &["patch"]))
            .right(Right::to::<Lease>(&["create", "update"]))
            .concurrency(8)
            .reports_as("kubelet")
    }

    fn wake(&self, event: &Event, _view: &View) -> Vec<Key> {
        let key = event.key();
        if key.is::<Namespace>() {
            let is_new = key.name() == LEASES && matches!(event, Event::Added(_));
            let names = is_new.then(|| self.options.names()).into_iter().flatten();
            return names.map(|name| Key::new::<Node>(None, &name)).collect();
        }
        if self.options.number(key.name()).is_none() {
            return Vec::new();
        }
        if key.is::<Lease>() {
            // Nobody else renews it: only its end is news.
            return if event.is_deleted() { vec![Key::new::<Node>(None, key.name())] } else { Vec::new() };
        }
        let mut deleted = self.deleted.lock();
        if event.is_deleted() {
            deleted.insert(key.name().to_owned());
            return Vec::new();
        }
        deleted.remove(key.name());
        vec![key.clone()]
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let name = key.name();
        let Some(number) = self.options.number(name) else { return Ok(plan) };
        let now = view.now();
        let Some(node) = view.get_key::<Node>(key)? else {
            if view.get::<Namespace>(None, LEASES)?.is_some() && !self.deleted.lock().contains(name) {
                let node = machine::node(name, number, &self.options, now);
                plan.write(Write::create_value(key.kind().clone(), node));
            }
            return Ok(plan);
        };
        if node.metadata.deletion_timestamp.is_some() {
            return Ok(plan);
        }
        if let Some(status) = machine::report(&node, number, name, &self.options, now) {
            plan.write(Write::strategic(key.clone(), json!({"status": status})).on("status"));
        }
        if let Some(taints) = machine::taints_once_ready(&node) {
            let version = &node.metadata.resource_version;
            let patch = json!({"metadata": {"resourceVersion": version}, "spec": {"taints": taints}});
            plan.write(Write::merge(key.clone(), patch));
        }
        let lease = view.get::<Lease>(LEASES, name)?;
        match &lease {
            None => {
                plan.create(&machine::lease(&node, None, now));
                let note = format!("Node {name} status is now: NodeReady");
                plan.record(EventRecord::normal(reference_to(&node), "NodeReady", note));
                plan.requeue_after(wait(now, now));
            }
            Some(current) => {
                let renewed =
                    current.spec.as_ref().and_then(|spec| spec.renew_time.as_ref()).map(|time| time.0);
                match renewed.map(|renewed| wait(renewed, now)) {
                    Some(left) if !left.is_zero() => plan.requeue_after(left),
                    _ => plan.update(&machine::lease(&node, lease, now)).requeue_after(wait(now, now)),
                };
            }
        }
        Ok(plan)
    }
}

/// How long until a Lease renewed at some time is to be renewed again. One from the future is renewed at once.
fn wait(renewed: Timestamp, now: Timestamp) -> Duration {
    let left = RENEWED_EVERY - now.duration_since(renewed);
    let left = if left > RENEWED_EVERY { SignedDuration::ZERO } else { left };
    Duration::try_from(left).unwrap_or_default()
}
