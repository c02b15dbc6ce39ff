//! PodDisruptionBudget: how many Pods must be up, or may be down.

use serde_json::Value;

use crate::{
    kinds::{Strategy, go, strategy::Generation},
    machinery::{
        FieldErrors, Path,
        fields::{list, number, present},
        format, metadata,
        selector::{self, Leniency},
    },
};

/// The behaviour of PodDisruptionBudgets.
pub static STRATEGY: Strategy = Strategy {
    name_rule: format::path_segment_name,
    validate_create: |new, errors| validate(new, Leniency::default(), errors),
    validate_update: |new, old, errors| {
        let values = selector::has_invalid_value(&old["spec"]["selector"]);
        validate(new, Leniency { values, operators: false }, errors);
    },
    validate_status,
    generation: Generation::Spec,
    status: true,
    unconditional_update: false,
    ..Strategy::PLAIN
};

const SPEC: Path<'static> = Path::new("spec");

fn validate(new: &Value, leniency: Leniency, errors: &mut FieldErrors) {
    let spec = &new["spec"];
    let (least, most) = (present(spec, "minAvailable"), present(spec, "maxUnavailable"));
    if least.is_some() && most.is_some() {
        let value = |field: &str| spec.get(field).cloned().unwrap_or(Value::Null);
        let written = go::structure(&[
            ("MinAvailable", value("minAvailable")),
            ("Selector", value("selector")),
            ("MaxUnavailable", value("maxUnavailable")),
            ("UnhealthyPodEvictionPolicy", value("unhealthyPodEvictionPolicy")),
        ]);
        go::invalid(errors, &SPEC, &written, "minAvailable and maxUnavailable cannot be both set");
    }
    for (field, amount) in [("minAvailable", least), ("maxUnavailable", most)] {
        if let Some(amount) = amount {
            validate_amount(errors, &SPEC.child(field), amount);
        }
    }
    selector::validate(errors, &SPEC.child("selector"), &spec["selector"], leniency);
    match spec["unhealthyPodEvictionPolicy"].as_str() {
        None | Some("AlwaysAllow" | "IfHealthyBudget") => {}
        Some(other) => {
            let policies = ["AlwaysAllow", "IfHealthyBudget"];
            errors.not_supported(&SPEC.child("unhealthyPodEvictionPolicy"), other, &policies);
        }
    }
}

/// A number that is not negative, or a percentage of at most a hundred.
fn validate_amount(errors: &mut FieldErrors, path: &Path<'_>, amount: &Value) {
    let Some(text) = amount.as_str() else {
        return metadata::non_negative(errors, path, amount.as_i64().unwrap_or_default());
    };
    let problems = format::is_percent(text);
    let percent: Option<u64> = text.strip_suffix('%').and_then(|number| number.parse().ok());
    let is_more = problems.is_empty() && percent.is_none_or(|percent| percent > 100);
    format::report(errors, path, text, problems);
    if is_more {
        errors.invalid(path, text, "must not be greater than 100%");
    }
}

fn validate_status(new: &Value, _: &Value, errors: &mut FieldErrors) {
    let path = Path::new("status");
    let status = &new["status"];
    metadata::validate_conditions(errors, &path.child("conditions"), list(status, "conditions"));
    for field in ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] {
        metadata::non_negative(errors, &path.child(field), number(status, field));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::cases;

    #[test]
    fn amounts_and_selector_are_validated() {
        let base = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "spec": {}});
        cases::check_wrong(
            &base,
            &[
                (json!({}), &[]),
                (
                    json!({"spec": {"minAvailable": 1, "maxUnavailable": "1%"}}),
                    &[
                        "spec: Invalid value: {\"MinAvailable\":1,\"Selector\":null,\"MaxUnavailable\":\"1%\",\"UnhealthyPodEvictionPolicy\":null}: minAvailable and maxUnavailable cannot be both set",
                    ],
                ),
                (
                    json!({"spec": {"minAvailable": -1}}),
                    &["spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"],
                ),
                (
                    json!({"spec": {"minAvailable": "ten"}}),
                    &[
                        "spec.minAvailable: Invalid value: \"ten\": a valid percent string must be a numeric string followed by an ending '%'",
                    ],
                ),
                (
                    json!({"spec": {"maxUnavailable": "150%", "unhealthyPodEvictionPolicy": "x"}}),
                    &[
                        "spec.maxUnavailable: Invalid value: \"150%\": must not be greater than 100%",
                        "spec.unhealthyPodEvictionPolicy: Unsupported value: \"x\": supported values: \"AlwaysAllow\", \"IfHealthyBudget\"",
                    ],
                ),
            ],
        );
        let status = json!({"status": {"expectedPods": -1, "conditions": [{"type": "A", "status": "True", "lastTransitionTime": "2024-01-01T00:00:00Z"}]}});
        assert_eq!(
            cases::status_updated(base, &status).1,
            [
                "status.conditions[0].reason: Required value",
                "status.expectedPods: Invalid value: -1: must be greater than or equal to 0",
            ]
        );
    }
}
