//! Rule cases of budgets: Pods and their controllers in, counts out.

use serde_json::{Value, json};

use super::*;
use crate::testing::{lines, object, plan, status, view, with};

fn budget(rule: &str, value: impl Into<Value>) -> Value {
    let mut spec = json!({"selector": {"matchLabels": {"app": "web"}}});
    spec[rule] = value.into();
    json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web", "generation": 2}, "spec": spec})
}

fn pod(name: &str, ready: bool, owner: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "web"}, "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": format!("{owner}-uid"), "controller": true}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
    })
}

fn set(name: &str, replicas: i32, deployment: Option<&str>) -> Value {
    let owners = deployment.map(|name| {
        json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": format!("{name}-uid"), "controller": true}])
    });
    json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name, "ownerReferences": owners},
        "spec": {"replicas": replicas, "selector": {}}})
}

fn deployment(name: &str, replicas: i32) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {}, "template": {}}})
}

/// Expected, healthy, wanted healthy and spare Pods, with 4 Pods of which 3 are ready, of a ReplicaSet that wants 5.
#[track_caller]
fn check(budget: Value, counts: [i32; 4]) {
    let pods = ["a", "b", "c", "d"].map(|name| pod(name, name != "d", "s"));
    let plan = plan(&DisruptionController, [budget, set("s", 5, None)].into_iter().chain(pods));
    let status = status(&plan);
    let told = ["expectedPods", "currentHealthy", "desiredHealthy", "disruptionsAllowed"]
        .map(|field| status[field].clone());
    assert_eq!(told, counts.map(Value::from));
    let reason = if counts[3] > 0 { "SufficientPods" } else { "InsufficientPods" };
    assert_eq!(status["conditions"][0]["reason"], reason);
}

#[test]
fn budgets_are_counted() {
    check(budget("minAvailable", 2), [4, 3, 2, 1]);
    check(budget("minAvailable", 9), [4, 3, 9, 0]);
    check(budget("minAvailable", "50%"), [5, 3, 3, 0]);
    check(budget("maxUnavailable", 1), [5, 3, 4, 0]);
    check(budget("maxUnavailable", "50%"), [5, 3, 2, 1]);
    check(budget("maxUnavailable", 9), [5, 3, 0, 3]);
}

#[test]
fn the_deployment_above_decides() {
    let objects = [
        budget("maxUnavailable", 1),
        pod("a", true, "old"),
        pod("b", true, "new"),
        set("old", 1, Some("d")),
        set("new", 7, Some("d")),
        deployment("d", 2),
    ];
    assert_eq!(status(&plan(&DisruptionController, objects))["expectedPods"], 2);
}

#[test]
fn what_is_not_known_allows_nothing() {
    let job = with(pod("a", true, "j"), "/metadata/ownerReferences/0/kind", "Job");
    let failed = plan(&DisruptionController, [budget("maxUnavailable", 1), job]);
    assert_eq!(status(&failed)["disruptionsAllowed"], 0);
    assert_eq!(status(&failed)["conditions"][0]["reason"], "SyncFailed");
    assert!(lines(&failed, "")[1].starts_with("CalculateExpectedPodCountFailed"));
    let gone = plan(&DisruptionController, [budget("maxUnavailable", 1), pod("a", true, "gone")]);
    assert_eq!(status(&gone)["conditions"][0]["message"], "found no controllers for pod \"a\"");
    let bare = with(pod("a", true, "s"), "/metadata/ownerReferences", Value::Null);
    let unmanaged = plan(&DisruptionController, [budget("maxUnavailable", 1), bare]);
    assert!(lines(&unmanaged, "")[1].starts_with("UnmanagedPods"));
}

#[test]
fn an_empty_selector_is_everything_and_none_is_nothing() {
    let count = |selector: Value| {
        let budget = with(budget("minAvailable", 1), "/spec/selector", selector);
        status(&plan(&DisruptionController, [budget, pod("a", true, "s")]))["expectedPods"].clone()
    };
    assert_eq!(count(json!({})), 1);
    assert_eq!(count(Value::Null), 0);
}

#[test]
fn evicted_pods_count_as_gone_for_a_while() {
    let evicted =
        |time: &str| with(budget("minAvailable", 1), "/status", json!({"disruptedPods": {"a": time}}));
    let recent = plan(
        &DisruptionController,
        [evicted("2026-01-01T11:59:00Z"), pod("a", true, "s"), pod("b", true, "s")],
    );
    assert_eq!(status(&recent)["currentHealthy"], 1);
    assert_eq!(recent.requeues_after(), Some(Duration::from_mins(1)));
    let long_ago = plan(
        &DisruptionController,
        [evicted("2026-01-01T11:50:00Z"), pod("a", true, "s"), pod("b", true, "s")],
    );
    assert_eq!(status(&long_ago)["currentHealthy"], 2);
    assert_eq!(
        lines(&long_ago, "")[0],
        "NotDeleted: Pod was expected by PDB ns/web to be deleted but it wasn't"
    );
    let dying = with(pod("a", true, "s"), "/metadata/deletionTimestamp", "2026-01-01T11:59:00Z");
    let terminating = plan(&DisruptionController, [evicted("2026-01-01T11:59:00Z"), dying]);
    assert_eq!(status(&terminating)["currentHealthy"], 0);
    assert_eq!(status(&terminating).get("disruptedPods"), None);
}

#[test]
fn a_settled_budget_is_left_alone() {
    let first = status(&plan(&DisruptionController, [budget("minAvailable", 1), pod("a", true, "s")]));
    let settled = with(budget("minAvailable", 1), "/status", first);
    assert!(plan(&DisruptionController, [settled, pod("a", true, "s")]).is_empty());
}

#[test]
fn pods_wake_their_budgets() {
    let controller = DisruptionController;
    let view = view(&controller, [budget("minAvailable", 1)]);
    let woken = |labels: Value| {
        controller
            .wake(&Event::Added(object(with(pod("a", true, "s"), "/metadata/labels", labels))), &view)
            .len()
    };
    assert_eq!((woken(json!({"app": "web"})), woken(json!({"app": "x"}))), (1, 0));
    assert_eq!(controller.wake(&Event::Added(object(set("s", 5, None))), &view).len(), 1);
}
