//! Rule cases of Jobs: a Job and its Pods in, Pods made and ended, counts and conditions out.

use serde_json::{Value, json};

use super::*;
use crate::testing::{lines, now, object, plan, plan_at, status, view, with, written};

fn job() -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "sum", "generation": 1},
        "spec": {
            "parallelism": 2, "completions": 3, "backoffLimit": 6, "completionMode": "NonIndexed",
            "podReplacementPolicy": "TerminatingOrFailed", "selector": {"matchLabels": {"job": "sum"}},
            "template": {"metadata": {"labels": {"job": "sum"}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "c"}]}},
        },
    })
}

fn indexed() -> Value {
    with(job(), "/spec/completionMode", "Indexed")
}

fn pod(name: &str, phase: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"job": "sum"}, "finalizers": [TRACKING],
            "creationTimestamp": "2026-01-01T11:00:00Z",
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "sum", "uid": "sum-uid", "controller": true}]},
        "spec": {"containers": []},
        "status": {"phase": phase},
    })
}

fn at(index: i32, phase: &str) -> Value {
    let name = format!("sum-{index}-{}", phase.to_lowercase());
    with(pod(&name, phase), "/metadata/annotations", json!({pods::COMPLETION_INDEX: index.to_string()}))
}

fn released(pod: Value) -> Value {
    with(pod, "/metadata/finalizers", Value::Null)
}

fn with_status(job: Value, status: Value) -> Value {
    with(job, "/status", status)
}

fn condition(type_: &str, reason: &str, message: &str) -> Value {
    json!({"type": type_, "status": "True", "reason": reason, "message": message,
        "lastProbeTime": now().to_string(), "lastTransitionTime": now().to_string()})
}

/// What is made, ended, let go and told.
fn steps(objects: impl IntoIterator<Item = Value>) -> Vec<String> {
    let mut lines = lines(&plan(&JobController, objects), "/none");
    lines.retain(|line| !line.starts_with("Successful"));
    lines.iter_mut().filter(|line| line.starts_with("create")).for_each(|line| line.truncate(line.len() - 5));
    lines
}

#[test]
fn pods_are_made_up_to_the_parallelism() {
    assert_eq!(
        steps([job()]),
        ["create Pod ns/sum-", "create Pod ns/sum-", "update Job.batch ns/sum/status"]
    );
    let plan = plan(&JobController, [job()]);
    assert_eq!(
        status(&plan),
        json!({"active": 2, "ready": 0, "terminating": 0, "startTime": now().to_string(), "uncountedTerminatedPods": {}})
    );
    let pod = written(&plan, "create Pod");
    assert_eq!(pod["metadata"]["finalizers"], json!([TRACKING]));
    assert_eq!(pod["metadata"]["generateName"], "sum-");
}

#[test]
fn no_more_pods_are_made_than_completions_are_left() {
    let counted = json!({"succeeded": 2, "startTime": now().to_string()});
    assert_eq!(
        steps([with_status(job(), counted)]),
        ["create Pod ns/sum-", "update Job.batch ns/sum/status"]
    );
    let counted = json!({"succeeded": 1, "active": 2, "startTime": now().to_string(), "ready": 0, "terminating": 0,
        "uncountedTerminatedPods": {}});
    let running = [
        with_status(job(), counted),
        pod("a", "Running"),
        pod("b", "Running"),
        released(pod("c", "Succeeded")),
    ];
    assert!(steps(running).is_empty());
}

