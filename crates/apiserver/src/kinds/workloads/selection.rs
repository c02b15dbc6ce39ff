//! Which Pods a controller takes for its own: those that its selector names, the ones it makes among them.

use serde_json::Value;

use super::pod_template;
use crate::machinery::{
    FieldErrors, Path,
    fields::{is_set, present},
    selector::{self, LabelSelector, Leniency},
};

/// A controller must select, and not everything. `controller` is what Kubernetes calls it.
pub fn validate_required(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value, controller: &str) {
    let path = path.child("selector");
    match present(spec, "selector") {
        None => errors.required(&path, ""),
        Some(own) => {
            selector::validate(errors, &path, own, Leniency::default());
            validate_not_empty(errors, &path, own, controller);
        }
    }
}

/// A selector that is there must not be empty.
pub fn validate_not_empty(errors: &mut FieldErrors, path: &Path<'_>, selector: &Value, controller: &str) {
    if selector.is_object() && !is_set(selector, "matchLabels") && !is_set(selector, "matchExpressions") {
        let detail = format!("empty selector is invalid for {controller}");
        errors.invalid(path, selector.clone(), &detail);
    }
}

/// What is wrong with the selector and the template of a ReplicaSet, or of a Deployment, which makes ReplicaSets.
pub fn validate_replicated(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value) {
    validate_required(errors, path, spec, "deployment");
    match LabelSelector::of(&spec["selector"]) {
        Err(_) => {
            errors.invalid(&path.child("selector"), spec["selector"].clone(), "invalid label selector");
        }
        Ok(selector) => {
            let (path, template) = (path.child("template"), &spec["template"]);
            pod_template::validate_selected(errors, &path, template, &selector);
            pod_template::validate(errors, &path, template);
            pod_template::validate_running(errors, &path, template, "ReplicaSet");
        }
    }
}
