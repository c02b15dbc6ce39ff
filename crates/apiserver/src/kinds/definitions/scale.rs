//! What the `scale` subresource of a custom resource demands of its objects.

use serde_json::Value;

use crate::{
    kinds::{Part, ScalePaths},
    machinery::{FieldErrors, Path, go_format},
};

/// What stands at field names with dots between them.
pub fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, name| value.get(name))
}

/// Adds what is wrong with the numbers and the selector of `value` after a write to `part`.
pub fn validate(paths: &ScalePaths, value: &Value, part: Part, errors: &mut FieldErrors) {
    if part != Part::Status {
        replicas(&paths.replicas, value, errors);
    }
    replicas(&paths.status_replicas, value, errors);
    if let Some(path) = &paths.label_selector
        && let Some(selector) = at(value, path).filter(|selector| !selector.is_string())
    {
        errors.invalid(&Path::new(&shown(path)), "", &wrong_type(path, selector, "string"));
    }
}

fn replicas(path: &str, value: &Value, errors: &mut FieldErrors) {
    let Some(found) = at(value, path) else { return };
    let shown = shown(path);
    let field = Path::new(&shown);
    match found.as_i64() {
        None => errors.invalid(&field, 0, &wrong_type(path, found, "int64")),
        Some(number) if number < 0 => errors.invalid(&field, number, "should be a non-negative integer"),
        Some(number) if number > i64::from(i32::MAX) => {
            errors.invalid(&field, number, &format!("should be less than or equal to {}", i32::MAX));
        }
        Some(_) => {}
    }
}

/// The path as the definition has it.
fn shown(path: &str) -> String {
    format!(".{path}")
}

/// In Go's words.
fn wrong_type(path: &str, found: &Value, wanted: &str) -> String {
    let (text, sort) = (go_format::plain(found), go_format::type_of(found));
    format!("{} accessor error: {text} is of the type {sort}, expected {wanted}", shown(path))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn replicas_are_small_natural_numbers_and_selectors_are_texts() {
        let paths = ScalePaths {
            replicas: "spec.size".into(),
            status_replicas: "status.size".into(),
            label_selector: Some("status.selector".into()),
        };
        for (value, part, want) in [
            (json!({}), Part::Main, ""),
            (json!({"spec": {"size": 3}, "status": {"size": 0, "selector": "a=b"}}), Part::Main, ""),
            (
                json!({"spec": {"size": -1}, "status": {"size": -2}}),
                Part::Main,
                ".spec.size: Invalid value: -1: should be a non-negative integer; \
                 .status.size: Invalid value: -2: should be a non-negative integer",
            ),
            (json!({"spec": {"size": -1}}), Part::Status, ""),
            (
                json!({"spec": {"size": 2_147_483_648_i64}}),
                Part::Main,
                ".spec.size: Invalid value: 2147483648: should be less than or equal to 2147483647",
            ),
            (
                json!({"spec": {"size": "3"}}),
                Part::Main,
                ".spec.size: Invalid value: 0: .spec.size accessor error: 3 is of the type string, expected int64",
            ),
            (
                json!({"status": {"selector": 3}}),
                Part::Status,
                ".status.selector: Invalid value: \"\": .status.selector accessor error: 3 is of the type int64, \
                 expected string",
            ),
        ] {
            let mut errors = FieldErrors::new();
            validate(&paths, &value, part, &mut errors);
            let said: Vec<String> =
                errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect();
            assert_eq!(said.join("; "), want);
        }
    }
}
