//! What an autoscaler defaults to and what is wrong with it, apart from its metrics.

use serde_json::{Map, Value, json};

use super::{conversion, metrics};
use crate::{
    kinds::Strategy,
    machinery::{
        FieldErrors, Path,
        fields::{fill, integer, list, number, object_mut, present, text},
        format, metadata, object,
    },
};

/// The behaviour of `autoscaling/v2`.
pub static V2: Strategy = Strategy {
    default,
    validate_create: |new, errors| validate(new, &Value::Null, errors),
    validate_update: |new, old, errors| {
        metadata::validate_update(new, old, errors);
        validate(new, old, errors);
    },
    validate_status,
    status: true,
    ..Strategy::PLAIN
};

/// The behaviour of `autoscaling/v1`: that of the same object in v2.
pub static V1: Strategy = Strategy {
    default: |autoscaler| {
        let has_metrics = conversion::has_metrics(autoscaler);
        let spec = object::child_mut(autoscaler, "spec");
        fill(spec, "minReplicas", 1);
        if !has_metrics {
            fill(spec, "targetCPUUtilizationPercentage", metrics::UTILIZATION_UNASKED);
        }
    },
    validate_create: |new, errors| (V2.validate_create)(&in_v2(new), errors),
    validate_update: |new, old, errors| (V2.validate_update)(&in_v2(new), &in_v2(old), errors),
    validate_status: |new, old, errors| (V2.validate_status)(&in_v2(new), &in_v2(old), errors),
    ..V2
};

const SPEC: Path<'static> = Path::new("spec");
const PERIOD_SECONDS_MAX: i64 = 1800;
const STABILIZATION_SECONDS_MAX: i64 = 3600;

fn in_v2(autoscaler: &Value) -> Value {
    let mut converted = (conversion::CONVERSION.to_storage)(autoscaler.clone());
    default(&mut converted);
    converted
}

fn default(autoscaler: &mut Value) {
    let spec = object::child_mut(autoscaler, "spec");
    fill(spec, "minReplicas", 1);
    if spec.get("metrics").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        spec.insert("metrics".to_owned(), json!([metrics::cpu(metrics::UTILIZATION_UNASKED)]));
    }
    if let Some(behavior) = object_mut(spec, "behavior") {
        let quickly = json!([
            {"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15},
        ]);
        fill_rules(behavior, "scaleUp", quickly).entry("stabilizationWindowSeconds").or_insert(0.into());
        let at_once = json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]);
        fill_rules(behavior, "scaleDown", at_once);
    }
}

fn fill_rules<'a>(
    behavior: &'a mut Map<String, Value>,
    field: &str,
    policies: Value,
) -> &'a mut Map<String, Value> {
    let rules = behavior.entry(field).or_insert_with(|| Value::Object(Map::new()));
    let rules = object::map_mut(rules);
    fill(rules, "selectPolicy", "Max");
    fill(rules, "policies", policies);
    rules
}

fn validate(new: &Value, old: &Value, errors: &mut FieldErrors) {
    let spec = &new["spec"];
    let (least, most) = (integer(spec, "minReplicas"), number(spec, "maxReplicas"));
    // Scaling to zero is off; who has it already may keep it.
    let bound = i64::from(integer(&old["spec"], "minReplicas") != Some(0));
    let path = SPEC.child("maxReplicas");
    if let Some(least) = least
        && least < bound
    {
        let detail = format!("must be greater than or equal to {bound}");
        errors.invalid(&SPEC.child("minReplicas"), least, &detail);
    }
    if most == 0 {
        errors.required(&path, "must be set and greater than 0");
    } else if most < 0 {
        errors.invalid(&path, most, "must be greater than 0");
    }
    if least.is_some_and(|least| most < least) {
        errors.invalid(&path, most, "must be greater than or equal to `minReplicas`");
    }
    validate_target(new, old, errors);
    metrics::validate(new, old, errors);
    if let Some(behavior) = present(spec, "behavior") {
        let path = SPEC.child("behavior");
        for field in ["scaleUp", "scaleDown"] {
            if let Some(rules) = present(behavior, field) {
                validate_rules(errors, &path.child(field), rules);
            }
        }
    }
}

fn validate_target(new: &Value, old: &Value, errors: &mut FieldErrors) {
    let (target, old) = (&new["spec"]["scaleTargetRef"], &old["spec"]["scaleTargetRef"]);
    let is_same =
        !old.is_null() && ["kind", "apiVersion"].iter().all(|field| text(target, field) == text(old, field));
    let version = if is_same {
        VersionRule::Any
    } else if text(target, "kind") == "ReplicationController" {
        VersionRule::AnyGroup
    } else {
        VersionRule::NeedsGroup
    };
    validate_reference(errors, &SPEC.child("scaleTargetRef"), target, version);
}

/// What the apiVersion of a reference must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VersionRule {
    Any,
    AnyGroup,
    NeedsGroup,
}

/// What is wrong with a reference to an object (`ValidateCrossVersionObjectReference`).
pub(super) fn validate_reference(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    reference: &Value,
    rule: VersionRule,
) {
    for field in ["kind", "name"] {
        match text(reference, field) {
            "" => errors.required(&path.child(field), ""),
            name => format::report(errors, &path.child(field), name, format::is_path_segment_name(name)),
        }
    }
    let version = text(reference, "apiVersion");
    if let Some(problem) = version_problem(version, rule) {
        errors.invalid(&path.child("apiVersion"), version, &problem);
    }
}

