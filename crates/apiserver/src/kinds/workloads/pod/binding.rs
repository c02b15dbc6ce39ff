//! The subresource `binding`: which node a Pod runs on, decided once.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::machinery::{
    FieldErrors, Path, conform,
    fields::{fill, list, object_mut, text},
    go_quoted, object,
};

/// Why a Pod cannot be given to a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindingError {
    /// It is on its way out; its name.
    #[error("pod {0} is being deleted, cannot be assigned to a host")]
    Deleted(String),
    /// It has a node.
    #[error("pod {pod} is already assigned to node {}", go_quoted(node))]
    Assigned {
        /// The name of the Pod.
        pod: String,
        /// The name of the node.
        node: String,
    },
    /// Something holds it back; its name.
    #[error("pod {0} has non-empty .spec.schedulingGates")]
    Gated(String),
}

/// What is wrong with a Binding.
pub fn validate(errors: &mut FieldErrors, binding: &Value) {
    let path = Path::new("target");
    let target = &binding["target"];
    let kind = text(target, "kind");
    if !matches!(kind, "" | "Node") {
        errors.not_supported(&path.child("kind"), kind, &["Node", "<empty>"]);
    }
    if text(target, "name").is_empty() {
        errors.required(&path.child("name"), "");
    }
}

/// Gives a Pod to the node that a Binding names, with the Binding's labels and annotations.
///
/// # Errors
/// A Pod that has a node, must not have one yet, or is being deleted.
pub fn assign(pod: &mut Value, binding: &Value, now: Timestamp) -> Result<(), BindingError> {
    let name = || object::name(pod).to_owned();
    if object::deletion_timestamp(pod).is_some() {
        return Err(BindingError::Deleted(name()));
    }
    let node = text(&pod["spec"], "nodeName");
    if !node.is_empty() {
        return Err(BindingError::Assigned { pod: name(), node: node.to_owned() });
    }
    if !list(&pod["spec"], "schedulingGates").is_empty() {
        return Err(BindingError::Gated(name()));
    }
    let node = text(&binding["target"], "name");
    object::child_mut(pod, "spec").insert("nodeName".to_owned(), node.into());
    for field in ["annotations", "labels"] {
        let more = object::meta(binding, field).and_then(Value::as_object);
        let Some(more) = more.filter(|more| !more.is_empty()) else { continue };
        let metadata = object::metadata_mut(pod);
        fill(metadata, field, Map::new());
        if let Some(own) = object_mut(metadata, field) {
            own.extend(more.clone());
        }
    }
    let status = object::child_mut(pod, "status");
    status.remove("nominatedNodeName");
    fill(status, "conditions", Value::Array(Vec::new()));
    if let Some(Value::Array(conditions)) = status.get_mut("conditions") {
        set_scheduled(conditions, now);
    }
    Ok(())
}

fn set_scheduled(conditions: &mut Vec<Value>, now: Timestamp) {
    const TYPE: &str = "PodScheduled";
    let now = conform::seconds(now);
    let mut condition =
        json!({"type": TYPE, "status": "True", "lastProbeTime": null, "lastTransitionTime": now});
    match conditions.iter_mut().find(|own| text(own, "type") == TYPE) {
        None => conditions.push(condition),
        Some(own) => {
            if own["status"] == "True" {
                condition["lastTransitionTime"] = own["lastTransitionTime"].take();
            }
            *own = condition;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::workloads::testing::lines;

    #[test]
    fn a_binding_names_a_node() {
        for (target, want) in [
            (json!({"kind": "Node", "name": "n"}), vec![]),
            (json!({"name": "n"}), vec![]),
            (
                json!({"kind": "Pod"}),
                vec![
                    "target.kind: Unsupported value: \"Pod\": supported values: \"Node\", \"<empty>\"",
                    "target.name: Required value",
                ],
            ),
        ] {
            let mut errors = FieldErrors::new();
            validate(&mut errors, &json!({ "target": target }));
            assert_eq!(lines(&errors), want);
        }
    }

    #[test]
    fn a_pod_is_bound_once() {
        let now = Timestamp::UNIX_EPOCH;
        let binding = json!({"metadata": {"name": "p", "labels": {"a": "b"}}, "target": {"name": "n1"}});
        let mut pod = json!({"metadata": {"name": "p", "labels": {"c": "d"}}, "spec": {}, "status": {"nominatedNodeName": "x"}});
        assign(&mut pod, &binding, now).unwrap();
        assert_eq!(
            pod,
            json!({
                "metadata": {"name": "p", "labels": {"a": "b", "c": "d"}},
                "spec": {"nodeName": "n1"},
                "status": {"conditions": [{"type": "PodScheduled", "status": "True", "lastProbeTime": null,
                    "lastTransitionTime": "1970-01-01T00:00:00Z"}]},
            })
        );
        let refused = |pod: Value| assign(&mut pod.clone(), &binding, now).unwrap_err().to_string();
        assert_eq!(refused(pod), "pod p is already assigned to node \"n1\"");
        assert_eq!(
            refused(json!({"metadata": {"name": "p"}, "spec": {"schedulingGates": [{"name": "g"}]}})),
            "pod p has non-empty .spec.schedulingGates"
        );
        assert_eq!(
            refused(json!({"metadata": {"name": "p", "deletionTimestamp": "t"}, "spec": {}})),
            "pod p is being deleted, cannot be assigned to a host"
        );
    }
}
