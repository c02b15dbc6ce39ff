//! Where a container mounts volumes, or uses them as devices.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::rules;
use crate::machinery::{
    FieldErrors, Path,
    fields::{flag, list, present, text},
};

/// What is wrong with the mounts and devices of a container. `volumes` are the valid volumes of the spec.
pub fn validate(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    container: &Value,
    volumes: &HashMap<&str, &Value>,
) {
    let mounts = used(container, "volumeMounts", "mountPath");
    let devices = used(container, "volumeDevices", "devicePath");
    validate_mounts(errors, &path.child("volumeMounts"), container, volumes, &devices);
    validate_devices(errors, &path.child("volumeDevices"), container, volumes, &mounts);
}

/// The volumes that a container mounts or uses as devices, with where.
fn used<'a>(container: &'a Value, uses: &str, place: &str) -> HashMap<&'a str, &'a str> {
    list(container, uses).iter().map(|used| (text(used, "name"), text(used, place))).collect()
}

fn validate_mounts(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    container: &Value,
    volumes: &HashMap<&str, &Value>,
    devices: &HashMap<&str, &str>,
) {
    let device_paths: HashSet<&str> = devices.values().copied().collect();
    let mut seen = HashSet::new();
    for (index, mount) in list(container, "volumeMounts").iter().enumerate() {
        let place = path.index(index);
        let (name, mount_path) = (text(mount, "name"), text(mount, "mountPath"));
        if name.is_empty() {
            errors.required(&place.child("name"), "");
        }
        if !volumes.contains_key(name) {
            errors.not_found(&place.child("name"), name);
        }
        if mount_path.is_empty() {
            errors.required(&place.child("mountPath"), "");
        }
        if !seen.insert(mount_path) {
            errors.invalid(&place.child("mountPath"), mount_path, "must be unique");
        }
        if devices.contains_key(name) {
            errors.invalid(&place.child("name"), name, "must not already exist in volumeDevices");
        }
        if device_paths.contains(mount_path) {
            let detail = "must not already exist as a path in volumeDevices";
            errors.invalid(&place.child("mountPath"), mount_path, detail);
        }
        // The rest stands at the list, not at the mount.
        let (sub_path, expression) = (text(mount, "subPath"), text(mount, "subPathExpr"));
        if !sub_path.is_empty() {
            rules::descending_path(errors, &path.child("subPath"), sub_path);
        }
        if !expression.is_empty() {
            if !sub_path.is_empty() {
                let detail = "subPathExpr and subPath are mutually exclusive";
                errors.invalid(&place.child("subPathExpr"), expression, detail);
            }
            rules::descending_path(errors, &path.child("subPathExpr"), expression);
        }
        validate_propagation(errors, path, container, mount);
    }
}

fn validate_propagation(errors: &mut FieldErrors, path: &Path<'_>, container: &Value, mount: &Value) {
    let propagation = present(mount, "mountPropagation").and_then(Value::as_str);
    if let Some(propagation) = propagation {
        let path = path.child("mountPropagation");
        rules::one_of(errors, &path, propagation, &["Bidirectional", "HostToContainer", "None"]);
        if propagation == "Bidirectional" && !flag(&container["securityContext"], "privileged") {
            let detail = "Bidirectional mount propagation is available only to privileged containers";
            errors.forbidden(&path, detail);
        }
    }
    let path = path.child("recursiveReadOnly");
    match present(mount, "recursiveReadOnly").and_then(Value::as_str) {
        None | Some("Disabled") => {}
        Some("Enabled" | "IfPossible") => {
            if !flag(mount, "readOnly") {
                errors.forbidden(&path, "may only be specified when readOnly is true");
            }
            if propagation.is_some_and(|propagation| propagation != "None") {
                let detail = "may only be specified when mountPropagation is None or not specified";
                errors.forbidden(&path, detail);
            }
        }
        Some(other) => errors.not_supported(&path, other, &["Disabled", "Enabled", "IfPossible"]),
    }
}

