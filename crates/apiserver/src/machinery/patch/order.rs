//! In which order the items of a list stand after a strategic merge patch: those that the patch names in its order,
//! the others in theirs, mixed as they were before as far as that goes.

use std::collections::HashMap;

use serde_json::Value;

use crate::machinery::go_format;

use super::{
    PatchError,
    strategic::{failed, no_merge_key, not_of_type},
};

/// Brings `items` into the order of `wanted`, and those that are not in it into the order of `live`. Items are known
/// by their `key`, plain values by themselves.
///
/// # Errors
/// An item without the key.
pub fn arrange(
    items: Vec<Value>,
    wanted: &[Value],
    live: &[Value],
    key: Option<&str>,
) -> Result<Vec<Value>, PatchError> {
    let (wanted, live) = (places(wanted, key)?, places(live, key)?);
    let mut named = Vec::new();
    let mut others = Vec::new();
    for item in items {
        let identity = identity(&item, key)?;
        let place = live.get(&identity).copied();
        match wanted.get(&identity) {
            Some(position) => named.push((*position, place, item)),
            None => others.push((place.unwrap_or(usize::MAX), place, item)),
        }
    }
    named.sort_by_key(|(position, _, _)| *position);
    others.sort_by_key(|(position, _, _)| *position);
    let mut arranged = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for (_, place, item) in named {
        // What stood before it stands before it, unless that would change the order of the others.
        while let Some((_, _, other)) =
            others.next_if(|(_, other, _)| other.zip(place).is_some_and(|(a, b)| a < b))
        {
            arranged.push(other);
        }
        arranged.push(item);
    }
    arranged.extend(others.map(|(_, _, other)| other));
    Ok(arranged)
}

/// Where each item stands first.
fn places(items: &[Value], key: Option<&str>) -> Result<HashMap<String, usize>, PatchError> {
    let mut places = HashMap::with_capacity(items.len());
    for (position, item) in items.iter().enumerate() {
        places.entry(identity(item, key)?).or_insert(position);
    }
    Ok(places)
}

fn identity(item: &Value, key: Option<&str>) -> Result<String, PatchError> {
    match (key, item) {
        (None, item) => Ok(item.to_string()),
        (Some(key), Value::Object(map)) => match map.get(key) {
            Some(value) => Ok(value.to_string()),
            None => no_merge_key(item, key),
        },
        (Some(_), other) => not_of_type("map[string]interface {}", other),
    }
}

/// Checks that the items of `patch` (but those to be deleted) stand in `order`, in the same order.
///
/// # Errors
/// An item that does not, or has no key.
pub fn check_order(patch: &[Value], order: &[Value], key: Option<&str>) -> Result<(), PatchError> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut left = order.iter();
    for item in patch {
        if key.is_some() && !item.is_object() {
            return not_of_type("map[string]interface {}", item);
        }
        if item.get("$patch").is_some() {
            continue;
        }
        let wanted = identity(item, key)?;
        loop {
            match left.next() {
                Some(other) if identity(other, key)? == wanted => break,
                Some(_) => {}
                None => {
                    let plain = |items: &[Value]| go_format::plain(&Value::Array(items.to_vec()));
                    return failed(format!(
                        "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                        plain(patch),
                        plain(order)
                    ));
                }
            }
        }
    }
    Ok(())
}
