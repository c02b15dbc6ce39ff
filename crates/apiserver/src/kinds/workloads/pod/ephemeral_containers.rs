//! The subresource `ephemeralcontainers`: containers that are added to a running Pod to look into it, and stay.

use std::collections::HashMap;

use serde_json::Value;

use super::{super::pod_spec::NOWHERE, POD, diff, update};
use crate::{
    kinds::strategy::Strategy,
    machinery::{
        FieldErrors, Path,
        fields::{list, text},
        go_quoted, object,
    },
};

const FIELD: &str = "ephemeralContainers";

/// The behaviour of Pod where its ephemeral containers are written.
pub static EPHEMERAL_CONTAINERS: Strategy = Strategy {
    prepare_update: prepare,
    validate_update: |new, old, errors| validate(errors, new, old),
    ..POD
};

/// Takes over nothing but the ephemeral containers.
pub fn prepare(new: &mut Value, old: &Value) {
    let containers = new["spec"][FIELD].take();
    super::keep_metadata(new, old);
    let pod = object::map_mut(new);
    for field in ["spec", "status"] {
        pod.insert(field.to_owned(), old[field].clone());
    }
    let spec = object::child_mut(new, "spec");
    if containers.is_null() {
        spec.remove(FIELD);
    } else {
        spec.insert(FIELD.to_owned(), containers);
    }
}

/// What is wrong with changing the ephemeral containers of a Pod: none may change, or go.
pub fn validate(errors: &mut FieldErrors, new: &Value, old: &Value) {
    if super::is_static(old) {
        errors.forbidden(&NOWHERE, "static pods do not support ephemeral containers");
        return;
    }
    super::validate(errors, new);
    update::validate_annotations(errors, new, old);
    let path = Path::new("spec");
    let path = path.child(FIELD);
    let containers: HashMap<&str, &Value> =
        list(&new["spec"], FIELD).iter().map(|container| (text(container, "name"), container)).collect();
    for old in list(&old["spec"], FIELD) {
        let name = text(old, "name");
        let quoted = go_quoted(name);
        match containers.get(name) {
            None => {
                errors.forbidden(
                    &path,
                    &format!("existing ephemeral containers {quoted} may not be removed\n"),
                );
            }
            Some(new) if *new == old => {}
            Some(new) => {
                let diff = diff::of(old, new);
                let detail = format!("existing ephemeral containers {quoted} may not be changed\n{diff}");
                errors.forbidden(&path, &detail);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::testing::{assert_lines, container, pod, updated};
    use super::*;

    #[test]
    fn they_are_added_and_stay() {
        let with = |containers: Value| {
            let mut pod = pod(&json!({}));
            pod["spec"][FIELD] = containers;
            (EPHEMERAL_CONTAINERS.default)(&mut pod);
            pod
        };
        let a = container(&json!({"name": "a"}));
        for (old, new, want) in [
            (json!([]), json!([a]), vec![]),
            (json!([a]), json!([container(&json!({"name": "b"})), a]), vec![]),
            (
                json!([a]),
                json!([]),
                vec![
                    "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"a\" may not be removed\n",
                ],
            ),
            (
                json!([a]),
                json!([container(&json!({"name": "a", "image": "j:1"}))]),
                vec![
                    "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"a\" may not be changed\n…",
                ],
            ),
        ] {
            assert_lines(&updated(&EPHEMERAL_CONTAINERS, &with(new.clone()), &with(old)), &want, &new);
        }
        let mut own = with(json!([a]));
        own["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
        assert_lines(
            &updated(&EPHEMERAL_CONTAINERS, &with(json!([a])), &own),
            &["[]: Forbidden: static pods do not support ephemeral containers"],
            &own,
        );
    }

    #[test]
    fn nothing_else_is_taken() {
        let old = json!({"metadata": {"name": "p", "labels": {"a": "b"}}, "spec": {"nodeName": "n"}, "status": {"phase": "Running"}});
        let mut new = json!({"metadata": {"name": "p", "resourceVersion": "5"}, "spec": {"nodeName": "m", FIELD: [{"name": "e"}]}, "status": {}});
        prepare(&mut new, &old);
        assert_eq!(
            new,
            json!({"metadata": {"name": "p", "resourceVersion": "5", "labels": {"a": "b"}},
                "spec": {"nodeName": "n", FIELD: [{"name": "e"}]}, "status": {"phase": "Running"}})
        );
    }
}
