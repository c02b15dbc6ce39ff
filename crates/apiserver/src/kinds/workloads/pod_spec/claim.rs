//! Claims of storage that are made from a Pod: the template of an ephemeral volume, the templates of a StatefulSet.

use serde_json::{Map, Value};

use super::{defaults::round_requirements, rules};
use crate::machinery::{
    FieldErrors, Path,
    fields::{fill, is_set, list, object_mut, present, text},
    format, metadata, selector,
};

const ACCESS_MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

/// What the spec of a claim means by leaving fields out.
pub fn fill_spec(spec: &mut Map<String, Value>) {
    fill(spec, "volumeMode", "Filesystem");
    if let Some(resources) = object_mut(spec, "resources") {
        round_requirements(resources);
    }
}

/// What is wrong with the template of an ephemeral volume's claim.
pub fn validate_template(errors: &mut FieldErrors, path: &Path<'_>, template: &Value) {
    validate_template_metadata(errors, &path.child("metadata"), &template["metadata"]);
    validate_spec(errors, &path.child("spec"), &template["spec"]);
}

/// What is wrong with the metadata of a template of claims, which may only have labels and annotations.
pub fn validate_template_metadata(errors: &mut FieldErrors, path: &Path<'_>, metadata: &Value) {
    metadata::validate_annotations(errors, &path.child("annotations"), &metadata["annotations"]);
    selector::validate_labels(errors, &path.child("labels"), &metadata["labels"]);
    for field in META_FIELDS.iter().filter(|field| is_set(metadata, field)) {
        errors.forbidden(&path.child(field), "cannot be set");
    }
}

/// The fields of metadata that a template may not have, in the order of their declaration.
const META_FIELDS: [&str; 13] = [
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

/// What is wrong with the spec of a PersistentVolumeClaim.
pub fn validate_spec(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value) {
    let modes = list(spec, "accessModes");
    if modes.is_empty() {
        errors.required(&path.child("accessModes"), "at least 1 access mode is required");
    }
    if let Some(own) = present(spec, "selector") {
        selector::validate(errors, &path.child("selector"), own, selector::Leniency::default());
    }
    for mode in modes.iter().filter_map(Value::as_str).filter(|mode| !ACCESS_MODES.contains(mode)) {
        errors.not_supported(&path.child("accessModes"), mode, &ACCESS_MODES);
    }
    let (mut exclusive, mut shared) = (false, false);
    for mode in modes.iter().filter_map(Value::as_str) {
        exclusive |= mode == "ReadWriteOncePod";
        shared |= mode != "ReadWriteOncePod" && ACCESS_MODES.contains(&mode);
    }
    if exclusive && shared {
        errors.forbidden(&path.child("accessModes"), "may not use ReadWriteOncePod with other access modes");
    }
    let resources = path.child("resources");
    match present(&spec["resources"]["requests"], "storage") {
        None => errors.required(&resources.key("storage"), ""),
        Some(storage) => rules::positive_amount(errors, &resources.key("storage"), storage),
    }
    let class = text(spec, "storageClassName");
    if !class.is_empty() {
        format::report(errors, &path.child("storageClassName"), class, format::is_dns1123_subdomain(class));
    }
    if let Some(mode) = present(spec, "volumeMode").and_then(Value::as_str) {
        rules::one_of(errors, &path.child("volumeMode"), mode, &["Block", "Filesystem"]);
    }
    validate_data_sources(errors, path, spec);
    let class = text(spec, "volumeAttributesClassName");
    if !class.is_empty() {
        let path = path.child("volumeAttributesClassName");
        format::report(errors, &path, class, format::is_dns1123_subdomain(class));
    }
}

fn validate_data_sources(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value) {
    let (source, reference) = (present(spec, "dataSource"), present(spec, "dataSourceRef"));
    if let Some(source) = source {
        validate_data_source(errors, &path.child("dataSource"), source);
    }
    let Some(reference) = reference else { return };
    validate_data_source(errors, &path.child("dataSourceRef"), reference);
    let namespace = text(reference, "namespace");
    if !namespace.is_empty() {
        let path = path.child("dataSourceRef");
        let problems = format::is_dns1123_label(namespace);
        format::report(errors, &path.child("namespace"), namespace, problems);
    }
    if let Some(source) = source {
        // Kubernetes gives the path of the field for its value.
        let value = Value::Object(Map::new());
        if !namespace.is_empty() {
            errors.invalid(path, value, "may not be specified when dataSourceRef.namespace is specified");
        } else if ["apiGroup", "kind", "name"].iter().any(|field| source[*field] != reference[*field]) {
            errors.invalid(path, value, "must match dataSourceRef");
        }
    }
}

fn validate_data_source(errors: &mut FieldErrors, path: &Path<'_>, source: &Value) {
    for field in ["name", "kind"] {
        if text(source, field).is_empty() {
            errors.required(&path.child(field), "");
        }
    }
    let group = text(source, "apiGroup");
    if group.is_empty() && text(source, "kind") != "PersistentVolumeClaim" {
        errors.invalid(
            path,
            text(source, "kind"),
            "must be 'PersistentVolumeClaim' when referencing the default apiGroup",
        );
    }
    if !group.is_empty() {
        format::report(errors, &path.child("apiGroup"), group, format::is_dns1123_subdomain(group));
    }
}
