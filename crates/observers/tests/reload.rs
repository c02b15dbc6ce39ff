//! Reload on the real API server.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use xebec_apiserver::Cluster;
use xebec_coordinator::{Coordinator, ObserverSpec, RunError, Watch};
use xebec_observers::OBSERVERS;
use xebec_observers::reload::{CONFIG_HASH, OBSERVED, Reloaded};

/// Reload running on a cluster.
struct Running {
    client: Client,
    coordinator: Coordinator,
    told: Arc<Mutex<Vec<String>>>,
    /// The hashes of the template, one after the other.
    templates: Arc<Mutex<Vec<Option<String>>>>,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), RunError>>,
}

impl Running {
    async fn start(cluster: &Cluster) -> Self {
        let client = cluster.client();
        let coordinator = Coordinator::new(client.clone());
        let reload = OBSERVERS.iter().find(|observer| observer.spec().name == "reload").unwrap();
        coordinator.observe(*reload).unwrap();
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let list = Arc::clone(&told);
        coordinator.on_emitted(move |event: Arc<Reloaded>, _cx| {
            let sources = event.changes.iter().map(|change| format!("{} {:?}", change.source, change.keys));
            list.lock().push(sources.collect::<Vec<_>>().join(", "));
            async {}
        });
        // It may be rolled out before the callback below sees it for the first time.
        let before = template_hash(&deployments(&client).get("web").await.unwrap());
        let templates = Arc::new(Mutex::new(vec![before]));
        let list = Arc::clone(&templates);
        let spec =
            ObserverSpec::new("templates", "tells every change").watch(Watch::of::<Deployment>()).edges(64);
        let tell = move |event: xebec_coordinator::Event, _cx| {
            let hash = template_hash(&event.object().decode().unwrap());
            let mut list = list.lock();
            if list.last() != Some(&hash) {
                list.push(hash);
            }
            async {}
        };
        coordinator.callback(spec, tell).unwrap();
        let shutdown = CancellationToken::new();
        let (running, token) = (coordinator.clone(), shutdown.clone());
        let task = tokio::spawn(async move { running.run(token).await });
        coordinator.idle().await;
        Self { client, coordinator, told, templates, shutdown, task }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// How often the Deployment was rolled out while this runs.
    async fn rollouts(&self) -> usize {
        self.coordinator.idle().await;
        self.templates.lock().len() - 1
    }

    async fn deployment(&self) -> Deployment {
        self.coordinator.idle().await;
        deployments(&self.client).get("web").await.unwrap()
    }

    async fn events(&self) -> Vec<String> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), "default");
        let events = events.list(&ListParams::default()).await.unwrap().items.into_iter();
        let specs = self.coordinator.specs();
        let declared = &specs.iter().find(|spec| spec.name == "reload").unwrap().records;
        let shown = events.map(|event| {
            assert!(declared.iter().any(|record| Some(&*record.reason) == event.reason.as_deref()));
            assert_eq!(event.reporting_controller.as_deref(), Some("xebec-reload"));
            assert_eq!(event.regarding.unwrap().name.as_deref(), Some("web"));
            format!("{}: {}", event.reason.unwrap(), event.note.unwrap())
        });
        shown.collect()
    }
}

fn deployments(client: &Client) -> Api<Deployment> {
    Api::namespaced(client.clone(), "default")
}

async fn set(client: &Client, data: Value) {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    maps.patch("config", &PatchParams::default(), &Patch::Merge(json!({"data": data}))).await.unwrap();
}

async fn cluster() -> Cluster {
    let cluster = Cluster::new();
    let client = cluster.client();
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "default");
    let map = json!({"metadata": {"name": "config"}, "data": {"colour": "blue", "size": "1"}});
    maps.create(&PostParams::default(), &serde_json::from_value(map).unwrap()).await.unwrap();
    let secret = json!({"metadata": {"name": "keys"}, "stringData": {"password": "hush"}});
    secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
    let deployment = json!({
        "metadata": {"name": "web", "annotations": {"reload.xebec.dev/auto": "true"}},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [{"name": "main", "image": "nginx", "envFrom": [{"secretRef": {"name": "keys"}}]}],
                    "volumes": [{"name": "config", "configMap": {"name": "config"}}],
                },
            },
        },
    });
    let deployment = serde_json::from_value(deployment).unwrap();
    deployments(&client).create(&PostParams::default(), &deployment).await.unwrap();
    cluster
}