#[test]
fn a_pod_is_noted_then_let_go_then_counted() {
    let first =
        plan(&JobController, [job(), pod("a", "Succeeded"), pod("b", "Running"), pod("c", "Running")]);
    assert_eq!(
        lines(&first, "/metadata"),
        [
            "update Job.batch ns/sum/status",
            r#"patch Pod ns/a {"$deleteFromPrimitiveList/finalizers":["batch.kubernetes.io/job-tracking"]}"#,
        ]
    );
    let noted = status(&first);
    assert_eq!(noted["uncountedTerminatedPods"], json!({"succeeded": ["a-uid"]}));
    assert_eq!(noted["succeeded"], Value::Null);

    let rest = [released(pod("a", "Succeeded")), pod("b", "Running"), pod("c", "Running")];
    let second = plan(&JobController, std::iter::once(with_status(job(), noted)).chain(rest));
    assert_eq!(status(&second)["succeeded"], 1);
    assert_eq!(status(&second)["uncountedTerminatedPods"], json!({}));
}

#[test]
fn a_job_is_complete_when_all_are_counted() {
    let pods = ["a", "b", "c"].map(|name| pod(name, "Succeeded"));
    let first = plan(&JobController, std::iter::once(job()).chain(pods.clone()));
    let message = "Reached expected number of succeeded pods";
    let criteria = condition("SuccessCriteriaMet", "CompletionsReached", message);
    assert_eq!(status(&first)["conditions"], json!([criteria]));
    let second =
        plan(&JobController, std::iter::once(with_status(job(), status(&first))).chain(pods.map(released)));
    assert_eq!(lines(&second, ""), ["update Job.batch ns/sum/status", "Completed: Job completed"]);
    let over = status(&second);
    assert_eq!(over["conditions"], json!([criteria, condition("Complete", "CompletionsReached", message)]));
    assert_eq!((&over["succeeded"], &over["completionTime"]), (&json!(3), &json!(now().to_string())));
    assert!(steps([with_status(job(), over)]).is_empty());
}

#[test]
fn a_work_queue_is_complete_when_one_has_succeeded_and_none_is_left() {
    let queue = with(job(), "/spec/completions", Value::Null);
    let first = plan(&JobController, [queue.clone(), pod("a", "Succeeded"), pod("b", "Running")]);
    assert_eq!(status(&first).get("conditions"), None);
    let second = plan(&JobController, [queue, pod("a", "Succeeded"), pod("b", "Succeeded")]);
    assert_eq!(status(&second)["conditions"][0]["type"], "SuccessCriteriaMet");
}

/// A Job and its Pods, and why it fails.
#[track_caller]
fn check_failure(objects: impl IntoIterator<Item = Value>, reason: &str, message: &str) {
    let mut objects: Vec<Value> = objects.into_iter().collect();
    let first = plan(&JobController, objects.clone());
    let target = condition("FailureTarget", reason, message);
    assert_eq!(status(&first)["conditions"], json!([target]));
    for pod in objects[1..].iter().filter(|pod| pod["status"]["phase"] == "Running") {
        let line = format!("delete Pod ns/{}", pod["metadata"]["name"].as_str().unwrap());
        assert!(lines(&first, "").contains(&line), "{first:?}");
    }
    objects.truncate(1);
    objects[0]["status"] = status(&first);
    let second = plan(&JobController, objects);
    assert_eq!(status(&second)["conditions"], json!([target, condition("Failed", reason, message)]));
    assert_eq!(lines(&second, "").last(), Some(&format!("{reason}: {message}")));
}

#[test]
fn too_many_failures_fail_a_job() {
    let limited = with(job(), "/spec/backoffLimit", 1);
    let message = "Job has reached the specified backoff limit";
    check_failure(
        [limited.clone(), pod("a", "Failed"), pod("b", "Failed"), pod("c", "Running")],
        "BackoffLimitExceeded",
        message,
    );
    let restarting = with(limited, "/spec/template/spec/restartPolicy", "OnFailure");
    let restarts = json!([{"name": "c", "restartCount": 1, "ready": true, "image": "", "imageID": ""}]);
    let restarted = with(pod("a", "Running"), "/status/containerStatuses", restarts);
    check_failure([restarting, restarted], "BackoffLimitExceeded", message);
}

