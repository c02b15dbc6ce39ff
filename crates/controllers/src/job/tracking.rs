//! Counting the Pods of a Job exactly once.
//!
//! A Pod that has ended keeps a finalizer until the status says that it is about to be counted; then the finalizer goes,
//! and then the count grows. Each of the three is seen before the next, so that no crash and no lost answer between them
//! counts a Pod twice or never.

use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::{JobCondition, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use xebec_coordinator::{BoxError, EventRecord, Plan, reference_to};

use super::conditions::{COMPLETE, FAILURE_TARGET, SUCCESS_CRITERIA_MET, ensure, met};
use super::failure_policy::{Verdict, judge};
use super::intervals::Intervals;
use super::pods::{index, is_failed, is_indexed, is_succeeded, is_tracked, uid, untrack, valid_index};
use super::sync::Sync;
use crate::controller::Writes;
use crate::pod;

/// How many Pods may be about to be counted, so that the status does not grow too large.
const UNCOUNTED_MAX: usize = 500;

impl Sync<'_> {
    /// Writes the status, lets go of the Pods that are noted in it, and declares the Job over when all are counted.
    pub(super) fn track(mut self) -> Result<Plan, BoxError> {
        self.count_released();
        let (released, more) = self.note_ended();
        self.status.active = Some(self.active).filter(|count| *count != 0);
        self.status.ready = Some(self.ready);
        self.status.terminating = Some(self.terminating);

        let decided_now = self.decide();
        if !decided_now && !more && released.is_empty() {
            self.finish();
        }
        self.status.conditions.take_if(|conditions| conditions.is_empty());
        let before = self.job.status.replace(self.status.clone());
        if before.as_ref() != Some(&self.status) {
            self.plan.put_status(&self.job)?;
        }
        for pod in &released {
            self.plan.put(untrack(pod));
        }
        for record in self.records {
            self.plan.record(record);
        }
        Ok(self.plan)
    }

    /// Counts the Pods that were noted, and have been let go since.
    fn count_released(&mut self) {
        let tracked: BTreeSet<&str> = self.pods.iter().filter(|pod| is_tracked(pod)).map(uid).collect();
        let release = |uids: &mut Option<Vec<String>>| {
            let noted = uids.take().unwrap_or_default();
            let count = noted.len();
            let left: Vec<String> = noted.into_iter().filter(|uid| tracked.contains(uid.as_str())).collect();
            let released = (count - left.len()) as i32;
            *uids = Some(left).filter(|left| !left.is_empty());
            released
        };
        let JobStatus { uncounted_terminated_pods, succeeded, failed, .. } = &mut self.status;
        let uncounted = uncounted_terminated_pods.get_or_insert_default();
        let add = |sum: &mut Option<i32>, count: i32| {
            if count > 0 {
                *sum = Some(sum.unwrap_or_default() + count);
            }
        };
        add(succeeded, release(&mut uncounted.succeeded));
        add(failed, release(&mut uncounted.failed));
    }

    /// Notes the Pods that have ended; returns those that may be let go, and whether there are more than can be noted
    /// at once.
    fn note_ended(&mut self) -> (Vec<Pod>, bool) {
        let indexed = is_indexed(&self.spec);
        let mut pods: Vec<Pod> = self.pods.iter().filter(|pod| is_tracked(pod)).cloned().collect();
        if indexed {
            pods.sort_by_key(index);
        }
        let uncounted = self.status.uncounted_terminated_pods.clone().unwrap_or_default();
        let mut succeeded = uncounted.succeeded.unwrap_or_default();
        let mut failed = uncounted.failed.unwrap_or_default();
        let mut known: BTreeSet<String> = succeeded.iter().chain(&failed).cloned().collect();
        let mut new_indexes = Vec::new();
        let mut released = Vec::new();
        let mut more = false;
        let fails_all =
            self.finished.as_ref().is_some_and(|condition| condition.type_ != SUCCESS_CRITERIA_MET);
        for pod in pods {
            let has_failed = is_failed(&pod, &self.spec);
            if !self.may_release(&pod, has_failed) {
                continue;
            }
            let place = valid_index(&pod, &self.spec);
            if is_succeeded(&pod) {
                match place.filter(|_| indexed) {
                    // The index is enough to know it by.
                    Some(place) if !self.counted_indexes.contains(place) => new_indexes.push(place),
                    None if !indexed && known.insert(uid(&pod).to_owned()) => {
                        succeeded.push(uid(&pod).to_owned());
                    }
                    _ => {}
                }
            } else if (has_failed || fails_all)
                && (!indexed || place.is_some())
                && judge(self.spec.pod_failure_policy.as_ref(), &pod) != Verdict::Ignore
                && known.insert(uid(&pod).to_owned())
            {
                failed.push(uid(&pod).to_owned());
            }
            released.push(pod);
            if new_indexes.len() + succeeded.len() + failed.len() >= UNCOUNTED_MAX {
                more = true;
                break;
            }
        }
        let list = |uids: Vec<String>| Some(uids).filter(|uids| !uids.is_empty());
        let uncounted = self.status.uncounted_terminated_pods.get_or_insert_default();
        (uncounted.succeeded, uncounted.failed) = (list(succeeded), list(failed));
        if indexed {
            let indexes = self.counted_indexes.with(&Intervals::of_indexes(new_indexes));
            self.status.succeeded = Some(indexes.len()).filter(|count| *count != 0);
            self.status.completed_indexes = Some(indexes.to_string()).filter(|text| !text.is_empty());
            self.status.failed_indexes = self.failed_indexes.as_ref().map(ToString::to_string);
        }
        (released, more)
    }

    /// Whether a Pod need not be kept any more: it has ended, or the Job has.
    fn may_release(&self, pod: &Pod, has_failed: bool) -> bool {
        if self.job.metadata.deletion_timestamp.is_some() || self.finished.is_some() || is_succeeded(pod) {
            return true;
        }
        // One that is to be replaced hands on how often its index has failed.
        let kept = index(pod).and_then(|index| self.to_replace.get(&index));
        has_failed && kept.is_none_or(|kept| uid(kept) != uid(pod))
    }

    /// Notes that the Job will be over, before any Pod that shows why is gone; whether that is new.
    fn decide(&mut self) -> bool {
        let Some(finished) = &self.finished else { return false };
        let is_decision = matches!(finished.type_.as_str(), FAILURE_TARGET | SUCCESS_CRITERIA_MET);
        if !is_decision || met(&self.job, &finished.type_).is_some() {
            return false;
        }
        self.status.conditions.get_or_insert_default().push(finished.clone());
        true
    }

    /// Declares it over, unless Pods are still to be counted or to end.
    fn finish(&mut self) {
        let Some(finished) = self.finished.clone() else { return };
        let uncounted = self.status.uncounted_terminated_pods.clone().unwrap_or_default();
        let waits = uncounted.succeeded.is_some() || uncounted.failed.is_some() || self.terminating > 0;
        if waits || self.pods.iter().any(pod::is_active) {
            return;
        }
        let now = self.now();
        let regarding = reference_to(&self.job);
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (reason, message) = (text(&finished.reason), text(&finished.message));
        let succeeds = finished.type_ == SUCCESS_CRITERIA_MET;
        let type_ = if succeeds { COMPLETE } else { finished.type_.as_str() };
        let condition: JobCondition = super::conditions::new(type_, "True", &reason, &message, now);
        if succeeds {
            self.status.completion_time.clone_from(&condition.last_transition_time);
            let too_many =
                self.spec.completions.is_some_and(|c| self.status.succeeded.unwrap_or_default() > c);
            if too_many {
                let note = "Too many succeeded pods running after completion count reached";
                self.records.push(EventRecord::warning(regarding.clone(), "TooManySucceededPods", note));
            }
            self.records.push(EventRecord::normal(regarding, "Completed", "Job completed"));
        } else {
            self.records.push(EventRecord::warning(regarding, reason, message));
        }
        ensure(self.status.conditions.get_or_insert_default(), condition);
    }
}
