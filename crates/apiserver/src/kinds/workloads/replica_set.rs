//! ReplicaSet: keeps a number of Pods running.

use serde_json::Value;

use super::{counts, pod_spec::gates, pod_template, pod_warnings, selection, twice};
use crate::{
    kinds::strategy::{Generation, Strategy},
    machinery::{
        FieldErrors, Path,
        fields::{fill, object_mut},
        metadata, object,
    },
};

/// The behaviour of ReplicaSet.
pub static STRATEGY: Strategy = Strategy {
    default: |object| {
        if let Some(spec) = object_mut(object::map_mut(object), "spec") {
            fill(spec, "replicas", 1);
            pod_template::fill(spec);
        }
    },
    prepare_create: gates::drop_disabled_in_template,
    prepare_update: |new, _| gates::drop_disabled_in_template(new),
    validate_create: |new, errors| validate(errors, &new["spec"]),
    validate_update,
    validate_status: |new, _, errors| {
        counts::validate_replicas(errors, &Path::new("status"), &new["status"]);
    },
    warnings: |new, old| pod_warnings::of_controller(new, old),
    generation: Generation::Spec,
    status: true,
    ..Strategy::PLAIN
};

fn validate(errors: &mut FieldErrors, spec: &Value) {
    let path = Path::new("spec");
    counts::validate_all(errors, &path, spec, &["replicas", "minReadySeconds"]);
    selection::validate_replicated(errors, &path, spec);
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    let (new, old) = (&new["spec"], &old["spec"]);
    twice(errors, |errors| validate(errors, new));
    metadata::immutable(errors, &Path::new("spec").child("selector"), &new["selector"], &old["selector"]);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::testing::{assert_lines, created, template, updated, with},
        *,
    };

    #[test]
    fn everything_wrong_with_an_update_is_said_twice() {
        let set = |more: &Value| {
            let spec = json!({"selector": {"matchLabels": {"app": "a"}}, "template": template(&json!({}))});
            let mut set = json!({"spec": with(spec, more)});
            (STRATEGY.default)(&mut set);
            set
        };
        assert_eq!(set(&json!({}))["spec"]["replicas"], 1);
        assert_lines(&created(&STRATEGY, &set(&json!({}))), &[], &json!({}));
        let new = set(
            &json!({"replicas": -1, "selector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}),
        );
        let negative = "spec.replicas: Invalid value: -1: must be greater than or equal to 0";
        assert_lines(&created(&STRATEGY, &new), &[negative], &new);
        assert_lines(
            &updated(&STRATEGY, &new, &set(&json!({}))),
            &[
                negative,
                negative,
                "spec.selector: Invalid value: {\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"Exists\"}]}: field is immutable",
            ],
            &new,
        );
    }
}
