//! Config reload: Deployments whose ConfigMaps and Secrets change, come, and go.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::{Value, json};
use xebec_coordinator::sim::{Scenario, Server, Step};
use xebec_coordinator::{AddError, Coordinator, Key, Random, Write};
use xebec_observers::reload::{AUTO, CONFIG_HASH, Reload};

use super::{one_of, pause};
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
        coordinator.observe(Reload::default())
    }

    fn steps(&self, random: &Random) -> Vec<Step> {
        let mut steps: Vec<Step> =
            ["web", "shop"].map(|name| Step::new(pause(random, 1000), deployment(name))).into();
        for number in 0..6 + random.number() % 10 {
            // No content comes twice: whether an observer has seen what was in between is not to matter.
            let (map, secret) =
                (Key::new::<ConfigMap>("default", "settings"), Key::new::<Secret>("default", "keys"));
            let write = match random.number() % 8 {
                0 => Write::delete(map),
                1 => Write::delete(secret),
                2 | 3 => {
                    Write::apply_value(secret, json!({"stringData": {"key": number.to_string()}})).force()
                }
                4 => deployment(one_of(random, &["web", "shop"])),
                _ => Write::apply_value(map, json!({"data": {"number": number.to_string()}})).force(),
            };
            steps.push(Step::new(pause(random, 4000), write));
        }
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
    Write::apply_value(Key::new::<Deployment>("default", name), fields).force()
}
