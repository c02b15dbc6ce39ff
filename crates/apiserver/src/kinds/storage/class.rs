//! StorageClass: who makes volumes, how, and where.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::Value;

use super::parameters;
use crate::{
    kinds::{
        Strategy,
        workloads::{pod_spec::rules, pod_warnings::old_label},
    },
    machinery::{
        FieldErrors, Path,
        fields::{fill, list, text, texts},
        metadata, object,
    },
};

/// The behaviour of StorageClasses.
pub static STRATEGY: Strategy = Strategy {
    default,
    validate_create: validate,
    validate_update,
    warnings,
    returns_deleted: true,
    ..Strategy::PLAIN
};

fn default(class: &mut Value) {
    let class = object::map_mut(class);
    fill(class, "reclaimPolicy", "Delete");
    fill(class, "volumeBindingMode", "Immediate");
}

fn validate(new: &Value, errors: &mut FieldErrors) {
    parameters::validate_provisioner(errors, &Path::new("provisioner"), text(new, "provisioner"));
    parameters::validate(errors, new, false);
    let policy = text(new, "reclaimPolicy");
    if !policy.is_empty() {
        rules::one_of(errors, &Path::new("reclaimPolicy"), policy, &["Delete", "Retain"]);
    }
    let modes = ["Immediate", "WaitForFirstConsumer"];
    rules::one_of(errors, &Path::new("volumeBindingMode"), text(new, "volumeBindingMode"), &modes);
    validate_topologies(errors, &Path::new("allowedTopologies"), list(new, "allowedTopologies"));
}

fn validate_topologies(errors: &mut FieldErrors, path: &Path<'_>, terms: &[Value]) {
    // Kubernetes takes a term without expressions for one it has seen.
    let mut seen = HashSet::from([Term::new()]);
    for (index, term) in terms.iter().enumerate() {
        let path = path.index(index);
        let expressions = path.child("matchLabelExpressions");
        if !seen.insert(validate_term(errors, &expressions, term)) {
            errors.duplicate(&expressions, "");
        }
    }
}

/// The values by key that a term allows.
type Term<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

fn validate_term<'a>(errors: &mut FieldErrors, path: &Path<'_>, term: &'a Value) -> Term<'a> {
    let mut keys = Term::new();
    for (index, expression) in list(term, "matchLabelExpressions").iter().enumerate() {
        let path = path.index(index);
        let key = text(expression, "key");
        let values = path.child("values");
        if list(expression, "values").is_empty() {
            errors.required(&values, "");
        }
        let mut allowed = BTreeSet::new();
        for (index, value) in texts(expression, "values").enumerate() {
            if !allowed.insert(value) {
                errors.duplicate(&values.index(index), value);
            }
        }
        rules::qualified_name(errors, &path.child("key"), key);
        if keys.insert(key, allowed).is_some() {
            errors.duplicate(&path.child("key"), key);
        }
    }
    keys
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate(new, false, STRATEGY.name_rule, errors);
    validate(new, errors);
    metadata::validate_update(new, old, errors);
    for field in ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] {
        metadata::immutable(errors, &Path::new(field), &new[field], &old[field]);
    }
}

fn warnings(new: &Value, _: Option<&Value>) -> Vec<String> {
    let mut warnings = Vec::new();
    let path = Path::new("allowedTopologies");
    for (index, term) in list(new, "allowedTopologies").iter().enumerate() {
        let path = path.index(index);
        let path = path.child("matchLabelExpressions");
        for (index, expression) in list(term, "matchLabelExpressions").iter().enumerate() {
            if let Some(message) = old_label(text(expression, "key")) {
                warnings.push(format!("{}: {message}", path.index(index)));
            }
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::cases;

    fn base() -> serde_json::Value {
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "example.com/p"})
    }

    #[test]
    fn volumes_are_made_at_once_and_deleted_unless_it_says() {
        let (class, _) = cases::created(base());
        assert_eq!(class["reclaimPolicy"], "Delete");
        assert_eq!(class["volumeBindingMode"], "Immediate");
    }

    #[test]
    fn what_is_wrong_with_a_class() {
        let term = |values: serde_json::Value| json!([{"matchLabelExpressions": values}]);
        cases::check_wrong(
            &base(),
            &[
                (json!({"parameters": {"a": "b"}, "reclaimPolicy": "Retain"}), &[]),
                (json!({"provisioner": null}), &["provisioner: Required value"]),
                (
                    json!({"provisioner": "A/b/c"}),
                    &[
                        "provisioner: Invalid value: \"a/b/c\": a valid label key must consist of alphanumeric \
                       characters, '-', '_' or '.', and must start and end with an alphanumeric character",
                    ],
                ),
                (
                    json!({"parameters": {"": "b"}}),
                    &["parameters: Invalid value: \"\": field can not be empty."],
                ),
                (
                    json!({"reclaimPolicy": "Recycle", "volumeBindingMode": "Later"}),
                    &[
                        "reclaimPolicy: Unsupported value: \"Recycle\": supported values: \"Delete\", \"Retain\"",
                        "volumeBindingMode: Unsupported value: \"Later\": supported values: \"Immediate\", \
                         \"WaitForFirstConsumer\"",
                    ],
                ),
                (
                    json!({"allowedTopologies": [{}]}),
                    &["allowedTopologies[0].matchLabelExpressions: Duplicate value: \"\""],
                ),
                (
                    json!({"allowedTopologies": term(json!([
                        {"key": "zone", "values": ["a", "a"]},
                        {"key": "zone", "values": []},
                    ]))}),
                    &[
                        "allowedTopologies[0].matchLabelExpressions[0].values[1]: Duplicate value: \"a\"",
                        "allowedTopologies[0].matchLabelExpressions[1].values: Required value",
                        "allowedTopologies[0].matchLabelExpressions[1].key: Duplicate value: \"zone\"",
                    ],
                ),
            ],
        );
    }

    #[test]
    fn only_expansion_and_topologies_can_change() {
        let changed = |patch: serde_json::Value| cases::updated(base(), &patch).1;
        assert_eq!(
            changed(
                json!({"provisioner": "b", "parameters": {"x": "y"}, "volumeBindingMode": "WaitForFirstConsumer"})
            ),
            [
                "parameters: Invalid value: {\"x\":\"y\"}: field is immutable",
                "provisioner: Invalid value: \"b\": field is immutable",
                "volumeBindingMode: Invalid value: \"WaitForFirstConsumer\": field is immutable",
            ]
        );
        assert_eq!(changed(json!({"allowVolumeExpansion": true, "mountOptions": ["ro"]})), [""; 0]);
    }

    #[test]
    fn old_labels_are_warned_of() {
        let topologies = json!([{"matchLabelExpressions": [
            {"key": "failure-domain.beta.kubernetes.io/zone", "values": ["a"]},
        ]}]);
        assert_eq!(
            cases::warnings(cases::merged(base(), &json!({"allowedTopologies": topologies}))),
            ["allowedTopologies[0].matchLabelExpressions[0]: deprecated since v1.17; use \
              \"topology.kubernetes.io/zone\" instead"]
        );
    }
}
