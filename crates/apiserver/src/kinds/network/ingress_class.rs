//! IngressClass: which controller serves an Ingress.

use serde_json::Value;

use super::ingress::validate_reference;
use crate::{
    kinds::{Strategy, strategy::Generation},
    machinery::{
        FieldErrors, Path,
        fields::{fill, object_mut, present, text},
        format, metadata, object,
    },
};

/// The behaviour of IngressClasses.
pub static STRATEGY: Strategy = Strategy {
    default: |class| {
        if let Some(parameters) = object_mut(object::child_mut(class, "spec"), "parameters") {
            fill(parameters, "scope", "Cluster");
        }
    },
    validate_create: validate,
    validate_update,
    generation: Generation::Spec,
    ..Strategy::PLAIN
};

const CONTROLLER_LENGTH_MAX: usize = 250;
const SPEC: Path<'static> = Path::new("spec");

fn validate(new: &Value, errors: &mut FieldErrors) {
    let spec = &new["spec"];
    let controller = text(spec, "controller");
    let path = SPEC.child("controller");
    if controller.len() > CONTROLLER_LENGTH_MAX {
        errors.too_long(&path, CONTROLLER_LENGTH_MAX);
    }
    format::domain_prefixed_path(errors, &path, controller);
    let Some(parameters) = present(spec, "parameters") else { return };
    let path = SPEC.child("parameters");
    validate_reference(errors, &path, parameters);
    let namespace = parameters["namespace"].as_str();
    let namespace_path = path.child("namespace");
    match (parameters["scope"].as_str(), namespace) {
        (None, _) => errors.required(&path.child("scope"), ""),
        (Some("Namespace"), None) => {
            errors.required(&namespace_path, "`parameters.scope` is set to 'Namespace'");
        }
        (Some("Namespace"), Some(namespace)) => {
            format::report(errors, &namespace_path, namespace, format::is_dns1123_label(namespace));
        }
        (Some("Cluster"), None) => {}
        (Some("Cluster"), Some(_)) => {
            errors.forbidden(&namespace_path, "`parameters.scope` is set to 'Cluster'");
        }
        (Some(other), _) => errors.not_supported(&path.child("scope"), other, &["Cluster", "Namespace"]),
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate_update(new, old, errors);
    let controller = SPEC.child("controller");
    metadata::immutable(errors, &controller, &new["spec"]["controller"], &old["spec"]["controller"]);
    metadata::validate(new, false, STRATEGY.name_rule, errors);
    validate(new, errors);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::cases;

    #[test]
    fn controller_and_parameters_are_validated() {
        let base = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "spec": {"controller": "a.b/c"}});
        cases::check_wrong(
            &base,
            &[
                (json!({}), &[]),
                (json!({"spec": {"controller": null}}), &["spec.controller: Required value"]),
                (
                    json!({"spec": {"controller": "x"}}),
                    &[
                        "spec.controller: Invalid value: \"x\": must be a domain-prefixed path (such as \"acme.io/foo\")",
                    ],
                ),
                (json!({"spec": {"parameters": {"kind": "K", "name": "n"}}}), &[]),
                (
                    json!({"spec": {"parameters": {"kind": "", "name": "n", "scope": "Namespace"}}}),
                    &[
                        "spec.parameters.kind: Required value: kind is required",
                        "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
                    ],
                ),
                (
                    json!({"spec": {"parameters": {"kind": "K", "name": "n", "namespace": "x"}}}),
                    &["spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"],
                ),
            ],
        );
        assert_eq!(
            cases::updated(base, &json!({"spec": {"controller": "a.b/d"}})).1,
            ["spec.controller: Invalid value: \"a.b/d\": field is immutable"]
        );
    }
}
