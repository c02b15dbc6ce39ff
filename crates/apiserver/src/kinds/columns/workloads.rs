//! Rows of what makes pods and keeps them: Deployment and its kin, jobs, templates, budgets, autoscalers.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    format::{self, containers, created, selector_cell},
    read::{at, count, flag, is_true, items, map, number, pointer_or, text},
};
use crate::machinery::object;

/// The cells of a Deployment.
pub fn deployment(deployment: &Value, now: Timestamp) -> Vec<Value> {
    let (names, images) = containers(at(deployment, "spec.template.spec"));
    vec![
        object::name(deployment).into(),
        ready_of_desired(deployment),
        number(deployment, "status.updatedReplicas").into(),
        number(deployment, "status.availableReplicas").into(),
        created(deployment, now),
        names.into(),
        images.into(),
        format::selector(at(deployment, "spec.selector")).unwrap_or_else(|| "<invalid>".to_owned()).into(),
    ]
}

/// The cells of a StatefulSet.
pub fn stateful_set(set: &Value, now: Timestamp) -> Vec<Value> {
    let (names, images) = containers(at(set, "spec.template.spec"));
    vec![object::name(set).into(), ready_of_desired(set), created(set, now), names.into(), images.into()]
}

/// The cells of a ReplicaSet.
pub fn replica_set(set: &Value, now: Timestamp) -> Vec<Value> {
    replicas(set, now, selector_cell(at(set, "spec.selector")))
}

/// The cells of a ReplicationController, whose selector is plain labels.
pub fn replication_controller(controller: &Value, now: Timestamp) -> Vec<Value> {
    replicas(controller, now, format::labels(map(controller, "spec.selector")))
}

fn replicas(object: &Value, now: Timestamp, selector: String) -> Vec<Value> {
    let (names, images) = containers(at(object, "spec.template.spec"));
    vec![
        object::name(object).into(),
        number(object, "spec.replicas").into(),
        number(object, "status.replicas").into(),
        number(object, "status.readyReplicas").into(),
        created(object, now),
        names.into(),
        images.into(),
        selector.into(),
    ]
}

fn ready_of_desired(object: &Value) -> Value {
    format!("{}/{}", number(object, "status.readyReplicas"), number(object, "spec.replicas")).into()
}

/// The cells of a DaemonSet.
pub fn daemon_set(set: &Value, now: Timestamp) -> Vec<Value> {
    let (names, images) = containers(at(set, "spec.template.spec"));
    vec![
        object::name(set).into(),
        number(set, "status.desiredNumberScheduled").into(),
        number(set, "status.currentNumberScheduled").into(),
        number(set, "status.numberReady").into(),
        number(set, "status.updatedNumberScheduled").into(),
        number(set, "status.numberAvailable").into(),
        format::labels(map(set, "spec.template.spec.nodeSelector")).into(),
        created(set, now),
        names.into(),
        images.into(),
        selector_cell(at(set, "spec.selector")).into(),
    ]
}

/// The cells of a Job.
pub fn job(job: &Value, now: Timestamp) -> Vec<Value> {
    let (names, images) = containers(at(job, "spec.template.spec"));
    vec![
        object::name(job).into(),
        job_status(job).into(),
        job_completions(job).into(),
        job_duration(job, now).into(),
        created(job, now),
        names.into(),
        images.into(),
        selector_cell(at(job, "spec.selector")).into(),
    ]
}

fn job_status(job: &Value) -> &'static str {
    let is = |condition| is_true(job, "status.conditions", condition);
    match () {
        () if is("Complete") => "Complete",
        () if is("Failed") => "Failed",
        () if object::deletion_timestamp(job).is_some() => "Terminating",
        () if is("Suspended") => "Suspended",
        () if is("FailureTarget") => "FailureTarget",
        () if is("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
}

fn job_completions(job: &Value) -> String {
    let succeeded = number(job, "status.succeeded");
    match (at(job, "spec.completions").as_i64(), number(job, "spec.parallelism")) {
        (Some(completions), _) => format!("{succeeded}/{completions}"),
        (None, parallelism) if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        (None, _) => format!("{succeeded}/1"),
    }
}

fn job_duration(job: &Value, now: Timestamp) -> String {
    let Some(start) = format::time_of(at(job, "status.startTime")) else { return String::new() };
    let end = format::time_of(at(job, "status.completionTime")).unwrap_or(now);
    format::human_duration(format::nanoseconds(start, end))
}

/// The cells of a CronJob.
pub fn cron_job(job: &Value, now: Timestamp) -> Vec<Value> {
    let template = at(job, "spec.jobTemplate.spec");
    let (names, images) = containers(at(template, "template.spec"));
    let last = at(job, "status.lastScheduleTime");
    let suspend = match at(job, "spec.suspend") {
        Value::Null => "<unset>",
        Value::Bool(true) => "True",
        _ => "False",
    };
    vec![
        object::name(job).into(),
        text(job, "spec.schedule").into(),
        pointer_or(job, "spec.timeZone", "<none>").into(),
        suspend.into(),
        count(job, "status.active").into(),
        if last.is_null() { "<none>".into() } else { format::age(last, now).into() },
        created(job, now),
        names.into(),
        images.into(),
        selector_cell(at(template, "selector")).into(),
    ]
}

/// The cells of a PodTemplate.
pub fn pod_template(template: &Value, _: Timestamp) -> Vec<Value> {
    let (names, images) = containers(at(template, "template.spec"));
    vec![
        object::name(template).into(),
        names.into(),
        images.into(),
        format::labels(map(template, "template.metadata.labels")).into(),
    ]
}

/// The cells of a ControllerRevision.
pub fn controller_revision(revision: &Value, now: Timestamp) -> Vec<Value> {
    let owners = items(revision, "metadata.ownerReferences");
    let controller = match owners.iter().find(|owner| flag(owner, "controller")) {
        None => "<none>".to_owned(),
        Some(owner) => {
            let kind = text(owner, "kind");
            let kind = match text(owner, "apiVersion").split_once('/') {
                Some((group, _)) => format!("{kind}.{group}"),
                None => kind.to_owned(),
            };
            format!("{}/{}", kind.to_lowercase(), text(owner, "name"))
        }
    };
    vec![
        object::name(revision).into(),
        controller.into(),
        number(revision, "revision").into(),
        created(revision, now),
    ]
}

/// The cells of a PodDisruptionBudget.
pub fn disruption_budget(budget: &Value, now: Timestamp) -> Vec<Value> {
    let amount = |path: &str| match at(budget, path) {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => "N/A".to_owned(),
    };
    vec![
        object::name(budget).into(),
        amount("spec.minAvailable").into(),
        amount("spec.maxUnavailable").into(),
        number(budget, "status.disruptionsAllowed").into(),
        created(budget, now),
    ]
}

/// The cells of a PriorityClass.
pub fn priority_class(class: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        object::name(class).into(),
        number(class, "value").into(),
        flag(class, "globalDefault").into(),
        created(class, now),
        text(class, "preemptionPolicy").into(),
    ]
}

/// The cells of a RuntimeClass.
pub fn runtime_class(class: &Value, now: Timestamp) -> Vec<Value> {
    vec![object::name(class).into(), text(class, "handler").into(), created(class, now)]
}
