//! The schemas of Kubernetes' own types, read from the embedded facts, each type when it is first asked for.
//!
//! The table has a line a type, sorted by name: a type is found by bisection, so that nobody pays for reading the
//! types that are not used.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, LazyLock},
};

use parking_lot::RwLock;
use serde::Deserialize;
use serde_json::Value;

use super::schema::{
    ArrayShape, Field, Format, ListType, ObjectShape, PatchStrategy, Presence, Reference, Schema, Shape,
    Width,
};

static FACTS: &str = include_str!("../../data/schema.json");

/// The types that were asked for. They stay for good: how many there can be is bounded by the table.
static READ: LazyLock<RwLock<HashMap<&'static str, &'static Schema>>> = LazyLock::new(RwLock::default);

/// The schema of the built-in type of this OpenAPI name, such as `io.k8s.api.core.v1.Pod`.
pub fn schema(name: &str) -> Option<&'static Schema> {
    if let Some(schema) = READ.read().get(name) {
        return Some(schema);
    }
    let (name, facts) = line(name)?;
    // The table is part of the program: a test says that all of it parses.
    let schema = type_of(name, serde_json::from_str(facts).unwrap_or_default());
    // Whoever was faster has read the same.
    Some(READ.write().entry(name).or_insert_with(|| Box::leak(Box::new(schema))))
}

/// `name` as the table has it, if it is a built-in type's.
pub fn interned_name(name: &str) -> Option<&'static str> {
    line(name).map(|(name, _)| name)
}

/// The OpenAPI names of all built-in types, sorted.
pub fn names() -> Vec<&'static str> {
    FACTS.lines().filter_map(entry).map(|(name, _)| name).collect()
}

/// The facts of a type as they stand in the table (OpenAPI is written from them).
pub fn facts(name: &str) -> Option<Value> {
    serde_json::from_str(line(name)?.1).ok()
}

/// The name and the facts of a type: half of what is left of the table goes with each look.
fn line(name: &str) -> Option<(&'static str, &'static str)> {
    let mut left = FACTS.strip_prefix("{\n")?.strip_suffix("}\n")?;
    while !left.is_empty() {
        let (before, after) = left.split_at(left.floor_char_boundary(left.len() / 2));
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let end = after.find('\n').map_or(left.len(), |at| before.len() + at + 1);
        let found = entry(&left[start..end])?;
        left = match name.cmp(found.0) {
            std::cmp::Ordering::Less => &left[..start],
            std::cmp::Ordering::Equal => return Some(found),
            std::cmp::Ordering::Greater => &left[end..],
        };
    }
    None
}

/// `"NAME": FACTS,` in its parts.
fn entry(line: &'static str) -> Option<(&'static str, &'static str)> {
    let (name, facts) = line.strip_prefix('"')?.split_once("\": ")?;
    Some((name, facts.trim_end_matches(['\n', ','])))
}

/// What the table says of a type.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct TypeFacts<'a> {
    #[serde(borrow)]
    fields: Option<BTreeMap<&'a str, FieldFacts<'a>>>,
    #[serde(default)]
    required: Vec<&'a str>,
    r#type: Option<&'a str>,
    map_type: Option<&'a str>,
}

/// What it says of a field, of the items of a list and of the values of a map.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct FieldFacts<'a> {
    r#type: Option<&'a str>,
    format: Option<&'a str>,
    #[serde(rename = "ref")]
    reference: Option<&'a str>,
    #[serde(borrow)]
    items: Option<Box<FieldFacts<'a>>>,
    #[serde(borrow, rename = "additionalProperties")]
    additional: Option<Box<FieldFacts<'a>>>,
    default: Option<Value>,
    list_type: Option<&'a str>,
    #[serde(default)]
    list_map_keys: Vec<&'a str>,
    map_type: Option<&'a str>,
    #[serde(default)]
    patch_strategy: &'a str,
    patch_merge_key: Option<&'a str>,
    #[serde(default)]
    pointer: bool,
    omit: Option<&'a str>,
    #[serde(default)]
    proto: Box<[u16]>,
    go: Option<&'a str>,
    go_type: Option<&'a str>,
    #[serde(default)]
    wrapped: bool,
}

