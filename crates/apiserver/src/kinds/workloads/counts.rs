//! The numbers of Pods that controllers report in their status.

use serde_json::Value;

use crate::machinery::{
    FieldErrors, Path,
    fields::{integer, number},
    metadata,
};

/// None of these numbers may be negative.
pub fn validate_all(errors: &mut FieldErrors, path: &Path<'_>, owner: &Value, fields: &[&str]) {
    for field in fields {
        metadata::non_negative(errors, &path.child(field), number(owner, field));
    }
}

/// None of these numbers may be more than that under `most`; `detail` says so.
pub fn validate_at_most(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    status: &Value,
    fields: &[&str],
    most: &str,
    detail: &str,
) {
    let most = number(status, most);
    for field in fields {
        let number = number(status, field);
        if number > most {
            errors.invalid(&path.child(field), number, detail);
        }
    }
}

/// The number of names that collided must not go down.
pub fn validate_collisions(errors: &mut FieldErrors, path: &Path<'_>, new: &Value, old: &Value) {
    const FIELD: &str = "collisionCount";
    if let Some(old) = integer(old, FIELD)
        && integer(new, FIELD).is_none_or(|new| new < old)
    {
        errors.invalid(&path.child(FIELD), number(new, FIELD), "cannot be decremented");
    }
}

/// What is wrong with the status of a ReplicationController or a ReplicaSet.
pub fn validate_replicas(errors: &mut FieldErrors, path: &Path<'_>, status: &Value) {
    const FIELDS: [&str; 6] = [
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "terminatingReplicas",
        "observedGeneration",
    ];
    validate_all(errors, path, status, &FIELDS);
    let parts = ["fullyLabeledReplicas", "readyReplicas", "availableReplicas"];
    validate_at_most(errors, path, status, &parts, "replicas", MORE_THAN_ALL);
    validate_at_most(errors, path, status, &["availableReplicas"], "readyReplicas", MORE_THAN_READY);
}

/// What is said of a part that is more than the whole.
pub const MORE_THAN_ALL: &str = "cannot be greater than status.replicas";
/// What is said of more Pods that are available than are ready.
pub const MORE_THAN_READY: &str = "cannot be greater than readyReplicas";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::workloads::testing::lines;

    #[test]
    fn a_part_is_at_most_the_whole() {
        let mut errors = FieldErrors::new();
        let status =
            json!({"replicas": 2, "readyReplicas": 1, "availableReplicas": 3, "observedGeneration": -1});
        validate_replicas(&mut errors, &Path::new("status"), &status);
        assert_eq!(
            lines(&errors),
            [
                "status.observedGeneration: Invalid value: -1: must be greater than or equal to 0",
                "status.availableReplicas: Invalid value: 3: cannot be greater than status.replicas",
                "status.availableReplicas: Invalid value: 3: cannot be greater than readyReplicas",
            ]
        );
    }

    #[test]
    fn collisions_are_never_undone() {
        for (new, old, want) in [
            (json!({}), json!({}), ""),
            (json!({"collisionCount": 1}), json!({}), ""),
            (json!({"collisionCount": 2}), json!({"collisionCount": 2}), ""),
            (
                json!({"collisionCount": 1}),
                json!({"collisionCount": 2}),
                "status.collisionCount: Invalid value: 1: cannot be decremented",
            ),
            (
                json!({}),
                json!({"collisionCount": 0}),
                "status.collisionCount: Invalid value: 0: cannot be decremented",
            ),
        ] {
            let mut errors = FieldErrors::new();
            validate_collisions(&mut errors, &Path::new("status"), &new, &old);
            assert_eq!(lines(&errors).join("\n"), want);
        }
    }
}
