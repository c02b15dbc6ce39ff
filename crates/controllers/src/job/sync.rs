//! One look at a Job and its Pods: is it over, which Pods are made or ended, and what is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobSpec, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use xebec_coordinator::{BoxError, EventRecord, Plan, View, reference_to};

use super::conditions::{
    FAILED, FAILURE_TARGET, SUCCESS_CRITERIA_MET, SUSPENDED, ensure, met, new as condition,
};
use super::failure_policy::{Verdict, judge};
use super::intervals::Intervals;
use super::pods::{
    index, index_failures, is_failed, is_indexed, is_succeeded, is_suspended, is_tracked, uid, valid_index,
};
use super::{backoff, success_policy};
use crate::pod;
use crate::time::{remaining, stamp};

/// A plan for a Job in the making.
pub(super) struct Sync<'v> {
    pub(super) job: Job,
    pub(super) spec: JobSpec,
    pub(super) status: JobStatus,
    pub(super) pods: Vec<Pod>,
    pub(super) view: &'v View,
    pub(super) plan: Plan,
    /// Recorded when the status has been written.
    pub(super) records: Vec<EventRecord>,
    /// The condition by which it is over, or will be.
    pub(super) finished: Option<JobCondition>,
    /// How many Pods have succeeded, the uncounted ones included.
    pub(super) succeeded: i32,
    /// The indexes that have succeeded, as the status knows and as they are.
    pub(super) counted_indexes: Intervals,
    pub(super) succeeded_indexes: Intervals,
    /// The indexes that have failed for good, where that is told.
    pub(super) failed_indexes: Option<Intervals>,
    /// By index, the failed Pod that stays until another takes over its count of failures.
    pub(super) to_replace: BTreeMap<i32, Pod>,
    pub(super) active: i32,
    pub(super) ready: i32,
    pub(super) terminating: i32,
}

