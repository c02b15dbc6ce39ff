//! What a simulated node is: its Node object, status and Lease.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{Node, NodeCondition, NodeStatus, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference, Time};
use serde_json::{Value, json};

use super::{Options, addresses, identity};

/// The namespace of all nodes' Leases.
pub(crate) const LEASES: &str = "kube-node-lease";
/// How long a Lease holds, and how often it is renewed.
const LEASE: SignedDuration = SignedDuration::from_secs(40);
pub(crate) const RENEWED_EVERY: SignedDuration = SignedDuration::from_secs(10);
/// How often the conditions are reported where nothing has changed.
const REPORTED_EVERY: SignedDuration = SignedDuration::from_mins(5);
/// Nodes that are not ready have it; the control plane removes it from those that are.
const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// Type, status, reason and message of the conditions of a node that is well.
const CONDITIONS: [(&str, &str, &str, &str); 4] = [
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
];

/// A time as objects carry it: in whole seconds.
pub(crate) fn stamp(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

/// The Node as it registers.
pub(crate) fn node(name: &str, number: usize, options: &Options, now: Timestamp) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "beta.kubernetes.io/arch": "amd64",
                "beta.kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "node.kubernetes.io/instance-type": "simulated",
            },
            "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
        },
        "status": status(name, number, options, now),
    })
}

/// The whole status of a node.
pub(crate) fn status(name: &str, number: usize, options: &Options, now: Timestamp) -> Value {
    let resources = json!({
        "cpu": options.cpu,
        "ephemeral-storage": options.ephemeral_storage,
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        "memory": options.memory,
        "pods": options.pods.to_string(),
    });
    let now = stamp(now);
    let conditions = CONDITIONS.map(|(type_, status, reason, message)| {
        json!({
            "type": type_,
            "status": status,
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
            "reason": reason,
            "message": message,
        })
    });
    json!({
        "addresses": [
            {"type": "InternalIP", "address": addresses::of_node(number)},
            {"type": "Hostname", "address": name},
        ],
        "allocatable": resources,
        "capacity": resources,
        "conditions": conditions,
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": {
            "architecture": "amd64",
            "bootID": identity::uuid(&["boot", name]),
            "containerRuntimeVersion": "simulated://1.0.0",
            "kernelVersion": "6.12.0",
            "kubeProxyVersion": "",
            "kubeletVersion": "v1.36.0",
            "machineID": identity::uuid(&["machine", name]).replace('-', ""),
            "operatingSystem": "linux",
            "osImage": "xebec (simulated)",
            "systemUUID": identity::uuid(&["system", name]),
        },
    })
}

/// What of the status is to be changed, so that it says the node is well; none if it says so already.
pub(crate) fn report(
    node: &Node,
    number: usize,
    name: &str,
    options: &Options,
    now: Timestamp,
) -> Option<Value> {
    let status_now = node.status.clone().unwrap_or_default();
    if status_now.node_info.is_none() || status_now.allocatable.is_none() || status_now.addresses.is_none() {
        return Some(status(name, number, options, now));
    }
    let is_well = CONDITIONS.iter().all(|(type_, status, ..)| {
        condition(&status_now, type_).is_some_and(|condition| {
            let reported = condition.last_heartbeat_time.as_ref().map(|time| time.0);
            condition.status == *status
                && reported.is_some_and(|reported| now.duration_since(reported) < REPORTED_EVERY)
        })
    });
    if is_well {
        return None;
    }
    let at = stamp(now);
    let conditions = CONDITIONS.map(|(type_, status, reason, message)| {
        let unchanged = condition(&status_now, type_).filter(|condition| condition.status == status);
        let since = unchanged.and_then(|condition| condition.last_transition_time.clone());
        json!({
            "type": type_,
            "status": status,
            "lastHeartbeatTime": at,
            "lastTransitionTime": since.unwrap_or_else(|| at.clone()),
            "reason": reason,
            "message": message,
        })
    });
    Some(json!({"conditions": conditions}))
}

/// Whether it says that it is ready.
fn is_ready(node: &Node) -> bool {
    let status = node.status.clone().unwrap_or_default();
    condition(&status, "Ready").is_some_and(|ready| ready.status == "True")
}

fn condition<'s>(status: &'s NodeStatus, type_: &str) -> Option<&'s NodeCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == type_)
}

/// The taints of a ready node without the one that says it is not; none if it has none such or is not ready.
///
/// In Kubernetes this is the node lifecycle controller's work.
pub(crate) fn taints_once_ready(node: &Node) -> Option<Vec<Taint>> {
    let taints = node.spec.as_ref()?.taints.as_ref()?;
    let left: Vec<Taint> = taints.iter().filter(|taint| taint.key != NOT_READY).cloned().collect();
    (is_ready(node) && left.len() < taints.len()).then_some(left)
}

/// A Lease of a node, renewed now.
pub(crate) fn lease(node: &Node, lease: Option<Lease>, now: Timestamp) -> Lease {
    let name = node.metadata.name.clone().unwrap_or_default();
    let mut lease = lease.unwrap_or_default();
    lease.metadata.name = Some(name.clone());
    lease.metadata.namespace = Some(LEASES.to_owned());
    lease.metadata.owner_references = Some(vec![OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: name.clone(),
        uid: node.metadata.uid.clone().unwrap_or_default(),
        ..OwnerReference::default()
    }]);
    let spec: &mut LeaseSpec = lease.spec.get_or_insert_default();
    spec.holder_identity = Some(name);
    spec.lease_duration_seconds = Some(LEASE.as_secs() as i32);
    spec.renew_time = Some(MicroTime(now));
    lease
}
