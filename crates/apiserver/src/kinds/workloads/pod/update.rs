//! What may change in the spec of a Pod: images, the deadline, more tolerations, fewer gates.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{
    super::pod_spec::{annotations, rules, scheduling},
    diff,
};
use crate::machinery::{
    FieldErrors, Path,
    fields::{entries, fill, integer, list, object_mut, objects_mut, present, text},
    object,
};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

/// What is wrong with replacing a Pod.
pub fn validate(errors: &mut FieldErrors, new: &Value, old: &Value) {
    super::validate(errors, new);
    validate_annotations(errors, new, old);
    let path = Path::new("spec");
    let (new, old) = (&new["spec"], &old["spec"]);
    for field in ["containers", "initContainers"] {
        let path = path.child(field);
        let containers = list(new, field);
        if containers.len() != list(old, field).len() {
            errors.forbidden(&path, "pod updates may not add or remove containers");
            return;
        }
        for (index, container) in containers.iter().enumerate() {
            let path = path.index(index);
            rules::required(errors, &path, container, &["image"]);
            super::containers::validate_only_in_pod(errors, &path, container);
        }
    }
    if !validate_deadline(errors, &path.child("activeDeadlineSeconds"), new, old) {
        return;
    }
    validate_tolerations(errors, &path.child("tolerations"), new, old);
    validate_gates(errors, &path.child("schedulingGates"), new, old);
    if new == old {
        return;
    }
    let mut rest = new.clone();
    undo(&mut rest, old);
    if !list(old, "schedulingGates").is_empty() {
        validate_while_gated(errors, &path, new, old);
        undo_while_gated(&mut rest, old);
    }
    if rest != *old {
        errors.forbidden(&path, &format!("{NOT_UPDATABLE}\n{}", diff::of(old, &rest)));
    }
}

const NOT_UPDATABLE: &str = "pod updates may not change fields other than \
    `spec.containers[*].image`,\
    `spec.initContainers[*].image`,\
    `spec.activeDeadlineSeconds`,\
    `spec.tolerations` (only additions to existing tolerations),\
    `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// What is wrong with changing a Pod's annotations.
pub fn validate_annotations(errors: &mut FieldErrors, new: &Value, old: &Value) {
    let path = Path::new("metadata");
    let of = |pod: &Value| pod["metadata"]["annotations"].clone();
    annotations::validate_update(errors, &path.child("annotations"), &of(new), &of(old), &new["spec"]);
}

/// A deadline may come nearer; whether anything else is to be looked at.
fn validate_deadline(errors: &mut FieldErrors, path: &Path<'_>, new: &Value, old: &Value) -> bool {
    let seconds = |spec: &Value| integer(spec, "activeDeadlineSeconds");
    match (seconds(new), seconds(old)) {
        (Some(new), _) if !(0..=i64::from(i32::MAX)).contains(&new) => {
            rules::in_range(errors, path, new, 0, i32::MAX.into());
            false
        }
        (Some(new), Some(old)) if old < new => {
            errors.invalid(path, new, "must be less than or equal to previous value");
            false
        }
        (None, Some(_)) => {
            errors.invalid(path, Value::Null, "must not update from a positive integer to nil value");
            true
        }
        _ => true,
    }
}

/// What a Pod tolerates it goes on tolerating, though perhaps longer or less long.
fn validate_tolerations(errors: &mut FieldErrors, path: &Path<'_>, new: &Value, old: &Value) {
    let (new, old) = (list(new, "tolerations"), list(old, "tolerations"));
    let identity = |toleration| ["key", "operator", "value", "effect"].map(|field| text(toleration, field));
    let kept: HashSet<[&str; 4]> = new.iter().map(identity).collect();
    if old.iter().map(identity).all(|old| kept.contains(&old)) {
        scheduling::validate_tolerations(errors, path, new);
    } else {
        errors.forbidden(path, "existing toleration can not be modified except its tolerationSeconds");
    }
}

fn validate_gates(errors: &mut FieldErrors, path: &Path<'_>, new: &Value, old: &Value) {
    let old: HashSet<&str> = list(old, "schedulingGates").iter().map(|gate| text(gate, "name")).collect();
    for (index, gate) in list(new, "schedulingGates").iter().enumerate() {
        let name = text(gate, "name");
        if !old.contains(name) {
            let detail = format!("only deletion is allowed, but found new scheduling gate '{name}'");
            errors.forbidden(&path.index(index).child("name"), &detail);
        }
    }
}

