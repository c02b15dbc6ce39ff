//! RuntimeClass: what Pods run in, what that costs, and where it is.

use serde_json::Value;

use crate::{
    kinds::Strategy,
    machinery::{
        FieldErrors, Path,
        fields::{present, text},
        format, metadata, selector,
    },
};

/// The behaviour of RuntimeClasses.
pub static STRATEGY: Strategy =
    Strategy { validate_create: validate, validate_update, create_on_update: true, ..Strategy::PLAIN };

fn validate(new: &Value, errors: &mut FieldErrors) {
    let path = Path::new("handler");
    match text(new, "handler") {
        "" => errors.required(&path, ""),
        handler => format::report(errors, &path, handler, format::is_dns1123_label(handler)),
    }
    if let Some(scheduling) = present(new, "scheduling") {
        let path = Path::new("scheduling");
        selector::validate_labels(errors, &path.child("nodeSelector"), &scheduling["nodeSelector"]);
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate_update(new, old, errors);
    metadata::immutable(errors, &Path::new("handler"), &new["handler"], &old["handler"]);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::cases;

    #[test]
    fn the_handler_is_a_label_and_stays() {
        let base = json!({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "handler": "kata"});
        cases::check_wrong(
            &base,
            &[
                (json!({}), &[]),
                (json!({"handler": null}), &["handler: Required value"]),
                (json!({"handler": "a.b"}), &["handler: Invalid value: \"a.b\": must not contain dots"]),
            ],
        );
        assert_eq!(
            cases::updated(base, &json!({"handler": "runc"})).1,
            ["handler: Invalid value: \"runc\": field is immutable"]
        );
    }
}
