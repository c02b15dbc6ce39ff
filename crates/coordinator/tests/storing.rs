//! How much of each object is kept, and how lists come over watches.
#![allow(clippy::unwrap_used)]

mod fake;
mod running;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fake::{CONFIG_MAPS, Fake, PODS, Run};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, Patch, PatchParams, PostParams};
use parking_lot::Mutex;
use serde_json::{Value, json};
use xebec_coordinator::{Context, Coordinator, Event, Kind, ObserverSpec, Projection, Watch, WatchState};

/// What a callback was told: the kind of change, the version, and the object as it was kept.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<(String, Value)>>>);

impl Told {
    fn observe(&self, coordinator: &Coordinator, name: &str, watch: Watch) {
        let told = self.clone();
        let callback = move |event: Event, _cx: Context| {
            let what = match &event {
                Event::Added(_) => "added",
                Event::Modified { .. } => "modified",
                Event::Deleted(_) => "deleted",
            };
            let what = format!("{what} {}", event.object().name());
            told.0.lock().push((what, event.object().to_value().unwrap()));
            async {}
        };
        let spec = ObserverSpec::new(name.to_owned(), "").watch(watch);
        coordinator.callback(spec, callback).unwrap();
    }

    fn take(&self) -> Vec<String> {
        self.take_objects().into_iter().map(|(what, _)| what).collect()
    }

    fn take_objects(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.0.lock())
    }
}

fn pod(node: &str, phase: &str) -> Value {
    json!({"spec": {"nodeName": node, "containers": []}, "status": {"phase": phase}})
}

#[tokio::test]
async fn a_list_comes_over_the_watch_where_the_server_can_do_that() {
    let fake = Fake::new();
    fake.serve_watch_lists();
    for number in 0..200 {
        fake.put(PODS, "ns", &format!("pod-{number:03}"), pod("n1", "Running"));
    }
    let told = Told::default();
    let run = Run::start(&fake, |coordinator| told.observe(coordinator, "all", Watch::of::<Pod>()));
    run.idle().await;
    fake.pod("last");
    run.idle().await;
    let events = told.take();
    assert_eq!((events.len(), &*events[0], &*events[200]), (201, "added pod-000", "added last"));
    assert_eq!((fake.lists(PODS), fake.watches(PODS)), (0, 1));

    // What was forgotten is listed in the same way, and only what differs is told.
    fake.hold();
    fake.delete(PODS, "ns", "pod-007");
    fake.put(PODS, "ns", "pod-008", pod("n2", "Running"));
    fake.forget();
    fake.cut();
    run.idle().await;
    assert_eq!(told.take(), ["deleted pod-007", "modified pod-008"]);
    assert_eq!(fake.lists(PODS), 0);
    run.stop().await;
}