/// Makes what may change what it was.
fn undo(spec: &mut Value, old: &Value) {
    let spec = object::map_mut(spec);
    for field in ["containers", "initContainers"] {
        for (new, old) in objects_mut(spec, field).zip(list(old, field)) {
            copy(new, old, "image");
        }
    }
    for field in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
        copy(spec, old, field);
    }
}

/// Makes a field what it is in `from`.
fn copy(to: &mut Map<String, Value>, from: &Value, field: &str) {
    match from.get(field) {
        Some(value) => to.insert(field.to_owned(), value.clone()),
        None => to.remove(field),
    };
}

/// A Pod that is not to be scheduled yet may say more narrowly on which nodes it can run.
fn validate_while_gated(errors: &mut FieldErrors, path: &Path<'_>, new: &Value, old: &Value) {
    let selector = &new["nodeSelector"];
    if entries(old, "nodeSelector").any(|(key, value)| selector.get(key) != Some(value)) {
        let detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        errors.invalid(&path.child("nodeSelector"), selector.clone(), detail);
    }
    let terms = |spec: &Value| spec["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"].clone();
    let (new, old) = (terms(new), terms(old));
    let items = |terms: &Value| terms.as_array().cloned().unwrap_or_default();
    let (new_terms, old_terms) = (items(&new), items(&old));
    if old_terms.is_empty() {
        return;
    }
    let path = path.child("affinity");
    let path = path.child("nodeAffinity");
    let path = path.child(REQUIRED);
    let path = path.child("nodeSelectorTerms");
    if new_terms.len() != old_terms.len() {
        let detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        errors.invalid(&path, new, detail);
        return;
    }
    for (index, (new, old)) in new_terms.iter().zip(&old_terms).enumerate() {
        if !has_only_additions(new, old) {
            let detail = "only additions are allowed (no mutations or deletions)";
            errors.invalid(&path.index(index), new.clone(), detail);
        }
    }
}

/// Whether a term of a node selector is one from before with more requirements. What selected no node does so still.
fn has_only_additions(new: &Value, old: &Value) -> bool {
    const FIELDS: [&str; 2] = ["matchExpressions", "matchFields"];
    let is_empty = |term: &Value| FIELDS.iter().all(|field| list(term, field).is_empty());
    (is_empty(new) || !is_empty(old))
        && FIELDS.iter().all(|field| list(new, field).starts_with(list(old, field)))
}

