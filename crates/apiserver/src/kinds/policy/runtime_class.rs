//! RuntimeClass: what Pods run in, what that costs, and where it is.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    kinds::{
        Strategy,
        workloads::{
            pod_spec::{
                defaults::round_amounts,
                resources::{Asker, validate_requirements},
                scheduling::validate_tolerations,
            },
            pod_warnings::old_label,
        },
    },
    machinery::{
        FieldErrors, Path,
        fields::{entries, list, object_mut, present, text},
        format, metadata, object, selector,
    },
};

/// The behaviour of RuntimeClasses.
pub static STRATEGY: Strategy = Strategy {
    default,
    validate_create: validate,
    validate_update,
    warnings,
    create_on_update: true,
    ..Strategy::PLAIN
};

fn default(class: &mut Value) {
    if let Some(overhead) = object_mut(object::map_mut(class), "overhead") {
        round_amounts(overhead, "podFixed");
    }
}

fn validate(new: &Value, errors: &mut FieldErrors) {
    let path = Path::new("handler");
    match text(new, "handler") {
        "" => errors.required(&path, ""),
        handler => format::report(errors, &path, handler, format::is_dns1123_label(handler)),
    }
    if let Some(overhead) = present(new, "overhead") {
        let limits = json!({"limits": overhead["podFixed"]});
        validate_requirements(errors, &Path::new("overhead"), &limits, Asker::Container, &BTreeSet::new());
    }
    if let Some(scheduling) = present(new, "scheduling") {
        let path = Path::new("scheduling");
        selector::validate_labels(errors, &path.child("nodeSelector"), &scheduling["nodeSelector"]);
        validate_tolerations(errors, &path.child("tolerations"), list(scheduling, "tolerations"));
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate_update(new, old, errors);
    metadata::immutable(errors, &Path::new("handler"), &new["handler"], &old["handler"]);
}

fn warnings(new: &Value, _: Option<&Value>) -> Vec<String> {
    let selector = entries(&new["scheduling"], "nodeSelector");
    selector
        .filter_map(|(key, _)| old_label(key))
        .map(|message| format!("scheduling.nodeSelector: {message}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::cases;

    #[test]
    fn the_handler_is_a_label_and_stays() {
        let base = json!({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "handler": "kata"});
        cases::check_wrong(
            &base,
            &[
                (json!({}), &[]),
                (json!({"handler": null}), &["handler: Required value"]),
                (json!({"handler": "a.b"}), &["handler: Invalid value: \"a.b\": must not contain dots"]),
                (
                    json!({"overhead": {"podFixed": {"cpu": "-1", "disk": "1"}}, "scheduling": {
                        "nodeSelector": {"a": "b c"}, "tolerations": [{"operator": "Equal"}],
                    }}),
                    &[
                        "overhead.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
                        "overhead.limits[disk]: Invalid value: \"disk\": must be a standard resource type or fully \
                         qualified",
                        "overhead.limits[disk]: Invalid value: \"disk\": must be a standard resource for containers",
                        "scheduling.nodeSelector: Invalid value: \"b c\": a valid label must be an empty string or \
                         consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                         alphanumeric character",
                        "scheduling.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists when \
                         `key` is empty, which means \"match all values and all keys\"",
                    ],
                ),
            ],
        );
        assert_eq!(
            cases::updated(base, &json!({"handler": "runc"})).1,
            ["handler: Invalid value: \"runc\": field is immutable"]
        );
    }
}
