//! Conditions of a Job.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobCondition};

use crate::time::stamp;

pub(crate) const COMPLETE: &str = "Complete";
pub(crate) const FAILED: &str = "Failed";
/// It will fail, as soon as its Pods have ended.
pub(crate) const FAILURE_TARGET: &str = "FailureTarget";
/// It will be complete, as soon as its Pods have ended.
pub(crate) const SUCCESS_CRITERIA_MET: &str = "SuccessCriteriaMet";
pub(crate) const SUSPENDED: &str = "Suspended";

pub(crate) fn new(type_: &str, status: &str, reason: &str, message: &str, now: Timestamp) -> JobCondition {
    JobCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        last_probe_time: Some(stamp(now)),
        last_transition_time: Some(stamp(now)),
        reason: Some(reason.to_owned()).filter(|reason| !reason.is_empty()),
        message: Some(message.to_owned()).filter(|message| !message.is_empty()),
    }
}

/// A condition that is true.
pub(crate) fn met<'j>(job: &'j Job, type_: &str) -> Option<&'j JobCondition> {
    let mut conditions = job.status.as_ref()?.conditions.iter().flatten();
    conditions.find(|condition| condition.type_ == type_ && condition.status == "True")
}

/// The condition by which a Job is over, if it is.
pub(crate) fn finished(job: &Job) -> Option<&JobCondition> {
    met(job, COMPLETE).or_else(|| met(job, FAILED))
}

/// Sets a condition, whether that changes anything. None becomes false from nothing.
pub(crate) fn ensure(conditions: &mut Vec<JobCondition>, condition: JobCondition) -> bool {
    match conditions.iter_mut().find(|known| known.type_ == condition.type_) {
        Some(known) => {
            let same = known.status == condition.status
                && known.reason == condition.reason
                && known.message == condition.message;
            if !same {
                *known = condition;
            }
            !same
        }
        None if condition.status == "False" => false,
        None => {
            conditions.push(condition);
            true
        }
    }
}