/// Makes what may change while a Pod has gates what it was.
fn undo_while_gated(spec: &mut Value, old: &Value) {
    let spec = object::map_mut(spec);
    copy(spec, old, "nodeSelector");
    let (old_affinity, none) = (present(old, "affinity"), Value::Null);
    if old_affinity.is_some_and(|affinity| present(affinity, "nodeAffinity").is_some()) {
        fill(spec, "affinity", Map::new());
    }
    if let Some(affinity) = object_mut(spec, "affinity") {
        copy(affinity, old_affinity.unwrap_or(&none), "nodeAffinity");
        if affinity.is_empty() && old_affinity.is_none() {
            spec.remove("affinity");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{
        super::testing::{assert_lines, container, pod, updated},
        STRATEGY,
    };
    use super::*;

    #[test]
    fn little_of_a_pod_changes() {
        for (old, new, want) in [
            (json!({}), json!({}), vec![]),
            (
                json!({}),
                json!({"containers": [container(&json!({"image": "j"}))]}),
                vec![
                    // The policy was filled in for the other image.
                    "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n…",
                ],
            ),
            (json!({}), json!({"containers": [container(&json!({"image": "j:2"}))]}), vec![]),
            (
                json!({}),
                json!({"containers": [container(&json!({})), container(&json!({"name": "d"}))]}),
                vec!["spec.containers: Forbidden: pod updates may not add or remove containers"],
            ),
            (
                json!({}),
                json!({"initContainers": [container(&json!({"name": "d"}))]}),
                vec!["spec.initContainers: Forbidden: pod updates may not add or remove containers"],
            ),
            (
                json!({}),
                json!({"containers": [container(&json!({"image": " "}))]}),
                vec![
                    "spec.containers[0].image: Invalid value: \" \": must not have leading or trailing whitespace",
                    "spec.containers[0].image: Invalid value: \" \": must not have leading or trailing whitespace",
                ],
            ),
            (json!({}), json!({"activeDeadlineSeconds": 5}), vec![]),
            (
                json!({"activeDeadlineSeconds": 5}),
                json!({"activeDeadlineSeconds": 6}),
                vec![
                    "spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous value",
                ],
            ),
            (
                json!({"activeDeadlineSeconds": 5}),
                json!({}),
                vec![
                    "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value",
                ],
            ),
            (
                json!({"tolerations": [{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}]}),
                json!({"tolerations": [{"operator": "Exists"}, {"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 2}]}),
                vec![],
            ),
            (
                json!({"tolerations": [{"operator": "Exists"}]}),
                json!({"tolerations": [{"key": "a", "operator": "Exists"}]}),
                vec![
                    "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds",
                ],
            ),
            (
                json!({"schedulingGates": [{"name": "a/b"}, {"name": "a/c"}]}),
                json!({"schedulingGates": [{"name": "a/c"}]}),
                vec![],
            ),
            (
                json!({}),
                json!({"schedulingGates": [{"name": "a/b"}]}),
                vec![
                    "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'a/b'",
                ],
            ),
        ] {
            assert_lines(&updated(&STRATEGY, &pod(&new), &pod(&old)), &want, &new);
        }
    }

    #[test]
    fn a_gated_pod_narrows_where_it_runs() {
        const TERMS: &str =
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
        let nodes = |terms: Value| json!({"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}});
        let a = json!({"key": "a", "operator": "Exists"});
        let b = json!({"key": "b", "operator": "Exists"});
        let gated = |mut spec: Value| {
            spec["schedulingGates"] = json!([{"name": "a/b"}]);
            pod(&spec)
        };
        for (old, new, want) in [
            (json!({"nodeSelector": {"a": "1"}}), json!({"nodeSelector": {"a": "1", "b": "2"}}), vec![]),
            (json!({"nodeSelector": {"a": "1"}}), json!({"nodeSelector": {"a": "2"}}), vec![
                "spec.nodeSelector: Invalid value: {\"a\":\"2\"}: only additions to spec.nodeSelector are allowed (no mutations or deletions)".to_owned(),
            ]),
            (json!({}), json!({"affinity": nodes(json!([{"matchExpressions": [a]}]))}), vec![]),
            (json!({"affinity": nodes(json!([{"matchExpressions": [a]}]))}), json!({"affinity": nodes(json!([{"matchExpressions": [a, b]}]))}), vec![]),
            (json!({"affinity": nodes(json!([{"matchExpressions": [a]}]))}), json!({"affinity": nodes(json!([{"matchExpressions": [b, a]}]))}), vec![
                format!("{TERMS}[0]: Invalid value: …"),
            ]),
            (json!({"affinity": nodes(json!([{"matchExpressions": [a]}]))}), json!({}), vec![
                format!("{TERMS}: Invalid value: null: no additions/deletions to non-empty NodeSelectorTerms list are allowed"),
            ]),
            (json!({}), json!({"hostname": "h"}), vec!["spec: Forbidden: pod updates may not change…".to_owned()]),
        ] {
            let want: Vec<&str> = want.iter().map(String::as_str).collect();
            assert_lines(&updated(&STRATEGY, &gated(new.clone()), &gated(old)), &want, &new);
        }
        let free = updated(&STRATEGY, &pod(&json!({"nodeSelector": {"a": "1"}})), &pod(&json!({})));
        assert_lines(&free, &["spec: Forbidden: pod updates may not change…"], &json!({}));
    }

    #[test]
    fn some_annotations_stay() {
        const ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/c";
        let with = |annotations: Value| {
            let mut pod = pod(&json!({"nodeName": "n"}));
            pod["metadata"]["annotations"] = annotations;
            pod
        };
        for (old, new, want) in [
            (json!({"a": "1"}), json!({"b": "2"}), vec![]),
            (
                json!({ARMOR: "unconfined"}),
                json!({ARMOR: "runtime/default"}),
                vec![
                    "metadata.annotations[container.apparmor.security.beta.kubernetes.io/c]: Forbidden: may not remove or update AppArmor annotations",
                ],
            ),
            (
                json!({}),
                json!({"kubernetes.io/config.mirror": "x"}),
                vec![
                    "metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not add mirror pod annotation",
                ],
            ),
        ] {
            assert_lines(&updated(&STRATEGY, &with(new.clone()), &with(old)), &want, &new);
        }
    }
}
