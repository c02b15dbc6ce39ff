//! Where a Pod may run: affinity to nodes and other Pods, tolerations, spreading, and gates that hold it back.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::rules;
use crate::machinery::{
    FieldErrors, Path,
    fields::{entries, integer, list, number, present, text, texts},
    format, selector,
};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// What is wrong with the affinities of a Pod.
pub fn validate_affinity(errors: &mut FieldErrors, path: &Path<'_>, affinity: &Value) {
    if let Some(nodes) = present(affinity, "nodeAffinity") {
        let path = path.child("nodeAffinity");
        if let Some(required) = present(nodes, REQUIRED) {
            validate_node_selector(errors, &path.child(REQUIRED), required);
        }
        let path = path.child(PREFERRED);
        for (index, term) in list(nodes, PREFERRED).iter().enumerate() {
            let path = path.index(index);
            validate_weight(errors, &path, term);
            // Values that no label has match nothing, and a preference may do that.
            validate_node_term(errors, &path.child("preference"), &term["preference"], false);
        }
    }
    for field in ["podAffinity", "podAntiAffinity"] {
        let Some(pods) = present(affinity, field) else { continue };
        let path = path.child(field);
        let required = path.child(REQUIRED);
        for (index, term) in list(pods, REQUIRED).iter().enumerate() {
            validate_pod_term(errors, &required.index(index), term);
        }
        let preferred = path.child(PREFERRED);
        for (index, term) in list(pods, PREFERRED).iter().enumerate() {
            let path = preferred.index(index);
            validate_weight(errors, &path, term);
            validate_pod_term(errors, &path.child("podAffinityTerm"), &term["podAffinityTerm"]);
        }
    }
}

fn validate_weight(errors: &mut FieldErrors, path: &Path<'_>, term: &Value) {
    let weight = number(term, "weight");
    if !(1..=100).contains(&weight) {
        errors.invalid(&path.child("weight"), weight, "must be in the range 1-100");
    }
}

/// What is wrong with a selector of nodes.
pub fn validate_node_selector(errors: &mut FieldErrors, path: &Path<'_>, selector: &Value) {
    let path = path.child("nodeSelectorTerms");
    let terms = list(selector, "nodeSelectorTerms");
    if terms.is_empty() {
        errors.required(&path, "must have at least one node selector term");
    }
    for (index, term) in terms.iter().enumerate() {
        validate_node_term(errors, &path.index(index), term, true);
    }
}

