//! DeviceClass: devices that are alike, and how they are set up.

use serde_json::Value;

use super::{
    names::validate_items,
    request::{validate_configuration, validate_selectors},
};
use crate::{
    kinds::{Strategy, strategy::Generation, workloads::pod_spec::resources},
    machinery::{
        FieldErrors, Path,
        fields::{list, present},
        metadata,
    },
};

/// The behaviour of DeviceClasses.
pub static STRATEGY: Strategy = Strategy {
    validate_create: validate,
    validate_update,
    generation: Generation::Spec,
    returns_deleted: true,
    ..Strategy::PLAIN
};

const CONFIGURATIONS_MAX: usize = 32;

fn validate(new: &Value, errors: &mut FieldErrors) {
    let path = Path::new("spec");
    let spec = &new["spec"];
    validate_selectors(errors, &path, spec);
    validate_items(
        errors,
        &path.child("config"),
        list(spec, "config"),
        CONFIGURATIONS_MAX,
        validate_configuration,
    );
    if let Some(name) = present(spec, "extendedResourceName").and_then(Value::as_str)
        && !resources::is_extended(name)
    {
        errors.invalid(&path.child("extendedResourceName"), name, "must be a valid extended resource name");
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate(new, false, STRATEGY.name_rule, errors);
    metadata::validate_update(new, old, errors);
    validate(new, errors);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::cases;

    #[test]
    fn what_is_wrong_with_a_class() {
        let base = json!({"apiVersion": "resource.k8s.io/v1", "kind": "DeviceClass", "spec": {
            "selectors": [{"cel": {"expression": "device.driver == 'gpu.example.com'"}}],
        }});
        let opaque = |driver: &str, parameters: serde_json::Value| json!({"spec": {"config": [{"opaque": {"driver": driver, "parameters": parameters}}]}});
        cases::check_wrong(
            &base,
            &[
                (json!({}), &[]),
                (opaque("d.example.com", json!({"a": 1})), &[]),
                (json!({"spec": {"selectors": [{}]}}), &["spec.selectors[0].cel: Required value"]),
                (
                    json!({"spec": {"selectors": vec![json!({"cel": {"expression": "true"}}); 33]}}),
                    &["spec.selectors: Too many: 33: must have at most 32 items"],
                ),
                (
                    json!({"spec": {"selectors": [{"cel": {"expression": "x".repeat(10241)}}]}}),
                    &["spec.selectors[0].cel.expression: Too long: may not be more than 10240 bytes"],
                ),
                (json!({"spec": {"config": [{}]}}), &["spec.config[0].opaque: Required value"]),
                (
                    opaque("", json!([])),
                    &[
                        "spec.config[0].opaque.driver: Required value",
                        "spec.config[0].opaque.parameters: Invalid value: \"<value omitted>\": must be a valid JSON \
                         object",
                    ],
                ),
                (
                    json!({"spec": {"extendedResourceName": "kubernetes.io/gpu"}}),
                    &[
                        "spec.extendedResourceName: Invalid value: \"kubernetes.io/gpu\": must be a valid extended \
                       resource name",
                    ],
                ),
            ],
        );
    }
}
