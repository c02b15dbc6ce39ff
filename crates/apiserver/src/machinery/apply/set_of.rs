//! Which fields a value has: what an applied configuration owns (`typed.ToFieldSet` in Kubernetes).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    atom::{Atom, List, Type},
    field_set::{FieldSet, Node},
    path_element::PathElement,
};

/// The fields of `value`, which was validated: scalars, values that are owned as a whole, list items and entries of
/// maps, and what is empty.
pub fn set_of(of: Type<'_>, value: &Value) -> FieldSet {
    walk(of, value).children
}

/// Whether the value itself is owned, and which parts of it.
struct Owned {
    member: bool,
    children: FieldSet,
}

impl Owned {
    fn whole() -> Self {
        Self { member: true, children: FieldSet::new() }
    }

    fn parts(nodes: Vec<Node>) -> Self {
        Self { member: false, children: FieldSet::of_nodes(nodes) }
    }
}

fn walk(of: Type<'_>, value: &Value) -> Owned {
    match (of.atom(value), value) {
        (Atom::Map(fields), _) if fields.atomic => Owned::whole(),
        (Atom::Map(fields), Value::Object(map)) => {
            let nodes = map.iter().filter_map(|(name, value)| {
                let below = walk(fields.child(name)?, value);
                let empty = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
                let member = below.member || empty || fields.declared(name).is_none();
                Some(Node { element: PathElement::field(name), member, children: below.children })
            });
            Owned::parts(nodes.collect())
        }
        (Atom::List(list), _) if list.is_atomic() => Owned::whole(),
        (Atom::List(list), Value::Array(items)) => Owned::parts(list_items(&list, items)),
        (Atom::Scalar(_), _) => Owned::whole(),
        (Atom::Map(_) | Atom::List(_), _) => Owned::parts(Vec::new()),
    }
}

/// Items that cannot be told apart are owned together, as one value.
fn list_items(list: &List<'_>, items: &[Value]) -> Vec<Node> {
    let known: Vec<(PathElement, &Value)> =
        items.iter().filter_map(|item| Some((list.element(item).ok()?, item))).collect();
    let mut seen = BTreeSet::new();
    let repeated: BTreeSet<PathElement> = known
        .iter()
        .filter(|(element, _)| !seen.insert(element))
        .map(|(element, _)| element.clone())
        .collect();
    let owned = known.iter().map(|(element, item)| {
        let children =
            if repeated.contains(element) { FieldSet::new() } else { walk(list.items, item).children };
        Node { element: element.clone(), member: true, children }
    });
    owned.collect()
}

/// Adds the declared fields on the way to what is in `fields`, which are not members as such (a map's entries are).
pub fn with_named_fields(of: Type<'_>, fields: &FieldSet) -> FieldSet {
    let atom = of.atom(&Value::Null);
    let nodes = fields.nodes().iter().map(|node| {
        let (below, declared) = match (&atom, &node.element) {
            (Atom::Map(fields), PathElement::Field(name)) => {
                (fields.child(name), fields.declared(name).is_some())
            }
            (Atom::List(list), PathElement::Key(_)) => (Some(list.items), false),
            _ => (None, false),
        };
        let member = node.member || (declared && !node.children.is_empty());
        let children = match below {
            Some(below) => with_named_fields(below, &node.children),
            None => node.children.clone(),
        };
        Node { element: node.element.clone(), member, children }
    });
    FieldSet::of_nodes(nodes.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::machinery::builtin;

    #[test]
    fn a_value_has_its_leaves_its_items_and_its_entries() {
        let schema = builtin::schema("io.k8s.api.core.v1.Pod").unwrap();
        for (value, want) in [
            (
                json!({"metadata": {"labels": {"a": "1"}, "annotations": {}, "finalizers": []}}),
                json!({"f:metadata": {"f:annotations": {}, "f:labels": {"f:a": {}}}}),
            ),
            (
                json!({"spec": {"containers": [{"name": "a", "ports": [{"containerPort": 80}], "command": ["x"]}]}}),
                json!({"f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {
                    ".": {}, "f:command": {}, "f:name": {},
                    "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}},
                }}}}),
            ),
            (
                json!({"spec": {"nodeSelector": {"a": "b"}, "hostname": null, "containers": null}}),
                json!({"f:spec": {"f:containers": {}, "f:hostname": {}, "f:nodeSelector": {}}}),
            ),
            (
                json!({"metadata": {"finalizers": ["a", "b", "a"]}}),
                json!({"f:metadata": {"f:finalizers": {"v:\"a\"": {}, "v:\"b\"": {}}}}),
            ),
            (
                json!({"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "a", "image": "y"}]}}),
                json!({"f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {}}}}),
            ),
        ] {
            assert_eq!(set_of(Type::object(schema), &value).to_fields_v1(), want, "{value}");
        }
        let value = json!({"a": {"b": [1], "c": {}, "d": {"e": 1}}});
        assert_eq!(
            set_of(Type::Deduced, &value).to_fields_v1(),
            json!({"f:a": {".": {}, "f:b": {}, "f:c": {}, "f:d": {".": {}, "f:e": {}}}})
        );
    }

    #[test]
    fn declared_fields_on_the_way_are_named_and_entries_are_not() {
        let schema = builtin::schema("io.k8s.api.core.v1.Pod").unwrap();
        let fields = json!({
            "f:metadata": {"f:labels": {"f:a": {}}},
            "f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {"f:resources": {"f:limits": {"f:cpu": {}}}}}},
        });
        let fields = FieldSet::from_fields_v1(&fields).unwrap();
        assert_eq!(
            with_named_fields(Type::object(schema), &fields).to_fields_v1(),
            json!({
                "f:metadata": {".": {}, "f:labels": {".": {}, "f:a": {}}},
                "f:spec": {".": {}, "f:containers": {".": {}, "k:{\"name\":\"a\"}": {
                    "f:resources": {".": {}, "f:limits": {".": {}, "f:cpu": {}}}}}},
            })
        );
    }
}
