//! Whether a server-side apply would change anything, judged from the object and its `managedFields`.
//!
//! Applying again what is applied costs a request, and the server changes nothing. That it would is seen when the manager
//! owns exactly the fields that it states, and they have the values that it states. Where that cannot be seen (a default
//! within an atomic list, a value in another notation, an object without `managedFields`) the answer is no: the request
//! is sent, and does no harm.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::Object;

/// Metadata that every object has, and that nobody owns.
const UNOWNED: &[&str] = &[
    "creationTimestamp",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Whether applying these fields as `manager` would leave the object as it is.
pub(crate) fn is_applied(object: &Object, fields: &Value, manager: &str, subresource: Option<&str>) -> bool {
    let (Ok(current), Some(stated)) = (object.to_value(), stated(fields)) else { return false };
    let stands = current.pointer("/metadata/managedFields").and_then(Value::as_array);
    let owned = stands.into_iter().flatten().find(|entry| {
        entry["manager"] == manager
            && entry["operation"] == "Apply"
            && entry["subresource"].as_str() == subresource
            && entry["apiVersion"] == object.kind().api_version()
    });
    match owned {
        Some(entry) => {
            entry["fieldsType"] == "FieldsV1" && are_same(&entry["fieldsV1"], &stated.into(), &current)
        }
        None => stands.is_some() && stated.is_empty(),
    }
}

/// The fields stated of which somebody becomes the owner.
fn stated(fields: &Value) -> Option<Map<String, Value>> {
    let mut stated = fields.as_object()?.clone();
    stated.remove("apiVersion");
    stated.remove("kind");
    if let Some(Value::Object(metadata)) = stated.get_mut("metadata") {
        metadata.retain(|name, _| !UNOWNED.contains(&&**name));
        if metadata.is_empty() {
            stated.remove("metadata");
        }
    }
    Some(stated)
}

/// Whether `owned`, a part of a field set, names just the fields of `stated`, and they have these values in `current`.
fn are_same(owned: &Value, stated: &Value, current: &Value) -> bool {
    let Some(owned) = owned.as_object() else { return false };
    let children = owned.len() - usize::from(owned.contains_key("."));
    match stated {
        _ if children == 0 => stated == current,
        Value::Object(fields) => {
            children == fields.len()
                && fields.iter().all(|(name, value)| {
                    let owned = owned.get(&format!("f:{name}"));
                    owned
                        .zip(current.get(name))
                        .is_some_and(|(owned, current)| are_same(owned, value, current))
                })
        }
        Value::Array(items) => {
            children == items.len()
                && current.as_array().is_some_and(|current| are_items(owned, items, current))
        }
        _ => false,
    }
}

/// The same for the items of a list that is a set, or a map by keys.
fn are_items(owned: &Map<String, Value>, stated: &[Value], current: &[Value]) -> bool {
    let mut names: Vec<String> = Vec::new();
    for child in owned.keys() {
        if let Some(keys) =
            child.strip_prefix("k:").and_then(|keys| serde_json::from_str::<Map<_, _>>(keys).ok())
        {
            names = keys.into_iter().map(|(name, _)| name).collect();
            break;
        }
    }
    if names.is_empty() {
        let there: HashSet<String> = current.iter().map(Value::to_string).collect();
        return stated.iter().all(|item| {
            let item = item.to_string();
            owned.contains_key(&format!("v:{item}")) && there.contains(&item)
        });
    }
    // A key that an item leaves out has its default: then it is not found here, and the apply is sent.
    let key = |item: &Value| {
        let keys = names.iter().filter_map(|name| Some((name.clone(), item.get(name)?.clone())));
        Value::Object(keys.collect()).to_string()
    };
    let there: HashMap<String, &Value> = current.iter().map(|item| (key(item), item)).collect();
    stated.iter().all(|item| {
        let key = key(item);
        let owned = owned.get(&format!("k:{key}"));
        owned.zip(there.get(&key)).is_some_and(|(owned, current)| are_same(owned, item, current))
    })
}
