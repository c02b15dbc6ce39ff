//! Between `autoscaling/v1` and `autoscaling/v2`: v1 knows only the CPU, and carries the rest in annotations.

use serde_json::{Map, Value, json};

use super::metrics;
use crate::{
    kinds::{Conversion, go},
    machinery::{
        builtin, conform,
        fields::{integer, list, present, text},
        object,
    },
};

/// Between v1 and v2.
pub static CONVERSION: Conversion = Conversion { to_storage: to_v2, from_storage: to_v1 };

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// Fields of all types that stand in the annotations, in the order of their Go structs.
const ORDER: [&str; 30] = [
    "type",
    "status",
    "lastTransitionTime",
    "reason",
    "message",
    "object",
    "pods",
    "resource",
    "containerResource",
    "external",
    "kind",
    "target",
    "metricName",
    "metricSelector",
    "name",
    "apiVersion",
    "targetValue",
    "currentValue",
    "targetAverageUtilization",
    "currentAverageUtilization",
    "targetAverageValue",
    "currentAverageValue",
    "container",
    "selector",
    "averageValue",
    "matchLabels",
    "matchExpressions",
    "key",
    "operator",
    "values",
];

/// Whether a v1 object has metrics besides the CPU.
pub(super) fn has_metrics(autoscaler: &Value) -> bool {
    annotated(autoscaler, METRICS).is_some_and(|metrics| !metrics.as_array().is_none_or(Vec::is_empty))
}

fn annotated(autoscaler: &Value, annotation: &str) -> Option<Value> {
    let text = object::annotations(autoscaler)?.get(annotation)?.as_str()?;
    serde_json::from_str(text).ok()
}

fn to_v2(mut autoscaler: Value) -> Value {
    let mut metrics = from_annotation(&autoscaler, METRICS, "target");
    let mut current = from_annotation(&autoscaler, CURRENT_METRICS, "current");
    if let Some(percent) = integer(&autoscaler["spec"], "targetCPUUtilizationPercentage") {
        metrics.push(metrics::cpu(percent));
    }
    if let Some(percent) = integer(&autoscaler["status"], "currentCPUUtilizationPercentage")
        && current.is_empty()
    {
        current.push(json!({"type": "Resource", "resource": {
            "name": "cpu", "current": {"averageUtilization": percent},
        }}));
    }
    if metrics.is_empty() {
        metrics.push(metrics::cpu(metrics::UTILIZATION_UNASKED));
    }
    let conditions = annotated(&autoscaler, CONDITIONS);
    let behavior = annotated(&autoscaler, BEHAVIOR).map(|behavior| lower_case_first(&behavior));
    drop_annotations(&mut autoscaler);
    let spec = object::child_mut(&mut autoscaler, "spec");
    spec.remove("targetCPUUtilizationPercentage");
    spec.insert("metrics".to_owned(), metrics.into());
    if let Some(behavior) = behavior.filter(Value::is_object) {
        spec.insert("behavior".to_owned(), behavior);
    }
    let status = object::child_mut(&mut autoscaler, "status");
    status.remove("currentCPUUtilizationPercentage");
    status.insert("currentMetrics".to_owned(), current.into());
    if let Some(conditions) = conditions.filter(Value::is_array) {
        status.insert("conditions".to_owned(), conditions);
    }
    settled(autoscaler, "v2")
}

