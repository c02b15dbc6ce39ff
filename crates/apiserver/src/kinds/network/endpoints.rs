//! Endpoints: addresses behind a Service, as they were before EndpointSlices.

use serde_json::Value;

use super::service::{ports::validate_protocol, validate::validate_not_special};
use crate::{
    kinds::Strategy,
    machinery::{
        FieldErrors, Path, address,
        fields::{fill, list, number, objects_mut, text},
        format, metadata, object,
    },
};

/// The behaviour of Endpoints.
pub static STRATEGY: Strategy = Strategy {
    default,
    validate_create: |new, errors| validate(new, &Value::Null, errors),
    validate_update,
    warnings,
    deprecation: Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
    create_on_update: true,
    ..Strategy::PLAIN
};

const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";

fn default(endpoints: &mut Value) {
    for subset in objects_mut(object::map_mut(endpoints), "subsets") {
        for port in objects_mut(subset, "ports") {
            fill(port, "protocol", "TCP");
        }
    }
}

fn validate(new: &Value, old: &Value, errors: &mut FieldErrors) {
    let old_ips: Vec<&str> = addresses(old).map(|(_, _, _, ip)| ip).collect();
    let subsets = Path::new("subsets");
    for (index, subset) in list(new, "subsets").iter().enumerate() {
        let path = subsets.index(index);
        if list(subset, "addresses").is_empty() && list(subset, "notReadyAddresses").is_empty() {
            errors.required(&path, "must specify `addresses` or `notReadyAddresses`");
        }
        for field in ["addresses", "notReadyAddresses"] {
            let path = path.child(field);
            for (index, address) in list(subset, field).iter().enumerate() {
                validate_address(errors, &path.index(index), address, &old_ips);
            }
        }
        let ports = list(subset, "ports");
        let path = path.child("ports");
        for (index, port) in ports.iter().enumerate() {
            validate_port(errors, &path.index(index), port, ports.len() > 1);
        }
    }
}

fn validate_address(errors: &mut FieldErrors, path: &Path<'_>, value: &Value, old_ips: &[&str]) {
    let ip = text(value, "ip");
    let before = errors.len();
    address::validate_legacy(errors, &path.child("ip"), ip, old_ips);
    if errors.len() == before {
        validate_not_special(errors, &path.child("ip"), ip);
    }
    let host = text(value, "hostname");
    if !host.is_empty() {
        format::report(errors, &path.child("hostname"), host, format::is_dns1123_label(host));
    }
    if let Some(node) = value["nodeName"].as_str() {
        format::report(errors, &path.child("nodeName"), node, format::is_dns1123_subdomain(node));
    }
}

fn validate_port(errors: &mut FieldErrors, path: &Path<'_>, port: &Value, needs_name: bool) {
    match text(port, "name") {
        "" if needs_name => errors.required(&path.child("name"), ""),
        "" => {}
        name => format::report(errors, &path.child("name"), name, format::is_dns1123_label(name)),
    }
    let port_number = number(port, "port");
    for problem in format::is_port_number(port_number) {
        errors.invalid(&path.child("port"), port_number, &problem);
    }
    validate_protocol(errors, &path.child("protocol"), text(port, "protocol"));
    if let Some(protocol) = port["appProtocol"].as_str() {
        let problems = format::is_qualified_name(protocol);
        format::report(errors, &path.child("appProtocol"), protocol, problems);
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate_update(new, old, errors);
    metadata::validate(new, true, STRATEGY.name_rule, errors);
    validate(new, old, errors);
}

/// All addresses: index of the subset, field, index in the field, address.
fn addresses(endpoints: &Value) -> impl Iterator<Item = (usize, &'static str, usize, &str)> {
    list(endpoints, "subsets").iter().enumerate().flat_map(|(subset, value)| {
        ["addresses", "notReadyAddresses"].into_iter().flat_map(move |field| {
            let items = list(value, field).iter().enumerate();
            items.map(move |(index, item)| (subset, field, index, text(item, "ip")))
        })
    })
}

fn warnings(new: &Value, _: Option<&Value>) -> Vec<String> {
    // What a controller writes it has read from elsewhere.
    if object::labels(new).is_some_and(|labels| labels.contains_key(MANAGED_BY)) {
        return Vec::new();
    }
    let root = Path::new("subsets");
    let warned = addresses(new).filter_map(|(subset, field, index, ip)| {
        let path = root.index(subset);
        let path = path.child(field);
        let path = path.index(index);
        address::warning(&path.child("ip"), ip)
    });
    warned.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::cases;

    #[test]
    fn addresses_and_ports_are_validated() {
        let base = json!({"apiVersion": "v1", "kind": "Endpoints"});
        let subset = |addresses: serde_json::Value, ports: serde_json::Value| json!({"subsets": [{"addresses": addresses, "ports": ports}]});
        cases::check_wrong(
            &base,
            &[
                (subset(json!([{"ip": "10.1.1.2", "nodeName": "n"}]), json!([{"port": 80}])), &[]),
                (
                    subset(
                        json!([{"ip": "127.0.0.1"}, {"ip": "x", "hostname": "a.b"}]),
                        json!([{"port": 1}]),
                    ),
                    &[
                        "subsets[0].addresses[0].ip: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
                        "subsets[0].addresses[1].ip: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
                        "subsets[0].addresses[1].hostname: Invalid value: \"a.b\": must not contain dots",
                    ],
                ),
                (
                    subset(json!([]), json!([{"port": 1}, {"port": 0, "protocol": "x"}])),
                    &[
                        "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`",
                        "subsets[0].ports[0].name: Required value",
                        "subsets[0].ports[1].name: Required value",
                        "subsets[0].ports[1].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                        "subsets[0].ports[1].protocol: Unsupported value: \"x\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
                    ],
                ),
            ],
        );
        let odd =
            json!({"apiVersion": "v1", "kind": "Endpoints", "subsets": [{"addresses": [{"ip": "FD00::1"}]}]});
        assert_eq!(
            cases::warnings(odd),
            [
                "subsets[0].addresses[0].ip: IPv6 address \"FD00::1\" should be in RFC 5952 canonical format (\"fd00::1\")"
            ]
        );
    }
}
