//! Tells of each PodDisruptionBudget how many Pods it can spare: evictions go by it.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, ReplicationController};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, OwnerReference, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::Selector;
use xebec_coordinator::{
    BoxError, Event, EventRecord, Key, Kind, Object, Observer, ObserverSpec, Plan, Right, View, Watch,
    reference_to,
};

use crate::controller::Writes;
use crate::deployment::scaled;
use crate::ownership::{controller_of, selector_of};
use crate::pod;
use crate::time::{remaining, stamp};

/// For how long an evicted Pod counts as gone without being so.
const DELETION_TIMEOUT: SignedDuration = SignedDuration::from_mins(2);
/// The condition that says whether Pods can be spared.
const ALLOWED: &str = "DisruptionAllowed";

/// Keeps the status of PodDisruptionBudgets.
#[derive(Debug, Default)]
pub struct DisruptionController;

/// It cannot be said how many Pods there should be.
#[derive(Debug, thiserror::Error)]
enum Unknown {
    #[error("found no controllers for pod {0:?}")]
    NoController(String),
    #[error("{0} does not implement the scale subresource")]
    NoScale(String),
}

/// How many Pods there should be, and of these healthy ones.
struct Expected {
    pods: i32,
    healthy: i32,
    /// Some have no controller that would say how many there should be.
    unmanaged: bool,
}

impl Observer for DisruptionController {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("disruption", "tells how many Pods each PodDisruptionBudget can spare")
            .reports_as("controllermanager")
            .watch(Watch::of::<PodDisruptionBudget>())
            .watch(Watch::of::<Pod>())
            .watch(Watch::of::<ReplicaSet>())
            .watch(Watch::of::<Deployment>())
            .watch(Watch::of::<ReplicationController>())
            .watch(Watch::of::<StatefulSet>())
            .right(Right::to_subresource::<PodDisruptionBudget>("status", &["update"]))
    }

    fn wake(&self, event: &Event, view: &View) -> Vec<Key> {
        let key = event.key();
        if key.is::<PodDisruptionBudget>() {
            return vec![key.clone()];
        }
        let budgets = view.typed::<PodDisruptionBudget>().list(key.namespace());
        if !key.is::<Pod>() {
            // How many Pods there should be may have changed, or be known only now.
            return budgets.iter().map(|budget| budget.key().clone()).collect();
        }
        let selects = |budget: &&Object| {
            let selector = budget.decode().ok().as_ref().and_then(selector);
            selector.is_some_and(|selector| event.states().any(|state| state.selected_by(&selector)))
        };
        budgets.iter().filter(selects).map(|budget| budget.key().clone()).collect()
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let Some(mut budget) = view.get_key::<PodDisruptionBudget>(key)? else { return Ok(plan) };
        let regarding = reference_to(&budget);
        let pods = pods_of(&budget, view)?;
        let before = budget.status.clone();
        let mut notes = Vec::new();
        if pods.is_empty() {
            notes.push(EventRecord::normal(regarding.clone(), "NoPods", "No matching pods found"));
        }
        match expected(&budget, &pods, view)? {
            Ok(expected) => {
                if expected.unmanaged {
                    let note = "Pods selected by this PodDisruptionBudget were found to be unmanaged. As a result, the \
                        status of the PDB cannot be calculated correctly, which may result in undefined behavior. To \
                        account for these pods please set \".spec.minAvailable\" field of the PDB to an integer value.";
                    notes.push(EventRecord::warning(regarding, "UnmanagedPods", note));
                }
                let disrupted = disrupted(&mut plan, &budget, &pods, view.now());
                budget.status = Some(status(&budget, &pods, &expected, disrupted, view.now()));
            }
            Err(unknown) => {
                let note = format!("Failed to calculate the number of expected pods: {unknown}");
                notes.push(EventRecord::warning(regarding, "CalculateExpectedPodCountFailed", note));
                let generation = budget.metadata.generation;
                let status = budget.status.get_or_insert_default();
                status.disruptions_allowed = Some(0); // rather none than one too many
                status.observed_generation = generation;
                set_condition(status, "False", "SyncFailed", unknown.to_string(), view.now());
            }
        }
        if budget.status != before {
            plan.put_status(&budget)?;
            for note in notes {
                plan.record(note);
            }
        }
        Ok(plan)
    }
}

