//! The same against `xebec-apiserver`, which has Kubernetes' own rules.
#![allow(clippy::unwrap_used)]

mod running;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use http::Request;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::Resource;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::client::Body;
use parking_lot::Mutex;
use running::with;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use xebec_coordinator::{
    BoxError, Context, Coordinator, Event, EventRecord, Key, Kind, Observer, ObserverSpec, Plan, View, Watch,
    WatchState, Write, reference_to,
};

/// Keeps as many Pods as a ReplicaSet wants, and says in its status how many there are.
struct ReplicaSets;

impl Observer for ReplicaSets {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("replicasets", "keeps as many Pods as wanted")
            .watch(Watch::of::<ReplicaSet>())
            .watch(Watch::of::<Pod>())
            .concurrency(4)
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let Some(mut set) = view.get_key::<ReplicaSet>(key)? else { return Ok(plan) };
        let uid = set.metadata.uid.clone().unwrap_or_default();
        let spec = set.spec.clone().unwrap_or_default();
        let pods = view.typed::<Pod>().controlled_by(&uid);
        let wanted = spec.replicas.unwrap_or(1) as usize;
        for _ in pods.len()..wanted {
            let template = spec.template.clone().unwrap_or_default();
            let mut pod = Pod { spec: template.spec, ..Pod::default() };
            pod.metadata.labels = template.metadata.and_then(|metadata| metadata.labels);
            pod.metadata.generate_name = Some(format!("{}-", key.name()));
            pod.metadata.namespace = key.namespace().map(str::to_owned);
            pod.metadata.owner_references = set.controller_owner_ref(&()).map(|owner| vec![owner]);
            plan.create(&pod);
        }
        for pod in pods.iter().skip(wanted) {
            plan.write(Write::delete_object(pod).grace_period(0));
        }
        let status = set.status.get_or_insert_default();
        if status.replicas != pods.len() as i32 {
            status.replicas = pods.len() as i32;
            plan.record(EventRecord::normal(reference_to(&set), "Scaled", format!("{} pods", pods.len())));
            plan.update_status(&set);
        }
        Ok(plan)
    }
}

fn replica_set(name: &str, replicas: i32) -> ReplicaSet {
    serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "main"}]},
            },
        },
    }))
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica_sets_get_exactly_the_pods_they_want() {
    let most: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let seen = Arc::clone(&most);
    let add = |coordinator: &Coordinator| {
        coordinator.observe(ReplicaSets).unwrap();
        let spec = ObserverSpec::new("census", "counts Pods").watch(Watch::of::<Pod>());
        let census = move |event: Event, _cx: Context| {
            if matches!(event, Event::Added(_)) {
                let owner = event.object().controller().map(|owner| owner.name().to_owned());
                *seen.lock().entry(owner.unwrap_or_default()).or_default() += 1;
            }
            async {}
        };
        coordinator.callback(spec.edges(64), census).unwrap();
    };
    with(add, |coordinator, client| async move {
        let sets: Api<ReplicaSet> = Api::namespaced(client.clone(), "default");
        let pods: Api<Pod> = Api::namespaced(client, "default");
        for number in 0..10 {
            sets.create(&PostParams::default(), &replica_set(&format!("set-{number}"), 5)).await.unwrap();
        }
        coordinator.idle().await;
        assert_eq!(pods.list(&ListParams::default()).await.unwrap().items.len(), 50);
        for set in sets.list(&ListParams::default()).await.unwrap() {
            assert_eq!(set.status.unwrap().replicas, 5);
        }
        assert!(most.lock().values().all(|pods| *pods == 5), "none was created twice: {:?}", most.lock());

        let patch = Patch::Merge(json!({"spec": {"replicas": 2}}));
        sets.patch("set-3", &PatchParams::default(), &patch).await.unwrap();
        coordinator.idle().await;
        assert_eq!(pods.list(&ListParams::default()).await.unwrap().items.len(), 47);
        assert_eq!(sets.get("set-3").await.unwrap().status.unwrap().replicas, 2);
        let status = coordinator.status();
        assert_eq!(status.watches.len(), 2, "{:?}", status.watches);
        assert!(status.observers.iter().all(|observer| observer.retries == 0), "{:?}", status.observers);
    })
    .await;
}

/// Keeps a ConfigMap in each labelled Namespace.
struct Greeter;

