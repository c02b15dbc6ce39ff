//! Pods and what makes them: Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, CronJob, and their kin.

pub mod pod_spec;
pub mod pod_template;
pub mod pod_warnings;
pub mod qos;
pub mod rollout;

use super::strategies::Row;

/// The kinds of this subject.
pub static ROWS: &[Row] = &[Row::new("", "v1", "PodTemplate", &pod_template::STRATEGY)];
