//! The definitions of custom resources, from their [`Schema`].

use serde_json::{Map, Value, json};

use super::{dialect::Dialect, operations::Names, texts::Texts};
use crate::{
    kinds::Resource,
    machinery::schema::{Format, ListType, ObjectShape, Schema, Shape, Width},
};

/// What a definition may demand beyond its shape, and is published as it stands.
const RULES: [&str; 20] = [
    "title",
    "format",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "multipleOf",
    "enum",
    "maxProperties",
    "minProperties",
    "externalDocs",
    "example",
    "x-kubernetes-map-type",
    "x-kubernetes-validations",
];

/// What Swagger 2.0 has no words for.
const RULES_OF_V3: [&str; 4] = ["allOf", "anyOf", "oneOf", "not"];

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
const CONVENTIONS: &str =
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md";

/// The definitions of a resource's object and list, by name.
pub fn definitions(resource: &Resource, dialect: Dialect) -> [(String, Value); 2] {
    let names = Names::of(resource);
    let mut object = written(&resource.schema, dialect);
    // kubectl takes a definition with properties for all that there may be.
    let open = resource.schema.object().is_some_and(|object| object.preserve_unknown);
    if open && dialect == Dialect::V2 {
        object = Map::from_iter([("type".to_owned(), "object".into())]);
    } else {
        let properties = crate::machinery::object::map_mut(
            object.entry("properties").or_insert_with(|| Value::Object(Map::new())),
        );
        properties.insert("metadata".to_owned(), object_meta(dialect));
        type_meta(properties);
    }
    object.insert("x-kubernetes-group-version-kind".to_owned(), kind_of(resource, &resource.kind));
    let mut list = json!({
        "type": "object",
        "description": format!("{} is a list of {}", resource.list_kind, resource.kind),
        "required": ["items"],
        "properties": {
            "items": {
                "type": "array", "items": {"$ref": dialect.reference(&names.object)},
                "description": format!("List of {}. More info: {CONVENTIONS}", resource.plural),
            },
            "metadata": reference(
                LIST_META, &format!("Standard list metadata. More info: {CONVENTIONS}#types-kinds"), dialect),
        },
        "x-kubernetes-group-version-kind": kind_of(resource, &resource.list_kind),
    });
    if let Some(properties) = list["properties"].as_object_mut() {
        type_meta(properties);
    }
    if dialect == Dialect::V3 {
        let own: Vec<Value> = resource
            .selectable_fields
            .iter()
            .filter(|path| !path.starts_with("metadata."))
            .map(|path| json!({"fieldPath": path}))
            .collect();
        if !own.is_empty() {
            object.insert("x-kubernetes-selectable-fields".to_owned(), own.clone().into());
            list["x-kubernetes-selectable-fields"] = own.into();
        }
    }
    [(names.object, Value::Object(object)), (names.list, list)]
}

fn kind_of(resource: &Resource, kind: &str) -> Value {
    json!([{"group": resource.group, "version": resource.version, "kind": kind}])
}

fn reference(name: &str, description: &str, dialect: Dialect) -> Value {
    let mut schema = Map::new();
    schema.insert("description".to_owned(), description.into());
    dialect.refer(&mut schema, name);
    Value::Object(schema)
}

fn object_meta(dialect: Dialect) -> Value {
    reference(OBJECT_META, &format!("Standard object's metadata. More info: {CONVENTIONS}#metadata"), dialect)
}

/// `apiVersion` and `kind`, as all types have them.
fn type_meta(properties: &mut Map<String, Value>) {
    let texts = Texts::of("");
    for field in ["apiVersion", "kind"] {
        let schema = json!({"type": "string", "description": texts.get(field).unwrap_or_default()});
        properties.insert(field.to_owned(), schema);
    }
}

/// A schema as OpenAPI writes it.
fn written(schema: &Schema, dialect: Dialect) -> Map<String, Value> {
    let mut out = Map::new();
    if let Some(description) = &schema.description {
        out.insert("description".to_owned(), description.as_ref().into());
    }
    if let Some(rules) = schema.rules.as_deref().and_then(Value::as_object) {
        let of_v3 = RULES_OF_V3.iter().filter(|_| dialect == Dialect::V3);
        for name in RULES.iter().chain(of_v3) {
            if let Some(rule) = rules.get(*name) {
                out.insert((*name).to_owned(), rule.clone());
            }
        }
    }
    if let Some(default) = &schema.default {
        out.insert("default".to_owned(), default.clone());
    }
    // Swagger 2.0 cannot say that something may be null: it says nothing then, or clients would refuse it.
    if schema.nullable && dialect == Dialect::V2 {
        return out;
    }
    if schema.nullable {
        out.insert("nullable".to_owned(), true.into());
    }
    write_shape(&schema.shape, &mut out, dialect);
    out
}

