//! EndpointSlice: a part of the addresses behind a Service.

use std::collections::HashSet;

use serde_json::Value;

use super::service::validate::validate_not_special;
use crate::{
    kinds::{Strategy, strategy::Generation},
    machinery::{
        FieldErrors, Path, address,
        fields::{fill, list, objects_mut, present, text, texts},
        format, metadata, object, selector,
    },
};

/// The behaviour of EndpointSlices.
pub static STRATEGY: Strategy = Strategy {
    default,
    prepare_create: drop_topology,
    prepare_update: |new, old| {
        if new["endpoints"] != old["endpoints"] {
            drop_topology(new);
        }
    },
    validate_create: |new, errors| validate(new, &Value::Null, errors),
    validate_update,
    warnings,
    generation: Generation::ContentAndLabels,
    ..Strategy::PLAIN
};

const ENDPOINTS_MAX: usize = 1000;
const ADDRESSES_MAX: usize = 100;
const PORTS_MAX: usize = 20_000;
const TOPOLOGY_MAX: usize = 16;
const HINTS_MAX: usize = 8;

fn default(slice: &mut Value) {
    for port in objects_mut(object::map_mut(slice), "ports") {
        fill(port, "name", "");
        fill(port, "protocol", "TCP");
    }
}

/// Labels of topology were replaced by fields.
fn drop_topology(slice: &mut Value) {
    for endpoint in objects_mut(object::map_mut(slice), "endpoints") {
        endpoint.remove("deprecatedTopology");
    }
}

fn validate(new: &Value, old: &Value, errors: &mut FieldErrors) {
    let type_ = text(new, "addressType");
    match type_ {
        "" => errors.required(&Path::new("addressType"), ""),
        "IPv4" | "IPv6" | "FQDN" => {}
        other => errors.not_supported(&Path::new("addressType"), other, &["FQDN", "IPv4", "IPv6"]),
    }
    let path = Path::new("endpoints");
    let endpoints = list(new, "endpoints");
    if endpoints.len() > ENDPOINTS_MAX {
        errors.too_many(&path, endpoints.len(), ENDPOINTS_MAX);
    } else {
        let old: Vec<&str> = list(old, "endpoints").iter().flat_map(|old| texts(old, "addresses")).collect();
        for (index, endpoint) in endpoints.iter().enumerate() {
            validate_endpoint(errors, &path.index(index), endpoint, type_, &old);
        }
    }
    validate_ports(errors, list(new, "ports"));
}

fn validate_endpoint(errors: &mut FieldErrors, path: &Path<'_>, endpoint: &Value, type_: &str, old: &[&str]) {
    let addresses_path = path.child("addresses");
    let count = list(endpoint, "addresses").len();
    if count == 0 {
        errors.required(&addresses_path, "must contain at least 1 address");
    } else if count > ADDRESSES_MAX {
        errors.too_many(&addresses_path, count, ADDRESSES_MAX);
    }
    for (index, ip) in texts(endpoint, "addresses").enumerate() {
        let path = addresses_path.index(index);
        match type_ {
            "IPv4" | "IPv6" => {
                let before = errors.len();
                address::validate_legacy(errors, &path, ip, old);
                if errors.len() == before {
                    if address::parse(ip).is_some_and(|ip| ip.is_ipv4() != (type_ == "IPv4")) {
                        errors.invalid(&addresses_path, ip, &format!("must be an {type_} address"));
                    }
                    validate_not_special(errors, &path, ip);
                }
            }
            "FQDN" => format::fully_qualified_domain_name(errors, &path, ip),
            _ => {}
        }
    }
    if let Some(node) = endpoint["nodeName"].as_str() {
        format::report(errors, &path.child("nodeName"), node, format::is_dns1123_subdomain(node));
    }
    let topology = endpoint.get("deprecatedTopology").unwrap_or(&Value::Null);
    let count = topology.as_object().map_or(0, serde_json::Map::len);
    if count > TOPOLOGY_MAX {
        errors.too_many(&path.child("deprecatedTopology"), count, TOPOLOGY_MAX);
    }
    selector::validate_labels(errors, &path.child("deprecatedTopology"), topology);
    if let Some(host) = endpoint["hostname"].as_str() {
        format::report(errors, &path.child("hostname"), host, format::is_dns1123_label(host));
    }
    if let Some(hints) = present(endpoint, "hints") {
        let path = path.child("hints");
        validate_hints(errors, &path, hints, "forZones", format::is_label_value);
        validate_hints(errors, &path, hints, "forNodes", format::is_dns1123_subdomain);
    }
}

