//! Lease: who leads, and until when.

use serde_json::Value;

use crate::{
    kinds::Strategy,
    machinery::{FieldErrors, Path, fields::integer, metadata, object},
};

/// The behaviour of Leases.
pub static STRATEGY: Strategy = Strategy {
    prepare_create: drop_coordination,
    prepare_update: |new, old| {
        if old["spec"]["strategy"].is_null() && old["spec"]["preferredHolder"].is_null() {
            drop_coordination(new);
        }
    },
    validate_create: validate,
    validate_update: |new, old, errors| {
        metadata::validate_update(new, old, errors);
        validate(new, errors);
    },
    create_on_update: true,
    unconditional_update: false,
    ..Strategy::PLAIN
};

/// Coordinated leader election is off, as in Kubernetes by default.
fn drop_coordination(lease: &mut Value) {
    let spec = object::child_mut(lease, "spec");
    spec.remove("strategy");
    spec.remove("preferredHolder");
}

fn validate(new: &Value, errors: &mut FieldErrors) {
    let (path, spec) = (Path::new("spec"), &new["spec"]);
    if let Some(seconds) = integer(spec, "leaseDurationSeconds").filter(|seconds| *seconds <= 0) {
        errors.invalid(&path.child("leaseDurationSeconds"), seconds, "must be greater than 0");
    }
    if let Some(count) = integer(spec, "leaseTransitions") {
        metadata::non_negative(errors, &path.child("leaseTransitions"), count);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::cases;

    #[test]
    fn times_and_counts_are_validated() {
        let base =
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": {"strategy": "x"}});
        assert_eq!(cases::created(base.clone()).0["spec"], json!({}));
        cases::check_wrong(
            &base,
            &[(
                json!({"spec": {"leaseDurationSeconds": 0, "leaseTransitions": -1}}),
                &[
                    "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
                    "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
                ],
            )],
        );
    }
}
