//! The CustomResourceDefinitions of these examples, made of schemas.

use serde_json::{Value, json};

/// The CustomResourceDefinition of a namespaced kind of these examples, with a status.
pub fn definition(kind: &str, plural: &str, schema: &Value) -> Value {
    let group = "examples.xebec.dev";
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": schema},
            }],
        },
    })
}

/// The schema of `status.conditions`: a list by type, so that each condition has an owner of its own.
pub fn conditions_schema() -> Value {
    let text = json!({"type": "string"});
    json!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "type": text,
                "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                "reason": text,
                "message": text,
                "lastTransitionTime": {"type": "string", "format": "date-time"},
                "observedGeneration": {"type": "integer", "format": "int64"},
            },
        },
    })
}
