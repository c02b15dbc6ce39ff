//! JSON Patch (RFC 6902): a list of operations, as Kubernetes' library (`evanphx/json-patch`) carries them out. It is
//! laxer than the RFC: an object's field need not exist to be replaced, and a missing value is `null`.

use std::fmt::Display;

use serde_json::{Map, Value};

use super::PatchError;

/// More operations than this are refused.
pub const OPERATIONS_MAX: usize = 10_000;
/// More bytes than this are not copied by all `copy` operations of a patch together.
pub const COPIED_BYTES_MAX: usize = 3 * 1024 * 1024;
/// More list items than this are not moved by insertions and removals of a patch together, so that no patch can keep
/// the server busy for long.
const MOVED_ITEMS_MAX: usize = 100_000_000;

/// What strict decoding of a patch finds (any `fieldValidation` but `Ignore`): the fields of operations that
/// operations do not have, as warnings name them.
///
/// # Errors
/// A patch that is no list of operations.
pub fn check(patch: &Value) -> Result<Vec<String>, PatchError> {
    let wrong = |value: &Value, what: &str| {
        let sort = match value {
            Value::Object(_) => "object",
            Value::Array(_) => "array",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) | Value::Null => "string",
        };
        Err(PatchError::Malformed(format!(
            "error decoding patch: json: cannot unmarshal {sort} into Go {what}"
        )))
    };
    let operations = match patch {
        Value::Array(operations) => operations,
        Value::Null => return Ok(Vec::new()),
        other => return wrong(other, "value of type []handlers.jsonPatchOp"),
    };
    let mut unknown = Vec::new();
    for (index, operation) in operations.iter().enumerate() {
        let fields = match operation {
            Value::Object(fields) => fields,
            Value::Null => continue,
            other => return wrong(other, "value of type handlers.jsonPatchOp"),
        };
        for (name, value) in fields {
            match name.as_str() {
                "op" | "path" | "from" if !value.is_string() && !value.is_null() => {
                    return wrong(value, &format!("struct field jsonPatchOp.{name} of type string"));
                }
                "op" | "path" | "from" | "value" => {}
                other if unknown.len() < UNKNOWN_MAX => {
                    unknown.push(format!("json patch unknown field \"[{index}].{other}\""));
                }
                _ => {}
            }
        }
    }
    Ok(unknown)
}

/// More unknown fields than this are not told.
const UNKNOWN_MAX: usize = 100;

/// Carries out the operations of `patch` on `object`.
///
/// # Errors
/// A patch that is no list of operations or has too many, and operations that do not fit the object.
pub fn patch(object: Value, patch: &Value) -> Result<Value, PatchError> {
    let operations = match patch {
        Value::Array(operations) => operations.as_slice(),
        Value::Null => &[],
        _ => {
            let message = "json: cannot unmarshal object into Go value of type jsonpatch.Patch";
            return Err(PatchError::Malformed(message.to_owned()));
        }
    };
    if operations.len() > OPERATIONS_MAX {
        return Err(PatchError::TooManyOperations(operations.len()));
    }
    let mut document = Document { root: object, copied_bytes: 0, moved_items: 0 };
    for operation in operations {
        document.carry_out(operation)?;
    }
    Ok(document.root)
}

/// How deep an object may be nested: as deep as the decoder reads, so that it can be stored and read again.
const DEPTH_MAX: usize = 127;

struct Document {
    root: Value,
    copied_bytes: usize,
    moved_items: usize,
}

