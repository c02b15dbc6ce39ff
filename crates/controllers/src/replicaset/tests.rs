//! Rule cases of replicas: a ReplicaSet and its Pods in, Pods made, ended, adopted and counted out. Those that are
//! stories are files, in `cases/`.

use serde_json::{Value, json};

use super::*;
use crate::testing::{body, lines, now, object, plan, status, view, with, written};

fn set(replicas: i32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": "web", "generation": 1, "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "d-uid", "controller": true}]},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}, "annotations": {"a": "b"}}, "spec": {"containers": []}},
        },
    })
}

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "web"}, "creationTimestamp": "2026-01-01T11:00:00Z",
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "web-uid", "controller": true}]},
        "spec": {"nodeName": "n1", "containers": []},
        "status": {"phase": "Running", "conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T11:00:00Z"}]},
    })
}

fn orphan(name: &str) -> Value {
    with(pod(name), "/metadata/ownerReferences", Value::Null)
}

#[test]
fn missing_pods_are_created_from_the_template() {
    let plan = plan(&ReplicaSetController::default(), [set(2), pod("web-a")]);
    let created = written(&plan, "create Pod ns/web-");
    let name = created["metadata"]["name"].as_str().unwrap();
    assert_eq!(name.len(), "web-".len() + 5);
    assert_eq!(
        created["metadata"],
        json!({
            "name": name, "namespace": "ns", "generateName": "web-",
            "labels": {"app": "web"}, "annotations": {"a": "b"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "web-uid",
                "controller": true, "blockOwnerDeletion": true}],
        })
    );
    assert_eq!(lines(&plan, "/none")[1], format!("SuccessfulCreate: Created pod: {name}"));
    assert_eq!(
        status(&plan),
        json!({"replicas": 1, "fullyLabeledReplicas": 1, "readyReplicas": 1, "availableReplicas": 1,
            "terminatingReplicas": 0, "observedGeneration": 1})
    );
}

#[test]
fn pods_have_different_names() {
    let plan = plan(&ReplicaSetController::default(), [set(300)]);
    let names: std::collections::BTreeSet<_> =
        plan.writes().map(|write| write.target.name().to_owned()).collect();
    assert_eq!(names.len(), 301);
}

#[test]
fn at_most_a_burst_is_created_at_once() {
    let plan = plan(&ReplicaSetController::default(), [set(700)]);
    assert_eq!(plan.writes().filter(|write| write.verb() == "create").count(), BURST);
}

/// Of these Pods the first is deleted.
#[track_caller]
fn check_first(first: Value, other: Value) {
    for pods in [[first.clone(), other.clone()], [other, first.clone()]] {
        let [one, two] = pods;
        let plan = plan(&ReplicaSetController::default(), [set(1), one, two]);
        let name = first["metadata"]["name"].as_str().unwrap();
        assert_eq!(
            lines(&plan, "/none")[..2],
            [format!("delete Pod ns/{name}"), format!("SuccessfulDelete: Deleted pod: {name}")]
        );
    }
}

#[test]
fn the_least_useful_pods_are_deleted_first() {
    let cost = |pod, cost: &str| {
        with(pod, "/metadata/annotations", json!({"controller.kubernetes.io/pod-deletion-cost": cost}))
    };
    let ready = |pod, time: &str| with(pod, "/status/conditions/0/lastTransitionTime", time);
    check_first(with(pod("web-b"), "/spec/nodeName", ""), pod("web-a"));
    check_first(with(pod("web-b"), "/status/phase", "Pending"), pod("web-a"));
    check_first(with(pod("web-b"), "/status/conditions/0/status", "False"), pod("web-a"));
    check_first(cost(pod("web-b"), "-1"), pod("web-a"));
    check_first(pod("web-b"), cost(pod("web-a"), "5"));
    check_first(ready(pod("web-b"), "2026-01-01T11:59:00Z"), pod("web-a"));
    check_first(with(pod("web-b"), "/metadata/creationTimestamp", "2026-01-01T11:59:59Z"), pod("web-a"));
    check_first(
        with(
            pod("web-b"),
            "/status/containerStatuses",
            json!([{"name": "c", "restartCount": 3, "ready": true, "image": "", "imageID": ""}]),
        ),
        pod("web-a"),
    );
    // Equal but for what has no magnitude: by unique id.
    check_first(pod("web-a"), pod("web-b"));
}

