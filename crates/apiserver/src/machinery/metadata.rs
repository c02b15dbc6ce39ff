//! What `metadata` may hold, on create and on update: names, labels, annotations, owners, finalizers
//! (`k8s.io/apimachinery/pkg/api/validation/objectmeta.go`).

use std::collections::HashSet;

use serde_json::Value;

use super::{
    FieldErrors, Path, fields,
    format::{self, NameRule},
    go_quoted,
    invalid::Cause,
    selector,
};

const METADATA: Path<'static> = Path::new("metadata");
/// Keys and values of all annotations together, in bytes.
const ANNOTATIONS_SIZE_MAX: usize = 256 * 1024;
const FIELD_MANAGER_LENGTH_MAX: usize = 128;
const SUBRESOURCE_LENGTH_MAX: usize = 256;
/// Each such error quotes the whole list, so that their number must have a limit.
const CONTROLLER_ERRORS_MAX: usize = 16;
/// What is said of a field that cannot change.
pub const IMMUTABLE: &str = "field is immutable";

/// What is wrong with the metadata of a new object, whose name was generated already (`ValidateObjectMeta`).
pub fn validate(new: &Value, namespaced: bool, name_rule: NameRule, errors: &mut FieldErrors) {
    validate_at(&METADATA, &new["metadata"], namespaced, name_rule, errors);
}

/// The same for metadata that stands elsewhere, such as a template's.
pub fn validate_at(
    path: &Path<'_>,
    metadata: &Value,
    namespaced: bool,
    name_rule: NameRule,
    errors: &mut FieldErrors,
) {
    let generate_name = fields::text(metadata, "generateName");
    if !generate_name.is_empty() {
        let problems = name_rule(generate_name, true);
        format::report(errors, &path.child("generateName"), generate_name, problems);
    }
    match fields::text(metadata, "name") {
        "" => errors.required(&path.child("name"), "name or generateName is required"),
        name => format::report(errors, &path.child("name"), name, name_rule(name, false)),
    }
    let namespace = fields::text(metadata, "namespace");
    let namespace_path = path.child("namespace");
    if namespaced && namespace.is_empty() {
        errors.required(&namespace_path, "");
    } else if namespaced {
        format::report(errors, &namespace_path, namespace, format::dns1123_label_name(namespace, false));
    } else if !namespace.is_empty() {
        errors.forbidden(&namespace_path, "not allowed on this type");
    }
    non_negative(errors, &path.child("generation"), generation(metadata));
    validate_maps_and_owners(path, metadata, errors, true);
}

/// What is wrong with the metadata of an object that replaces `old` (`ValidateObjectMetaUpdate`).
pub fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    let (new, old) = (&new["metadata"], &old["metadata"]);
    let path = &METADATA;
    if !old["deletionTimestamp"].is_null() {
        let kept: HashSet<&str> = fields::texts(old, "finalizers").collect();
        let mut added: Vec<&str> =
            fields::texts(new, "finalizers").filter(|finalizer| !kept.contains(finalizer)).collect();
        added.sort_unstable();
        added.dedup();
        if !added.is_empty() {
            let added: Vec<String> = added.into_iter().map(go_quoted).collect();
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            );
            errors.forbidden(&path.child("finalizers"), &detail);
        }
    }
    if fields::text(new, "resourceVersion").is_empty() {
        errors.invalid(&path.child("resourceVersion"), "", "must be specified for an update");
    }
    if generation(new) < generation(old) {
        errors.invalid(&path.child("generation"), generation(new), "must not be decremented");
    }
    for field in ["name", "namespace", "uid"] {
        let (new, old) = (fields::text(new, field), fields::text(old, field));
        if new != old {
            errors.invalid(&path.child(field), new, IMMUTABLE);
        }
    }
    for field in ["creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        immutable(errors, &path.child(field), &new[field], &old[field]);
    }
    validate_maps_and_owners(path, new, errors, false);
}

/// Refuses a value that is not the old one.
pub fn immutable(errors: &mut FieldErrors, path: &Path<'_>, new: &Value, old: &Value) {
    if new != old {
        errors.invalid(path, new.clone(), IMMUTABLE);
    }
}

/// Refuses a number below zero.
pub fn non_negative(errors: &mut FieldErrors, path: &Path<'_>, value: i64) {
    if value < 0 {
        errors.invalid(path, value, "must be greater than or equal to 0");
    }
}

