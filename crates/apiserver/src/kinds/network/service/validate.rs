//! What is wrong with a Service (`ValidateService`).

use std::collections::HashSet;

use serde_json::Value;

use super::{
    NONE, STRATEGY, is_externally_accessible, is_headless, needs_health_check,
    ports::{validate_ports, validate_repeated_ports},
    type_of,
};
use crate::machinery::{
    FieldErrors, Path, address,
    fields::{integer, is_set, list, number, present, text, texts},
    format, metadata, selector,
};

pub(super) const TOPOLOGY_HINTS: &str = "service.kubernetes.io/topology-aware-hints";
pub(super) const TOPOLOGY_MODE: &str = "service.kubernetes.io/topology-mode";
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
const SPEC: Path<'static> = Path::new("spec");
const KUBELET_PORT: i64 = 10250;
const AFFINITY_TIMEOUT_SECONDS_MAX: i64 = 86_400;
const ONLY_LOAD_BALANCER: &str = "may only be used when `type` is 'LoadBalancer'";
const SET_ONCE: &str = "may not change once set";

pub(super) fn validate(new: &Value, errors: &mut FieldErrors) {
    validate_against(new, &Value::Null, errors);
}

fn validate_against(new: &Value, old: &Value, errors: &mut FieldErrors) {
    let annotations = &new["metadata"]["annotations"];
    if let (Some(hints), Some(mode)) = (annotations.get(TOPOLOGY_HINTS), annotations.get(TOPOLOGY_MODE))
        && hints != mode
    {
        let metadata = Path::new("metadata");
        let path = metadata.child("annotations");
        let detail = format!("must match annotations[{TOPOLOGY_HINTS}] when both are specified");
        errors.invalid(&path.key(TOPOLOGY_MODE), mode.clone(), &detail);
    }
    let spec = &new["spec"];
    let ports = list(spec, "ports");
    if ports.is_empty() && !is_headless(new) && type_of(new) != "ExternalName" {
        errors.required(&SPEC.child("ports"), "");
    }
    validate_type(new, errors);
    validate_ports(ports, errors);
    selector::validate_labels(errors, &SPEC.child("selector"), &spec["selector"]);
    validate_affinity(spec, errors);
    validate_cluster_ips(new, old, errors);
    let old_external: Vec<&str> = texts(&old["spec"], "externalIPs").collect();
    let external = SPEC.child("externalIPs");
    for (index, ip) in texts(spec, "externalIPs").enumerate() {
        let before = errors.len();
        address::validate_legacy(errors, &external.index(index), ip, &old_external);
        if errors.len() == before {
            validate_not_special(errors, &external.index(index), ip);
        }
    }
    match type_of(new) {
        "" => errors.required(&SPEC.child("type"), ""),
        "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName" => {}
        other => {
            let types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
            errors.not_supported(&SPEC.child("type"), other, &types);
        }
    }
    validate_repeated_ports(new, ports, errors);
    validate_source_ranges(new, old, errors);
    let allocate = present(spec, "allocateLoadBalancerNodePorts");
    if allocate.is_some() && type_of(new) != "LoadBalancer" {
        errors.forbidden(&SPEC.child("allocateLoadBalancerNodePorts"), ONLY_LOAD_BALANCER);
    }
    if allocate.is_none() && type_of(new) == "LoadBalancer" {
        errors.required(&Path::new("allocateLoadBalancerNodePorts"), "");
    }
    validate_class(new, errors);
    validate_policies(new, errors);
}

