//! Making and ending the Pods of a Job.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{
    Container, EnvVar, EnvVarSource, ObjectFieldSelector, Pod, PodTemplateSpec,
};
use xebec_coordinator::{BoxError, EventRecord, Key, Kind, Write, reference_to};

use super::backoff;
use super::failure_policy::{Verdict, judge};
use super::intervals::Intervals;
use super::pods::{
    COMPLETION_INDEX, INDEX_FAILURES, INDEX_IGNORED_FAILURES, TRACKING, index, index_failures, is_failed,
    is_indexed, is_succeeded, is_suspended, is_tracked, replaces_only_failed, uid, untrack, valid_index,
};
use super::sync::Sync;
use crate::controller::Writes;
use crate::naming::Names;
use crate::ownership::controller_reference;
use crate::replicaset::ranking::rank;
use crate::{pod, template};

/// At most this many Pods are made or ended in one plan.
const BURST: i32 = 500;
/// Generated names begin with at most this much.
const PREFIX_MAX: usize = 58;
/// Tells a container its completion index.
const INDEX_VARIABLE: &str = "JOB_COMPLETION_INDEX";

impl Sync<'_> {
    /// Ends all Pods that are active, because the Job is over. They stay until they are counted.
    pub(super) fn end_active(&mut self) {
        let active: Vec<Pod> = self.pods.iter().filter(|pod| pod::is_active(pod)).cloned().collect();
        for pod in &active {
            self.end(pod);
        }
    }

    fn end(&mut self, pod: &Pod) {
        let note = format!("Deleted pod: {}", pod.metadata.name.as_deref().unwrap_or_default());
        self.plan.put(Write::delete(Key::of(pod)).if_uid(uid(pod)));
        self.plan.record(EventRecord::normal(reference_to(&self.job), "SuccessfulDelete", note));
        self.active -= 1;
        self.ready -= i32::from(pod::is_ready(pod));
        self.terminating += 1;
    }

    /// Makes or ends Pods, so that as many are active as there should be.
    pub(super) fn manage(&mut self) -> Result<(), BoxError> {
        let parallelism = self.spec.parallelism.unwrap_or(1);
        let wanted = match self.spec.completions {
            _ if is_suspended(&self.spec) => 0,
            None if self.succeeded > 0 => self.active,
            None => parallelism,
            Some(completions) => (completions - self.succeeded).min(parallelism).max(0),
        };
        let excess = usize::try_from(self.active - wanted).unwrap_or_default();
        let surplus = self.surplus(excess);
        if !surplus.is_empty() {
            let limit = if is_suspended(&self.spec) { usize::MAX } else { BURST as usize };
            for pod in surplus.iter().take(limit) {
                // Nobody counts it: it may go at once.
                if is_tracked(pod) {
                    self.plan.put(untrack(pod));
                }
                self.end(pod);
            }
            return Ok(());
        }
        let replaced_later = if replaces_only_failed(&self.spec) { self.terminating } else { 0 };
        let missing = wanted - replaced_later - self.active;
        if missing > 0 && !is_suspended(&self.spec) { self.make(missing.min(BURST)) } else { Ok(()) }
    }

    /// The active Pods to end: those without a place, and so many in all, the least useful first.
    fn surplus(&self, at_least: usize) -> Vec<Pod> {
        let mut active: Vec<Pod> = self.pods.iter().filter(|pod| pod::is_active(pod)).cloned().collect();
        rank(&mut active, &[], self.now());
        let (mut surplus, mut left) = (Vec::new(), Vec::new());
        if is_indexed(&self.spec) {
            // Of each index the most useful one stays.
            let mut kept: BTreeSet<i32> = BTreeSet::new();
            for pod in active.into_iter().rev() {
                match valid_index(&pod, &self.spec) {
                    Some(index) if kept.insert(index) => left.push(pod),
                    _ => surplus.push(pod),
                }
            }
            left.reverse();
        } else {
            left = active;
        }
        let more = at_least.saturating_sub(surplus.len()).min(left.len());
        surplus.extend(left.drain(..more));
        surplus
    }

    fn make(&mut self, missing: i32) -> Result<(), BoxError> {
        if self.spec.backoff_limit_per_index.is_none() {
            let failed = self.pods.iter().filter(|pod| is_failed(pod, &self.spec));
            let wait =
                backoff::after_failures(failed, self.pods.iter().filter(|pod| is_succeeded(pod)), self.now());
            if wait > Duration::ZERO {
                self.plan.requeue_after(wait);
                return Ok(());
            }
        }
        let places: Vec<Option<i32>> = if is_indexed(&self.spec) {
            let indexes = self.free_indexes(missing as usize);
            self.without_waiting(indexes).into_iter().map(Some).collect()
        } else {
            vec![None; missing as usize]
        };
        let owner = controller_reference(&Kind::of::<Job>(), &self.job.metadata);
        let known = self.view.typed::<Pod>();
        let namespace = self.job.metadata.namespace.clone();
        let job_name = self.job.metadata.name.clone().unwrap_or_default();
        let mut taken = BTreeSet::new();
        for place in places {
            let template = self.template(place);
            let prefix = match place {
                None => format!("{job_name}-"),
                Some(index) => {
                    let ending = format!("-{index}-");
                    let start: String = job_name.chars().take(PREFIX_MAX - ending.len()).collect();
                    format!("{start}{ending}")
                }
            };
            let siblings = self.pods.iter().map(uid).chain(taken.iter().map(String::as_str));
            let mut names = Names::new(&self.job, &prefix, self.now()).among(siblings);
            let name =
                names.next(|name| taken.contains(name) || known.get(namespace.as_deref(), name).is_some());
            taken.insert(name.clone());
            let note = format!("Created pod: {name}");
            let pod = template::pod_of(&template, namespace.as_deref(), name, prefix, owner.clone());
            self.plan.put_new(&pod)?;
            self.plan.record(EventRecord::normal(reference_to(&self.job), "SuccessfulCreate", note));
            self.active += 1;
        }
        Ok(())
    }

    /// The first indexes that nobody has and nobody needs to have again.
    fn free_indexes(&self, count: usize) -> Vec<i32> {
        let blocks = |pod: &&Pod| {
            pod::is_active(pod)
                || (replaces_only_failed(&self.spec) && pod::is_terminating(pod) && !pod::is_finished(pod))
        };
        let held = Intervals::of_indexes(self.pods.iter().filter(blocks).filter_map(index));
        let mut taken = self.succeeded_indexes.with(&held);
        if let Some(failed) = &self.failed_indexes {
            taken = taken.with(failed);
        }
        taken.missing(count, self.spec.completions.unwrap_or_default())
    }

    /// Those of the indexes that need not wait after failures of their own; if all must, when the first may go on.
    fn without_waiting(&mut self, indexes: Vec<i32>) -> Vec<i32> {
        let now = self.now();
        let wait = |index: &i32| {
            let Some(pod) = self.to_replace.get(index) else { return Duration::ZERO };
            let (counted, ignored) = index_failures(pod);
            backoff::remaining(counted + ignored + 1, backoff::finished_at(pod), now)
        };
        let (ready, waiting): (Vec<i32>, Vec<i32>) =
            indexes.into_iter().partition(|index| wait(index) == Duration::ZERO);
        let soonest = waiting.iter().map(wait).min();
        if let Some(soonest) = soonest {
            self.plan.requeue_after(soonest);
        }
        ready
    }

    /// The template of a Pod, for an index or for none.
    fn template(&self, place: Option<i32>) -> PodTemplateSpec {
        let mut template = self.spec.template.clone();
        let meta = template.metadata.get_or_insert_default();
        let finalizers = meta.finalizers.get_or_insert_default();
        if !finalizers.iter().any(|finalizer| finalizer == TRACKING) {
            finalizers.push(TRACKING.to_owned());
        }
        let Some(place) = place else { return template };
        meta.labels.get_or_insert_default().insert(COMPLETION_INDEX.to_owned(), place.to_string());
        let annotations = meta.annotations.get_or_insert_default();
        annotations.insert(COMPLETION_INDEX.to_owned(), place.to_string());
        if self.spec.backoff_limit_per_index.is_some() {
            let (counted, ignored) = self.failures_before(place);
            annotations.insert(INDEX_FAILURES.to_owned(), counted.to_string());
            if ignored > 0 {
                annotations.insert(INDEX_IGNORED_FAILURES.to_owned(), ignored.to_string());
            }
        }
        if let Some(spec) = &mut template.spec {
            spec.hostname =
                Some(format!("{}-{place}", self.job.metadata.name.as_deref().unwrap_or_default()));
            let init_containers = spec.init_containers.iter_mut().flatten();
            init_containers.chain(&mut spec.containers).for_each(tell_index);
        }
        template
    }

    /// How often an index has failed, by the Pod that is replaced.
    fn failures_before(&self, index: i32) -> (i32, i32) {
        let Some(pod) = self.to_replace.get(&index) else { return (0, 0) };
        let (counted, ignored) = index_failures(pod);
        match judge(self.spec.pod_failure_policy.as_ref(), pod) {
            Verdict::Ignore => (counted, ignored + 1),
            _ => (counted + 1, ignored),
        }
    }
}

fn tell_index(container: &mut Container) {
    let variables = container.env.get_or_insert_default();
    if variables.iter().any(|variable| variable.name == INDEX_VARIABLE) {
        return;
    }
    variables.push(EnvVar {
        name: INDEX_VARIABLE.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                api_version: None,
                field_path: format!("metadata.labels['{COMPLETION_INDEX}']"),
            }),
            ..EnvVarSource::default()
        }),
    });
}