fn type_of(name: &'static str, facts: TypeFacts<'static>) -> Schema {
    let short = name.rsplit('.').next().unwrap_or(name);
    let shape = match short {
        "Quantity" => Shape::String(Format::Quantity),
        "Time" => Shape::String(Format::Time),
        "MicroTime" => Shape::String(Format::MicroTime),
        "IntOrString" => Shape::IntOrString,
        _ => match facts.fields {
            Some(fields) => Shape::Object(Arc::new(ObjectShape {
                fields: fields
                    .into_iter()
                    .map(|(name, field)| (name.into(), field_of(field, facts.required.contains(&name))))
                    .collect(),
                atomic: facts.map_type == Some("atomic"),
                name: Some(name),
                ..ObjectShape::default()
            })),
            None if facts.r#type == Some("object") && short == "CustomResourceSubresourceStatus" => {
                Shape::Object(Arc::new(ObjectShape { name: Some(name), ..ObjectShape::default() }))
            }
            None => Shape::Any,
        },
    };
    Schema::of(shape)
}

fn field_of(mut facts: FieldFacts<'static>, required: bool) -> Field {
    let strategies = facts.patch_strategy;
    Field {
        required,
        presence: match (facts.pointer, facts.omit) {
            (true, Some(_)) => Presence::OmitAbsent,
            (true, None) => Presence::NullAbsent,
            (false, Some("zero")) => Presence::OmitZero,
            (false, Some(_)) => Presence::OmitEmpty,
            (false, None) => Presence::Always,
        },
        proto: std::mem::take(&mut facts.proto),
        go: facts.go.zip(facts.go_type),
        patch: PatchStrategy {
            merge: strategies.split(',').any(|strategy| strategy == "merge"),
            retain_keys: strategies.split(',').any(|strategy| strategy == "retainKeys"),
            replace: strategies.split(',').any(|strategy| strategy == "replace"),
        },
        patch_merge_key: facts.patch_merge_key.map(Into::into),
        schema: schema_of(facts),
    }
}

fn schema_of(facts: FieldFacts<'static>) -> Schema {
    let shape = match (facts.reference, facts.r#type) {
        (Some(name), _) => Shape::Named(Reference::new(name)),
        (None, Some("boolean")) => Shape::Boolean,
        (None, Some("integer")) if facts.format == Some("int32") => Shape::Integer(Width::Int32),
        (None, Some("integer")) => Shape::Integer(Width::Int64),
        (None, Some("number")) => Shape::Number,
        (None, Some("string")) if facts.format == Some("byte") => Shape::String(Format::Bytes),
        (None, Some("string")) => Shape::String(Format::Plain),
        (None, Some("array")) => Shape::Array(Arc::new(ArrayShape {
            items: facts.items.map_or_else(Schema::default, |items| schema_of(*items)),
            list_type: match facts.list_type {
                Some("set") => ListType::Set,
                Some("map") => ListType::Map(facts.list_map_keys.into_iter().map(Into::into).collect()),
                _ => ListType::Atomic,
            },
            wrapped: facts.wrapped,
        })),
        (None, Some("object")) => Shape::Object(Arc::new(ObjectShape {
            additional: facts.additional.map(|values| schema_of(*values)),
            atomic: facts.map_type == Some("atomic"),
            ..ObjectShape::default()
        })),
        _ => Shape::Any,
    };
    Schema {
        shape,
        // The zero values that Go's own fields have are `Presence`'s matter, not defaults; those of pointers are.
        default: facts.default.filter(|value| facts.pointer || !is_zero(value)),
        atomic: facts.map_type.map(|map_type| map_type == "atomic"),
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
    fn every_line_of_the_table_is_found_by_bisection() {
        let whole: BTreeMap<String, Value> = serde_json::from_str(FACTS).unwrap();
        assert_eq!(names(), whole.keys().collect::<Vec<_>>());
        for (name, own) in &whole {
            assert_eq!(facts(name).as_ref(), Some(own), "{name}");
            serde_json::from_str::<TypeFacts>(line(name).unwrap().1).unwrap();
        }
        for unknown in ["", "a", "io.k8s.api.core.v1.Po", "io.k8s.api.core.v1.Podd", "z", "{", "}", "\n"] {
            assert_eq!(line(unknown), None, "{unknown}");
        }
    }

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
