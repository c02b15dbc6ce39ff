//! Services whose Pods come, become ready, and go.

use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, Service};
use serde_json::{Value, json};
use xebec_coordinator::sim::{Scenario, Server, Step};
use xebec_coordinator::{AddError, Coordinator, Key, Random, Write};

use super::{controllers, nodes, one_of, pause, put, wherever};
use crate::Simulated;

/// Endpoints and endpoint slices, the scheduler, the garbage collector and two nodes.
pub struct Services;

impl Scenario for Services {
    fn name(&self) -> &'static str {
        "services"
    }

    fn server(&self, seed: u64) -> Arc<dyn Server> {
        Arc::new(Simulated::new(seed))
    }

    fn observe(&self, coordinator: &Coordinator) -> Result<(), AddError> {
        let names =
            ["endpoints", "endpointslice", "endpointslicemirroring", "garbage-collection", "scheduler"];
        controllers(coordinator, &names)?;
        nodes(coordinator)
    }

    fn steps(&self, random: &Random) -> Vec<Step> {
        let mut steps = vec![Step::new(pause(random, 1000), service(80))];
        // A Pod that ends is still there for a while: its name is not used again.
        let mut pods = 0;
        let mut there: Vec<String> = Vec::new();
        for _ in 0..3 + random.number() % 5 {
            let write = match random.number() % 8 {
                0 => Write::delete(Key::new::<Service>("default", "web")),
                1 | 2 => service(80 + random.number() % 3),
                3 | 4 if !there.is_empty() => {
                    let name = one_of(random, &there);
                    there.retain(|other| *other != name);
                    Write::delete(Key::new::<Pod>("default", &name))
                }
                _ => {
                    pods += 1;
                    there.push(format!("web-{pods}"));
                    pod(&format!("web-{pods}"), one_of(random, &["web", "web", "other"]))
                }
            };
            steps.push(Step::new(pause(random, 6000), write));
        }
        steps
    }

    fn normalize(&self, object: &mut Value) -> bool {
        if object["kind"] == "EndpointSlice" {
            // In the order of addresses, which are chance.
            if let Some(endpoints) = object["endpoints"].as_array_mut() {
                endpoints.sort_by_key(|endpoint| endpoint["targetRef"]["name"].to_string());
            }
        }
        if object["kind"] == "Endpoints" {
            for subset in object["subsets"].as_array_mut().into_iter().flatten() {
                if let Some(addresses) = subset["addresses"].as_array_mut() {
                    addresses.sort_by_key(|address| address["targetRef"]["name"].to_string());
                }
            }
        }
        without_addresses(object);
        wherever(object)
    }
}

/// Addresses and nodes are chance.
fn without_addresses(value: &mut Value) {
    match value {
        Value::String(text) if text.parse::<IpAddr>().is_ok() => "<address>".clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(without_addresses),
        Value::Object(fields) => {
            fields.remove("nodeName");
            fields.values_mut().for_each(without_addresses);
        }
        _ => {}
    }
}

fn service(port: u64) -> Write {
    let fields = json!({"spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": port, "targetPort": 8080}]}});
    put(Key::new::<Service>("default", "web"), fields)
}

fn pod(name: &str, app: &str) -> Write {
    let fields = json!({
        "metadata": {"labels": {"app": app}},
        "spec": {"containers": [{"name": "main", "image": "example.org/main"}]},
    });
    put(Key::new::<Pod>("default", name), fields)
}
