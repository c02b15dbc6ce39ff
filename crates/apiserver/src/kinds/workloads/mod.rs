//! Pods and what makes them: Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, CronJob, and their kin.

mod controller_revision;
mod counts;
mod cron_job;
mod daemon_set;
mod deployment;
pub mod duration;
mod indexes;
mod job;
mod job_spec;
mod job_status;
pub mod pod;
pub mod pod_spec;
pub mod pod_template;
pub mod pod_warnings;
mod replica_set;
mod replication_controller;
mod rollout;
pub mod schedule;
mod selection;
mod stateful_set;
#[cfg(test)]
mod testing;

use super::strategies::Row;
use crate::machinery::FieldErrors;

/// The kinds of this subject.
pub static ROWS: &[Row] = &[
    Row::new("", "v1", "Pod", &pod::STRATEGY),
    Row::new("", "v1", "PodTemplate", &pod_template::STRATEGY),
    Row::new("", "v1", "ReplicationController", &replication_controller::STRATEGY),
    Row::new("apps", "v1", "ControllerRevision", &controller_revision::STRATEGY),
    Row::new("apps", "v1", "DaemonSet", &daemon_set::STRATEGY),
    Row::new("apps", "v1", "Deployment", &deployment::STRATEGY),
    Row::new("apps", "v1", "ReplicaSet", &replica_set::STRATEGY),
    Row::new("apps", "v1", "StatefulSet", &stateful_set::STRATEGY),
    Row::new("batch", "v1", "CronJob", &cron_job::STRATEGY),
    Row::new("batch", "v1", "Job", &job::STRATEGY),
];

/// Says everything that is wrong twice, as Kubernetes does for kinds whose updates it checks as new objects, and once
/// more as updates.
fn twice(errors: &mut FieldErrors, validate: impl FnOnce(&mut FieldErrors)) {
    let mut found = FieldErrors::new();
    validate(&mut found);
    errors.extend(found.clone());
    errors.extend(found);
}
