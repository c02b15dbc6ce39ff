//! What is wrong with an object, field by field: the causes of a 422 answer (`field.ErrorList` in Kubernetes).

use std::{
    collections::HashSet,
    fmt::{self, Display, Write},
};

use serde_json::Value;

use super::path::Path;

/// Everything that is wrong with an object, in the order in which it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldErrors(Vec<FieldError>);

/// One thing that is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The sort of error.
    pub reason: Cause,
    /// Where it is, such as `spec.containers[0].name`.
    pub field: String,
    /// What is wrong: the whole sentence without the field, such as `Invalid value: "x": must be …`.
    pub message: String,
}

/// The sort of a field's error; its name is the `reason` of a `StatusCause`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names of the API
pub enum Cause {
    FieldValueNotFound,
    FieldValueRequired,
    FieldValueDuplicate,
    FieldValueInvalid,
    FieldValueNotSupported,
    FieldValueForbidden,
    FieldValueTooLong,
    FieldValueTooMany,
    InternalError,
    FieldValueTypeInvalid,
}

impl Cause {
    /// The name as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FieldValueNotFound => "FieldValueNotFound",
            Self::FieldValueRequired => "FieldValueRequired",
            Self::FieldValueDuplicate => "FieldValueDuplicate",
            Self::FieldValueInvalid => "FieldValueInvalid",
            Self::FieldValueNotSupported => "FieldValueNotSupported",
            Self::FieldValueForbidden => "FieldValueForbidden",
            Self::FieldValueTooLong => "FieldValueTooLong",
            Self::FieldValueTooMany => "FieldValueTooMany",
            Self::InternalError => "InternalError",
            Self::FieldValueTypeInvalid => "FieldValueTypeInvalid",
        }
    }
}

/// More errors than this are an attack, not mistakes: the rest goes without saying.
const ERRORS_MAX: usize = 1000;

impl FieldErrors {
    /// No errors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many errors there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The errors, in order.
    pub fn iter(&self) -> impl Iterator<Item = &FieldError> {
        self.0.iter()
    }

    /// Adds an error whose sentence is already written.
    pub fn push(&mut self, reason: Cause, path: &Path<'_>, message: impl Into<String>) {
        if self.0.len() < ERRORS_MAX {
            self.0.push(FieldError { reason, field: path.to_string(), message: message.into() });
        }
    }

    /// Adds all of `others`.
    pub fn extend(&mut self, others: FieldErrors) {
        self.0.extend(others.0);
        self.0.truncate(ERRORS_MAX);
    }

    /// `Required value` and what to do, if `detail` says anything.
    pub fn required(&mut self, path: &Path<'_>, detail: &str) {
        self.push(Cause::FieldValueRequired, path, with_detail("Required value".into(), detail));
    }

    /// `Invalid value: "x": …`.
    pub fn invalid(&mut self, path: &Path<'_>, value: impl Into<Value>, detail: &str) {
        let message = format!("Invalid value: {}", quoted(&value.into()));
        self.push(Cause::FieldValueInvalid, path, with_detail(message, detail));
    }

    /// `Unsupported value: "x": supported values: "a", "b"`; the supported values in the order given.
    pub fn not_supported(&mut self, path: &Path<'_>, value: impl Into<Value>, supported: &[&str]) {
        let mut message = format!("Unsupported value: {}", quoted(&value.into()));
        for (position, value) in supported.iter().enumerate() {
            message.push_str(if position == 0 { ": supported values: " } else { ", " });
            let _ = write!(message, "{}", quoted(&(*value).into()));
        }
        self.push(Cause::FieldValueNotSupported, path, message);
    }

    /// `Forbidden: …`.
    pub fn forbidden(&mut self, path: &Path<'_>, detail: &str) {
        self.push(Cause::FieldValueForbidden, path, with_detail("Forbidden".into(), detail));
    }

    /// `Duplicate value: "x"`.
    pub fn duplicate(&mut self, path: &Path<'_>, value: impl Into<Value>) {
        self.push(Cause::FieldValueDuplicate, path, format!("Duplicate value: {}", quoted(&value.into())));
    }

    /// `Not found: "x"`.
    pub fn not_found(&mut self, path: &Path<'_>, value: impl Into<Value>) {
        self.push(Cause::FieldValueNotFound, path, format!("Not found: {}", quoted(&value.into())));
    }

    /// `Too long: may not be more than N bytes`.
    pub fn too_long(&mut self, path: &Path<'_>, max: usize) {
        self.push(Cause::FieldValueTooLong, path, format!("Too long: may not be more than {max} bytes"));
    }

    /// `Too many: N: must have at most M items`.
    pub fn too_many(&mut self, path: &Path<'_>, actual: usize, max: usize) {
        let message = format!("Too many: {actual}: must have at most {max} items");
        self.push(Cause::FieldValueTooMany, path, message);
    }
}

/// All errors as one sentence; what is said twice is written once.
impl Display for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut seen = HashSet::new();
        let unique: Vec<String> =
            self.0.iter().map(FieldError::to_string).filter(|error| seen.insert(error.clone())).collect();
        match unique.as_slice() {
            [one] => f.write_str(one),
            many => write!(f, "[{}]", many.join(", ")),
        }
    }
}

impl Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl FromIterator<FieldError> for FieldErrors {
    fn from_iter<T: IntoIterator<Item = FieldError>>(errors: T) -> Self {
        Self(errors.into_iter().collect())
    }
}

impl IntoIterator for FieldErrors {
    type Item = FieldError;
    type IntoIter = std::vec::IntoIter<FieldError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

fn with_detail(mut message: String, detail: &str) -> String {
    if !detail.is_empty() {
        message.push_str(": ");
        message.push_str(detail);
    }
    message
}

/// A value as an error quotes it: texts as Go's `%q`, everything else as JSON.
pub fn quoted(value: &Value) -> String {
    match value {
        Value::String(text) => go_quoted(text),
        other => other.to_string(),
    }
}

/// A text as Go's `%q` writes it: quoted, with everything that cannot be printed escaped.
pub fn go_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_kubernetes_writes_them() {
        let path = Path::new("spec");
        let mut errors = FieldErrors::new();
        errors.required(&path, "name or generateName is required");
        errors.required(&path, "");
        errors.invalid(&path, -1, "must be greater than or equal to 0");
        errors.invalid(&path, "a\"b\n", "");
        errors.not_supported(&path, "x", &["a", "b"]);
        errors.forbidden(&path, "may not");
        errors.duplicate(&path, "x");
        errors.too_long(&path, 3);
        let messages: Vec<_> = errors.iter().map(|error| error.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "Required value: name or generateName is required",
                "Required value",
                "Invalid value: -1: must be greater than or equal to 0",
                "Invalid value: \"a\\\"b\\n\"",
                "Unsupported value: \"x\": supported values: \"a\", \"b\"",
                "Forbidden: may not",
                "Duplicate value: \"x\"",
                "Too long: may not be more than 3 bytes",
            ]
        );
    }
}
