//! Reading and filling the fields of a decoded value. What is absent or `null` reads as the zero value of its type,
//! as it does in Go.

use serde_json::{Map, Value};

pub use super::object::{entries, list, text, texts};

/// The value of a field, unless it is absent or `null`.
pub fn present<'a>(value: &'a Value, field: &str) -> Option<&'a Value> {
    value.get(field).filter(|value| !value.is_null())
}

/// A whole number, if it is there.
pub fn integer(value: &Value, field: &str) -> Option<i64> {
    value[field].as_i64()
}

/// A whole number; 0 where there is none.
pub fn number(value: &Value, field: &str) -> i64 {
    integer(value, field).unwrap_or_default()
}

/// Whether a flag is set.
pub fn flag(value: &Value, field: &str) -> bool {
    value[field] == true
}

/// Whether a field has something: it is there, and is no zero, empty text, list or map.
pub fn is_set(value: &Value, field: &str) -> bool {
    match &value[field] {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// Gives a field a value where it has none.
pub fn fill(map: &mut Map<String, Value>, field: &str, value: impl Into<Value>) {
    if map.get(field).is_none_or(Value::is_null) {
        map.insert(field.to_owned(), value.into());
    }
}

/// Gives a field a value where it has none or zero: fields that are no pointers in Go.
pub fn fill_zero(map: &mut Map<String, Value>, field: &str, value: i64) {
    if map.get(field).and_then(Value::as_i64).unwrap_or_default() == 0 {
        map.insert(field.to_owned(), value.into());
    }
}

/// The object under `field`, if there is one, to be changed.
pub fn object_mut<'a>(map: &'a mut Map<String, Value>, field: &str) -> Option<&'a mut Map<String, Value>> {
    map.get_mut(field)?.as_object_mut()
}

/// The objects in the list under `field`, to be changed.
pub fn objects_mut<'a>(
    map: &'a mut Map<String, Value>,
    field: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    let items = map.get_mut(field).and_then(Value::as_array_mut);
    items.into_iter().flatten().filter_map(Value::as_object_mut)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_absent_reads_as_zero() {
        let value = json!({"t": "x", "l": ["a"], "n": 3, "f": true, "m": {"k": 1}, "null": null});
        assert_eq!((text(&value, "t"), text(&value, "no"), text(&Value::Null, "t")), ("x", "", ""));
        assert_eq!(texts(&value, "l").collect::<Vec<_>>(), ["a"]);
        assert!(list(&value, "null").is_empty() && list(&value, "t").is_empty());
        assert_eq!((integer(&value, "n"), integer(&value, "no"), number(&value, "no")), (Some(3), None, 0));
        assert!(flag(&value, "f") && !flag(&value, "no"));
        assert_eq!(entries(&value, "m").map(|(key, _)| key).collect::<Vec<_>>(), ["k"]);
        assert!(present(&value, "null").is_none() && present(&value, "m").is_some());
        assert!(is_set(&value, "m") && !is_set(&value, "null"));
    }

    #[test]
    fn only_what_is_missing_is_filled() {
        let mut value = json!({"a": 1, "b": null, "z": 0});
        let map = value.as_object_mut().unwrap();
        fill(map, "a", 2);
        fill(map, "b", "x");
        fill(map, "c", true);
        fill_zero(map, "z", 5);
        fill_zero(map, "a", 5);
        assert_eq!(value, json!({"a": 1, "b": "x", "c": true, "z": 5}));
    }
}
