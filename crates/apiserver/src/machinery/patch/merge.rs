//! JSON Merge Patch (RFC 7386): what the patch names is replaced, `null` removes, objects are merged.

use serde_json::{Map, Value};

use super::PatchError;

/// Merges `patch` into `object`.
///
/// # Errors
/// A patch that is no object.
pub fn patch(object: Value, patch: Value) -> Result<Value, PatchError> {
    match patch {
        Value::Object(patch) => Ok(merge(object, patch)),
        Value::Null => Err(PatchError::Malformed("Invalid JSON Patch".to_owned())),
        other => Err(PatchError::Malformed(format!("error decoding patch: {}", not_an_object(&other)))),
    }
}

/// What Go's decoder says of a document that should have been an object and is not.
pub(super) fn not_an_object(value: &Value) -> String {
    let sort = match value {
        Value::Array(_) => "array",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Null | Value::Object(_) => "null",
    };
    format!("json: cannot unmarshal {sort} into Go value of type map[string]interface {{}}")
}

/// Recursion is bounded by the decoder's limit.
fn merge(object: Value, patch: Map<String, Value>) -> Value {
    let mut merged = match object {
        Value::Object(object) => object,
        _ => Map::new(),
    };
    for (name, value) in patch {
        match value {
            Value::Null => {
                merged.remove(&name);
            }
            Value::Object(below) => {
                let old = merged.remove(&name).unwrap_or_default();
                merged.insert(name, merge(old, below));
            }
            // A list in place of an object comes with its nulls.
            list @ Value::Array(_) if merged.get(&name).is_some_and(Value::is_object) => {
                merged.insert(name, list);
            }
            list @ Value::Array(_) => {
                merged.insert(name, without_nulls(list));
            }
            scalar => {
                merged.insert(name, scalar);
            }
        }
    }
    Value::Object(merged)
}

/// Kubernetes' library takes `null` out of objects wherever they stand in a patch, but not out of lists.
pub(super) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        scalar => scalar,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_patch_names_is_replaced_and_null_removes() {
        for (object, sent, want) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
            (json!({"a": "x"}), json!({"a": {"b": null, "c": 1}}), json!({"a": {"c": 1}})),
            (json!({}), json!({"a": [null, {"b": null}]}), json!({"a": [null, {}]})),
        ] {
            assert_eq!(patch(object.clone(), sent.clone()), Ok(want), "{object} {sent}");
        }
        for (sent, message) in [
            (json!(null), "Invalid JSON Patch"),
            (
                json!([]),
                "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}",
            ),
        ] {
            assert_eq!(patch(json!({}), sent), Err(PatchError::Malformed(message.to_owned())));
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(Value::from),
            "[a-c]".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 20, 4, |below| {
            prop_oneof![
                proptest::collection::vec(below.clone(), 0..3).prop_map(Value::from),
                proptest::collection::btree_map("[a-c]", below, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_patch_applied_twice_changes_nothing_more(object in values(), sent in values()) {
            if let Ok(once) = patch(object, sent.clone()) {
                let once = without_nulls(once);
                prop_assert_eq!(patch(once.clone(), sent).map(without_nulls), Ok(once));
            }
        }
    }
}
