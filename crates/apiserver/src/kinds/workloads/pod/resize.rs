//! The subresource `resize`: processors and memory of a Pod that runs.

use serde_json::{Map, Value};

use super::{
    super::pod_spec::{NOWHERE, aggregate::is_sidecar},
    POD, qos,
};
use crate::{
    kinds::strategy::Strategy,
    machinery::{
        FieldErrors, Path,
        fields::{entries, is_set, list, present, text},
        object,
    },
};

const ONLY_CPU_AND_MEMORY: &str = "only cpu and memory resources are mutable";

/// The behaviour of Pod where its resources are written.
pub static RESIZE: Strategy = Strategy {
    prepare_update: prepare,
    validate_update: |new, old, errors| validate(errors, new, old),
    ..POD
};

/// Takes over nothing but resources, and how containers take a change of them. Where there are other containers than
/// before everything is taken, to be refused.
pub fn prepare(new: &mut Value, old: &Value) {
    const LISTS: [&str; 2] = ["containers", "initContainers"];
    let (new_spec, old_spec) = (&new["spec"], &old["spec"]);
    if LISTS.iter().any(|field| list(new_spec, field).len() != list(old_spec, field).len()) {
        return;
    }
    let mut spec = old_spec.clone();
    copy(object::map_mut(&mut spec), new_spec, "resources");
    for field in LISTS {
        let containers = list(new_spec, field);
        let names = |containers: &[Value]| -> Vec<String> {
            containers.iter().map(|container| text(container, "name").to_owned()).collect()
        };
        if names(containers) != names(list(old_spec, field)) {
            spec[field] = new_spec[field].clone();
            continue;
        }
        let own = spec.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten();
        for (own, new) in own.filter_map(Value::as_object_mut).zip(containers) {
            copy(own, new, "resources");
            copy(own, new, "resizePolicy");
        }
    }
    super::keep_metadata(new, old);
    let pod = object::map_mut(new);
    pod.insert("spec".to_owned(), spec);
    pod.insert("status".to_owned(), old["status"].clone());
}

/// Makes a field what it is in `from`.
fn copy(to: &mut Map<String, Value>, from: &Value, field: &str) {
    match present(from, field) {
        Some(value) => to.insert(field.to_owned(), value.clone()),
        None => to.remove(field),
    };
}

/// What is wrong with changing the resources of a Pod.
pub fn validate(errors: &mut FieldErrors, new: &Value, old: &Value) {
    let path = Path::new("spec");
    let (new_spec, old_spec) = (&new["spec"], &old["spec"]);
    if super::is_static(old) {
        errors.forbidden(&NOWHERE, "static pods cannot be resized");
        return;
    }
    if old_spec["os"]["name"] == "windows" {
        errors.forbidden(&NOWHERE, "windows pods cannot be resized");
        return;
    }
    // What was wrong before does not forbid the last check.
    let before = errors.len();
    super::validate(errors, new);
    let class = match text(&old["status"], "qosClass") {
        "" => qos::class_of(old_spec),
        class => class,
    };
    if class != qos::class_of(new_spec) {
        let detail = "Pod QOS Class may not change as a result of resizing";
        errors.invalid(&path, new["status"]["qosClass"].clone(), detail);
    }
    let running = list(&old["status"], "containerStatuses")
        .iter()
        .find(|status| present(&status["state"], "running").is_some());
    if running.is_some_and(|status| present(status, "resources").is_none()) {
        errors.forbidden(&path, "Pod running on node without support for resize");
    }
    let mut rest = new_spec.clone();
    if [new_spec, old_spec]
        .iter()
        .any(|spec| is_set(&spec["resources"], "requests") || is_set(&spec["resources"], "limits"))
    {
        validate_pod_resources(errors, &path, new_spec, old_spec);
        undo_pod_resources(&mut rest, old_spec);
        if rest["resources"] != old_spec["resources"] {
            errors.forbidden(&path, "only cpu and memory resources are mutable at pod-level");
        }
    }
    if !validate_order(errors, &path, new_spec, old_spec) {
        return;
    }
    for field in ["initContainers", "containers"] {
        let path = path.child(field);
        let containers = list(new_spec, field).iter().zip(list(old_spec, field)).enumerate();
        for (index, (new, old)) in containers.filter(|(_, (_, old))| field == "containers" || is_sidecar(old))
        {
            let path = path.index(index);
            let path = path.child("resources");
            for (kind, detail) in [
                ("requests", "resource requests cannot be removed"),
                ("limits", "resource limits cannot be removed"),
            ] {
                if is_removed(&new["resources"], &old["resources"], kind) {
                    errors.forbidden(&path.child(kind), detail);
                }
            }
        }
    }
    undo_containers(errors, &path, &mut rest, old_spec);
    if errors.len() == before && rest != *old_spec {
        errors.forbidden(&path, ONLY_CPU_AND_MEMORY);
    }
}

