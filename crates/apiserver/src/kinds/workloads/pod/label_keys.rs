//! `matchLabelKeys` and `mismatchLabelKeys`: the Pod's own labels become part of the selectors of its affinities and of
//! how it is spread.

use serde_json::{Map, Value, json};

use crate::machinery::{
    fields::{fill, object_mut, objects_mut},
    object,
};

/// Adds what the keys mean to the selectors of a new Pod.
pub fn apply(pod: &mut Value) {
    let Some(labels) = object::labels(pod).cloned() else { return };
    let spec = object::child_mut(pod, "spec");
    if let Some(affinity) = object_mut(spec, "affinity") {
        for field in ["podAffinity", "podAntiAffinity"] {
            let Some(affinity) = object_mut(affinity, field) else { continue };
            for weighted in objects_mut(affinity, "preferredDuringSchedulingIgnoredDuringExecution") {
                if let Some(term) = object_mut(weighted, "podAffinityTerm") {
                    apply_to(term, &labels);
                }
            }
            for term in objects_mut(affinity, "requiredDuringSchedulingIgnoredDuringExecution") {
                apply_to(term, &labels);
            }
        }
    }
    for constraint in objects_mut(spec, "topologySpreadConstraints") {
        apply_to(constraint, &labels);
    }
}

fn apply_to(term: &mut Map<String, Value>, labels: &Map<String, Value>) {
    let mut expressions = Vec::new();
    for (field, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
        let keys = term.get(field).and_then(Value::as_array).into_iter().flatten();
        for key in keys.filter_map(Value::as_str) {
            if let Some(value) = labels.get(key) {
                expressions.push(json!({"key": key, "operator": operator, "values": [value]}));
            }
        }
    }
    // A selector that is not there selects nothing, whatever is added.
    if let Some(selector) = object_mut(term, "labelSelector").filter(|_| !expressions.is_empty()) {
        fill(selector, "matchExpressions", Value::Array(Vec::new()));
        if let Some(Value::Array(own)) = selector.get_mut("matchExpressions") {
            own.extend(expressions);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_expressions() {
        let term = |selector: Value| json!({"topologyKey": "t", "matchLabelKeys": ["a", "no"], "mismatchLabelKeys": ["b"], "labelSelector": selector});
        let mut pod = json!({
            "metadata": {"labels": {"a": "1", "b": "2"}},
            "spec": {
                "affinity": {"podAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [{"podAffinityTerm": term(json!({}))}],
                    "requiredDuringSchedulingIgnoredDuringExecution": [term(Value::Null)],
                }},
                "topologySpreadConstraints": [{"matchLabelKeys": ["b"], "labelSelector": {"matchExpressions": [{"key": "x", "operator": "Exists"}]}}],
            },
        });
        apply(&mut pod);
        let affinity = &pod["spec"]["affinity"]["podAffinity"];
        assert_eq!(
            affinity["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"]["labelSelector"],
            json!({"matchExpressions": [
                {"key": "a", "operator": "In", "values": ["1"]},
                {"key": "b", "operator": "NotIn", "values": ["2"]},
            ]})
        );
        assert!(affinity["requiredDuringSchedulingIgnoredDuringExecution"][0]["labelSelector"].is_null());
        assert_eq!(
            pod["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchExpressions"],
            json!([{"key": "x", "operator": "Exists"}, {"key": "b", "operator": "In", "values": ["2"]}])
        );
    }
}
