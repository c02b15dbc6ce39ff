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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::testing::{assert_lines, created, updated},
        *,
    };

    #[test]
    fn what_was_stays() {
        let old = json!({"data": {"a": 1}, "revision": 1});
        assert_lines(&created(&STRATEGY, &old), &[], &old);
        let bare = json!({"revision": -1});
        assert_lines(
            &created(&STRATEGY, &bare),
            &[
                "data: Required value: data is mandatory",
                "revision: Invalid value: -1: must be greater than or equal to 0",
            ],
            &bare,
        );
        let new = json!({"data": {"a": 2}, "revision": 2});
        assert_lines(
            &updated(&STRATEGY, &new, &old),
            &["data: Invalid value: {\"a\":2}: field is immutable"],
            &new,
        );
    }
}
