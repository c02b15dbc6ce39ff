//! Taints of devices, and what tolerates them.

use serde_json::Value;

use crate::{
    kinds::workloads::pod_spec::rules,
    machinery::{
        FieldErrors, Path,
        fields::{list, text},
        format,
    },
};

const EFFECTS: [&str; 3] = ["NoExecute", "NoSchedule", "None"];

/// What is wrong with a taint.
pub fn validate(errors: &mut FieldErrors, path: &Path<'_>, taint: &Value) {
    rules::qualified_name(errors, &path.child("key"), text(taint, "key"));
    validate_value(errors, path, taint);
    rules::required_one_of(errors, &path.child("effect"), text(taint, "effect"), &EFFECTS);
}

/// What is wrong with the tolerations of a request.
pub fn validate_tolerations(errors: &mut FieldErrors, path: &Path<'_>, request: &Value) {
    let path = path.child("tolerations");
    for (index, toleration) in list(request, "tolerations").iter().enumerate() {
        let path = path.index(index);
        let key = text(toleration, "key");
        if !key.is_empty() {
            rules::qualified_name(errors, &path.child("key"), key);
        }
        match text(toleration, "operator") {
            "Exists" if !text(toleration, "value").is_empty() => {
                let value = text(toleration, "value");
                errors.invalid(&path.child("value"), value, "must be empty for operator `Exists`");
            }
            "Exists" => {}
            "Equal" => validate_value(errors, &path, toleration),
            operator => {
                rules::required_one_of(errors, &path.child("operator"), operator, &["Equal", "Exists"]);
            }
        }
        let effect = text(toleration, "effect");
        if !effect.is_empty() {
            rules::one_of(errors, &path.child("effect"), effect, &EFFECTS);
        }
    }
}

fn validate_value(errors: &mut FieldErrors, path: &Path<'_>, owner: &Value) {
    let value = text(owner, "value");
    format::report(errors, &path.child("value"), value, format::is_label_value(value));
}