/// What is wrong with a map of annotations.
pub fn validate_annotations(errors: &mut FieldErrors, path: &Path<'_>, annotations: &Value) {
    let mut size = 0;
    for (key, value) in annotations.as_object().into_iter().flatten() {
        size += key.len() + value.as_str().map_or(0, str::len);
        // A label key in which case does not matter.
        let problems = format::is_qualified_name(&key.to_lowercase());
        format::report(errors, path, key, problems);
    }
    if size > ANNOTATIONS_SIZE_MAX {
        errors.too_long(path, ANNOTATIONS_SIZE_MAX);
    }
}

/// What is wrong with the name under which a client owns fields.
pub fn validate_field_manager(errors: &mut FieldErrors, path: &Path<'_>, manager: &str) {
    if manager.len() > FIELD_MANAGER_LENGTH_MAX {
        errors.too_long(path, FIELD_MANAGER_LENGTH_MAX);
    }
    for (position, character) in manager.char_indices().filter(|(_, c)| !is_printable(*c)) {
        let number = character as u32;
        let detail = format!("invalid character U+{number:04X} (at position {position})");
        errors.invalid(path, manager, &detail);
    }
}

fn validate_maps_and_owners(path: &Path<'_>, metadata: &Value, errors: &mut FieldErrors, finalizers: bool) {
    selector::validate_labels(errors, &path.child("labels"), &metadata["labels"]);
    validate_annotations(errors, &path.child("annotations"), &metadata["annotations"]);
    validate_owners(errors, &path.child("ownerReferences"), fields::list(metadata, "ownerReferences"));
    if finalizers {
        validate_finalizers(errors, &path.child("finalizers"), metadata);
    }
    validate_managed_fields(errors, &path.child("managedFields"), fields::list(metadata, "managedFields"));
}

fn validate_owners(errors: &mut FieldErrors, path: &Path<'_>, owners: &[Value]) {
    let mut controller = None;
    let mut conflicts = 0;
    for owner in owners {
        let version = fields::text(owner, "apiVersion");
        let (kind, name) = (fields::text(owner, "kind"), fields::text(owner, "name"));
        // A version behind a group behind anything else is none.
        let has_version = match version.split_once('/') {
            None => !version.is_empty(),
            Some((_, version)) => !version.is_empty() && !version.contains('/'),
        };
        if !has_version {
            errors.invalid(&path.child("apiVersion"), version, "version must not be empty");
        }
        for (field, value) in [("kind", kind), ("name", name), ("uid", fields::text(owner, "uid"))] {
            if value.is_empty() {
                errors.invalid(&path.child(field), value, "must not be empty");
            }
        }
        if version == "v1" && kind == "Event" {
            let written = written_owner(owner);
            let detail = "/v1, Kind=Event is disallowed from being an owner";
            errors.push(Cause::FieldValueInvalid, path, format!("Invalid value: {written}: {detail}"));
        }
        if owner["controller"] == true {
            let this = format!("{kind}/{name}");
            if let Some(first) = &controller {
                conflicts += 1;
                if conflicts > CONTROLLER_ERRORS_MAX {
                    continue;
                }
                let written: Vec<String> = owners.iter().map(written_owner).collect();
                let message = format!(
                    "Invalid value: [{}]: Only one reference can have Controller set to true. Found \"true\" in \
                     references for {first} and {this}",
                    written.join(",")
                );
                errors.push(Cause::FieldValueInvalid, path, message);
            } else {
                controller = Some(this);
            }
        }
    }
}

/// An owner reference as Kubernetes quotes it: its fields in the order of the Go struct.
fn written_owner(owner: &Value) -> String {
    let fields = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
    let written: Vec<String> = fields
        .iter()
        .filter_map(|field| {
            let value = owner.get(*field)?;
            Some(format!("\"{field}\":{value}"))
        })
        .collect();
    format!("{{{}}}", written.join(","))
}

fn validate_finalizers(errors: &mut FieldErrors, path: &Path<'_>, metadata: &Value) {
    for finalizer in fields::texts(metadata, "finalizers") {
        format::report(errors, path, finalizer, format::is_qualified_name(finalizer));
    }
    let has = |name: &str| fields::texts(metadata, "finalizers").any(|finalizer| finalizer == name);
    if has("orphan") && has("foregroundDeletion") {
        let detail = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.invalid(path, metadata["finalizers"].clone(), detail);
    }
}

fn validate_managed_fields(errors: &mut FieldErrors, path: &Path<'_>, entries: &[Value]) {
    for (index, entry) in entries.iter().enumerate() {
        let path = path.index(index);
        let operation = fields::text(entry, "operation");
        if !matches!(operation, "Apply" | "Update") {
            errors.invalid(&path.child("operation"), operation, "must be `Apply` or `Update`");
        }
        let fields_type = fields::text(entry, "fieldsType");
        if !matches!(fields_type, "" | "FieldsV1") {
            errors.invalid(&path.child("fieldsType"), fields_type, "must be `FieldsV1`");
        }
        validate_field_manager(errors, &path.child("manager"), fields::text(entry, "manager"));
        if fields::text(entry, "subresource").len() > SUBRESOURCE_LENGTH_MAX {
            errors.too_long(&path.child("subresource"), SUBRESOURCE_LENGTH_MAX);
        }
    }
}