fn validate_node_term(errors: &mut FieldErrors, path: &Path<'_>, term: &Value, strict_values: bool) {
    const NOT_AN_OPERATOR: &str = "not a valid selector operator";
    let expressions = path.child("matchExpressions");
    for (index, expression) in list(term, "matchExpressions").iter().enumerate() {
        let path = expressions.index(index);
        let values = list(expression, "values");
        match text(expression, "operator") {
            "In" | "NotIn" if values.is_empty() => {
                let detail = "must be specified when `operator` is 'In' or 'NotIn'";
                errors.required(&path.child("values"), detail);
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.forbidden(&path.child("values"), detail);
            }
            "Gt" | "Lt" if values.len() != 1 => {
                let detail = "must be specified single value when `operator` is 'Lt' or 'Gt'";
                errors.required(&path.child("values"), detail);
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            other => errors.invalid(&path.child("operator"), other, NOT_AN_OPERATOR),
        }
        rules::qualified_name(errors, &path.child("key"), text(expression, "key"));
        if strict_values {
            let path = path.child("values");
            for (index, value) in texts(expression, "values").enumerate() {
                format::report(errors, &path.index(index), value, format::is_label_value(value));
            }
        }
    }
    let fields = path.child("matchFields");
    for (index, field) in list(term, "matchFields").iter().enumerate() {
        let path = fields.index(index);
        match text(field, "operator") {
            "In" | "NotIn" => {
                if list(field, "values").len() != 1 {
                    let detail =
                        "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
                    errors.required(&path.child("values"), detail);
                }
            }
            other => errors.invalid(&path.child("operator"), other, NOT_AN_OPERATOR),
        }
        match text(field, "key") {
            "metadata.name" => {
                let path = path.child("values");
                for (index, name) in texts(field, "values").enumerate() {
                    rules::object_name(errors, &path.index(index), name);
                }
            }
            other => errors.invalid(&path.child("key"), other, "not a valid field selector key"),
        }
    }
}

fn validate_pod_term(errors: &mut FieldErrors, path: &Path<'_>, term: &Value) {
    for field in ["labelSelector", "namespaceSelector"] {
        if let Some(own) = present(term, field) {
            selector::validate(errors, &path.child(field), own, selector::Leniency::default());
        }
    }
    for namespace in texts(term, "namespaces") {
        rules::label(errors, &path.child("namespace"), namespace);
    }
    validate_label_keys(errors, path, term);
    let topology = text(term, "topologyKey");
    if topology.is_empty() {
        errors.required(&path.child("topologyKey"), "can not be empty");
    }
    rules::qualified_name(errors, &path.child("topologyKey"), topology);
}

/// What is wrong with the keys of the Pod's own labels that go into the selector of a term.
fn validate_label_keys(errors: &mut FieldErrors, path: &Path<'_>, term: &Value) {
    let own = present(term, "labelSelector");
    for field in ["matchLabelKeys", "mismatchLabelKeys"] {
        let keys = list(term, field);
        let path = path.child(field);
        if !keys.is_empty() && own.is_none() {
            errors.forbidden(&path, "must not be specified when labelSelector is not set");
            continue;
        }
        for (index, key) in texts(term, field).enumerate() {
            rules::qualified_name(errors, &path.index(index), key);
        }
    }
    // The server adds an expression for each key to new Pods; a second one is the user's.
    let positions: HashMap<&str, usize> =
        texts(term, "matchLabelKeys").enumerate().map(|(index, key)| (key, index)).collect();
    let mut selected: HashSet<&str> = HashSet::new();
    if let Some(own) = own {
        selected.extend(entries(own, "matchLabels").map(|(key, _)| key));
        for expression in list(own, "matchExpressions") {
            let key = text(expression, "key");
            if let Some(position) = positions.get(key).filter(|_| selected.contains(key)) {
                errors.invalid(
                    &path.index(*position),
                    key,
                    "exists in both matchLabelKeys and labelSelector",
                );
            }
            selected.insert(key);
        }
    }
    let not: HashSet<&str> = texts(term, "mismatchLabelKeys").collect();
    let path = path.child("matchLabelKeys");
    for (index, key) in texts(term, "matchLabelKeys").enumerate().filter(|(_, key)| not.contains(key)) {
        errors.invalid(&path.index(index), key, "exists in both matchLabelKeys and mismatchLabelKeys");
    }
}

/// What is wrong with the taints that a Pod tolerates.
pub fn validate_tolerations(errors: &mut FieldErrors, path: &Path<'_>, tolerations: &[Value]) {
    for (index, toleration) in tolerations.iter().enumerate() {
        let path = path.index(index);
        let (key, operator) = (text(toleration, "key"), text(toleration, "operator"));
        let (value, effect) = (text(toleration, "value"), text(toleration, "effect"));
        if !key.is_empty() {
            rules::qualified_name(errors, &path.child("key"), key);
        } else if operator != "Exists" {
            let detail =
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.invalid(&path.child("operator"), operator, detail);
        }
        if integer(toleration, "tolerationSeconds").is_some() && effect != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.invalid(&path.child("effect"), effect, detail);
        }
        let operator_path = path.child("operator");
        match operator {
            "Equal" | "" => {
                let problems = format::is_label_value(value);
                if !problems.is_empty() {
                    errors.invalid(&operator_path, value, &problems.join(";"));
                }
            }
            "Exists" if !value.is_empty() => {
                errors.invalid(&operator_path, value, "value must be empty when `operator` is 'Exists'");
            }
            "Exists" => {}
            // Comparisons are behind a feature gate that is off.
            "Lt" | "Gt" => errors.not_supported(&operator_path, operator, &["Equal", "Exists", "Lt", "Gt"]),
            _ => errors.not_supported(&operator_path, operator, &["Equal", "Exists"]),
        }
        if !effect.is_empty() {
            let supported = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
            rules::one_of(errors, &path.child("effect"), effect, &supported);
        }
    }
}