#[tokio::test]
async fn a_server_that_never_says_where_a_list_ends_is_listed_by_pages() {
    let fake = Fake::new();
    fake.ignore_watch_lists();
    fake.pod("web");
    let told = Told::default();
    let run = Run::start(&fake, |coordinator| told.observe(coordinator, "all", Watch::of::<Pod>()));
    fake.until("the watch", |fake| fake.watches(PODS) == 1).await;
    let silence = async {
        while fake.lists(PODS) == 0 {
            run.clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    };
    fake::within("a list by pages", silence).await;
    run.idle().await;
    assert_eq!(told.take(), ["added web"]);
    run.stop().await;
}

#[tokio::test]
async fn a_watch_keeps_what_its_observers_want_together_and_no_more() {
    let fake = Fake::new();
    fake.put(PODS, "ns", "web", pod("n1", "Running"));
    let (metadata, whole) = (Told::default(), Told::default());
    let run = Run::start(&fake, |coordinator| {
        metadata.observe(coordinator, "metadata", Watch::of::<Pod>().metadata_only());
    });
    run.idle().await;
    let is_metadata =
        |fake: &Fake| fake.requests().iter().rfind(|seen| seen.is_watch()).unwrap().is_metadata();
    assert!(metadata.take_objects()[0].1["spec"].is_null());
    assert!(is_metadata(&fake));

    whole.observe(&run.coordinator, "whole", Watch::of::<Pod>());
    run.idle().await;
    assert_eq!(whole.take_objects()[0].1["spec"]["nodeName"], "n1");
    assert_eq!(metadata.take(), [""; 0], "nothing has changed");
    assert!(!is_metadata(&fake));
    fake.put(PODS, "ns", "web", pod("n1", "Failed"));
    run.idle().await;
    assert_eq!(whole.take_objects()[0].1["status"]["phase"], "Failed");
    assert_eq!(fake.open_watches(), 1);
    assert_eq!(run.coordinator.status().watches[0].detail.to_string(), "whole");

    assert!(run.coordinator.remove("whole"));
    fake.until("the watch of metadata", is_metadata).await;
    run.idle().await;
    assert_eq!(run.coordinator.status().watches[0].detail.to_string(), "metadata");
    metadata.take();
    let late = Told::default();
    late.observe(&run.coordinator, "late", Watch::of::<Pod>().metadata_only());
    run.idle().await;
    assert!(late.take_objects()[0].1["spec"].is_null(), "the store has let go of it");
    assert_eq!(fake.open_watches(), 1);
    run.stop().await;
}

#[tokio::test]
async fn what_changes_outside_of_what_is_kept_is_not_told() {
    let fake = Fake::new();
    fake.put(PODS, "ns", "web", pod("n1", "Pending"));
    fake.put(CONFIG_MAPS, "ns", "conf", json!({"data": {"password": "secret"}, "extra": 1}));
    let hash = Projection::of("length", |config: &ConfigMap| {
        let data = config.data.clone().unwrap_or_default();
        data.values().map(String::len).sum::<usize>().to_string()
    });
    let (nodes, lengths) = (Told::default(), Arc::new(Mutex::new(Vec::new())));
    let run = Run::start(&fake, |coordinator| {
        nodes.observe(coordinator, "nodes", Watch::of::<Pod>().only_fields(["spec.nodeName"]));
        let lengths = Arc::clone(&lengths);
        let spec = ObserverSpec::new("lengths", "").watch(Watch::of::<ConfigMap>().projected(hash));
        let callback = move |event: Event, cx: Context| {
            let object = event.object();
            assert!(!String::from_utf8_lossy(&object.bytes()).contains("secret"), "it is not kept");
            let seen = cx.view().object(object.key()).unwrap().resource_version().to_owned();
            let length = String::from_utf8(object.derived("length").unwrap().to_vec()).unwrap();
            lengths.lock().push((length, seen));
            async {}
        };
        coordinator.callback(spec, callback).unwrap();
    });
    run.idle().await;
    fake.put(PODS, "ns", "web", pod("n1", "Running"));
    fake.put(CONFIG_MAPS, "ns", "conf", json!({"data": {"password": "terces"}, "extra": 2}));
    run.idle().await;
    let events = nodes.take_objects();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((&events[0].1["spec"], &events[0].1["status"]), (&json!({"nodeName": "n1"}), &Value::Null));
    fake.put(PODS, "ns", "web", pod("n2", "Running"));
    fake.put(CONFIG_MAPS, "ns", "conf", json!({"data": {"password": "longer one"}}));
    run.idle().await;
    assert_eq!(nodes.take(), ["modified web"]);
    let lengths = lengths.lock().clone();
    assert_eq!(lengths, [("6".to_owned(), "2".to_owned()), ("10".to_owned(), "6".to_owned())]);
    // A Pod that was written unseen is seen at its version all the same.
    assert_eq!(run.coordinator.status().watches.iter().map(|watch| watch.position).max(), Some(6));
    run.stop().await;
}

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const WIDGETS: &str = "/apis/example.com/v1/widgets";

fn widgets() -> Watch {
    Watch::kind(Kind::named("example.com", "v1", "Widget", "widgets"))
}

#[tokio::test]
async fn a_kind_is_taken_up_as_soon_as_its_definition_comes() {
    let fake = Fake::new();
    fake.refuse(WIDGETS, 404);
    let told = Told::default();
    let run = Run::start(&fake, |coordinator| told.observe(coordinator, "widgets", widgets()));
    fake.until("the watch of definitions", |fake| fake.watches(DEFINITIONS) == 1).await;
    fake.put(DEFINITIONS, "", "others.example.com", json!({}));
    run.idle().await;
    // The definition comes first, and its kind is served a moment later: when the definition is established.
    fake.put(DEFINITIONS, "", "widgets.example.com", json!({"status": {}}));
    run.idle().await;
    fake.refuse(WIDGETS, 200);
    fake.put(WIDGETS, "ns", "one", json!({}));
    fake.put(DEFINITIONS, "", "widgets.example.com", json!({"status": {"conditions": ["Established"]}}));
    fake.until("the widgets' watch, though no time has passed", |fake| fake.watches(WIDGETS) == 1).await;
    run.idle().await;
    assert_eq!(told.take(), ["added one"]);
    let gone = async {
        while fake.open_watches() > 1 {
            tokio::task::yield_now().await;
        }
    };
    fake::within("the watch of definitions to end: nobody waits any more", gone).await;
    run.stop().await;
}

#[tokio::test]
async fn a_kind_is_waited_for_without_the_right_to_see_definitions() {
    let fake = Fake::new();
    fake.refuse(WIDGETS, 404);
    fake.refuse(DEFINITIONS, 403);
    let told = Told::default();
    let run = Run::start(&fake, |coordinator| told.observe(coordinator, "widgets", widgets()));
    run.idle().await;
    fake.refuse(WIDGETS, 200);
    fake.put(WIDGETS, "ns", "one", json!({}));
    let taken_up = async {
        while fake.watches(WIDGETS) == 0 {
            run.clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    };
    fake::within("the widgets' watch", taken_up).await;
    run.idle().await;
    assert_eq!(told.take(), ["added one"]);
    run.stop().await;
}

#[tokio::test]
async fn field_ownership_is_kept_for_those_who_ask_and_survives_the_updates_of_those_who_do_not() {
    let (plain, owners) = (Told::default(), Told::default());
    let kept = Told::default();
    let first = plain.clone();
    running::with(
        |coordinator| first.observe(coordinator, "plain", Watch::of::<ConfigMap>().namespace("default")),
        |coordinator, client| async move {
            let configs: Api<ConfigMap> = Api::default_namespaced(client);
            let apply = |manager: &str| {
                let config = json!({
                    "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf"}, "data": {"key": "value"},
                });
                let (configs, params) = (configs.clone(), PatchParams::apply(manager));
                async move { configs.patch("conf", &params, &Patch::Apply(config)).await.unwrap() }
            };
            apply("one").await;
            coordinator.idle().await;
            let events = plain.take_objects();
            let (_, object) = events.iter().find(|(what, _)| what == "added conf").unwrap();
            assert!(object["metadata"]["managedFields"].is_null());

            // Ownership is shared by one more, and nothing else changes.
            apply("two").await;
            coordinator.idle().await;
            assert_eq!(plain.take(), [""; 0]);
            let watch = Watch::of::<ConfigMap>().namespace("default").with_managed_fields();
            owners.observe(&coordinator, "owners", watch);
            coordinator.idle().await;
            let events = owners.take_objects();
            let (_, object) = events.iter().find(|(what, _)| what == "added conf").unwrap();
            assert_eq!(object["metadata"]["managedFields"].as_array().unwrap().len(), 2);
            apply("three").await;
            coordinator.idle().await;
            assert_eq!(owners.take(), ["modified conf"]);
            assert!(coordinator.remove("owners"));

            // An update made from an object without them leaves them as they are.
            kept.observe(&coordinator, "kept", Watch::of::<ConfigMap>().namespace("default"));
            coordinator.idle().await;
            plain.take();
            let events = kept.take_objects();
            let (_, object) = events.into_iter().find(|(what, _)| what == "added conf").unwrap();
            let mut config: ConfigMap = serde_json::from_value(object).unwrap();
            config.data.get_or_insert_default().insert("new".to_owned(), "one".to_owned());
            let params = PostParams { field_manager: Some("updater".to_owned()), ..PostParams::default() };
            let written = configs.replace("conf", &params, &config).await.unwrap();
            let managers = written.metadata.managed_fields.unwrap().into_iter().map(|entry| entry.manager.unwrap());
            let managers: BTreeSet<String> = managers.collect();
            assert_eq!(managers, ["one", "two", "three", "updater"].map(String::from).into());
            coordinator.idle().await;
            assert_eq!(plain.take(), ["modified conf"]);
        },
    )
    .await;
}

#[tokio::test]
async fn custom_resources_are_taken_up_with_their_definition_and_gone_with_it() {
    let told = Told::default();
    let first = told.clone();
    running::with(
        |coordinator| first.observe(coordinator, "widgets", widgets()),
        |coordinator, client| async move {
            let state = |coordinator: &Coordinator| {
                let watches = coordinator.status().watches;
                watches.into_iter().find(|watch| watch.kind.name() == "Widget").map(|watch| watch.state)
            };
            until(|| state(&coordinator) == Some(WatchState::Missing)).await;
            let definitions = Kind::named(
                "apiextensions.k8s.io",
                "v1",
                "CustomResourceDefinition",
                "customresourcedefinitions",
            );
            let definitions: Api<kube::api::DynamicObject> =
                Api::all_with(client.clone(), definitions.resource());
            let definition = json!({
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": "widgets.example.com"},
                "spec": {
                    "group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
                    "versions": [{
                        "name": "v1", "served": true, "storage": true,
                        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
                    }],
                },
            });
            let definition = serde_json::from_value(definition).unwrap();
            definitions.create(&PostParams::default(), &definition).await.unwrap();
            until(|| state(&coordinator) == Some(WatchState::Synced)).await;
            let kind = widgets().kind;
            let api: Api<kube::api::DynamicObject> = Api::namespaced_with(client, "default", kind.resource());
            let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "one"}});
            let widget = serde_json::from_value(widget).unwrap();
            api.create(&PostParams::default(), &widget).await.unwrap();
            coordinator.idle().await;
            assert_eq!(told.take(), ["added one"]);
            definitions.delete("widgets.example.com", &kube::api::DeleteParams::default()).await.unwrap();
            until(|| told.0.lock().iter().any(|(what, _)| what == "deleted one")).await;
        },
    )
    .await;
}

async fn until(wished: impl Fn() -> bool) {
    while !wished() {
        tokio::task::yield_now().await;
    }
}
