//! Rules that many fields of a Pod's spec share: required texts, supported values, paths, file modes.

use serde_json::Value;

use super::aggregate::quantity;
use crate::machinery::{
    FieldErrors, Path,
    fields::{integer, is_set},
    format,
    invalid::Cause,
};

/// Each of these fields must have something.
pub fn required(errors: &mut FieldErrors, path: &Path<'_>, value: &Value, fields: &[&str]) {
    for field in fields.iter().filter(|field| !is_set(value, field)) {
        errors.required(&path.child(field), "");
    }
}

/// The value must be one of those supported.
pub fn one_of(errors: &mut FieldErrors, path: &Path<'_>, value: &str, supported: &[&str]) {
    if !supported.contains(&value) {
        errors.not_supported(path, value, supported);
    }
}

/// The value must be there, and be one of those supported.
pub fn required_one_of(errors: &mut FieldErrors, path: &Path<'_>, value: &str, supported: &[&str]) {
    if value.is_empty() {
        errors.required(path, "");
    } else {
        one_of(errors, path, value, supported);
    }
}

/// The number must be between two, inclusive.
pub fn in_range(errors: &mut FieldErrors, path: &Path<'_>, value: i64, low: i64, high: i64) {
    for problem in format::in_range(value, low, high) {
        errors.invalid(path, value, &problem);
    }
}

/// The number must be greater than zero.
pub fn positive(errors: &mut FieldErrors, path: &Path<'_>, value: i64) {
    if value <= 0 {
        errors.invalid(path, value, "must be greater than zero");
    }
}

/// The amount must be greater than zero.
pub fn positive_amount(errors: &mut FieldErrors, path: &Path<'_>, amount: &Value) {
    if quantity(amount).signum() <= 0 {
        errors.invalid(path, amount.clone(), "must be greater than zero");
    }
}

/// The number of a user or a group.
pub fn account(errors: &mut FieldErrors, path: &Path<'_>, owner: &Value, field: &str) {
    if let Some(number) = integer(owner, field) {
        in_range(errors, &path.child(field), number, 0, i32::MAX.into());
    }
}

/// The permissions of a file, if the field has any.
pub fn file_mode(errors: &mut FieldErrors, path: &Path<'_>, owner: &Value, field: &str) {
    if let Some(mode) = integer(owner, field)
        && !(0..=0o777).contains(&mode)
    {
        let detail = "must be a number between 0 and 0777 (octal), both inclusive";
        errors.invalid(&path.child(field), mode, detail);
    }
}

/// Refuses something that is wrong as a whole, without quoting it.
pub fn invalid_as_a_whole(errors: &mut FieldErrors, path: &Path<'_>, detail: &str) {
    errors.push(Cause::FieldValueInvalid, path, format!("Invalid value: {detail}"));
}

/// No part of a path may be `..`.
pub fn no_backsteps(errors: &mut FieldErrors, path: &Path<'_>, value: &str) {
    if has_backsteps(value) {
        errors.invalid(path, value, "must not contain '..'");
    }
}

/// Whether a part of a path is `..`.
pub fn has_backsteps(value: &str) -> bool {
    value.split('/').any(|part| part == "..")
}

/// A path must lead down from where it starts.
pub fn descending_path(errors: &mut FieldErrors, path: &Path<'_>, value: &str) {
    if value.starts_with('/') {
        errors.invalid(path, value, "must be a relative path");
    }
    no_backsteps(errors, path, value);
}

/// A path must lead down, to a name that the kubelet does not keep for itself.
pub fn unreserved_path(errors: &mut FieldErrors, path: &Path<'_>, value: &str) {
    descending_path(errors, path, value);
    if value.starts_with("..") && !value.starts_with("../") {
        errors.invalid(path, value, "must not start with '..'");
    }
}

/// A name that must be a DNS label.
pub fn label(errors: &mut FieldErrors, path: &Path<'_>, value: &str) {
    format::report(errors, path, value, format::is_dns1123_label(value));
}

/// A name that must be there and be a DNS label.
pub fn required_label(errors: &mut FieldErrors, path: &Path<'_>, value: &str) {
    if value.is_empty() {
        errors.required(path, "");
    } else {
        label(errors, path, value);
    }
}

/// The name of an object, which must be a DNS subdomain.
pub fn object_name(errors: &mut FieldErrors, path: &Path<'_>, value: &str) {
    format::report(errors, path, value, format::is_dns1123_subdomain(value));
}

/// A label's key, a condition's type and the like.
pub fn qualified_name(errors: &mut FieldErrors, path: &Path<'_>, value: &str) {
    format::report(errors, path, value, format::is_qualified_name(value));
}