/// What is wrong with how Pods are to be spread.
pub fn validate_spreading(errors: &mut FieldErrors, path: &Path<'_>, constraints: &[Value]) {
    // Of several constraints of one kind, all but the last are reported.
    let kind = |constraint: &Value| -> (String, String) {
        (text(constraint, "topologyKey").to_owned(), text(constraint, "whenUnsatisfiable").to_owned())
    };
    let mut later: HashSet<(String, String)> = HashSet::new();
    let mut repeated = vec![false; constraints.len()];
    for (index, constraint) in constraints.iter().enumerate().rev() {
        repeated[index] = !later.insert(kind(constraint));
    }
    for (index, constraint) in constraints.iter().enumerate() {
        let path = path.index(index);
        rules::positive(errors, &path.child("maxSkew"), number(constraint, "maxSkew"));
        let topology = text(constraint, "topologyKey");
        if topology.is_empty() {
            errors.required(&path.child("topologyKey"), "can not be empty");
        }
        let action = text(constraint, "whenUnsatisfiable");
        let actions = ["DoNotSchedule", "ScheduleAnyway"];
        rules::one_of(errors, &path.child("whenUnsatisfiable"), action, &actions);
        if repeated[index] {
            let path = path.child("{topologyKey, whenUnsatisfiable}");
            errors.duplicate(&path, format!("{{{topology}, {action}}}"));
        }
        if let Some(domains) = integer(constraint, "minDomains") {
            let path = path.child("minDomains");
            rules::positive(errors, &path, domains);
            if action != "DoNotSchedule" {
                let detail =
                    format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
                errors.invalid(&path, domains, &detail);
            }
        }
        for field in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            if let Some(policy) = present(constraint, field).and_then(Value::as_str) {
                rules::one_of(errors, &path.child(field), policy, &["Honor", "Ignore"]);
            }
        }
        validate_label_keys(errors, &path, constraint);
        if let Some(own) = present(constraint, "labelSelector") {
            selector::validate(errors, &path.child("labelSelector"), own, selector::Leniency::default());
        }
    }
}