fn write_shape(shape: &Shape, out: &mut Map<String, Value>, dialect: Dialect) {
    let mut set = |name: &str, value: Value| drop(out.insert(name.to_owned(), value));
    match shape {
        Shape::Boolean => set("type", "boolean".into()),
        Shape::Integer(width) => {
            set("type", "integer".into());
            if *width == Width::Int32 {
                set("format", "int32".into());
            }
        }
        Shape::Number => set("type", "number".into()),
        Shape::String(format) => {
            set("type", "string".into());
            match format {
                Format::Bytes => set("format", "byte".into()),
                Format::Time | Format::MicroTime => set("format", "date-time".into()),
                Format::Plain | Format::Quantity => {}
            }
        }
        Shape::IntOrString => {
            set("x-kubernetes-int-or-string", true.into());
            if dialect == Dialect::V3 && !out.contains_key("anyOf") {
                let either = json!([{"type": "integer"}, {"type": "string"}]);
                out.insert("anyOf".to_owned(), either);
            }
        }
        Shape::Object(object) => write_object(object, out, dialect),
        Shape::Array(array) => {
            set("type", "array".into());
            set("items", Value::Object(written(&array.items, dialect)));
            match &array.list_type {
                ListType::Atomic => {}
                ListType::Set => set("x-kubernetes-list-type", "set".into()),
                ListType::Map(keys) => {
                    set("x-kubernetes-list-type", "map".into());
                    set("x-kubernetes-list-map-keys", json!(keys));
                }
            }
        }
        Shape::Any => set("x-kubernetes-preserve-unknown-fields", true.into()),
        Shape::Named(name) => dialect.refer(out, name.name()),
    }
}

fn write_object(object: &ObjectShape, out: &mut Map<String, Value>, dialect: Dialect) {
    let mut set = |name: &str, value: Value| drop(out.insert(name.to_owned(), value));
    if object.preserve_unknown {
        set("x-kubernetes-preserve-unknown-fields", true.into());
    }
    if object.atomic {
        set("x-kubernetes-map-type", "atomic".into());
    }
    if object.embedded_resource {
        set("x-kubernetes-embedded-resource", true.into());
    }
    // kubectl cannot cope with fields beside others that it does not know: those are left out of Swagger 2.0.
    if object.preserve_unknown && dialect == Dialect::V2 {
        return;
    }
    set("type", "object".into());
    if let Some(values) = &object.additional {
        set("additionalProperties", Value::Object(written(values, dialect)));
    }
    let mut properties: Map<String, Value> = object
        .fields
        .iter()
        .map(|(name, field)| (name.to_string(), Value::Object(written(&field.schema, dialect))))
        .collect();
    let nullable = |schema: &Schema| schema.nullable && dialect == Dialect::V2;
    let mut required: Vec<&str> = object
        .fields
        .iter()
        .filter(|(_, field)| field.required && !nullable(&field.schema))
        .map(|(name, _)| &**name)
        .collect();
    if object.embedded_resource {
        embed(&mut properties, dialect);
        required.extend(["kind", "apiVersion"]);
        required.sort_unstable();
        required.dedup();
    }
    if !required.is_empty() {
        set("required", json!(required));
    }
    if !properties.is_empty() {
        set("properties", Value::Object(properties));
    }
}

/// What an object within an object has.
fn embed(properties: &mut Map<String, Value>, dialect: Dialect) {
    let text = |description: String| json!({"type": "string", "description": description});
    let of_version = format!(
        "apiVersion defines the versioned schema of this representation of an object. More info: {CONVENTIONS}#resources"
    );
    let of_kind = format!(
        "kind is a string value representing the type of this object. In CamelCase. More info: {CONVENTIONS}#types-kinds"
    );
    properties.insert("apiVersion".to_owned(), text(of_version));
    properties.insert("kind".to_owned(), text(of_kind));
    properties.insert("metadata".to_owned(), object_meta(dialect));
}
