//! The schemas of Kubernetes' own types, read from the embedded facts, each type when it is first asked for.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, LazyLock, OnceLock},
};

use serde_json::{Value, value::RawValue};

use super::schema::{
    ArrayShape, Field, Format, ListType, ObjectShape, PatchStrategy, Presence, Reference, Schema, Shape,
    Width,
};

static FACTS: &str = include_str!("../../data/schema.json");

struct Entry {
    facts: &'static RawValue,
    schema: OnceLock<Schema>,
}

static TYPES: LazyLock<HashMap<&'static str, Entry>> = LazyLock::new(|| {
    // The table is part of the program: a test says that it parses, so nothing is lost by being empty if it did not.
    let facts: BTreeMap<&'static str, &'static RawValue> = serde_json::from_str(FACTS).unwrap_or_default();
    facts.into_iter().map(|(name, facts)| (name, Entry { facts, schema: OnceLock::new() })).collect()
});

/// The schema of the built-in type of this OpenAPI name, such as `io.k8s.api.core.v1.Pod`.
pub fn schema(name: &str) -> Option<&'static Schema> {
    let (&name, entry) = TYPES.get_key_value(name)?;
    Some(entry.schema.get_or_init(|| {
        let facts: Value = serde_json::from_str(entry.facts.get()).unwrap_or_default();
        type_of(name, &facts)
    }))
}

/// `name` as the table has it, if it is a built-in type's.
pub fn interned_name(name: &str) -> Option<&'static str> {
    TYPES.get_key_value(name).map(|(name, _)| *name)
}

/// The OpenAPI names of all built-in types, sorted.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = TYPES.keys().copied().collect();
    names.sort_unstable();
    names
}

/// The facts of a type as they stand in the table (OpenAPI is written from them).
pub fn facts(name: &str) -> Option<Value> {
    serde_json::from_str(TYPES.get(name)?.facts.get()).ok()
}

fn type_of(name: &'static str, facts: &Value) -> Schema {
    let short = name.rsplit('.').next().unwrap_or(name);
    let shape = match short {
        "Quantity" => Shape::String(Format::Quantity),
        "Time" => Shape::String(Format::Time),
        "MicroTime" => Shape::String(Format::MicroTime),
        "IntOrString" => Shape::IntOrString,
        _ => match facts.get("fields").and_then(Value::as_object) {
            Some(fields) => struct_of(name, facts, fields),
            None if facts["type"] == "object" && short == "CustomResourceSubresourceStatus" => {
                Shape::Object(Arc::new(ObjectShape { name: Some(name), ..ObjectShape::default() }))
            }
            None => Shape::Any,
        },
    };
    Schema::of(shape)
}

fn struct_of(name: &'static str, facts: &Value, fields: &serde_json::Map<String, Value>) -> Shape {
    let required: Vec<&str> =
        facts["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    Shape::Object(Arc::new(ObjectShape {
        fields: fields
            .iter()
            .map(|(name, facts)| (name.as_str().into(), field_of(facts, required.contains(&name.as_str()))))
            .collect(),
        atomic: facts["map-type"] == "atomic",
        name: Some(name),
        ..ObjectShape::default()
    }))
}

fn field_of(facts: &Value, required: bool) -> Field {
    let strategies = facts["patch-strategy"].as_str().unwrap_or_default();
    Field {
        schema: schema_of(facts),
        required,
        presence: match (facts["pointer"] == true, facts["omit"].as_str()) {
            (true, Some(_)) => Presence::OmitAbsent,
            (true, None) => Presence::NullAbsent,
            (false, Some("zero")) => Presence::OmitZero,
            (false, Some(_)) => Presence::OmitEmpty,
            (false, None) => Presence::Always,
        },
        proto: facts["proto"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|number| u16::try_from(number.as_u64()?).ok())
            .collect(),
        go: interned(&facts["go"]).zip(interned(&facts["go-type"])),
        patch: PatchStrategy {
            merge: strategies.split(',').any(|strategy| strategy == "merge"),
            retain_keys: strategies.split(',').any(|strategy| strategy == "retainKeys"),
            replace: strategies.split(',').any(|strategy| strategy == "replace"),
        },
        patch_merge_key: facts["patch-merge-key"].as_str().map(Into::into),
    }
}

/// Each type is read once, so that what is leaked here is bounded by the table.
fn interned(text: &Value) -> Option<&'static str> {
    Some(Box::leak(text.as_str()?.to_owned().into_boxed_str()))
}

fn schema_of(facts: &Value) -> Schema {
    let shape = if let Some(name) = facts["ref"].as_str() {
        match TYPES.get_key_value(name) {
            Some((name, _)) => Shape::Named(Reference::new(name)),
            None => Shape::Any,
        }
    } else {
        match facts["type"].as_str() {
            Some("boolean") => Shape::Boolean,
            Some("integer") if facts["format"] == "int32" => Shape::Integer(Width::Int32),
            Some("integer") => Shape::Integer(Width::Int64),
            Some("number") => Shape::Number,
            Some("string") if facts["format"] == "byte" => Shape::String(Format::Bytes),
            Some("string") => Shape::String(Format::Plain),
            Some("array") => Shape::Array(Arc::new(ArrayShape {
                items: schema_of(&facts["items"]),
                list_type: match facts["list-type"].as_str() {
                    Some("set") => ListType::Set,
                    Some("map") => ListType::Map(
                        facts["list-map-keys"]
                            .as_array()
                            .into_iter()
                            .flatten()
                            .filter_map(Value::as_str)
                            .map(Into::into)
                            .collect(),
                    ),
                    _ => ListType::Atomic,
                },
                wrapped: facts["wrapped"] == true,
            })),
            Some("object") => Shape::Object(Arc::new(ObjectShape {
                additional: facts
                    .get("additionalProperties")
                    .filter(|values| values.is_object())
                    .map(schema_of),
                atomic: facts["map-type"] == "atomic",
                ..ObjectShape::default()
            })),
            _ => Shape::Any,
        }
    };
    Schema {
        shape,
        // The zero values that Go's own fields have are `Presence`'s matter, not defaults; those of pointers are.
        default: facts.get("default").filter(|value| facts["pointer"] == true || !is_zero(value)).cloned(),
        atomic: facts["map-type"].as_str().map(|map_type| map_type == "atomic"),
        ..Schema::default()
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_the_table_is_read_and_every_reference_resolves() {
        assert!(names().len() > 500);
        for name in names() {
            let schema = schema(name).unwrap();
            let Some(object) = schema.object() else { continue };
            for (field, entry) in &object.fields {
                for inner in [Some(&entry.schema), entry.schema.items()].into_iter().flatten() {
                    if let Shape::Named(reference) = &inner.shape {
                        assert!(
                            super::schema(reference.name()).is_some(),
                            "{name}.{field}: {}",
                            reference.name()
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_containers_ports_merge_by_port_and_protocol() {
        let container = schema("io.k8s.api.core.v1.Container").unwrap();
        let ports = container.field("ports").unwrap();
        assert_eq!(
            ports.schema.array().unwrap().list_type,
            ListType::Map(vec!["containerPort".into(), "protocol".into()])
        );
        assert_eq!(ports.patch_merge_key.as_deref(), Some("containerPort"));
        assert_eq!(container.field("name").unwrap().presence, Presence::Always);
        assert_eq!(container.field("securityContext").unwrap().presence, Presence::OmitAbsent);
        let protocol = ports.schema.items().unwrap().field("protocol").unwrap();
        assert_eq!(protocol.schema.default, Some("TCP".into()));
    }
}
