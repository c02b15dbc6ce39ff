//! Volumes: one source each, and what that source needs.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use regex::Regex;
use serde_json::Value;

use super::{
    aggregate::quantity,
    claim,
    containers::validate_pull_policy,
    env::{validate_field_reference, validate_resource_reference},
    projected, rules,
};
use crate::machinery::{
    FieldErrors, Path,
    fields::{entries, flag, integer, list, number, present, text},
    format, object,
};

/// A sort of source: its field, the names under which it is forbidden next to another and under which its own errors
/// stand (Kubernetes misspells some), and what is wrong with it.
struct Source {
    field: &'static str,
    forbidden_as: &'static str,
    path: &'static str,
    validate: fn(&mut FieldErrors, &Path<'_>, &Value),
}

const fn source(field: &'static str, validate: fn(&mut FieldErrors, &Path<'_>, &Value)) -> Source {
    Source { field, forbidden_as: field, path: field, validate }
}

const fn disk(
    field: &'static str,
    path: &'static str,
    validate: fn(&mut FieldErrors, &Path<'_>, &Value),
) -> Source {
    Source { field, forbidden_as: field, path, validate }
}

/// The sorts of sources, in the order in which they are looked at.
static SOURCES: &[Source] = &[
    source("emptyDir", |errors, path, source| {
        if present(source, "sizeLimit").is_some_and(|limit| quantity(limit).signum() < 0) {
            errors.forbidden(&path.child("sizeLimit"), "SizeLimit field must be a valid resource quantity");
        }
    }),
    source("hostPath", validate_host_path),
    source("gitRepo", |errors, path, source| {
        rules::required(errors, path, source, &["repository"]);
        rules::descending_path(errors, &path.child("directory"), text(source, "directory"));
    }),
    disk("gcePersistentDisk", "persistentDisk", |errors, path, source| {
        rules::required(errors, path, source, &["pdName"]);
        validate_partition(errors, path, source);
    }),
    source("awsElasticBlockStore", |errors, path, source| {
        rules::required(errors, path, source, &["volumeID"]);
        validate_partition(errors, path, source);
    }),
    source("secret", |errors, path, source| {
        rules::required(errors, path, source, &["secretName"]);
        rules::file_mode(errors, path, source, "defaultMode");
        validate_items(errors, path, source);
    }),
    source("nfs", |errors, path, source| {
        rules::required(errors, path, source, &["server", "path"]);
        if !text(source, "path").starts_with('/') {
            errors.invalid(&path.child("path"), text(source, "path"), "must be an absolute path");
        }
    }),
    source("iscsi", validate_iscsi),
    source("glusterfs", |errors, path, source| rules::required(errors, path, source, &["endpoints", "path"])),
    source("flocker", validate_flocker),
    source("persistentVolumeClaim", |errors, path, source| {
        rules::required(errors, path, source, &["claimName"]);
    }),
    source("rbd", |errors, path, source| rules::required(errors, path, source, &["monitors", "image"])),
    source("cinder", |errors, path, source| {
        rules::required(errors, path, source, &["volumeID"]);
        validate_secret_reference(errors, path, source);
    }),
    Source {
        field: "cephfs",
        forbidden_as: "cephFS",
        path: "cephfs",
        validate: |errors, path, source| rules::required(errors, path, source, &["monitors"]),
    },
    source("quobyte", validate_quobyte),
    Source {
        field: "downwardAPI",
        forbidden_as: "downwarAPI",
        path: "downwardAPI",
        validate: |errors, path, source| {
            rules::file_mode(errors, path, source, "defaultMode");
            for file in list(source, "items") {
                validate_downward_file(errors, path, file);
            }
        },
    },
    source("fc", validate_fibre_channel),
    source("flexVolume", validate_flex_volume),
    source("configMap", |errors, path, source| {
        rules::required(errors, path, source, &["name"]);
        rules::file_mode(errors, path, source, "defaultMode");
        validate_items(errors, path, source);
    }),
    source("azureFile", |errors, path, source| {
        rules::required(errors, path, source, &["secretName", "shareName"]);
    }),
    source("vsphereVolume", |errors, path, source| rules::required(errors, path, source, &["volumePath"])),
    source("photonPersistentDisk", |errors, path, source| rules::required(errors, path, source, &["pdID"])),
    source("portworxVolume", |errors, path, source| rules::required(errors, path, source, &["volumeID"])),
    source("azureDisk", validate_azure_disk),
    source("storageos", |errors, path, source| {
        rules::required_label(errors, &path.child("volumeName"), text(source, "volumeName"));
        let namespace = text(source, "volumeNamespace");
        if !namespace.is_empty() {
            rules::label(errors, &path.child("volumeNamespace"), namespace);
        }
        validate_secret_reference(errors, path, source);
    }),
    source("projected", projected::validate),
    source("scaleIO", |errors, path, source| {
        rules::required(errors, path, source, &["gateway", "system", "volumeName"]);
    }),
    source("csi", validate_csi),
    source("ephemeral", |errors, path, source| match present(source, "volumeClaimTemplate") {
        None => errors.required(&path.child("volumeClaimTemplate"), ""),
        Some(template) => claim::validate_template(errors, &path.child("volumeClaimTemplate"), template),
    }),
    source("image", |errors, path, source| {
        validate_pull_policy(errors, &path.child("pullPolicy"), text(source, "pullPolicy"));
    }),
];

const ONLY_ONE: &str = "may not specify more than 1 volume type";

/// What is wrong with the volumes of a spec. `pod` is the Pod, where the spec is that of one, not of a template.
/// Gives the volumes that are valid, by name: only those can be mounted.
pub fn validate<'a>(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    volumes: &'a [Value],
    pod: Option<&Value>,
) -> HashMap<&'a str, &'a Value> {
    let pod_name = pod.map(object::name).unwrap_or_default();
    let made_claims: HashSet<String> = volumes
        .iter()
        .filter(|volume| !pod_name.is_empty() && present(volume, "ephemeral").is_some())
        .map(|volume| format!("{pod_name}-{}", text(volume, "name")))
        .collect();
    let mut valid = HashMap::with_capacity(volumes.len());
    for (index, volume) in volumes.iter().enumerate() {
        let path = path.index(index);
        let name = text(volume, "name");
        let before = errors.len();
        validate_sources(errors, &path, volume, pod.is_some(), pod_name);
        rules::required_label(errors, &path.child("name"), name);
        if valid.contains_key(name) {
            errors.duplicate(&path.child("name"), name);
        }
        if errors.len() == before {
            valid.insert(name, volume);
        }
        let claim = text(&volume["persistentVolumeClaim"], "claimName");
        if made_claims.contains(claim) {
            errors.invalid(
                &path.child("persistentVolumeClaim").child("claimName"),
                claim,
                "must not reference a PVC that gets created for an ephemeral volume",
            );
        }
    }
    valid
}

