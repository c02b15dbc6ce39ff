//! From the structural schema of a definition (`openAPIV3Schema`) to a [`Schema`].

use std::sync::Arc;

use serde_json::Value;

use crate::machinery::{
    Schema, fields,
    schema::{ArrayShape, Field, Format, ListType, ObjectShape, Reference, Shape, Width},
};

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
/// Definitions are decoded no deeper than this; what lies below is taken as it is.
const DEPTH_MAX: usize = 100;

/// The schema of whole objects: what the definition says, and the metadata that every object has. The definition's
/// own words are kept as the rules.
pub fn object(rules: &Value) -> Schema {
    let mut schema = schema(rules, 0);
    let mut shape = match &schema.shape {
        Shape::Object(shape) => (**shape).clone(),
        _ => ObjectShape { preserve_unknown: true, ..ObjectShape::default() },
    };
    with_metadata(&mut shape);
    schema.shape = Shape::Object(Arc::new(shape));
    schema.rules = Some(Arc::new(rules.clone()));
    schema
}

fn with_metadata(shape: &mut ObjectShape) {
    let metadata = Schema::of(Shape::Named(Reference::new(OBJECT_META)));
    shape.fields.insert("metadata".into(), Field { schema: metadata, ..Field::default() });
}

fn schema(rules: &Value, depth: usize) -> Schema {
    let flag = |name: &str| rules[name] == true;
    let shape = if depth > DEPTH_MAX {
        Shape::Any
    } else if flag("x-kubernetes-int-or-string") {
        Shape::IntOrString
    } else {
        match fields::text(rules, "type") {
            "boolean" => Shape::Boolean,
            "integer" if fields::text(rules, "format") == "int32" => Shape::Integer(Width::Int32),
            "integer" => Shape::Integer(Width::Int64),
            "number" => Shape::Number,
            "string" => Shape::String(Format::Plain),
            "array" => Shape::Array(Arc::new(ArrayShape {
                items: schema(&rules["items"], depth + 1),
                list_type: list_type(rules),
                ..ArrayShape::default()
            })),
            "object" => Shape::Object(Arc::new(object_shape(rules, depth))),
            _ => Shape::Any,
        }
    };
    Schema {
        shape,
        default: rules.get("default").filter(|default| !default.is_null()).cloned(),
        nullable: flag("nullable"),
        description: rules["description"].as_str().map(Into::into),
        ..Schema::default()
    }
}

fn object_shape(rules: &Value, depth: usize) -> ObjectShape {
    let properties = rules["properties"].as_object();
    let required: Vec<&str> = fields::list(rules, "required").iter().filter_map(Value::as_str).collect();
    let additional = match &rules["additionalProperties"] {
        Value::Bool(true) => Some(Schema::default()),
        Value::Object(_) => Some(schema(&rules["additionalProperties"], depth + 1)),
        _ => None,
    };
    let mut shape = ObjectShape {
        fields: properties
            .into_iter()
            .flatten()
            .map(|(name, rules)| {
                let field = Field {
                    schema: schema(rules, depth + 1),
                    required: required.contains(&name.as_str()),
                    ..Field::default()
                };
                (name.as_str().into(), field)
            })
            .collect(),
        additional,
        atomic: fields::text(rules, "x-kubernetes-map-type") == "atomic",
        preserve_unknown: rules["x-kubernetes-preserve-unknown-fields"] == true,
        embedded_resource: rules["x-kubernetes-embedded-resource"] == true,
        name: None,
    };
    if shape.embedded_resource {
        with_metadata(&mut shape);
    }
    shape
}

fn list_type(rules: &Value) -> ListType {
    match fields::text(rules, "x-kubernetes-list-type") {
        "set" => ListType::Set,
        "map" => {
            let keys = fields::list(rules, "x-kubernetes-list-map-keys");
            ListType::Map(keys.iter().filter_map(Value::as_str).map(Into::into).collect())
        }
        _ => ListType::Atomic,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::machinery::{conform::conform, defaults};

    #[test]
    fn objects_are_pruned_and_defaulted_by_their_definition() {
        let rules = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "keep": {"type": "string"}, "size": {"type": "integer", "default": 3},
            "null": {"type": "string", "nullable": true}, "gone": {"type": "string"},
            "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                "properties": {"n": {"type": "object", "properties": {"k": {"type": "string"}}}}},
            "free": {"type": "object", "additionalProperties": {"type": "integer"}},
            "port": {"x-kubernetes-int-or-string": true},
        }}}});
        let schema = object(&rules);
        let mut value = json!({"metadata": {"name": "a", "labels": {}}, "other": 1, "spec": {
            "keep": "1", "lose": 2, "any": {"x": 1, "n": {"k": "v", "lost": 1}}, "free": {"a": 1}, "size": null,
            "null": null, "gone": null, "port": "http",
        }});
        let unknown = conform(&schema, &mut value).unwrap();
        defaults::fill(&schema, &mut value);
        assert_eq!(unknown.fields, ["other", "spec.any.n.lost", "spec.lose"]);
        let want = json!({"metadata": {"name": "a"}, "spec": {"keep": "1", "any": {"x": 1, "n": {"k": "v"}},
            "free": {"a": 1}, "size": 3, "null": null, "port": "http"}});
        assert_eq!(value, want);
    }
}
