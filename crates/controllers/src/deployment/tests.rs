//! Rule cases of rollouts: a Deployment and its ReplicaSets in, what is scaled and told out.

use serde_json::{Value, json};
use xebec_coordinator::Object;

use super::*;
use crate::testing::{lines, object, plan, status, view, with, written};

fn deployment(replicas: i32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "generation": 1, "annotations": {"note": "x", "deployment.kubernetes.io/revision": "1",
            "kubectl.kubernetes.io/last-applied-configuration": "{}"}},
        "spec": {
            "replicas": replicas, "progressDeadlineSeconds": 600, "revisionHistoryLimit": 10,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "new"}]}},
        },
    })
}

/// A ReplicaSet for an image: its age in minutes, replicas, and how many of them are available.
fn set(image: &str, age: i32, replicas: i32, available: i32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": format!("web-{image}"), "generation": 1,
            "creationTimestamp": format!("2026-01-01T11:{:02}:00Z", 60 - age),
            "labels": {"app": "web", "pod-template-hash": image},
            "annotations": {"note": "x", "deployment.kubernetes.io/revision": (10 - age).to_string(),
                "deployment.kubernetes.io/desired-replicas": "10", "deployment.kubernetes.io/max-replicas": "13"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "web-uid", "controller": true}],
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web", "pod-template-hash": image}},
            "template": {"metadata": {"labels": {"app": "web", "pod-template-hash": image}},
                "spec": {"containers": [{"name": "c", "image": image}]}},
        },
        "status": {"replicas": replicas, "readyReplicas": available, "availableReplicas": available,
            "observedGeneration": 1, "terminatingReplicas": 0},
    })
}

/// What a Deployment of 10 replicas does with its sets: which it scales.
#[track_caller]
fn check(deployment: Value, sets: impl IntoIterator<Item = Value>, scaled: &[&str]) {
    let plan = plan(&DeploymentController, std::iter::once(deployment).chain(sets));
    let notes: Vec<_> = plan.records().map(|record| record.note.as_str()).collect();
    assert_eq!(notes, scaled);
}

#[test]
fn the_first_template_gets_a_set() {
    let deployment = deployment(3).as_object_mut().map(|d| {
        d["metadata"]["annotations"].as_object_mut().unwrap().remove(annotations::REVISION);
        Value::Object(d.clone())
    });
    let plan = plan(&DeploymentController, [deployment.unwrap()]);
    let created = written(&plan, "create ReplicaSet");
    let name = created["metadata"]["name"].as_str().unwrap();
    let hash = name.strip_prefix("web-").unwrap();
    assert_eq!(
        created["metadata"],
        json!({
            "name": name, "namespace": "ns", "labels": {"app": "web", "pod-template-hash": hash},
            "annotations": {"note": "x", "deployment.kubernetes.io/revision": "1",
                "deployment.kubernetes.io/desired-replicas": "3", "deployment.kubernetes.io/max-replicas": "4"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "web-uid",
                "controller": true, "blockOwnerDeletion": true}],
        })
    );
    let labels = json!({"app": "web", "pod-template-hash": hash});
    assert_eq!(created["spec"]["selector"], json!({ "matchLabels": labels }));
    assert_eq!(created["spec"]["template"]["metadata"]["labels"], labels);
    assert_eq!(lines(&plan, "")[1], format!("ScalingReplicaSet: Scaled up replica set {name} from 0 to 3"));
    let update = written(&plan, "update Deployment");
    assert_eq!(update["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");
    assert_eq!(
        update["status"],
        json!({"observedGeneration": 1, "unavailableReplicas": 3, "terminatingReplicas": 0, "conditions": [
            {"type": "Progressing", "status": "True", "reason": "NewReplicaSetCreated",
                "message": format!("Created new replica set \"{name}\""),
                "lastUpdateTime": "2026-01-01T12:00:00Z", "lastTransitionTime": "2026-01-01T12:00:00Z"},
            {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable",
                "message": "Deployment does not have minimum availability.",
                "lastUpdateTime": "2026-01-01T12:00:00Z", "lastTransitionTime": "2026-01-01T12:00:00Z"},
        ]})
    );
}