fn validate_sources(errors: &mut FieldErrors, path: &Path<'_>, volume: &Value, in_pod: bool, pod_name: &str) {
    let name = text(volume, "name");
    let mut first = true;
    for sort in SOURCES {
        let Some(source) = present(volume, sort.field) else { continue };
        if first {
            first = false;
            if sort.field == "image" && in_pod {
                rules::required(errors, &path.child("image"), source, &["reference"]);
            }
            (sort.validate)(errors, &path.child(sort.path), source);
            if sort.field == "ephemeral" && !pod_name.is_empty() && !name.is_empty() {
                let claim = format!("{pod_name}-{name}");
                for problem in format::is_dns1123_subdomain(&claim) {
                    let detail = format!("PVC name {}: {problem}", crate::machinery::go_quoted(&claim));
                    errors.invalid(&path.child("name"), name, &detail);
                }
            }
        } else {
            errors.forbidden(&path.child(sort.forbidden_as), ONLY_ONE);
        }
        if sort.field == "iscsi"
            && present(source, "initiatorName").is_some()
            && name.len() + 1 + text(source, "targetPortal").len() > 64
        {
            let detail = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if \
                          iscsi.initiatorName is specified.";
            errors.invalid(&path.child("name"), name, detail);
        }
    }
    if first {
        errors.required(path, "must specify a volume type");
    }
}

/// What is wrong with the source under `field` of a volume, by the rule for Pods. `path` is that of the volume.
pub fn validate_source(errors: &mut FieldErrors, path: &Path<'_>, field: &str, source: &Value) {
    if let Some(sort) = SOURCES.iter().find(|sort| sort.field == field) {
        (sort.validate)(errors, &path.child(sort.path), source);
    }
}

/// A directory, file, socket or device of the node.
pub fn validate_host_path(errors: &mut FieldErrors, path: &Path<'_>, source: &Value) {
    const TYPES: [&str; 8] =
        ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
    let host_path = text(source, "path");
    if host_path.is_empty() {
        errors.required(&path.child("path"), "");
        return;
    }
    rules::no_backsteps(errors, &path.child("path"), host_path);
    if let Some(sort) = present(source, "type").and_then(Value::as_str) {
        rules::one_of(errors, &path.child("type"), sort, &TYPES);
    }
}