fn validate_devices(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    container: &Value,
    volumes: &HashMap<&str, &Value>,
    mounts: &HashMap<&str, &str>,
) {
    let mount_paths: HashSet<&str> = mounts.values().copied().collect();
    let (mut names, mut paths) = (HashSet::new(), HashSet::new());
    for (index, device) in list(container, "volumeDevices").iter().enumerate() {
        let place = path.index(index);
        let (name, device_path) = (text(device, "name"), text(device, "devicePath"));
        if name.is_empty() {
            errors.required(&place.child("name"), "");
        }
        if names.contains(name) {
            errors.invalid(&place.child("name"), name, "must be unique");
        }
        match volumes.get(name) {
            None => errors.not_found(&place.child("name"), name),
            Some(volume) => {
                if ["persistentVolumeClaim", "ephemeral"]
                    .iter()
                    .all(|source| present(volume, source).is_none())
                {
                    let detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                    errors.invalid(&place.child("name"), name, detail);
                }
            }
        }
        if device_path.is_empty() {
            errors.required(&place.child("devicePath"), "");
        }
        if paths.contains(device_path) {
            errors.invalid(&place.child("devicePath"), device_path, "must be unique");
        }
        if rules::has_backsteps(device_path) {
            errors.invalid(&place.child("devicePath"), device_path, "can not contain backsteps ('..')");
        } else {
            paths.insert(device_path);
        }
        if mounts.contains_key(name) {
            errors.invalid(&place.child("name"), name, "must not already exist in volumeMounts");
        }
        if mount_paths.contains(device_path) {
            let detail = "must not already exist as a path in volumeMounts";
            errors.invalid(&place.child("devicePath"), device_path, detail);
        }
        if !name.is_empty() {
            names.insert(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::workloads::testing::{assert_lines, container, spec_errors};

    #[test]
    fn volumes_are_mounted_where_there_is_room() {
        for (mounts, want) in [
            (
                json!({"volumeMounts": [{"name": "v", "mountPath": "/a", "subPath": "x"}, {"name": "v", "mountPath": "/b"}]}),
                vec![],
            ),
            (
                json!({"volumeMounts": [{"name": "x", "mountPath": ""}]}),
                vec![
                    "spec.containers[0].volumeMounts[0].name: Not found: \"x\"",
                    "spec.containers[0].volumeMounts[0].mountPath: Required value",
                ],
            ),
            (
                json!({"volumeMounts": [
                    {"name": "v", "mountPath": "/a", "subPath": "/x", "subPathExpr": "../y"},
                    {"name": "v", "mountPath": "/a", "mountPropagation": "Bidirectional"},
                ]}),
                vec![
                    "spec.containers[0].volumeMounts.subPath: Invalid value: \"/x\": must be a relative path",
                    "spec.containers[0].volumeMounts[0].subPathExpr: Invalid value: \"../y\": subPathExpr and subPath are mutually exclusive",
                    "spec.containers[0].volumeMounts.subPathExpr: Invalid value: \"../y\": must not contain '..'",
                    "spec.containers[0].volumeMounts[1].mountPath: Invalid value: \"/a\": must be unique",
                    "spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers",
                ],
            ),
            (
                json!({"volumeMounts": [
                    {"name": "v", "mountPath": "/a", "recursiveReadOnly": "Enabled", "mountPropagation": "HostToContainer"},
                    {"name": "v", "mountPath": "/b", "recursiveReadOnly": "x"},
                ]}),
                vec![
                    "spec.containers[0].volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true",
                    "spec.containers[0].volumeMounts.recursiveReadOnly: Forbidden: may only be specified when mountPropagation is None or not specified",
                    "spec.containers[0].volumeMounts.recursiveReadOnly: Unsupported value: \"x\": supported values: \"Disabled\", \"Enabled\", \"IfPossible\"",
                ],
            ),
            (
                json!({"volumeDevices": [{"name": "v", "devicePath": "/d"}, {"name": "p", "devicePath": "/d"}]}),
                vec![
                    "spec.containers[0].volumeDevices[0].name: Invalid value: \"v\": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
                    "spec.containers[0].volumeDevices[1].devicePath: Invalid value: \"/d\": must be unique",
                ],
            ),
        ] {
            let spec = json!({
                "volumes": [{"name": "v"}, {"name": "p", "persistentVolumeClaim": {"claimName": "c"}}],
                "containers": [container(&mounts)],
            });
            assert_lines(&spec_errors(&spec), &want, &mounts);
        }
    }
}
