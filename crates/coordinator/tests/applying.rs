//! Server-side apply by observers: of what each owns, once, and dropped when it is stated no more.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod running;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::api::events::v1::Event as KubernetesEvent;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use running::with;
use serde_json::{Value, json};
use xebec_coordinator::{
    BoxError, Conditions, Coordinator, EventRecord, Key, Kind, Observer, ObserverSpec, Plan, Truth, View,
    Watch, Write,
};

fn widget_kind() -> Kind {
    Kind::named("example.com", "v1", "Widget", "widgets")
}

async fn widgets(client: &Client) -> Api<DynamicObject> {
    let condition = json!({"type": "object", "properties": {
        "type": {"type": "string"}, "status": {"type": "string"}, "reason": {"type": "string", "minLength": 1},
        "message": {"type": "string"}, "lastTransitionTime": {"type": "string", "format": "date-time"},
        "observedGeneration": {"type": "integer", "format": "int64"},
    }, "required": ["type", "status", "reason", "message", "lastTransitionTime"]});
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {"size": {"type": "integer"}}},
        "status": {"type": "object", "properties": {"conditions": {
            "type": "array", "items": condition,
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
        }}},
    }});
    let definition: CustomResourceDefinition = serde_json::from_value(json!({
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}},
            }],
        },
    }))
    .unwrap();
    Api::all(client.clone()).create(&PostParams::default(), &definition).await.unwrap();
    Api::namespaced_with(client.clone(), "default", widget_kind().resource())
}

/// States one condition of each Widget, true if it is at least this big; and none of small ones.
struct AtLeast {
    name: &'static str,
    condition: &'static str,
    size: i64,
}

impl Observer for AtLeast {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new(self.name, "").watch(Watch::kind(widget_kind()).with_managed_fields())
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let Some(widget) = view.object(key) else { return Ok(plan) };
        let size = widget.to_value()?["spec"]["size"].as_i64().unwrap_or_default();
        let mut conditions = Conditions::of(widget, view.now())?;
        if size > 0 {
            conditions.set(self.condition, size >= self.size, "Measured", format!("its size is {size}"));
        }
        plan.apply_conditions(widget, &conditions);
        Ok(plan)
    }
}

/// The conditions of a Widget, and how often each observer has written.
async fn state(api: &Api<DynamicObject>, coordinator: &Coordinator) -> (Vec<String>, BTreeMap<String, u64>) {
    coordinator.idle().await;
    let widget = api.get("w").await.unwrap();
    let conditions = widget.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let text = |condition: &Value, field: &str| condition[field].as_str().unwrap().to_owned();
    let mut told: Vec<String> = conditions
        .iter()
        .map(|condition| {
            let (type_, status) = (text(condition, "type"), text(condition, "status"));
            format!("{type_}={status}@{}: {}", condition["observedGeneration"], text(condition, "message"))
        })
        .collect();
    told.sort();
    let observers = coordinator.status().observers;
    assert!(observers.iter().all(|observer| observer.retries == 0), "{observers:?}");
    (told, observers.into_iter().map(|observer| (observer.name, observer.writes)).collect())
}

#[tokio::test]
async fn observers_own_a_condition_each_and_write_only_what_changed() {
    with(
        |_| {},
        |coordinator, client| async move {
            let api = widgets(&client).await;
            for (name, condition, size) in [("big", "Big", 10), ("huge", "Huge", 100)] {
                coordinator.observe(AtLeast { name, condition, size }).unwrap();
            }
            let mut widget = DynamicObject::new("w", widget_kind().resource());
            widget.data = json!({"spec": {"size": 5}});
            api.create(&PostParams::default(), &widget).await.unwrap();
            let writes = |big, huge| BTreeMap::from([("big".to_owned(), big), ("huge".to_owned(), huge)]);
            let expected =
                vec!["Big=False@1: its size is 5".to_owned(), "Huge=False@1: its size is 5".to_owned()];
            assert_eq!(state(&api, &coordinator).await, (expected, writes(1, 1)));

            // An unrelated change is no reason to write.
            let label = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
            api.patch("w", &PatchParams::default(), &label).await.unwrap();
            assert_eq!(state(&api, &coordinator).await.1, writes(1, 1));

            let transition = |widget: &DynamicObject, index: usize| {
                widget.data["status"]["conditions"][index]["lastTransitionTime"].clone()
            };
            let before = api.get("w").await.unwrap();
            let size = |size: i64| Patch::Merge(json!({"spec": {"size": size}}));
            api.patch("w", &PatchParams::default(), &size(9)).await.unwrap();
            let expected =
                vec!["Big=False@2: its size is 9".to_owned(), "Huge=False@2: its size is 9".to_owned()];
            assert_eq!(state(&api, &coordinator).await, (expected, writes(2, 2)));
            let after = api.get("w").await.unwrap();
            assert_eq!([0, 1].map(|n| transition(&before, n)), [0, 1].map(|n| transition(&after, n)));

            // Somebody else's condition stays, and one that is stated no more goes.
            let other = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "status": {"conditions": [{
                "type": "Other", "status": "True", "reason": "Said", "message": "", "observedGeneration": 2,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }]}});
            api.patch_status("w", &PatchParams::apply("somebody"), &Patch::Apply(other)).await.unwrap();
            assert!(coordinator.remove("huge"));
            api.patch("w", &PatchParams::default(), &size(0)).await.unwrap();
            let (told, _) = state(&api, &coordinator).await;
            assert_eq!(told, ["Huge=False@2: its size is 9", "Other=True@2: "]);
        },
    )
    .await;
}

