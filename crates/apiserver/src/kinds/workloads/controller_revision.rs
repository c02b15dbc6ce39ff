//! ControllerRevision: what the template of a StatefulSet or a DaemonSet was at some time.

use serde_json::Value;

use super::counts;
use crate::{
    kinds::strategy::Strategy,
    machinery::{FieldErrors, Path, fields::present, metadata},
};

/// The behaviour of ControllerRevision.
pub static STRATEGY: Strategy = Strategy {
    validate_create: |new, errors| validate(errors, new),
    validate_update: |new, old, errors| {
        validate(errors, new);
        metadata::immutable(errors, &Path::new("data"), &new["data"], &old["data"]);
    },
    ..Strategy::PLAIN
};

fn validate(errors: &mut FieldErrors, revision: &Value) {
    if present(revision, "data").is_none() {
        errors.required(&Path::new("data"), "data is mandatory");
    }
    counts::validate_all(errors, &Path::ROOT, revision, &["revision"]);
}
