//! CSIStorageCapacity: how much a driver has left for a class in some part of the cluster.

use serde_json::Value;

use crate::{
    kinds::{
        Strategy,
        workloads::{
            pod_spec::{resources, rules},
            pod_warnings::old_label,
        },
    },
    machinery::{
        FieldErrors, Path,
        fields::{entries, list, present, text},
        metadata, selector,
    },
};

/// The behaviour of CSIStorageCapacities.
pub static STRATEGY: Strategy = Strategy {
    validate_create: validate,
    validate_update,
    warnings,
    returns_deleted: true,
    ..Strategy::PLAIN
};

fn validate(new: &Value, errors: &mut FieldErrors) {
    if let Some(topology) = present(new, "nodeTopology") {
        selector::validate(errors, &Path::new("nodeTopology"), topology, selector::Leniency::default());
    }
    rules::object_name(errors, &Path::new("storageClassName"), text(new, "storageClassName"));
    if let Some(capacity) = present(new, "capacity") {
        resources::validate_nonnegative_amount(errors, &Path::new("capacity"), capacity);
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate(new, true, STRATEGY.name_rule, errors);
    validate(new, errors);
    metadata::validate_update(new, old, errors);
    for field in ["nodeTopology", "storageClassName"] {
        metadata::immutable(errors, &Path::new(field), &new[field], &old[field]);
    }
}

fn warnings(new: &Value, _: Option<&Value>) -> Vec<String> {
    let path = Path::new("nodeTopology");
    let topology = &new["nodeTopology"];
    let mut warnings = Vec::new();
    let expressions = path.child("matchExpressions");
    for (index, expression) in list(topology, "matchExpressions").iter().enumerate() {
        let key = text(expression, "key");
        if let Some(message) = old_label(key) {
            warnings.push(format!("{}: {key} is {message}", expressions.index(index)));
        }
    }
    let labels = path.child("matchLabels");
    for (key, _) in entries(topology, "matchLabels") {
        if let Some(message) = old_label(key) {
            warnings.push(format!("{}: {message}", labels.child(key)));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::cases;

    #[test]
    fn what_is_wrong_with_a_capacity() {
        let base = json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "CSIStorageCapacity",
            "storageClassName": "fast", "capacity": "1Gi", "nodeTopology": {"matchLabels": {"a": "b"}},
        });
        cases::check_wrong(
            &base,
            &[
                (json!({}), &[]),
                (
                    json!({"capacity": "-1", "nodeTopology": {"matchExpressions": [{"key": "a", "operator": "In"}]}}),
                    &[
                        "nodeTopology.matchExpressions[0].values: Required value: must be specified when `operator` \
                         is 'In' or 'NotIn'",
                        "capacity: Invalid value: \"-1\": must be greater than or equal to 0",
                    ],
                ),
            ],
        );
        assert_eq!(
            cases::updated(base.clone(), &json!({"storageClassName": "slow", "capacity": "2Gi"})).1,
            ["storageClassName: Invalid value: \"slow\": field is immutable"]
        );
        let old =
            cases::merged(base, &json!({"nodeTopology": {"matchLabels": {"beta.kubernetes.io/os": "x"}}}));
        assert_eq!(
            cases::warnings(old),
            [
                "nodeTopology.matchLabels.beta.kubernetes.io/os: deprecated since v1.14; use \"kubernetes.io/os\" instead"
            ]
        );
    }
}