impl Observer for Greeter {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("greeter", "")
            .watch(Watch::of::<Namespace>().labelled("greeting"))
            .watch(Watch::of::<ConfigMap>().fields("metadata.name=greeting"))
    }

    fn wake(&self, event: &Event, _view: &View) -> Vec<Key> {
        let namespace = event.key().namespace().unwrap_or(event.key().name());
        vec![Key::new::<Namespace>(None, namespace)]
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let text = view.object(key).and_then(|namespace| namespace.label("greeting"));
        let there = view.get::<ConfigMap>(key.name(), "greeting")?;
        let told = there.as_ref().and_then(|map| map.data.as_ref()?.get("text").map(String::as_str));
        let target = Key::new::<ConfigMap>(key.name(), "greeting");
        match text {
            Some(text) if there.is_none() => {
                let map = json!({"metadata": {"name": "greeting", "namespace": key.name()}, "data": {"text": text}});
                plan.write(Write::create_value(target.kind().clone(), map));
            }
            Some(text) if told != Some(text) => {
                plan.write(Write::merge(target, json!({"data": {"text": text}})));
            }
            None if there.is_some() => {
                plan.delete(target);
            }
            _ => {}
        }
        Ok(plan)
    }
}

#[tokio::test]
async fn selectors_select_and_own_writes_are_seen_through_them() {
    let add = |coordinator: &Coordinator| coordinator.observe(Greeter).unwrap();
    with(add, |coordinator, client| async move {
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let maps: Api<ConfigMap> = Api::namespaced(client, "default");
        let label = |text: Option<&str>| {
            let patch = Patch::Merge(json!({"metadata": {"labels": {"greeting": text}}}));
            let namespaces = namespaces.clone();
            async move { namespaces.patch("default", &PatchParams::default(), &patch).await.unwrap() }
        };
        label(Some("hello")).await;
        coordinator.idle().await;
        let map = maps.get("greeting").await.unwrap();
        assert_eq!(map.data.unwrap()["text"], "hello");
        assert_eq!(map.metadata.managed_fields.unwrap()[0].manager.as_deref(), Some("greeter"));
        maps.delete("greeting", &DeleteParams::default()).await.unwrap();
        coordinator.idle().await;
        label(Some("bye")).await;
        coordinator.idle().await;
        assert_eq!(maps.get("greeting").await.unwrap().data.unwrap()["text"], "bye");
        label(None).await;
        coordinator.idle().await;
        assert!(maps.get_opt("greeting").await.unwrap().is_none());
    })
    .await;
}

/// A client whose watches of Widgets are slow to open: what does not wait for them is through before.
fn slow_to_watch_widgets(client: Client) -> Client {
    let service = tower::service_fn(move |request: Request<Body>| {
        let client = client.clone();
        async move {
            let uri = request.uri().to_string();
            if uri.contains("/widgets") && uri.contains("watch=") {
                for _ in 0..1_000 {
                    tokio::task::yield_now().await;
                }
            }
            Ok::<_, Infallible>(client.send(request).await.unwrap())
        }
    });
    Client::new(service, "default")
}

#[tokio::test]
async fn idle_waits_for_objects_of_a_kind_whose_definition_came_late() {
    let kind = Kind::named("example.com", "v1", "Widget", "widgets");
    let cluster = xebec_apiserver::Cluster::new();
    let coordinator = Coordinator::new(slow_to_watch_widgets(cluster.client()));
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let tell = Arc::clone(&seen);
    let callback = move |event: Event, _cx: Context| {
        tell.lock().push(event.key().name().to_owned());
        async {}
    };
    let spec = ObserverSpec::new("widgets", "").watch(Watch::kind(kind.clone()));
    coordinator.callback(spec, callback).unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let (coordinator, shutdown) = (coordinator.clone(), shutdown.clone());
        async move { coordinator.run(shutdown).await }
    });
    coordinator.idle().await;
    let state = |name: &str| {
        let watches = coordinator.status().watches;
        watches.into_iter().find(|watch| watch.kind.name() == name).unwrap().state
    };
    assert_eq!(state("Widget"), WatchState::Missing);
    assert_eq!(state("CustomResourceDefinition"), WatchState::Synced);

    let definition: CustomResourceDefinition = serde_json::from_value(json!({
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }],
        },
    }))
    .unwrap();
    Api::all(cluster.client()).create(&PostParams::default(), &definition).await.unwrap();
    let widgets: Api<DynamicObject> = Api::namespaced_with(cluster.client(), "default", kind.resource());
    widgets.create(&PostParams::default(), &DynamicObject::new("w", kind.resource())).await.unwrap();
    coordinator.idle().await;
    assert_eq!((state("Widget"), &**seen.lock()), (WatchState::Synced, &["w".to_owned()][..]));
    shutdown.cancel();
    running.await.unwrap().unwrap();
}
