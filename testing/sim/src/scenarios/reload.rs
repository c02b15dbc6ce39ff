//! Config reload: Deployments whose ConfigMaps and Secrets change, come, and go.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::{Value, json};
use xebec_coordinator::sim::{Scenario, Server, Step};
use xebec_coordinator::{AddError, Coordinator, Key, Random, Write};
use xebec_observers::reload::{AUTO, CONFIG_HASH, Reload};

use super::{one_of, pause, put};
use crate::Simulated;

/// The reload observer.
pub struct Reloads;

impl Scenario for Reloads {
    fn name(&self) -> &'static str {
        "reload"
    }

    fn server(&self, seed: u64) -> Arc<dyn Server> {
        Arc::new(Simulated::new(seed))
    }

    fn observe(&self, coordinator: &Coordinator) -> Result<(), AddError> {
        coordinator.observe(Reload)
    }

    fn steps(&self, random: &Random) -> Vec<Step> {
        let mut steps: Vec<Step> =
            ["web", "shop"].map(|name| Step::new(pause(random, 1000), deployment(name))).into();
        let (map, secret) =
            (Key::new::<ConfigMap>("default", "settings"), Key::new::<Secret>("default", "keys"));
        // No content comes twice: whether an observer has seen what was in between is not to matter.
        let set_map = |number: u64| put(map.clone(), json!({"data": {"number": number.to_string()}}));
        let set_secret =
            |number: u64| put(secret.clone(), json!({"stringData": {"key": number.to_string()}}));
        for number in 0..6 + random.number() % 10 {
            let write = match random.number() % 8 {
                0 => Write::delete(map.clone()),
                1 => Write::delete(secret.clone()),
                2 | 3 => set_secret(number),
                4 => deployment(one_of(random, &["web", "shop"])),
                _ => set_map(number),
            };
            steps.push(Step::new(pause(random, 4000), write));
        }
        // In the end nothing is missing: while something is, it counts what was seen last.
        steps.push(Step::new(pause(random, 4000), set_map(100)));
        steps.push(Step::new(pause(random, 4000), set_secret(100)));
        steps
    }

    fn normalize(&self, object: &mut Value) -> bool {
        // For what it was last rolled out depends on what was seen in between; what was observed last does not.
        if let Some(Value::Object(annotations)) = object.pointer_mut("/spec/template/metadata/annotations") {
            annotations.remove(CONFIG_HASH);
        }
        if let Some(Value::Object(metadata)) = object.pointer_mut("/spec/template/metadata") {
            metadata.retain(|field, value| {
                field != "annotations" || value.as_object().is_some_and(|map| !map.is_empty())
            });
        }
        true
    }
}

fn deployment(name: &str) -> Write {
    let uses = json!([{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "keys"}}]);
    let container = json!({"name": "main", "image": "example.org/main", "envFrom": uses});
    let fields = json!({
        "metadata": {"annotations": {AUTO: "true"}},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
        },
    });
    put(Key::new::<Deployment>("default", name), fields)
}
