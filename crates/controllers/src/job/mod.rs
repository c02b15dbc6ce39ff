//! Runs Jobs: Pods until enough of them have succeeded, or too many have failed.

mod backoff;
mod conditions;
mod failure_policy;
mod intervals;
mod manage;
mod pods;
mod success_policy;
mod sync;
#[cfg(test)]
mod tests;
mod tracking;

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::PropagationPolicy;
use xebec_coordinator::{
    BoxError, Event, EventRecord, Index, Key, Kind, Observer, ObserverSpec, Operation, Plan, Right, View,
    Watch, Write, WriteError, default_wake, reference_to,
};

use self::pods::{TRACKING, is_tracked, untrack};
use self::sync::Sync;
use crate::controller::{Writes, is_namespace_terminating, reason_of};
use crate::ownership::{
    Claim, adopt, adopters, candidates, claim, controller_of, controller_reference, may_be_adopted, orphans,
    release, selector_of, selects,
};
use crate::time::remaining;

/// The index over Pods by the namespace and name of the Job that controls them, be it there or not.
const BY_JOB: &str = "by-job";
/// The value of `managedBy` by which a Job is ours.
const SELF: &str = "kubernetes.io/job-controller";

/// Runs Jobs, and deletes them when they have been over for long enough.
#[derive(Debug, Default)]
pub struct JobController;

impl Observer for JobController {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("job", "runs Pods until as many have succeeded as each Job asks for")
            .reports_as("job-controller")
            .watch(Watch::of::<Job>())
            .watch(Watch::of::<Pod>())
            .index(orphans::<Pod>())
            .index(Index::over_objects(BY_JOB, Kind::of::<Pod>(), |pod| {
                let jobs = Kind::of::<Job>();
                let job = pod.controller().filter(|owner| jobs.names(owner.api_version(), owner.kind()));
                job.map(|job| job_of(pod.namespace(), job.name())).into_iter().collect()
            }))
            .right(Right::to::<Pod>(&["create", "delete", "patch"]))
            .right(Right::to::<Job>(&["delete"]))
            .right(Right::to_subresource::<Job>("status", &["update"]))
            .concurrency(5)
    }

    /// Besides Jobs it wakes Pods: those that no Job will ever count may have to be let go.
    fn wake(&self, event: &Event, view: &View) -> Vec<Key> {
        let mut keys = default_wake(event, view);
        if event.key().is::<Pod>() && may_be_adopted(event) {
            keys.extend(adopters::<Job>(event, view, |owner| {
                selector_of(owner.spec.as_ref()?.selector.as_ref()?)
            }));
            keys.push(event.key().clone());
        }
        keys
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        if key.is::<Pod>() {
            if let Some(pod) = view.get_key::<Pod>(key)?
                && controller_of(&pod.metadata).is_none()
                && is_tracked(&pod)
            {
                plan.put(untrack(&pod));
            }
            return Ok(plan);
        }
        let job = view.get_key::<Job>(key)?;
        let uid = job.as_ref().and_then(|job| job.metadata.uid.as_deref());
        let over = job.as_ref().is_some_and(|job| conditions::finished(job).is_some());
        for pod in view.by_index::<Pod>(BY_JOB, &job_of(key.namespace(), key.name()))? {
            let foreign = controller_of(&pod.metadata).is_some_and(|owner| Some(owner.uid.as_str()) != uid);
            if (foreign || over) && is_tracked(&pod) {
                plan.put(untrack(&pod)); // nobody will count it
            }
        }
        let Some(job) = job else { return Ok(plan) };
        let spec = pods::spec(&job);
        if spec.managed_by.is_some_and(|manager| manager != SELF) {
            return Ok(plan);
        }
        if over {
            delete_in_time(&mut plan, &job, view);
            return Ok(plan);
        }
        let Some(selector) = spec.selector.as_ref().and_then(selector_of) else { return Ok(plan) };
        let owner = controller_reference(&Kind::of::<Job>(), &job.metadata);
        let mut pods = Vec::new();
        let candidates = candidates::<Pod>(&job.metadata, &selector, view)?;
        let mut claims = false;
        for pod in candidates {
            let (target, seen) = (Key::of(&pod), &pod.metadata);
            let write = match claim(&job.metadata, &pod.metadata, selects(&selector, &pod.metadata)) {
                Claim::Adopt => adopt(target, seen, &owner, Some(TRACKING)),
                Claim::Release => release(target, seen, Some(&owner.uid), Some(TRACKING)),
                Claim::Keep => {
                    pods.push(pod);
                    continue;
                }
                Claim::Ignore => continue,
            };
            claims = true;
            plan.put(write);
        }
        // What comes next follows from whose they are then.
        if claims || !plan.is_empty() { Ok(plan) } else { Sync::new(job, pods, view).plan() }
    }

    fn refused(&self, key: &Key, view: &View, error: &WriteError) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let Some(job) = view.get_key::<Job>(key)? else { return Ok(plan) };
        if !error.write.target.is::<Pod>() || is_namespace_terminating(error) {
            return Ok(plan);
        }
        let (reason, what) = match error.write.operation {
            Operation::Create(_) => ("FailedCreate", "creating"),
            Operation::Delete(_) => ("FailedDelete", "deleting"),
            Operation::Update(_) | Operation::Patch(_) => return Ok(plan),
        };
        let note = format!("Error {what}: {}", reason_of(error));
        plan.record(EventRecord::warning(reference_to(&job), reason, note));
        Ok(plan)
    }
}

fn job_of(namespace: Option<&str>, name: &str) -> String {
    format!("{}/{name}", namespace.unwrap_or_default())
}

/// Deletes a Job that has been over for as long as it asks for.
fn delete_in_time(plan: &mut Plan, job: &Job, view: &View) {
    let ttl = job.spec.as_ref().and_then(|spec| spec.ttl_seconds_after_finished);
    let since = conditions::finished(job).and_then(|condition| condition.last_transition_time.as_ref());
    let (Some(ttl), Some(since), None) = (ttl, since, &job.metadata.deletion_timestamp) else { return };
    let left = remaining(since.0, ttl.into(), view.now());
    if left > Duration::ZERO {
        plan.requeue_after(left);
    } else {
        let uid = job.metadata.uid.as_deref().unwrap_or_default();
        plan.put(Write::delete(Key::of(job)).if_uid(uid).propagation(PropagationPolicy::Foreground));
    }
}
