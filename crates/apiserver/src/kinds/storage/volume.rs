//! PersistentVolume: a piece of storage of the cluster.

use std::path::{Component, Path as FilePath};

use serde_json::{Value, json};

use super::sources::{self, SOURCES};
use crate::{
    kinds::{
        Strategy,
        workloads::{
            pod_spec::{aggregate::quantity, defaults::round_amounts, rules, scheduling},
            pod_warnings,
        },
    },
    machinery::{
        FieldErrors, Path,
        fields::{entries, fill, list, object_mut, present, text, texts},
        metadata, object,
    },
};

/// The behaviour of PersistentVolumes.
pub static STRATEGY: Strategy = Strategy {
    default,
    prepare_create: |new| new["status"] = json!({"phase": "Pending"}),
    validate_create,
    validate_update,
    validate_status,
    stamp,
    warnings,
    status: true,
    returns_deleted: true,
    ..Strategy::PLAIN
};

const SPEC: Path<'static> = Path::new("spec");
const RECLAIM: &str = "persistentVolumeReclaimPolicy";
const ACCESS_MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
/// Where mount options and the class were before they had fields.
const MOUNT_OPTIONS: &str = "volume.beta.kubernetes.io/mount-options";
/// Where the class of a volume or a claim was before it had a field.
pub const OLD_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
/// What is said of [`OLD_CLASS`].
pub const OLD_CLASS_WARNING: &str = "deprecated since v1.8; use \"storageClassName\" attribute instead";
/// Sources that take mount options by annotation.
const MOUNTABLE: [&str; 13] = [
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "nfs",
    "rbd",
    "quobyte",
    "iscsi",
    "cinder",
    "cephfs",
    "azureFile",
    "vsphereVolume",
    "azureDisk",
    "photonPersistentDisk",
];
/// Sources that no longer work: their field, its name in the warning, and since when.
const OLD_SOURCES: [(&str, &str, &str); 6] = [
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
];
/// Labels of nodes that were renamed; the old name may give way to the new one.
const RENAMED: [(&str, &str); 3] = [
    ("beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"),
    ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
];

fn default(volume: &mut Value) {
    let spec = object::child_mut(volume, "spec");
    round_amounts(spec, "capacity");
    if let Some(source) = object_mut(spec, "hostPath") {
        fill(source, "type", "");
    }
    fill(spec, RECLAIM, "Retain");
    fill(spec, "volumeMode", "Filesystem");
}

fn validate_create(new: &Value, errors: &mut FieldErrors) {
    validate_spec(errors, &SPEC, object::name(new), &new["spec"]);
    validate_mount_options(errors, new);
}

fn validate_spec(errors: &mut FieldErrors, path: &Path<'_>, name: &str, spec: &Value) {
    validate_access_modes(errors, path, spec);
    validate_capacity(errors, path, spec);
    let reclaim = text(spec, RECLAIM);
    if !reclaim.is_empty() {
        rules::one_of(errors, &path.child(RECLAIM), reclaim, &["Delete", "Recycle", "Retain"]);
    }
    if let Some(affinity) = present(spec, "nodeAffinity") {
        let path = path.child("nodeAffinity");
        match present(affinity, "required") {
            Some(selector) => scheduling::validate_node_selector(errors, &path.child("required"), selector),
            None => errors.required(&path.child("required"), "must specify required node constraints"),
        }
    }
    sources::validate(errors, path, name, spec);
    if reclaim == "Recycle" && present(spec, "hostPath").is_some_and(|host| is_root(text(host, "path"))) {
        errors.forbidden(&path.child(RECLAIM), "may not be 'recycle' for a hostPath mount of '/'");
    }
    let class = text(spec, "storageClassName");
    if !class.is_empty() {
        rules::object_name(errors, &path.child("storageClassName"), class);
    }
    if let Some(mode) = present(spec, "volumeMode").and_then(Value::as_str) {
        rules::one_of(errors, &path.child("volumeMode"), mode, &["Block", "Filesystem"]);
    }
    validate_attributes_class(errors, path, spec);
}