/// An object or a list, and the name or position of something in it.
enum Place<'d> {
    Field(&'d mut Map<String, Value>, String),
    Item(&'d mut Vec<Value>, String),
}

fn inapplicable<T>(why: impl Display) -> Result<T, PatchError> {
    Err(PatchError::Inapplicable(why.to_string()))
}

impl Document {
    fn carry_out(&mut self, operation: &Value) -> Result<(), PatchError> {
        let text = |field: &str| operation.get(field).and_then(Value::as_str);
        let value = || operation.get("value").cloned().unwrap_or_default();
        let kind = text("op").unwrap_or("unknown");
        let Some(path) = text("path") else {
            return inapplicable(format_args!("{kind} operation failed to decode path: missing value"));
        };
        match kind {
            "add" => self.add(path, value()),
            "remove" => self.remove(path).map(|_| ()),
            "replace" if path.is_empty() => match value() {
                root @ (Value::Object(_) | Value::Array(_)) => {
                    self.root = root;
                    Ok(())
                }
                _ => inapplicable("replace operation value must be object or array"),
            },
            "replace" => self.replace(path, value()),
            "test" => self.test(path, &value()),
            "move" | "copy" => {
                let Some(from) = text("from") else {
                    return inapplicable(format_args!(
                        "{kind} operation failed to decode from: missing value"
                    ));
                };
                let moved = if kind == "move" { self.remove(from)? } else { self.copied(from)? };
                self.add(path, moved)
            }
            other => inapplicable(format_args!("Unexpected kind: {other}")),
        }
    }

    /// Where `path` leads to; its last step need not exist.
    fn place(&mut self, path: &str) -> Result<Place<'_>, PatchError> {
        let missing = || PatchError::Inapplicable(format!("doc is missing path: {path:?}: missing value"));
        // What stands before the first slash is not looked at.
        let (_, steps) = path.split_once('/').map_or(("", path), |(before, rest)| (before, rest));
        if !path.contains('/') {
            return Err(missing());
        }
        let (parents, last) =
            steps.rsplit_once('/').map_or((None, steps), |(parents, last)| (Some(parents), last));
        let mut container = &mut self.root;
        for step in parents.into_iter().flat_map(|parents| parents.split('/')) {
            container = match container {
                Value::Object(map) => map.get_mut(&unescaped(step)).ok_or_else(missing)?,
                Value::Array(items) => {
                    let index = existing(step, items.len())?;
                    items.get_mut(index).ok_or_else(missing)?
                }
                _ => return Err(missing()),
            };
        }
        match container {
            Value::Object(map) => Ok(Place::Field(map, unescaped(last))),
            Value::Array(items) => Ok(Place::Item(items, unescaped(last))),
            _ => Err(missing()),
        }
    }

    fn add(&mut self, path: &str, value: Value) -> Result<(), PatchError> {
        check_depth(path, &value)?;
        let moved = match self.place(path)? {
            Place::Field(map, name) => {
                map.insert(name, value);
                0
            }
            Place::Item(items, position) => {
                let index = match position.as_str() {
                    "-" => items.len(),
                    position => existing(position, items.len() + 1)?,
                };
                items.insert(index, value);
                items.len() - index
            }
        };
        self.count_moved(moved)
    }

    fn remove(&mut self, path: &str) -> Result<Value, PatchError> {
        let (removed, moved) = match self.place(path)? {
            Place::Field(map, name) => match map.remove(&name) {
                Some(removed) => (removed, 0),
                None => {
                    return inapplicable(format_args!(
                        "Unable to remove nonexistent key: {name}: missing value"
                    ));
                }
            },
            Place::Item(items, position) => {
                let index = existing(&position, items.len())?;
                (items.remove(index), items.len() - index)
            }
        };
        self.count_moved(moved)?;
        Ok(removed)
    }

    fn replace(&mut self, path: &str, value: Value) -> Result<(), PatchError> {
        check_depth(path, &value)?;
        match self.place(path)? {
            Place::Field(map, name) => {
                map.insert(name, value);
            }
            Place::Item(items, position) => {
                let index = existing(&position, items.len())?;
                items[index] = value;
            }
        }
        Ok(())
    }

    /// What is not there counts as `null`.
    fn test(&mut self, path: &str, want: &Value) -> Result<(), PatchError> {
        let found = if path.is_empty() { &self.root } else { self.get(path)? };
        if found == want {
            Ok(())
        } else {
            inapplicable(format_args!("testing value {path} failed: test failed"))
        }
    }

    fn copied(&mut self, from: &str) -> Result<Value, PatchError> {
        let copy = self.get(from)?.clone();
        self.copied_bytes += copy.to_string().len();
        if self.copied_bytes > COPIED_BYTES_MAX {
            return inapplicable(format_args!(
                "Unable to complete the copy, the accumulated size increase of copy is {}, exceeding the limit \
                 {COPIED_BYTES_MAX}",
                self.copied_bytes
            ));
        }
        Ok(copy)
    }

    fn get(&mut self, path: &str) -> Result<&Value, PatchError> {
        static NULL: Value = Value::Null;
        match self.place(path)? {
            Place::Field(map, name) => Ok(map.get(&name).unwrap_or(&NULL)),
            Place::Item(items, position) => {
                let index = existing(&position, items.len())?;
                Ok(&items[index])
            }
        }
    }

    fn count_moved(&mut self, items: usize) -> Result<(), PatchError> {
        self.moved_items += items;
        if self.moved_items > MOVED_ITEMS_MAX {
            return inapplicable("too many list items moved");
        }
        Ok(())
    }
}

