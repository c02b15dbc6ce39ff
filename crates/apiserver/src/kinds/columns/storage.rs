//! Rows of volumes, what provides them, and of claims of other resources.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    format::{created, quantity},
    read::{at, count, flag, is_set, items, pointer_or, text, texts},
};
use crate::machinery::object;

/// The cells of a PersistentVolume.
pub fn volume(volume: &Value, now: Timestamp) -> Vec<Value> {
    let spec = at(volume, "spec");
    let claim = match at(spec, "claimRef") {
        Value::Null => String::new(),
        claim => format!("{}/{}", text(claim, "namespace"), text(claim, "name")),
    };
    vec![
        object::name(volume).into(),
        quantity(spec, "capacity.storage").into(),
        access_modes(spec).into(),
        text(spec, "persistentVolumeReclaimPolicy").into(),
        phase(volume),
        claim.into(),
        storage_class_of(volume).into(),
        pointer_or(spec, "volumeAttributesClassName", "<unset>").into(),
        text(volume, "status.reason").into(),
        created(volume, now),
        pointer_or(spec, "volumeMode", "<unset>").into(),
    ]
}

/// The cells of a PersistentVolumeClaim.
pub fn claim(claim: &Value, now: Timestamp) -> Vec<Value> {
    let spec = at(claim, "spec");
    let (capacity, modes) = match text(spec, "volumeName") {
        "" => ("", String::new()),
        _ => (quantity(claim, "status.capacity.storage"), access_modes(at(claim, "status"))),
    };
    vec![
        object::name(claim).into(),
        phase(claim),
        text(spec, "volumeName").into(),
        capacity.into(),
        modes.into(),
        storage_class_of(claim).into(),
        pointer_or(spec, "volumeAttributesClassName", "<unset>").into(),
        created(claim, now),
        pointer_or(spec, "volumeMode", "<unset>").into(),
    ]
}

fn phase(object: &Value) -> Value {
    match object::deletion_timestamp(object) {
        Some(_) => "Terminating".into(),
        None => text(object, "status.phase").into(),
    }
}

/// The access modes in short and in one order, each once.
fn access_modes(value: &Value) -> String {
    let modes = texts(value, "accessModes");
    let short: Vec<&str> = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ]
    .iter()
    .filter(|(mode, _)| modes.contains(mode))
    .map(|(_, short)| *short)
    .collect();
    short.join(",")
}

/// The class by the old annotation, which still goes first, or by the field.
fn storage_class_of(object: &Value) -> &str {
    object::annotations(object)
        .and_then(|annotations| annotations.get("volume.beta.kubernetes.io/storage-class")?.as_str())
        .unwrap_or_else(|| text(object, "spec.storageClassName"))
}

/// The cells of a StorageClass. The name says whether it is the default one.
pub fn storage_class(class: &Value, now: Timestamp) -> Vec<Value> {
    let marks =
        ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
    let annotations = object::annotations(class);
    let is_marked = |mark| annotations.and_then(|all| all.get(mark)).is_some_and(|value| value == "true");
    let default = if marks.into_iter().any(is_marked) { " (default)" } else { "" };
    vec![
        format!("{}{default}", object::name(class)).into(),
        text(class, "provisioner").into(),
        pointer_or(class, "reclaimPolicy", "Delete").into(),
        pointer_or(class, "volumeBindingMode", "Immediate").into(),
        flag(class, "allowVolumeExpansion").into(),
        created(class, now),
    ]
}

/// The cells of a VolumeAttributesClass.
pub fn attributes_class(class: &Value, now: Timestamp) -> Vec<Value> {
    vec![object::name(class).into(), text(class, "driverName").into(), created(class, now)]
}

/// The cells of a VolumeAttachment.
pub fn attachment(attachment: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        object::name(attachment).into(),
        text(attachment, "spec.attacher").into(),
        text(attachment, "spec.source.persistentVolumeName").into(),
        text(attachment, "spec.nodeName").into(),
        flag(attachment, "status.attached").into(),
        created(attachment, now),
    ]
}

/// The cells of a CSINode.
pub fn csi_node(node: &Value, now: Timestamp) -> Vec<Value> {
    vec![object::name(node).into(), count(node, "spec.drivers").into(), created(node, now)]
}

/// The cells of a CSIDriver.
pub fn csi_driver(driver: &Value, now: Timestamp) -> Vec<Value> {
    let spec = at(driver, "spec");
    let modes = texts(spec, "volumeLifecycleModes").join(",");
    let requests = if is_set(spec, "tokenRequests") {
        let audiences: Vec<&str> =
            items(spec, "tokenRequests").iter().map(|request| text(request, "audience")).collect();
        audiences.join(",")
    } else {
        "<unset>".to_owned()
    };
    vec![
        object::name(driver).into(),
        at(spec, "attachRequired").as_bool().unwrap_or(true).into(),
        flag(spec, "podInfoOnMount").into(),
        flag(spec, "storageCapacity").into(),
        requests.into(),
        flag(spec, "requiresRepublish").into(),
        if modes.is_empty() { "<none>".into() } else { modes.into() },
        created(driver, now),
    ]
}

/// The cells of a ResourceClaim.
pub fn resource_claim(claim: &Value, now: Timestamp) -> Vec<Value> {
    let mut states = Vec::new();
    let deleted = object::deletion_timestamp(claim).is_some();
    if deleted {
        states.push("deleted");
    }
    if is_set(claim, "status.allocation") {
        states.push("allocated");
        if !items(claim, "status.reservedFor").is_empty() {
            states.push("reserved");
        }
    } else if !deleted {
        states.push("pending");
    }
    vec![object::name(claim).into(), states.join(",").into(), created(claim, now)]
}

/// The cells of a ResourceSlice.
pub fn resource_slice(slice: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        object::name(slice).into(),
        text(slice, "spec.nodeName").into(),
        text(slice, "spec.driver").into(),
        text(slice, "spec.pool.name").into(),
        created(slice, now),
    ]
}