#[test]
fn a_rolling_update_goes_up_and_down_within_its_limits() {
    // max 13 in all, at least 8 available
    let d = || deployment(10);
    check(d(), [set("old", 5, 10, 10), set("new", 1, 0, 0)], &["Scaled up replica set web-new from 0 to 3"]);
    check(
        d(),
        [set("old", 5, 10, 10), set("new", 1, 3, 0)],
        &["Scaled down replica set web-old from 10 to 8"],
    );
    check(d(), [set("old", 5, 8, 8), set("new", 1, 3, 0)], &["Scaled up replica set web-new from 3 to 5"]);
    check(d(), [set("old", 5, 8, 8), set("new", 1, 5, 0)], &[]);
    check(d(), [set("old", 5, 8, 8), set("new", 1, 5, 2)], &["Scaled down replica set web-old from 8 to 6"]);
    check(
        d(),
        [set("old", 5, 1, 1), set("new", 1, 10, 10)],
        &["Scaled down replica set web-old from 1 to 0"],
    );
    check(
        d(),
        [set("old", 5, 0, 0), set("new", 1, 12, 12)],
        &["Scaled down replica set web-new from 12 to 10"],
    );
}

#[test]
fn unhealthy_old_replicas_go_first() {
    check(
        deployment(10),
        [set("old", 5, 8, 3), set("older", 6, 2, 0), set("new", 1, 3, 3)],
        &["Scaled down replica set web-older from 2 to 0", "Scaled down replica set web-old from 8 to 5"],
    );
}