fn generation(metadata: &Value) -> i64 {
    metadata["generation"].as_i64().unwrap_or(0)
}

/// Go's `unicode.IsPrint`: the only space that is printed is the plain one.
fn is_printable(character: char) -> bool {
    character == ' ' || !(character.is_control() || character.is_whitespace())
}

/// Conditions as `metav1.Condition` has them (`ValidateConditions`).
pub fn validate_conditions(errors: &mut FieldErrors, path: &Path<'_>, conditions: &[Value]) {
    let mut seen = HashSet::new();
    for (index, condition) in conditions.iter().enumerate() {
        let path = path.index(index);
        let type_ = fields::text(condition, "type");
        if !seen.insert(type_) {
            errors.duplicate(&path.child("type"), type_);
        }
        format::report(errors, &path.child("type"), type_, format::is_qualified_name(type_));
        let status = fields::text(condition, "status");
        if !matches!(status, "True" | "False" | "Unknown") {
            errors.not_supported(&path.child("status"), status, &["False", "True", "Unknown"]);
        }
        let observed = condition["observedGeneration"].as_i64().unwrap_or(0);
        if observed < 0 {
            errors.invalid(
                &path.child("observedGeneration"),
                observed,
                "must be greater than or equal to zero",
            );
        }
        if condition["lastTransitionTime"].is_null() {
            errors.required(&path.child("lastTransitionTime"), "");
        }
        let reason = fields::text(condition, "reason");
        let reason_path = path.child("reason");
        if reason.is_empty() {
            errors.required(&reason_path, "");
        } else {
            if !is_condition_reason(reason) {
                let problem = format::regex_problem(
                    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'",
                    "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?",
                    &["my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB"],
                );
                errors.invalid(&reason_path, reason, &problem);
            }
            if reason.len() > 1024 {
                errors.too_long(&reason_path, 1024);
            }
        }
        if fields::text(condition, "message").len() > 32 * 1024 {
            errors.too_long(&path.child("message"), 32 * 1024);
        }
    }
}

