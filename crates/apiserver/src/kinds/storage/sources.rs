//! What a PersistentVolume is made of: one source, by much the same rules as the volumes of Pods.

use serde_json::Value;

use crate::{
    kinds::workloads::pod_spec::{rules, volumes},
    machinery::{
        FieldErrors, Path,
        fields::{is_set, present, text},
    },
};

/// The sorts of sources, in the order in which they are looked at.
pub const SOURCES: [&str; 22] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
];

/// What is wrong with the sources of a volume called `name`. `path` is that of its spec.
pub fn validate(errors: &mut FieldErrors, path: &Path<'_>, name: &str, spec: &Value) {
    let mut first = true;
    for field in SOURCES {
        let Some(source) = present(spec, field) else { continue };
        // A flexVolume is not refused next to others.
        if first || field == "flexVolume" {
            validate_source(errors, path, name, field, source);
            if field == "local" && present(spec, "nodeAffinity").is_none() {
                errors.required(&path.child("nodeAffinity"), "Local volume requires node affinity");
            }
        } else {
            let named = if field == "cephfs" { "cephFS" } else { field };
            errors.forbidden(&path.child(named), "may not specify more than 1 volume type");
        }
        first = false;
    }
    if first {
        errors.required(path, "must specify a volume type");
    }
}

fn validate_source(errors: &mut FieldErrors, path: &Path<'_>, name: &str, field: &str, source: &Value) {
    let own = path.child(field);
    match field {
        "csi" => return validate_csi(errors, &own, source),
        "local" => return validate_local(errors, &own, source),
        _ => volumes::validate_source(errors, path, field, source),
    }
    // What is asked for beyond what a Pod's volume needs.
    match field {
        "glusterfs" => validate_endpoints_namespace(errors, &own, source),
        "iscsi" => {
            let portal = text(source, "targetPortal");
            if present(source, "initiatorName").is_some() && name.len() + 1 + portal.len() > 64 {
                let detail = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if \
                              iscsi.initiatorName is specified.";
                errors.invalid(&own.child("targetportal"), portal, detail);
            }
            require_in_secret(errors, &own, source, "name");
        }
        "cinder" | "storageos" => require_in_secret(errors, &own, source, "namespace"),
        "azureFile" if source.get("secretNamespace").is_some_and(|namespace| namespace == "") => {
            errors.required(&own.child("secretNamespace"), "");
        }
        _ => {}
    }
}

fn require_in_secret(errors: &mut FieldErrors, path: &Path<'_>, source: &Value, field: &str) {
    if let Some(secret) = present(source, "secretRef") {
        rules::required(errors, &path.child("secretRef"), secret, &[field]);
    }
}

fn validate_endpoints_namespace(errors: &mut FieldErrors, path: &Path<'_>, source: &Value) {
    let path = path.child("endpointsNamespace");
    match present(source, "endpointsNamespace").and_then(Value::as_str) {
        Some("") => {
            let detail = "if the endpointnamespace is set, it must be a valid namespace name";
            errors.invalid(&path, "", detail);
        }
        Some(namespace) => rules::label(errors, &path, namespace),
        None => {}
    }
}

fn validate_local(errors: &mut FieldErrors, path: &Path<'_>, source: &Value) {
    match text(source, "path") {
        "" => errors.required(&path.child("path"), ""),
        directory => rules::no_backsteps(errors, &path.child("path"), directory),
    }
}

fn validate_csi(errors: &mut FieldErrors, path: &Path<'_>, source: &Value) {
    volumes::validate_driver(errors, &path.child("driver"), text(source, "driver"));
    if !is_set(source, "volumeHandle") {
        errors.required(&path.child("volumeHandle"), "");
    }
    for field in [
        "controllerPublishSecretRef",
        "controllerExpandSecretRef",
        "nodePublishSecretRef",
        "nodeExpandSecretRef",
    ] {
        let Some(secret) = present(source, field) else { continue };
        let path = path.child(field);
        match text(secret, "name") {
            "" => errors.required(&path.child("name"), ""),
            name => rules::object_name(errors, &path.child("name"), name),
        }
        rules::required_label(errors, &path.child("namespace"), text(secret, "namespace"));
    }
}