fn validate_type(new: &Value, errors: &mut FieldErrors) {
    let spec = &new["spec"];
    let type_ = type_of(new);
    let cluster_ips = SPEC.child("clusterIPs");
    if type_ == "LoadBalancer" {
        let path = SPEC.child("ports");
        for (index, port) in list(spec, "ports").iter().enumerate() {
            if number(port, "port") == KUBELET_PORT {
                let detail =
                    format!("may not expose port {KUBELET_PORT} externally since it is used by kubelet");
                errors.invalid(&path.index(index), KUBELET_PORT, &detail);
            }
        }
    }
    if matches!(type_, "LoadBalancer" | "NodePort") && is_headless(new) {
        errors.invalid(
            &cluster_ips.index(0),
            NONE,
            &format!("may not be set to 'None' for {type_} services"),
        );
    }
    if type_ == "ExternalName" {
        for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if is_set(spec, field) {
                errors.forbidden(&SPEC.child(field), "may not be set for ExternalName services");
            }
        }
        let name = text(spec, "externalName");
        let name = name.strip_suffix('.').unwrap_or(name);
        let path = SPEC.child("externalName");
        if name.is_empty() {
            errors.required(&path, "");
        } else {
            format::report(errors, &path, name, format::is_dns1123_subdomain(name));
        }
    }
}

fn validate_affinity(spec: &Value, errors: &mut FieldErrors) {
    let path = SPEC.child("sessionAffinityConfig");
    match text(spec, "sessionAffinity") {
        "" => errors.required(&SPEC.child("sessionAffinity"), ""),
        "None" => {
            if present(spec, "sessionAffinityConfig").is_some() {
                errors.forbidden(&path, "must not be set when session affinity is None");
            }
        }
        "ClientIP" => {
            let client = path.child("clientIP");
            let why = "when session affinity type is ClientIP";
            let config = &spec["sessionAffinityConfig"];
            match integer(&config["clientIP"], "timeoutSeconds") {
                _ if config.is_null() => errors.required(&path, why),
                _ if config["clientIP"].is_null() => errors.required(&client, why),
                None => errors.required(&client.child("timeoutSeconds"), why),
                Some(seconds) if (1..=AFFINITY_TIMEOUT_SECONDS_MAX).contains(&seconds) => {}
                Some(seconds) => {
                    let detail =
                        format!("must be greater than 0 and less than {AFFINITY_TIMEOUT_SECONDS_MAX}");
                    errors.invalid(&client.child("timeoutSeconds"), seconds, &detail);
                }
            }
        }
        other => errors.not_supported(&SPEC.child("sessionAffinity"), other, &["ClientIP", "None"]),
    }
}

/// What is wrong with `clusterIP`, `clusterIPs`, `ipFamilies` and `ipFamilyPolicy`
/// (`ValidateServiceClusterIPsRelatedFields`).
pub(super) fn validate_cluster_ips(new: &Value, old: &Value, errors: &mut FieldErrors) {
    if type_of(new) == "ExternalName" {
        return;
    }
    let spec = &new["spec"];
    let path = SPEC.child("clusterIPs");
    let ips: Vec<&str> = texts(spec, "clusterIPs").collect();
    let quoted = || spec.get("clusterIPs").cloned().unwrap_or(Value::Null);
    match (text(spec, "clusterIP"), ips.first()) {
        ("", Some(_)) => errors.invalid(&path, quoted(), "must be empty when `clusterIP` is not specified"),
        ("", None) => {}
        (_, None) => errors.required(&path, ""),
        (one, Some(first)) if one == *first => {}
        (_, Some(_)) => errors.invalid(&path, quoted(), "first value must match `clusterIP`"),
    }
    let families: Vec<&str> = texts(spec, "ipFamilies").collect();
    let families_path = SPEC.child("ipFamilies");
    let mut seen = HashSet::new();
    for (index, family) in families.iter().enumerate() {
        if !matches!(*family, "IPv4" | "IPv6") {
            errors.not_supported(&families_path.index(index), *family, &["IPv4", "IPv6"]);
        }
        if !seen.insert(family) {
            errors.duplicate(&families_path.index(index), *family);
        }
    }
    let policy = text(spec, "ipFamilyPolicy");
    if !matches!(policy, "" | "SingleStack" | "PreferDualStack" | "RequireDualStack") {
        let policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
        errors.not_supported(&SPEC.child("ipFamilyPolicy"), policy, &policies);
    }
    let old_ips: Vec<&str> = texts(&old["spec"], "clusterIPs").collect();
    let mut has_invalid = false;
    for (index, ip) in ips.iter().enumerate() {
        if index == 0 && *ip == NONE {
            if ips.len() > 1 {
                has_invalid = true;
                errors.invalid(&path, quoted(), "'None' must be the first and only value");
            }
            continue;
        }
        let before = errors.len();
        address::validate_legacy(errors, &path.index(index), ip, &old_ips);
        has_invalid |= errors.len() > before;
    }
    if ips.len() > 2 {
        errors.invalid(&path, quoted(), "may only hold up to 2 values");
    }
    if has_invalid {
        return;
    }
    let is_v6 = |ip: &str| address::parse(ip).is_some_and(|ip| ip.is_ipv6());
    if ips.len() > 1 && ips.iter().all(|ip| is_v6(ip) == is_v6(ips[0])) {
        errors.invalid(&path, quoted(), "may specify no more than one IP for each IP family");
    }
    if is_headless(new) {
        return;
    }
    for (index, (ip, family)) in ips.iter().zip(&families).enumerate() {
        let is_other = matches!((*family, is_v6(ip)), ("IPv4", true) | ("IPv6", false));
        if is_other {
            let detail = format!("expected an {family} value as indicated by `ipFamilies[{index}]`");
            errors.invalid(&path.index(index), *ip, &detail);
        }
    }
}

