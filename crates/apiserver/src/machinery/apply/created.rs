//! What the creator of an object owns, written straight as `fieldsV1`: every object is created once, and most are
//! never applied to, so this is worth a walk of its own. It finds what comparing with the empty object finds.

use serde_json::{Map, Value, map::Entry};

use super::{
    atom::{Atom, Fields, List, Type},
    field_set::FieldSet,
    path_element::{PathElement, field_name},
    validate::{SchemaError, SchemaErrors},
};

/// The fields of `new` that the empty object `old` of its kind has not or has otherwise, without those `except` and
/// what is below them.
///
/// # Errors
/// An item of a list that cannot be told from others.
pub fn created(of: Type<'_>, old: &Value, new: &Value, except: &FieldSet) -> Result<Value, SchemaErrors> {
    Ok(changed(of, old, new, except)?.unwrap_or_default())
}

static NOTHING: FieldSet = FieldSet::new();

/// Under which nothing is named: the value itself is owned.
fn itself() -> Value {
    Value::Object(Map::new())
}

/// What is new in a value that the empty object has too; `None` if nothing is.
fn changed(of: Type<'_>, old: &Value, new: &Value, except: &FieldSet) -> Result<Option<Value>, SchemaErrors> {
    if old == new {
        return Ok(None);
    }
    let mut owned = Map::new();
    match of.atom(new) {
        Atom::Map(fields) if !fields.atomic && (!is_empty(old) || !is_empty(new)) => {
            let map = new.as_object();
            each_field(&fields, map.into_iter().flatten(), except, |name, of, value, except| {
                match old.get(name) {
                    Some(old) => {
                        owned.extend(changed(of, old, value, except)?.map(|below| (field_name(name), below)));
                    }
                    None => {
                        owned.insert(field_name(name), added(of, value, except)?);
                    }
                }
                Ok(())
            })?;
        }
        // The lists of an empty object are empty.
        Atom::List(list) if !list.is_atomic() && !is_empty(new) => {
            added_items(&list, new.as_array().map_or(&[], Vec::as_slice), &mut owned)?;
        }
        _ => return Ok(Some(itself())),
    }
    Ok((!owned.is_empty()).then_some(Value::Object(owned)))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    }
}

/// All of a value that the empty object has not.
fn added(of: Type<'_>, new: &Value, except: &FieldSet) -> Result<Value, SchemaErrors> {
    let mut owned = Map::new();
    match (of.atom(new), new) {
        (Atom::Map(fields), Value::Object(map)) if !fields.atomic && !map.is_empty() => {
            each_field(&fields, map, except, |name, of, value, except| {
                owned.insert(field_name(name), added(of, value, except)?);
                Ok(())
            })?;
            if !owned.is_empty() {
                owned.insert(".".to_owned(), itself());
            }
        }
        (Atom::List(list), Value::Array(items)) if !list.is_atomic() && !items.is_empty() => {
            owned.insert(".".to_owned(), itself());
            added_items(&list, items, &mut owned)?;
        }
        _ => {}
    }
    Ok(Value::Object(owned))
}

fn each_field<'v>(
    fields: &Fields<'_>,
    map: impl IntoIterator<Item = (&'v String, &'v Value)>,
    except: &FieldSet,
    mut visit: impl FnMut(&str, Type<'_>, &'v Value, &FieldSet) -> Result<(), SchemaErrors>,
) -> Result<(), SchemaErrors> {
    for (name, value) in map {
        let excepted = if except.is_empty() { None } else { except.get_field(name) };
        if excepted.is_some_and(|node| node.member) {
            continue;
        }
        let of = fields.child(name).ok_or_else(|| SchemaErrors::one(SchemaError::undeclared(name)))?;
        visit(name, of, value, excepted.map_or(&NOTHING, |node| &node.children))
            .map_err(|errors| errors.below(&PathElement::field(name)))?;
    }
    Ok(())
}

/// Items that cannot be told apart are owned together, as one value.
fn added_items(list: &List<'_>, items: &[Value], owned: &mut Map<String, Value>) -> Result<(), SchemaErrors> {
    for (index, item) in items.iter().enumerate() {
        let identity = list.identity(item).map_err(|why| SchemaErrors::item(index, &why))?;
        match owned.entry(identity.to_name()) {
            Entry::Vacant(entry) => {
                entry.insert(added(list.items, item, &NOTHING)?);
            }
            Entry::Occupied(mut entry) => {
                entry.insert(itself());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::machinery::{
        apply::{Filter, compare::compare},
        builtin, conform,
    };

    /// Parts of deployments, odd ones included.
    fn deployments() -> impl Strategy<Value = Value> {
        let text = || prop_oneof![Just(json!(null)), "[a-c]?".prop_map(Value::from)];
        let map = || proptest::option::of(proptest::collection::btree_map("[a-c]", text(), 0..3));
        let ports = proptest::collection::vec((0..2, prop_oneof![Just("TCP"), Just("UDP")]), 0..4)
            .prop_map(|ports| {
                ports.into_iter().map(|(port, protocol)| json!({"containerPort": port, "protocol": protocol}))
            })
            .prop_map(Iterator::collect::<Value>);
        let containers = proptest::collection::vec(("[a-b]", text(), ports), 0..3).prop_map(|containers| {
            let item = |(name, image, ports)| json!({"name": name, "image": image, "ports": ports});
            containers.into_iter().map(item).collect::<Value>()
        });
        let finalizers = proptest::collection::vec("[a-b]", 0..3);
        (map(), map(), finalizers, containers, proptest::option::of(0..3)).prop_map(
            |(labels, selector, finalizers, containers, replicas)| {
                json!({
                    "apiVersion": "apps/v1", "kind": "Deployment",
                    "metadata": {"name": "d", "labels": labels, "finalizers": finalizers},
                    "spec": {
                        "replicas": replicas, "selector": {"matchLabels": selector},
                        "template": {"spec": {"containers": containers, "nodeSelector": selector}},
                    },
                    "status": {"replicas": replicas, "conditions": [{"type": "A"}]},
                })
            },
        )
    }

    proptest! {
        #[test]
        fn it_is_what_comparing_with_the_empty_object_finds(new in deployments(), conformed: bool) {
            let schema = builtin::schema("io.k8s.api.apps.v1.Deployment").unwrap();
            let empty = conform::zero(schema);
            let mut new = new;
            if conformed {
                conform::conform(schema, &mut new).unwrap();
            }
            for except in [&[][..], &[&["status"][..]], &[&["status", "conditions"], &["metadata"], &["spec", "template", "spec"]]] {
                let except = FieldSet::of_fields(except);
                let compared = compare(Type::object(schema), &empty, &new).unwrap().changed;
                let compared = Filter::Except(except.clone()).apply(compared).to_fields_v1();
                prop_assert_eq!(created(Type::object(schema), &empty, &new, &except).unwrap(), compared);
            }
        }
    }
}
