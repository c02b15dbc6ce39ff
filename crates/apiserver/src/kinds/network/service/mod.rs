//! Service: its defaults by type, what goes when the type changes, and the addresses that it is given
//! ([`allocation`]).

pub mod allocation;
pub(super) mod ports;
pub(super) mod validate;

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::{
    kinds::Strategy,
    machinery::{
        Path, address,
        fields::{fill, is_set, list, number, object_mut, objects_mut, present, text, texts},
        format, object,
    },
};

/// The behaviour of Services. Addresses are allocated before [`Strategy::prepare_update`] and validation, by
/// [`allocation::assign`].
pub static STRATEGY: Strategy = Strategy {
    returns_deleted: true,
    name_rule: format::dns1123_label_name,
    default,
    prepare_update: drop_what_the_new_type_has_not,
    validate_create: validate::validate,
    validate_update: validate::validate_update,
    validate_status: validate::validate_status,
    warnings,
    status: true,
    create_on_update: true,
    ..Strategy::PLAIN
};

/// The address of a Service that has none.
pub const NONE: &str = "None";
const AFFINITY_TIMEOUT_SECONDS: i64 = 10_800;

fn type_of(service: &Value) -> &str {
    text(&service["spec"], "type")
}

/// Whether it can be reached from outside the cluster, so that a policy for that makes sense.
fn is_externally_accessible(service: &Value) -> bool {
    match type_of(service) {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => is_set(&service["spec"], "externalIPs"),
        _ => false,
    }
}

/// Whether a load balancer has to ask each Node whether it has Pods of it.
pub fn needs_health_check(service: &Value) -> bool {
    type_of(service) == "LoadBalancer" && text(&service["spec"], "externalTrafficPolicy") == "Local"
}

fn needs_cluster_ip(service: &Value) -> bool {
    type_of(service) != "ExternalName"
}

fn needs_node_port(service: &Value) -> bool {
    matches!(type_of(service), "NodePort" | "LoadBalancer")
}

/// Whether it is one that has no address of its own.
fn is_headless(service: &Value) -> bool {
    texts(&service["spec"], "clusterIPs").eq([NONE])
}

fn default(service: &mut Value) {
    let externally_accessible = {
        let spec = object::child_mut(service, "spec");
        if spec.get("type").and_then(Value::as_str).unwrap_or_default().is_empty() {
            spec.insert("type".to_owned(), "ClusterIP".into());
        }
        is_externally_accessible(service)
    };
    let spec = object::child_mut(service, "spec");
    if spec.get("sessionAffinity").and_then(Value::as_str).unwrap_or_default().is_empty() {
        spec.insert("sessionAffinity".to_owned(), "None".into());
    }
    match spec["sessionAffinity"].as_str() {
        Some("None") => {
            spec.remove("sessionAffinityConfig");
        }
        Some("ClientIP") => {
            let config = spec.get("sessionAffinityConfig").unwrap_or(&Value::Null);
            if config["clientIP"]["timeoutSeconds"].is_null() {
                let config = json!({"clientIP": {"timeoutSeconds": AFFINITY_TIMEOUT_SECONDS}});
                spec.insert("sessionAffinityConfig".to_owned(), config);
            }
        }
        _ => {}
    }
    for port in objects_mut(spec, "ports") {
        fill(port, "protocol", "TCP");
        let target = port.get("targetPort").unwrap_or(&Value::Null);
        if target.is_null() || *target == 0 || *target == "" {
            let number = port.get("port").cloned().unwrap_or_else(|| 0.into());
            port.insert("targetPort".to_owned(), number);
        }
    }
    if externally_accessible {
        fill(spec, "externalTrafficPolicy", "Cluster");
    }
    let type_ = spec["type"].as_str().unwrap_or_default().to_owned();
    if matches!(type_.as_str(), "NodePort" | "LoadBalancer" | "ClusterIP") {
        fill(spec, "internalTrafficPolicy", "Cluster");
    }
    if type_ == "LoadBalancer" {
        fill(spec, "allocateLoadBalancerNodePorts", true);
        let balancer = object_mut(object::child_mut(service, "status"), "loadBalancer");
        for ingress in balancer.into_iter().flat_map(|balancer| objects_mut(balancer, "ingress")) {
            if ingress.get("ip").is_some() {
                fill(ingress, "ipMode", "VIP");
            }
        }
    }
}

/// Whoever changes the type need not clear the fields that only the old type has: what was not changed is dropped.
fn drop_what_the_new_type_has_not(new: &mut Value, old: &Value) {
    let same = |new: &Value, field: &str| new["spec"][field] == old["spec"][field];
    let mut dropped: Vec<&str> = Vec::new();
    if needs_cluster_ip(old) && !needs_cluster_ip(new) {
        if same(new, "clusterIPs") {
            dropped.extend(["clusterIP", "clusterIPs"]);
        }
        dropped.extend(
            ["ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"].iter().filter(|field| same(new, field)),
        );
    }
    let health_check = needs_health_check(old) && !needs_health_check(new);
    if health_check && same(new, "healthCheckNodePort") {
        dropped.push("healthCheckNodePort");
    }
    if type_of(old) == "LoadBalancer" && type_of(new) != "LoadBalancer" {
        let fields = ["allocateLoadBalancerNodePorts", "loadBalancerClass"];
        dropped.extend(fields.iter().filter(|field| same(new, field)));
    }
    if is_externally_accessible(old) && !is_externally_accessible(new) && same(new, "externalTrafficPolicy") {
        dropped.push("externalTrafficPolicy");
    }
    let ports =
        needs_node_port(old) && !needs_node_port(new) && node_ports(old).is_superset(&node_ports(new));
    let spec = object::child_mut(new, "spec");
    for field in dropped {
        spec.remove(field);
    }
    if ports {
        for port in objects_mut(spec, "ports") {
            port.remove("nodePort");
        }
    }
}

