//! Node: its CIDRs and taints, and what of its spec can change.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::{
    kinds::{
        Strategy,
        workloads::pod_spec::{defaults::round_amounts, resources},
    },
    machinery::{
        FieldErrors, Path, address,
        fields::{entries, is_set, list, present, text, texts},
        format, go_quoted,
        invalid::Cause,
        metadata, object,
    },
};

/// The behaviour of Nodes.
pub static STRATEGY: Strategy = Strategy {
    default,
    validate_create: validate,
    validate_update,
    validate_status: validate_update,
    warnings,
    status: true,
    status_on_create: true,
    ..Strategy::PLAIN
};

fn default(node: &mut Value) {
    let status = object::child_mut(node, "status");
    for field in ["capacity", "allocatable"] {
        round_amounts(status, field);
    }
    if !status.contains_key("allocatable")
        && let Some(capacity) = status.get("capacity").cloned()
    {
        status.insert("allocatable".to_owned(), capacity);
    }
    let spec = object::child_mut(node, "spec");
    // The older field, which holds one CIDR, wins over the first of the newer.
    let one = spec.get("podCIDR").and_then(Value::as_str).unwrap_or_default().to_owned();
    let first = spec.get("podCIDRs").and_then(|cidrs| cidrs.get(0)).cloned();
    match first {
        _ if one.is_empty() => {
            if let Some(first) = first {
                spec.insert("podCIDR".to_owned(), first);
            }
        }
        Some(first) if first == one => {}
        _ => {
            spec.insert("podCIDRs".to_owned(), json!([one]));
        }
    }
}

fn validate(node: &Value, errors: &mut FieldErrors) {
    validate_taints(node, errors);
    validate_resources(node, errors);
    let spec = Path::new("spec");
    let path = spec.child("podCIDRs");
    let cidrs: Vec<&str> = texts(&node["spec"], "podCIDRs").collect();
    for (index, cidr) in cidrs.iter().enumerate() {
        address::validate_cidr_legacy(errors, &path.index(index), cidr, &[]);
    }
    if cidrs.len() > 1 {
        validate_families(errors, &path, &node["spec"]["podCIDRs"], &cidrs);
    }
}

fn validate_families(errors: &mut FieldErrors, path: &Path<'_>, value: &Value, cidrs: &[&str]) {
    let mut families = HashSet::new();
    for cidr in cidrs {
        if let Some(cidr) = address::Cidr::parse(cidr) {
            families.insert(cidr.address.is_ipv4());
        } else {
            let message = format!(
                "Internal error: invalid PodCIDRs. failed to check with dual stack with error:invalid CIDR \
                 address: {cidr}"
            );
            errors.push(Cause::InternalError, path, message);
            break;
        }
    }
    if families.len() < 2 || cidrs.len() > 2 {
        errors.invalid(path, value.clone(), "may specify no more than one CIDR for each IP family");
    }
    let mut seen = HashSet::new();
    for (index, cidr) in cidrs.iter().enumerate() {
        if !seen.insert(cidr) {
            errors.duplicate(&path.index(index), *cidr);
        }
    }
}

fn validate_taints(node: &Value, errors: &mut FieldErrors) {
    // Kubernetes says that taints stand in the metadata.
    let metadata = Path::new("metadata");
    let path = metadata.child("taints");
    let mut seen = HashSet::new();
    for (index, taint) in list(&node["spec"], "taints").iter().enumerate() {
        let path = path.index(index);
        let (key, value, effect) = (text(taint, "key"), text(taint, "value"), text(taint, "effect"));
        format::report(errors, &path.child("key"), key, format::is_qualified_name(key));
        let problems = format::is_label_value(value);
        if !problems.is_empty() {
            errors.invalid(&path.child("value"), value, &problems.join(";"));
        }
        match effect {
            "" => errors.required(&path.child("effect"), ""),
            "NoSchedule" | "PreferNoSchedule" | "NoExecute" => {}
            other => {
                let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
                errors.not_supported(&path.child("effect"), other, &effects);
            }
        }
        if !seen.insert((key, effect)) {
            let added = present(taint, "timeAdded").map_or("null".to_owned(), Value::to_string);
            let message = format!(
                "Duplicate value: {{\"Key\":{},\"Value\":{},\"Effect\":{},\"TimeAdded\":{added}}}: taints must be \
                 unique by key and effect pair",
                go_quoted(key),
                go_quoted(value),
                go_quoted(effect),
            );
            errors.push(Cause::FieldValueDuplicate, &path, message);
        }
    }
}

