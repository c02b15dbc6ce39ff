//! VolumeAttributesClass: properties of volumes that can change while they are used.

use serde_json::Value;

use super::parameters;
use crate::{
    kinds::Strategy,
    machinery::{FieldErrors, Path, fields::text, metadata},
};

/// The behaviour of VolumeAttributesClasses.
pub static STRATEGY: Strategy =
    Strategy { validate_create: validate, validate_update, returns_deleted: true, ..Strategy::PLAIN };

fn validate(new: &Value, errors: &mut FieldErrors) {
    parameters::validate_provisioner(errors, &Path::new("driverName"), text(new, "driverName"));
    parameters::validate(errors, new, true);
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate(new, false, STRATEGY.name_rule, errors);
    validate(new, errors);
    metadata::validate_update(new, old, errors);
    for field in ["driverName", "parameters"] {
        if new[field] != old[field] {
            errors.forbidden(&Path::new(field), &format!("updates to {field} are forbidden."));
        }
    }
    metadata::validate(new, false, STRATEGY.name_rule, errors);
    validate(new, errors);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::cases;

    #[test]
    fn a_driver_and_its_parameters_are_needed_and_stay() {
        let base = json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttributesClass",
            "driverName": "d.example.com", "parameters": {"iops": "1"},
        });
        cases::check_wrong(
            &base,
            &[
                (json!({}), &[]),
                (
                    json!({"driverName": null, "parameters": null}),
                    &[
                        "driverName: Required value",
                        "parameters: Required value: must contain at least one key/value pair",
                    ],
                ),
            ],
        );
        assert_eq!(
            cases::updated(base, &json!({"driverName": "e", "parameters": {"iops": "2"}})).1,
            [
                "driverName: Forbidden: updates to driverName are forbidden.",
                "parameters: Forbidden: updates to parameters are forbidden.",
            ]
        );
    }
}
