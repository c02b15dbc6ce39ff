//! A custom resource `Website`: its Deployment, its Service, and a route in the namespace of the gateway.
//!
//! The Deployment and the Service are the website's dependents, and go with it. The route is in another namespace, where
//! an owner reference cannot reach: a finalizer sees to it. The status says of which generation it speaks.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use xebec_coordinator::{
    BoxError, Conditions, Event, EventRecord, Key, Object, Observer, ObserverSpec, Plan, Right, View, Watch,
    Write, default_wake, owned_by,
};

/// What is wanted of a [`Website`].
#[derive(Clone, CustomResource, Debug, Deserialize, JsonSchema, Serialize)]
#[kube(group = "examples.xebec.dev", version = "v1alpha1", kind = "Website", namespaced)]
#[kube(status = "WebsiteStatus", doc = "A website: its pods, its Service, and its route.")]
#[serde(rename_all = "camelCase")]
pub struct WebsiteSpec {
    /// The name by which browsers ask for it.
    #[schemars(length(max = 253), regex(pattern = r"^[a-z0-9.-]+$"))]
    pub host: String,
    /// What serves it, on port 80.
    #[schemars(length(min = 1))]
    pub image: String,
    /// How many of these.
    #[serde(default = "one")]
    #[schemars(range(min = 0))]
    pub replicas: i32,
}

fn one() -> i32 {
    1
}

/// What is of a [`Website`].
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebsiteStatus {
    /// Of which generation of the spec this speaks.
    pub observed_generation: Option<i64>,
    /// How many pods serve.
    #[serde(default)]
    pub ready_replicas: i32,
    /// `Ready`, and why not.
    #[serde(default)]
    #[schemars(schema_with = "crate::conditions::schema")]
    pub conditions: Vec<Condition>,
}

/// The finalizer of websites.
pub const FINALIZER: &str = "website.examples.xebec.dev/route";
const OF_NAMESPACE: &str = "website.examples.xebec.dev/namespace";
const OF_NAME: &str = "website.examples.xebec.dev/name";

/// Serves [`Website`]s.
#[derive(Clone, Debug)]
pub struct Websites {
    gateway: String,
}

impl Websites {
    /// With routes as ConfigMaps in this namespace.
    pub fn new(gateway: impl Into<String>) -> Self {
        Self { gateway: gateway.into() }
    }

    /// The ConfigMap that is the route of a website.
    pub fn route(&self, website: &Key) -> Key {
        let name = format!("{}.{}", website.namespace().unwrap_or_default(), website.name());
        Key::new::<ConfigMap>(&*self.gateway, &name)
    }
}

impl Observer for Websites {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("website", "serves Websites: a Deployment, a Service and a route each")
            .watch(Watch::of::<Website>())
            .watch(Watch::of::<Deployment>())
            .watch(Watch::of::<Service>())
            .watch(Watch::of::<ConfigMap>().namespace(self.gateway.clone()).labelled(OF_NAME))
            .right(Right::to::<Deployment>(&["create", "patch"]))
            .right(Right::to::<Service>(&["create", "patch"]))
            .right(Right::to::<ConfigMap>(&["create", "patch", "delete"]))
            .right(Right::to_subresource::<Website>("status", &["patch"]))
            .finalizer(FINALIZER)
            .concurrency(4)
    }

    fn wake(&self, event: &Event, view: &View) -> Vec<Key> {
        let object = event.object();
        match (object.label(OF_NAMESPACE), object.label(OF_NAME)) {
            (Some(namespace), Some(name)) if event.key().is::<ConfigMap>() => {
                vec![Key::new::<Website>(namespace, name)]
            }
            _ => default_wake(event, view),
        }
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let Some(object) = view.object(key) else { return Ok(plan) };
        let website: Website = object.decode()?;
        let labels = json!({"website": key.name()});
        let pod = json!({
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "web", "image": website.spec.image}]},
        });
        let deployment: Deployment = serde_json::from_value(json!({
            "metadata": {"name": key.name(), "labels": labels},
            "spec": {"replicas": website.spec.replicas, "selector": {"matchLabels": labels}, "template": pod},
        }))?;
        let service: Service = serde_json::from_value(json!({
            "metadata": {"name": key.name(), "labels": labels},
            "spec": {"selector": labels, "ports": [{"port": 80, "protocol": "TCP"}]},
        }))?;
        plan.apply(&owned_by(&website, deployment)?);
        plan.apply(&owned_by(&website, service)?);
        let backend = format!("{}.{}.svc:80", key.name(), key.namespace().unwrap_or_default());
        let route = json!({
            "metadata": {"labels": {OF_NAMESPACE: key.namespace(), OF_NAME: key.name()}},
            "data": {"host": website.spec.host, "backend": backend},
        });
        plan.write(Write::apply_value(self.route(key), route));
        report(&mut plan, object, &website, view)?;
        Ok(plan)
    }

    fn finalize(&self, key: &Key, _object: &Object, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let route = self.route(key);
        if view.object(&route).is_some() {
            plan.delete(route);
        }
        Ok(plan)
    }
}

/// Says in the status how a website fares, and in an Event when it becomes ready.
fn report(plan: &mut Plan, object: &Object, website: &Website, view: &View) -> Result<(), BoxError> {
    let deployment = view.get::<Deployment>(object.namespace(), object.name())?;
    let status = deployment.and_then(|deployment| deployment.status).unwrap_or_default();
    let (ready, wanted) = (status.ready_replicas.unwrap_or(0), website.spec.replicas);
    let mut conditions = Conditions::of(object, view.now())?;
    let was_ready = conditions.is_true("Ready");
    let reason = if ready >= wanted { "AllReady" } else { "PodsNotReady" };
    conditions.set("Ready", ready >= wanted, reason, format!("{ready} of {wanted} pods are ready"));
    let status = json!({"observedGeneration": object.generation(), "readyReplicas": ready});
    plan.apply_conditions_with(object, &conditions, status);
    if conditions.is_true("Ready") && !was_ready {
        plan.record(EventRecord::normal(object.reference(), "Ready", "all pods are ready"));
    }
    Ok(())
}
