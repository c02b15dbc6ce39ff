//! Merging an applied configuration into an object: what the configuration names is set, nothing is removed, and
//! list items are told apart by what the schema says they are known by (`typed.Merge` in Kubernetes).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value};

use super::{
    atom::{Atom, Fields, List, Type},
    path_element::PathElement,
    validate::{SchemaError, SchemaErrors},
};

/// Merges `config`, which was validated, into `live`.
///
/// # Errors
/// List items that cannot be told apart.
pub fn merge(of: Type<'_>, live: &Value, config: &Value) -> Result<Value, SchemaErrors> {
    Ok(walk(of, live, config)?.unwrap_or_default())
}

/// Where only one side has a value it is taken as it is. Gives `None` for what comes out empty, and is left out.
fn walk(of: Type<'_>, live: &Value, config: &Value) -> Result<Option<Value>, SchemaErrors> {
    let empty = |value: &Value| match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    };
    match of.atom(config) {
        Atom::Map(fields) if !fields.atomic => match (live.as_object(), config.as_object()) {
            (Some(live_map), Some(config_map)) if !(empty(live) && empty(config)) => {
                entries(&fields, live_map, config_map)
            }
            (Some(_), None) if !empty(live) => Ok(Some(live.clone())),
            _ => Ok(Some(config.clone())),
        },
        Atom::List(list) if !list.is_atomic() => match (live.as_array(), config.as_array()) {
            (Some(live_items), Some(config_items)) if !(empty(live) && empty(config)) => {
                list_items(&list, live_items, config_items)
            }
            (Some(_), None) if !empty(live) => Ok(Some(live.clone())),
            _ => Ok(Some(config.clone())),
        },
        _ => Ok(Some(config.clone())),
    }
}

fn entries(
    fields: &Fields<'_>,
    live: &Map<String, Value>,
    config: &Map<String, Value>,
) -> Result<Option<Value>, SchemaErrors> {
    let mut merged = Map::new();
    for (name, old) in live {
        let value = match config.get(name) {
            Some(value) => {
                let of =
                    fields.child(name).ok_or_else(|| SchemaErrors::one(SchemaError::undeclared(name)))?;
                walk(of, old, value).map_err(|errors| errors.below(&PathElement::field(name)))?
            }
            None => Some(old.clone()),
        };
        merged.extend(value.map(|value| (name.clone(), value)));
    }
    for (name, value) in config.iter().filter(|(name, _)| !live.contains_key(*name)) {
        merged.insert(name.clone(), value.clone());
    }
    Ok((!merged.is_empty()).then_some(Value::Object(merged)))
}

/// The items of the configuration come in its order; those that only the object has keep their places among them as
/// far as that goes.
fn list_items(list: &List<'_>, live: &[Value], config: &[Value]) -> Result<Option<Value>, SchemaErrors> {
    let known = |items: &[Value]| -> Result<Vec<PathElement>, SchemaErrors> {
        let element = |(index, item)| list.element(item).map_err(|why| SchemaErrors::item(index, &why));
        items.iter().enumerate().map(element).collect()
    };
    let (config_elements, live_elements) = (known(config)?, known(live)?);
    let in_config: BTreeSet<&PathElement> = config_elements.iter().collect();
    if let Some(twice) = first_repeated(&config_elements) {
        return Err(SchemaErrors::duplicate(twice));
    }
    // Items of the object that are there several times are not merged with.
    let mut in_live: BTreeMap<&PathElement, Option<&Value>> = BTreeMap::new();
    for (element, item) in live_elements.iter().zip(live) {
        in_live.entry(element).and_modify(|seen| *seen = None).or_insert(Some(item));
    }
    let mut shared: VecDeque<&PathElement> =
        config_elements.iter().filter(|element| in_live.contains_key(element)).collect();
    let mut next_shared = shared.pop_front();

    let mut merged = Vec::with_capacity(live.len().max(config.len()));
    let mut taken: BTreeSet<&PathElement> = BTreeSet::new();
    let merge_item = |element: &PathElement, item: &Value| match in_live.get(element) {
        Some(Some(old)) => walk(list.items, old, item).map_err(|errors| errors.below(element)),
        _ => Ok(Some(item.clone())),
    };
    let (mut from_live, mut from_config) = (0, 0);
    while from_live < live.len() || from_config < config.len() {
        let live_element = live_elements.get(from_live);
        let config_element = config_elements.get(from_config);
        if let (Some(live_element), Some(config_element)) = (live_element, config_element) {
            if live_element == config_element {
                taken.insert(config_element);
                merged.extend(merge_item(config_element, &config[from_config])?);
                from_live += 1;
                from_config += 1;
                next_shared = shared.pop_front();
                continue;
            }
            // In both lists, but not the one that is due.
            if in_config.contains(live_element) && next_shared.is_some_and(|due| due != live_element) {
                from_live += 1;
                continue;
            }
        }
        if let Some(live_element) = live_element {
            if !in_config.contains(live_element) {
                merged.push(live[from_live].clone());
                from_live += 1;
                continue;
            }
            if taken.contains(live_element) {
                from_live += 1;
            }
        }
        if let Some(config_element) = config_element {
            taken.insert(config_element);
            merged.extend(merge_item(config_element, &config[from_config])?);
            from_config += 1;
            if next_shared == Some(config_element) {
                next_shared = shared.pop_front();
            }
        }
    }
    Ok((!merged.is_empty()).then_some(Value::Array(merged)))
}

