//! NetworkPolicy: who may talk to the Pods it selects.

use serde_json::{Value, json};

use crate::{
    kinds::{Strategy, strategy::Generation},
    machinery::{
        FieldErrors, Path,
        address::{self, Cidr},
        fields::{fill, integer, list, objects_mut, present, text, texts},
        format, metadata, object,
        selector::{self, Leniency},
    },
};

/// The behaviour of NetworkPolicies.
pub static STRATEGY: Strategy = Strategy {
    default,
    validate_create: |new, errors| validate(new, &Value::Null, errors),
    validate_update: |new, old, errors| {
        metadata::validate_update(new, old, errors);
        validate(new, old, errors);
    },
    warnings,
    generation: Generation::Spec,
    ..Strategy::PLAIN
};

const SPEC: Path<'static> = Path::new("spec");
/// The two directions, and how each names the other side.
const DIRECTIONS: [(&str, &str); 2] = [("ingress", "from"), ("egress", "to")];

fn default(policy: &mut Value) {
    let spec = object::child_mut(policy, "spec");
    for (direction, _) in DIRECTIONS {
        for rule in objects_mut(spec, direction) {
            for port in objects_mut(rule, "ports") {
                fill(port, "protocol", "TCP");
            }
        }
    }
    let has = |field: &str| {
        spec.get(field).and_then(Value::as_array).is_some_and(|items: &Vec<Value>| !items.is_empty())
    };
    if !has("policyTypes") {
        let types = if has("egress") { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
        spec.insert("policyTypes".to_owned(), types);
    }
}

fn validate(new: &Value, old: &Value, errors: &mut FieldErrors) {
    let spec = &new["spec"];
    let leniency = {
        let mut wrong = FieldErrors::new();
        selector::validate(&mut wrong, &SPEC, &old["spec"]["podSelector"], Leniency::default());
        Leniency { values: !wrong.is_empty(), operators: false }
    };
    let old_cidrs: Vec<&str> = blocks(old).flat_map(|(_, _, _, block)| cidrs(block)).collect();
    selector::validate(errors, &SPEC.child("podSelector"), &spec["podSelector"], leniency);
    for (direction, side) in DIRECTIONS {
        let path = SPEC.child(direction);
        for (index, rule) in list(spec, direction).iter().enumerate() {
            let path = path.index(index);
            let ports = path.child("ports");
            for (index, port) in list(rule, "ports").iter().enumerate() {
                validate_port(errors, &ports.index(index), port);
            }
            let peers = path.child(side);
            for (index, peer) in list(rule, side).iter().enumerate() {
                validate_peer(errors, &peers.index(index), peer, leniency, &old_cidrs);
            }
        }
    }
    let path = SPEC.child("policyTypes");
    if list(spec, "policyTypes").len() > 2 {
        let detail = "may not specify more than two policyTypes";
        return errors.invalid(&path, spec["policyTypes"].clone(), detail);
    }
    for (index, type_) in texts(spec, "policyTypes").enumerate() {
        if !matches!(type_, "Ingress" | "Egress") {
            errors.not_supported(&path.index(index), type_, &["Ingress", "Egress"]);
        }
    }
}

fn validate_port(errors: &mut FieldErrors, path: &Path<'_>, port: &Value) {
    if let Some(protocol) = port["protocol"].as_str()
        && !matches!(protocol, "TCP" | "UDP" | "SCTP")
    {
        errors.not_supported(&path.child("protocol"), protocol, &["TCP", "UDP", "SCTP"]);
    }
    let (end, end_path) = (integer(port, "endPort"), path.child("endPort"));
    match (&port["port"], end) {
        (Value::Null, None) => {}
        (Value::Null, Some(end)) => {
            errors.invalid(&end_path, end, "may not be specified when `port` is not specified");
        }
        (Value::String(name), end) => {
            if let Some(end) = end {
                errors.invalid(&end_path, end, "may not be specified when `port` is non-numeric");
            }
            format::report(errors, &path.child("port"), name, format::is_port_name(name));
        }
        (number, end) => {
            let start = number.as_i64().unwrap_or_default();
            for problem in format::is_port_number(start) {
                errors.invalid(&path.child("port"), start, &problem);
            }
            if let Some(end) = end {
                if end < start {
                    // Kubernetes quotes the start here.
                    errors.invalid(&end_path, start, "must be greater than or equal to `port`");
                }
                for problem in format::is_port_number(end) {
                    errors.invalid(&end_path, end, &problem);
                }
            }
        }
    }
}

fn validate_peer(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    peer: &Value,
    leniency: Leniency,
    old_cidrs: &[&str],
) {
    let mut count = 0;
    for field in ["podSelector", "namespaceSelector"] {
        if let Some(selector) = present(peer, field) {
            count += 1;
            selector::validate(errors, &path.child(field), selector, leniency);
        }
    }
    let block = present(peer, "ipBlock");
    if let Some(block) = block {
        validate_block(errors, &path.child("ipBlock"), block, old_cidrs);
        if count > 0 {
            errors.forbidden(path, "may not specify both ipBlock and another peer");
        }
    } else if count == 0 {
        errors.required(path, "must specify a peer");
    }
}

fn validate_block(errors: &mut FieldErrors, path: &Path<'_>, block: &Value, old_cidrs: &[&str]) {
    let cidr = text(block, "cidr");
    if cidr.is_empty() {
        return errors.required(&path.child("cidr"), "");
    }
    address::validate_cidr_legacy(errors, &path.child("cidr"), cidr, old_cidrs);
    let Some(cidr) = Cidr::parse(cidr) else { return };
    let path = path.child("except");
    for (index, written) in texts(block, "except").enumerate() {
        let path = path.index(index);
        address::validate_cidr_legacy(errors, &path, written, old_cidrs);
        let Some(except) = Cidr::parse(written) else { continue };
        if !cidr.contains(except.network()) || cidr.prefix >= except.prefix {
            errors.invalid(&path, written, "must be a strict subset of `cidr`");
        }
    }
}

/// All blocks of addresses: direction and side, index of the rule, index of the peer, block.
fn blocks(policy: &Value) -> impl Iterator<Item = ((&'static str, &'static str), usize, usize, &Value)> {
    DIRECTIONS.into_iter().flat_map(move |(direction, side)| {
        list(&policy["spec"], direction).iter().enumerate().flat_map(move |(rule, value)| {
            let peers = list(value, side).iter().enumerate();
            peers.filter_map(move |(peer, value)| {
                Some(((direction, side), rule, peer, present(value, "ipBlock")?))
            })
        })
    })
}

fn cidrs(block: &Value) -> impl Iterator<Item = &str> {
    std::iter::once(text(block, "cidr")).chain(texts(block, "except"))
}

fn warnings(new: &Value, _: Option<&Value>) -> Vec<String> {
    let mut warnings = Vec::new();
    for ((direction, side), rule, peer, block) in blocks(new) {
        let path = SPEC.child(direction);
        let path = path.index(rule);
        let path = path.child(side);
        let path = path.index(peer);
        let path = path.child("ipBlock");
        warnings.extend(address::cidr_warnings(&path.child("cidr"), text(block, "cidr")));
        let path = path.child("except");
        for (index, cidr) in texts(block, "except").enumerate() {
            warnings.extend(address::cidr_warnings(&path.index(index), cidr));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::cases;

    fn policy(spec: Value) -> Value {
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": spec})
    }

    #[test]
    fn the_types_follow_the_rules() {
        let stored = |spec: Value| cases::created(policy(spec)).0["spec"].clone();
        assert_eq!(stored(json!({})), json!({"podSelector": {}, "policyTypes": ["Ingress"]}));
        assert_eq!(
            stored(json!({"egress": [{"ports": [{"port": 80}]}]})),
            json!({"podSelector": {}, "egress": [{"ports": [{"port": 80, "protocol": "TCP"}]}], "policyTypes": ["Ingress", "Egress"]})
        );
    }

    #[test]
    fn ports_and_peers_are_validated() {
        let from = |peer: Value| json!({"spec": {"ingress": [{"from": [peer]}]}});
        cases::check_wrong(
            &policy(json!({"podSelector": {}})),
            &[
                (
                    from(json!({"ipBlock": {"cidr": "10.0.0.0"}})),
                    &[
                        "spec.ingress[0].from[0].ipBlock.cidr: Invalid value: \"10.0.0.0\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
                    ],
                ),
                (
                    from(
                        json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16", "10.1.0.0/16", "10.0.0.0/8"]}}),
                    ),
                    &[
                        "spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`",
                        "spec.ingress[0].from[0].ipBlock.except[2]: Invalid value: \"10.0.0.0/8\": must be a strict subset of `cidr`",
                    ],
                ),
                (
                    from(json!({"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}})),
                    &["spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer"],
                ),
                (from(json!({})), &["spec.ingress[0].from[0]: Required value: must specify a peer"]),
                (
                    json!({"spec": {"egress": [{"ports": [{"port": 80, "endPort": 70}, {"port": "http", "endPort": 9}, {"endPort": 1}]}]}}),
                    &[
                        "spec.egress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`",
                        "spec.egress[0].ports[1].endPort: Invalid value: 9: may not be specified when `port` is non-numeric",
                        "spec.egress[0].ports[2].endPort: Invalid value: 1: may not be specified when `port` is not specified",
                    ],
                ),
                (
                    json!({"spec": {"policyTypes": ["Sideways"]}}),
                    &[
                        "spec.policyTypes[0]: Unsupported value: \"Sideways\": supported values: \"Ingress\", \"Egress\"",
                    ],
                ),
            ],
        );
    }
}
