//! Reading and writing the parts that every object has: apiVersion, kind and metadata.

use serde_json::{Map, Value};

/// `metadata.name`; empty where there is none.
pub fn name(object: &Value) -> &str {
    meta_text(object, "name")
}

/// `metadata.namespace`; empty where there is none.
pub fn namespace(object: &Value) -> &str {
    meta_text(object, "namespace")
}

/// `metadata.uid`; empty where there is none.
pub fn uid(object: &Value) -> &str {
    meta_text(object, "uid")
}

/// `metadata.resourceVersion`; empty where there is none.
pub fn resource_version(object: &Value) -> &str {
    meta_text(object, "resourceVersion")
}

/// `metadata.deletionTimestamp`, while the object is being deleted.
pub fn deletion_timestamp(object: &Value) -> Option<&str> {
    object.get("metadata")?.get("deletionTimestamp")?.as_str()
}

/// `metadata.finalizers`.
pub fn finalizers(object: &Value) -> Vec<&str> {
    meta(object, "finalizers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// `metadata.labels`.
pub fn labels(object: &Value) -> Option<&Map<String, Value>> {
    meta(object, "labels")?.as_object()
}

/// `metadata.annotations`.
pub fn annotations(object: &Value) -> Option<&Map<String, Value>> {
    meta(object, "annotations")?.as_object()
}

/// `metadata.FIELD`.
pub fn meta<'a>(object: &'a Value, field: &str) -> Option<&'a Value> {
    object.get("metadata")?.get(field)
}

/// The text under `field`; empty where there is none.
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The list under `field`; empty where there is none.
pub fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The texts of the list under `field`.
pub fn texts<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    list(value, field).iter().filter_map(Value::as_str)
}

/// The entries of the map under `field`, sorted; none where there is none.
pub fn entries<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
    value
        .get(field)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value))
}

/// `metadata`, made if it is not there.
pub fn metadata_mut(object: &mut Value) -> &mut Map<String, Value> {
    child_mut(object, "metadata")
}

/// The object under `field`, made if it is not there or is no object.
pub fn child_mut<'a>(object: &'a mut Value, field: &str) -> &'a mut Map<String, Value> {
    let map = map_mut(object);
    map_mut(map.entry(field.to_owned()).or_insert_with(|| Value::Object(Map::new())))
}

/// The value as an object, made one if it is not.
pub fn map_mut(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        // `value` was made an object above.
        _ => unreachable!("an object was just put here"),
    }
}

fn meta_text<'a>(object: &'a Value, field: &str) -> &'a str {
    meta(object, field).and_then(Value::as_str).unwrap_or_default()
}