#[test]
fn a_deadline_fails_a_job() {
    let hurried = with(job(), "/spec/activeDeadlineSeconds", 60);
    let started = |time: &str| with_status(hurried.clone(), json!({"startTime": time}));
    check_failure(
        [started("2026-01-01T11:59:00Z"), pod("a", "Running")],
        "DeadlineExceeded",
        "Job was active longer than specified deadline",
    );
    let plan = plan(&JobController, [started("2026-01-01T11:59:30Z"), pod("a", "Running")]);
    assert_eq!(plan.requeues_after(), Some(Duration::from_secs(30)));
}

#[test]
fn what_is_decided_is_told_before_it_is_done() {
    let late = with_status(
        with(job(), "/spec/activeDeadlineSeconds", 60),
        json!({"startTime": "2026-01-01T11:00:00Z"}),
    );
    let first = plan(&JobController, [late]);
    assert_eq!(status(&first)["conditions"].as_array().unwrap().len(), 1);
    assert_eq!(lines(&first, ""), ["update Job.batch ns/sum/status"]);
}

#[test]
fn failed_pods_are_replaced_after_a_while() {
    let failed = |name: &str, seconds: i32| {
        let finished = json!([{"name": "c", "restartCount": 0, "ready": false, "image": "", "imageID": "",
            "state": {"terminated": {"exitCode": 1, "finishedAt": format!("2026-01-01T11:59:{:02}Z", 60 - seconds)}}}]);
        with(pod(name, "Failed"), "/status/containerStatuses", finished)
    };
    let wait = |pods: Vec<Value>| {
        let plan = plan(&JobController, std::iter::once(job()).chain(pods));
        (
            plan.writes().filter(|write| write.verb() == "create").count(),
            plan.requeues_after().map(|wait| wait.as_secs()),
        )
    };
    assert_eq!(wait(vec![failed("a", 4)]), (0, Some(6)));
    assert_eq!(wait(vec![failed("a", 11)]), (2, None));
    assert_eq!(wait(vec![failed("a", 11), failed("b", 20)]), (0, Some(9)));
    let succeeded = |seconds| with(failed("c", seconds), "/status/phase", "Succeeded");
    assert_eq!(wait(vec![failed("a", 11), failed("b", 20), succeeded(15)]), (2, None));
    assert_eq!(wait(vec![failed("a", 4), succeeded(2)]), (2, None));
    assert_eq!(wait(vec![failed("a", 4), succeeded(5)]), (0, Some(6)));
}

#[test]
fn indexes_are_given_and_told() {
    let plan = plan(&JobController, [indexed(), at(0, "Succeeded"), at(1, "Running")]);
    let pod = written(&plan, "create Pod");
    let metadata = &pod["metadata"];
    assert_eq!(metadata["generateName"], "sum-2-");
    assert_eq!(metadata["labels"][pods::COMPLETION_INDEX], "2");
    assert_eq!(metadata["annotations"], json!({pods::COMPLETION_INDEX: "2"}));
    assert_eq!(pod["spec"]["hostname"], "sum-2");
    assert_eq!(
        pod["spec"]["containers"][0]["env"],
        json!([{"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": {
            "fieldPath": "metadata.labels['batch.kubernetes.io/job-completion-index']"}}}])
    );
    let status = status(&plan);
    assert_eq!((&status["completedIndexes"], &status["succeeded"]), (&json!("0"), &json!(1)));
    assert_eq!(status["uncountedTerminatedPods"], json!({}));
}

#[test]
fn of_an_index_only_one_pod_stays() {
    let double = with(with(at(1, "Running"), "/metadata/name", "double"), "/status/phase", "Pending");
    let strays = [double, at(7, "Running"), pod("none", "Running")];
    let steps = steps([indexed(), at(1, "Running")].into_iter().chain(strays));
    let deleted: Vec<_> = steps.iter().filter(|step| step.starts_with("delete")).collect();
    assert_eq!(deleted.len(), 3, "{steps:?}");
    assert!(!steps.contains(&"delete Pod ns/sum-1-running".to_owned()));
}

