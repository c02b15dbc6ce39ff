//! Views made by hand, as tests and rule cases of observers use them.
#![allow(clippy::unwrap_used)]

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use xebec_coordinator::{Event, Index, Key, Kind, Object, ObserverSpec, View, Watch, default_wake};

fn spec() -> ObserverSpec {
    let by_node = Index::over_values("node", Kind::of::<Pod>(), |pod| {
        pod.pointer("/spec/nodeName").and_then(Value::as_str).map(str::to_owned).into_iter().collect()
    });
    ObserverSpec::new("sets", "").watch(Watch::of::<ReplicaSet>()).watch(Watch::of::<Pod>()).index(by_node)
}

fn pod(name: &str, node: &str, owner: &str, controller: bool) -> Object {
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": format!("uid-{owner}"),
        "controller": controller,
    });
    let pod = json!({
        "metadata": {"namespace": "ns", "name": name, "uid": name, "ownerReferences": [owner], "labels": {"app": "web"}},
        "spec": {"nodeName": node, "containers": []},
    });
    Object::from_value(&Kind::of::<Pod>(), &pod).unwrap()
}

fn view() -> View {
    let pods = [pod("b", "n1", "web", true), pod("a", "n2", "web", true), pod("c", "n1", "web", false)];
    View::of(&spec(), Timestamp::UNIX_EPOCH, pods)
}

fn names(objects: &[Object]) -> Vec<&str> {
    objects.iter().map(Object::name).collect()
}

#[test]
fn reads_are_in_order_and_decoded_on_demand() {
    let view = view();
    let pods = view.typed::<Pod>();
    assert_eq!(names(&pods.list(None)), ["a", "b", "c"]);
    assert_eq!(names(&pods.list("ns")), ["a", "b", "c"]);
    assert!(pods.list("other").is_empty());
    assert_eq!(names(&pods.owned_by("uid-web")), ["a", "b", "c"]);
    assert_eq!(names(&pods.controlled_by("uid-web")), ["a", "b"]);
    assert_eq!(names(&pods.by_index("node", "n1")), ["b", "c"]);
    assert_eq!(pods.keys_by_index("node", "n2"), [Key::new::<Pod>("ns", "a")]);
    let typed: Pod = view.get("ns", "a").unwrap().unwrap();
    assert_eq!(typed.spec.unwrap().node_name.as_deref(), Some("n2"));
    assert_eq!(view.list::<Pod>(None).unwrap().len(), 3);
    assert_eq!(view.by_index::<Pod>("node", "n1").unwrap().len(), 2);
    assert_eq!(view.controlled_by::<Pod>("uid-web").unwrap().len(), 2);
    assert!(view.get::<ReplicaSet>("ns", "web").unwrap().is_none());
    let dynamic = view.kind(&Kind::of::<Pod>()).get("ns", "a").unwrap().to_dynamic().unwrap();
    assert_eq!(dynamic.types.unwrap().kind, "Pod", "added, as items of lists carry none");
}

#[test]
fn an_object_that_cannot_be_decoded_is_an_error_and_not_missing() {
    let bad = json!({"metadata": {"namespace": "ns", "name": "bad"}, "spec": {"containers": "none"}});
    let bad = Object::from_value(&Kind::of::<Pod>(), &bad).unwrap();
    let view = View::of(&spec(), Timestamp::UNIX_EPOCH, [bad]);
    assert!(view.get::<Pod>("ns", "bad").unwrap_err().to_string().contains("Pod ns/bad"));
    assert!(view.list::<Pod>(None).is_err());
}

#[test]
#[should_panic(expected = "the observer's spec has no watch of Deployment.apps")]
fn a_kind_that_is_not_watched_is_a_bug() {
    drop(view().get::<Deployment>("ns", "web"));
}

#[test]
fn by_default_an_object_wakes_itself_and_others_their_controller_before_and_after() {
    let view = view();
    let key = |name| Key::new::<ReplicaSet>("ns", name);
    let moved = Event::Modified { old: pod("a", "n1", "web", true), new: pod("a", "n1", "db", true) };
    assert_eq!(default_wake(&moved, &view), [key("web"), key("db")]);
    assert_eq!(default_wake(&Event::Deleted(pod("a", "n1", "web", true)), &view), [key("web")]);
    assert!(default_wake(&Event::Added(pod("a", "n1", "web", false)), &view).is_empty(), "no controller");
    let set = Object::from_value(
        &Kind::of::<ReplicaSet>(),
        &json!({"metadata": {"namespace": "ns", "name": "web"}}),
    );
    assert_eq!(default_wake(&Event::Added(set.unwrap()), &view), [key("web")]);
}

#[test]
fn nothing_shows_the_contents_of_objects() {
    let secret = json!({"metadata": {"namespace": "ns", "name": "s", "resourceVersion": "7"}, "data": {"key": "hush"}});
    let object = Object::from_value(&Kind::named("", "v1", "Secret", "secrets"), &secret).unwrap();
    let write = xebec_coordinator::Write::update_value(object.kind().clone(), secret);
    let mut plan = xebec_coordinator::Plan::new();
    plan.write(write);
    let shown = format!("{object:?} {:?} {plan:?}", Event::Added(object.clone()));
    assert!(shown.contains("Secret ns/s") && !shown.contains("hush"), "{shown}");
}
