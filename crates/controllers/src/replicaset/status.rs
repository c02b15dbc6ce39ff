//! The status of a ReplicaSet, worked out from its Pods.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;

use crate::pod;
use crate::time::stamp;

/// Why replicas could not be made or ended.
pub(crate) struct Failure {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// The condition that says that replicas could not be made or ended.
const REPLICA_FAILURE: &str = "ReplicaFailure";

/// The status that `set` should have. `terminating` is none where it is not to be reported.
pub(crate) fn status(
    set: &ReplicaSet,
    active: &[&Pod],
    terminating: Option<usize>,
    failure: Option<Failure>,
    now: Timestamp,
) -> ReplicaSetStatus {
    let spec = set.spec.clone().unwrap_or_default();
    let mut status = set.status.clone().unwrap_or_default();
    let template_labels = spec.template.and_then(|template| template.metadata?.labels).unwrap_or_default();
    let min_ready = spec.min_ready_seconds.unwrap_or_default();
    let count = |counts: &dyn Fn(&Pod) -> bool| active.iter().filter(|pod| counts(pod)).count() as i32;

    let labelled = count(&|pod| {
        let labels = pod.metadata.labels.as_ref();
        template_labels.iter().all(|(name, value)| labels.and_then(|labels| labels.get(name)) == Some(value))
    });
    status.replicas = active.len() as i32;
    status.fully_labeled_replicas = non_zero(labelled);
    status.ready_replicas = non_zero(count(&pod::is_ready));
    status.available_replicas = non_zero(count(&|pod| pod::is_available(pod, min_ready, now)));
    status.terminating_replicas = terminating.map(|count| count as i32);
    status.observed_generation = set.metadata.generation;

    let mut conditions = status.conditions.take().unwrap_or_default();
    let present = conditions.iter().any(|condition| condition.type_ == REPLICA_FAILURE);
    match failure {
        Some(failure) if !present => conditions.push(ReplicaSetCondition {
            type_: REPLICA_FAILURE.to_owned(),
            status: "True".to_owned(),
            last_transition_time: Some(stamp(now)),
            reason: Some(failure.reason.to_owned()),
            message: Some(failure.message),
        }),
        None => conditions.retain(|condition| condition.type_ != REPLICA_FAILURE),
        Some(_) => {}
    }
    status.conditions = Some(conditions).filter(|conditions| !conditions.is_empty());
    status
}

/// A count as objects carry it: 0 is not there.
pub(crate) fn non_zero(count: i32) -> Option<i32> {
    Some(count).filter(|count| *count != 0)
}