fn is_removed(new: &Value, old: &Value, kind: &str) -> bool {
    entries(old, kind).any(|(name, _)| new[kind].get(name).is_none())
}

fn validate_pod_resources(errors: &mut FieldErrors, path: &Path<'_>, new: &Value, old: &Value) {
    let path = path.child("resources");
    let (new, old) = (present(new, "resources"), present(old, "resources"));
    let Some(old) = old else { return };
    let Some(new) = new else {
        errors.forbidden(&path, "pod-level resources cannot be removed");
        return;
    };
    for (kind, detail) in [
        ("requests", "pod-level resource requests cannot be removed"),
        ("limits", "pod-level resource limits cannot be removed"),
    ] {
        if is_removed(new, old, kind) {
            errors.forbidden(&path.child(kind), detail);
        }
    }
}

fn undo_pod_resources(spec: &mut Value, old: &Value) {
    let spec = object::map_mut(spec);
    let Some(own) = spec.get_mut("resources") else { return };
    undo_cpu_and_memory(own, &old["resources"]);
    if old["resources"].is_null() && own.as_object().is_some_and(Map::is_empty) {
        spec.remove("resources");
    }
}

/// Makes the processors and memory of resources what they were.
fn undo_cpu_and_memory(resources: &mut Value, old: &Value) {
    let resources = object::map_mut(resources);
    for kind in ["requests", "limits"] {
        let mut amounts = resources.get(kind).and_then(Value::as_object).cloned().unwrap_or_default();
        for name in ["cpu", "memory"] {
            copy(&mut amounts, &old[kind], name);
        }
        if amounts.is_empty() {
            resources.remove(kind);
        } else {
            resources.insert(kind.to_owned(), Value::Object(amounts));
        }
    }
}

/// Containers stay what and where they are; whether they do.
fn validate_order(errors: &mut FieldErrors, path: &Path<'_>, new: &Value, old: &Value) -> bool {
    let before = errors.len();
    for field in ["containers", "initContainers"] {
        let (new, old) = (list(new, field), list(old, field));
        let path = path.child(field);
        if new.len() != old.len() {
            errors.forbidden(&path, &format!("{field} may not be added or removed on resize"));
            continue;
        }
        for (index, (new, old)) in new.iter().zip(old).enumerate() {
            if text(new, "name") != text(old, "name") {
                let detail = format!("{field} may not be renamed or reordered on resize");
                errors.forbidden(&path.index(index).child("name"), &detail);
            }
        }
    }
    errors.len() == before
}