#[test]
fn indexes_fail_on_their_own() {
    let limited = with(with(indexed(), "/spec/backoffLimitPerIndex", 1), "/spec/backoffLimit", i32::MAX);
    // The first failure: it is kept, until another Pod knows of it.
    let first = plan(&JobController, [limited.clone(), at(0, "Failed"), at(1, "Running")]);
    let replacement = written(&first, "create Pod ns/sum-0-");
    assert_eq!(replacement["metadata"]["annotations"][pods::INDEX_FAILURES], "1");
    assert!(!lines(&first, "").iter().any(|line| line.starts_with("patch Pod")));
    // The second: the index has failed.
    let again = with(
        at(0, "Failed"),
        "/metadata/annotations/batch.kubernetes.io~1job-index-failure-count",
        Value::Null,
    );
    let mut again = again;
    again["metadata"]["annotations"] = json!({pods::COMPLETION_INDEX: "0", pods::INDEX_FAILURES: "1"});
    let second = plan(&JobController, [limited.clone(), again.clone(), at(1, "Running")]);
    assert_eq!(status(&second)["failedIndexes"], "0");
    assert_eq!(written(&second, "create Pod")["metadata"]["generateName"], "sum-2-");
    check_failure(
        [limited.clone(), again.clone(), at(1, "Succeeded"), at(2, "Succeeded")],
        "FailedIndexes",
        "Job has failed indexes",
    );
    check_failure(
        [with(limited, "/spec/maxFailedIndexes", 0), again, at(1, "Running")],
        "MaxFailedIndexesExceeded",
        "Job has exceeded the specified maximal number of failed indexes",
    );
}

#[test]
fn a_failure_policy_decides_over_pods() {
    let policy = |action: &str| {
        with(
            job(),
            "/spec/podFailurePolicy",
            json!({"rules": [
                {"action": "Count", "onPodConditions": [{"type": "Other", "status": "True"}]},
                {"action": action, "onExitCodes": {"operator": "In", "values": [42]}},
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            ]}),
        )
    };
    let ended = |code: i32| {
        with(
            pod("a", "Failed"),
            "/status/containerStatuses",
            json!([{"name": "c", "restartCount": 0, "ready": false,
            "image": "", "imageID": "", "state": {"terminated": {"exitCode": code}}}]),
        )
    };
    check_failure(
        [policy("FailJob"), ended(42), pod("b", "Running")],
        "PodFailurePolicy",
        "Container c for pod ns/a failed with exit code 42 matching FailJob rule at index 1",
    );
    let failed = |job: Value, pod: Value| {
        status(&plan(&JobController, [job, pod]))["uncountedTerminatedPods"]["failed"].clone()
    };
    assert_eq!(failed(policy("FailJob"), ended(1)), json!(["a-uid"]));
    assert_eq!(failed(policy("Ignore"), ended(42)), Value::Null);
    let disrupted =
        with(ended(1), "/status/conditions", json!([{"type": "DisruptionTarget", "status": "True"}]));
    assert_eq!(failed(policy("FailJob"), disrupted), Value::Null);
}

#[test]
fn a_success_policy_ends_a_job_early() {
    let policy = |rule: Value| {
        with(indexed(), "/spec/successPolicy", json!({"rules": [{"succeededIndexes": "9"}, rule]}))
    };
    for (rule, met) in [
        (json!({"succeededIndexes": "0"}), true),
        (json!({"succeededIndexes": "0-1"}), false),
        (json!({"succeededIndexes": "0-1", "succeededCount": 1}), true),
        (json!({"succeededCount": 1}), true),
        (json!({"succeededCount": 2}), false),
    ] {
        let plan = plan(&JobController, [policy(rule.clone()), at(0, "Succeeded"), at(1, "Running")]);
        let conditions = &status(&plan)["conditions"];
        if met {
            assert_eq!(
                *conditions,
                json!([condition("SuccessCriteriaMet", "SuccessPolicy", "Matched rules at index 1")])
            );
            assert!(lines(&plan, "").contains(&"delete Pod ns/sum-1-running".to_owned()));
        } else {
            assert_eq!(*conditions, Value::Null, "{rule}");
        }
    }
}

