//! Binds Pods to nodes: what kube-scheduler does.
//!
//! A Pod is bound to the best of the nodes that can take it; one that fits nowhere says why, and is looked at again
//! when something changes that may help. All plans are made one after the other, each on a view that has the bindings
//! before it, so that no node is given more than it has. Pods are not preempted.

mod affinity;
mod demand;
mod filter;
mod memo;
mod neighbours;
mod quantity;
mod score;
mod verdict;

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Node, Pod, PodCondition};
use serde_json::{Value, json};
use xebec_coordinator::{
    BoxError, Event, EventRecord, Freshness, Index, Key, Kind, Object, Observer, ObserverSpec, Plan, Right,
    View, Watch, Write,
};

use filter::Usage;
use memo::{Facts, Memo};
use neighbours::{Constraints, Namespaces, Neighbour};
use score::Candidate;
use verdict::Refusal;

/// The Pods that name this scheduler are its own.
const NAME: &str = "default-scheduler";
/// By this index Pods are found by the node they take up.
const BY_NODE: &str = "node";
/// By this index the Pods are found that wait for a node.
const WAITING: &str = "waiting";
/// Of them, all, and those for which it counts where other Pods are.
const ALL: &str = "all";
const MINDING_OTHERS: &str = "minding others";

/// Binds Pods to nodes.
#[derive(Debug, Default)]
pub struct Scheduler {
    pods: Memo,
}

/// A node with the Pods on it.
struct Place {
    node: Node,
    name: String,
    usage: Usage,
    pods: Vec<Arc<Facts>>,
}

impl Observer for Scheduler {
    fn spec(&self) -> ObserverSpec {
        let by_node = Index::over_values(BY_NODE, Kind::of::<Pod>(), |pod| {
            let node = text(pod, "/spec/nodeName").filter(|_| !has_ended(pod));
            node.map(str::to_owned).into_iter().collect()
        });
        let waiting = Index::over_values(WAITING, Kind::of::<Pod>(), |pod| {
            let affinity = |kind| pod.pointer(kind).is_some_and(|affinity| !affinity.is_null());
            let minds = [
                "/spec/affinity/podAffinity",
                "/spec/affinity/podAntiAffinity",
                "/spec/topologySpreadConstraints",
            ];
            let values = [(true, ALL), (minds.into_iter().any(affinity), MINDING_OTHERS)];
            let values = values.into_iter().filter(|(is, _)| *is && waits(pod));
            values.map(|(_, value)| value.to_owned()).collect()
        });
        ObserverSpec::new("scheduler", "binds pods to nodes")
            .watch(Watch::of::<Pod>())
            .watch(Watch::of::<Node>())
            .watch(Watch::of::<Namespace>())
            .index(by_node)
            .index(waiting)
            .right(Right::to_subresource::<Pod>("binding", &["create"]))
            .right(Right::to_subresource::<Pod>("status", &["patch"]))
            .freshness(Freshness::Observer)
            .reports_as(NAME)
    }

    fn wake(&self, event: &Event, view: &View) -> Vec<Key> {
        let waiting = |which| view.typed::<Pod>().keys_by_index(WAITING, which);
        let key = event.key();
        if key.is::<Node>() {
            return if may_help(event) { waiting(ALL) } else { Vec::new() };
        }
        if key.is::<Namespace>() {
            let labels = |object: &Object| {
                object.labels().map(|(k, v)| (k.to_owned(), v.to_owned())).collect::<Vec<_>>()
            };
            let changed = event.old().map(labels) != event.new().map(labels);
            return if changed { waiting(MINDING_OTHERS) } else { Vec::new() };
        }
        if event.is_deleted() {
            self.pods.forget(key);
        }
        // One that cannot be decoded is an error when it is planned.
        let states =
            |object: Option<&Object>| object.and_then(|object| object.to_value().ok()).unwrap_or_default();
        let (old, new) = (states(event.old()), states(event.new()));
        if !event.is_deleted() && (new.is_null() || waits(&new)) {
            return vec![key.clone()];
        }
        let takes_up = |pod: &Value| text(pod, "/spec/nodeName").is_some() && !has_ended(pod);
        if takes_up(&old) && (event.is_deleted() || !takes_up(&new)) {
            return waiting(ALL);
        }
        let labels = |pod: &Value| pod.pointer("/metadata/labels").cloned();
        if !takes_up(&old) || labels(&old) != labels(&new) {
            return waiting(MINDING_OTHERS);
        }
        Vec::new()
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let Some(object) = view.object(key) else { return Ok(plan) };
        if !waits(&object.to_value()?) {
            return Ok(plan);
        }
        let pod: Pod = object.decode()?;
        match self.choose(object, &pod, view)? {
            Ok(node) => bind(&mut plan, object, &node),
            Err(message) => refuse(&mut plan, object, &pod, view, message),
        }
        Ok(plan)
    }
}