/// Makes what may change in containers what it was, and reports what is still different.
fn undo_containers(errors: &mut FieldErrors, path: &Path<'_>, spec: &mut Value, old: &Value) {
    for field in ["containers", "initContainers"] {
        let own = spec.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten();
        for (own, old) in own.zip(list(old, field)) {
            let detail = if field == "containers" {
                ONLY_CPU_AND_MEMORY
            } else if is_sidecar(own) {
                "only cpu and memory resources for sidecar containers are mutable"
            } else {
                "resources for non-sidecar init containers are immutable"
            };
            if (field == "containers" || is_sidecar(own))
                && let Some(resources) = own.get_mut("resources")
            {
                undo_cpu_and_memory(resources, &old["resources"]);
            }
            if own != old {
                errors.forbidden(path, detail);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::testing::{assert_lines, container, pod, updated};
    use super::*;

    fn asks(name: &str, resources: Value) -> Value {
        container(&json!({"name": name, "resources": resources}))
    }

    #[test]
    fn processors_and_memory_change() {
        let cpu = |cpu: &str| json!({"requests": {"cpu": cpu}});
        let sidecar = |resources: Value| {
            let mut container = asks("s", resources);
            container["restartPolicy"] = "Always".into();
            container
        };
        for (old, new, want) in [
            (
                json!({"containers": [asks("c", cpu("1"))]}),
                json!({"containers": [asks("c", cpu("2"))]}),
                vec![],
            ),
            (
                json!({"containers": [asks("c", json!({"requests": {"cpu": "1", "memory": "1Gi"}}))]}),
                json!({"containers": [asks("c", cpu("1"))]}),
                vec!["spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed"],
            ),
            (
                json!({"containers": [asks("c", json!({}))]}),
                json!({"containers": [asks("c", cpu("1"))]}),
                vec![
                    "spec: Invalid value: \"BestEffort\": Pod QOS Class may not change as a result of resizing",
                ],
            ),
            (
                json!({"containers": [asks("c", json!({"requests": {"cpu": "1", "ephemeral-storage": "1"}}))]}),
                json!({"containers": [asks("c", json!({"requests": {"cpu": "1", "ephemeral-storage": "2"}}))]}),
                vec!["spec: Forbidden: only cpu and memory resources are mutable"],
            ),
            (
                json!({"containers": [asks("a", cpu("1")), asks("b", cpu("1"))]}),
                json!({"containers": [asks("b", cpu("1")), asks("a", cpu("1"))]}),
                vec![
                    "spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize",
                    "spec.containers[1].name: Forbidden: containers may not be renamed or reordered on resize",
                ],
            ),
            (
                json!({"containers": [asks("a", cpu("1"))]}),
                json!({"containers": [asks("a", cpu("1")), asks("b", json!({}))]}),
                vec!["spec.containers: Forbidden: containers may not be added or removed on resize"],
            ),
            (
                json!({"initContainers": [asks("i", cpu("1"))]}),
                json!({"initContainers": [asks("i", cpu("2"))]}),
                vec!["spec: Forbidden: resources for non-sidecar init containers are immutable"],
            ),
            (
                json!({"initContainers": [sidecar(cpu("1"))]}),
                json!({"initContainers": [sidecar(cpu("2"))]}),
                vec![],
            ),
            (json!({"resources": cpu("1")}), json!({"resources": cpu("2")}), vec![]),
            (
                json!({"resources": cpu("1"), "containers": [asks("c", cpu("1"))]}),
                json!({"containers": [asks("c", cpu("1"))]}),
                vec![
                    "spec.resources: Forbidden: pod-level resources cannot be removed",
                    "spec: Forbidden: only cpu and memory resources are mutable at pod-level",
                ],
            ),
        ] {
            let (old, mut resized) = (pod(&old), pod(&new));
            (RESIZE.prepare_update)(&mut resized, &old);
            assert_lines(&updated(&RESIZE, &resized, &old), &want, &new);
        }
    }

    #[test]
    fn some_pods_cannot_be_resized() {
        let old = pod(&json!({}));
        let mut windows = old.clone();
        windows["spec"]["os"] = json!({"name": "windows"});
        let mut own = old.clone();
        own["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
        let mut elder = old.clone();
        elder["status"]["containerStatuses"] = json!([{"name": "c", "state": {"running": {}}}]);
        for (old, want) in [
            (windows, "[]: Forbidden: windows pods cannot be resized"),
            (own, "[]: Forbidden: static pods cannot be resized"),
            (elder, "spec: Forbidden: Pod running on node without support for resize"),
        ] {
            assert_lines(&updated(&RESIZE, &pod(&json!({})), &old), &[want], &old);
        }
    }

    #[test]
    fn only_resources_are_taken() {
        let old = json!({"metadata": {"name": "p"}, "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "a"}]}, "status": {"phase": "Running"}});
        let mut new = json!({"metadata": {"name": "p", "labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "b", "resources": {"requests": {"cpu": "1"}}}]}});
        prepare(&mut new, &old);
        assert_eq!(
            new,
            json!({"metadata": {"name": "p"}, "spec": {"nodeName": "n", "containers": [
                {"name": "c", "image": "a", "resources": {"requests": {"cpu": "1"}}}]}, "status": {"phase": "Running"}})
        );
    }
}