/// The ports of Nodes that a Service has.
fn node_ports(service: &Value) -> HashSet<i64> {
    list(&service["spec"], "ports")
        .iter()
        .map(|port| number(port, "nodePort"))
        .filter(|port| *port != 0)
        .collect()
}

fn warnings(new: &Value, _: Option<&Value>) -> Vec<String> {
    let mut warnings = Vec::new();
    let spec = &new["spec"];
    if new["metadata"]["annotations"].get(validate::TOPOLOGY_HINTS).is_some() {
        warnings.push(format!(
            "annotation {} is deprecated, please use {} instead",
            validate::TOPOLOGY_HINTS,
            validate::TOPOLOGY_MODE
        ));
    }
    let root = Path::new("spec");
    for field in ["clusterIPs", "externalIPs"] {
        let path = root.child(field);
        let addresses = texts(spec, field).enumerate().filter(|(_, address)| *address != NONE);
        warnings.extend(addresses.filter_map(|(index, ip)| address::warning(&path.index(index), ip)));
    }
    if present(spec, "loadBalancerIP").is_some() {
        warnings.extend(address::warning(&root.child("loadBalancerIP"), text(spec, "loadBalancerIP")));
    }
    let ranges = root.child("loadBalancerSourceRanges");
    for (index, cidr) in texts(spec, "loadBalancerSourceRanges").enumerate() {
        warnings.extend(address::cidr_warnings(&ranges.index(index), cidr));
    }
    let is_external_name = type_of(new) == "ExternalName";
    if is_set(spec, "externalIPs") {
        warnings.push(
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters".to_owned(),
        );
        if is_external_name {
            warnings.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".to_owned());
        }
    }
    if !is_external_name && is_set(spec, "externalName") {
        warnings.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".to_owned());
    }
    if text(spec, "trafficDistribution") == "PreferClose" {
        warnings.push(
            "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"".to_owned(),
        );
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::cases;

    fn service(spec: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec})
    }

    #[test]
    fn defaults_depend_on_the_type() {
        for (sent, want) in [
            (
                json!({"ports": [{"port": 80}]}),
                json!({"ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}], "type": "ClusterIP",
                    "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"}),
            ),
            (
                json!({"type": "LoadBalancer", "sessionAffinity": "ClientIP", "ports": [{"port": 1, "targetPort": "x"}]}),
                json!({"ports": [{"port": 1, "protocol": "TCP", "targetPort": "x"}], "type": "LoadBalancer",
                    "sessionAffinity": "ClientIP",
                    "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}},
                    "externalTrafficPolicy": "Cluster", "internalTrafficPolicy": "Cluster",
                    "allocateLoadBalancerNodePorts": true}),
            ),
            (
                json!({"type": "ExternalName", "externalName": "a.b"}),
                json!({"type": "ExternalName", "externalName": "a.b", "sessionAffinity": "None"}),
            ),
            (
                json!({"externalIPs": ["192.0.2.1"], "sessionAffinityConfig": {"clientIP": {}}}),
                json!({"type": "ClusterIP", "externalIPs": ["192.0.2.1"], "sessionAffinity": "None",
                    "externalTrafficPolicy": "Cluster", "internalTrafficPolicy": "Cluster"}),
            ),
        ] {
            assert_eq!(cases::decoded(service(sent.clone()))["spec"], want, "{sent}");
        }
    }

    #[test]
    fn a_change_of_type_drops_what_only_the_old_had() {
        let old = cases::decoded(service(json!({
            "type": "NodePort", "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack", "ports": [{"port": 1, "nodePort": 30000}],
        })));
        let mut new = old.clone();
        new["spec"]["type"] = "ExternalName".into();
        new["spec"]["externalName"] = "x.example.com".into();
        drop_what_the_new_type_has_not(&mut new, &old);
        assert_eq!(
            new["spec"],
            json!({"type": "ExternalName", "externalName": "x.example.com", "sessionAffinity": "None",
                "ports": [{"port": 1, "protocol": "TCP", "targetPort": 1}]})
        );
        let mut changed = old.clone();
        changed["spec"]["type"] = "ClusterIP".into();
        changed["spec"]["ports"][0]["nodePort"] = 30001.into();
        drop_what_the_new_type_has_not(&mut changed, &old);
        assert_eq!(changed["spec"]["ports"][0]["nodePort"], 30001);
        assert_eq!(changed["spec"].get("externalTrafficPolicy"), None);
    }

    #[test]
    fn what_should_not_be_used_is_warned_about() {
        let spec = json!({"trafficDistribution": "PreferClose", "externalIPs": ["192.0.2.1"], "ports": [{"port": 1}]});
        assert_eq!(
            cases::warnings(service(spec)),
            [
                "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
                "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"",
            ]
        );
    }
}
