//! Which Pods go first when there are too many.

use std::cmp::Reverse;
use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use crate::pod;

/// Lets a user say how dear a Pod is.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Puts Pods that are to be deleted first to the front: unassigned before assigned, pending before unknown before
/// running, not ready before ready, cheap before dear, crowded before lonely, ready lately before ready for long,
/// often restarted before seldom restarted, young before old.
///
/// `related` are the Pods by which a node is crowded. Times are compared by magnitude, and Pods of equal magnitude by
/// unique id, which spreads deletions among equals.
pub(crate) fn rank(pods: &mut [Pod], related: &[Pod], now: Timestamp) {
    let mut on_node: HashMap<&str, usize> = HashMap::new();
    for pod in related.iter().filter(|pod| pod::is_active(pod)) {
        *on_node.entry(pod::node(pod)).or_default() += 1;
    }
    pods.sort_by_cached_key(|pod| {
        let crowd = on_node.get(pod::node(pod)).copied().unwrap_or_default();
        let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (
            !pod::node(pod).is_empty(),
            phase_order(pod),
            pod::is_ready(pod),
            deletion_cost(pod),
            Reverse(crowd),
            magnitude(pod::ready_since(pod), now),
            Reverse(restarts(pod)),
            magnitude(created, now),
            pod.metadata.uid.clone(),
        )
    });
}

fn phase_order(pod: &Pod) -> u8 {
    match pod::phase(pod) {
        "Pending" => 0,
        "Unknown" => 1,
        _ => 2,
    }
}

/// The cost a user gave it, 0 if none or nothing that is a whole number in its plain form.
fn deletion_cost(pod: &Pod) -> i32 {
    let cost = pod.metadata.annotations.as_ref().and_then(|annotations| annotations.get(DELETION_COST));
    let plain = cost.filter(|cost| !cost.starts_with('+') && (*cost == "0" || !cost.starts_with('0')));
    plain.and_then(|cost| cost.parse().ok()).unwrap_or_default()
}

/// How long ago something was, as a power of two of nanoseconds: the order of a time that was never is the first.
fn magnitude(time: Option<Timestamp>, now: Timestamp) -> i8 {
    let elapsed = time.map_or(0, |time| now.duration_since(time).as_nanos());
    elapsed.checked_ilog2().map_or(-1, |log| i8::try_from(log).unwrap_or(i8::MAX))
}

/// The most restarts of a main container, then of a sidecar.
fn restarts(pod: &Pod) -> (i32, i32) {
    let restartable = |name: &str| {
        let containers = pod.spec.as_ref().and_then(|spec| spec.init_containers.as_ref());
        containers.is_some_and(|containers| {
            containers.iter().any(|c| c.name == name && c.restart_policy.as_deref() == Some("Always"))
        })
    };
    let Some(status) = &pod.status else { return (0, 0) };
    let most = |statuses: &Option<Vec<k8s_openapi::api::core::v1::ContainerStatus>>, sidecars: bool| {
        let statuses = statuses.iter().flatten().filter(|status| !sidecars || restartable(&status.name));
        statuses.map(|status| status.restart_count).max().unwrap_or_default()
    };
    (most(&status.container_statuses, false), most(&status.init_container_statuses, true))
}