fn template_hash(deployment: &Deployment) -> Option<String> {
    let template = deployment.spec.as_ref()?.template.metadata.as_ref()?;
    template.annotations.as_ref()?.get(CONFIG_HASH).cloned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_one_rollout_and_a_restart_is_none() {
    let cluster = cluster().await;
    let client = cluster.client();
    let running = Running::start(&cluster).await;
    let first = running.deployment().await;
    assert_eq!(running.rollouts().await, 0, "the first sight is none");
    assert!(first.metadata.annotations.as_ref().unwrap().contains_key(OBSERVED));
    assert_eq!(template_hash(&first), None);

    set(&client, json!({"colour": "red"})).await;
    let second = running.deployment().await;
    assert_eq!(running.rollouts().await, 1);
    assert!(template_hash(&second).is_some());
    let told = running.told.lock().clone();
    assert_eq!(told, [r#"ConfigMap config {"colour"}"#]);
    assert_eq!(
        running.events().await,
        ["Reloaded: rolled out, because of a change of ConfigMap config (colour)"]
    );
    let mine = second.metadata.managed_fields.clone().unwrap().into_iter();
    let mine: Vec<_> = mine.filter(|entry| entry.manager.as_deref() == Some("xebec-reload")).collect();
    let owned = serde_json::to_value(mine[0].fields_v1.as_ref().unwrap()).unwrap();
    assert_eq!(mine.len(), 1);
    assert_eq!(
        owned,
        json!({
            "f:metadata": {"f:annotations": {"f:reload.xebec.dev/observed-hashes": {}}},
            "f:spec": {"f:template": {"f:metadata": {"f:annotations": {"f:reload.xebec.dev/config-hash": {}}}}},
        })
    );

    running.stop().await;
    let running = Running::start(&cluster).await;
    assert_eq!(running.deployment().await, second, "a restart changes nothing");
    running.stop().await;

    set(&client, json!({"colour": "green", "size": null})).await;
    let running = Running::start(&cluster).await;
    let third = running.deployment().await;
    assert_eq!(running.rollouts().await, 1, "a change while down is one");
    assert_ne!(template_hash(&third), template_hash(&second));
    let told = running.told.lock().clone();
    assert_eq!(told, ["ConfigMap config {}"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_holds_and_lets_go() {
    let cluster = cluster().await;
    let client = cluster.client();
    let running = Running::start(&cluster).await;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "default");
    let secret = secrets.get("keys").await.unwrap();
    secrets.delete("keys", &DeleteParams::default()).await.unwrap();
    running.coordinator.idle().await;
    set(&client, json!({"colour": "red"})).await;
    let held = running.deployment().await;
    assert_eq!(running.rollouts().await, 0);
    assert_eq!(held.metadata.annotations.unwrap()["reload.xebec.dev/held"], "Secret keys");
    assert!(running.coordinator.metrics().contains("\nreload_held 1\n"));
    assert_eq!(running.events().await, ["ReloadHeld: waits for Secret keys, which is missing"]);
    let mut again = Secret { data: secret.data, ..Secret::default() };
    again.metadata.name = Some("keys".to_owned());
    secrets.create(&PostParams::default(), &again).await.unwrap();
    let free = running.deployment().await;
    assert_eq!(running.rollouts().await, 1);
    assert!(!free.metadata.annotations.unwrap().contains_key("reload.xebec.dev/held"));
    let metrics = running.coordinator.metrics();
    assert!(metrics.contains("\nreload_held 0\n"), "{metrics}");
    assert!(metrics.contains("\nreload_rollouts_total{changed=\"ConfigMap\"} 1\n"), "{metrics}");
    assert_eq!(running.told.lock().clone(), [r#"ConfigMap config {"colour"}"#]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_the_selector_selects_is_served() {
    let cluster = cluster().await;
    let client = cluster.client();
    let running = Running::start(&cluster).await;
    running.coordinator.configure("reload", &[("selector", "tier in (front),!old")]).unwrap();
    running.coordinator.idle().await;
    set(&client, json!({"colour": "red"})).await;
    assert_eq!(running.rollouts().await, 0, "it is not selected");
    let label = Patch::Merge(json!({"metadata": {"labels": {"tier": "front"}}}));
    deployments(&client).patch("web", &PatchParams::default(), &label).await.unwrap();
    assert_eq!(running.rollouts().await, 1, "now it is");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_changes_are_told_of_and_no_value_is() {
    let cluster = cluster().await;
    let client = cluster.client();
    let running = Running::start(&cluster).await;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "default");
    for number in 0..20 {
        let patch = Patch::Merge(json!({"stringData": {"password": format!("hush-{number}")}}));
        secrets.patch("keys", &PatchParams::default(), &patch).await.unwrap();
    }
    let last = running.deployment().await;
    let rollouts = running.rollouts().await;
    assert!((1..=20).contains(&rollouts), "{rollouts}");
    let told = serde_json::to_string(&last).unwrap() + &running.events().await.join("\n");
    assert!(!told.contains("hush") && !told.contains("aHVzaA"), "{told}");
    assert_eq!(
        running.events().await[0],
        "Reloaded: rolled out, because of a change of Secret keys (password)"
    );
    running.stop().await;
}
