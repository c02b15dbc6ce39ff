//! Deployments that are rolled out, scaled and deleted, on simulated nodes.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::PropagationPolicy;
use serde_json::{Value, json};
use xebec_coordinator::sim::{Scenario, Server, Step};
use xebec_coordinator::{AddError, Coordinator, Key, Random, Write};

use super::{controllers, nodes, one_of, pause, put, wherever};
use crate::Simulated;

/// Deployments, ReplicaSets, the scheduler, the garbage collector and two nodes.
pub struct Workloads;

impl Scenario for Workloads {
    fn name(&self) -> &'static str {
        "workloads"
    }

    fn server(&self, seed: u64) -> Arc<dyn Server> {
        Arc::new(Simulated::new(seed))
    }

    fn observe(&self, coordinator: &Coordinator) -> Result<(), AddError> {
        controllers(coordinator, &["deployment", "replicaset", "garbage-collection", "scheduler"])?;
        nodes(coordinator)
    }

    fn steps(&self, random: &Random) -> Vec<Step> {
        let mut steps = vec![Step::new(pause(random, 1000), deployment("web", 2, "v0"))];
        // A name is not used again: the replica sets of a first one of that name are in the way of the second.
        let mut there = vec!["web"];
        for name in ["shop", "blog"].into_iter().take(random.number() as usize % 3) {
            steps.push(Step::new(pause(random, 3000), deployment(name, random.number() % 3, "v0")));
            there.push(name);
        }
        for number in 0..2 + random.number() % 4 {
            if there.is_empty() {
                break;
            }
            let name = one_of(random, &there);
            let key = Key::new::<Deployment>("default", name);
            let write = match random.number() % 6 {
                0 => {
                    there.retain(|other| *other != name);
                    let policies = [PropagationPolicy::Background, PropagationPolicy::Foreground];
                    Write::delete(key).propagation(one_of(random, &policies))
                }
                1 | 2 => Write::scale(key, (random.number() % 4) as i32),
                _ => deployment(name, random.number() % 4, &format!("v{}", number + 1)),
            };
            steps.push(Step::new(pause(random, 8000), write));
        }
        steps
    }

    fn normalize(&self, object: &mut Value) -> bool {
        // Which rollouts were begun and overtaken depends on how fast they were; what is left of them are empty sets,
        // and numbers.
        if object["kind"] == "ReplicaSet"
            && object["spec"]["replicas"] == 0
            && object["status"]["replicas"] == 0
        {
            return false;
        }
        if let Some(Value::Object(annotations)) = object.pointer_mut("/metadata/annotations") {
            annotations.retain(|name, _| !name.starts_with("deployment.kubernetes.io/revision"));
        }
        // Which set is said to have progressed last is lost with a status that conflicts, as in Kubernetes, where the set
        // was complete at once.
        for condition in object["status"]["conditions"].as_array_mut().into_iter().flatten() {
            if condition["type"] == "Progressing" {
                condition["message"].take();
            }
        }
        wherever(object)
    }
}

/// A Deployment of so many replicas.
fn deployment(name: &str, replicas: u64, version: &str) -> Write {
    let container = json!({"name": "main", "image": format!("example.org/main:{version}")});
    let fields = json!({
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
        },
    });
    put(Key::new::<Deployment>("default", name), fields)
}
