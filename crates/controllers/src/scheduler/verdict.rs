//! What is said about a Pod that fits no node, in kube-scheduler's words.

use std::collections::BTreeMap;

use super::filter::Rejection;

/// Why one node does not take the Pod.
pub(super) struct Refusal {
    pub(super) rejection: Rejection,
    /// Whether there are Pods on it of lower priority, which might make room.
    pub(super) has_victims: bool,
}

/// Why no node takes a Pod.
pub(super) fn message(refusals: &[Refusal], never_preempts: bool) -> String {
    if refusals.is_empty() {
        return "no nodes available to schedule pods".to_owned();
    }
    let reasons = refusals.iter().flat_map(|refusal| refusal.rejection.reasons.iter().map(String::as_str));
    let mut message = unavailable(refusals.len(), reasons);
    if never_preempts {
        message.push_str(" preemption: not eligible due to preemptionPolicy=Never.");
    } else if !refusals.iter().any(|refusal| !refusal.rejection.is_lasting && refusal.has_victims) {
        let outlooks = refusals.iter().map(|refusal| {
            if refusal.rejection.is_lasting {
                "Preemption is not helpful for scheduling"
            } else {
                "No preemption victims found for incoming pod"
            }
        });
        message.push_str(" preemption: ");
        message.push_str(&unavailable(refusals.len(), outlooks));
    }
    message
}

fn unavailable<'r>(nodes: usize, reasons: impl Iterator<Item = &'r str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in reasons {
        *counts.entry(reason).or_default() += 1;
    }
    let mut counted: Vec<String> = counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    counted.sort();
    format!("0/{nodes} nodes are available: {}.", counted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(rejection: Rejection, has_victims: bool) -> Refusal {
        Refusal { rejection, has_victims }
    }

    #[test]
    fn reasons_are_counted_and_sorted() {
        let cpu = || Rejection::passing("Insufficient cpu");
        let taint = || Rejection::lasting("node(s) had untolerated taint(s)");
        for (refusals, never, wanted) in [
            (vec![], false, "no nodes available to schedule pods"),
            (
                vec![refusal(taint(), true), refusal(cpu(), false), refusal(taint(), false)],
                false,
                "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint(s). preemption: 0/3 nodes are \
                 available: 1 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling.",
            ),
            (
                vec![refusal(cpu(), true)],
                true,
                "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never.",
            ),
            (vec![refusal(cpu(), true)], false, "0/1 nodes are available: 1 Insufficient cpu."),
        ] {
            assert_eq!(message(&refusals, never), wanted);
        }
    }
}