#[test]
fn pods_on_a_node_with_siblings_are_deleted_first() {
    let sibling = with(with(set(1), "/metadata/name", "old"), "/spec/selector/matchLabels/app", "old");
    let of_sibling = with(
        with(with(pod("old-a"), "/metadata/labels/app", "old"), "/metadata/ownerReferences/0/uid", "old-uid"),
        "/spec/nodeName",
        "n2",
    );
    let plan = plan(
        &ReplicaSetController::default(),
        [set(1), sibling, of_sibling, pod("web-a"), with(pod("web-b"), "/spec/nodeName", "n2")],
    );
    assert_eq!(lines(&plan, "/none")[0], "delete Pod ns/web-b");
}

#[test]
fn pods_are_adopted_and_released() {
    let stray = with(pod("web-a"), "/metadata/labels/app", "debug");
    let plan = plan(&ReplicaSetController::default(), [set(1), stray, orphan("web-b")]);
    assert_eq!(
        lines(&plan, "/metadata"),
        [
            r#"patch Pod ns/web-a {"ownerReferences":[{"$patch":"delete","uid":"web-uid"}],"uid":"web-a-uid"}"#,
            concat!(
                r#"patch Pod ns/web-b {"ownerReferences":[{"apiVersion":"apps/v1","blockOwnerDeletion":true,"#,
                r#""controller":true,"kind":"ReplicaSet","name":"web","uid":"web-uid"}],"uid":"web-b-uid"}"#
            ),
            "update ReplicaSet.apps ns/web/status",
        ]
    );
}

#[test]
fn refusals_are_told() {
    let controller = ReplicaSetController::default();
    let view = view(&controller, [set(1)]);
    let key = object(set(1)).key().clone();
    let write = controller.plan(&key, &view).unwrap().writes().next().unwrap().clone();
    let refusal = |causes: Value| WriteError {
        write: write.clone(),
        source: Box::new(kube::Error::Api(Box::new(
            serde_json::from_value(
                json!({"code": 403, "message": "exceeded quota", "details": {"causes": causes}}),
            )
            .unwrap(),
        ))),
    };
    let answer = controller.refused(&key, &view, &refusal(json!([]))).unwrap();
    assert_eq!(lines(&answer, "")[0], "FailedCreate: Error creating: exceeded quota");
    assert_eq!(
        status(&answer)["conditions"],
        json!([{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota",
            "lastTransitionTime": now().to_string()}])
    );
    let terminating = refusal(json!([{"reason": "NamespaceTerminating"}]));
    assert!(controller.refused(&key, &view, &terminating).unwrap().is_empty());
}

#[test]
fn replication_controllers_are_served_alike() {
    let controller = json!({
        "apiVersion": "v1", "kind": "ReplicationController",
        "metadata": {"name": "web", "generation": 2},
        "spec": {"replicas": 1, "selector": {"app": "web"}, "template": {"metadata": {"labels": {"app": "web"}}}},
    });
    let plan = plan(&ReplicationManager::default(), [controller]);
    let create = plan.writes().next().unwrap();
    assert_eq!(
        body(&create.operation).unwrap()["metadata"]["ownerReferences"][0]["kind"],
        "ReplicationController"
    );
    assert_eq!(status(&plan), json!({"replicas": 0, "observedGeneration": 2}));
}

#[test]
fn orphans_wake_those_that_may_adopt_them() {
    let controller = ReplicaSetController::default();
    let view = view(&controller, [set(1)]);
    let woken = |event| {
        let mut keys: Vec<String> = controller.wake(&event, &view).iter().map(ToString::to_string).collect();
        keys.dedup();
        keys
    };
    assert_eq!(woken(Event::Added(object(orphan("x")))), ["ReplicaSet.apps ns/web"]);
    assert!(woken(Event::Added(object(with(orphan("x"), "/metadata/labels/app", "no")))).is_empty());
    let unchanged = Event::Modified { old: object(orphan("x")), new: object(orphan("x")) };
    assert!(woken(unchanged).is_empty());
    let released = Event::Modified { old: object(pod("x")), new: object(orphan("x")) };
    assert_eq!(woken(released), ["ReplicaSet.apps ns/web"]);
}
