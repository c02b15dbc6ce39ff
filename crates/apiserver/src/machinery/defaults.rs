//! Fills in what a [`Schema`] says is meant by leaving a field out. Defaults that have to be computed belong to kinds.

use serde_json::Value;

use super::schema::{ObjectShape, Schema, Shape};

/// Fills the plain defaults of `schema` into `value`: a declared field that is absent from an object that is there
/// gets its default, and so does a `null` where none is allowed, in fields, lists and maps alike. What a default
/// brings with it is filled in turn.
pub fn fill(schema: &Schema, value: &mut Value) {
    match (schema.shape(), value) {
        (Shape::Object(object), Value::Object(map)) => {
            fill_fields(object, map);
            for (name, value) in map {
                if let Some(field) = object.fields.get(name.as_str()) {
                    fill(&field.schema, value);
                } else if let Some(additional) = &object.additional {
                    replace_null(additional, value);
                    fill(additional, value);
                }
            }
        }
        (Shape::Array(array), Value::Array(items)) => {
            for item in items {
                replace_null(&array.items, item);
                fill(&array.items, item);
            }
        }
        _ => {}
    }
}

fn fill_fields(object: &ObjectShape, map: &mut serde_json::Map<String, Value>) {
    for (name, field) in &object.fields {
        let Some(default) = &field.schema.default else { continue };
        match map.get_mut(&**name) {
            None => {
                map.insert(name.to_string(), default.clone());
            }
            Some(value) => replace_null(&field.schema, value),
        }
    }
}

fn replace_null(schema: &Schema, value: &mut Value) {
    if let Some(default) = &schema.default
        && value.is_null()
        && !schema.nullable
    {
        *value = default.clone();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::machinery::{
        builtin,
        schema::{ArrayShape, Field},
    };

    fn with_default(shape: Shape, default: Value) -> Schema {
        Schema { default: Some(default), ..Schema::of(shape) }
    }

    fn struct_of(fields: Vec<(&str, Schema)>) -> Shape {
        let fields =
            fields.into_iter().map(|(name, schema)| (name.into(), Field { schema, ..Field::default() }));
        Shape::Object(Arc::new(ObjectShape { fields: fields.collect(), ..ObjectShape::default() }))
    }

    fn filled(schema: &Schema, mut value: Value) -> Value {
        fill(schema, &mut value);
        value
    }

    #[test]
    fn built_in_types_get_their_declared_defaults() {
        for (kind, sent, want) in [
            (
                "Container",
                json!({"name": "c", "ports": [{"containerPort": 1}, {"containerPort": 2, "protocol": "UDP"}]}),
                json!({"name": "c", "ports": [
                    {"containerPort": 1, "protocol": "TCP"}, {"containerPort": 2, "protocol": "UDP"}]}),
            ),
            (
                "ReplicationController",
                json!({"metadata": {}, "spec": {}}),
                json!({"metadata": {}, "spec": {"replicas": 1}}),
            ),
            (
                "ReplicationController",
                json!({"metadata": {}, "spec": {"replicas": 0}}),
                json!({"metadata": {}, "spec": {"replicas": 0}}),
            ),
            // A struct that is not there is not made for the sake of a default in it.
            ("Volume", json!({"name": "v"}), json!({"name": "v"})),
            (
                "Volume",
                json!({"name": "v", "rbd": {"monitors": null, "image": "i"}}),
                json!({"name": "v", "rbd": {"monitors": null, "image": "i", "keyring": "/etc/ceph/keyring",
                    "pool": "rbd", "user": "admin"}}),
            ),
        ] {
            let schema = builtin::schema(&format!("io.k8s.api.core.v1.{kind}")).unwrap();
            assert_eq!(filled(schema, sent), want, "{kind}");
        }
    }

    #[test]
    fn what_a_default_brings_is_filled_in_turn() {
        let inner = struct_of(vec![("size", with_default(Shape::Any, json!(3)))]);
        let schema = Schema::of(struct_of(vec![("spec", with_default(inner, json!({})))]));
        assert_eq!(filled(&schema, json!({})), json!({"spec": {"size": 3}}));
        assert_eq!(filled(&schema, json!({"spec": {"size": 1}})), json!({"spec": {"size": 1}}));
    }

    #[test]
    fn a_null_is_replaced_where_none_is_allowed() {
        let text = with_default(Shape::Any, json!("x"));
        let nullable = Schema { nullable: true, ..text.clone() };
        let list = Shape::Array(Arc::new(ArrayShape { items: text.clone(), ..ArrayShape::default() }));
        let map =
            Shape::Object(Arc::new(ObjectShape { additional: Some(text.clone()), ..ObjectShape::default() }));
        for (schema, sent, want) in [
            (struct_of(vec![("a", text.clone())]), json!({"a": null}), json!({"a": "x"})),
            (struct_of(vec![("a", nullable)]), json!({"a": null}), json!({"a": null})),
            (struct_of(vec![("a", Schema::default())]), json!({"a": null}), json!({"a": null})),
            (list, json!([null, "y"]), json!(["x", "y"])),
            (map, json!({"a": null, "b": 1}), json!({"a": "x", "b": 1})),
        ] {
            assert_eq!(filled(&Schema::of(schema), sent), want);
        }
    }
}