#[test]
fn a_recreation_first_ends_what_is_old() {
    let d = with(deployment(10), "/spec/strategy", json!({"type": "Recreate"}));
    check(d.clone(), [set("old", 5, 10, 10)], &["Scaled down replica set web-old from 10 to 0"]);
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "ownerReferences": [
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-old", "uid": "web-old-uid", "controller": true}]}});
    check(d.clone(), [set("old", 5, 0, 0), pod.clone()], &[]);
    let finished = with(pod.clone(), "/status", json!({"phase": "Failed"}));
    let plan = plan(&DeploymentController, [d.clone(), set("old", 5, 0, 0), finished]);
    assert!(lines(&plan, "/spec/replicas")[0].ends_with(" 10"), "{plan:?}");

    let view = view(&DeploymentController, [d, set("old", 5, 0, 0)]);
    let keys = DeploymentController.wake(&Event::Deleted(object(pod)), &view);
    assert_eq!(format!("{keys:?}"), "[Deployment.apps ns/web]");
}

#[test]
fn scaling_amid_a_rollout_is_proportional() {
    check(
        deployment(20),
        [set("old", 5, 8, 8), set("new", 1, 5, 5)],
        &["Scaled up replica set web-old from 8 to 15", "Scaled up replica set web-new from 5 to 10"],
    );
    check(
        deployment(5),
        [set("old", 5, 8, 8), set("new", 1, 5, 5)],
        &["Scaled down replica set web-old from 8 to 4", "Scaled down replica set web-new from 5 to 3"],
    );
    check(
        deployment(0),
        [set("old", 5, 8, 8), set("new", 1, 5, 5)],
        &["Scaled down replica set web-old from 8 to 0", "Scaled down replica set web-new from 5 to 0"],
    );
    // Only one has replicas: it gets all.
    check(
        deployment(4),
        [set("old", 5, 0, 0), set("new", 1, 10, 10)],
        &["Scaled down replica set web-new from 10 to 4"],
    );
}

#[test]
fn a_new_size_that_the_only_set_has_already_is_noted_so_that_the_new_template_is_rolled_out() {
    let plan = plan(&DeploymentController, [deployment(8), set("old", 5, 8, 8)]);
    let writes: Vec<_> = plan.writes().map(ToString::to_string).collect();
    assert_eq!(writes.first().map(String::as_str), Some("update ReplicaSet.apps ns/web-old"), "{writes:?}");
    assert_eq!(plan.records().count(), 0);
}

#[test]
fn a_paused_deployment_only_scales() {
    let paused = with(deployment(12), "/spec/paused", true);
    check(paused.clone(), [set("old", 5, 10, 10)], &["Scaled up replica set web-old from 10 to 12"]);
    let plan = plan(&DeploymentController, [with(paused, "/spec/replicas", 10), set("old", 5, 10, 10)]);
    let condition = &status(&plan)["conditions"][0];
    assert_eq!(
        (condition["status"].as_str(), condition["reason"].as_str()),
        (Some("Unknown"), Some("DeploymentPaused"))
    );
}

#[test]
fn a_roll_back_makes_the_old_set_the_newest() {
    let plan = plan(&DeploymentController, [deployment(10), set("new", 5, 0, 0), set("bad", 1, 10, 10)]);
    let update = written(&plan, "update ReplicaSet.apps ns/web-new");
    let annotations = &update["metadata"]["annotations"];
    assert_eq!(annotations["deployment.kubernetes.io/revision"], "10");
    assert_eq!(annotations["deployment.kubernetes.io/revision-history"], "5");
    assert_eq!(update["spec"]["replicas"], 3);
    let deployment = written(&plan, "update Deployment");
    assert_eq!(deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "10");
}

fn progressing(reason: &str, minutes_ago: i32) -> Value {
    let time = format!("2026-01-01T11:{:02}:00Z", 60 - minutes_ago);
    json!([{"type": "Progressing", "status": "True", "reason": reason, "message": "m", "lastUpdateTime": time,
        "lastTransitionTime": time}])
}

/// What the condition Progressing becomes, given its reason now, the status now, and the sets.
#[track_caller]
fn check_progress(reason: &str, minutes_ago: i32, counts: Value, sets: [Value; 2], expected: (&str, &str)) {
    let mut status_now = counts;
    status_now["conditions"] = progressing(reason, minutes_ago);
    let plan =
        plan(&DeploymentController, [with(deployment(10), "/status", status_now)].into_iter().chain(sets));
    let status = status(&plan);
    let conditions = status["conditions"].as_array().unwrap();
    let condition = conditions.iter().find(|condition| condition["type"] == "Progressing").unwrap();
    assert_eq!((condition["reason"].as_str().unwrap(), condition["message"].as_str().unwrap()), expected);
}

#[test]
fn progress_is_told() {
    let stuck = || [set("old", 5, 8, 8), set("new", 1, 5, 0)];
    let same = json!({"replicas": 13, "updatedReplicas": 5, "readyReplicas": 8, "availableReplicas": 8});
    let less = json!({"replicas": 11, "updatedReplicas": 3, "readyReplicas": 8, "availableReplicas": 8});
    check_progress("ReplicaSetUpdated", 9, same.clone(), stuck(), ("ReplicaSetUpdated", "m"));
    check_progress(
        "ReplicaSetUpdated",
        11,
        same.clone(),
        stuck(),
        ("ProgressDeadlineExceeded", "ReplicaSet \"web-new\" has timed out progressing."),
    );
    check_progress(
        "ReplicaSetUpdated",
        11,
        same.clone(),
        [set("old", 5, 7, 7), set("new", 1, 5, 1)],
        ("ReplicaSetUpdated", "ReplicaSet \"web-new\" is progressing."),
    );
    check_progress(
        "ReplicaSetUpdated",
        11,
        less,
        stuck(),
        ("ReplicaSetUpdated", "ReplicaSet \"web-new\" is progressing."),
    );
    check_progress(
        "ReplicaSetUpdated",
        1,
        same.clone(),
        [set("old", 5, 0, 0), set("new", 1, 10, 10)],
        ("NewReplicaSetAvailable", "ReplicaSet \"web-new\" has successfully progressed."),
    );
    check_progress(
        "NewReplicaSetAvailable",
        50,
        same,
        [set("old", 5, 0, 0), set("new", 1, 10, 3)],
        ("NewReplicaSetAvailable", "m"),
    );
}

#[test]
fn the_deadline_is_looked_at_in_time() {
    let counts = json!({"replicas": 13, "updatedReplicas": 5, "readyReplicas": 8, "availableReplicas": 8,
        "conditions": progressing("ReplicaSetUpdated", 4)});
    let plan = plan(
        &DeploymentController,
        [with(deployment(10), "/status", counts), set("old", 5, 8, 8), set("new", 1, 5, 0)],
    );
    assert_eq!(plan.requeues_after(), Some(std::time::Duration::from_secs(361)));
}

#[test]
fn old_sets_beyond_the_limit_are_forgotten_when_the_rollout_is_complete() {
    let complete = json!({"replicas": 10, "updatedReplicas": 10, "readyReplicas": 10, "availableReplicas": 10,
        "observedGeneration": 1});
    let limited = with(with(deployment(10), "/spec/revisionHistoryLimit", 1), "/status", complete);
    let sets = || [set("new", 1, 10, 10), set("b", 3, 0, 0), set("a", 4, 0, 0), set("c", 2, 0, 0)];
    let deleted = |deployment: Value| {
        let plan = plan(&DeploymentController, std::iter::once(deployment).chain(sets()));
        lines(&plan, "").into_iter().filter(|line| line.starts_with("delete")).collect::<Vec<_>>()
    };
    assert_eq!(
        deleted(limited.clone()),
        ["delete ReplicaSet.apps ns/web-a", "delete ReplicaSet.apps ns/web-b"]
    );
    assert!(deleted(with(limited, "/status/updatedReplicas", 9)).is_empty());
}

#[test]
fn a_name_that_is_taken_makes_another_hash() {
    let first = plan(&DeploymentController, [deployment(3)]);
    let name = first.writes().next().unwrap().target.name().to_owned();
    let stranger = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": "other"}}}});
    let second = plan(&DeploymentController, [deployment(3), stranger.clone()]);
    assert_eq!(lines(&second, ""), ["update Deployment.apps ns/web/status"]);
    assert_eq!(status(&second)["collisionCount"], 1);
    let third =
        plan(&DeploymentController, [with(deployment(3), "/status", json!({"collisionCount": 1})), stranger]);
    assert_ne!(third.writes().next().unwrap().target.name(), name);
}

#[test]
fn sets_are_adopted_and_released_before_anything_else() {
    let mut orphan = set("new", 1, 3, 3);
    orphan["metadata"]["ownerReferences"] = Value::Null;
    let stray = with(set("old", 5, 3, 3), "/metadata/labels/app", "other");
    let plan = plan(&DeploymentController, [deployment(10), orphan, stray]);
    assert_eq!(
        lines(&plan, "/none"),
        ["patch ReplicaSet.apps ns/web-old", "patch ReplicaSet.apps ns/web-new"]
    );
}

#[test]
fn failures_of_sets_are_told() {
    let failure =
        json!([{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}]);
    let plan = plan(
        &DeploymentController,
        [deployment(10), with(set("new", 1, 10, 0), "/status/conditions", failure)],
    );
    let status = status(&plan);
    let condition = status["conditions"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(condition["type"], "ReplicaFailure");
    assert_eq!(condition["message"], "quota");
}

#[test]
fn an_empty_selector_is_refused() {
    let plan = plan(&DeploymentController, [with(deployment(1), "/spec/selector", json!({}))]);
    assert_eq!(
        lines(&plan, ""),
        [
            "SelectingAll: This deployment is selecting all pods. A non-empty selector is required.",
            "update Deployment.apps ns/web/status",
        ]
    );
}

#[test]
fn a_settled_deployment_is_left_alone() {
    let first = plan(&DeploymentController, [deployment(10), set("new", 1, 10, 10)]);
    let mut settled = written(&first, "update Deployment");
    settled["metadata"]["uid"] = json!("web-uid");
    let settled: Object = object(settled);
    let settled = settled.to_value().unwrap();
    let second = plan(&DeploymentController, [settled, set("new", 1, 10, 10)]);
    assert!(second.is_empty(), "{second:?}");
    assert_eq!(second.requeues_after(), None);
}
