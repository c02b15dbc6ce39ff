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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::testing::{assert_lines, lines, template},
        *,
    };

    #[test]
    fn a_controller_selects_its_own_template() {
        const EMPTY: &str = "spec.selector: Invalid value: {}: empty selector is invalid for deployment";
        const MISMATCH: &str = "spec.template.metadata.labels: Invalid value: {\"app\":\"a\"}: `selector` does not match template `labels`";
        for (selector, want) in [
            (json!({"matchLabels": {"app": "a"}}), vec![]),
            (json!({"matchExpressions": [{"key": "app", "operator": "Exists"}]}), vec![]),
            (json!(null), vec!["spec.selector: Required value", MISMATCH]),
            (json!({}), vec![EMPTY]),
            (json!({"matchLabels": {"app": "b"}}), vec![MISMATCH]),
            (
                json!({"matchExpressions": [{"key": "app", "operator": "x"}]}),
                vec![
                    "spec.selector.matchExpressions[0].operator: Invalid value: \"x\": not a valid selector operator",
                    "spec.selector: Invalid value: {\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"x\"}]}: invalid label selector",
                ],
            ),
        ] {
            let mut errors = FieldErrors::new();
            let spec = json!({"selector": selector, "template": template(&json!({}))});
            validate_replicated(&mut errors, &Path::new("spec"), &spec);
            assert_lines(&lines(&errors), &want, &selector);
        }
    }

    #[test]
    fn pods_of_a_controller_run_on() {
        let mut errors = FieldErrors::new();
        let template = template(&json!({"restartPolicy": "Never", "activeDeadlineSeconds": 5}));
        let spec = json!({"selector": {"matchLabels": {"app": "a"}}, "template": template});
        validate_replicated(&mut errors, &Path::new("spec"), &spec);
        assert_lines(
            &lines(&errors),
            &[
                "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
                "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
            ],
            &spec,
        );
    }
}