fn validate_hints(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    hints: &Value,
    field: &str,
    rule: fn(&str) -> Vec<String>,
) {
    let path = path.child(field);
    let hints = list(hints, field);
    if hints.len() > HINTS_MAX {
        return errors.too_many(&path, hints.len(), HINTS_MAX);
    }
    let mut seen = HashSet::new();
    for (index, hint) in hints.iter().enumerate() {
        let path = path.index(index);
        let name = text(hint, "name");
        if !seen.insert(name) {
            errors.duplicate(&path.child("name"), name);
        }
        format::report(errors, &path.child("name"), name, rule(name));
    }
}

fn validate_ports(errors: &mut FieldErrors, ports: &[Value]) {
    let path = Path::new("ports");
    if ports.len() > PORTS_MAX {
        return errors.too_many(&path, ports.len(), PORTS_MAX);
    }
    let mut seen = HashSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        let name = text(port, "name");
        if !name.is_empty() {
            format::report(errors, &path.child("name"), name, format::is_dns1123_label(name));
        }
        if !seen.insert(name) {
            errors.duplicate(&path.child("name"), name);
        }
        super::service::ports::validate_protocol(errors, &path.child("protocol"), text(port, "protocol"));
        if let Some(protocol) = port["appProtocol"].as_str() {
            let problems = format::is_qualified_name(protocol);
            format::report(errors, &path.child("appProtocol"), protocol, problems);
        }
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate(new, true, STRATEGY.name_rule, errors);
    validate(new, old, errors);
    metadata::immutable(errors, &Path::new("addressType"), &new["addressType"], &old["addressType"]);
}

fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let mut warnings = Vec::new();
    match text(new, "addressType") {
        "FQDN" if old.is_none() => {
            warnings.push("spec.addressType: FQDN endpoints are deprecated".to_owned());
        }
        "IPv4" | "IPv6" => {
            let root = Path::new("endpoints");
            for (index, endpoint) in list(new, "endpoints").iter().enumerate() {
                let path = root.index(index);
                let path = path.child("addresses");
                let ips = texts(endpoint, "addresses").enumerate();
                warnings.extend(ips.filter_map(|(index, ip)| address::warning(&path.index(index), ip)));
            }
        }
        _ => {}
    }
    warnings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::cases;

    fn slice() -> Value {
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": []})
    }

    #[test]
    fn endpoints_are_validated_by_the_type_of_address() {
        cases::check_wrong(
            &slice(),
            &[
                (json!({"endpoints": [{"addresses": ["10.1.1.1"]}], "ports": [{"port": 80}]}), &[]),
                (json!({"addressType": null}), &["addressType: Required value"]),
                (
                    json!({"addressType": "MAC"}),
                    &[
                        "addressType: Unsupported value: \"MAC\": supported values: \"FQDN\", \"IPv4\", \"IPv6\"",
                    ],
                ),
                (
                    json!({"endpoints": [{"addresses": ["fd00::1"]}, {"addresses": []}]}),
                    &[
                        "endpoints[0].addresses: Invalid value: \"fd00::1\": must be an IPv4 address",
                        "endpoints[1].addresses: Required value: must contain at least 1 address",
                    ],
                ),
                (
                    json!({"addressType": "FQDN", "endpoints": [{"addresses": ["a"], "hints": {"forZones": [{"name": "z"}, {"name": "z"}]}}]}),
                    &[
                        "endpoints[0].addresses[0]: Invalid value: \"a\": should be a domain with at least two segments separated by dots",
                        "endpoints[0].hints.forZones[1].name: Duplicate value: \"z\"",
                    ],
                ),
                (
                    json!({"ports": [{"port": 1}, {"port": 2, "protocol": "x", "appProtocol": "a b"}]}),
                    &[
                        "ports[1].name: Duplicate value: \"\"",
                        "ports[1].protocol: Unsupported value: \"x\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
                        "ports[1].appProtocol: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
                    ],
                ),
            ],
        );
    }

    #[test]
    fn ports_have_names_and_topology_is_gone() {
        let sent = cases::merged(
            slice(),
            &json!({"ports": [{"port": 80}], "endpoints": [{"addresses": ["10.1.1.1"], "deprecatedTopology": {"a": "b"}}]}),
        );
        let stored = cases::created(sent).0;
        assert_eq!(stored["ports"], json!([{"name": "", "protocol": "TCP", "port": 80}]));
        assert_eq!(stored["endpoints"], json!([{"addresses": ["10.1.1.1"], "conditions": {}}]));
        assert_eq!(
            cases::updated(slice(), &json!({"addressType": "IPv6"})).1,
            ["addressType: Invalid value: \"IPv6\": field is immutable"]
        );
    }
}