fn validate_source_ranges(new: &Value, old: &Value, errors: &mut FieldErrors) {
    let is_balancer = type_of(new) == "LoadBalancer";
    let (spec, annotations) = (&new["spec"], &new["metadata"]["annotations"]);
    if is_set(spec, "loadBalancerSourceRanges") {
        let path = SPEC.child("LoadBalancerSourceRanges");
        if !is_balancer {
            errors.forbidden(&path, ONLY_LOAD_BALANCER);
        }
        let old: Vec<&str> = texts(&old["spec"], "loadBalancerSourceRanges").map(str::trim).collect();
        for (index, range) in texts(spec, "loadBalancerSourceRanges").enumerate() {
            address::validate_cidr_legacy(errors, &path.index(index), range.trim(), &old);
        }
    } else if let Some(ranges) = annotations.get(SOURCE_RANGES).and_then(Value::as_str) {
        let metadata = Path::new("metadata");
        let path = metadata.child("annotations");
        let path = path.key(SOURCE_RANGES);
        if !is_balancer {
            errors.forbidden(&path, ONLY_LOAD_BALANCER);
        }
        for range in ranges.trim().split(',').filter(|_| !ranges.trim().is_empty()) {
            address::validate_cidr_legacy(errors, &path, range.trim(), &[]);
        }
    }
}

fn validate_class(new: &Value, errors: &mut FieldErrors) {
    let Some(class) = new["spec"]["loadBalancerClass"].as_str() else { return };
    let path = SPEC.child("loadBalancerClass");
    if type_of(new) == "LoadBalancer" {
        format::report(errors, &path, class, format::is_qualified_name(class));
    } else {
        errors.forbidden(&path, ONLY_LOAD_BALANCER);
    }
}

fn validate_policies(new: &Value, errors: &mut FieldErrors) {
    let spec = &new["spec"];
    let path = SPEC.child("externalTrafficPolicy");
    match (is_externally_accessible(new), text(spec, "externalTrafficPolicy")) {
        (false, "") | (true, "Cluster" | "Local") => {}
        (false, policy) => {
            errors.invalid(&path, policy, "may only be set for externally-accessible services");
        }
        (true, "") => errors.required(&path, ""),
        (true, policy) => errors.not_supported(&path, policy, &["Cluster", "Local"]),
    }
    let path = SPEC.child("healthCheckNodePort");
    match (needs_health_check(new), number(spec, "healthCheckNodePort")) {
        (false, 0) => {}
        (false, port) => {
            let detail =
                "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            errors.invalid(&path, port, detail);
        }
        (true, 0) => errors.required(&path, ""),
        (true, port) => {
            for problem in format::is_port_number(port) {
                errors.invalid(&path, port, &problem);
            }
        }
    }
    let path = SPEC.child("internalTrafficPolicy");
    match spec["internalTrafficPolicy"].as_str() {
        None if matches!(type_of(new), "NodePort" | "LoadBalancer" | "ClusterIP") => {
            errors.required(&path, "");
        }
        None | Some("Cluster" | "Local") => {}
        Some(policy) => errors.not_supported(&path, policy, &["Cluster", "Local"]),
    }
    match spec["trafficDistribution"].as_str() {
        None | Some("PreferClose" | "PreferSameNode" | "PreferSameZone") => {}
        Some(other) => {
            let values = ["PreferClose", "PreferSameNode", "PreferSameZone"];
            errors.not_supported(&SPEC.child("trafficDistribution"), other, &values);
        }
    }
}

