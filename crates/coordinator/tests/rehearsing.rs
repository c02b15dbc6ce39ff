//! What an observer would do, read off a cluster without running it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, PostParams};
use serde_json::json;
use xebec_apiserver::Cluster;
use xebec_coordinator::{
    BoxError, Coordinator, Key, Kind, Observer, ObserverSpec, Plan, PlanError, RehearsalError, View, Watch,
    Write,
};

/// Keeps a Secret beside each ConfigMap, without being its owner.
struct Copies {
    required: bool,
}

impl Observer for Copies {
    fn spec(&self) -> ObserverSpec {
        let absent = Watch::kind(Kind::named("example.com", "v1", "Absent", "absents"));
        ObserverSpec::new("copies", "keeps a Secret beside each ConfigMap")
            .watch(Watch::of::<ConfigMap>().namespace("default"))
            .watch(if self.required { absent } else { absent.optional() })
            .finalizer("copies.example.com/cleanup")
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        if view.get_key::<ConfigMap>(key)?.is_some() {
            let copy = Key::new::<Secret>(key.namespace(), key.name());
            plan.write(Write::apply_value(copy, json!({"stringData": {"a": "1"}})));
        }
        Ok(plan)
    }
}

async fn cluster_with(names: &[&str]) -> (Cluster, Api<ConfigMap>) {
    let cluster = Cluster::new();
    let api: Api<ConfigMap> = Api::namespaced(cluster.client(), "default");
    for name in names {
        let map = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        api.create(&PostParams::default(), &map).await.unwrap();
    }
    (cluster, api)
}

#[tokio::test]
async fn all_keys_are_planned_as_a_coordinator_would_and_nothing_is_written() {
    let (cluster, api) = cluster_with(&["a", "b"]).await;
    let versions = || async {
        let list = api.list(&kube::api::ListParams::default()).await.unwrap();
        (list.metadata.resource_version, list.items)
    };
    let before = versions().await;
    let coordinator = Coordinator::new(cluster.client());
    coordinator.observe(Copies { required: false }).unwrap();
    let rehearsal = coordinator.rehearse("copies").await.unwrap();
    let key = |name: &str| Key::new::<ConfigMap>("default", name);
    assert_eq!(rehearsal.keys().keys().cloned().collect::<Vec<_>>(), [key("a"), key("b")]);
    assert_eq!(rehearsal.keys()[&key("a")], [key("a")]);
    // The finalizer comes before the first write elsewhere, as when it runs.
    let plan = rehearsal.plan(&key("a")).unwrap();
    assert_eq!(plan.writes().map(ToString::to_string).collect::<Vec<_>>(), ["patch ConfigMap default/a"]);
    assert!(rehearsal.plan(&key("absent")).unwrap().is_empty());
    assert_eq!(versions().await, before);
}

#[tokio::test]
async fn what_cannot_be_rehearsed_is_said() {
    let (cluster, _) = cluster_with(&[]).await;
    let coordinator = Coordinator::new(cluster.client());
    coordinator.observe(Copies { required: true }).unwrap();
    let absent = coordinator.rehearse("copies").await.unwrap_err();
    assert!(
        matches!(&absent, RehearsalError::Unreadable { what, .. } if what == "Absent.example.com"),
        "{absent}"
    );
    let name = coordinator.on::<ConfigMap, _, _>(|_, _| async { Ok::<(), BoxError>(()) });
    for (name, expected) in [(name.as_str(), "makes no plans"), ("nobody", "no observer")] {
        let error = coordinator.rehearse(name).await.unwrap_err();
        assert!(matches!(
            error,
            RehearsalError::Plan(PlanError::MakesNoPlans(_) | PlanError::NoSuchObserver(_))
        ));
        assert!(error.to_string().contains(expected), "{error}");
    }
}