/// What is wrong with the spec of a volume that an attachment brings along.
pub fn validate_inline(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value) {
    const INLINE: &str = "may not be specified in the context of inline volumes";
    if present(spec, "claimRef").is_some() {
        errors.forbidden(&path.child("claimRef"), INLINE);
    }
    if entries(spec, "capacity").next().is_some() {
        errors.forbidden(&path.child("capacity"), INLINE);
    }
    if present(spec, "csi").is_none() {
        errors.required(&path.child("csi"), "has to be specified in the context of inline volumes");
    }
    validate_access_modes(errors, path, spec);
    if !matches!(text(spec, RECLAIM), "" | "Retain") {
        errors.forbidden(&path.child(RECLAIM), "may only be Retain in the context of inline volumes");
    }
    if present(spec, "nodeAffinity").is_some() {
        errors.forbidden(&path.child("nodeAffinity"), INLINE);
    }
    sources::validate(errors, path, "", spec);
    if !text(spec, "storageClassName").is_empty() {
        errors.forbidden(&path.child("storageClassName"), INLINE);
    }
    if present(spec, "volumeMode").is_some_and(|mode| mode != "Filesystem") {
        let detail = "may not specify volumeMode other than Filesystem in the context of inline volumes";
        errors.forbidden(&path.child("volumeMode"), detail);
    }
}

fn validate_access_modes(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value) {
    let path = path.child("accessModes");
    let modes = || texts(spec, "accessModes");
    if modes().next().is_none() {
        errors.required(&path, "");
    }
    for mode in modes() {
        rules::one_of(errors, &path, mode, &ACCESS_MODES);
    }
    let shared = modes().any(|mode| mode != "ReadWriteOncePod" && ACCESS_MODES.contains(&mode));
    if shared && modes().any(|mode| mode == "ReadWriteOncePod") {
        errors.forbidden(&path, "may not use ReadWriteOncePod with other access modes");
    }
}

fn validate_capacity(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value) {
    let path = path.child("capacity");
    let amounts = || entries(spec, "capacity");
    if amounts().next().is_none() {
        errors.required(&path, "");
    }
    if amounts().count() != 1 || amounts().any(|(name, _)| name != "storage") {
        errors.not_supported(&path, spec["capacity"].clone(), &["storage"]);
    }
    for (name, amount) in amounts() {
        validate_basic_amount(errors, &path.key(name), amount);
        rules::positive_amount(errors, &path.key(name), amount);
    }
}

/// What is wrong with an amount of anything.
pub fn validate_basic_amount(errors: &mut FieldErrors, path: &Path<'_>, amount: &Value) {
    let value = quantity(amount).value();
    if value < 0 {
        errors.invalid(path, value, "must be a valid resource quantity");
    }
}

fn validate_attributes_class(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value) {
    let Some(class) = present(spec, "volumeAttributesClassName").and_then(Value::as_str) else { return };
    let own = path.child("volumeAttributesClassName");
    if class.is_empty() {
        errors.required(&own, "an empty string is disallowed");
    } else {
        rules::object_name(errors, &own, class);
    }
    if present(spec, "csi").is_none() {
        let detail = "has to be specified when using volumeAttributesClassName";
        errors.required(&path.child("csi"), detail);
    }
}

/// Whether a path leads to the root.
fn is_root(path: &str) -> bool {
    path.starts_with('/')
        && FilePath::new(path).components().fold(0_usize, |depth, part| match part {
            Component::Normal(_) => depth + 1,
            Component::ParentDir => depth.saturating_sub(1),
            _ => depth,
        }) == 0
}

