//! Rows of what scales: HorizontalPodAutoscaler (in the form of `autoscaling/v2`) and Scale.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    format::{created, quantity},
    read::{at, is_set, items, number, text},
};
use crate::machinery::object;

/// How many metrics are said before the rest is only counted.
const METRICS_SHOWN: usize = 2;

/// The cells of a HorizontalPodAutoscaler.
pub fn autoscaler(scaler: &Value, now: Timestamp) -> Vec<Value> {
    let minimum = match at(scaler, "spec.minReplicas").as_i64() {
        Some(minimum) => minimum.to_string(),
        None => "<unset>".to_owned(),
    };
    let target = at(scaler, "spec.scaleTargetRef");
    vec![
        object::name(scaler).into(),
        format!("{}/{}", text(target, "kind"), text(target, "name")).into(),
        metrics(items(scaler, "spec.metrics"), items(scaler, "status.currentMetrics")).into(),
        minimum.into(),
        number(scaler, "spec.maxReplicas").into(),
        number(scaler, "status.currentReplicas").into(),
        created(scaler, now),
    ]
}

/// The cells of a Scale.
pub fn scale(scale: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        object::name(scale).into(),
        number(scale, "spec.replicas").into(),
        number(scale, "status.replicas").into(),
        created(scale, now),
    ]
}

fn metrics(specs: &[Value], statuses: &[Value]) -> String {
    if specs.is_empty() {
        return "<none>".to_owned();
    }
    let shown: Vec<String> = specs
        .iter()
        .take(METRICS_SHOWN)
        .enumerate()
        .map(|(index, spec)| metric(spec, statuses.get(index).unwrap_or(&Value::Null)))
        .collect();
    let shown = shown.join(", ");
    match specs.len().saturating_sub(METRICS_SHOWN) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}

/// What one metric is and what it should be: `cpu: 40%/60%`.
fn metric(spec: &Value, status: &Value) -> String {
    match text(spec, "type") {
        "External" => value_or_average(at(spec, "external.target"), at(status, "external")),
        "Object" => value_or_average(at(spec, "object.target"), at(status, "object")),
        "Pods" => {
            let current = match at(status, "pods") {
                Value::Null => "<unknown>",
                pods => pointer(pods, "current.averageValue"),
            };
            format!("{current}/{}", pointer(spec, "pods.target.averageValue"))
        }
        "Resource" => resource(at(spec, "resource"), at(status, "resource")),
        "ContainerResource" => resource(at(spec, "containerResource"), at(status, "containerResource")),
        _ => "<unknown type>".to_owned(),
    }
}

fn value_or_average(target: &Value, status: &Value) -> String {
    if is_set(target, "averageValue") {
        let current = at(status, "current.averageValue").as_str().unwrap_or("<unknown>");
        format!("{current}/{} (avg)", quantity(target, "averageValue"))
    } else {
        let current = if status.is_null() { "<unknown>" } else { pointer(status, "current.value") };
        format!("{current}/{}", pointer(target, "value"))
    }
}

fn resource(spec: &Value, status: &Value) -> String {
    let name = text(spec, "name");
    let target = at(spec, "target");
    if is_set(target, "averageValue") {
        let current = if status.is_null() { "<unknown>" } else { pointer(status, "current.averageValue") };
        return format!("{name}: {current}/{}", quantity(target, "averageValue"));
    }
    let percent = |value: &Value, absent: &str| match value.as_i64() {
        Some(percent) => format!("{percent}%"),
        None => absent.to_owned(),
    };
    let current = percent(at(status, "current.averageUtilization"), "<unknown>");
    format!("{name}: {current}/{}", percent(at(target, "averageUtilization"), "<auto>"))
}

/// An amount behind a Go pointer, as Go prints it where there is none.
fn pointer<'a>(value: &'a Value, path: &str) -> &'a str {
    at(value, path).as_str().unwrap_or("<nil>")
}