/// What is wrong with what holds a Pod back from being scheduled.
pub fn validate_gates(errors: &mut FieldErrors, path: &Path<'_>, gates: &[Value]) {
    let mut seen = HashSet::new();
    for (index, gate) in gates.iter().enumerate() {
        let path = path.index(index);
        let name = text(gate, "name");
        rules::qualified_name(errors, &path, name);
        if !seen.insert(name) {
            errors.duplicate(&path, name);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::workloads::testing::{assert_lines, spec_errors};

    #[test]
    fn affinity_is_validated() {
        const NODES: &str =
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
        const PODS: &str = "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]";
        let required = |terms| json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}});
        let pods = |term| json!({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}});
        for (affinity, path, want) in [
            (
                required(json!([{"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}])),
                NODES,
                vec![],
            ),
            (required(json!([])), NODES, vec![": Required value: must have at least one node selector term"]),
            (
                required(json!([{
                    "matchExpressions": [
                        {"key": "a", "operator": "In"},
                        {"key": "a", "operator": "Exists", "values": ["b"]},
                        {"key": "a", "operator": "Gt", "values": ["1", "2"]},
                        {"key": "a b", "operator": "x"},
                        {"key": "a", "operator": "In", "values": ["-"]},
                    ],
                    "matchFields": [{"key": "x", "operator": "In", "values": ["a"]}, {"key": "metadata.name", "operator": "Exists", "values": ["A"]}],
                }])),
                NODES,
                vec![
                    "[0].matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
                    "[0].matchExpressions[1].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                    "[0].matchExpressions[2].values: Required value: must be specified single value when `operator` is 'Lt' or 'Gt'",
                    "[0].matchExpressions[3].operator: Invalid value: \"x\": not a valid selector operator",
                    "[0].matchExpressions[3].key: Invalid value: \"a b\": name part must…",
                    "[0].matchExpressions[4].values[0]: Invalid value: \"-\": a valid label must be…",
                    "[0].matchFields[0].key: Invalid value: \"x\": not a valid field selector key",
                    "[0].matchFields[1].operator: Invalid value: \"Exists\": not a valid selector operator",
                    "[0].matchFields[1].values[0]: Invalid value: \"A\": a lowercase RFC 1123 subdomain must…",
                ],
            ),
            (
                pods(json!({"topologyKey": ""})),
                PODS,
                vec![
                    ".topologyKey: Required value: can not be empty",
                    ".topologyKey: Invalid value: \"\": name part must be non-empty",
                    ".topologyKey: Invalid value: \"\": name part must consist of…",
                ],
            ),
            (
                pods(json!({"topologyKey": "t", "matchLabelKeys": ["a"], "namespaces": ["N"]})),
                PODS,
                vec![
                    ".namespace: Invalid value: \"N\": a lowercase RFC 1123 label must…",
                    ".matchLabelKeys: Forbidden: must not be specified when labelSelector is not set",
                ],
            ),
            (
                pods(
                    json!({"topologyKey": "t", "labelSelector": {}, "matchLabelKeys": ["a"], "mismatchLabelKeys": ["a"]}),
                ),
                PODS,
                vec![
                    ".matchLabelKeys[0]: Invalid value: \"a\": exists in both matchLabelKeys and mismatchLabelKeys",
                ],
            ),
        ] {
            let spec = json!({ "affinity": affinity });
            let got: Vec<String> =
                spec_errors(&spec).iter().map(|line| line.strip_prefix(path).unwrap().to_owned()).collect();
            assert_lines(&got, &want, &spec);
        }
        let weight = json!({"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 101, "podAffinityTerm": {"topologyKey": "t"}}]}}});
        assert_lines(
            &spec_errors(&weight),
            &[
                "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 101: must be in the range 1-100",
            ],
            &weight,
        );
    }

    #[test]
    fn tolerations_are_validated() {
        for (toleration, want) in [
            (json!({"operator": "Exists"}), vec![]),
            (
                json!({"key": "a", "operator": "Equal", "value": "b", "effect": "NoExecute", "tolerationSeconds": 0}),
                vec![],
            ),
            (
                json!({"value": "x"}),
                vec![
                    "spec.tolerations[0].operator: Invalid value: \"\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
                ],
            ),
            (
                json!({"key": "a", "operator": "Exists", "value": "b", "effect": "x", "tolerationSeconds": 1}),
                vec![
                    "spec.tolerations[0].effect: Invalid value: \"x\": effect must be 'NoExecute' when `tolerationSeconds` is set",
                    "spec.tolerations[0].operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'",
                    "spec.tolerations[0].effect: Unsupported value: \"x\": supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\"",
                ],
            ),
            (
                json!({"key": "a", "operator": "In"}),
                vec![
                    "spec.tolerations[0].operator: Unsupported value: \"In\": supported values: \"Equal\", \"Exists\"",
                ],
            ),
        ] {
            let spec = json!({ "tolerations": [toleration] });
            assert_lines(&spec_errors(&spec), &want, &spec);
        }
    }

    #[test]
    fn spreading_and_gates_are_validated() {
        for (spec, want) in [
            (
                json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "t", "whenUnsatisfiable": "DoNotSchedule", "minDomains": 2}]}),
                vec![],
            ),
            (
                json!({"topologySpreadConstraints": [
                    {"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "x", "nodeTaintsPolicy": "y"},
                    {"maxSkew": 1, "topologyKey": "t", "whenUnsatisfiable": "ScheduleAnyway", "minDomains": 0},
                    {"maxSkew": 2, "topologyKey": "t", "whenUnsatisfiable": "ScheduleAnyway"},
                ]}),
                vec![
                    "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
                    "spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty",
                    "spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: \"x\": supported values: \"DoNotSchedule\", \"ScheduleAnyway\"",
                    "spec.topologySpreadConstraints[0].nodeTaintsPolicy: Unsupported value: \"y\": supported values: \"Honor\", \"Ignore\"",
                    "spec.topologySpreadConstraints[1].{topologyKey, whenUnsatisfiable}: Duplicate value: \"{t, ScheduleAnyway}\"",
                    "spec.topologySpreadConstraints[1].minDomains: Invalid value: 0: must be greater than zero",
                    "spec.topologySpreadConstraints[1].minDomains: Invalid value: 0: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway",
                ],
            ),
            (
                json!({"schedulingGates": [{"name": "a/b"}, {"name": "a/b"}, {"name": "-"}]}),
                vec![
                    "spec.schedulingGates[1]: Duplicate value: \"a/b\"",
                    "spec.schedulingGates[2]: Invalid value: \"-\": name part must…",
                ],
            ),
            (
                json!({"readinessGates": [{"conditionType": "a b"}]}),
                vec!["spec.readinessGates[0].conditionType: Invalid value: \"a b\": name part must…"],
            ),
            (
                json!({"nodeSelector": {"a": "-"}}),
                vec!["spec.nodeSelector: Invalid value: \"-\": a valid label must…"],
            ),
        ] {
            assert_lines(&spec_errors(&spec), &want, &spec);
        }
    }
}
