//! Conditions of a Deployment.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{DeploymentCondition, DeploymentStatus};

use crate::time::stamp;

/// Whether enough replicas are available.
pub(crate) const AVAILABLE: &str = "Available";
/// Whether the rollout gets on.
pub(crate) const PROGRESSING: &str = "Progressing";
/// Whether replicas could not be made or ended.
pub(crate) const REPLICA_FAILURE: &str = "ReplicaFailure";

/// The newest ReplicaSet is complete.
pub(crate) const NEW_SET_AVAILABLE: &str = "NewReplicaSetAvailable";
/// Nothing has changed for too long.
pub(crate) const TIMED_OUT: &str = "ProgressDeadlineExceeded";
/// It was paused.
pub(crate) const PAUSED: &str = "DeploymentPaused";

pub(crate) fn new(
    type_: &str,
    status: &str,
    reason: &str,
    message: String,
    now: Timestamp,
) -> DeploymentCondition {
    DeploymentCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        last_update_time: Some(stamp(now)),
        last_transition_time: Some(stamp(now)),
        reason: Some(reason.to_owned()),
        message: Some(message),
    }
}

pub(crate) fn get<'s>(status: &'s DeploymentStatus, type_: &str) -> Option<&'s DeploymentCondition> {
    status.conditions.as_ref()?.iter().find(|condition| condition.type_ == type_)
}

/// The reason of the condition that tells of progress.
pub(crate) fn progress_reason(status: &DeploymentStatus) -> Option<&str> {
    get(status, PROGRESSING)?.reason.as_deref()
}

/// Sets a condition, unless there is one with this status and reason; its transition time stays while its status does.
pub(crate) fn set(status: &mut DeploymentStatus, mut condition: DeploymentCondition) {
    if let Some(current) = get(status, &condition.type_).filter(|current| current.status == condition.status)
    {
        if current.reason == condition.reason {
            return;
        }
        condition.last_transition_time.clone_from(&current.last_transition_time);
    }
    remove(status, &condition.type_);
    status.conditions.get_or_insert_default().push(condition);
}

pub(crate) fn remove(status: &mut DeploymentStatus, type_: &str) {
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|condition| condition.type_ != type_);
        if conditions.is_empty() {
            status.conditions = None;
        }
    }
}