fn validate_resources(node: &Value, errors: &mut FieldErrors) {
    let status = Path::new("status");
    for field in ["capacity", "allocatable"] {
        let path = status.child(field);
        for (name, amount) in entries(&node["status"], field) {
            resources::validate_amount(errors, &path.child(name), name, amount);
        }
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate_update(new, old, errors);
    validate_resources(new, errors);
    let status = Path::new("status");
    let addresses = status.child("addresses");
    let mut seen = HashSet::new();
    for (index, address) in list(&new["status"], "addresses").iter().enumerate() {
        let (type_, value) = (text(address, "type"), text(address, "address"));
        if !seen.insert((type_, value)) {
            let (type_, value) = (go_quoted(type_), go_quoted(value));
            let message = format!("Duplicate value: {{\"Type\":{type_},\"Address\":{value}}}");
            errors.push(Cause::FieldValueDuplicate, &addresses.index(index), message);
        }
    }
    let spec = Path::new("spec");
    let (new_spec, old_spec) = (&new["spec"], &old["spec"]);
    let mut changes =
        texts(old_spec, "podCIDRs").zip(texts(new_spec, "podCIDRs")).filter(|(a, b)| a != b).count();
    let (new_count, old_count) = (list(new_spec, "podCIDRs").len(), list(old_spec, "podCIDRs").len());
    if old_count > 0 && old_count != new_count {
        changes = 1;
    }
    for _ in 0..changes {
        let detail = "node updates may not change podCIDR except from \"\" to valid";
        errors.forbidden(&spec.child("podCIDRs"), detail);
    }
    let provider = text(old_spec, "providerID");
    if !provider.is_empty() && provider != text(new_spec, "providerID") {
        let detail = "node updates may not change providerID except from \"\" to valid";
        errors.forbidden(&spec.child("providerID"), detail);
    }
    validate_taints(new, errors);
    if text(new_spec, "externalID") != text(old_spec, "externalID") {
        errors.forbidden(&spec.child("externalID"), "may not be updated");
    }
}

fn warnings(new: &Value, _: Option<&Value>) -> Vec<String> {
    let mut warnings = Vec::new();
    let spec = &new["spec"];
    if present(spec, "configSource").is_some() {
        warnings.push("spec.configSource: the feature is removed".to_owned());
    }
    if is_set(spec, "externalID") {
        warnings.push("spec.externalID: this field is deprecated, and is unused by Kubernetes".to_owned());
    }
    let path = Path::new("spec");
    let path = path.child("podCIDRs");
    for (index, cidr) in texts(spec, "podCIDRs").enumerate() {
        warnings.extend(address::cidr_warnings(&path.index(index), cidr));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::cases;

    fn node() -> Value {
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}})
    }

    #[test]
    fn what_is_there_can_be_used_and_the_cidr_is_in_both_fields() {
        let sent = cases::merged(
            node(),
            &json!({"spec": {"podCIDR": "10.244.1.0/24"}, "status": {"capacity": {"cpu": "4"}}}),
        );
        let stored = cases::created(sent).0;
        assert_eq!(stored["status"]["allocatable"], json!({"cpu": "4"}));
        assert_eq!(stored["spec"]["podCIDRs"], json!(["10.244.1.0/24"]));
        let sent = cases::merged(node(), &json!({"spec": {"podCIDRs": ["10.1.0.0/24", "fd00::/64"]}}));
        assert_eq!(cases::created(sent).0["spec"]["podCIDR"], "10.1.0.0/24");
    }

    #[test]
    fn taints_cidrs_and_amounts_are_validated() {
        cases::check_wrong(
            &node(),
            &[
                (
                    json!({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}, {"key": "a", "effect": "NoSchedule"}]}}),
                    &[
                        "metadata.taints[1]: Duplicate value: {\"Key\":\"a\",\"Value\":\"\",\"Effect\":\"NoSchedule\",\"TimeAdded\":null}: taints must be unique by key and effect pair",
                    ],
                ),
                (
                    json!({"spec": {"taints": [{"key": "a", "effect": "Never"}, {"key": "b"}]}}),
                    &[
                        "metadata.taints[0].effect: Unsupported value: \"Never\": supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\"",
                        "metadata.taints[1].effect: Required value",
                    ],
                ),
                (
                    json!({"spec": {"podCIDRs": ["10.1.0.0/24", "10.2.0.0/24"]}}),
                    &[
                        "spec.podCIDRs: Invalid value: [\"10.1.0.0/24\",\"10.2.0.0/24\"]: may specify no more than one CIDR for each IP family",
                    ],
                ),
                (
                    json!({"status": {"capacity": {"pods": "1500m", "cpu": "-1"}, "allocatable": {"pods": "1"}}}),
                    &[
                        "status.capacity.cpu: Invalid value: \"-1\": must be greater than or equal to 0",
                        "status.capacity.pods: Invalid value: \"1500m\": must be an integer",
                    ],
                ),
            ],
        );
    }

    #[test]
    fn cidr_and_provider_are_set_once() {
        let old = cases::merged(node(), &json!({"spec": {"podCIDR": "10.9.0.0/24", "providerID": "a://b"}}));
        for (patch, want) in [
            (json!({"spec": {"unschedulable": true}}), vec![]),
            (
                json!({"spec": {"podCIDR": "10.8.0.0/24", "podCIDRs": ["10.8.0.0/24"]}}),
                vec![
                    "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid",
                ],
            ),
            (
                json!({"spec": {"providerID": "c://d"}}),
                vec![
                    "spec.providerID: Forbidden: node updates may not change providerID except from \"\" to valid",
                ],
            ),
        ] {
            assert_eq!(cases::updated(old.clone(), &patch).1, want, "{patch}");
        }
        assert!(cases::updated(node(), &json!({"spec": {"providerID": "c://d"}})).1.is_empty());
    }
}