/// Refuses addresses that mean something else than one machine's (`ValidateNonSpecialIP`).
pub(crate) fn validate_not_special(errors: &mut FieldErrors, path: &Path<'_>, ip: &str) {
    let Some(address) = address::parse(ip) else {
        return errors.invalid(path, ip, "must be a valid IP address");
    };
    if address.is_unspecified() {
        errors.invalid(path, ip, &format!("may not be unspecified ({ip})"));
    }
    if address.is_loopback() {
        errors.invalid(path, ip, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    }
    let (unicast, multicast) = match address {
        std::net::IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        std::net::IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.segments()[0] & 0xff0f == 0xff02),
    };
    if unicast {
        errors.invalid(path, ip, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    }
    if multicast {
        errors.invalid(path, ip, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
    }
}

pub(super) fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate_update(new, old, errors);
    if type_of(new) != "ExternalName" && type_of(old) != "ExternalName" {
        validate_ip_changes(new, old, errors);
        validate_family_changes(new, old, errors);
    }
    let class = |service: &Value| service["spec"].get("loadBalancerClass").cloned().unwrap_or(Value::Null);
    let both_balancers = type_of(new) == "LoadBalancer" && type_of(old) == "LoadBalancer";
    if both_balancers && class(new) != class(old) {
        errors.invalid(&SPEC.child("loadBalancerClass"), class(new), SET_ONCE);
    }
    validate_class(new, errors);
    let port = |service: &Value| number(&service["spec"], "healthCheckNodePort");
    if needs_health_check(new) && needs_health_check(old) && port(new) != port(old) {
        errors.forbidden(&SPEC.child("healthCheckNodePort"), metadata::IMMUTABLE);
    }
    metadata::validate(new, true, STRATEGY.name_rule, errors);
    validate_against(new, old, errors);
}

fn validate_ip_changes(new: &Value, old: &Value, errors: &mut FieldErrors) {
    if is_headless(new) && is_headless(old) {
        return;
    }
    let path = SPEC.child("clusterIPs");
    let quoted = || new["spec"].get("clusterIPs").cloned().unwrap_or(Value::Null);
    let ips: Vec<&str> = texts(&new["spec"], "clusterIPs").collect();
    let old_ips: Vec<&str> = texts(&old["spec"], "clusterIPs").collect();
    if ips.len() == old_ips.len() {
        for (index, _) in ips.iter().zip(&old_ips).enumerate().filter(|(_, (new, old))| new != old) {
            errors.invalid(&path.index(index), quoted(), SET_ONCE);
        }
        return;
    }
    let is_less = ips.len() < old_ips.len();
    if is_less && ips.is_empty() {
        errors.invalid(&path.index(0), quoted(), "primary clusterIP can not be unset");
    }
    if let (Some(first), Some(old_first)) = (ips.first(), old_ips.first())
        && first != old_first
    {
        errors.invalid(&path.index(0), quoted(), SET_ONCE);
    }
    if is_less && ips.len() == 1 {
        must_be_single_stack(
            new,
            "must be set to 'SingleStack' when releasing the secondary clusterIP",
            errors,
        );
    }
}

fn validate_family_changes(new: &Value, old: &Value, errors: &mut FieldErrors) {
    if is_headless(new) || is_headless(old) {
        return;
    }
    let path = SPEC.child("ipFamilies");
    let quoted = |field: &str| new["spec"].get(field).cloned().unwrap_or(Value::Null);
    let families: Vec<&str> = texts(&new["spec"], "ipFamilies").collect();
    let old_families: Vec<&str> = texts(&old["spec"], "ipFamilies").collect();
    if families.len() == old_families.len() {
        for _ in families.iter().zip(&old_families).filter(|(new, old)| new != old) {
            errors.invalid(&path.index(0), quoted("ipFamilies"), SET_ONCE);
        }
        return;
    }
    let is_less = families.len() < old_families.len();
    if is_less && !is_set(&new["spec"], "clusterIPs") {
        errors.invalid(&path.index(0), quoted("ipFamilies"), "primary ipFamily can not be unset");
    }
    if let (Some(first), Some(old_first)) = (families.first(), old_families.first())
        && first != old_first
    {
        errors.invalid(&path.index(0), quoted("clusterIPs"), SET_ONCE);
    }
    if is_less && families.len() == 1 {
        must_be_single_stack(
            new,
            "must be set to 'SingleStack' when releasing the secondary ipFamily",
            errors,
        );
    }
}

fn must_be_single_stack(new: &Value, detail: &str, errors: &mut FieldErrors) {
    let policy = new["spec"].get("ipFamilyPolicy").cloned().unwrap_or(Value::Null);
    if policy != "SingleStack" {
        errors.invalid(&SPEC.child("ipFamilyPolicy"), policy, detail);
    }
}

pub(super) fn validate_status(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate_update(new, old, errors);
    let status = Path::new("status");
    let balancer = status.child("loadBalancer");
    let path = balancer.child("ingress");
    let ingresses = list(&new["status"]["loadBalancer"], "ingress");
    if type_of(new) != "LoadBalancer" && !ingresses.is_empty() {
        return errors.forbidden(&path, "may only be used when `spec.type` is 'LoadBalancer'");
    }
    let old_ingresses = list(&old["status"]["loadBalancer"], "ingress");
    let old_ips: Vec<&str> = old_ingresses.iter().map(|ingress| text(ingress, "ip")).collect();
    for (index, ingress) in ingresses.iter().enumerate() {
        let path = path.index(index);
        let ip = text(ingress, "ip");
        if !ip.is_empty() {
            address::validate_legacy(errors, &path.child("ip"), ip, &old_ips);
        }
        let mode_path = path.child("ipMode");
        match ingress["ipMode"].as_str() {
            None if ip.is_empty() => {}
            None => errors.required(&mode_path, "must be specified when `ip` is set"),
            Some(_) if ip.is_empty() => {
                errors.forbidden(&mode_path, "may not be specified when `ip` is not set");
            }
            Some("Proxy" | "VIP") => {}
            Some(other) => errors.not_supported(&mode_path, other, &["Proxy", "VIP"]),
        }
        validate_host(errors, &path.child("hostname"), text(ingress, "hostname"));
    }
}

/// What is wrong with the host name of a load balancer, if there is one.
pub(crate) fn validate_host(errors: &mut FieldErrors, path: &Path<'_>, host: &str) {
    if host.is_empty() {
        return;
    }
    format::report(errors, path, host, format::is_dns1123_subdomain(host));
    if address::parse(host).is_some() {
        errors.invalid(path, host, "must be a DNS name, not an IP address");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::cases;

    fn service() -> Value {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 1}]}})
    }

    #[test]
    fn ports_types_and_policies_are_validated() {
        cases::check_wrong(
            &service(),
            &[
                (json!({}), &[]),
                (json!({"metadata": {"name": "1digit"}}), &[]),
                (json!({"spec": {"ports": []}}), &["spec.ports: Required value"]),
                (
                    json!({"spec": {"ports": [{"port": 0}]}}),
                    &[
                        "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                        "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
                    ],
                ),
                (
                    json!({"spec": {"ports": [{"port": 1}, {"port": 2}]}}),
                    &["spec.ports[0].name: Required value", "spec.ports[1].name: Required value"],
                ),
                (
                    json!({"spec": {"ports": [{"port": 1, "name": "x"}, {"port": 1, "name": "x"}]}}),
                    &[
                        "spec.ports[1].name: Duplicate value: \"x\"",
                        "spec.ports[1]: Duplicate value: {\"Name\":\"\",\"Protocol\":\"TCP\",\"AppProtocol\":null,\"Port\":1,\"TargetPort\":0,\"NodePort\":0}",
                    ],
                ),
                (
                    json!({"spec": {"ports": [{"port": 1, "protocol": "ICMP", "targetPort": "-"}]}}),
                    &[
                        "spec.ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
                        "spec.ports[0].targetPort: Invalid value: \"-\": must contain at least one letter (a-z)",
                        "spec.ports[0].targetPort: Invalid value: \"-\": must not begin or end with a hyphen",
                    ],
                ),
                (json!({"spec": {"type": "ExternalName"}}), &["spec.externalName: Required value"]),
                (
                    json!({"spec": {"type": "Magic"}}),
                    &[
                        "spec.type: Unsupported value: \"Magic\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
                    ],
                ),
                (
                    json!({"spec": {"externalTrafficPolicy": "Local"}}),
                    &[
                        "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services",
                    ],
                ),
                (
                    json!({"spec": {"clusterIP": "300.1.1.1", "clusterIPs": ["300.1.1.1"]}}),
                    &[
                        "spec.clusterIPs[0]: Invalid value: \"300.1.1.1\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
                    ],
                ),
                (
                    json!({"spec": {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86401}}}}),
                    &[
                        "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400",
                    ],
                ),
                (
                    json!({"spec": {"externalIPs": ["127.0.0.1", "x"]}}),
                    &[
                        "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
                        "spec.externalIPs[1]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
                    ],
                ),
                (
                    json!({"spec": {"type": "NodePort", "clusterIP": "None", "clusterIPs": ["None"], "ports": [{"port": 1, "nodePort": 30000}],
                        "loadBalancerClass": "a.b/c", "loadBalancerSourceRanges": ["10.0.0.0/8 ", "x"]}}),
                    &[
                        "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
                        "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
                        "spec.LoadBalancerSourceRanges[1]: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
                        "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
                    ],
                ),
                (
                    json!({"spec": {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "10.0.0.2"], "ipFamilies": ["IPv4", "IPv4"]}}),
                    &[
                        "spec.ipFamilies[1]: Duplicate value: \"IPv4\"",
                        "spec.clusterIPs: Invalid value: [\"10.0.0.1\",\"10.0.0.2\"]: may specify no more than one IP for each IP family",
                    ],
                ),
            ],
        );
    }

    #[test]
    fn addresses_do_not_change() {
        let old = cases::merged(
            service(),
            &json!({"spec": {"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "ipFamilies": ["IPv4"]}}),
        );
        let other = json!({"spec": {"clusterIP": "10.96.0.2", "clusterIPs": ["10.96.0.2"]}});
        assert_eq!(
            cases::updated(old.clone(), &other).1,
            ["spec.clusterIPs[0]: Invalid value: [\"10.96.0.2\"]: may not change once set"]
        );
        let unset = json!({"spec": {"clusterIP": null, "clusterIPs": null}});
        assert_eq!(
            cases::updated(old.clone(), &unset).1,
            ["spec.clusterIPs[0]: Invalid value: null: primary clusterIP can not be unset"]
        );
        let family = json!({"spec": {"ipFamilies": ["IPv6"]}});
        assert_eq!(
            cases::updated(old, &family).1,
            [
                "spec.ipFamilies[0]: Invalid value: [\"IPv6\"]: may not change once set",
                "spec.clusterIPs[0]: Invalid value: \"10.96.0.1\": expected an IPv6 value as indicated by `ipFamilies[0]`",
            ]
        );
    }

    #[test]
    fn the_status_of_a_load_balancer_is_validated() {
        let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": "x"}, {"hostname": "1.2.3.4"}]}}});
        assert_eq!(
            cases::status_updated(service(), &status).1,
            ["status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"]
        );
        let balancer = cases::merged(service(), &json!({"spec": {"type": "LoadBalancer"}}));
        assert_eq!(
            cases::status_updated(balancer, &status).1,
            [
                "status.loadBalancer.ingress[0].ip: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
                "status.loadBalancer.ingress[1].hostname: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address",
            ]
        );
    }
}
