//! The tests of docs/tutorial.md: against the API server in process, and in simulation.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use tokio_util::sync::CancellationToken;
use xebec_apiserver::Cluster;
use xebec_coordinator::sim::{Scenario, Server, Simulation, Step, cases};
use xebec_coordinator::{AddError, Coordinator, Random};
use xebec_simulated::Simulated;

use super::*;

fn deployment(name: &str) -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "default", "uid": "1", "labels": {"expose": "8080"}},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "web", "image": "nginx"}]},
            },
        },
    }))
    .unwrap()
}

#[test]
fn a_plan_is_a_value() {
    let shop = deployment("shop");
    let view = View::of(&Exposer.spec(), Timestamp::UNIX_EPOCH, [Object::encode(&shop).unwrap()]);
    let plan = Exposer.plan(&Key::of(&shop), &view).unwrap();
    let writes: Vec<_> = plan.writes().map(ToString::to_string).collect();
    assert_eq!(writes, ["apply Service default/shop", "apply ConfigMap kube-public/default.shop"]);
}

#[tokio::test]
async fn a_deployment_is_exposed_until_it_is_deleted() {
    let cluster = Cluster::new();
    let coordinator = Coordinator::new(cluster.client());
    coordinator.observe(Exposer).unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let (coordinator, shutdown) = (coordinator.clone(), shutdown.clone());
        async move { coordinator.run(shutdown).await }
    });

    let deployments: Api<Deployment> = Api::namespaced(cluster.client(), "default");
    let services: Api<Service> = Api::namespaced(cluster.client(), "default");
    let entries: Api<ConfigMap> = Api::namespaced(cluster.client(), DIRECTORY);
    deployments.create(&PostParams::default(), &deployment("shop")).await.unwrap();
    coordinator.idle().await;
    let service = services.get("shop").await.unwrap();
    assert_eq!(service.spec.unwrap().ports.unwrap()[0].port, 8080);
    assert!(entries.get_opt("default.shop").await.unwrap().is_some());

    let unlabelled = json!({"metadata": {"labels": {"expose": null}}});
    deployments.patch("shop", &PatchParams::default(), &Patch::Merge(unlabelled)).await.unwrap();
    coordinator.idle().await;
    assert!(services.get_opt("shop").await.unwrap().is_none());
    assert_eq!(deployments.get("shop").await.unwrap().metadata.finalizers, None);

    let labelled = json!({"metadata": {"labels": {"expose": "8081"}}});
    deployments.patch("shop", &PatchParams::default(), &Patch::Merge(labelled)).await.unwrap();
    coordinator.idle().await;
    deployments.delete("shop", &DeleteParams::default()).await.unwrap();
    coordinator.idle().await;
    assert!(entries.get_opt("default.shop").await.unwrap().is_none());
    assert!(deployments.get_opt("shop").await.unwrap().is_none());

    shutdown.cancel();
    running.await.unwrap().unwrap();
}

#[test]
fn rules() -> Result<(), cases::Failures> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/cases/exposer");
    cases::check(folder, Simulated::new, |coordinator| coordinator.observe(Exposer))
}

struct Exposing;

impl Scenario for Exposing {
    fn name(&self) -> &'static str {
        "exposing"
    }

    fn server(&self, seed: u64) -> Arc<dyn Server> {
        Arc::new(Simulated::new(seed))
    }

    fn observe(&self, coordinator: &Coordinator) -> Result<(), AddError> {
        coordinator.observe(Exposer)
    }

    fn steps(&self, random: &Random) -> Vec<Step> {
        let mut steps = Vec::new();
        for name in ["shop", "cart", "shop", "cart", "shop", "cart"] {
            let labels = if random.number().is_multiple_of(3) { json!({}) } else { json!({"expose": "80"}) };
            let key = Key::new::<Deployment>("default", name);
            let fields = json!({
                "metadata": {"labels": labels},
                "spec": deployment(name).spec,
            });
            let pause = Duration::from_millis(random.number() % 4000);
            steps.push(Step::new(pause, Write::apply_value(key, fields).force()));
        }
        steps.push(Step::new(Duration::ZERO, Write::delete(Key::new::<Deployment>("default", "cart"))));
        steps
    }
}

#[test]
fn whatever_goes_wrong_it_ends_where_it_should() {
    for seed in 0..50 {
        if let Err(failure) = Simulation::new(Exposing).check(seed) {
            panic!("{failure}");
        }
    }
}
