//! Keeps as many Pods as a ReplicaSet, or a ReplicationController, asks for.
//!
//! Pods that match the selector and have no controller are adopted, those that no longer match are let go; then Pods are
//! created from the template or the least useful ones deleted. The status counts what was there before.

#[cfg(test)]
mod cases;
pub(crate) mod ranking;
mod replicated;
mod status;
#[cfg(test)]
mod tests;

use std::marker::PhantomData;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{Pod, ReplicationController};
use kube::core::Selector;
use xebec_coordinator::{
    BoxError, Event, EventRecord, Index, Key, Kind, Observer, ObserverSpec, Operation, Plan, Right, View,
    Watch, Write, WriteError, default_wake, reference_to,
};

use crate::controller::{Writes, is_namespace_terminating, reason_of};
use crate::naming::Names;
use crate::ownership::{
    Claim, adopt, adopters, candidates, claim, controller_reference, orphans, release, selector_of, selects,
};
use crate::replicaset::replicated::Replicated;
use crate::replicaset::status::Failure;
use crate::{pod, template};

/// At most this many Pods are created or deleted in one plan.
const BURST: usize = 500;
/// The index over sets by what controls them: the Pods of one Deployment crowd each other's nodes.
const BY_CONTROLLER: &str = "by-controller";

/// Keeps as many Pods as each object of kind `K` asks for.
pub struct ReplicaController<K>(PhantomData<fn() -> K>);

/// The controller of ReplicaSets.
pub type ReplicaSetController = ReplicaController<ReplicaSet>;
/// The controller of ReplicationControllers.
pub type ReplicationManager = ReplicaController<ReplicationController>;

impl<K> Default for ReplicaController<K> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

/// The Pods of a set, by what is to become of them.
struct Pods {
    /// They count as replicas.
    active: Vec<Pod>,
    /// Their deletion was asked for.
    terminating: usize,
    /// To make them, or cease to be, the set's.
    claims: Vec<Write>,
}

impl<K: Replicated> Observer for ReplicaController<K> {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new(K::NAME, K::DESCRIPTION)
            .reports_as(K::COMPONENT)
            .watch(Watch::of::<K>())
            .watch(Watch::of::<Pod>())
            .index(orphans::<Pod>())
            .index(Index::over_objects(BY_CONTROLLER, Kind::of::<K>(), |set| {
                set.controller().map(|owner| owner.uid().to_owned()).into_iter().collect()
            }))
            .right(Right::to::<Pod>(&["create", "delete", "patch"]))
            .right(Right::to_subresource::<K>("status", &["update"]))
            .concurrency(5)
    }

    fn wake(&self, event: &Event, view: &View) -> Vec<Key> {
        let mut keys = default_wake(event, view);
        if event.key().is::<Pod>() {
            keys.extend(adopters::<K>(event, view, |owner| {
                owner.as_replica_set().spec.and_then(|spec| selector_of(&spec.selector))
            }));
        }
        keys
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let Some(object) = view.get_key::<K>(key)? else { return Ok(plan) };
        let set = object.as_replica_set();
        let Some(selector) = set.spec.as_ref().and_then(|spec| selector_of(&spec.selector)) else {
            return Ok(plan);
        };
        let pods = Self::pods(&set, &selector, view)?;
        for write in &pods.claims {
            plan.put(write.clone());
        }
        if set.metadata.deletion_timestamp.is_none() {
            Self::manage(&mut plan, &object, &set, &pods.active, view)?;
        }
        let status = Self::status(&set, &pods, None, view.now());
        if let Some(wait) = next_availability(&set, &pods.active, &status, view.now()) {
            plan.requeue_after(wait);
        }
        if set.status.as_ref() != Some(&status) {
            plan.put_status(&object.with_status(status))?;
        }
        Ok(plan)
    }

    fn refused(&self, key: &Key, view: &View, error: &WriteError) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let Some(object) = view.get_key::<K>(key)? else { return Ok(plan) };
        if !error.write.target.is::<Pod>() || is_namespace_terminating(error) {
            return Ok(plan);
        }
        let why = reason_of(error);
        let failure = match error.write.operation {
            Operation::Create(_) => {
                let note = format!("Error creating: {why}");
                plan.record(EventRecord::warning(reference_to(&object), "FailedCreate", note));
                Failure { reason: "FailedCreate", message: why }
            }
            Operation::Delete(_) => {
                let note = format!("Error deleting: {why}");
                plan.record(EventRecord::warning(reference_to(&object), "FailedDelete", note));
                Failure { reason: "FailedDelete", message: format!("unable to delete pods: {why}") }
            }
            Operation::Update(_) | Operation::Patch(_) => return Ok(plan),
        };
        let set = object.as_replica_set();
        let Some(selector) = set.spec.as_ref().and_then(|spec| selector_of(&spec.selector)) else {
            return Ok(plan);
        };
        let pods = Self::pods(&set, &selector, view)?;
        let status = Self::status(&set, &pods, Some(failure), view.now());
        if set.status.as_ref() != Some(&status) {
            plan.put_status(&object.with_status(status))?;
        }
        Ok(plan)
    }
}

