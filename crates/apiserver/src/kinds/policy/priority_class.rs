//! PriorityClass: a name for a priority of Pods.

use serde_json::Value;

use crate::{
    kinds::{Strategy, strategy::Generation},
    machinery::{
        FieldErrors, Path,
        fields::{fill, flag, number},
        metadata, object,
    },
};

/// The behaviour of PriorityClasses.
pub static STRATEGY: Strategy = Strategy {
    default: |class| fill(object::map_mut(class), "preemptionPolicy", "PreemptLowerPriority"),
    validate_create: validate,
    validate_update,
    generation: Generation::Fixed,
    ..Strategy::PLAIN
};

/// The highest priority that is not the system's.
const HIGHEST: i64 = 1_000_000_000;
const SYSTEM_PREFIX: &str = "system-";
/// The classes that the system has of its own; neither is the default.
const SYSTEM: [(&str, i64); 2] =
    [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

fn validate(new: &Value, errors: &mut FieldErrors) {
    let (name, value) = (object::name(new), number(new, "value"));
    if name.starts_with(SYSTEM_PREFIX) {
        if let Some(problem) = system_problem(name, value, flag(new, "globalDefault")) {
            let path = Path::new("metadata");
            let detail = format!(
                "priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use only. error: {problem}"
            );
            errors.forbidden(&path.child("name"), &detail);
        }
    } else if value > HIGHEST {
        let detail = format!("maximum allowed value of a user defined priority is {HIGHEST}");
        errors.forbidden(&Path::new("value"), &detail);
    }
    let path = Path::new("preemptionPolicy");
    match new["preemptionPolicy"].as_str() {
        None | Some("PreemptLowerPriority" | "Never") => {}
        Some("") => errors.required(&path, ""),
        Some(other) => errors.not_supported(&path, other, &["PreemptLowerPriority", "Never"]),
    }
}

fn system_problem(name: &str, value: i64, is_default: bool) -> Option<String> {
    match SYSTEM.iter().find(|(known, _)| *known == name) {
        None => Some(format!("{name} is not a known system priority class")),
        Some((_, own)) if *own != value => Some(format!("value of {name} PriorityClass must be {own}")),
        Some(_) if is_default => Some(format!("globalDefault of {name} PriorityClass must be false")),
        Some(_) => None,
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate_update(new, old, errors);
    if number(new, "value") != number(old, "value") {
        errors.forbidden(&Path::new("value"), "may not be changed in an update.");
    }
    let path = Path::new("preemptionPolicy");
    metadata::immutable(errors, &path, &new["preemptionPolicy"], &old["preemptionPolicy"]);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::cases;

    #[test]
    fn a_class_is_not_the_systems_and_stays() {
        let base = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 5});
        let reserved = "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error:";
        cases::check_wrong(
            &base,
            &[
                (json!({}), &[]),
                (
                    json!({"value": 1_000_000_001}),
                    &["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"],
                ),
                (
                    json!({"metadata": {"name": "system-own"}}),
                    &[&format!("{reserved} system-own is not a known system priority class")],
                ),
                (
                    json!({"metadata": {"name": "system-node-critical"}}),
                    &[&format!("{reserved} value of system-node-critical PriorityClass must be 2000001000")],
                ),
                (
                    json!({"preemptionPolicy": "Often"}),
                    &[
                        "preemptionPolicy: Unsupported value: \"Often\": supported values: \"PreemptLowerPriority\", \"Never\"",
                    ],
                ),
            ],
        );
        assert_eq!(
            cases::updated(base, &json!({"value": 6, "preemptionPolicy": "Never"})).1,
            [
                "value: Forbidden: may not be changed in an update.",
                "preemptionPolicy: Invalid value: \"Never\": field is immutable",
            ]
        );
    }
}