fn to_v1(mut autoscaler: Value) -> Value {
    drop_annotations(&mut autoscaler);
    let spec = object::child_mut(&mut autoscaler, "spec");
    let metrics = spec.remove("metrics").unwrap_or_default();
    let behavior = spec.remove("behavior");
    let target = first_cpu(&metrics, "target");
    if let Some(percent) = target {
        spec.insert("targetCPUUtilizationPercentage".to_owned(), percent.into());
    }
    let status = object::child_mut(&mut autoscaler, "status");
    let current = status.remove("currentMetrics").unwrap_or_default();
    let conditions = status.remove("conditions").unwrap_or_default();
    if let Some(percent) = first_cpu(&current, "current") {
        status.insert("currentCPUUtilizationPercentage".to_owned(), percent.into());
    }
    let others: Vec<Value> = items(&metrics)
        .iter()
        .filter(|metric| !is_cpu(metric) || metric["resource"]["target"]["averageUtilization"].is_null())
        .map(|metric| metric_to_v1(metric, "target"))
        .collect();
    let current: Vec<Value> = items(&current).iter().map(|metric| metric_to_v1(metric, "current")).collect();
    for (annotation, values) in
        [(CONDITIONS, items(&conditions)), (METRICS, &others), (CURRENT_METRICS, &current)]
    {
        if !values.is_empty() {
            let written: Vec<String> = values.iter().map(ordered).collect();
            annotate(&mut autoscaler, annotation, format!("[{}]", written.join(",")));
        }
    }
    if let Some(behavior) = behavior {
        annotate(&mut autoscaler, BEHAVIOR, written_behavior(&behavior));
    }
    settled(autoscaler, "v1")
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn is_cpu(metric: &Value) -> bool {
    text(metric, "type") == "Resource" && text(&metric["resource"], "name") == "cpu"
}

fn first_cpu(metrics: &Value, side: &str) -> Option<i64> {
    let metric = items(metrics).iter().find(|metric| is_cpu(metric))?;
    integer(&metric["resource"][side], "averageUtilization")
}

fn settled(mut autoscaler: Value, version: &str) -> Value {
    autoscaler["apiVersion"] = format!("autoscaling/{version}").into();
    if let Some(schema) =
        builtin::schema(&format!("io.k8s.api.autoscaling.{version}.HorizontalPodAutoscaler"))
    {
        // What cannot be read was in an annotation, which anybody can write: validation refuses it.
        let _ = conform::conform(schema, &mut autoscaler);
    }
    autoscaler
}

fn annotate(autoscaler: &mut Value, annotation: &str, text: String) {
    let annotations =
        object::metadata_mut(autoscaler).entry("annotations").or_insert_with(|| Value::Object(Map::new()));
    object::map_mut(annotations).insert(annotation.to_owned(), text.into());
}

fn drop_annotations(autoscaler: &mut Value) {
    let metadata = object::metadata_mut(autoscaler);
    let Some(Value::Object(annotations)) = metadata.get_mut("annotations") else { return };
    for annotation in [METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR] {
        annotations.remove(annotation);
    }
    if annotations.is_empty() {
        metadata.remove("annotations");
    }
}

fn from_annotation(autoscaler: &Value, annotation: &str, side: &str) -> Vec<Value> {
    let metrics = annotated(autoscaler, annotation).unwrap_or_default();
    items(&metrics).iter().map(|metric| metric_to_v2(metric, side)).collect()
}

/// Each sort of metric: its field, and where v1 has its parts. `SIDE` is `target` or `current`.
const SORTS: [&str; 5] = ["object", "pods", "resource", "containerResource", "external"];

/// The name that v1 has for a number of the target, such as `targetAverageValue`.
fn v1_name(side: &str, sort: &str, field: &str) -> String {
    match (sort, field) {
        ("object", "averageValue") => field.to_owned(),
        (_, field) => {
            let upper = field[..1].to_uppercase();
            format!("{side}{upper}{}", &field[1..])
        }
    }
}

fn metric_to_v1(metric: &Value, side: &str) -> Value {
    let mut result = Map::new();
    result.insert("type".to_owned(), metric.get("type").cloned().unwrap_or_default());
    for sort in SORTS {
        let Some(source) = present(metric, sort) else { continue };
        let mut own = Map::new();
        for (from, to) in [("name", "name"), ("container", "container"), ("describedObject", "target")] {
            if let Some(value) = present(source, from) {
                own.insert(to.to_owned(), value.clone());
            }
        }
        let selector = if sort == "external" { "metricSelector" } else { "selector" };
        for (from, to) in [("name", "metricName"), ("selector", selector)] {
            if let Some(value) = present(&source["metric"], from) {
                own.insert(to.to_owned(), value.clone());
            }
        }
        for field in ["value", "averageValue", "averageUtilization"] {
            if let Some(value) = present(&source[side], field) {
                own.insert(v1_name(side, sort, field), value.clone());
            }
        }
        // Quantities that are no pointers in v1.
        let needed = match (sort, side) {
            ("object", _) | ("external", "current") => Some("value"),
            ("pods", _) | ("resource" | "containerResource", "current") => Some("averageValue"),
            _ => None,
        };
        if let Some(field) = needed {
            own.entry(v1_name(side, sort, field)).or_insert("0".into());
        }
        result.insert(sort.to_owned(), Value::Object(own));
    }
    Value::Object(result)
}

fn metric_to_v2(metric: &Value, side: &str) -> Value {
    let mut result = Map::new();
    result.insert("type".to_owned(), metric.get("type").cloned().unwrap_or_default());
    for sort in SORTS {
        let Some(source) = present(metric, sort) else { continue };
        let mut own = Map::new();
        for (from, to) in [("name", "name"), ("container", "container"), ("target", "describedObject")] {
            if let Some(value) = present(source, from) {
                own.insert(to.to_owned(), value.clone());
            }
        }
        let mut identifier = Map::new();
        let selector = if sort == "external" { "metricSelector" } else { "selector" };
        for (from, to) in [("metricName", "name"), (selector, "selector")] {
            if let Some(value) = present(source, from) {
                identifier.insert(to.to_owned(), value.clone());
            }
        }
        if !identifier.is_empty() {
            own.insert("metric".to_owned(), Value::Object(identifier));
        }
        let mut amounts = Map::new();
        for field in ["value", "averageValue", "averageUtilization"] {
            let value = present(source, &v1_name(side, sort, field));
            // The zero of an amount that is no pointer in v1 means none, where there is another.
            let is_none = field == "value"
                && value.is_some_and(|value| value == "0")
                && present(source, &v1_name(side, sort, "averageValue")).is_some();
            if let Some(value) = value.filter(|_| !is_none) {
                amounts.insert(field.to_owned(), value.clone());
            }
        }
        if side == "target" {
            let type_ = if amounts.contains_key("averageUtilization") {
                "Utilization"
            } else if amounts.contains_key("averageValue") {
                "AverageValue"
            } else {
                "Value"
            };
            amounts.insert("type".to_owned(), type_.into());
        }
        own.insert(side.to_owned(), Value::Object(amounts));
        result.insert(sort.to_owned(), Value::Object(own));
    }
    Value::Object(result)
}

/// JSON with fields in the order of the Go structs: clients compare annotations as texts.
fn ordered(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let known = ORDER.iter().filter_map(|name| map.get_key_value(*name));
            let others = map.iter().filter(|(name, _)| !ORDER.contains(&name.as_str()));
            let fields: Vec<String> = known
                .chain(others)
                .map(|(name, value)| format!("{}:{}", json!(name), ordered(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(ordered).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// The behavior stands in its annotation with Go's names.
fn written_behavior(behavior: &Value) -> String {
    let rules = |field: &str| -> String {
        let Some(rules) = present(behavior, field) else { return "null".to_owned() };
        let value = |field: &str| rules.get(field).cloned().unwrap_or_default();
        let policies: Vec<String> = list(rules, "policies")
            .iter()
            .map(|policy| {
                let value = |field: &str| policy.get(field).cloned().unwrap_or_default();
                go::structure(&[
                    ("Type", value("type")),
                    ("Value", value("value")),
                    ("PeriodSeconds", value("periodSeconds")),
                ])
            })
            .collect();
        format!(
            "{{\"StabilizationWindowSeconds\":{},\"SelectPolicy\":{},\"Policies\":[{}],\"Tolerance\":{}}}",
            value("stabilizationWindowSeconds"),
            value("selectPolicy"),
            policies.join(","),
            value("tolerance"),
        )
    };
    format!("{{\"ScaleUp\":{},\"ScaleDown\":{}}}", rules("scaleUp"), rules("scaleDown"))
}

/// The same with a small first letter to every name.
fn lower_case_first(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let renamed = map.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| {
                let (first, rest) = name.split_at(name.chars().next().map_or(0, char::len_utf8));
                (first.to_lowercase() + rest, lower_case_first(value))
            });
            Value::Object(renamed.collect())
        }
        Value::Array(list) => list.iter().map(lower_case_first).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::cases;

    fn v1(spec: Value) -> Value {
        let base = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"},
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "w", "apiVersion": "apps/v1"}, "maxReplicas": 5}});
        cases::decoded(cases::merged(base, &json!({"spec": spec})))
    }

    #[test]
    fn the_cpu_is_a_metric_of_v2() {
        for (spec, percent) in [(json!({}), 80), (json!({"targetCPUUtilizationPercentage": 50}), 50)] {
            let sent = v1(spec);
            let kept = to_v2(sent.clone());
            assert_eq!(kept["spec"]["metrics"], json!([metrics::cpu(percent)]));
            assert_eq!(kept["status"], json!({"desiredReplicas": 0, "currentMetrics": null}));
            assert_eq!(to_v1(kept), sent);
        }
    }

    #[test]
    fn what_v1_has_not_goes_through_annotations() {
        let kept = cases::decoded(json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "w", "apiVersion": "apps/v1"}, "maxReplicas": 5,
                "metrics": [
                    metrics::cpu(60),
                    {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "10"}}},
                    {"type": "Object", "object": {"describedObject": {"kind": "Service", "name": "s"}, "metric": {"name": "m"},
                        "target": {"type": "Value", "value": "2"}}},
                ],
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}},
            "status": {"conditions": [{"type": "AbleToScale", "status": "True", "reason": "r"}]},
        }));
        let view = to_v1(kept.clone());
        assert_eq!(view["spec"]["targetCPUUtilizationPercentage"], 60);
        let annotations = &view["metadata"]["annotations"];
        assert_eq!(
            annotations[METRICS],
            "[{\"type\":\"Pods\",\"pods\":{\"metricName\":\"rps\",\"targetAverageValue\":\"10\"}},{\"type\":\"Object\",\"object\":{\"target\":{\"kind\":\"Service\",\"name\":\"s\"},\"metricName\":\"m\",\"targetValue\":\"2\"}}]"
        );
        assert!(annotations[BEHAVIOR].as_str().unwrap().starts_with("{\"ScaleUp\":{\"StabilizationWindowSeconds\":0,\"SelectPolicy\":\"Max\",\"Policies\":[{\"Type\":\"Pods\",\"Value\":4,"));
        let back = to_v2(view);
        assert_eq!(back["spec"]["behavior"], kept["spec"]["behavior"]);
        assert_eq!(back["status"]["conditions"][0]["reason"], "r");
        let sorts = |object: &Value| -> Vec<String> {
            let mut sorts: Vec<String> =
                items(&object["spec"]["metrics"]).iter().map(Value::to_string).collect();
            sorts.sort();
            sorts
        };
        assert_eq!(sorts(&back), sorts(&kept));
    }
}
