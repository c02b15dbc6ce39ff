//! What the tests of this subject share.

use crate::machinery::FieldErrors;

/// The errors as lines: `field: message`.
pub fn lines(errors: &FieldErrors) -> Vec<String> {
    errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect()
}