impl<'v> Sync<'v> {
    /// `pods` are the Job's.
    pub(super) fn new(job: Job, pods: Vec<Pod>, view: &'v View) -> Self {
        let spec = super::pods::spec(&job);
        let status = job.status.clone().unwrap_or_default();
        let count = |counts: &dyn Fn(&Pod) -> bool| pods.iter().filter(|pod| counts(pod)).count() as i32;
        Self {
            active: count(&pod::is_active),
            ready: count(&|pod| pod::is_active(pod) && pod::is_ready(pod)),
            terminating: count(&|pod| pod::is_terminating(pod) && !pod::is_finished(pod)),
            job,
            spec,
            status,
            pods,
            view,
            plan: Plan::new(),
            records: Vec::new(),
            finished: None,
            succeeded: 0,
            counted_indexes: Intervals::default(),
            succeeded_indexes: Intervals::default(),
            failed_indexes: None,
            to_replace: BTreeMap::new(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.view.now()
    }

    pub(super) fn plan(mut self) -> Result<Plan, BoxError> {
        self.status.uncounted_terminated_pods.get_or_insert_default();
        if self.status.start_time.is_none() && !is_suspended(&self.spec) {
            self.status.start_time = Some(stamp(self.now()));
        }
        self.judge();
        if self.finished.is_some() {
            self.end_active();
        } else {
            let managed = self.job.metadata.deletion_timestamp.is_none();
            if managed {
                self.manage()?;
            }
            let enough = match self.spec.completions {
                None => self.succeeded > 0,
                Some(completions) => self.succeeded >= completions,
            };
            if enough && self.active == 0 {
                let message = "Reached expected number of succeeded pods";
                self.finished = Some(self.condition(SUCCESS_CRITERIA_MET, "CompletionsReached", message));
            } else if managed {
                self.note_suspension();
            }
        }
        self.track()
    }

    /// Whether it is over, and what has succeeded and failed.
    fn judge(&mut self) {
        let uncounted = self.status.uncounted_terminated_pods.clone().unwrap_or_default();
        let known_succeeded: BTreeSet<&str> =
            uncounted.succeeded.iter().flatten().map(String::as_str).collect();
        let known_failed: BTreeSet<&str> = uncounted.failed.iter().flatten().map(String::as_str).collect();
        let is_valid = |pod: &Pod| {
            is_tracked(pod) && (!is_indexed(&self.spec) || valid_index(pod, &self.spec).is_some())
        };
        let valid = || self.pods.iter().filter(|pod| is_valid(pod));
        let newly_succeeded = valid().filter(|pod| is_succeeded(pod) && !known_succeeded.contains(uid(pod)));
        let policy = self.spec.pod_failure_policy.as_ref();
        let newly_failed = valid()
            .filter(|pod| is_failed(pod, &self.spec) && !known_failed.contains(uid(pod)))
            .filter(|pod| judge(policy, pod) != Verdict::Ignore);
        let succeeded = newly_succeeded.count() + known_succeeded.len();
        let failed = newly_failed.count() + known_failed.len();
        let failed = self.status.failed.unwrap_or_default() + failed as i32;
        self.succeeded = self.status.succeeded.unwrap_or_default() + succeeded as i32;

        self.finished = self.decided().or_else(|| self.failure(failed));
        if is_indexed(&self.spec) {
            self.judge_indexes();
        }
    }

    /// What an earlier look has decided, or a Pod by the failure policy.
    fn decided(&self) -> Option<JobCondition> {
        if let Some(met) = met(&self.job, SUCCESS_CRITERIA_MET) {
            return Some(met.clone());
        }
        if let Some(target) = met(&self.job, FAILURE_TARGET) {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            return Some(self.condition(FAILED, &text(&target.reason), &text(&target.message)));
        }
        let policy = self.spec.pod_failure_policy.as_ref()?;
        let failed = self.pods.iter().filter(|pod| is_failed(pod, &self.spec));
        let why = failed.map(|pod| judge(Some(policy), pod)).find_map(|verdict| match verdict {
            Verdict::FailJob(why) => Some(why),
            _ => None,
        })?;
        Some(self.condition(FAILURE_TARGET, "PodFailurePolicy", &why))
    }

    /// Whether too many Pods have failed, or it takes too long.
    fn failure(&mut self, failed: i32) -> Option<JobCondition> {
        let limit = self.spec.backoff_limit.unwrap_or(6);
        if failed > limit || self.restarts().is_some_and(|restarts| restarts > 0 && restarts >= limit) {
            let message = "Job has reached the specified backoff limit";
            return Some(self.condition(FAILURE_TARGET, "BackoffLimitExceeded", message));
        }
        let deadline = self.spec.active_deadline_seconds?;
        let start = self.status.start_time.as_ref().filter(|_| !is_suspended(&self.spec))?.0;
        let left = remaining(start, deadline, self.now());
        if left == Duration::ZERO {
            let message = "Job was active longer than specified deadline";
            return Some(self.condition(FAILURE_TARGET, "DeadlineExceeded", message));
        }
        self.plan.requeue_after(left);
        None
    }

    /// How often containers were restarted, where Pods restart them.
    fn restarts(&self) -> Option<i32> {
        let policy = self.spec.template.spec.as_ref()?.restart_policy.as_deref();
        if policy != Some("OnFailure") {
            return None;
        }
        let running = self.pods.iter().filter(|pod| matches!(pod::phase(pod), "Running" | "Pending"));
        let containers = running.filter_map(|pod| pod.status.as_ref()).flat_map(|status| {
            status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten())
        });
        Some(containers.map(|container| container.restart_count).sum())
    }

    fn judge_indexes(&mut self) {
        let completions = self.spec.completions.unwrap_or_default();
        let known = self.status.completed_indexes.as_deref().unwrap_or_default();
        self.counted_indexes = Intervals::parse(known, completions);
        let tracked = || self.pods.iter().filter(|pod| is_tracked(pod));
        let succeeded = tracked().filter(|pod| is_succeeded(pod));
        let new = Intervals::of_indexes(succeeded.filter_map(|pod| valid_index(pod, &self.spec)));
        self.succeeded_indexes = self.counted_indexes.with(&new);
        self.succeeded = self.succeeded_indexes.len();
        if let Some(limit) = self.spec.backoff_limit_per_index {
            let known =
                Intervals::parse(self.status.failed_indexes.as_deref().unwrap_or_default(), completions);
            let failed = tracked().filter(|pod| self.fails_index(pod, limit));
            let new = Intervals::of_indexes(failed.filter_map(|pod| valid_index(pod, &self.spec)));
            let failed = known.with(&new);
            if self.finished.is_none() {
                let count = failed.len();
                if self.spec.max_failed_indexes.is_some_and(|max| count > max) {
                    let message = "Job has exceeded the specified maximal number of failed indexes";
                    self.finished = Some(self.condition(FAILURE_TARGET, "MaxFailedIndexesExceeded", message));
                } else if count > 0 && count + self.succeeded >= completions {
                    self.finished =
                        Some(self.condition(FAILURE_TARGET, "FailedIndexes", "Job has failed indexes"));
                }
            }
            self.to_replace = self.pods_to_replace(&failed);
            self.failed_indexes = Some(failed);
        }
        if self.finished.is_none()
            && let Some(why) =
                success_policy::met(self.spec.success_policy.as_ref(), completions, &self.succeeded_indexes)
        {
            self.finished = Some(self.condition(SUCCESS_CRITERIA_MET, "SuccessPolicy", &why));
        }
    }

    /// Whether its index has failed for good with this Pod.
    fn fails_index(&self, pod: &Pod, limit: i32) -> bool {
        is_failed(pod, &self.spec)
            && match judge(self.spec.pod_failure_policy.as_ref(), pod) {
                Verdict::FailIndex => true,
                Verdict::Ignore => false,
                Verdict::Count | Verdict::FailJob(_) => index_failures(pod).0 >= limit,
            }
    }

    fn pods_to_replace(&self, failed_indexes: &Intervals) -> BTreeMap<i32, Pod> {
        let active: BTreeSet<i32> =
            self.pods.iter().filter(|pod| pod::is_active(pod)).filter_map(index).collect();
        let order = |pod: &Pod| {
            let (counted, ignored) = index_failures(pod);
            (counted + ignored, backoff::finished_at(pod))
        };
        let mut latest: BTreeMap<i32, Pod> = BTreeMap::new();
        for pod in self.pods.iter().filter(|pod| is_tracked(pod) && is_failed(pod, &self.spec)) {
            let Some(index) = valid_index(pod, &self.spec) else { continue };
            if active.contains(&index)
                || self.succeeded_indexes.contains(index)
                || failed_indexes.contains(index)
                || latest.get(&index).is_some_and(|known| order(known) > order(pod))
            {
                continue;
            }
            latest.insert(index, pod.clone());
        }
        latest
    }

    /// Notes that it was suspended or resumed.
    fn note_suspension(&mut self) {
        let conditions = self.status.conditions.get_or_insert_default();
        let now = self.view.now();
        let regarding = reference_to(&self.job);
        if is_suspended(&self.spec) {
            if ensure(conditions, condition(SUSPENDED, "True", "JobSuspended", "Job suspended", now)) {
                self.records.push(EventRecord::normal(regarding, "Suspended", "Job suspended"));
            }
        } else if ensure(conditions, condition(SUSPENDED, "False", "JobResumed", "Job resumed", now)) {
            self.records.push(EventRecord::normal(regarding, "Resumed", "Job resumed"));
            // The deadline is for the time that it runs at a stretch.
            self.status.start_time = Some(stamp(now));
        }
    }

    fn condition(&self, type_: &str, reason: &str, message: &str) -> JobCondition {
        condition(type_, "True", reason, message, self.now())
    }
}