/// What is wrong with an apiVersion by a rule.
pub(super) fn version_problem(version: &str, rule: VersionRule) -> Option<String> {
    let slashes = version.matches('/').count();
    if rule != VersionRule::Any && slashes > 1 {
        return Some(format!("unexpected GroupVersion string: {version}"));
    }
    let has_group = version.split_once('/').is_some_and(|(group, _)| !group.is_empty());
    (rule == VersionRule::NeedsGroup && !has_group).then(|| "apiVersion must specify API group".to_owned())
}

fn validate_rules(errors: &mut FieldErrors, path: &Path<'_>, rules: &Value) {
    let at = path.child("stabilizationWindowSeconds");
    if let Some(seconds) = integer(rules, "stabilizationWindowSeconds") {
        if seconds < 0 {
            errors.invalid(&at, seconds, "must be greater than or equal to zero");
        }
        if seconds > STABILIZATION_SECONDS_MAX {
            let detail = format!("must be less than or equal to {STABILIZATION_SECONDS_MAX}");
            errors.invalid(&at, seconds, &detail);
        }
    }
    match rules["selectPolicy"].as_str() {
        None | Some("Max" | "Min" | "Disabled") => {}
        Some(other) => {
            errors.not_supported(&path.child("selectPolicy"), other, &["Disabled", "Max", "Min"]);
        }
    }
    let at = path.child("policies");
    let policies = list(rules, "policies");
    if policies.is_empty() {
        errors.required(&at, "must specify at least one Policy");
    }
    for (index, policy) in policies.iter().enumerate() {
        validate_policy(errors, &at.index(index), policy);
    }
    if let Some(tolerance) = present(rules, "tolerance")
        && metrics::quantity(tolerance).is_some_and(|quantity| quantity.signum() < 0)
    {
        errors.invalid(&path.child("tolerance"), tolerance.clone(), "must be greater than or equal to 0");
    }
}

fn validate_policy(errors: &mut FieldErrors, path: &Path<'_>, policy: &Value) {
    let type_ = text(policy, "type");
    if !matches!(type_, "Pods" | "Percent") {
        errors.not_supported(&path.child("type"), type_, &["Percent", "Pods"]);
    }
    let period = number(policy, "periodSeconds");
    for (field, value) in [("value", number(policy, "value")), ("periodSeconds", period)] {
        if value <= 0 {
            errors.invalid(&path.child(field), value, "must be greater than zero");
        }
    }
    if period > PERIOD_SECONDS_MAX {
        let detail = format!("must be less than or equal to {PERIOD_SECONDS_MAX}");
        errors.invalid(&path.child("periodSeconds"), period, &detail);
    }
}

fn validate_status(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate_update(new, old, errors);
    let path = Path::new("status");
    for field in ["currentReplicas", "desiredReplicas"] {
        metadata::non_negative(errors, &path.child(field), number(&new["status"], field));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::cases;

    fn autoscaler() -> Value {
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "w", "apiVersion": "apps/v1"}, "maxReplicas": 3}})
    }

    #[test]
    fn counts_targets_and_behavior_are_validated() {
        cases::check_wrong(
            &autoscaler(),
            &[
                (json!({}), &[]),
                (
                    json!({"spec": {"maxReplicas": 0}}),
                    &[
                        "spec.maxReplicas: Required value: must be set and greater than 0",
                        "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
                    ],
                ),
                (
                    json!({"spec": {"minReplicas": 0}}),
                    &[
                        "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
                        "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas",
                    ],
                ),
                (
                    json!({"spec": {"scaleTargetRef": {"kind": "", "name": "", "apiVersion": null}}}),
                    &[
                        "spec.scaleTargetRef.kind: Required value",
                        "spec.scaleTargetRef.name: Required value",
                        "spec.scaleTargetRef.apiVersion: Invalid value: \"\": apiVersion must specify API group",
                    ],
                ),
                (
                    json!({"spec": {"scaleTargetRef": {"kind": "ReplicationController", "apiVersion": "v1"}}}),
                    &[],
                ),
                (
                    json!({"spec": {"behavior": {"scaleUp": {"policies": [], "selectPolicy": "x", "stabilizationWindowSeconds": 3601},
                        "scaleDown": {"policies": [{"type": "y", "value": 0, "periodSeconds": 1801}]}}}}),
                    &[
                        "spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
                        "spec.behavior.scaleUp.selectPolicy: Unsupported value: \"x\": supported values: \"Disabled\", \"Max\", \"Min\"",
                        "spec.behavior.scaleDown.policies[0].type: Unsupported value: \"y\": supported values: \"Percent\", \"Pods\"",
                        "spec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero",
                        "spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800",
                    ],
                ),
            ],
        );
    }

    #[test]
    fn defaults_are_filled_in() {
        let stored = cases::created(cases::merged(
            autoscaler(),
            &json!({"spec": {"behavior": {"scaleDown": {"selectPolicy": "Min"}}}}),
        ))
        .0;
        assert_eq!(stored["spec"]["minReplicas"], 1);
        assert_eq!(stored["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 80);
        assert_eq!(
            stored["spec"]["behavior"],
            json!({
                "scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [
                    {"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}]},
                "scaleDown": {"selectPolicy": "Min", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]},
            })
        );
        let v1 = cases::merged(autoscaler(), &json!({"apiVersion": "autoscaling/v1"}));
        assert_eq!(cases::created(v1.clone()).0["spec"]["targetCPUUtilizationPercentage"], 80);
        assert_eq!(
            cases::wrong(cases::merged(
                v1,
                &json!({"spec": {"targetCPUUtilizationPercentage": 0, "maxReplicas": -1}})
            )),
            [
                "spec.maxReplicas: Invalid value: -1: must be greater than 0",
                "spec.maxReplicas: Invalid value: -1: must be greater than or equal to `minReplicas`",
                "spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0",
            ]
        );
    }
}
