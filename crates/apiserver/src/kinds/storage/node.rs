//! CSINode: which drivers a node has.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::{
    kinds::{
        Strategy, go,
        workloads::pod_spec::{rules, volumes},
    },
    machinery::{
        FieldErrors, Path,
        fields::{integer, list, text, texts},
        metadata,
    },
};

/// The behaviour of CSINodes.
pub static STRATEGY: Strategy = Strategy {
    validate_create: validate,
    validate_update,
    unconditional_update: false,
    returns_deleted: true,
    ..Strategy::PLAIN
};

const NODE_ID_LENGTH_MAX: usize = 256;

fn validate(new: &Value, errors: &mut FieldErrors) {
    let path = Path::new("spec");
    let path = path.child("drivers");
    let mut names = HashSet::new();
    for (index, driver) in list(&new["spec"], "drivers").iter().enumerate() {
        let path = path.index(index);
        validate_driver(errors, &path, driver);
        let name = text(driver, "name");
        if !names.insert(name) {
            errors.duplicate(&path.child("name"), name);
        }
        let mut keys = HashSet::new();
        for key in texts(driver, "topologyKeys") {
            if key.is_empty() {
                errors.required(&path, "");
            }
            if !keys.insert(key) {
                errors.duplicate(&path, key);
            }
            rules::qualified_name(errors, &path, key);
        }
    }
}

fn validate_driver(errors: &mut FieldErrors, path: &Path<'_>, driver: &Value) {
    volumes::validate_driver(errors, &path.child("name"), text(driver, "name"));
    let id = text(driver, "nodeID");
    if id.is_empty() {
        errors.required(&path.child("nodeID"), "");
    }
    if id.len() > NODE_ID_LENGTH_MAX {
        let detail = format!("must be {NODE_ID_LENGTH_MAX} characters or less");
        errors.invalid(&path.child("nodeID"), id, &detail);
    }
    if let Some(count) = integer(&driver["allocatable"], "count") {
        let path = path.child("allocatable");
        metadata::non_negative(errors, &path.child("count"), count);
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate(new, false, STRATEGY.name_rule, errors);
    validate(new, errors);
    metadata::validate(new, false, STRATEGY.name_rule, errors);
    validate(new, errors);
    let path = Path::new("spec");
    let drivers = list(&new["spec"], "drivers");
    for old in list(&old["spec"], "drivers") {
        for driver in drivers.iter().filter(|driver| driver["name"] == old["name"]) {
            if ["nodeID", "topologyKeys"].iter().any(|field| driver[*field] != old[*field]) {
                go::invalid(errors, &path.child("drivers"), &written(driver), metadata::IMMUTABLE);
            }
        }
    }
}

/// A driver as the server's own struct, without what may change.
fn written(driver: &Value) -> String {
    go::structure(&[
        ("Name", go::text(driver, "name")),
        ("NodeID", go::text(driver, "nodeID")),
        ("TopologyKeys", driver["topologyKeys"].clone()),
        ("Allocatable", json!(null)),
    ])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::cases;

    #[test]
    fn what_is_wrong_with_the_drivers_of_a_node() {
        let driver = json!({"name": "d.example.com", "nodeID": "n1", "topologyKeys": ["zone"]});
        let base = json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "spec": {"drivers": [driver.clone()]}});
        cases::check_wrong(
            &base,
            &[
                (json!({}), &[]),
                (
                    json!({"spec": {"drivers": [driver, {
                        "name": "d.example.com", "nodeID": "", "topologyKeys": ["a", "a"], "allocatable": {"count": -1},
                    }]}}),
                    &[
                        "spec.drivers[1].nodeID: Required value",
                        "spec.drivers[1].allocatable.count: Invalid value: -1: must be greater than or equal to 0",
                        "spec.drivers[1].name: Duplicate value: \"d.example.com\"",
                        "spec.drivers[1]: Duplicate value: \"a\"",
                    ],
                ),
                (
                    json!({"spec": {"drivers": [{"name": "d", "nodeID": "n".repeat(257)}]}}),
                    &[&format!(
                        "spec.drivers[0].nodeID: Invalid value: \"{}\": must be 256 characters or less",
                        "n".repeat(257)
                    )],
                ),
            ],
        );
        let changed = |driver: serde_json::Value| {
            cases::updated(base.clone(), &json!({"spec": {"drivers": [driver]}})).1
        };
        assert_eq!(changed(json!({"name": "e", "nodeID": "x"})), [""; 0]);
        assert_eq!(
            changed(json!({"name": "d.example.com", "nodeID": "n2"})),
            [
                "spec.drivers: Invalid value: {\"Name\":\"d.example.com\",\"NodeID\":\"n2\",\"TopologyKeys\":null,\
              \"Allocatable\":null}: field is immutable"
            ]
        );
        let allocatable = json!({
            "name": "d.example.com", "nodeID": "n1", "topologyKeys": ["zone"], "allocatable": {"count": 3},
        });
        assert_eq!(changed(allocatable), [""; 0]);
    }
}
