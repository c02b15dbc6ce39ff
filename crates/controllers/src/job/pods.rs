//! The Pods of a Job, and what can be told of each of them.

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use xebec_coordinator::{Key, Write};

use crate::pod;

/// Keeps a Pod from being gone before the Job has counted it.
pub(crate) const TRACKING: &str = "batch.kubernetes.io/job-tracking";
/// The completion index of a Pod, as label and annotation.
pub(crate) const COMPLETION_INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// How often Pods of this index failed before.
pub(crate) const INDEX_FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
/// How often Pods of this index failed before without that counting.
pub(crate) const INDEX_IGNORED_FAILURES: &str = "batch.kubernetes.io/job-index-ignored-failure-count";

pub(crate) fn spec(job: &Job) -> JobSpec {
    job.spec.clone().unwrap_or_default()
}

pub(crate) fn is_indexed(spec: &JobSpec) -> bool {
    spec.completion_mode.as_deref() == Some("Indexed")
}

pub(crate) fn is_suspended(spec: &JobSpec) -> bool {
    spec.suspend == Some(true)
}

/// Whether a Pod is replaced only when it has failed, not as soon as it is terminating.
pub(crate) fn replaces_only_failed(spec: &JobSpec) -> bool {
    spec.pod_replacement_policy.as_deref() == Some("Failed") || spec.pod_failure_policy.is_some()
}

pub(crate) fn is_tracked(pod: &Pod) -> bool {
    pod.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == TRACKING)
}

pub(crate) fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

/// Whether it counts as failed: so does one that is deleted before it has ended, unless only failed ones are replaced.
pub(crate) fn is_failed(pod: &Pod, spec: &JobSpec) -> bool {
    match pod::phase(pod) {
        "Failed" => true,
        "Succeeded" => false,
        _ => !replaces_only_failed(spec) && pod::is_terminating(pod),
    }
}

pub(crate) fn is_succeeded(pod: &Pod) -> bool {
    pod::phase(pod) == "Succeeded"
}

fn number(pod: &Pod, annotation: &str) -> Option<i32> {
    pod.metadata.annotations.as_ref()?.get(annotation)?.parse().ok().filter(|number| *number >= 0)
}

/// The completion index, none if it has none that makes sense.
pub(crate) fn index(pod: &Pod) -> Option<i32> {
    number(pod, COMPLETION_INDEX)
}

/// The completion index, if the Job has such an index.
pub(crate) fn valid_index(pod: &Pod, spec: &JobSpec) -> Option<i32> {
    index(pod).filter(|index| *index < spec.completions.unwrap_or_default())
}

/// How often Pods of its index failed before it: that counted, and that did not.
pub(crate) fn index_failures(pod: &Pod) -> (i32, i32) {
    let count = |annotation| number(pod, annotation).unwrap_or_default();
    (count(INDEX_FAILURES), count(INDEX_IGNORED_FAILURES))
}

/// Lets a Pod go.
pub(crate) fn untrack(pod: &Pod) -> Write {
    let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": [TRACKING]}});
    Write::strategic(Key::of(pod), patch)
}