/// Keeps a ConfigMap for each Pod that has its labels; of the ConfigMap it owns these fields only.
struct Labels;

impl Observer for Labels {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("labels", "")
            .watch(Watch::of::<Pod>())
            .watch(Watch::of::<ConfigMap>().with_managed_fields())
    }

    fn wake(&self, event: &xebec_coordinator::Event, _view: &View) -> Vec<Key> {
        vec![Key::new::<Pod>(event.key().namespace(), event.key().name())]
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let Some(pod) = view.object(key) else { return Ok(plan) };
        let mut map = ConfigMap::default();
        map.metadata.name = Some(key.name().to_owned());
        map.metadata.namespace = key.namespace().map(str::to_owned);
        map.data = Some(pod.labels().map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
        plan.apply(&map);
        Ok(plan)
    }
}

#[tokio::test]
async fn an_apply_states_all_that_is_owned_and_is_sent_only_if_it_changes_something() {
    let add = |coordinator: &Coordinator| coordinator.observe(Labels).unwrap();
    with(add, |coordinator, client| async move {
        let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
        let maps: Api<ConfigMap> = Api::namespaced(client, "default");
        let pod = serde_json::from_value(json!({
            "metadata": {"name": "web", "labels": {"a": "1", "b": "2"}},
            "spec": {"containers": [{"name": "main", "image": "main"}]},
        }));
        pods.create(&PostParams::default(), &pod.unwrap()).await.unwrap();
        coordinator.idle().await;
        let data = || async { Vec::from_iter(maps.get("web").await.unwrap().data.unwrap_or_default()) };
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let writes = || coordinator.status().observers[0].writes;
        assert_eq!((data().await, writes()), (pairs(&[("a", "1"), ("b", "2")]), 1));

        let merge = |patch: Value| Patch::Merge(patch);
        maps.patch("web", &PatchParams::default(), &merge(json!({"data": {"mine": "3"}}))).await.unwrap();
        pods.patch("web", &PatchParams::default(), &merge(json!({"metadata": {"annotations": {"x": "y"}}})))
            .await
            .unwrap();
        coordinator.idle().await;
        assert_eq!(writes(), 1, "nothing of its own has changed");

        pods.patch("web", &PatchParams::default(), &merge(json!({"metadata": {"labels": {"b": null}}})))
            .await
            .unwrap();
        coordinator.idle().await;
        assert_eq!((data().await, writes()), (pairs(&[("a", "1"), ("mine", "3")]), 2), "b is dropped");

        // Somebody takes a field: a conflict, which is an error that names it.
        let patch = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"a": "9"},
        });
        let patch = Patch::Apply(patch);
        maps.patch("web", &PatchParams::apply("somebody").force(), &patch).await.unwrap();
        coordinator.idle().await;
        let error = coordinator.status().observers[0].last_error.clone().unwrap().message;
        assert!(error.contains("conflict with \"somebody\"") && error.contains(".data.a"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn misuse_is_a_clear_error_and_nothing_of_the_plan_is_executed() {
    struct Misuse(Write);
    impl Observer for Misuse {
        fn spec(&self) -> ObserverSpec {
            ObserverSpec::new("misuse", "").watch(Watch::of::<Pod>())
        }
        fn plan(&self, key: &Key, _view: &View) -> Result<Plan, BoxError> {
            let mut plan = Plan::new();
            let map = json!({"metadata": {"name": "made", "namespace": key.namespace()}});
            plan.write(Write::create_value(Key::new::<ConfigMap>(None, "").kind().clone(), map));
            plan.write(self.0.clone());
            Ok(plan)
        }
    }
    let pod = || Key::new::<Pod>("default", "web");
    let widget = Key::of_kind(widget_kind(), "default", "w");
    let read = json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}});
    for (write, why) in [
        (Write::merge(pod(), json!({})).force(), "only an apply can be forced"),
        (Write::merge(pod(), json!({})).grace_period(7), "for deletes"),
        (Write::create_value(pod().kind().clone(), json!({})).if_uid("u"), "no preconditions"),
        (Write::apply_value(pod(), read), "read from the server"),
        (Write::merge(Key::new::<Pod>("default", ""), json!({})), "names no object"),
        (Write::json(pod(), json!({})), "a list of operations"),
        (Write::merge(pod(), json!([])), "is an object"),
        (Write::strategic(widget, json!({})), "no strategic merge patch"),
    ] {
        let add = |coordinator: &Coordinator| coordinator.observe(Misuse(write)).unwrap();
        with(add, |coordinator, client| async move {
            let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
            let maps: Api<ConfigMap> = Api::namespaced(client, "default");
            let web =
                json!({"metadata": {"name": "web"}, "spec": {"containers": [{"name": "a", "image": "a"}]}});
            pods.create(&PostParams::default(), &serde_json::from_value(web).unwrap()).await.unwrap();
            coordinator.idle().await;
            let error = coordinator.status().observers[0].last_error.clone().unwrap().message;
            assert!(error.contains(why), "{error}");
            assert!(maps.get_opt("made").await.unwrap().is_none(), "{why}");
        })
        .await;
    }
    let mut conditions = Conditions::new([], None, jiff::Timestamp::UNIX_EPOCH);
    conditions.set("Ready", Truth::True, "", "");
    assert!(conditions.changed().unwrap_err().to_string().contains("no reason"));
}

