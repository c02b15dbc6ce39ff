//! Objects in and out of storage: in the version that they are kept in, and in the one that was asked for.

use serde_json::Value;

use crate::{
    kinds::{Resource, table},
    machinery::{Schema, conform, defaults, object, schema::Shape},
    storage::{Draft, Object, Terms},
};

/// A stored object as a value of `resource`'s version.
pub fn decode(resource: &Resource, object: &Object) -> Value {
    let mut value = object.decode();
    if resource.storage_version == resource.api_version {
        return value;
    }
    if let Some(conversion) = resource.conversion {
        return (conversion.from_storage)(value);
    }
    // Versions without a conversion differ in their name, and in what their definitions let through.
    object::map_mut(&mut value).insert("apiVersion".into(), (*resource.api_version).into());
    shape(&resource.schema, &mut value);
    value
}

/// Encodes an object for storage, in the storage version.
pub fn draft(resource: &Resource, mut value: Value) -> Draft {
    if resource.storage_version == resource.api_version {
        let terms = terms(resource, &value);
        return Draft::new(&value, terms);
    }
    if let Some(conversion) = resource.conversion {
        value = (conversion.to_storage)(value);
    } else {
        object::map_mut(&mut value).insert("apiVersion".into(), (*resource.storage_version).into());
        let versions = resource.custom.as_ref().map(|custom| custom.versions.iter());
        let kept = versions.into_iter().flatten().find(|(version, _)| **version == *resource.storage_version);
        if let Some((_, schema)) = kept {
            shape(schema, &mut value);
        }
    }
    // Selectors ask by the names that the storage version has.
    let stored_as = table::of_kind(&resource.storage_version, &resource.kind);
    let terms = terms(stored_as.as_deref().unwrap_or(resource), &value);
    Draft::new(&value, terms)
}

/// What selectors may ask of an object.
fn terms(resource: &Resource, value: &Value) -> Terms {
    let labels = object::labels(value)
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    let fields: Vec<(&str, String)> = resource
        .selectable_fields
        .iter()
        .filter(|field| !field.starts_with("metadata."))
        .filter_map(|field| Some((&**field, field_text(resource, value, field)?)))
        .collect();
    Terms::new(labels, fields.iter().map(|(name, value)| (*name, value.as_str())))
}

/// Selectable fields that are not called what they are.
const FIELD_ALIASES: &[(&str, &str)] =
    &[("status.successful", "status.succeeded"), ("source", "source.component")];

fn field_text(resource: &Resource, value: &Value, field: &str) -> Option<String> {
    let path = FIELD_ALIASES.iter().find(|(alias, _)| *alias == field).map_or(field, |(_, path)| path);
    let (mut value, mut schema) = (Some(value), Some(&*resource.schema));
    for part in path.split('.').filter(|part| !part.is_empty()) {
        value = value.and_then(|value| value.get(part));
        schema = schema.and_then(|schema| schema.child(part));
    }
    match (value, schema.map(Schema::shape)) {
        (Some(Value::String(text)), _) => Some(text.clone()),
        (Some(Value::Bool(flag)), _) => Some(flag.to_string()),
        (Some(Value::Number(number)), _) => Some(number.to_string()),
        _ if resource.custom.is_some() => Some(String::new()),
        (_, Some(Shape::Boolean)) => Some("false".into()),
        (_, Some(Shape::Integer(_))) => Some("0".into()),
        _ => None,
    }
}

/// Brings an object of another version into the form of this one: what it does not know goes, its defaults come.
fn shape(schema: &Schema, value: &mut Value) {
    conform_typed(schema, value);
    defaults::fill(schema, value);
}

/// The normal form of an object, whose `apiVersion` and `kind` no schema has.
pub fn conform_typed(schema: &Schema, value: &mut Value) {
    let map = object::map_mut(value);
    let type_meta = [("apiVersion", map.remove("apiVersion")), ("kind", map.remove("kind"))];
    // It conformed when it was decoded; what strategies add is of the right types.
    let _ = conform::conform(schema, value);
    let map = object::map_mut(value);
    for (field, text) in type_meta {
        map.extend(text.map(|text| (field.to_owned(), text)));
    }
}