fn validate_partition(errors: &mut FieldErrors, path: &Path<'_>, source: &Value) {
    let partition = number(source, "partition");
    if !(0..=255).contains(&partition) {
        errors.invalid(&path.child("partition"), partition, "must be between 1 and 255, inclusive");
    }
}

fn validate_secret_reference(errors: &mut FieldErrors, path: &Path<'_>, source: &Value) {
    if let Some(secret) = present(source, "secretRef") {
        rules::required(errors, &path.child("secretRef"), secret, &["name"]);
    }
}

/// The keys of a ConfigMap or Secret and the files they become.
fn validate_items(errors: &mut FieldErrors, path: &Path<'_>, source: &Value) {
    let path = path.child("items");
    for (index, item) in list(source, "items").iter().enumerate() {
        validate_item(errors, &path.index(index), item);
    }
}

/// A key and the file it becomes.
pub fn validate_item(errors: &mut FieldErrors, path: &Path<'_>, item: &Value) {
    rules::required(errors, path, item, &["key", "path"]);
    rules::unreserved_path(errors, &path.child("path"), text(item, "path"));
    rules::file_mode(errors, path, item, "mode");
}

/// A field of the Pod and the file it becomes.
pub fn validate_downward_file(errors: &mut FieldErrors, path: &Path<'_>, file: &Value) {
    const FIELDS: [&str; 5] =
        ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
    rules::required(errors, path, file, &["path"]);
    rules::unreserved_path(errors, &path.child("path"), text(file, "path"));
    match (present(file, "fieldRef"), present(file, "resourceFieldRef")) {
        (Some(field), resource) => {
            validate_field_reference(errors, &path.child("fieldRef"), field, &FIELDS);
            if resource.is_some() {
                errors.invalid(
                    path,
                    "resource",
                    "fieldRef and resourceFieldRef can not be specified simultaneously",
                );
            }
        }
        (None, Some(resource)) => {
            validate_resource_reference(errors, &path.child("resourceFieldRef"), resource, true);
        }
        (None, None) => errors.required(path, "one of fieldRef and resourceFieldRef is required"),
    }
    rules::file_mode(errors, path, file, "mode");
}

static QUALIFIED_NAME: LazyLock<[Option<Regex>; 3]> = LazyLock::new(|| {
    [
        r"iqn\.[0-9]{4}-[0-9]{2}\.([[:alnum:].\-]+)(:[^,;*&$|\s]+)$",
        r"^eui.[[:alnum:]]{16}$",
        r"^naa.[[:alnum:]]{32}$",
    ]
    .map(|expression| Regex::new(expression).ok())
});

/// Whether an iSCSI name has one of the three forms; `None` where it does not even begin as one.
fn is_iscsi_name(name: &str) -> Option<bool> {
    let form = ["iqn", "eui", "naa"].iter().position(|prefix| name.starts_with(prefix))?;
    Some(QUALIFIED_NAME[form].as_ref().is_some_and(|expression| expression.is_match(name)))
}

fn validate_iscsi(errors: &mut FieldErrors, path: &Path<'_>, source: &Value) {
    const FORM: &str = "must be valid format";
    const BEGINNING: &str = "must be valid format starting with iqn, eui, or naa";
    rules::required(errors, path, source, &["targetPortal"]);
    let validate_name = |errors: &mut FieldErrors, field: &str, name: &str| match is_iscsi_name(name) {
        None => errors.invalid(&path.child(field), name, BEGINNING),
        Some(false) => errors.invalid(&path.child(field), name, FORM),
        Some(true) => {}
    };
    match text(source, "iqn") {
        "" => errors.required(&path.child("iqn"), ""),
        name => validate_name(errors, "iqn", name),
    }
    rules::in_range(errors, &path.child("lun"), number(source, "lun"), 0, 255);
    if (flag(source, "chapAuthDiscovery") || flag(source, "chapAuthSession"))
        && present(source, "secretRef").is_none()
    {
        errors.required(&path.child("secretRef"), "");
    }
    if let Some(initiator) = present(source, "initiatorName").and_then(Value::as_str) {
        validate_name(errors, "initiatorname", initiator);
    }
}

fn validate_flocker(errors: &mut FieldErrors, path: &Path<'_>, source: &Value) {
    let (name, uuid) = (text(source, "datasetName"), text(source, "datasetUUID"));
    if name.is_empty() && uuid.is_empty() {
        errors.required(path, "one of datasetName and datasetUUID is required");
    }
    if !name.is_empty() && !uuid.is_empty() {
        errors.invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously");
    }
    if name.contains('/') {
        errors.invalid(&path.child("datasetName"), name, "must not contain '/'");
    }
}

