//! What must be true of a device before a Pod is bound, and what says that it never will be.

use std::collections::HashSet;

use serde_json::Value;

use super::names::{item_text, validate_items};
use crate::{
    kinds::workloads::pod_spec::rules,
    machinery::{
        FieldErrors, Path,
        fields::{list, texts},
    },
};

const CONDITIONS_MAX: usize = 4;
const CONDITIONS: &str = "bindingConditions";
const FAILURES: &str = "bindingFailureConditions";

/// What is wrong with the two lists of conditions.
pub fn validate(errors: &mut FieldErrors, path: &Path<'_>, owner: &Value) {
    for field in [CONDITIONS, FAILURES] {
        let path = path.child(field);
        validate_items(errors, &path, list(owner, field), CONDITIONS_MAX, |errors, path, item| {
            rules::qualified_name(errors, path, item_text(item));
        });
    }
    let mut conditions = HashSet::new();
    for (index, condition) in texts(owner, CONDITIONS).enumerate() {
        if !conditions.insert(condition) {
            errors.duplicate(&path.child(CONDITIONS).index(index), condition);
        }
    }
    let mut failures = HashSet::new();
    for (index, condition) in texts(owner, FAILURES).enumerate() {
        let path = path.child(FAILURES);
        let path = path.index(index);
        if !failures.insert(condition) {
            errors.duplicate(&path, condition);
        }
        if conditions.contains(condition) {
            let detail = "bindingFailureConditions must not overlap with bindingConditions";
            errors.invalid(&path, condition, detail);
        }
    }
    if conditions.is_empty() != failures.is_empty() {
        let (missing, present) =
            if conditions.is_empty() { (CONDITIONS, FAILURES) } else { (FAILURES, CONDITIONS) };
        let detail = format!("{missing} are required to use {present}");
        errors.invalid(&path.child(missing), Value::Null, &detail);
    }
}
