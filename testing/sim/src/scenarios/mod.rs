//! What is simulated.

mod copies;
mod jobs;
mod reload;
mod replicas;
mod services;
mod tickets;
mod workloads;

use std::time::Duration;

use serde_json::Value;
use xebec_controllers::{CONTROLLERS, Options};
use xebec_coordinator::sim::Scenario;
use xebec_coordinator::{AddError, Coordinator, Key, Random, Write};
use xebec_node::simulated;

pub use copies::{Copies, Copy, ORIGINAL, copy_of};
pub use jobs::Jobs;
pub use reload::Reloads;
pub use replicas::{Elected, Sharded};
pub use services::Services;
pub use tickets::Tickets;
pub use workloads::Workloads;

/// All scenarios, by turns.
pub const SCENARIOS: &[fn() -> Box<dyn Scenario>] = &[
    || Box::new(Copies::default()),
    || Box::new(Tickets),
    || Box::new(Reloads),
    || Box::new(Elected),
    || Box::new(Sharded),
    || Box::new(Workloads),
    || Box::new(Jobs),
    || Box::new(Services),
];

/// Adds these controllers to a coordinator.
fn controllers(coordinator: &Coordinator, names: &[&str]) -> Result<(), AddError> {
    let chosen = CONTROLLERS.iter().filter(|controller| names.contains(&controller.name));
    chosen.into_iter().try_for_each(|controller| controller.observe(coordinator, &Options::default()))
}

/// Adds two simulated nodes.
fn nodes(coordinator: &Coordinator) -> Result<(), AddError> {
    simulated::observe(coordinator, &simulated::Options { nodes: 2, ..simulated::Options::default() })
}

/// Applies an object as a user does, whether it is there or not.
fn put(key: Key, mut fields: Value) -> Write {
    fields["metadata"]["name"] = key.name().into();
    Write::apply_value(key, fields).force()
}

/// A time of at most so many milliseconds; often none, so that steps come together.
fn pause(random: &Random, most_milliseconds: u64) -> Duration {
    match random.number() % 3 {
        0 => Duration::ZERO,
        _ => Duration::from_millis(random.number() % most_milliseconds.max(1)),
    }
}

/// One of these.
fn one_of<T: Clone>(random: &Random, choices: &[T]) -> T {
    choices[random.number() as usize % choices.len()].clone()
}

/// Where a Pod came to run, and when, is chance: takes it out. Nodes and their Leases are left out.
fn wherever(object: &mut Value) -> bool {
    if matches!(object["kind"].as_str(), Some("Node" | "Lease")) {
        return false;
    }
    if object["kind"] == "Pod" {
        if let Some(spec) = object["spec"].as_object_mut() {
            spec.remove("nodeName");
        }
        if let Some(status) = object["status"].as_object_mut() {
            status.retain(|field, _| !["hostIP", "hostIPs", "podIP", "podIPs"].contains(&field.as_str()));
        }
        without(object, "containerID");
    }
    true
}

/// Takes a field out wherever it is.
fn without(value: &mut Value, field: &str) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| without(item, field)),
        Value::Object(fields) => {
            fields.remove(field);
            fields.values_mut().for_each(|value| without(value, field));
        }
        _ => {}
    }
}
