//! Owners and dependents: references that hold, and the way back from a dependent to its owner.
#![allow(clippy::unwrap_used)]

mod running;

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, PostParams};
use parking_lot::Mutex;
use running::with;
use serde_json::{Value, json};
use xebec_coordinator::ownership::{Claim, adopt, claim, release};
use xebec_coordinator::{
    Action, BoxError, Context, Coordinator, Event, Index, Key, Kind, Object, ObserverSpec, OwnershipError,
    Reconciler, View, Watch, controller_ref, default_wake, owned_by,
};

fn set(namespace: &str, uid: &str) -> ReplicaSet {
    serde_json::from_value(json!({"metadata": {"name": "web", "namespace": namespace, "uid": uid}})).unwrap()
}

fn pod(metadata: &Value) -> Pod {
    serde_json::from_value(json!({ "metadata": metadata })).unwrap()
}

#[test]
fn a_dependent_gets_its_controller_once_and_only_where_that_works() {
    let owned = owned_by(&set("ns", "u"), pod(&json!({"name": "a"}))).unwrap();
    assert_eq!(owned.metadata.namespace.as_deref(), Some("ns"));
    let expected = json!([{
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u", "controller": true,
        "blockOwnerDeletion": true,
    }]);
    assert_eq!(serde_json::to_value(&owned.metadata.owner_references).unwrap(), expected);
    assert_eq!(owned_by(&set("ns", "u"), owned.clone()).unwrap(), owned, "again is the same");

    let error = owned_by(&set("ns", "u"), pod(&json!({"name": "a", "namespace": "other"}))).unwrap_err();
    assert!(matches!(error, OwnershipError::AcrossNamespaces { .. }), "{error}");
    assert!(error.to_string().contains("ReplicaSet.apps web in namespace ns"), "{error}");
    let error = owned_by(&set("ns", "v"), owned).unwrap_err();
    assert_eq!(
        error.to_string(),
        "ReplicaSet.apps web cannot control an object that ReplicaSet web controls"
    );
    let error = controller_ref(&set("ns", "")).unwrap_err();
    assert!(error.to_string().contains("has no uid"), "{error}");

    // A cluster-scoped owner may own everywhere.
    let namespace: Namespace =
        serde_json::from_value(json!({"metadata": {"name": "n", "uid": "u"}})).unwrap();
    assert!(owned_by(&namespace, pod(&json!({"name": "a", "namespace": "other"}))).is_ok());
    // Other owners stay.
    let other = json!({"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "x"});
    let owned = owned_by(&set("ns", "u"), pod(&json!({"name": "a", "ownerReferences": [other]}))).unwrap();
    assert_eq!(owned.metadata.owner_references.unwrap().len(), 2);
}

#[test]
fn dependents_are_claimed_by_the_rules_of_kubernetes() {
    let owner = |deleted: bool| {
        let mut set = set("ns", "u");
        set.metadata.deletion_timestamp =
            deleted.then(|| serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        set.metadata
    };
    let dependent = |controller: Option<&str>, deleted: bool| {
        let mut metadata = json!({"name": "a"});
        if let Some(uid) = controller {
            metadata["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": uid, "controller": true}]);
        }
        if deleted {
            metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        }
        pod(&metadata).metadata
    };
    for (owner_deleted, controller, deleted, matches, expected) in [
        (false, Some("u"), false, true, Claim::Keep),
        (false, Some("u"), false, false, Claim::Release),
        (false, Some("v"), false, true, Claim::Ignore),
        (false, None, false, true, Claim::Adopt),
        (false, None, false, false, Claim::Ignore),
        (false, None, true, true, Claim::Ignore),
        (true, None, false, true, Claim::Ignore),
        (true, Some("u"), false, true, Claim::Keep),
        (true, Some("u"), false, false, Claim::Ignore),
    ] {
        let case = (owner_deleted, controller, deleted, matches);
        assert_eq!(
            claim(&owner(owner_deleted), &dependent(controller, deleted), matches),
            expected,
            "{case:?}"
        );
    }
}

#[test]
fn the_owner_of_an_object_is_the_one_with_the_unique_id_of_its_reference() {
    let spec = ObserverSpec::new("x", "")
        .watch(Watch::of::<Pod>())
        .watch(Watch::of::<ReplicaSet>())
        .watch(Watch::of::<Namespace>());
    let namespace: Namespace =
        serde_json::from_value(json!({"metadata": {"name": "web", "uid": "n"}})).unwrap();
    let there = [Object::encode(&set("ns", "u")).unwrap(), Object::encode(&namespace).unwrap()];
    let view = View::of(&spec, jiff::Timestamp::UNIX_EPOCH, there);
    let dependent = owned_by(&set("ns", "u"), pod(&json!({"name": "a"}))).unwrap();
    assert_eq!(view.owner_of::<ReplicaSet>(&dependent).unwrap().unwrap().metadata.uid.as_deref(), Some("u"));
    let object = Object::encode(&dependent).unwrap();
    assert_eq!(view.owner_of::<ReplicaSet>(&object).unwrap(), Some(set("ns", "u")));
    assert_eq!(view.owner_object(&object, &Kind::of::<ReplicaSet>()).unwrap().uid(), "u");
    assert!(view.owner_of::<Namespace>(&object).unwrap().is_none(), "no owner of that kind");
    let stranger = owned_by(&set("ns", "older"), pod(&json!({"name": "a"}))).unwrap();
    assert!(view.owner_of::<ReplicaSet>(&stranger).unwrap().is_none(), "another of its name");
    let inside = owned_by(&namespace, pod(&json!({"name": "a", "namespace": "ns"}))).unwrap();
    assert_eq!(view.owner_of::<Namespace>(&inside).unwrap(), Some(namespace), "a cluster-scoped owner");
}

/// Looks at the cluster through the shortcuts of its context only.
struct Looks(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Reconciler for Looks {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("looks", "")
            .watch(Watch::of::<ConfigMap>().namespace("default"))
            .watch(Watch::of::<Namespace>())
            .index(Index::over_objects("color", Kind::of::<ConfigMap>(), |object| {
                object.label("color").map(str::to_owned).into_iter().collect()
            }))
    }

    async fn reconcile(&self, key: &Key, cx: &Context) -> Result<Action, BoxError> {
        let Some(map) = cx.get::<ConfigMap>(key.namespace(), key.name())? else { return Ok(Action::done()) };
        let told = format!(
            "{} of {}, {} red, owned by {:?}, {}",
            key.name(),
            cx.list::<ConfigMap>("default")?.iter().filter(|map| map.metadata.labels.is_some()).count(),
            cx.by_index::<ConfigMap>("color", "red")?.len(),
            cx.owner_of::<Namespace>(&map)?.and_then(|owner| owner.metadata.name),
            cx.kind(key.kind()).get("default", key.name()).map(Object::uid)
                == cx.object(key).map(Object::uid),
        );
        self.0.lock().push(told);
        Ok(Action::done())
    }
}

#[tokio::test]
async fn a_context_has_shortcuts_to_its_view() {
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    with(
        |_| {},
        |coordinator: Coordinator, client| async move {
            let namespaces: Api<Namespace> = Api::all(client.clone());
            let owner = namespaces.get("default").await.unwrap();
            let maps: Api<ConfigMap> = Api::namespaced(client, "default");
            let map =
                serde_json::from_value(json!({"metadata": {"name": "map", "labels": {"color": "red"}}}))
                    .unwrap();
            maps.create(&PostParams::default(), &owned_by(&owner, map).unwrap()).await.unwrap();
            coordinator.reconcile(Looks(Arc::clone(&told))).unwrap();
            coordinator.idle().await;
            let told = told.lock();
            let expected = "map of 1, 1 red, owned by Some(\"default\"), true";
            assert!(told.iter().any(|line| line == expected), "{told:?}");
        },
    )
    .await;
}

#[test]
fn a_dependent_wakes_its_controller_wherever_that_is() {
    let owner = |kind: &str, api_version: &str| json!([{"apiVersion": api_version, "kind": kind, "name": "town", "uid": "t", "controller": true}]);
    let event = |owners: Value| {
        let metadata = json!({"namespace": "ns", "name": "a", "uid": "a", "ownerReferences": owners});
        let kind = Kind::of::<ConfigMap>();
        Event::Added(Object::from_value(&kind, &json!({ "metadata": metadata })).unwrap())
    };
    let dynamic = |kind: &str| Kind::named("example.com", "v1", kind, "towns");
    let there = |kind: &Kind, namespace: Option<&str>| {
        let metadata = json!({"namespace": namespace, "name": "another", "uid": "x"});
        Object::from_value(kind, &json!({ "metadata": metadata })).unwrap()
    };
    let core = ("Namespace", "v1");
    let custom = ("Town", "example.com/v1");
    let town = dynamic("Town");
    for (why, primary, objects, (kind, api_version), namespace) in [
        ("a type of the cluster", Kind::of::<Namespace>(), vec![], core, None),
        ("a type in namespaces", Kind::of::<ReplicaSet>(), vec![], ("ReplicaSet", "apps/v1"), Some("ns")),
        ("one that says so", town.cluster_scoped(), vec![], custom, None),
        ("one of which there are some", town.clone(), vec![there(&town, None)], custom, None),
        ("and some in namespaces", town.clone(), vec![there(&town, Some("b"))], custom, Some("ns")),
        ("one of which nothing is known", town.clone(), vec![], custom, Some("ns")),
    ] {
        let spec =
            ObserverSpec::new("any", "").watch(Watch::kind(primary.clone())).watch(Watch::of::<ConfigMap>());
        let view = View::of(&spec, jiff::Timestamp::UNIX_EPOCH, objects);
        let keys = default_wake(&event(owner(kind, api_version)), &view);
        assert_eq!(keys, [Key::of_kind(primary, namespace, "town")], "{why}");
    }
}

#[tokio::test]
async fn dependents_of_custom_kinds_are_adopted_and_released() {
    let cluster = xebec_apiserver::Cluster::new();
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
    let kind = Kind::named("example.com", "v1", "Widget", "widgets");
    let widgets: Api<DynamicObject> = Api::namespaced_with(cluster.client(), "default", kind.resource());
    let mut widget = DynamicObject::new("w", kind.resource());
    let other = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "c"}]);
    widget.metadata.owner_references = serde_json::from_value(other).unwrap();
    widget.metadata.finalizers = Some(vec!["example.com/other".to_owned()]);
    widgets.create(&PostParams::default(), &widget).await.unwrap();

    // A reconciler that adopts it, and releases it when it is labelled.
    let owner = controller_ref(&set("default", "set-uid")).unwrap();
    let coordinator = Coordinator::new(cluster.client());
    let spec = ObserverSpec::new("claims", "").watch(Watch::kind(kind.clone()));
    let (own, name) = (owner.clone(), "example.com/ours");
    coordinator
        .callback(spec, move |event: Event, cx: Context| {
            let owner = own.clone();
            async move {
                let Some(object) = event.new() else { return Ok(Action::done()) };
                let (meta, is_ours) = (object.metadata()?, object.controller().is_some());
                match (object.label("free").is_some(), is_ours) {
                    (false, false) => {
                        cx.write(adopt(object.key().clone(), &meta, &owner, Some(name))).await?
                    }
                    (true, true) => {
                        cx.write(release(object.key().clone(), &meta, Some(&owner.uid), Some(name))).await?
                    }
                    _ => None,
                };
                Ok::<_, BoxError>(Action::done())
            }
        })
        .unwrap();
    let shutdown = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn({
        let (coordinator, shutdown) = (coordinator.clone(), shutdown.clone());
        async move { coordinator.run(shutdown).await }
    });
    let state = async || {
        coordinator.idle().await;
        let metadata = widgets.get("w").await.unwrap().metadata;
        let owners: Vec<_> = metadata.owner_references.unwrap().into_iter().map(|owner| owner.uid).collect();
        (owners, metadata.finalizers.unwrap())
    };
    let text = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(state().await, (text(&["c", "set-uid"]), text(&["example.com/other", "example.com/ours"])));
    let free = json!({"metadata": {"labels": {"free": "yes"}}});
    let free = kube::api::Patch::Merge(free);
    widgets.patch("w", &kube::api::PatchParams::default(), &free).await.unwrap();
    assert_eq!(state().await, (text(&["c"]), text(&["example.com/other"])));

    shutdown.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(coordinator.status().observers[0].retries, 0);
}

#[test]
fn what_an_object_says_of_itself_is_asked_of_it() {
    let metadata = json!({
        "namespace": "ns", "name": "a", "uid": "u", "generation": 3, "annotations": {"b": "2", "a": "1"},
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "ownerReferences": [{"apiVersion": "v1", "kind": "Town", "name": "t", "uid": "x", "controller": true}],
    });
    let of = |value: Value| Object::from_value(&Kind::of::<ConfigMap>(), &value).unwrap();
    let object = of(json!({ "metadata": metadata }));
    assert_eq!((object.annotation("a").as_deref(), object.annotation("c")), (Some("1"), None));
    assert_eq!(object.annotations().into_keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(object.creation_timestamp().unwrap().to_string(), "2026-01-01T00:00:00Z");
    assert_eq!((object.generation(), object.metadata().unwrap().name.as_deref()), (Some(3), Some("a")));
    let owner = object.controller().unwrap();
    assert_eq!((owner.api_version(), owner.kind(), owner.name(), owner.uid()), ("v1", "Town", "t", "x"));
    let bare = of(json!({"metadata": {"name": "a"}}));
    assert_eq!((bare.annotations().len(), bare.creation_timestamp(), bare.generation()), (0, None, None));
}
