//! The first step of docs/tutorial.md: an operator in 30 lines.

use std::process::ExitCode;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service};
use serde_json::json;
use xebec_coordinator::{
    BoxError, Key, Observer, ObserverSpec, Plan, Right, View, Watch, operator, owned_by,
};

struct Exposer;

impl Observer for Exposer {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("exposer", "gives each Deployment labelled expose=PORT a Service")
            .watch(Watch::of::<Deployment>().labelled("expose"))
            .watch(Watch::of::<Service>())
            .right(Right::to::<Service>(&["create", "patch"]))
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let Some(deployment) = view.get_key::<Deployment>(key)? else { return Ok(plan) };
        let port: u16 = deployment.metadata.labels.as_ref().map_or("", |labels| &labels["expose"]).parse()?;
        let pods = deployment.spec.as_ref().and_then(|spec| spec.selector.match_labels.as_ref());
        let service: Service = serde_json::from_value(json!({
            "metadata": {"name": key.name()},
            "spec": {"selector": pods, "ports": [{"port": port, "protocol": "TCP"}]},
        }))?;
        plan.apply(&owned_by(&deployment, service)?);
        Ok(plan)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    operator::run("exposer", |coordinator| coordinator.observe(Exposer)).await
}