fn validate_mount_options(errors: &mut FieldErrors, new: &Value) {
    let mountable = MOUNTABLE.iter().any(|source| present(&new["spec"], source).is_some());
    let annotated = object::annotations(new).is_some_and(|notes| notes.contains_key(MOUNT_OPTIONS));
    if annotated && !mountable {
        let path = Path::new("metadata");
        let path = path.child("annotations");
        errors.forbidden(&path.child(MOUNT_OPTIONS), "may not specify mount options for this volume type");
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    // Kubernetes looks at it twice.
    metadata::validate(new, false, STRATEGY.name_rule, errors);
    validate_create(new, errors);
    metadata::validate(new, false, STRATEGY.name_rule, errors);
    validate_spec(errors, &SPEC, object::name(new), &new["spec"]);
    let (spec, old_spec) = (&new["spec"], &old["spec"]);
    let changed = SOURCES.iter().filter(|field| !is_same_source(field, &spec[**field], &old_spec[**field]));
    let changed = super::claim::changes(spec, old_spec, changed.copied());
    if !changed.is_empty() {
        let detail = format!("spec.persistentvolumesource is immutable after creation\n{changed}");
        errors.forbidden(&SPEC.child("persistentvolumesource"), &detail);
    }
    metadata::immutable(errors, &Path::new("volumeMode"), &spec["volumeMode"], &old_spec["volumeMode"]);
    if let Some(old) = present(old_spec, "nodeAffinity") {
        let affinity = with_old_labels(&spec["nodeAffinity"], old);
        metadata::immutable(errors, &Path::new("nodeAffinity"), &affinity, old);
    }
    let class = "volumeAttributesClassName";
    if present(old_spec, class).is_some() && present(spec, class).is_none() {
        errors.forbidden(&SPEC.child(class), "update from non-nil value to nil is forbidden");
    }
}

/// Whether a source is as it was. The secret that expands a CSI volume may be added.
fn is_same_source(field: &str, new: &Value, old: &Value) -> bool {
    const EXPAND: &str = "controllerExpandSecretRef";
    if field == "csi" && !old.is_null() && present(old, EXPAND).is_none() {
        let mut new = new.clone();
        if let Some(new) = new.as_object_mut() {
            new.remove(EXPAND);
        }
        return new == *old;
    }
    new == old
}

/// The affinity with the old names of those labels that had them in `old`.
fn with_old_labels(new: &Value, old: &Value) -> Value {
    let mut renamed = new.clone();
    let terms = renamed.pointer_mut("/required/nodeSelectorTerms").and_then(Value::as_array_mut);
    let old_terms = list(&old["required"], "nodeSelectorTerms");
    for (term, old_term) in terms.into_iter().flatten().zip(old_terms) {
        let expressions = term.get_mut("matchExpressions").and_then(Value::as_array_mut);
        let old_expressions = list(old_term, "matchExpressions");
        for (expression, old_expression) in expressions.into_iter().flatten().zip(old_expressions) {
            let (old_key, key) = (text(old_expression, "key"), text(expression, "key"));
            if RENAMED.contains(&(old_key, key)) {
                expression["key"] = old_key.into();
            }
        }
    }
    renamed
}

fn validate_status(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate_update(new, old, errors);
    if object::resource_version(new).is_empty() {
        errors.required(&Path::new("resourceVersion"), "");
    }
}

/// Keeps the time when the phase last changed.
fn stamp(new: &mut Value, old: &Value, now: &str) {
    const TIME: &str = "lastPhaseTransitionTime";
    let (status, old_status) = (&new["status"], &old["status"]);
    let is_new = old.is_null();
    let moved = status["phase"] != old_status["phase"];
    let untold = present(status, TIME).is_none() || status[TIME] == old_status[TIME];
    if is_new || (moved && untold) {
        object::child_mut(new, "status").insert(TIME.to_owned(), now.into());
    }
}

fn warnings(new: &Value, _: Option<&Value>) -> Vec<String> {
    let spec = &new["spec"];
    let path = Path::new("metadata");
    let notes = path.child("annotations");
    let mut warnings = Vec::new();
    for (key, message) in [
        (OLD_CLASS, OLD_CLASS_WARNING),
        (MOUNT_OPTIONS, "deprecated since v1.31; use \"mountOptions\" attribute instead"),
    ] {
        if object::annotations(new).is_some_and(|notes| notes.contains_key(key)) {
            warnings.push(format!("{}: {message}", notes.key(key)));
        }
    }
    if spec[RECLAIM] == "Recycle" {
        let path = SPEC.child(RECLAIM);
        warnings.push(format!(
            "{path}: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic \
             provisioning."
        ));
    }
    let terms = SPEC.child("nodeAffinity");
    let terms = terms.child("required");
    let terms = terms.child("nodeSelectorTerms");
    for (index, term) in list(&spec["nodeAffinity"]["required"], "nodeSelectorTerms").iter().enumerate() {
        pod_warnings::of_node_term(&mut warnings, &terms.index(index), term, false);
    }
    for (field, named, message) in OLD_SOURCES {
        if present(spec, field).is_some() {
            warnings.push(format!("{}: {message}", SPEC.child(named)));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::kinds::cases;

    fn base() -> Value {
        json!({"apiVersion": "v1", "kind": "PersistentVolume", "spec": {
            "capacity": {"storage": "5Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/d"},
        }})
    }

    #[test]
    fn what_a_volume_does_not_say_is_filled_in() {
        let (volume, errors) = cases::created(base());
        assert_eq!(errors, [""; 0]);
        assert_eq!(
            volume["spec"],
            json!({
                "capacity": {"storage": "5Gi"}, "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": "/d", "type": ""}, "persistentVolumeReclaimPolicy": "Retain",
                "volumeMode": "Filesystem",
            })
        );
        assert_eq!(
            volume["status"],
            json!({"phase": "Pending", "lastPhaseTransitionTime": "2024-01-01T00:00:00Z"})
        );
        let disk =
            json!({"spec": {"hostPath": null, "azureDisk": {"diskName": "d", "diskURI": "https://x"}}});
        assert_eq!(
            cases::created(cases::merged(base(), &disk)).0["spec"]["azureDisk"],
            json!({
                "diskName": "d", "diskURI": "https://x", "cachingMode": "ReadWrite", "fsType": "ext4",
                "readOnly": false, "kind": "Shared",
            })
        );
    }

    #[test]
    fn what_is_wrong_with_a_volume() {
        cases::check_wrong(
            &base(),
            &[
                (
                    json!({"spec": {"capacity": null, "accessModes": null, "hostPath": null}}),
                    &[
                        "spec.accessModes: Required value",
                        "spec.capacity: Required value",
                        "spec.capacity: Unsupported value: null: supported values: \"storage\"",
                        "spec: Required value: must specify a volume type",
                    ],
                ),
                (
                    json!({"spec": {"capacity": {"cpu": "1", "storage": "-1"}}}),
                    &[
                        "spec.capacity: Unsupported value: {\"cpu\":\"1\",\"storage\":\"-1\"}: supported values: \
                         \"storage\"",
                        "spec.capacity[storage]: Invalid value: -1: must be a valid resource quantity",
                        "spec.capacity[storage]: Invalid value: \"-1\": must be greater than zero",
                    ],
                ),
                (
                    json!({"spec": {"accessModes": ["ReadWriteOncePod", "ReadWriteMany"], "local": {"path": "/x"}}}),
                    &[
                        "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
                        "spec.local: Forbidden: may not specify more than 1 volume type",
                    ],
                ),
                (
                    json!({"spec": {"hostPath": null, "local": {"path": "/a/../b"}}}),
                    &[
                        "spec.local.path: Invalid value: \"/a/../b\": must not contain '..'",
                        "spec.nodeAffinity: Required value: Local volume requires node affinity",
                    ],
                ),
                (
                    json!({"spec": {"hostPath": {"path": "//."}, "persistentVolumeReclaimPolicy": "Recycle"}}),
                    &[
                        "spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'",
                    ],
                ),
                (
                    json!({"spec": {"hostPath": null, "nfs": {"server": "", "path": "x"}, "nodeAffinity": {}}}),
                    &[
                        "spec.nodeAffinity.required: Required value: must specify required node constraints",
                        "spec.nfs.server: Required value",
                        "spec.nfs.path: Invalid value: \"x\": must be an absolute path",
                    ],
                ),
                (
                    json!({"spec": {"hostPath": null, "csi": {
                        "driver": "d", "volumeHandle": "", "nodeExpandSecretRef": {"name": "s"},
                    }, "persistentVolumeReclaimPolicy": "Keep", "volumeMode": "Tape"}}),
                    &[
                        "spec.persistentVolumeReclaimPolicy: Unsupported value: \"Keep\": supported values: \
                         \"Delete\", \"Recycle\", \"Retain\"",
                        "spec.csi.volumeHandle: Required value",
                        "spec.csi.nodeExpandSecretRef.namespace: Required value",
                        "spec.volumeMode: Unsupported value: \"Tape\": supported values: \"Block\", \"Filesystem\"",
                    ],
                ),
                (
                    json!({"spec": {"hostPath": null, "azureFile": {
                        "secretName": "s", "shareName": "s", "secretNamespace": "",
                    }, "volumeAttributesClassName": ""}}),
                    &[
                        "spec.azureFile.secretNamespace: Required value",
                        "spec.volumeAttributesClassName: Required value: an empty string is disallowed",
                        "spec.csi: Required value: has to be specified when using volumeAttributesClassName",
                    ],
                ),
                (
                    json!({"metadata": {"annotations": {"volume.beta.kubernetes.io/mount-options": "ro"}}}),
                    &[
                        "metadata.annotations.volume.beta.kubernetes.io/mount-options: Forbidden: may not specify mount \
                       options for this volume type",
                    ],
                ),
            ],
        );
    }

    #[test]
    fn the_source_cannot_change() {
        let csi = json!({"spec": {"hostPath": null, "csi": {"driver": "d", "volumeHandle": "v"}}});
        let csi = cases::merged(base(), &csi);
        let changed = |old: Value, patch: Value| cases::updated(old, &patch).1;
        let secret = json!({"name": "s", "namespace": "n"});
        let more =
            json!({"spec": {"csi": {"controllerExpandSecretRef": secret}, "capacity": {"storage": "6Gi"}}});
        assert_eq!(changed(csi, more), [""; 0]);
        assert_eq!(
            changed(base(), json!({"spec": {"hostPath": {"path": "/e"}, "volumeMode": "Block"}})),
            [
                "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n\
                 - hostPath: {\"path\":\"/d\",\"type\":\"\"}\n+ hostPath: {\"path\":\"/e\",\"type\":\"\"}\n",
                "volumeMode: Invalid value: \"Block\": field is immutable",
            ]
        );
    }

    #[test]
    fn where_it_is_can_only_be_said_once() {
        let affinity = |key: &str| {
            json!({"spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": key, "operator": "Exists"},
            ]}]}}}})
        };
        assert_eq!(cases::updated(base(), &affinity("a")).1, [""; 0]);
        let old = cases::merged(base(), &affinity("failure-domain.beta.kubernetes.io/zone"));
        assert_eq!(cases::updated(old.clone(), &affinity("topology.kubernetes.io/zone")).1, [""; 0]);
        assert_eq!(cases::updated(old, &affinity("a")).1.len(), 1);
    }

    #[test]
    fn the_time_of_a_phase_is_kept() {
        let (volume, errors) = cases::status_updated(base(), &json!({"status": {"phase": "Available"}}));
        assert_eq!(errors, [""; 0]);
        assert_eq!(volume["status"]["lastPhaseTransitionTime"], "2024-02-02T00:00:00Z");
        let (volume, _) = cases::status_updated(base(), &json!({"status": {"message": "x"}}));
        assert_eq!(volume["status"]["lastPhaseTransitionTime"], "2024-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_old_is_warned_of() {
        let old = json!({"spec": {
            "persistentVolumeReclaimPolicy": "Recycle", "hostPath": null, "rbd": {"monitors": ["m"], "image": "i"},
        }});
        assert_eq!(
            cases::warnings(cases::merged(base(), &old)),
            [
                "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the \
                 recommended approach is to use dynamic provisioning.",
                "spec.rbd: deprecated in v1.28, non-functional in v1.31+",
            ]
        );
    }
}