fn selector(budget: &PodDisruptionBudget) -> Option<Selector> {
    selector_of(budget.spec.as_ref()?.selector.as_ref()?)
}

/// The Pods that a budget is about. Without a selector it is about none, with an empty one about all.
fn pods_of(budget: &PodDisruptionBudget, view: &View) -> Result<Vec<Pod>, BoxError> {
    let Some(selector) = selector(budget) else { return Ok(Vec::new()) };
    let candidates = view.typed::<Pod>().list(budget.metadata.namespace.as_deref().unwrap_or_default());
    let selected = candidates.iter().filter(|pod| pod.selected_by(&selector));
    Ok(selected.map(Object::decode).collect::<Result<_, _>>()?)
}

/// How many Pods there should be by a budget.
fn expected(
    budget: &PodDisruptionBudget,
    pods: &[Pod],
    view: &View,
) -> Result<Result<Expected, Unknown>, BoxError> {
    let PodDisruptionBudgetSpec { max_unavailable, min_available, .. } =
        budget.spec.clone().unwrap_or_default();
    if let (None, Some(IntOrString::Int(healthy))) = (&max_unavailable, &min_available) {
        let pods = i32::try_from(pods.len()).unwrap_or(i32::MAX);
        return Ok(Ok(Expected { pods, healthy: *healthy, unmanaged: false }));
    }
    if max_unavailable.is_none() && min_available.is_none() {
        return Ok(Ok(Expected { pods: 0, healthy: 0, unmanaged: false }));
    }
    let (sum, unmanaged) = match scale(pods, view)? {
        Ok(scale) => scale,
        Err(unknown) => return Ok(Err(unknown)),
    };
    let healthy = match max_unavailable {
        Some(unavailable) => (sum - scaled(Some(&unavailable), sum, true)).max(0),
        None => scaled(min_available.as_ref(), sum, true),
    };
    Ok(Ok(Expected { pods: sum, healthy, unmanaged }))
}

/// How many Pods the controllers of these want in all, and whether some have none.
fn scale(pods: &[Pod], view: &View) -> Result<Result<(i32, bool), Unknown>, BoxError> {
    let mut unmanaged = false;
    let mut scales: BTreeMap<String, i32> = BTreeMap::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for pod in pods {
        let Some(owner) = controller_of(&pod.metadata) else {
            unmanaged = true;
            continue;
        };
        if !seen.insert(&owner.uid) {
            continue;
        }
        match scale_of(owner, pod.metadata.namespace.as_deref(), view)? {
            Ok(Some((uid, replicas))) => {
                scales.insert(uid, replicas);
            }
            Ok(None) => {
                return Ok(Err(Unknown::NoController(pod.metadata.name.clone().unwrap_or_default())));
            }
            Err(unknown) => return Ok(Err(unknown)),
        }
    }
    Ok(Ok((scales.values().sum(), unmanaged)))
}

/// The unique id of what decides how many Pods a controller has, and how many; none if it is gone.
fn scale_of(
    owner: &OwnerReference,
    namespace: Option<&str>,
    view: &View,
) -> Result<Result<Option<(String, i32)>, Unknown>, BoxError> {
    let is = |kind: Kind| kind.names(&owner.api_version, &owner.kind);
    let found = if is(Kind::of::<ReplicaSet>()) {
        let set = view
            .get::<ReplicaSet>(namespace, &owner.name)?
            .filter(|set| set.metadata.uid.as_ref() == Some(&owner.uid));
        let above = set.as_ref().and_then(|set| controller_of(&set.metadata));
        let deployments = Kind::of::<Deployment>();
        match above.filter(|above| deployments.names(&above.api_version, &above.kind)) {
            Some(above) => {
                let deployment = view.get::<Deployment>(namespace, &above.name)?;
                deployment
                    .filter(|deployment| deployment.metadata.uid.as_ref() == Some(&above.uid))
                    .map(|deployment| (above.uid.clone(), deployment.spec.and_then(|spec| spec.replicas)))
            }
            None => set.map(|set| (owner.uid.clone(), set.spec.and_then(|spec| spec.replicas))),
        }
    } else if is(Kind::of::<ReplicationController>()) {
        let found = view.get::<ReplicationController>(namespace, &owner.name)?;
        let found = found.filter(|found| found.metadata.uid.as_ref() == Some(&owner.uid));
        found.map(|found| (owner.uid.clone(), found.spec.and_then(|spec| spec.replicas)))
    } else if is(Kind::of::<StatefulSet>()) {
        let found = view.get::<StatefulSet>(namespace, &owner.name)?;
        let found = found.filter(|found| found.metadata.uid.as_ref() == Some(&owner.uid));
        found.map(|found| (owner.uid.clone(), found.spec.and_then(|spec| spec.replicas)))
    } else {
        return Ok(Err(Unknown::NoScale(format!("{}/{}", owner.api_version, owner.kind))));
    };
    Ok(Ok(found.map(|(uid, replicas)| (uid, replicas.unwrap_or(1)))))
}

