//! VolumeAttachment: that a volume is to be attached to a node.

use serde_json::{Value, json};

use super::volume;
use crate::{
    kinds::{
        Strategy, go,
        strategy::keep_all_but_status_and_metadata,
        workloads::pod_spec::{rules, volumes},
    },
    machinery::{
        FieldErrors, Path,
        fields::{entries, integer, present, text},
        metadata,
    },
};

/// The behaviour of VolumeAttachments.
pub static STRATEGY: Strategy = Strategy {
    prepare_create: |new| new["status"] = json!({"attached": false}),
    validate_create,
    validate_update,
    prepare_status: keep_all_but_status_and_metadata,
    validate_status: validate_update,
    status: true,
    status_resets: &[&["metadata"]],
    unconditional_update: false,
    returns_deleted: true,
    ..Strategy::PLAIN
};

const SPEC: Path<'static> = Path::new("spec");
const METADATA_SIZE_MAX: usize = 256 * 1024;
const MESSAGE_LENGTH_MAX: usize = 1024;

fn validate_create(new: &Value, errors: &mut FieldErrors) {
    validate(new, errors);
    let spec = &new["spec"];
    volumes::validate_driver(errors, &SPEC.child("attacher"), text(spec, "attacher"));
    if let Some(name) = present(&spec["source"], "persistentVolumeName").and_then(Value::as_str) {
        let path = SPEC.child("source");
        rules::object_name(errors, &path.child("persistentVolumeName"), name);
    }
}

fn validate(new: &Value, errors: &mut FieldErrors) {
    const EXACTLY_ONE: &str = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    let spec = &new["spec"];
    if text(spec, "attacher").is_empty() {
        errors.required(&SPEC.child("attacher"), "");
    }
    let path = SPEC.child("source");
    let source = &spec["source"];
    match (present(source, "inlineVolumeSpec"), present(source, "persistentVolumeName")) {
        (None, None) => errors.required(&path, EXACTLY_ONE),
        (Some(_), Some(_)) => errors.forbidden(&path, EXACTLY_ONE),
        (None, Some(name)) if name == "" => {
            let detail = "must specify non empty persistentVolumeName";
            errors.required(&path.child("persistentVolumeName"), detail);
        }
        (None, Some(_)) => {}
        (Some(inline), None) => volume::validate_inline(errors, &path.child("inlineVolumeSpec"), inline),
    }
    rules::object_name(errors, &SPEC.child("nodeName"), text(spec, "nodeName"));
    let (path, status) = (Path::new("status"), &new["status"]);
    let size: usize = entries(status, "attachmentMetadata")
        .map(|(name, value)| name.len() + value.as_str().map_or(0, str::len))
        .sum();
    if size > METADATA_SIZE_MAX {
        errors.too_long(&path.child("attachmentMetadata"), METADATA_SIZE_MAX);
    }
    for field in ["attachError", "detachError"] {
        let (path, error) = (path.child(field), &status[field]);
        if text(error, "message").len() > MESSAGE_LENGTH_MAX {
            // Kubernetes names the wrong limit.
            errors.too_long(&path.child("message"), METADATA_SIZE_MAX);
        }
        if let Some(code) = integer(error, "errorCode").filter(|code| *code < 0) {
            rules::in_range(errors, &path.child("errorCode"), code, 0, i32::MAX.into());
        }
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate(new, false, STRATEGY.name_rule, errors);
    validate(new, errors);
    if new["spec"] != old["spec"] {
        go::invalid(
            errors,
            &SPEC,
            &go::written("io.k8s.api.storage.v1.VolumeAttachmentSpec", &new["spec"]),
            metadata::IMMUTABLE,
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::kinds::cases;

    fn base() -> Value {
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "spec": {
            "attacher": "d.example.com", "nodeName": "n1", "source": {"persistentVolumeName": "v"},
        }})
    }

    #[test]
    fn what_is_wrong_with_an_attachment() {
        cases::check_wrong(
            &base(),
            &[
                (json!({}), &[]),
                (
                    json!({"spec": {"source": null}}),
                    &["spec.source: Required value: must specify exactly one of inlineVolumeSpec and \
                       persistentVolumeName"],
                ),
                (
                    json!({"spec": {"attacher": "d_", "nodeName": "N", "source": {"persistentVolumeName": "V"}}}),
                    &[
                        "spec.nodeName: Invalid value: \"N\": a lowercase RFC 1123 subdomain must consist of lower case \
                         alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
                        "spec.attacher: Invalid value: \"d_\": a lowercase RFC 1123 subdomain must consist of lower \
                         case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric \
                         character",
                        "spec.source.persistentVolumeName: Invalid value: \"V\": a lowercase RFC 1123 subdomain must \
                         consist of lower case alphanumeric characters, '-' or '.', and must start and end with an \
                         alphanumeric character",
                    ],
                ),
                (
                    json!({"spec": {"source": {"persistentVolumeName": null, "inlineVolumeSpec": {
                        "capacity": {"storage": "1"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "c",
                        "csi": {"driver": "d", "volumeHandle": "v"},
                    }}}}),
                    &[
                        "spec.source.inlineVolumeSpec.capacity: Forbidden: may not be specified in the context of \
                         inline volumes",
                        "spec.source.inlineVolumeSpec.storageClassName: Forbidden: may not be specified in the context \
                         of inline volumes",
                    ],
                ),
            ],
        );
    }

    #[test]
    fn only_the_status_can_change() {
        assert_eq!(
            cases::updated(base(), &json!({"spec": {"nodeName": "n2"}})).1,
            [
                "spec: Invalid value: {\"Attacher\":\"d.example.com\",\"Source\":{\"PersistentVolumeName\":\"v\",\
              \"InlineVolumeSpec\":null},\"NodeName\":\"n2\"}: field is immutable"
            ]
        );
        let patch = json!({"metadata": {"labels": {"a": "b"}}, "status": {"attached": true, "attachError": {
            "message": "x".repeat(1025), "errorCode": -1,
        }}});
        let (attachment, errors) = cases::status_updated(base(), &patch);
        assert_eq!(attachment["metadata"].get("labels"), None);
        assert_eq!(
            errors,
            [
                "status.attachError.message: Too long: may not be more than 262144 bytes",
                "status.attachError.errorCode: Invalid value: -1: must be between 0 and 2147483647, inclusive",
            ]
        );
    }
}