#[test]
fn a_suspended_job_has_no_pods() {
    let suspended = with(job(), "/spec/suspend", true);
    let first = plan(&JobController, [suspended, pod("a", "Running")]);
    assert_eq!(
        lines(&first, "/none"),
        [
            "patch Pod ns/a",
            "delete Pod ns/a",
            "SuccessfulDelete: Deleted pod: a",
            "update Job.batch ns/sum/status",
            "Suspended: Job suspended",
        ]
    );
    let noted = status(&first);
    assert_eq!(noted["conditions"], json!([condition("Suspended", "JobSuspended", "Job suspended")]));
    assert_eq!(noted.get("startTime"), None);
    let second = plan(&JobController, [with_status(job(), noted)]);
    assert!(lines(&second, "").contains(&"Resumed: Job resumed".to_owned()));
    assert_eq!(status(&second)["conditions"][0]["status"], "False");
    assert_eq!(status(&second)["startTime"], now().to_string());
}

#[test]
fn pods_that_nobody_counts_are_let_go() {
    let over = with_status(job(), json!({"conditions": [condition("Complete", "", "")]}));
    assert_eq!(steps([over, pod("a", "Running")]), ["patch Pod ns/a"]);
    let key = object(job()).key().clone();
    assert_eq!(
        lines(&plan_at(&JobController, now(), &key, vec![pod("a", "Running")]), "/none"),
        ["patch Pod ns/a"]
    );
    let orphan = with(
        with(pod("a", "Running"), "/metadata/ownerReferences", Value::Null),
        "/metadata/labels/job",
        "x",
    );
    let view = view(&JobController, [orphan.clone()]);
    let keys = JobController.wake(&Event::Added(object(orphan)), &view);
    assert_eq!(lines(&JobController.plan(&keys[0], &view).unwrap(), "/none"), ["patch Pod ns/a"]);
}

#[test]
fn a_job_that_is_over_is_deleted_in_time() {
    let over = |ttl: i32| {
        let ended = json!({"type": "Failed", "status": "True", "lastTransitionTime": "2026-01-01T11:59:00Z"});
        with_status(with(job(), "/spec/ttlSecondsAfterFinished", ttl), json!({"conditions": [ended]}))
    };
    assert_eq!(steps([over(60)]), ["delete Job.batch ns/sum"]);
    assert!(steps([over(90)]).is_empty());
    assert_eq!(plan(&JobController, [over(90)]).requeues_after(), Some(Duration::from_secs(30)));
}

#[test]
fn jobs_of_other_controllers_are_left_alone() {
    assert!(steps([with(job(), "/spec/managedBy", "example.com/other")]).is_empty());
    assert!(!steps([with(job(), "/spec/managedBy", SELF)]).is_empty());
}

#[test]
fn deleted_pods_are_failures_unless_only_failed_ones_are_replaced() {
    let dying = with(pod("a", "Running"), "/metadata/deletionTimestamp", "2026-01-01T11:59:00Z");
    let first = plan(&JobController, [job(), dying.clone()]);
    assert_eq!(status(&first)["uncountedTerminatedPods"], json!({"failed": ["a-uid"]}));
    let patient = with(job(), "/spec/podReplacementPolicy", "Failed");
    let second = plan(&JobController, [patient, dying]);
    assert_eq!(status(&second)["uncountedTerminatedPods"], json!({}));
    assert_eq!((&status(&second)["active"], &status(&second)["terminating"]), (&json!(1), &json!(1)));
}
