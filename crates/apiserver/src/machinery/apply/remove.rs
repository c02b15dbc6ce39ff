//! Taking fields out of a value (`typed.RemoveItems` in Kubernetes).

use serde_json::{Map, Value};

use super::{
    atom::{Atom, Type},
    field_set::FieldSet,
};

/// The value without the fields and items that are in `fields`. What is left empty stays, as an empty object or
/// list.
pub fn remove(of: Type<'_>, value: &Value, fields: &FieldSet) -> Value {
    walk(of, value, fields).unwrap_or_default()
}

/// Gives `None` where nothing is left of the value.
fn walk(of: Type<'_>, value: &Value, fields: &FieldSet) -> Option<Value> {
    match (of.atom(value), value) {
        (Atom::Map(shape), Value::Object(map)) => {
            if map.is_empty() || shape.atomic {
                return None;
            }
            let mut kept = Map::new();
            let mut descended = false;
            for (name, value) in map {
                let node = fields.get_field(name);
                if node.is_some_and(|node| node.member) {
                    continue;
                }
                let below = node.map(|node| &node.children).filter(|below| !below.is_empty());
                let value = match (below, shape.child(name)) {
                    (Some(below), Some(of)) => {
                        descended = true;
                        without(of, value, below)
                    }
                    _ => value.clone(),
                };
                kept.insert(name.clone(), value);
            }
            (descended || !kept.is_empty()).then_some(Value::Object(kept))
        }
        (Atom::List(list), Value::Array(items)) => {
            if items.is_empty() || list.is_atomic() {
                return None;
            }
            let mut kept = Vec::with_capacity(items.len());
            let mut descended = false;
            for item in items {
                let node = list.element(item).ok().and_then(|element| fields.get(&element));
                if node.is_some_and(|node| node.member) {
                    continue;
                }
                let below = node.map(|node| &node.children).filter(|below| !below.is_empty());
                match below {
                    Some(below) => {
                        descended = true;
                        kept.push(without(list.items, item, below));
                    }
                    None => kept.push(item.clone()),
                }
            }
            (descended || !kept.is_empty()).then_some(Value::Array(kept))
        }
        (Atom::Scalar(_), scalar) => Some(scalar.clone()),
        _ => None,
    }
}

/// An object or a list that loses parts stays one, even if it loses all of them.
fn without(of: Type<'_>, value: &Value, fields: &FieldSet) -> Value {
    walk(of, value, fields).unwrap_or_else(|| match value {
        Value::Object(_) => Value::Object(Map::new()),
        Value::Array(_) => Value::Array(Vec::new()),
        _ => Value::Null,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::machinery::builtin;

    #[test]
    fn fields_and_items_go_and_what_is_left_empty_stays() {
        let schema = builtin::schema("io.k8s.api.core.v1.Pod").unwrap();
        let value = json!({
            "metadata": {"labels": {"a": "1"}, "finalizers": ["x", "y"]},
            "spec": {"containers": [{"name": "a", "image": "i"}, {"name": "b"}], "hostname": "h"},
        });
        for (fields, want) in [
            (
                json!({"f:metadata": {"f:labels": {"f:a": {}}, "f:finalizers": {"v:\"x\"": {}}}}),
                json!({"metadata": {"labels": {}, "finalizers": ["y"]}, "spec": value["spec"]}),
            ),
            (
                json!({"f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {"f:name": {}, "f:image": {}},
                    "k:{\"name\":\"b\"}": {}}}}),
                json!({"metadata": value["metadata"], "spec": {"containers": [{}], "hostname": "h"}}),
            ),
            (json!({"f:metadata": {}, "f:spec": {}}), json!(null)),
            (json!({"f:nothing": {}, "f:spec": {"f:none": {}}}), value.clone()),
        ] {
            let set = FieldSet::from_fields_v1(&fields).unwrap();
            assert_eq!(remove(Type::object(schema), &value, &set), want, "{fields}");
        }
    }
}
