//! The status of a Deployment, worked out from its ReplicaSets: counts, and the conditions that follow from them.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet};

use super::conditions::{
    AVAILABLE, NEW_SET_AVAILABLE, PROGRESSING, REPLICA_FAILURE, TIMED_OUT, get, new, progress_reason, remove,
    set,
};
use super::fenceposts::Fenceposts;
use super::sets::{available, replicas};
use crate::time::remaining;

/// The seconds a rollout may stand still, none if for ever.
pub(crate) fn progress_deadline(deployment: &Deployment) -> Option<i32> {
    let deadline = deployment.spec.as_ref()?.progress_deadline_seconds;
    deadline.filter(|seconds| *seconds != i32::MAX)
}

/// The counts, and whether enough replicas are available. `deployment.status` has the conditions so far.
pub(crate) fn counts<'s>(
    deployment: &Deployment,
    sets: impl Iterator<Item = &'s ReplicaSet> + Clone,
    newest: Option<&ReplicaSet>,
    now: Timestamp,
) -> DeploymentStatus {
    let fenceposts = Fenceposts::of(deployment);
    let status = |set: &ReplicaSet| set.status.clone().unwrap_or_default();
    let present = |count: i32| Some(count).filter(|count| *count != 0);
    let wanted: i32 = sets.clone().map(replicas).sum();
    let all_available: i32 = sets.clone().map(available).sum();
    let old = deployment.status.clone().unwrap_or_default();
    let mut new_status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: present(sets.clone().map(|set| status(set).replicas).sum()),
        updated_replicas: present(newest.map_or(0, |set| status(set).replicas)),
        ready_replicas: present(sets.clone().filter_map(|set| status(set).ready_replicas).sum()),
        available_replicas: present(all_available),
        unavailable_replicas: present((wanted - all_available).max(0)),
        terminating_replicas: terminating(sets),
        collision_count: old.collision_count,
        conditions: old.conditions,
    };
    let condition = if all_available >= fenceposts.min_available() {
        new(
            AVAILABLE,
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.".to_owned(),
            now,
        )
    } else {
        let message = "Deployment does not have minimum availability.".to_owned();
        new(AVAILABLE, "False", "MinimumReplicasUnavailable", message, now)
    };
    set(&mut new_status, condition);
    new_status
}

/// How many replicas are terminating; none if a ReplicaSet that has been observed does not tell.
fn terminating<'s>(mut sets: impl Iterator<Item = &'s ReplicaSet>) -> Option<i32> {
    sets.try_fold(0, |sum, set| {
        let status = set.status.as_ref();
        match status.and_then(|status| status.terminating_replicas) {
            Some(count) => Some(sum + count),
            None if status.and_then(|status| status.observed_generation).unwrap_or_default() == 0 => {
                Some(sum)
            }
            None => None,
        }
    })
}

/// Whether all replicas are new, and enough of them available.
pub(crate) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let fenceposts = Fenceposts::of(deployment);
    status.updated_replicas.unwrap_or_default() == fenceposts.replicas
        && status.replicas.unwrap_or_default() == fenceposts.replicas
        && status.available_replicas.unwrap_or_default() >= fenceposts.min_available()
        && status.observed_generation >= deployment.metadata.generation
}

/// Whether there are more new or available replicas than before, or fewer old ones.
fn has_progressed(before: &DeploymentStatus, status: &DeploymentStatus) -> bool {
    let updated = |status: &DeploymentStatus| status.updated_replicas.unwrap_or_default();
    let old = |status: &DeploymentStatus| status.replicas.unwrap_or_default() - updated(status);
    updated(status) > updated(before)
        || old(status) < old(before)
        || status.available_replicas > before.available_replicas
        || status.ready_replicas > before.ready_replicas
}

fn has_timed_out(deadline: i32, status: &DeploymentStatus, now: Timestamp) -> bool {
    let Some(condition) = get(status, PROGRESSING) else { return false };
    match condition.reason.as_deref() {
        Some(NEW_SET_AVAILABLE) => false,
        Some(TIMED_OUT) => true,
        _ => {
            let since = condition.last_update_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
            now.duration_since(since).as_secs_f64() > f64::from(deadline)
        }
    }
}

/// The status during a rollout: the counts, and how it gets on.
pub(crate) fn rollout<'s>(
    deployment: &Deployment,
    sets: impl Iterator<Item = &'s ReplicaSet> + Clone,
    newest: Option<&ReplicaSet>,
    now: Timestamp,
) -> DeploymentStatus {
    let mut status = counts(deployment, sets.clone(), newest, now);
    let before = deployment.status.clone().unwrap_or_default();
    let current = get(&before, PROGRESSING);
    let was_complete =
        status.replicas == status.updated_replicas && progress_reason(&before) == Some(NEW_SET_AVAILABLE);
    match progress_deadline(deployment) {
        None => remove(&mut status, PROGRESSING),
        Some(_) if was_complete => {}
        Some(deadline) => {
            let subject = newest.map_or_else(
                || format!("Deployment {:?}", deployment.metadata.name.as_deref().unwrap_or_default()),
                |set| format!("ReplicaSet {:?}", set.metadata.name.as_deref().unwrap_or_default()),
            );
            if is_complete(deployment, &status) {
                let message = format!("{subject} has successfully progressed.");
                set(&mut status, new(PROGRESSING, "True", NEW_SET_AVAILABLE, message, now));
            } else if has_progressed(&before, &status) {
                let message = format!("{subject} is progressing.");
                let mut condition = new(PROGRESSING, "True", "ReplicaSetUpdated", message, now);
                if let Some(current) = current.filter(|current| current.status == "True") {
                    condition.last_transition_time.clone_from(&current.last_transition_time);
                }
                // Even with the same reason: the time of the update is what the deadline is measured from.
                remove(&mut status, PROGRESSING);
                set(&mut status, condition);
            } else if has_timed_out(deadline, &status, now) {
                let message = format!("{subject} has timed out progressing.");
                set(&mut status, new(PROGRESSING, "False", TIMED_OUT, message, now));
            }
        }
    }
    let failure = newest.and_then(failure_of).or_else(|| sets.clone().find_map(failure_of));
    match failure {
        Some(failure) => set(&mut status, failure),
        None => remove(&mut status, REPLICA_FAILURE),
    }
    status
}

fn failure_of(set: &ReplicaSet) -> Option<DeploymentCondition> {
    let conditions = set.status.as_ref()?.conditions.as_ref()?;
    let failure = conditions.iter().find(|condition| condition.type_ == REPLICA_FAILURE)?.clone();
    Some(DeploymentCondition {
        type_: failure.type_,
        status: failure.status,
        last_update_time: failure.last_transition_time.clone(),
        last_transition_time: failure.last_transition_time,
        reason: failure.reason,
        message: failure.message,
    })
}

/// When to look whether the rollout has timed out.
pub(crate) fn next_check(
    deployment: &Deployment,
    status: &DeploymentStatus,
    now: Timestamp,
) -> Option<Duration> {
    let deadline = progress_deadline(deployment)?;
    let condition = get(status, PROGRESSING)?;
    if is_complete(deployment, status)
        || matches!(condition.reason.as_deref(), Some(TIMED_OUT | NEW_SET_AVAILABLE))
    {
        return None;
    }
    let since = condition.last_update_time.as_ref()?.0;
    // A second more, because it is only over when more than the deadline has passed.
    Some(remaining(since, deadline.into(), now) + Duration::from_secs(1))
}
