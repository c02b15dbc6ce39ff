//! The definitions of built-in types, from the same facts that decoding goes by.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{dialect::Dialect, texts::Texts};
use crate::machinery::builtin;

/// How the facts name what OpenAPI has extensions for.
const EXTENSIONS: [(&str, &str); 6] = [
    ("list-type", "x-kubernetes-list-type"),
    ("list-map-keys", "x-kubernetes-list-map-keys"),
    ("map-type", "x-kubernetes-map-type"),
    ("patch-strategy", "x-kubernetes-patch-strategy"),
    ("patch-merge-key", "x-kubernetes-patch-merge-key"),
    ("unions", "x-kubernetes-unions"),
];

/// The definition of a built-in type, if there is one of that name.
pub fn definition(name: &str, dialect: Dialect) -> Option<Value> {
    let facts = builtin::facts(name)?;
    let texts = Texts::of(name);
    let mut definition = Map::new();
    if let Some(text) = texts.get("") {
        definition.insert("description".to_owned(), text.into());
    }
    match (facts.get("oneOf"), dialect) {
        // An amount, or a number or text: Swagger 2.0 has no alternatives.
        (Some(_), Dialect::V2) => {
            definition.insert("type".to_owned(), "string".into());
        }
        (Some(alternatives), Dialect::V3) => {
            definition.insert("oneOf".to_owned(), alternatives.clone());
        }
        (None, _) => copy(&facts, "type", &mut definition),
    }
    copy(&facts, "format", &mut definition);
    if let Some(fields) = facts.get("fields").and_then(Value::as_object) {
        let properties: Map<String, Value> = fields
            .iter()
            .map(|(field, facts)| (field.clone(), property(facts, texts.get(field), dialect)))
            .collect();
        definition.insert("properties".to_owned(), Value::Object(properties));
    }
    copy(&facts, "required", &mut definition);
    extend(&facts, &mut definition);
    if let Some(kinds) = facts.get("gvk").and_then(Value::as_array) {
        let kinds: Vec<Value> = kinds.iter().filter_map(Value::as_str).map(group_version_kind).collect();
        definition.insert("x-kubernetes-group-version-kind".to_owned(), kinds.into());
    }
    Some(Value::Object(definition))
}

/// `GROUP/VERSION/KIND` or `VERSION/KIND` in parts.
fn group_version_kind(text: &str) -> Value {
    let mut parts = text.rsplitn(3, '/');
    let (kind, version) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    json!({"group": parts.next().unwrap_or_default(), "version": version, "kind": kind})
}

fn property(facts: &Value, text: Option<&str>, dialect: Dialect) -> Value {
    let mut schema = Map::new();
    if let Some(text) = text {
        schema.insert("description".to_owned(), text.into());
    }
    if dialect == Dialect::V3 {
        copy(facts, "default", &mut schema);
    }
    value_schema(facts, schema, dialect)
}

/// The schema of items and of a map's values, which Go has no place to say a default for: it is their zero value.
fn element(facts: &Value, dialect: Dialect) -> Value {
    let mut schema = Map::new();
    if dialect == Dialect::V3
        && let Some(zero) = zero(facts)
    {
        schema.insert("default".to_owned(), zero);
    }
    value_schema(facts, schema, dialect)
}

fn value_schema(facts: &Value, mut schema: Map<String, Value>, dialect: Dialect) -> Value {
    for field in ["type", "format", "enum"] {
        copy(facts, field, &mut schema);
    }
    extend(facts, &mut schema);
    for field in ["items", "additionalProperties"] {
        if let Some(facts) = facts.get(field) {
            let inner = if facts.is_object() { element(facts, dialect) } else { facts.clone() };
            schema.insert(field.to_owned(), inner);
        }
    }
    if let Some(name) = facts["ref"].as_str() {
        dialect.refer(&mut schema, name);
    }
    Value::Object(schema)
}

fn zero(facts: &Value) -> Option<Value> {
    if let Some(name) = facts["ref"].as_str() {
        // Types that write themselves, as amounts and times do, have no zero value that JSON can say.
        let is_struct = builtin::schema(name).is_some_and(|schema| schema.object().is_some());
        return is_struct.then(|| json!({}));
    }
    match facts["type"].as_str()? {
        "string" if facts["format"] != "byte" => Some("".into()),
        "integer" | "number" => Some(0.into()),
        "boolean" => Some(false.into()),
        _ => None,
    }
}

fn copy(facts: &Value, field: &str, schema: &mut Map<String, Value>) {
    if let Some(value) = facts.get(field) {
        schema.insert(field.to_owned(), value.clone());
    }
}

fn extend(facts: &Value, schema: &mut Map<String, Value>) {
    for (fact, extension) in EXTENSIONS {
        if let Some(value) = facts.get(fact) {
            schema.insert(extension.to_owned(), value.clone());
        }
    }
}

/// The definitions that are needed to understand the types named in `wanted`, by name.
pub fn closure(wanted: BTreeSet<String>, dialect: Dialect) -> Map<String, Value> {
    let mut definitions = Map::new();
    let mut open: Vec<String> = wanted.into_iter().collect();
    while let Some(name) = open.pop() {
        if definitions.contains_key(&name) {
            continue;
        }
        let Some(definition) = definition(&name, dialect) else { continue };
        references(&definition, &mut open);
        definitions.insert(name, definition);
    }
    definitions
}

/// The names of all definitions that a document refers to.
pub fn references(document: &Value, names: &mut Vec<String>) {
    match document {
        Value::Object(map) => {
            if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                names.extend(reference.rsplit('/').next().map(str::to_owned));
            }
            map.values().for_each(|value| references(value, names));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, names)),
        _ => {}
    }
}