fn first_repeated(elements: &[PathElement]) -> Option<&PathElement> {
    let mut seen = BTreeSet::new();
    elements.iter().find(|element| !seen.insert(*element))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::machinery::builtin;

    fn merged(live: &Value, config: &Value) -> Result<Value, SchemaErrors> {
        merge(Type::object(builtin::schema("io.k8s.api.core.v1.Pod").unwrap()), live, config)
    }

    #[test]
    fn items_keep_the_order_of_the_configuration_and_others_their_place() {
        for (live, config, want) in [
            (&["a", "b", "c"][..], &["a"][..], &["a", "b", "c"][..]),
            (&["a", "b"], &["c", "b"], &["a", "c", "b"]),
            (&["a", "b", "c"], &["c", "a"], &["b", "c", "a"]),
            (&["a", "b", "c", "d"], &["d", "b"], &["a", "c", "d", "b"]),
            (&[], &["b", "a"], &["b", "a"]),
            (&["a"], &[], &["a"]),
            (&["a", "a", "b"], &["b"], &["a", "a", "b"]),
        ] {
            let object = |finalizers: &[&str]| json!({"metadata": {"finalizers": finalizers}});
            assert_eq!(merged(&object(live), &object(config)), Ok(object(want)), "{live:?} {config:?}");
        }
    }

    #[test]
    fn what_is_granular_is_merged_and_what_is_atomic_replaced() {
        for (live, config, want) in [
            (
                json!({"metadata": {"labels": {"a": "1", "b": "2"}}}),
                json!({"metadata": {"labels": {"b": "3"}, "annotations": {}}}),
                json!({"metadata": {"labels": {"a": "1", "b": "3"}, "annotations": {}}}),
            ),
            (
                json!({"spec": {"nodeSelector": {"a": "1"}, "tolerations": [{"key": "a"}]}}),
                json!({"spec": {"nodeSelector": {"b": "2"}, "tolerations": [{"key": "b"}]}}),
                json!({"spec": {"nodeSelector": {"b": "2"}, "tolerations": [{"key": "b"}]}}),
            ),
            (
                json!({"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b"}]}}),
                json!({"spec": {"containers": [{"name": "b", "image": "y", "env": []}, {"name": "a"}]}}),
                json!({"spec": {"containers": [{"name": "b", "image": "y", "env": []}, {"name": "a", "image": "x"}]}}),
            ),
            (
                json!({"metadata": {"labels": {"a": "1"}, "finalizers": ["a"]}, "spec": {"containers": null}}),
                json!({"metadata": {"labels": null, "finalizers": []}, "spec": {"containers": []}}),
                json!({"metadata": {"labels": {"a": "1"}, "finalizers": ["a"]}, "spec": {"containers": []}}),
            ),
        ] {
            assert_eq!(merged(&live, &config), Ok(want), "{config}");
        }
    }

    #[test]
    fn without_a_schema_maps_are_merged_and_lists_replaced() {
        let config = json!({"map": {"b": {"c": 2}}, "list": [2], "other": {"x": 1}});
        assert_eq!(
            merge(
                Type::Deduced,
                &json!({"map": {"a": 1, "b": {"d": 1}}, "list": [1], "other": "text"}),
                &config
            ),
            Ok(json!({"map": {"a": 1, "b": {"c": 2, "d": 1}}, "list": [2], "other": {"x": 1}}))
        );
        assert_eq!(
            merge(Type::Opaque, &json!({"map": {"a": 1}}), &json!({"map": {"b": 1}})),
            Ok(json!({"map": {"b": 1}}))
        );
    }
}
