//! Namespace: the label of its name, the finalizer that empties it, and its phase.

use serde_json::{Value, json};

use crate::{
    kinds::{Part, Strategy},
    machinery::{
        FieldErrors, Path,
        fields::{text, texts},
        format, metadata, object,
    },
};

/// The behaviour of Namespaces.
pub static STRATEGY: Strategy = Strategy {
    name_rule: format::dns1123_label_name,
    default,
    prepare_create,
    prepare_update: |new, old| new["spec"] = old["spec"].clone(),
    validate_create: validate,
    validate_update,
    validate_status,
    status: true,
    parts: &[(Part::Finalize, &FINALIZE)],
    ..Strategy::PLAIN
};

/// The behaviour of writes to `finalize`, which alone may change the finalizers of the spec.
static FINALIZE: Strategy = Strategy {
    prepare_update: |new, old| new["status"] = old["status"].clone(),
    validate_update: validate_finalize,
    resets: &[&["status"]],
    ..Strategy::PLAIN
};

const NAME_LABEL: &str = "kubernetes.io/metadata.name";
const FINALIZER: &str = "kubernetes";

fn default(namespace: &mut Value) {
    let name = object::name(namespace).to_owned();
    if !name.is_empty() {
        let labels = object::metadata_mut(namespace)
            .entry("labels")
            .or_insert_with(|| Value::Object(serde_json::Map::new()));
        object::map_mut(labels).insert(NAME_LABEL.to_owned(), name.into());
    }
}

fn prepare_create(namespace: &mut Value) {
    // Its name may have been generated only now.
    default(namespace);
    namespace["status"] = json!({"phase": "Active"});
    let mut finalizers: Vec<Value> = texts(&namespace["spec"], "finalizers").map(Value::from).collect();
    if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
        finalizers.push(FINALIZER.into());
    }
    namespace["spec"]["finalizers"] = finalizers.into();
}

fn validate(new: &Value, errors: &mut FieldErrors) {
    let spec = Path::new("spec");
    for finalizer in texts(&new["spec"], "finalizers") {
        validate_finalizer(errors, &spec.child("finalizers"), finalizer);
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate(new, false, STRATEGY.name_rule, errors);
    validate(new, errors);
    metadata::validate_update(new, old, errors);
}

fn validate_status(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate_update(new, old, errors);
    let (phase, deleted) = (text(&new["status"], "phase"), object::deletion_timestamp(new).is_some());
    let status = Path::new("status");
    if !deleted && phase != "Active" {
        let detail = "may only be 'Active' if `deletionTimestamp` is empty";
        errors.invalid(&status.child("Phase"), phase, detail);
    } else if deleted && phase != "Terminating" {
        let detail = "may only be 'Terminating' if `deletionTimestamp` is not empty";
        errors.invalid(&status.child("Phase"), phase, detail);
    }
}

fn validate_finalize(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate_update(new, old, errors);
    let spec = Path::new("spec");
    let path = spec.child("finalizers");
    for (index, finalizer) in texts(&new["spec"], "finalizers").enumerate() {
        validate_finalizer(errors, &path.index(index), finalizer);
    }
}

fn validate_finalizer(errors: &mut FieldErrors, path: &Path<'_>, finalizer: &str) {
    format::report(errors, path, finalizer, format::is_qualified_name(finalizer));
    if !finalizer.contains('/') && !matches!(finalizer, FINALIZER | "orphan" | "foregroundDeletion") {
        let detail = "name is neither a standard finalizer name nor is it fully qualified";
        errors.invalid(path, finalizer, detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::cases;

    fn namespace() -> Value {
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
    }

    #[test]
    fn a_new_namespace_is_active_labelled_and_held() {
        let mut sent = namespace();
        sent["spec"] = json!({"finalizers": ["example.com/hold"]});
        let (stored, errors) = cases::created(sent);
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(stored["metadata"]["labels"], json!({"kubernetes.io/metadata.name": "n"}));
        assert_eq!(stored["spec"], json!({"finalizers": ["example.com/hold", "kubernetes"]}));
        assert_eq!(stored["status"], json!({"phase": "Active"}));
    }

    #[test]
    fn a_name_is_a_label_and_finalizers_are_qualified() {
        let long = "n".repeat(64);
        cases::check_wrong(
            &namespace(),
            &[
                (
                    json!({"metadata": {"name": "dot.ted"}}),
                    &["metadata.name: Invalid value: \"dot.ted\": must not contain dots"],
                ),
                (
                    json!({"metadata": {"name": long}}),
                    &[
                        &format!(
                            "metadata.name: Invalid value: \"{long}\": must be no more than 63 characters"
                        ),
                        &format!("metadata.labels: Invalid value: \"{long}\": must be no more than 63 bytes"),
                    ],
                ),
                (
                    json!({"spec": {"finalizers": ["own"]}}),
                    &[
                        "spec.finalizers: Invalid value: \"own\": name is neither a standard finalizer name nor is it fully qualified",
                    ],
                ),
            ],
        );
    }

    #[test]
    fn only_finalize_changes_finalizers_and_phases_follow_deletion() {
        let (stored, errors) = cases::updated(namespace(), &json!({"spec": {"finalizers": ["a.b/c"]}}));
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(stored["spec"]["finalizers"], json!(["kubernetes"]));
        let (_, errors) = cases::status_updated(namespace(), &json!({"status": {"phase": "Terminating"}}));
        assert_eq!(
            errors,
            [
                "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"
            ]
        );
        let mut errors = FieldErrors::new();
        let meta = json!({"resourceVersion": "1"});
        let new = json!({"metadata": meta, "spec": {"finalizers": ["a.b/c", "x"]}});
        (FINALIZE.validate_update)(&new, &json!({"metadata": meta}), &mut errors);
        assert_eq!(
            cases::lines(&errors),
            [
                "spec.finalizers[1]: Invalid value: \"x\": name is neither a standard finalizer name nor is it fully qualified"
            ]
        );
    }
}
