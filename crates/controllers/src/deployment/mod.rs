//! Rolls out Deployments: a ReplicaSet for each template, scaled so that the new ones replace the old.

mod annotations;
mod conditions;
mod fenceposts;
mod rollout;
mod scale;
mod sets;
mod status;
#[cfg(test)]
mod tests;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use xebec_coordinator::{
    BoxError, Event, EventRecord, Key, Kind, Observer, ObserverSpec, Operation, Plan, Right, View, Watch,
    WriteError, default_wake, reference_to,
};

use self::rollout::Rollout;
use crate::controller::{Writes, is_namespace_terminating, reason_of};
use crate::ownership::{
    Claim, adopt, adopters, candidates, claim, controller_reference, orphans, release, selector_of, selects,
};
pub(crate) use fenceposts::scaled;

/// Rolls out Deployments.
#[derive(Debug, Default)]
pub struct DeploymentController;

impl Observer for DeploymentController {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("deployment", "rolls out Deployments through ReplicaSets")
            .reports_as("deployment-controller")
            .watch(Watch::of::<Deployment>())
            .watch(Watch::of::<ReplicaSet>())
            .watch(Watch::of::<Pod>())
            .index(orphans::<ReplicaSet>())
            .right(Right::to::<ReplicaSet>(&["create", "delete", "patch", "update"]))
            .right(Right::to_subresource::<Deployment>("status", &["update"]))
            .concurrency(5)
    }

    fn wake(&self, event: &Event, view: &View) -> Vec<Key> {
        if event.key().is::<Pod>() {
            return if event.is_deleted() { waiting_for_pod(event, view) } else { Vec::new() };
        }
        let mut keys = default_wake(event, view);
        if event.key().is::<ReplicaSet>() {
            keys.extend(adopters::<Deployment>(event, view, |owner| {
                selector_of(&owner.spec.as_ref()?.selector)
            }));
        }
        keys
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let Some(deployment) = view.get_key::<Deployment>(key)? else { return Ok(plan) };
        let selector = deployment.spec.as_ref().and_then(|spec| selector_of(&spec.selector));
        let Some(selector) = selector else { return Ok(plan) };
        if selector.selects_all() {
            selects_everything(&mut plan, deployment)?;
            return Ok(plan);
        }
        let owner = controller_reference(&Kind::of::<Deployment>(), &deployment.metadata);
        let mut sets: Vec<ReplicaSet> = Vec::new();
        let candidates = candidates::<ReplicaSet>(&deployment.metadata, &selector, view)?;
        for candidate in candidates {
            let (target, seen) = (Key::of(&candidate), &candidate.metadata);
            match claim(&deployment.metadata, &candidate.metadata, selects(&selector, &candidate.metadata)) {
                Claim::Keep => sets.push(candidate),
                Claim::Adopt => {
                    plan.put(adopt(target, seen, &owner, None));
                }
                Claim::Release => {
                    plan.put(release(target, seen, Some(&owner.uid), None));
                }
                Claim::Ignore => {}
            }
        }
        if !plan.is_empty() {
            return Ok(plan); // what comes next follows from whose they are then
        }
        Rollout::new(deployment, sets, view).plan()
    }

    fn refused(&self, key: &Key, view: &View, error: &WriteError) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let Some(mut deployment) = view.get_key::<Deployment>(key)? else { return Ok(plan) };
        let is_create = matches!(error.write.operation, Operation::Create(_));
        let exists = error.status().is_some_and(|status| status.reason == "AlreadyExists");
        if !is_create || exists || is_namespace_terminating(error) {
            return Ok(plan);
        }
        let note =
            format!("Failed to create new replica set {:?}: {}", error.write.target.name(), reason_of(error));
        let reason = "ReplicaSetCreateError";
        plan.record(EventRecord::warning(reference_to(&deployment), reason, note.clone()));
        if status::progress_deadline(&deployment).is_some() {
            let condition = conditions::new(conditions::PROGRESSING, "False", reason, note, view.now());
            let before = deployment.status.clone();
            conditions::set(deployment.status.get_or_insert_default(), condition);
            if before != deployment.status {
                plan.put_status(&deployment)?;
            }
        }
        Ok(plan)
    }
}

/// A Deployment that would own every ReplicaSet there is does nothing.
fn selects_everything(plan: &mut Plan, mut deployment: Deployment) -> Result<(), BoxError> {
    let note = "This deployment is selecting all pods. A non-empty selector is required.";
    plan.record(EventRecord::warning(reference_to(&deployment), "SelectingAll", note));
    let generation = deployment.metadata.generation;
    let status = deployment.status.get_or_insert_default();
    if status.observed_generation < generation {
        status.observed_generation = generation;
        plan.put_status(&deployment)?;
    }
    Ok(())
}

/// The Deployment that waits for this Pod to be gone before it makes new ones.
fn waiting_for_pod(event: &Event, view: &View) -> Vec<Key> {
    let sets = event.controller_keys(&Kind::of::<ReplicaSet>());
    let sets = sets.iter().filter_map(|key| view.object(key));
    let owners = sets.filter_map(|set| Some((set.controller()?, set.namespace())));
    let keys = owners.map(|(owner, namespace)| Key::new::<Deployment>(namespace, owner.name()));
    keys.filter(|key| {
        let deployment = view.get_key::<Deployment>(key).ok().flatten();
        deployment.is_some_and(|deployment| !fenceposts::Fenceposts::of(&deployment).rolling)
    })
    .collect()
}
