//! What is wrong with the metrics of an autoscaler.

use serde_json::{Value, json};

use super::horizontal::{VersionRule, validate_reference, version_problem};
use crate::{
    kinds::workloads::pod_spec::resources::validate_container_name,
    machinery::{
        FieldErrors, Path,
        fields::{integer, list, present, text},
        format,
        quantity::Quantity,
    },
};

/// How much of the requested CPU is used when nobody says otherwise, in percent.
pub(super) const UTILIZATION_UNASKED: i64 = 80;
const SPEC: Path<'static> = Path::new("spec");
const TYPES: [&str; 5] = ["ContainerResource", "External", "Object", "Pods", "Resource"];
/// The fields that hold a metric, and the type of each.
const SOURCES: [(&str, &str); 5] = [
    ("object", "Object"),
    ("external", "External"),
    ("pods", "Pods"),
    ("resource", "Resource"),
    ("containerResource", "ContainerResource"),
];

/// The metric that keeps CPU at so many percent.
pub(super) fn cpu(percent: i64) -> Value {
    json!({"type": "Resource", "resource": {
        "name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent},
    }})
}

/// The amount in a field.
pub(super) fn quantity(value: &Value) -> Option<Quantity> {
    Quantity::parse(value.as_str()?).ok()
}

pub(super) fn validate(new: &Value, old: &Value, errors: &mut FieldErrors) {
    let path = SPEC.child("metrics");
    let metrics = list(&new["spec"], "metrics");
    let was_invalid = list(&old["spec"], "metrics").iter().any(|metric| {
        let version = text(&metric["object"]["describedObject"], "apiVersion");
        present(metric, "object").is_some() && version_problem(version, VersionRule::AnyGroup).is_some()
    });
    let rule = if was_invalid { VersionRule::Any } else { VersionRule::AnyGroup };
    for (index, metric) in metrics.iter().enumerate() {
        validate_metric(errors, &path.index(index), metric, rule);
    }
    let is_measured_elsewhere =
        metrics.iter().any(|metric| matches!(text(metric, "type"), "Object" | "External"));
    if integer(&new["spec"], "minReplicas") == Some(0) && !is_measured_elsewhere {
        let detail =
            "must specify at least one Object or External metric to support scaling to zero replicas";
        errors.forbidden(&path, detail);
    }
}

fn validate_metric(errors: &mut FieldErrors, path: &Path<'_>, metric: &Value, rule: VersionRule) {
    let type_ = text(metric, "type");
    if type_.is_empty() {
        errors.required(&path.child("type"), "must specify a metric source type");
    }
    if !TYPES.contains(&type_) {
        errors.not_supported(&path.child("type"), type_, &TYPES);
    }
    let sources: Vec<&str> =
        SOURCES.iter().map(|(field, _)| *field).filter(|field| present(metric, field).is_some()).collect();
    if let Some(field) = sources.first() {
        validate_source(errors, &path.child(field), &metric[*field], field, rule);
    }
    let expected = SOURCES.iter().find(|(_, known)| *known == type_).map(|(field, _)| *field);
    match expected {
        Some(field) if !sources.contains(&field) => {
            errors.required(&path.child(field), "must populate information for the given metric source");
        }
        Some(_) => {}
        None => errors.not_supported(&path.child("type"), type_, &TYPES),
    }
    if sources.len() != 1 {
        for field in sources.into_iter().filter(|field| Some(*field) != expected) {
            errors.forbidden(&path.child(field), "must populate the given metric source only");
        }
    }
}

fn validate_source(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    source: &Value,
    field: &str,
    rule: VersionRule,
) {
    let target = &source["target"];
    let target_path = path.child("target");
    let has = |field: &str| present(target, field).is_some();
    let required = |errors: &mut FieldErrors, field: &str, detail: &str| {
        errors.required(&target_path.child(field), detail);
    };
    match field {
        "object" => {
            validate_reference(errors, &path.child("describedObject"), &source["describedObject"], rule);
            validate_identifier(errors, &path.child("metric"), &source["metric"]);
            validate_target(errors, &target_path, target);
            if !has("value") && !has("averageValue") {
                required(errors, "averageValue", "must set either a target value or averageValue");
            }
        }
        "external" => {
            validate_identifier(errors, &path.child("metric"), &source["metric"]);
            validate_target(errors, &target_path, target);
            if !has("value") && !has("averageValue") {
                let detail = "must set either a target value for metric or a per-pod target";
                required(errors, "averageValue", detail);
            }
            if has("value") && has("averageValue") {
                let detail = "may not set both a target value for metric and a per-pod target";
                errors.forbidden(&target_path.child("value"), detail);
            }
        }
        "pods" => {
            validate_identifier(errors, &path.child("metric"), &source["metric"]);
            validate_target(errors, &target_path, target);
            if !has("averageValue") {
                required(errors, "averageValue", "must specify a positive target averageValue");
            }
        }
        _ => {
            let name = text(source, "name");
            if name.is_empty() {
                errors.required(&path.child("name"), "must specify a resource name");
            }
            if field == "containerResource" {
                if !name.is_empty() {
                    validate_container_name(errors, &path.child("name"), name);
                }
                let at = path.child("container");
                match text(source, "container") {
                    "" => errors.required(&at, "must specify a container"),
                    container => format::report(errors, &at, container, format::is_dns1123_label(container)),
                }
            }
            validate_target(errors, &target_path, target);
            if !has("averageUtilization") && !has("averageValue") {
                let detail = "must set either a target raw value or a target utilization";
                required(errors, "averageUtilization", detail);
            }
            if has("averageUtilization") && has("averageValue") {
                let detail = "may not set both a target raw value and a target utilization";
                errors.forbidden(&target_path.child("averageValue"), detail);
            }
        }
    }
}

