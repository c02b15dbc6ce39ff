//! Reading fields of an object by path, where what is absent reads as Go's zero value.

use serde_json::{Map, Value};

static NULL: Value = Value::Null;

/// The value at `path` (names with dots between), `null` where there is none.
pub fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').try_fold(value, |value, field| value.get(field)).unwrap_or(&NULL)
}

/// The text at `path`, empty where there is none.
pub fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    at(value, path).as_str().unwrap_or_default()
}

/// The text at `path`, or `otherwise` where it is absent or empty.
pub fn text_or<'a>(value: &'a Value, path: &str, otherwise: &'a str) -> &'a str {
    Some(text(value, path)).filter(|text| !text.is_empty()).unwrap_or(otherwise)
}

/// The text at `path`, which may be empty, or `otherwise` where it is absent.
pub fn pointer_or<'a>(value: &'a Value, path: &str, otherwise: &'a str) -> &'a str {
    at(value, path).as_str().unwrap_or(otherwise)
}

/// The whole number at `path`, 0 where there is none.
pub fn number(value: &Value, path: &str) -> i64 {
    at(value, path).as_i64().unwrap_or_default()
}

/// Whether the value at `path` is `true`.
pub fn flag(value: &Value, path: &str) -> bool {
    at(value, path).as_bool().unwrap_or_default()
}

/// Whether there is a value at `path`.
pub fn is_set(value: &Value, path: &str) -> bool {
    !at(value, path).is_null()
}

/// The items at `path`, none where there is no list.
pub fn items<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    at(value, path).as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The texts at `path`.
pub fn texts<'a>(value: &'a Value, path: &str) -> Vec<&'a str> {
    items(value, path).iter().filter_map(Value::as_str).collect()
}

/// The map at `path`, if there is one.
pub fn map<'a>(value: &'a Value, path: &str) -> Option<&'a Map<String, Value>> {
    at(value, path).as_object()
}

/// How many entries the list or map at `path` has.
pub fn count(value: &Value, path: &str) -> usize {
    match at(value, path) {
        Value::Array(items) => items.len(),
        Value::Object(map) => map.len(),
        _ => 0,
    }
}

/// The first item at `path` whose `type` is `type_`: a condition, an address.
pub fn of_type<'a>(value: &'a Value, path: &str, type_: &str) -> Option<&'a Value> {
    items(value, path).iter().find(|item| text(item, "type") == type_)
}

/// Whether the first condition of that type at `path` is `True`.
pub fn is_true(value: &Value, path: &str, type_: &str) -> bool {
    of_type(value, path, type_).is_some_and(|condition| text(condition, "status") == "True")
}
