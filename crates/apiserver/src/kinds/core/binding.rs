//! Binding: names the Node that a Pod is put on. It is never stored.

use serde_json::Value;

use crate::{
    kinds::Strategy,
    machinery::{FieldErrors, Path, fields::text},
};

/// The behaviour of Bindings.
pub static STRATEGY: Strategy = Strategy { validate_create: validate, ..Strategy::PLAIN };

/// What is wrong with a Binding (`ValidatePodBinding`).
pub fn validate(binding: &Value, errors: &mut FieldErrors) {
    let target = Path::new("target");
    let kind = text(&binding["target"], "kind");
    if !matches!(kind, "" | "Node") {
        errors.not_supported(&target.child("kind"), kind, &["Node", "<empty>"]);
    }
    if text(&binding["target"], "name").is_empty() {
        errors.required(&target.child("name"), "");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::cases;

    #[test]
    fn a_binding_names_a_node() {
        cases::check_wrong(
            &json!({"apiVersion": "v1", "kind": "Binding"}),
            &[
                (json!({"target": {"kind": "Node", "name": "n"}}), &[]),
                (
                    json!({"target": {"kind": "Pod"}}),
                    &[
                        "target.kind: Unsupported value: \"Pod\": supported values: \"Node\", \"<empty>\"",
                        "target.name: Required value",
                    ],
                ),
            ],
        );
    }
}
