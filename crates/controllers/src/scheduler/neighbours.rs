//! What Pods ask of each other: affinity, anti-affinity, and even spreading over topology domains.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Node, Pod, PodAffinityTerm, PodSpec, TopologySpreadConstraint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt};

use super::affinity;
use super::filter::Rejection;

type Labels = BTreeMap<String, String>;

/// A term with which a Pod asks to be near others, or not to be.
#[derive(Clone, Debug)]
pub(super) struct Term {
    topology: String,
    /// None selects nothing.
    selector: Option<Selector>,
    namespaces: Vec<String>,
    namespace_selector: Option<Selector>,
}

/// What of a Pod others ask about, and what it asks of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Sociability {
    namespace: String,
    labels: Labels,
    is_terminating: bool,
    affinity: Vec<Term>,
    anti_affinity: Vec<Term>,
    spread: Vec<Spread>,
}

/// A constraint by which Pods are spread.
#[derive(Clone, Debug)]
struct Spread {
    topology: String,
    selector: Option<Selector>,
    max_skew: i64,
    min_domains: usize,
    honors_affinity: bool,
    honors_taints: bool,
}

/// The labels of namespaces by name.
pub(super) type Namespaces = BTreeMap<String, Labels>;

/// A Pod that is on a node.
pub(super) struct Neighbour<'a> {
    pub(super) pod: &'a Sociability,
    pub(super) node: &'a Node,
}

/// What the neighbours of one Pod make of its choice, worked out once for all nodes.
pub(super) struct Constraints<'a> {
    pod: &'a Sociability,
    /// Pods that match all affinity terms, by topology and its value.
    near: BTreeMap<(&'a str, &'a str), usize>,
    /// Pods that match an anti-affinity term.
    far: BTreeSet<(&'a str, &'a str)>,
    /// Domains from which others keep this Pod.
    kept_from: BTreeSet<(&'a str, &'a str)>,
    /// By constraint: Pods by domain, and the fewest of any.
    spread: Vec<(BTreeMap<&'a str, i64>, i64)>,
}

impl Sociability {
    pub(super) fn of(pod: &Pod) -> Self {
        let metadata = &pod.metadata;
        let namespace = metadata.namespace.clone().unwrap_or_default();
        let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref());
        let terms = |terms: Option<&Vec<PodAffinityTerm>>| -> Vec<Term> {
            terms.into_iter().flatten().map(|term| Term::of(term, &namespace)).collect()
        };
        let near = affinity.and_then(|affinity| affinity.pod_affinity.as_ref());
        let far = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
        let labels = metadata.labels.clone().unwrap_or_default();
        let spread = pod.spec.iter().flat_map(|spec| spec.topology_spread_constraints.iter().flatten());
        let spread = spread.filter(|constraint| constraint.when_unsatisfiable == "DoNotSchedule");
        Self {
            affinity: terms(
                near.and_then(|near| near.required_during_scheduling_ignored_during_execution.as_ref()),
            ),
            anti_affinity: terms(
                far.and_then(|far| far.required_during_scheduling_ignored_during_execution.as_ref()),
            ),
            spread: spread.map(|constraint| Spread::of(constraint, &labels)).collect(),
            is_terminating: metadata.deletion_timestamp.is_some(),
            namespace,
            labels,
        }
    }

    /// Whether where other Pods are may decide where this one can be.
    pub(super) fn minds_others(&self) -> bool {
        !(self.affinity.is_empty() && self.anti_affinity.is_empty() && self.spread.is_empty())
    }

    /// Whether it keeps others away.
    pub(super) fn keeps_others_away(&self) -> bool {
        !self.anti_affinity.is_empty()
    }
}

impl Term {
    fn of(term: &PodAffinityTerm, namespace: &str) -> Self {
        let mut namespaces = term.namespaces.clone().unwrap_or_default();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.push(namespace.to_owned());
        }
        Self {
            topology: term.topology_key.clone(),
            selector: selector(term.label_selector.as_ref()),
            namespaces,
            namespace_selector: selector(term.namespace_selector.as_ref()),
        }
    }

    fn matches(&self, pod: &Sociability, namespaces: &Namespaces) -> bool {
        let in_namespace = || {
            let empty = Labels::new();
            let labels = namespaces.get(&pod.namespace).unwrap_or(&empty);
            self.namespaces.contains(&pod.namespace)
                || self.namespace_selector.as_ref().is_some_and(|selector| selector.matches(labels))
        };
        self.selector.as_ref().is_some_and(|selector| selector.matches(&pod.labels)) && in_namespace()
    }
}