impl<K: Replicated> ReplicaController<K> {
    fn pods(set: &ReplicaSet, selector: &Selector, view: &View) -> Result<Pods, BoxError> {
        let owner = controller_reference(&Kind::of::<K>(), &set.metadata);
        let mut pods = Pods { active: Vec::new(), terminating: 0, claims: Vec::new() };
        let candidates = candidates::<Pod>(&set.metadata, selector, view)?;
        for candidate in candidates.into_iter().filter(|pod| !pod::is_finished(pod)) {
            let claim = claim(&set.metadata, &candidate.metadata, selects(selector, &candidate.metadata));
            if pod::is_terminating(&candidate) {
                pods.terminating += usize::from(claim == Claim::Keep);
                continue;
            }
            let (key, seen) = (Key::of(&candidate), &candidate.metadata);
            match claim {
                Claim::Adopt => pods.claims.push(adopt(key, seen, &owner, None)),
                Claim::Release => pods.claims.push(release(key, seen, Some(&owner.uid), None)),
                Claim::Keep | Claim::Ignore => {}
            }
            if matches!(claim, Claim::Keep | Claim::Adopt) {
                pods.active.push(candidate);
            }
        }
        Ok(pods)
    }

    fn status(set: &ReplicaSet, pods: &Pods, failure: Option<Failure>, now: Timestamp) -> ReplicaSetStatus {
        let active: Vec<&Pod> = pods.active.iter().collect();
        let terminating = K::COUNTS_TERMINATING.then_some(pods.terminating);
        status::status(set, &active, terminating, failure, now)
    }

    fn manage(
        plan: &mut Plan,
        object: &K,
        set: &ReplicaSet,
        active: &[Pod],
        view: &View,
    ) -> Result<(), BoxError> {
        let Some(spec) = &set.spec else { return Ok(()) };
        let wanted = usize::try_from(spec.replicas.unwrap_or(1)).unwrap_or_default();
        let regarding = reference_to(object);
        if active.len() < wanted {
            let owner = controller_reference(&Kind::of::<K>(), &set.metadata);
            let template = spec.template.clone().unwrap_or_default();
            let prefix = format!("{}-", set.metadata.name.as_deref().unwrap_or_default());
            let namespace = set.metadata.namespace.as_deref();
            let known = view.typed::<Pod>();
            let siblings = active.iter().filter_map(|pod| pod.metadata.uid.as_deref());
            let mut names = Names::new(object, &prefix, view.now()).among(siblings);
            for _ in 0..(wanted - active.len()).min(BURST) {
                let name = names.next(|name| known.get(namespace, name).is_some());
                let note = format!("Created pod: {name}");
                plan.put_new(&template::pod_of(&template, namespace, name, prefix.clone(), owner.clone()))?;
                plan.record(EventRecord::normal(regarding.clone(), "SuccessfulCreate", note));
            }
        } else if active.len() > wanted {
            let excess = (active.len() - wanted).min(BURST);
            let mut pods = active.to_vec();
            if wanted > 0 {
                let related = Self::related(set, view)?;
                ranking::rank(&mut pods, &related, view.now());
            }
            for pod in &pods[..excess] {
                let uid = pod.metadata.uid.as_deref().unwrap_or_default();
                let note = format!("Deleted pod: {}", pod.metadata.name.as_deref().unwrap_or_default());
                plan.put(Write::delete(Key::of(pod)).if_uid(uid));
                plan.record(EventRecord::normal(regarding.clone(), "SuccessfulDelete", note));
            }
        }
        Ok(())
    }

    /// The Pods of all sets that have the same controller as this one.
    fn related(set: &ReplicaSet, view: &View) -> Result<Vec<Pod>, BoxError> {
        let Some(controller) = crate::ownership::controller_of(&set.metadata) else { return Ok(Vec::new()) };
        let mut pods = Vec::new();
        for sibling in view.typed::<K>().by_index(BY_CONTROLLER, &controller.uid) {
            pods.extend(view.controlled_by::<Pod>(sibling.uid())?);
        }
        Ok(pods)
    }
}

/// When the next Pod will have been ready for long enough.
fn next_availability(
    set: &ReplicaSet,
    active: &[Pod],
    status: &ReplicaSetStatus,
    now: Timestamp,
) -> Option<Duration> {
    let min_ready = set.spec.as_ref()?.min_ready_seconds.filter(|seconds| *seconds > 0)?;
    if status.available_replicas == status.ready_replicas {
        return None;
    }
    let waits = active.iter().filter_map(|pod| pod::available_in(pod, min_ready, now));
    waits.filter(SignedDuration::is_positive).min().and_then(|wait| Duration::try_from(wait).ok())
}