fn validate_identifier(errors: &mut FieldErrors, path: &Path<'_>, identifier: &Value) {
    match text(identifier, "name") {
        "" => errors.required(&path.child("name"), "must specify a metric name"),
        name => format::report(errors, &path.child("name"), name, format::is_path_segment_name(name)),
    }
}

fn validate_target(errors: &mut FieldErrors, path: &Path<'_>, target: &Value) {
    let type_ = text(target, "type");
    let at = path.child("type");
    if type_.is_empty() {
        errors.required(&at, "must specify a metric target type");
    }
    if !matches!(type_, "Utilization" | "Value" | "AverageValue") {
        errors.invalid(&at, type_, "must be either Utilization, Value, or AverageValue");
    }
    for field in ["value", "averageValue"] {
        if let Some(amount) = present(target, field)
            && quantity(amount).is_none_or(|amount| amount.signum() <= 0)
        {
            errors.invalid(&path.child(field), amount.clone(), "must be positive");
        }
    }
    if let Some(percent) = integer(target, "averageUtilization").filter(|percent| *percent < 1) {
        errors.invalid(&path.child("averageUtilization"), percent, "must be greater than 0");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::cases;

    #[test]
    fn each_metric_has_its_source_and_target() {
        let base = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "w", "apiVersion": "apps/v1"}, "maxReplicas": 3}});
        let metric = |metric: Value| json!({"spec": {"metrics": [metric]}});
        let at = "spec.metrics[0]";
        for (over, want) in [
            (
                metric(json!({"type": "Resource"})),
                vec![format!(
                    "{at}.resource: Required value: must populate information for the given metric source"
                )],
            ),
            (
                metric(
                    json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 0}}}),
                ),
                vec![format!(
                    "{at}.resource.target.averageUtilization: Invalid value: 0: must be greater than 0"
                )],
            ),
            (
                metric(
                    json!({"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "0"}}}),
                ),
                vec![format!("{at}.pods.target.averageValue: Invalid value: \"0\": must be positive")],
            ),
            (
                metric(
                    json!({"type": "External", "external": {"metric": {"name": ""}, "target": {"type": "x"}}}),
                ),
                vec![
                    format!("{at}.external.metric.name: Required value: must specify a metric name"),
                    format!(
                        "{at}.external.target.type: Invalid value: \"x\": must be either Utilization, Value, or AverageValue"
                    ),
                    format!(
                        "{at}.external.target.averageValue: Required value: must set either a target value for metric or a per-pod target"
                    ),
                ],
            ),
            (
                metric(
                    json!({"type": "Pods", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 1}}}),
                ),
                vec![format!(
                    "{at}.pods: Required value: must populate information for the given metric source"
                )],
            ),
            (
                metric(
                    json!({"type": "ContainerResource", "containerResource": {"name": "pods", "container": "a.b", "target": {"type": "Utilization", "averageUtilization": 1}}}),
                ),
                vec![
                    format!(
                        "{at}.containerResource.name: Invalid value: \"pods\": must be a standard resource for containers"
                    ),
                    format!(
                        "{at}.containerResource.container: Invalid value: \"a.b\": must not contain dots"
                    ),
                ],
            ),
            (
                metric(
                    json!({"type": "Object", "object": {"describedObject": {"kind": "Service", "name": "s", "apiVersion": "a/b/c"},
                    "metric": {"name": "m"}, "target": {"type": "Value", "value": "1"}}}),
                ),
                vec![format!(
                    "{at}.object.describedObject.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c"
                )],
            ),
        ] {
            assert_eq!(cases::wrong(cases::merged(base.clone(), &over)), want, "{over}");
        }
    }
}