impl Spread {
    fn of(constraint: &TopologySpreadConstraint, labels: &Labels) -> Self {
        let mut wanted = constraint.label_selector.clone();
        for key in constraint.match_label_keys.iter().flatten() {
            if let Some(value) = labels.get(key) {
                let more = wanted.get_or_insert_default().match_labels.get_or_insert_default();
                more.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        Self {
            topology: constraint.topology_key.clone(),
            selector: selector(wanted.as_ref()),
            max_skew: constraint.max_skew.into(),
            min_domains: usize::try_from(constraint.min_domains.unwrap_or(1)).unwrap_or(1),
            honors_affinity: constraint.node_affinity_policy.as_deref() != Some("Ignore"),
            honors_taints: constraint.node_taints_policy.as_deref() == Some("Honor"),
        }
    }

    fn counts(&self, pod: &Sociability, own: &Sociability) -> bool {
        pod.namespace == own.namespace
            && self.selector.as_ref().is_some_and(|selector| selector.matches(&pod.labels))
    }

    fn is_eligible(&self, spec: &PodSpec, node: &Node) -> bool {
        (!self.honors_affinity || affinity::allows(spec, node))
            && (!self.honors_taints || affinity::tolerates_node(spec, node))
    }
}

/// One that cannot be read selects nothing.
fn selector(selector: Option<&LabelSelector>) -> Option<Selector> {
    selector.cloned().and_then(|selector| Selector::try_from(selector).ok())
}

fn domain<'n>(node: &'n Node, topology: &str) -> Option<&'n str> {
    node.metadata.labels.as_ref()?.get(topology).map(String::as_str)
}

impl<'a> Constraints<'a> {
    /// What holds for a Pod among these neighbours and nodes.
    pub(super) fn of(
        pod: &'a Sociability,
        spec: &PodSpec,
        nodes: &[&'a Node],
        neighbours: &[Neighbour<'a>],
        namespaces: &Namespaces,
    ) -> Self {
        let mut constraints = Self {
            pod,
            near: BTreeMap::new(),
            far: BTreeSet::new(),
            kept_from: BTreeSet::new(),
            spread: Vec::new(),
        };
        for Neighbour { pod: other, node } in neighbours {
            if !pod.affinity.is_empty() && pod.affinity.iter().all(|term| term.matches(other, namespaces)) {
                for term in &pod.affinity {
                    if let Some(domain) = domain(node, &term.topology) {
                        *constraints.near.entry((&term.topology, domain)).or_default() += 1;
                    }
                }
            }
            let far = pod.anti_affinity.iter().filter(|term| term.matches(other, namespaces));
            constraints
                .far
                .extend(far.filter_map(|term| Some((&*term.topology, domain(node, &term.topology)?))));
            let kept = other.anti_affinity.iter().filter(|term| term.matches(pod, namespaces));
            constraints
                .kept_from
                .extend(kept.filter_map(|term| Some((&*term.topology, domain(node, &term.topology)?))));
        }
        for constraint in &pod.spread {
            let eligible = |node: &Node| {
                constraint.is_eligible(spec, node)
                    && pod.spread.iter().all(|other| domain(node, &other.topology).is_some())
            };
            let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
            for node in nodes.iter().filter(|node| eligible(node)) {
                counts.entry(domain(node, &constraint.topology).unwrap_or_default()).or_default();
            }
            for Neighbour { pod: other, node } in neighbours {
                if !other.is_terminating && eligible(node) && constraint.counts(other, pod) {
                    *counts.entry(domain(node, &constraint.topology).unwrap_or_default()).or_default() += 1;
                }
            }
            let fewest = if counts.len() < constraint.min_domains {
                0
            } else {
                counts.values().min().copied().unwrap_or(0)
            };
            constraints.spread.push((counts, fewest));
        }
        constraints
    }

    /// Why the neighbours forbid a node.
    pub(super) fn check(&self, node: &Node, namespaces: &Namespaces) -> Result<(), Rejection> {
        for (constraint, (counts, fewest)) in self.pod.spread.iter().zip(&self.spread) {
            let Some(domain) = domain(node, &constraint.topology) else {
                return Err(Rejection::lasting(
                    "node(s) didn't match pod topology spread constraints (missing required label)",
                ));
            };
            let own = i64::from(constraint.counts(self.pod, self.pod));
            if counts.get(domain).copied().unwrap_or(0) + own - fewest > constraint.max_skew {
                return Err(Rejection::passing("node(s) didn't match pod topology spread constraints"));
            }
        }
        let here = |topology: &str| domain(node, topology);
        let terms = &self.pod.affinity;
        let labelled = terms.iter().all(|term| here(&term.topology).is_some());
        let accompanied = || {
            terms.iter().all(|term| {
                here(&term.topology).is_some_and(|here| self.near.contains_key(&(&*term.topology, here)))
            })
        };
        // The first of a group that wants to be together has nobody to be near to.
        let is_first = || self.near.is_empty() && terms.iter().all(|term| term.matches(self.pod, namespaces));
        if !(terms.is_empty() || labelled && (accompanied() || is_first())) {
            return Err(Rejection::lasting("node(s) didn't match pod affinity rules"));
        }
        let is_in = |domains: &BTreeSet<(&str, &str)>, topology: &str| {
            here(topology).is_some_and(|here| domains.contains(&(topology, here)))
        };
        if self.pod.anti_affinity.iter().any(|term| is_in(&self.far, &term.topology)) {
            return Err(Rejection::passing("node(s) didn't match pod anti-affinity rules"));
        }
        if self.kept_from.iter().any(|(topology, domain)| here(topology) == Some(domain)) {
            return Err(Rejection::passing("node(s) didn't satisfy existing pods anti-affinity rules"));
        }
        Ok(())
    }
}
