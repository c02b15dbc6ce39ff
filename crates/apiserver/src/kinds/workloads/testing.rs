//! What the tests of this subject share: things that are valid, and the lines that are said of what is wrong in them.

use serde_json::{Value, json};

use super::pod_spec::{self, defaults};
use crate::{
    kinds::strategy::Strategy,
    machinery::{FieldErrors, Path},
};

/// The errors as lines: `field: message`.
pub fn lines(errors: &FieldErrors) -> Vec<String> {
    errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect()
}

/// `value` with the fields of `more`; `null` takes a field away.
pub fn with(mut value: Value, more: &Value) -> Value {
    for (field, more) in more.as_object().unwrap() {
        let fields = value.as_object_mut().unwrap();
        if more.is_null() {
            fields.remove(field);
        } else {
            fields.insert(field.clone(), more.clone());
        }
    }
    value
}

/// A valid container, with the fields of `more`.
pub fn container(more: &Value) -> Value {
    with(json!({"name": "c", "image": "i:1"}), more)
}

/// A valid spec of a Pod, with the fields of `more`, filled in.
pub fn spec(more: &Value) -> Value {
    let mut spec = with(json!({"containers": [container(&json!({}))]}), more);
    defaults::fill_spec(spec.as_object_mut().unwrap());
    spec
}

/// A Pod whose spec has the fields of `more`, filled in and made as new ones are.
pub fn pod(more: &Value) -> Value {
    let spec = with(json!({"containers": [container(&json!({}))]}), more);
    let mut pod = json!({"metadata": {"name": "p", "namespace": "n"}, "spec": spec});
    (super::pod::STRATEGY.default)(&mut pod);
    (super::pod::STRATEGY.prepare_create)(&mut pod);
    pod
}

/// A template that is labelled `app: a`, with a valid spec.
pub fn template(more: &Value) -> Value {
    json!({"metadata": {"labels": {"app": "a"}}, "spec": spec(more)})
}

/// What is wrong with a spec that has these fields.
pub fn spec_errors(more: &Value) -> Vec<String> {
    let mut errors = FieldErrors::new();
    pod_spec::validate(&mut errors, &Path::new("spec"), &spec(more), None);
    lines(&errors)
}

/// What is wrong with a container that has these fields.
pub fn container_errors(more: &Value) -> Vec<String> {
    spec_errors(&json!({"containers": [container(more)]}))
}

/// What is wrong with a new object.
pub fn created(strategy: &Strategy, object: &Value) -> Vec<String> {
    let mut errors = FieldErrors::new();
    (strategy.validate_create)(object, &mut errors);
    lines(&errors)
}

/// What is wrong with an object that replaces another.
pub fn updated(strategy: &Strategy, new: &Value, old: &Value) -> Vec<String> {
    let mut errors = FieldErrors::new();
    (strategy.validate_update)(new, old, &mut errors);
    lines(&errors)
}

/// What is wrong with a write to the status.
pub fn reported(strategy: &Strategy, new: &Value, old: &Value) -> Vec<String> {
    let mut errors = FieldErrors::new();
    (strategy.validate_status)(new, old, &mut errors);
    lines(&errors)
}

/// Compares lines; one that is to end in `…` may go on in any way.
#[track_caller]
pub fn assert_lines(got: &[String], want: &[&str], of: &Value) {
    let same = |got: &str, want: &str| match want.strip_suffix('…') {
        Some(beginning) => got.starts_with(beginning),
        None => got == want,
    };
    let all = got.len() == want.len() && got.iter().zip(want).all(|(got, want)| same(got, want));
    assert!(all, "{of}\n got: {got:#?}\nwant: {want:#?}");
}