/// Copies could otherwise nest an object without end.
fn check_depth(path: &str, value: &Value) -> Result<(), PatchError> {
    fn depth(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
            Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
            _ => 0,
        }
    }
    let above = path.split('/').count().saturating_sub(1);
    if above + depth(value) > DEPTH_MAX {
        return inapplicable(format_args!("{path} is nested too deep"));
    }
    Ok(())
}

/// The index of an item of a list of this length; negative positions count from the end.
fn existing(position: &str, len: usize) -> Result<usize, PatchError> {
    let Ok(index) = position.parse::<i64>() else {
        return inapplicable(format_args!("value was not a proper array index: '{position}'"));
    };
    let from_start =
        if index < 0 { i64::try_from(len).unwrap_or(i64::MAX).saturating_add(index) } else { index };
    match usize::try_from(from_start) {
        Ok(index) if index < len => Ok(index),
        _ => inapplicable(format_args!("Unable to access invalid index: {index}: invalid index referenced")),
    }
}

/// A step of a path (RFC 6901): `~1` stands for `/`, `~0` for `~`.
fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(object: &Value, operations: Value) -> Result<Value, PatchError> {
        patch(object.clone(), &operations)
    }

    #[test]
    fn operations_change_fields_and_items() {
        let object =
            json!({"data": {"a": "1", "b": "2", "x/y": 1, "m~n": 2}, "list": [1, 2, 3], "null": null});
        for (operation, pointer, want) in [
            (json!({"op": "add", "path": "/data/c", "value": "3"}), "/data/c", json!("3")),
            (json!({"op": "add", "path": "/data/c"}), "/data/c", json!(null)),
            (json!({"op": "add", "path": "data", "value": 1}), "", json!("missing")),
            (json!({"op": "add", "path": "data/z", "value": 1}), "/z", json!(1)),
            (json!({"op": "replace", "path": "/data/none", "value": "x"}), "/data/none", json!("x")),
            (json!({"op": "replace", "path": "/data/x~1y", "value": 9}), "/data/x~1y", json!(9)),
            (json!({"op": "replace", "path": "/data/m~0n", "value": 9}), "/data/m~0n", json!(9)),
            (json!({"op": "remove", "path": "/list/-1"}), "/list", json!([1, 2])),
            (json!({"op": "add", "path": "/list/-", "value": 4}), "/list", json!([1, 2, 3, 4])),
            (json!({"op": "add", "path": "/list/-1", "value": 4}), "/list", json!([1, 2, 3, 4])),
            (json!({"op": "add", "path": "/list/0", "value": 0}), "/list", json!([0, 1, 2, 3])),
            (json!({"op": "replace", "path": "/list/1", "value": 0}), "/list", json!([1, 0, 3])),
            (json!({"op": "move", "from": "/data/a", "path": "/data/z"}), "/data/z", json!("1")),
            (json!({"op": "copy", "from": "/list", "path": "/data/list"}), "/data/list", json!([1, 2, 3])),
            (json!({"op": "copy", "from": "/nowhere", "path": "/data/x"}), "/data/x", json!(null)),
            (json!({"op": "test", "path": "/data/a", "value": "1"}), "/data/a", json!("1")),
            (json!({"op": "test", "path": "/null", "value": null}), "/null", json!(null)),
            (json!({"op": "test", "path": "/none"}), "/null", json!(null)),
            (json!({"op": "replace", "path": "", "value": {"a": 1}}), "/a", json!(1)),
        ] {
            let result = patched(&object, json!([operation]));
            if want == "missing" {
                assert!(result.is_err(), "{operation}");
            } else {
                assert_eq!(result.unwrap().pointer(pointer), Some(&want), "{operation}");
            }
        }
        assert_eq!(patched(&object, json!([])), Ok(object.clone()));
        assert_eq!(patched(&object, json!(null)), Ok(object));
    }

    #[test]
    fn operations_that_do_not_fit_are_refused_and_change_nothing() {
        let object = json!({"data": {"a": "1"}, "list": [1]});
        for operation in [
            json!({"op": "test", "path": "/data/a", "value": "2"}),
            json!({"op": "test", "path": "/data/a"}),
            json!({"op": "remove", "path": "/data/none"}),
            json!({"op": "remove", "path": "/list/1"}),
            json!({"op": "remove", "path": "/list/-2"}),
            json!({"op": "remove", "path": "/list/x"}),
            json!({"op": "frobnicate", "path": "/data/a"}),
            json!({"path": "/data/a"}),
            json!({"op": "add", "value": 1}),
            json!({"op": "add", "path": "", "value": {}}),
            json!({"op": "add", "path": "/nested/deep", "value": 1}),
            json!({"op": "add", "path": "/data/a/b", "value": 1}),
            json!({"op": "add", "path": "/list/2", "value": 1}),
            json!({"op": "replace", "path": "/list/1", "value": 1}),
            json!({"op": "replace", "path": "", "value": 1}),
            json!({"op": "move", "path": "/data/b"}),
            json!({"op": "move", "from": "/data/none", "path": "/data/b"}),
            json!(null),
        ] {
            let result = patched(&object, json!([operation]));
            assert!(matches!(result, Err(PatchError::Inapplicable(_))), "{operation}: {result:?}");
            assert_eq!(result.unwrap_err().to_api_error().code, 422);
        }
    }

    #[test]
    fn patches_are_bounded() {
        let operation = json!({"op": "test", "path": "/a", "value": null});
        let operations = |count: usize| Value::from(vec![operation.clone(); count]);
        assert!(patched(&json!({}), operations(OPERATIONS_MAX)).is_ok());
        let error = patched(&json!({}), operations(OPERATIONS_MAX + 1)).unwrap_err().to_api_error();
        assert_eq!((error.code, error.reason), (413, "RequestEntityTooLarge"));
        assert_eq!(
            error.message,
            "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
        );
        // Doubles with each operation, if it may.
        let copy = json!({"op": "copy", "from": "/a", "path": "/a/-"});
        let result = patched(&json!({"a": ["0123456789"]}), Value::from(vec![copy; 40]));
        assert!(matches!(&result, Err(PatchError::Inapplicable(why)) if why.contains("exceeding the limit")));
    }

    #[test]
    fn an_object_cannot_be_nested_deeper_than_it_can_be_read() {
        // Each copies the object into its innermost self.
        let operations: Vec<Value> = (0..20_u32)
            .map(|round| json!({"op": "copy", "from": "/a", "path": "/a".repeat(1 << round) + "/a"}))
            .collect();
        let result = patched(&json!({"a": {}}), Value::from(operations));
        assert!(
            matches!(&result, Err(PatchError::Inapplicable(why)) if why.contains("too deep")),
            "{result:?}"
        );
        let mut deepest = json!(1);
        for _ in 0..DEPTH_MAX - 1 {
            deepest = json!([deepest]);
        }
        let add = |value: &Value| patched(&json!({}), json!([{"op": "add", "path": "/a", "value": value}]));
        let object = add(&deepest).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&object.to_string()).unwrap(), object);
        assert!(add(&json!([deepest])).is_err());
    }

    #[test]
    fn a_patch_is_checked_before_it_is_carried_out() {
        let operation = json!({"op": "add", "path": "/a", "values": 1, "z": 2});
        assert_eq!(
            check(&json!([null, operation])),
            Ok(vec![
                "json patch unknown field \"[1].values\"".to_owned(),
                "json patch unknown field \"[1].z\"".to_owned(),
            ])
        );
        for (sent, message) in [
            (json!({}), "json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
            (json!([1]), "json: cannot unmarshal number into Go value of type handlers.jsonPatchOp"),
            (
                json!([{"op": 1}]),
                "json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string",
            ),
        ] {
            let message = format!("error decoding patch: {message}");
            assert_eq!(check(&sent), Err(PatchError::Malformed(message)), "{sent}");
        }
    }
}
