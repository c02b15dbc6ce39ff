//! Values as Kubernetes' errors quote them. An error that quotes a struct quotes the server's own, whose fields have Go's
//! names and order.

use serde_json::Value;

use crate::machinery::{
    FieldErrors, Path, builtin,
    invalid::Cause,
    schema::{Field, Format, ObjectShape, Schema, Shape},
};

/// A value of the built-in type of this OpenAPI name as the server's own struct: all of its fields, those that were
/// left out with their zero values.
pub(super) fn written(type_name: &str, value: &Value) -> String {
    match builtin::schema(type_name) {
        Some(schema) => written_as(schema, value),
        None => value.to_string(),
    }
}

fn written_as(schema: &Schema, value: &Value) -> String {
    match (schema.shape(), value) {
        (Shape::Object(object), Value::Object(_)) if has_own_names(object) => {
            let mut fields: Vec<_> = object.fields.iter().collect();
            fields.sort_by_key(|(_, field)| &field.proto);
            let fields: Vec<String> = fields
                .into_iter()
                .map(|(name, field)| {
                    let own = match &value[&**name] {
                        Value::Null => zero(field),
                        own => written_as(&field.schema, own),
                    };
                    format!("\"{}\":{own}", field.go.map_or(&**name, |(own_name, _)| own_name))
                })
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        (Shape::Object(object), Value::Object(map)) if object.additional.is_some() => {
            let entries: Vec<String> = map
                .iter()
                .map(|(key, value)| {
                    let value = object.additional.as_ref().map(|schema| written_as(schema, value));
                    format!("{}:{}", Value::from(key.as_str()), value.unwrap_or_default())
                })
                .collect();
            format!("{{{}}}", entries.join(","))
        }
        (Shape::Array(array), Value::Array(items)) => {
            let items: Vec<String> = items.iter().map(|item| written_as(&array.items, item)).collect();
            format!("[{}]", items.join(","))
        }
        _ => value.to_string(),
    }
}

/// Whether the server has a type of its own for an API type; those of the machinery are used as they are.
fn has_own_names(object: &ObjectShape) -> bool {
    !object.fields.is_empty() && object.name.is_some_and(|name| !name.starts_with("io.k8s.apimachinery."))
}

/// What Go writes for a field that was left out.
fn zero(field: &Field) -> String {
    let go_type = field.go.map_or("", |(_, go_type)| go_type);
    if go_type.starts_with(['*', '[']) || go_type.starts_with("map[") {
        return "null".to_owned();
    }
    match field.schema.shape() {
        Shape::Boolean => "false".to_owned(),
        Shape::Integer(_) | Shape::Number | Shape::IntOrString => "0".to_owned(),
        Shape::String(Format::Plain) => "\"\"".to_owned(),
        Shape::String(Format::Quantity) => "\"0\"".to_owned(),
        Shape::Object(_) => written_as(&field.schema, &Value::Object(serde_json::Map::new())),
        _ => "null".to_owned(),
    }
}

/// A struct with these fields, in this order: Go's name, and the value (`Null` for none).
pub(super) fn structure(fields: &[(&str, Value)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

/// The text under `field`; empty where there is none, as a Go string is.
pub(super) fn text(value: &Value, field: &str) -> Value {
    value.get(field).filter(|value| value.is_string()).cloned().unwrap_or_else(|| "".into())
}

/// Adds `Invalid value: WRITTEN: detail`.
pub(super) fn invalid(errors: &mut FieldErrors, path: &Path<'_>, written: &str, detail: &str) {
    errors.push(Cause::FieldValueInvalid, path, format!("Invalid value: {written}: {detail}"));
}

/// Adds `Duplicate value: WRITTEN`.
pub(super) fn duplicate(errors: &mut FieldErrors, path: &Path<'_>, written: &str) {
    errors.push(Cause::FieldValueDuplicate, path, format!("Duplicate value: {written}"));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_written_with_the_names_of_the_server() {
        let spec = json!({
            "attacher": "a", "nodeName": "n", "source": {"inlineVolumeSpec": {
                "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}, "capacity": {"storage": "1"},
            }},
        });
        let text = written("io.k8s.api.storage.v1.VolumeAttachmentSpec", &spec);
        let start = "{\"Attacher\":\"a\",\"Source\":{\"PersistentVolumeName\":null,\"InlineVolumeSpec\":{\"Capacity\":\
                     {\"storage\":\"1\"},\"GCEPersistentDisk\":null,";
        assert_eq!(text.get(..start.len()), Some(start));
        assert!(text.contains("\"HostPath\":{\"Path\":\"/x\",\"Type\":null}"), "{text}");
        assert!(text.ends_with("},\"NodeName\":\"n\"}"), "{text}");
    }
}