impl Scheduler {
    /// The node for a Pod, or why there is none.
    fn choose(&self, object: &Object, pod: &Pod, view: &View) -> Result<Result<String, String>, BoxError> {
        let facts = self.pods.of(object)?;
        let spec = pod.spec.clone().unwrap_or_default();
        let places = self.places(view)?;
        let namespaces = if facts.sociability.minds_others() || keeps_away(&places) {
            namespaces(view)
        } else {
            Namespaces::new()
        };
        let neighbours: Vec<Neighbour> = places
            .iter()
            .flat_map(|place| {
                place.pods.iter().map(|pod| Neighbour { pod: &pod.sociability, node: &place.node })
            })
            .filter(|neighbour| facts.sociability.minds_others() || neighbour.pod.keeps_others_away())
            .collect();
        let nodes: Vec<&Node> = places.iter().map(|place| &place.node).collect();
        let constraints = Constraints::of(&facts.sociability, &spec, &nodes, &neighbours, &namespaces);
        let (mut candidates, mut refusals) = (Vec::new(), Vec::new());
        for place in &places {
            let checked = filter::check(&spec, &facts.demand, &place.node, &place.usage);
            match checked.and_then(|()| constraints.check(&place.node, &namespaces)) {
                Ok(()) => candidates.push(place.candidate(facts.controller.as_deref())),
                Err(rejection) => {
                    let has_victims = place.pods.iter().any(|pod| pod.priority < facts.priority);
                    refusals.push(Refusal { rejection, has_victims });
                }
            }
        }
        let never_preempts = spec.preemption_policy.as_deref() == Some("Never");
        Ok(score::best(&spec, &facts.demand, &candidates)
            .map(str::to_owned)
            .ok_or_else(|| verdict::message(&refusals, never_preempts)))
    }

    fn places(&self, view: &View) -> Result<Vec<Place>, BoxError> {
        let pods = view.typed::<Pod>();
        let places = view.typed::<Node>().list(None).into_iter().map(|node| {
            let mut usage = Usage::default();
            let mut facts = Vec::new();
            for pod in pods.by_index(BY_NODE, node.name()) {
                let pod = self.pods.of(&pod)?;
                usage.add(&pod.demand);
                facts.push(pod);
            }
            Ok(Place { name: node.name().to_owned(), node: node.decode()?, usage, pods: facts })
        });
        places.collect()
    }
}

impl Place {
    fn candidate(&self, controller: Option<&str>) -> Candidate<'_> {
        let siblings =
            self.pods.iter().filter(|pod| controller.is_some() && pod.controller.as_deref() == controller);
        let siblings = i64::try_from(siblings.count()).unwrap_or(i64::MAX);
        Candidate { node: &self.node, name: &self.name, usage: &self.usage, siblings }
    }
}

fn keeps_away(places: &[Place]) -> bool {
    places.iter().any(|place| place.pods.iter().any(|pod| pod.sociability.keeps_others_away()))
}

fn namespaces(view: &View) -> Namespaces {
    let namespaces = view.typed::<Namespace>().list(None);
    let labels = |namespace: &Object| {
        namespace.labels().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    namespaces
        .iter()
        .map(|namespace| (namespace.name().to_owned(), labels(namespace)))
        .collect::<BTreeMap<_, _>>()
}

/// Whether a change of a node may let a Pod fit that did not.
fn may_help(event: &Event) -> bool {
    let of = |object: Option<&Object>| {
        let node = object.and_then(|object| object.to_value().ok())?;
        let at = |pointer: &str| node.pointer(pointer).cloned().unwrap_or_default();
        Some(["/metadata/labels", "/spec", "/status/allocatable"].map(at))
    };
    of(event.old()) != of(event.new())
}

/// Whether a Pod waits for this scheduler to give it a node.
fn waits(pod: &Value) -> bool {
    let gates = pod.pointer("/spec/schedulingGates").and_then(Value::as_array);
    text(pod, "/spec/nodeName").is_none()
        && text(pod, "/spec/schedulerName").unwrap_or(NAME) == NAME
        && text(pod, "/metadata/deletionTimestamp").is_none()
        && gates.is_none_or(Vec::is_empty)
        && !has_ended(pod)
}

fn has_ended(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), Some("Succeeded" | "Failed"))
}

/// A text that is there and not empty.
fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn bind(plan: &mut Plan, pod: &Object, node: &str) {
    let key = pod.key();
    let binding = json!({
        "apiVersion": "v1",
        "kind": "Binding",
        // Of this very state: then the view that no longer has it has the binding.
        "metadata": {
            "name": key.name(),
            "namespace": key.namespace(),
            "uid": pod.uid(),
            "resourceVersion": pod.resource_version(),
        },
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    });
    plan.write(Write::create_subresource(key.clone(), "binding", binding));
    let note =
        format!("Successfully assigned {}/{} to {node}", key.namespace().unwrap_or_default(), key.name());
    plan.record(EventRecord::normal(pod.reference(), "Scheduled", note).action("Binding"));
}

fn refuse(plan: &mut Plan, object: &Object, pod: &Pod, view: &View, message: String) {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let current = conditions.into_iter().flatten().find(|condition| condition.type_ == "PodScheduled");
    let is_known = current.is_some_and(|current: &PodCondition| {
        current.status == "False"
            && current.reason.as_deref() == Some("Unschedulable")
            && current.message.as_deref() == Some(&message)
    });
    if is_known {
        return;
    }
    let since = current.filter(|current| current.status == "False");
    let since = since.and_then(|current| current.last_transition_time.as_ref()).map(|time| time.0);
    let now = jiff::Timestamp::from_second(view.now().as_second()).unwrap_or(view.now());
    let condition = json!({
        "type": "PodScheduled",
        "status": "False",
        "lastProbeTime": null,
        "lastTransitionTime": since.unwrap_or(now),
        "reason": "Unschedulable",
        "message": message,
        "observedGeneration": pod.metadata.generation,
    });
    let patch = json!({"metadata": {"uid": object.uid()}, "status": {"conditions": [condition]}});
    plan.write(Write::strategic(object.key().clone(), patch).on("status"));
    plan.record(EventRecord::warning(object.reference(), "FailedScheduling", message).action("Scheduling"));
}
