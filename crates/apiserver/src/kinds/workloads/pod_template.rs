//! Templates of Pods: those in the specs of controllers, and the kind PodTemplate, which is nothing but one.

use serde_json::{Map, Value};

use super::{
    pod_spec::{self, annotations, defaults, gates},
    pod_warnings,
};
use crate::{
    kinds::strategy::{Generation, Strategy},
    machinery::{
        FieldErrors, Path,
        fields::{is_set, list, object_mut},
        metadata, object,
        selector::{self, LabelSelector},
    },
};

/// The behaviour of PodTemplate.
pub static STRATEGY: Strategy = Strategy {
    returns_deleted: true,
    default: |object| {
        fill(object::map_mut(object));
    },
    prepare_create: drop_disabled,
    prepare_update: |new, _| drop_disabled(new),
    validate_create: |new, errors| validate(errors, &Path::new("template"), &new["template"]),
    validate_update: |new, _, errors| validate(errors, &Path::new("template"), &new["template"]),
    warnings: |new, old| match old {
        Some(old) if old["template"] == new["template"] => Vec::new(),
        _ => pod_warnings::of_template(&Path::new("template"), &new["template"]),
    },
    generation: Generation::Content,
    ..Strategy::PLAIN
};

/// Fills in the template of a spec, or of a PodTemplate.
pub fn fill(owner: &mut Map<String, Value>) {
    if let Some(template) = object_mut(owner, "template") {
        defaults::fill_template(template);
    }
}

/// The labels of the template in the spec of an object, if it has any.
pub fn labels(object: &Value) -> Option<&Map<String, Value>> {
    let labels = object["spec"]["template"]["metadata"]["labels"].as_object();
    labels.filter(|labels| !labels.is_empty())
}

/// Gives an object the labels of its template, where it has none.
pub fn fill_labels(object: &mut Value) {
    if !is_set(&object["metadata"], "labels")
        && let Some(labels) = labels(object).cloned()
    {
        object::metadata_mut(object).insert("labels".to_owned(), Value::Object(labels));
    }
}

fn drop_disabled(object: &mut Value) {
    if let Some(spec) = object::child_mut(object, "template").get_mut("spec") {
        gates::drop_disabled(spec);
    }
}

/// What is wrong with a template of Pods.
pub fn validate(errors: &mut FieldErrors, path: &Path<'_>, template: &Value) {
    let (meta, spec) = (&template["metadata"], &template["spec"]);
    let spec_path = path.child("spec");
    // Kubernetes leaves `metadata` out of these paths.
    selector::validate_labels(errors, &path.child("labels"), &meta["labels"]);
    metadata::validate_annotations(errors, &path.child("annotations"), &meta["annotations"]);
    annotations::validate(errors, &path.child("annotations"), &meta["annotations"], spec);
    pod_spec::validate(errors, &spec_path, spec, None);
    annotations::validate_agreement(errors, &spec_path, &meta["annotations"], spec);
    if !list(spec, "ephemeralContainers").is_empty() {
        let path = spec_path.child("ephemeralContainers");
        errors.forbidden(&path, "ephemeral containers not allowed in pod template");
    }
}

/// What is wrong with the template of a controller that keeps Pods running: they start again, and never end.
/// `controller` is its kind, as Kubernetes says it.
pub fn validate_running(errors: &mut FieldErrors, path: &Path<'_>, template: &Value, controller: &str) {
    let spec = &template["spec"];
    let path = path.child("spec");
    if spec["restartPolicy"] != "Always" {
        errors.not_supported(&path.child("restartPolicy"), spec["restartPolicy"].clone(), &["Always"]);
    }
    if !spec["activeDeadlineSeconds"].is_null() {
        let detail = format!("activeDeadlineSeconds in {controller} is not Supported");
        errors.forbidden(&path.child("activeDeadlineSeconds"), &detail);
    }
}

/// The labels of a template must be those that its controller selects.
pub fn validate_selected(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    template: &Value,
    selector: &LabelSelector,
) {
    let labels = &template["metadata"]["labels"];
    if !selector.is_everything() && !selector.matches_labels(labels) {
        let path = path.child("metadata");
        errors.invalid(&path.child("labels"), labels.clone(), "`selector` does not match template `labels`");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::testing::{assert_lines, container, created, template},
        *,
    };

    #[test]
    fn a_template_is_validated_where_it_stands() {
        let mut own = template(&json!({"ephemeralContainers": [container(&json!({"name": "e"}))]}));
        own["metadata"] = json!({"labels": {"a b": "-"}, "annotations": {"a b": ""}});
        let object = json!({"metadata": {"name": "t"}, "template": own});
        assert_lines(
            &created(&STRATEGY, &object),
            &[
                "template.labels: Invalid value: \"a b\": name part must…",
                "template.labels: Invalid value: \"-\": a valid label must be…",
                "template.annotations: Invalid value: \"a b\": name part must…",
                "template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template",
            ],
            &object,
        );
    }

    #[test]
    fn a_template_is_filled_in() {
        let mut object =
            json!({"template": {"metadata": {}, "spec": {"containers": [{"name": "c", "image": "i"}]}}});
        (STRATEGY.default)(&mut object);
        assert_eq!(object["template"]["spec"]["containers"][0]["imagePullPolicy"], "Always");
        assert!(object["template"]["spec"].get("enableServiceLinks").is_none());
    }
}
