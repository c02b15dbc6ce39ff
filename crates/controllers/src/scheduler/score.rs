//! Which of the nodes that can take a Pod takes it.

use k8s_openapi::api::core::v1::{Node, PodSpec};

use super::affinity;
use super::demand::Demand;
use super::filter::{Usage, allocatable};

/// The best score by one criterion.
const MAX: i64 = 100;

/// A node that can take the Pod.
pub(super) struct Candidate<'a> {
    pub(super) node: &'a Node,
    pub(super) name: &'a str,
    pub(super) usage: &'a Usage,
    /// How many Pods of the same controller are on it.
    pub(super) siblings: i64,
}

/// The best of the candidates: the same for the same candidates, always.
///
/// Criteria and their weights are kube-scheduler's where it has them: taints that advise against a node (3), preferred
/// node affinity (2), spreading the Pods of a controller (2), and free CPU and memory (1). Of equals the one with the
/// fewest Pods is taken, then the first by name.
pub(super) fn best<'a>(spec: &PodSpec, demand: &Demand, candidates: &[Candidate<'a>]) -> Option<&'a str> {
    let taints = fewest(candidates, |candidate| affinity::advised_against(spec, candidate.node));
    let preferred = most(candidates, |candidate| affinity::preference(spec, candidate.node));
    let spread = fewest(candidates, |candidate| candidate.siblings);
    let scores = candidates.iter().enumerate().map(|(at, candidate)| {
        let score = 3 * taints[at] + 2 * preferred[at] + 2 * spread[at] + free(demand, candidate);
        (std::cmp::Reverse(score), candidate.usage.pods, candidate.name)
    });
    scores.min().map(|(_, _, name)| name)
}

fn most(candidates: &[Candidate], of: impl Fn(&Candidate) -> i64) -> Vec<i64> {
    let values: Vec<i64> = candidates.iter().map(of).collect();
    let max = values.iter().max().copied().unwrap_or_default();
    values.iter().map(|value| if max <= 0 { 0 } else { value.saturating_mul(MAX) / max }).collect()
}

fn fewest(candidates: &[Candidate], of: impl Fn(&Candidate) -> i64) -> Vec<i64> {
    let values: Vec<i64> = candidates.iter().map(of).collect();
    let max = values.iter().max().copied().unwrap_or_default();
    values.iter().map(|value| if max <= 0 { MAX } else { MAX - value.saturating_mul(MAX) / max }).collect()
}

/// The mean share of CPU and memory that would be free.
fn free(demand: &Demand, candidate: &Candidate) -> i64 {
    let share = |resource: &str, used: i128, more: i128| {
        let has = allocatable(candidate.node, resource);
        let left = has.saturating_sub(used).saturating_sub(more);
        if has <= 0 || left <= 0 { 0 } else { left.saturating_mul(MAX.into()) / has }
    };
    let (cpu, memory) = candidate.usage.weighed;
    let sum = share("cpu", cpu, demand.weighed.0) + share("memory", memory, demand.weighed.1);
    i64::try_from(sum / 2).unwrap_or_default()
}
