//! Values as Kubernetes' errors quote them. An error that quotes a struct quotes the server's own, whose fields have Go's
//! names and order.

use serde_json::Value;

use crate::machinery::{FieldErrors, Path, invalid::Cause};

/// A struct with these fields, in this order: Go's name, and the value (`Null` for none).
pub(super) fn structure(fields: &[(&str, Value)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

/// The text under `field`; empty where there is none, as a Go string is.
pub(super) fn text(value: &Value, field: &str) -> Value {
    value.get(field).filter(|value| value.is_string()).cloned().unwrap_or_else(|| "".into())
}

/// Adds `Invalid value: WRITTEN: detail`.
pub(super) fn invalid(errors: &mut FieldErrors, path: &Path<'_>, written: &str, detail: &str) {
    errors.push(Cause::FieldValueInvalid, path, format!("Invalid value: {written}: {detail}"));
}

/// Adds `Duplicate value: WRITTEN`.
pub(super) fn duplicate(errors: &mut FieldErrors, path: &Path<'_>, written: &str) {
    errors.push(Cause::FieldValueDuplicate, path, format!("Duplicate value: {written}"));
}