fn is_condition_reason(reason: &str) -> bool {
    let bytes = reason.as_bytes();
    let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.last().is_some_and(word)
        && bytes.iter().all(|b| word(b) || matches!(b, b',' | b':'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(errors: &FieldErrors) -> Vec<String> {
        let short = |message: &str| message.split(" (e.g.").next().unwrap_or_default().to_owned();
        errors.iter().map(|error| format!("{}: {}", error.field, short(&error.message))).collect()
    }

    fn created(metadata: Value) -> Vec<String> {
        let mut errors = FieldErrors::new();
        let object = json!({"metadata": metadata});
        validate(&object, true, format::dns1123_subdomain_name, &mut errors);
        lines(&errors)
    }

    fn updated(new: Value, old: Value) -> Vec<String> {
        let mut errors = FieldErrors::new();
        validate_update(&json!({"metadata": new}), &json!({"metadata": old}), &mut errors);
        lines(&errors)
    }

    #[test]
    fn new_metadata_is_validated() {
        let part = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
        for (metadata, want) in [
            (json!({"name": "a", "namespace": "n"}), vec![]),
            (
                json!({"generateName": "Bad_"}),
                vec![
                    "metadata.generateName: Invalid value: \"Bad_\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character".to_owned(),
                    "metadata.name: Required value: name or generateName is required".to_owned(),
                    "metadata.namespace: Required value".to_owned(),
                ],
            ),
            (
                json!({"name": "a", "namespace": "a.b", "generation": -1, "annotations": {"A/b": "", "a b": ""}}),
                vec![
                    "metadata.namespace: Invalid value: \"a.b\": must not contain dots".to_owned(),
                    "metadata.generation: Invalid value: -1: must be greater than or equal to 0".to_owned(),
                    format!("metadata.annotations: Invalid value: \"a b\": name part {part}"),
                ],
            ),
            (
                json!({"name": "a", "namespace": "n", "annotations": {"a": "x".repeat(256 * 1024)}}),
                vec!["metadata.annotations: Too long: may not be more than 262144 bytes".to_owned()],
            ),
            (
                json!({"name": "a", "namespace": "n", "finalizers": ["orphan", "foregroundDeletion", "a b"]}),
                vec![
                    format!("metadata.finalizers: Invalid value: \"a b\": name part {part}"),
                    "metadata.finalizers: Invalid value: [\"orphan\",\"foregroundDeletion\",\"a b\"]: finalizer orphan and foregroundDeletion cannot be both set".to_owned(),
                ],
            ),
            (
                json!({"name": "a", "namespace": "n", "managedFields": [{"manager": "a\n", "operation": "x"}]}),
                vec![
                    "metadata.managedFields[0].operation: Invalid value: \"x\": must be `Apply` or `Update`".to_owned(),
                    "metadata.managedFields[0].manager: Invalid value: \"a\\n\": invalid character U+000A (at position 1)".to_owned(),
                ],
            ),
        ] {
            assert_eq!(created(metadata.clone()), want, "{metadata}");
        }
    }

    #[test]
    fn owners_are_validated() {
        let owners =
            |owners: Value| created(json!({"name": "a", "namespace": "n", "ownerReferences": owners}));
        assert_eq!(
            owners(json!([{"apiVersion": "a/b/c", "kind": "", "name": "", "uid": ""}])),
            [
                "metadata.ownerReferences.apiVersion: Invalid value: \"a/b/c\": version must not be empty",
                "metadata.ownerReferences.kind: Invalid value: \"\": must not be empty",
                "metadata.ownerReferences.name: Invalid value: \"\": must not be empty",
                "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty",
            ]
        );
        assert_eq!(
            owners(json!([
                {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a", "uid": "u1", "controller": true},
                {"apiVersion": "v1", "kind": "Pod", "name": "b", "uid": "u2", "controller": true},
            ])),
            [
                "metadata.ownerReferences: Invalid value: [{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"name\":\"a\",\"uid\":\"u1\",\"controller\":true},{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"b\",\"uid\":\"u2\",\"controller\":true}]: Only one reference can have Controller set to true. Found \"true\" in references for Deployment/a and Pod/b"
            ]
        );
        assert_eq!(
            owners(json!([{"apiVersion": "v1", "kind": "Event", "name": "b", "uid": "u2"}])),
            [
                "metadata.ownerReferences: Invalid value: {\"apiVersion\":\"v1\",\"kind\":\"Event\",\"name\":\"b\",\"uid\":\"u2\"}: /v1, Kind=Event is disallowed from being an owner"
            ]
        );
    }

    #[test]
    fn an_update_keeps_what_the_system_set() {
        let old = json!({"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "1", "generation": 2,
            "creationTimestamp": "2001-01-01T00:00:00Z"});
        assert!(updated(old.clone(), old.clone()).is_empty());
        assert_eq!(
            updated(
                json!({"deletionTimestamp": "2002-01-01T00:00:00Z", "deletionGracePeriodSeconds": 3}),
                old
            ),
            [
                "metadata.resourceVersion: Invalid value: \"\": must be specified for an update",
                "metadata.generation: Invalid value: 0: must not be decremented",
                "metadata.name: Invalid value: \"\": field is immutable",
                "metadata.namespace: Invalid value: \"\": field is immutable",
                "metadata.uid: Invalid value: \"\": field is immutable",
                "metadata.creationTimestamp: Invalid value: null: field is immutable",
                "metadata.deletionTimestamp: Invalid value: \"2002-01-01T00:00:00Z\": field is immutable",
                "metadata.deletionGracePeriodSeconds: Invalid value: 3: field is immutable",
            ]
        );
    }

    #[test]
    fn no_finalizer_is_added_while_the_object_goes() {
        let old = json!({"resourceVersion": "1", "deletionTimestamp": "t", "finalizers": ["a.b/c"]});
        let new =
            json!({"resourceVersion": "1", "deletionTimestamp": "t", "finalizers": ["z", "a.b/c", "x"]});
        assert_eq!(
            updated(new, old.clone()),
            [
                "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"x\", \"z\"}"
            ]
        );
        assert!(updated(json!({"resourceVersion": "1", "deletionTimestamp": "t"}), old).is_empty());
    }

    #[test]
    fn conditions_are_validated() {
        let mut errors = FieldErrors::new();
        let condition = json!({"type": "Ready", "status": "true", "reason": "a b", "observedGeneration": -1});
        validate_conditions(&mut errors, &Path::new("c"), &[condition.clone(), condition]);
        let all = lines(&errors);
        assert_eq!(
            all[..4],
            [
                "c[0].status: Unsupported value: \"true\": supported values: \"False\", \"True\", \"Unknown\"",
                "c[0].observedGeneration: Invalid value: -1: must be greater than or equal to zero",
                "c[0].lastTransitionTime: Required value",
                "c[0].reason: Invalid value: \"a b\": a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'",
            ]
        );
        assert_eq!(all[4], "c[1].type: Duplicate value: \"Ready\"");
    }
}
