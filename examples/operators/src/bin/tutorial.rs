//! The last step of docs/tutorial.md: with a finalizer, replicas and tests.

use std::process::ExitCode;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use serde_json::json;
use xebec_coordinator::{
    BoxError, Event, Key, Object, Observer, ObserverSpec, Plan, Right, View, Watch, Write, operator, owned_by,
};

const DIRECTORY: &str = "kube-public";
const NAMESPACE: &str = "exposer.example.com/namespace";
const NAME: &str = "exposer.example.com/name";

struct Exposer;

/// The ConfigMap in the directory that says where a Deployment is to be found.
fn entry_of(key: &Key) -> Key {
    let name = format!("{}.{}", key.namespace().unwrap_or_default(), key.name());
    Key::new::<ConfigMap>(DIRECTORY, &name)
}

impl Observer for Exposer {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("exposer", "gives each Deployment labelled expose=PORT a Service and an entry")
            .watch(Watch::of::<Deployment>())
            .watch(Watch::of::<Service>())
            .watch(Watch::of::<ConfigMap>().namespace(DIRECTORY).labelled(NAME))
            .right(Right::to::<Service>(&["create", "patch", "delete"]))
            .right(Right::to::<ConfigMap>(&["create", "patch", "delete"]))
            .finalizer("exposer.example.com/directory")
            .finalizes_only(|deployment| deployment.label("expose").is_some())
    }

    fn wake(&self, event: &Event, view: &View) -> Vec<Key> {
        let object = event.object();
        match (object.label(NAMESPACE), object.label(NAME)) {
            (Some(namespace), Some(name)) if event.key().is::<ConfigMap>() => {
                vec![Key::new::<Deployment>(namespace, name)]
            }
            _ => xebec_coordinator::default_wake(event, view),
        }
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let Some(deployment) = view.get_key::<Deployment>(key)? else { return Ok(Plan::new()) };
        let Some(port) = deployment.metadata.labels.as_ref().and_then(|labels| labels.get("expose")) else {
            return Ok(Plan::new());
        };
        let port: u16 = port.parse()?;
        let pods = deployment.spec.as_ref().and_then(|spec| spec.selector.match_labels.as_ref());
        let service: Service = serde_json::from_value(json!({
            "metadata": {"name": key.name()},
            "spec": {"selector": pods, "ports": [{"port": port, "protocol": "TCP"}]},
        }))?;
        let entry = json!({
            "metadata": {"labels": {NAMESPACE: key.namespace(), NAME: key.name()}},
            "data": {"port": port.to_string()},
        });
        let mut plan = Plan::new();
        plan.apply(&owned_by(&deployment, service)?);
        plan.write(Write::apply_value(entry_of(key), entry));
        Ok(plan)
    }

    fn finalize(&self, key: &Key, deployment: &Object, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        if view.object(&entry_of(key)).is_some() {
            plan.delete(entry_of(key));
        }
        for service in view.typed::<Service>().controlled_by(deployment.uid()) {
            plan.write(Write::delete_object(&service));
        }
        Ok(plan)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    operator::run("exposer", |coordinator| coordinator.observe(Exposer)).await
}

#[cfg(test)]
#[path = "../tutorial_tests.rs"]
mod tests;
