//! Several replicas of one coordinator: one leads, or all share out the keys by namespace.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};
use xebec_coordinator::sim::{Invariant, Scenario, Server, Step, invariants};
use xebec_coordinator::{
    AddError, BoxError, Builder, Coordinator, Election, Event, Key, Observer, ObserverSpec, Plan, Random,
    Sharding, View, Write,
};

use super::copies::{Copy, ORIGINAL, copy_of};
use super::tickets::Issue;
use super::{one_of, pause, put};
use crate::Simulated;

/// Where their Leases are.
const LEASES: &str = "kube-system";
/// Namespaces that are there from the start.
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// Two replicas of which one leads.
pub struct Elected;

/// Three replicas that share out the namespaces.
pub struct Sharded;

impl Scenario for Elected {
    fn name(&self) -> &'static str {
        "elected"
    }

    fn server(&self, seed: u64) -> Arc<dyn Server> {
        Arc::new(Simulated::new(seed))
    }

    fn replicas(&self) -> usize {
        2
    }

    fn configure(&self, builder: Builder) -> Builder {
        builder.election(Election::new(LEASES, "copies"))
    }

    fn observe(&self, coordinator: &Coordinator) -> Result<(), AddError> {
        observe(coordinator)
    }

    fn steps(&self, random: &Random) -> Vec<Step> {
        steps(random, &NAMESPACES[..1])
    }

    fn invariants(&self) -> Vec<Invariant> {
        invariants_of(|_| Key::new::<ConfigMap>(None, "any"))
    }

    fn normalize(&self, object: &mut Value) -> bool {
        object["kind"] != "Lease"
    }
}

impl Scenario for Sharded {
    fn name(&self) -> &'static str {
        "sharded"
    }

    fn server(&self, seed: u64) -> Arc<dyn Server> {
        Arc::new(Simulated::new(seed))
    }

    fn replicas(&self) -> usize {
        3
    }

    fn configure(&self, builder: Builder) -> Builder {
        builder.sharding(Sharding::by_namespace(LEASES, "copies"))
    }

    fn observe(&self, coordinator: &Coordinator) -> Result<(), AddError> {
        observe(coordinator)
    }

    fn steps(&self, random: &Random) -> Vec<Step> {
        steps(random, &NAMESPACES)
    }

    fn invariants(&self) -> Vec<Invariant> {
        invariants_of(|namespace| Key::new::<ConfigMap>(namespace, "any"))
    }

    fn normalize(&self, object: &mut Value) -> bool {
        object["kind"] != "Lease"
    }
}

fn observe(coordinator: &Coordinator) -> Result<(), AddError> {
    coordinator.observe(Hasty(Copy))?;
    coordinator.observe(Issue)
}

/// Gives up what takes longer than most answers: a write may so be under way that nobody waits for.
struct Hasty<O>(O);

impl<O: Observer> Observer for Hasty<O> {
    fn spec(&self) -> ObserverSpec {
        self.0.spec().hangs_after(Duration::from_secs(2))
    }

    fn wake(&self, event: &Event, view: &View) -> Vec<Key> {
        self.0.wake(event, view)
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        self.0.plan(key, view)
    }
}

fn invariants_of(share: fn(Option<&str>) -> Key) -> Vec<Invariant> {
    vec![
        invariants::reads_own_writes(),
        invariants::serves_one_at_a_time(),
        invariants::has_one_owner(),
        invariants::sees_what_others_wrote(),
        invariants::writes_only_what_it_serves(share),
    ]
}

/// ConfigMaps that are to be copied, and ask for tickets; over several lives of a Lease.
fn steps(random: &Random, namespaces: &[&str]) -> Vec<Step> {
    let mut steps = Vec::new();
    for number in 0..8 + random.number() % 12 {
        let key = Key::new::<ConfigMap>(one_of(random, namespaces), one_of(random, &["a", "b"]));
        let write = match random.number() % 8 {
            0 => Write::delete(key),
            1 => Write::delete(copy_of(&key)),
            _ => {
                let data =
                    json!({"number": number.to_string(), "tickets": (random.number() % 4).to_string()});
                put(key, json!({"metadata": {"labels": {ORIGINAL: "yes"}}, "data": data}))
            }
        };
        steps.push(Step::new(pause(random, 9000), write));
    }
    steps
}