/// The Pods that were evicted and will be gone soon.
fn disrupted(
    plan: &mut Plan,
    budget: &PodDisruptionBudget,
    pods: &[Pod],
    now: Timestamp,
) -> BTreeMap<String, Time> {
    let mut still = BTreeMap::new();
    let Some(known) = budget.status.as_ref().and_then(|status| status.disrupted_pods.as_ref()) else {
        return still;
    };
    for pod in pods.iter().filter(|pod| !pod::is_terminating(pod)) {
        let name = pod.metadata.name.clone().unwrap_or_default();
        let Some(time) = known.get(&name) else { continue };
        let left = remaining(time.0, DELETION_TIMEOUT.as_secs(), now);
        if left == Duration::ZERO {
            let [namespace, name] = [&budget.metadata.namespace, &budget.metadata.name]
                .map(|part| part.clone().unwrap_or_default());
            let note = format!("Pod was expected by PDB {namespace}/{name} to be deleted but it wasn't");
            plan.record(EventRecord::warning(reference_to(pod), "NotDeleted", note));
        } else {
            plan.requeue_after(left);
            still.insert(name, time.clone());
        }
    }
    still
}

fn status(
    budget: &PodDisruptionBudget,
    pods: &[Pod],
    expected: &Expected,
    disrupted: BTreeMap<String, Time>,
    now: Timestamp,
) -> PodDisruptionBudgetStatus {
    let is_healthy = |pod: &&Pod| {
        let leaves = pod.metadata.name.as_ref().is_some_and(|name| disrupted.contains_key(name));
        !pod::is_terminating(pod) && !leaves && pod::is_ready(pod)
    };
    let healthy = pods.iter().filter(is_healthy).count() as i32;
    let spare = if expected.pods > 0 { (healthy - expected.healthy).max(0) } else { 0 };
    let mut status = PodDisruptionBudgetStatus {
        conditions: budget.status.as_ref().and_then(|status| status.conditions.clone()),
        current_healthy: Some(healthy),
        desired_healthy: Some(expected.healthy),
        disrupted_pods: Some(disrupted).filter(|disrupted| !disrupted.is_empty()),
        disruptions_allowed: Some(spare),
        expected_pods: Some(expected.pods),
        observed_generation: budget.metadata.generation,
    };
    let (value, reason) = if spare > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    set_condition(&mut status, value, reason, String::new(), now);
    status
}

fn set_condition(
    status: &mut PodDisruptionBudgetStatus,
    value: &str,
    reason: &str,
    message: String,
    now: Timestamp,
) {
    let observed_generation = status.observed_generation;
    let conditions = status.conditions.get_or_insert_default();
    let known = conditions.iter().position(|condition| condition.type_ == ALLOWED);
    let same = known.map(|place| &conditions[place]).filter(|known| known.status == value);
    let condition = Condition {
        last_transition_time: same.map_or_else(|| stamp(now), |known| known.last_transition_time.clone()),
        message,
        observed_generation,
        reason: reason.to_owned(),
        status: value.to_owned(),
        type_: ALLOWED.to_owned(),
    };
    match known {
        Some(place) => conditions[place] = condition,
        None => conditions.push(condition),
    }
}
