//! Pods and what makes them: Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, CronJob, and their kin.

use super::strategies::Row;

/// The kinds of this subject.
pub static ROWS: &[Row] = &[];