fn validate_quobyte(errors: &mut FieldErrors, path: &Path<'_>, source: &Value) {
    const PAIRS: &str = "must be a host:port pair or multiple pairs separated by commas";
    let registry = text(source, "registry");
    if registry.is_empty() {
        errors.required(&path.child("registry"), PAIRS);
    } else if text(source, "tenant").len() >= 65 {
        errors.required(&path.child("tenant"), "must be a UUID and may not exceed a length of 64 characters");
    } else {
        for _ in registry.split(',').filter(|pair| !is_host_and_port(pair)) {
            errors.invalid(&path.child("registry"), registry, PAIRS);
        }
    }
    rules::required(errors, path, source, &["volume"]);
}

/// `host:port` or `[address]:port`.
fn is_host_and_port(pair: &str) -> bool {
    let Some((host, port)) = pair.rsplit_once(':') else { return false };
    match host.strip_prefix('[') {
        Some(inside) => inside
            .strip_suffix(']')
            .is_some_and(|address| !address.contains(['[', ']']) && !port.contains(['[', ']'])),
        None => !host.contains([':', '[', ']']) && !port.contains(['[', ']']),
    }
}

fn validate_fibre_channel(errors: &mut FieldErrors, path: &Path<'_>, source: &Value) {
    let (ports, ids) = (list(source, "targetWWNs"), list(source, "wwids"));
    if ports.is_empty() && ids.is_empty() {
        let detail = "must specify either targetWWNs or wwids, but not both";
        errors.required(&path.child("targetWWNs"), detail);
    }
    if !ports.is_empty() && !ids.is_empty() {
        let detail = "targetWWNs and wwids can not be specified simultaneously";
        errors.invalid(&path.child("targetWWNs"), ports.to_vec(), detail);
    }
    if !ports.is_empty() {
        match integer(source, "lun") {
            None => errors.required(&path.child("lun"), "lun is required if targetWWNs is specified"),
            Some(lun) => rules::in_range(errors, &path.child("lun"), lun, 0, 255),
        }
    }
}

fn validate_flex_volume(errors: &mut FieldErrors, path: &Path<'_>, source: &Value) {
    rules::required(errors, path, source, &["driver"]);
    for (key, _) in entries(source, "options") {
        let domain = key.split_once('/').map_or(key, |(domain, _)| domain);
        let domain = format!(".{}", domain.to_lowercase());
        if domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io") {
            let path = path.child("options");
            errors.invalid(&path.key(key), key, "kubernetes.io and k8s.io namespaces are reserved");
        }
    }
}

fn validate_azure_disk(errors: &mut FieldErrors, path: &Path<'_>, source: &Value) {
    rules::required(errors, path, source, &["diskName", "diskURI"]);
    if let Some(mode) = present(source, "cachingMode").and_then(Value::as_str) {
        rules::one_of(errors, &path.child("cachingMode"), mode, &["None", "ReadOnly", "ReadWrite"]);
    }
    let Some(kind) = present(source, "kind").and_then(Value::as_str) else { return };
    rules::one_of(errors, &path.child("kind"), kind, &["Dedicated", "Managed", "Shared"]);
    let uri = text(source, "diskURI");
    let (beginning, form) = if kind == "Managed" {
        (
            "/subscriptions/",
            "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",
        )
    } else {
        ("https://", "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd")
    };
    if !uri.starts_with(beginning) {
        errors.not_supported(&path.child("diskURI"), uri, &[form]);
    }
}

fn validate_csi(errors: &mut FieldErrors, path: &Path<'_>, source: &Value) {
    validate_driver(errors, &path.child("driver"), text(source, "driver"));
    if let Some(secret) = present(source, "nodePublishSecretRef") {
        match text(secret, "name") {
            "" => errors.required(&path.child("nodePublishSecretRef").child("name"), ""),
            name => rules::object_name(errors, &path.child("name"), name),
        }
    }
}

/// The name of a CSI driver.
pub fn validate_driver(errors: &mut FieldErrors, path: &Path<'_>, driver: &str) {
    if driver.is_empty() {
        errors.required(path, "");
    }
    if driver.len() > format::LABEL_LENGTH_MAX {
        errors.too_long(path, format::LABEL_LENGTH_MAX);
    }
    format::report(errors, path, driver, format::is_dns1123_subdomain(&driver.to_lowercase()));
}

#[cfg(test)]
mod tests;