/// Gives each Pod a ConfigMap of its name, and says so on the Pod.
struct Notes {
    settles: bool,
}

impl Observer for Notes {
    fn spec(&self) -> ObserverSpec {
        let spec = ObserverSpec::new("notes", "").watch(Watch::of::<Pod>()).watch(Watch::of::<ConfigMap>());
        if self.settles { spec.settles() } else { spec }
    }

    fn wake(&self, event: &xebec_coordinator::Event, _view: &View) -> Vec<Key> {
        vec![Key::new::<Pod>(event.key().namespace(), event.key().name())]
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let Some(mut pod) = view.get_key::<Pod>(key)? else { return Ok(plan) };
        if view.get::<ConfigMap>(key.namespace(), key.name())?.is_none() {
            let mut map = ConfigMap::default();
            map.metadata.name = Some(key.name().to_owned());
            map.metadata.namespace = key.namespace().map(str::to_owned);
            plan.create(&map);
        }
        let labels = pod.metadata.labels.get_or_insert_default();
        if labels.insert("noted".to_owned(), "yes".to_owned()).is_none() {
            plan.update(&pod);
        }
        Ok(plan)
    }
}

#[tokio::test]
async fn an_observer_that_settles_is_not_woken_by_itself_but_by_others() {
    for (settles, turns) in [(true, 1), (false, 2)] {
        let add = |coordinator: &Coordinator| coordinator.observe(Notes { settles }).unwrap();
        with(add, |coordinator, client| async move {
            let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
            let maps: Api<ConfigMap> = Api::namespaced(client, "default");
            coordinator.idle().await;
            let served = || coordinator.status().observers[0].served;
            let web =
                json!({"metadata": {"name": "web"}, "spec": {"containers": [{"name": "a", "image": "a"}]}});
            pods.create(&PostParams::default(), &serde_json::from_value(web).unwrap()).await.unwrap();
            coordinator.idle().await;
            assert!(maps.get_opt("web").await.unwrap().is_some());
            if settles {
                assert_eq!(served(), turns);
            } else {
                assert!(served() >= turns);
            }
            // Others undo it.
            maps.delete("web", &DeleteParams::default()).await.unwrap();
            let patch = Patch::Merge(json!({"metadata": {"labels": {"noted": null}}}));
            pods.patch("web", &PatchParams::default(), &patch).await.unwrap();
            coordinator.idle().await;
            assert!(maps.get_opt("web").await.unwrap().is_some());
            assert_eq!(pods.get("web").await.unwrap().metadata.labels.unwrap()["noted"], "yes");
        })
        .await;
    }
}

#[tokio::test]
async fn the_server_takes_events_and_their_series() {
    struct Tells;
    impl Observer for Tells {
        fn spec(&self) -> ObserverSpec {
            ObserverSpec::new("tells", "").watch(Watch::of::<Pod>())
        }
        fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
            let mut plan = Plan::new();
            if let Some(pod) = view.object(key) {
                plan.record(EventRecord::normal(pod.reference(), "Seen", "é".repeat(2_000)));
            }
            Ok(plan)
        }
    }
    let add = |coordinator: &Coordinator| coordinator.observe(Tells).unwrap();
    with(add, |coordinator, client| async move {
        let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
        let events: Api<KubernetesEvent> = Api::namespaced(client, "default");
        let web = json!({"metadata": {"name": "web"}, "spec": {"containers": [{"name": "a", "image": "a"}]}});
        pods.create(&PostParams::default(), &serde_json::from_value(web).unwrap()).await.unwrap();
        coordinator.idle().await;
        let patch = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
        pods.patch("web", &PatchParams::default(), &patch).await.unwrap();
        coordinator.idle().await;
        let events = events.list(&ListParams::default()).await.unwrap().items;
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0].series.as_ref().map(|series| series.count), Some(2));
        assert_eq!(events[0].note.as_deref(), Some(&*"é".repeat(512)));
    })
    .await;
}
