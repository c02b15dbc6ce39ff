//! Strategic merge patch: a partial object merged as the kind's schema says. Lists with a merge key are merged item
//! by item, lists of plain values by value, others are replaced; `$patch`, `$retainKeys`, `$setElementOrder/LIST` and
//! `$deleteFromPrimitiveList/LIST` in the patch say what a partial object cannot.
//!
//! Follows `k8s.io/apimachinery/pkg/util/strategicpatch`, whose messages clients see.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::machinery::{
    go_format,
    schema::{Field, Schema, Shape},
};

use super::{
    PatchError,
    merge::{not_an_object, without_nulls},
    order,
};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList";
const SET_ORDER: &str = "$setElementOrder";

type Object = Map<String, Value>;

/// Merges `patch` into `object`, which is of a built-in kind with this schema.
///
/// # Errors
/// A patch that is no object, has directives that make no sense, or lacks merge keys.
pub fn patch(schema: &Schema, object: Value, patch: Value) -> Result<Value, PatchError> {
    if schema.object().is_none_or(|object| object.name.is_none()) {
        let message = "strategic merge patch format is not supported";
        return Err(PatchError::Malformed(message.to_owned()));
    }
    let patch = match patch {
        Value::Object(patch) => patch,
        Value::Null => Object::new(),
        other => return Err(PatchError::Malformed(not_an_object(&other))),
    };
    let object = match object {
        Value::Object(object) => object,
        _ => Object::new(),
    };
    Ok(Value::Object(merge_objects(object, patch, schema)?))
}

pub(super) fn failed<T>(message: impl Into<String>) -> Result<T, PatchError> {
    Err(PatchError::Failed(message.into()))
}

fn malformed<T>(message: &str) -> Result<T, PatchError> {
    Err(PatchError::Malformed(message.to_owned()))
}

pub(super) fn no_merge_key<T>(item: &Value, key: &str) -> Result<T, PatchError> {
    failed(format!("map: {} does not contain declared merge key: {key}", go_format::plain(item)))
}

pub(super) fn not_of_type<T>(expected: &str, actual: &Value) -> Result<T, PatchError> {
    failed(format!("expected a {expected}, but received a {}", go_type_name(actual)))
}

fn go_type_name(value: &Value) -> &'static str {
    match value {
        // Go writes the absent type of nil so.
        Value::Null => "%!s(<nil>)",
        other => go_format::type_of(other),
    }
}

/// What the schema says of the field `name` of a struct.
fn lookup<'s>(schema: &'s Schema, name: &str) -> Result<&'s Field, PatchError> {
    let (kind, fields, type_name) = match (&schema.shape, schema.shape()) {
        (_, Shape::Object(object)) if object.name.is_some() => {
            ("struct", Some(&object.fields), object.name.unwrap_or_default())
        }
        (Shape::Named(reference), Shape::Any) => ("struct", None, reference.name()),
        (_, Shape::Object(_)) => ("map", None, ""),
        (_, Shape::Array(_)) => ("slice", None, ""),
        (_, Shape::Boolean) => ("bool", None, ""),
        (_, Shape::Any | Shape::Named(_)) => ("interface", None, ""),
        _ => ("string", None, ""),
    };
    if kind != "struct" {
        return failed(format!("merging an object in json but data type is not struct, instead is: {kind}"));
    }
    let found = fields.and_then(|fields| {
        let folded =
            || fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, field)| field);
        fields.get(name).or_else(folded)
    });
    let short = type_name.rsplit('.').next().unwrap_or(type_name);
    found.map_or_else(
        || failed(format!("unable to find api field in struct {short} for the json field {name:?}")),
        Ok,
    )
}

/// The schema of the items of the list field.
fn items_of(field: &Field) -> Result<&Schema, PatchError> {
    match field.schema.items() {
        Some(items) if items.array().is_some() => failed("unexpected slice of slice"),
        Some(items) => Ok(items),
        None => failed("expected slice or array type, but got: struct"),
    }
}

/// Recursion is bounded by the decoder's limit on the patch.
fn merge_objects(mut object: Object, mut patch: Object, schema: &Schema) -> Result<Object, PatchError> {
    if let Some(directive) = patch.get(PATCH) {
        return match directive.as_str() {
            Some("replace") => {
                patch.remove(PATCH);
                Ok(patch)
            }
            Some("delete") => Ok(Object::new()),
            _ => unknown_directive(&Value::Object(patch)),
        };
    }
    retain_keys(&mut object, &mut patch)?;
    set_element_orders(&mut object, &mut patch, schema)?;
    for (name, value) in patch {
        let (name, deletes) = match name.strip_prefix(DELETE_FROM_LIST) {
            Some(rest) => match rest.strip_prefix('/') {
                Some(list) => (list.to_owned(), true),
                None => return malformed("invalid patch format of primitive list"),
            },
            None => (name, false),
        };
        merge_field(&mut object, name, value, deletes, schema)?;
    }
    Ok(object)
}

fn merge_field(
    object: &mut Object,
    name: String,
    value: Value,
    deletes: bool,
    schema: &Schema,
) -> Result<(), PatchError> {
    if value.is_null() {
        object.remove(&name);
        return Ok(());
    }
    let merged = match (object.get_mut(&name).map(Value::take), value) {
        (Some(Value::Object(old)), Value::Object(new)) => {
            let field = lookup(schema, &name)?;
            if field.patch.replace {
                Some(Value::Object(new))
            } else {
                Some(Value::Object(merge_objects(old, new, &field.schema)?))
            }
        }
        (Some(Value::Array(old)), Value::Array(new)) => {
            let field = lookup(schema, &name)?;
            Some(Value::Array(merge_field_lists(old, new, field, deletes)?))
        }
        // Only a list has something to delete from.
        (old, _) if deletes => old,
        (Some(old), value) if go_format::type_of(&old) == go_format::type_of(&value) => Some(value),
        (_, value) => without_directives(without_nulls(value)),
    };
    match merged {
        Some(merged) => {
            object.insert(name, merged);
        }
        None => {
            object.remove(&name);
        }
    }
    Ok(())
}

fn merge_field_lists(
    old: Vec<Value>,
    new: Vec<Value>,
    field: &Field,
    deletes: bool,
) -> Result<Vec<Value>, PatchError> {
    let items = items_of(field)?;
    if field.patch.merge || deletes {
        merge_lists(old, new, items, field.patch_merge_key.as_deref(), deletes)
    } else {
        Ok(new)
    }
}

fn unknown_directive<T>(patch: &Value) -> Result<T, PatchError> {
    let directive = match &patch[PATCH] {
        Value::String(text) => text.clone(),
        other => format!("%!s({}={})", go_format::type_of(other), go_format::plain(other)),
    };
    failed(format!("unknown patch type: {directive} in map: {}", go_format::plain(patch)))
}

/// `$retainKeys` names all fields that may be there afterwards.
fn retain_keys(object: &mut Object, patch: &mut Object) -> Result<(), PatchError> {
    let Some(directive) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let wrong = || PatchError::Malformed("invalid patch format of retainKeys".to_owned());
    let kept = directive.as_array().ok_or_else(wrong)?;
    let kept: HashSet<&str> = kept.iter().filter_map(Value::as_str).collect();
    let is_directive = |name: &str| name.starts_with(DELETE_FROM_LIST) || name.starts_with(SET_ORDER);
    if patch
        .iter()
        .any(|(name, value)| !value.is_null() && !is_directive(name) && !kept.contains(name.as_str()))
    {
        return Err(wrong());
    }
    object.retain(|name, _| kept.contains(name.as_str()));
    Ok(())
}

/// `$setElementOrder/LIST` names the items of a list in the order they are to have; the list is merged on the way.
fn set_element_orders(object: &mut Object, patch: &mut Object, schema: &Schema) -> Result<(), PatchError> {
    let directives: Vec<String> = patch.keys().filter(|name| name.starts_with(SET_ORDER)).cloned().collect();
    for directive in directives {
        let order = match patch.remove(&directive) {
            Some(Value::Array(order)) => order,
            other => return not_of_type("[]interface {}", &other.unwrap_or_default()),
        };
        let Some(name) = directive.strip_prefix(SET_ORDER).and_then(|rest| rest.strip_prefix('/')) else {
            return malformed("invalid patch format of setElementOrder list");
        };
        let list = |value: Option<Value>| match value {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(other) => not_of_type("[]interface {}", &other),
        };
        let old = list(object.remove(name))?;
        let new = list(patch.remove(name))?;
        let field = lookup(schema, name)?;
        let items = items_of(field)?;
        let key = field.patch_merge_key.as_deref();
        order::check_order(new.as_deref().unwrap_or_default(), &order, key)?;
        let live: Vec<Value> = old.clone().unwrap_or_default();
        let sent = new.clone().unwrap_or_default();
        let merged = match (old, new) {
            (None, None) => continue,
            (Some(old), None) => old,
            (None, Some(new)) => new.into_iter().filter_map(without_directives).collect(),
            (Some(old), Some(new)) if field.patch.merge => merge_lists(old, new, items, key, false)?,
            (Some(_), Some(new)) => new,
        };
        item_type(&live, &sent)?;
        object.insert(name.to_owned(), Value::Array(order::arrange(merged, &order, &live, key)?));
    }
    Ok(())
}

/// The one type that all items have.
fn item_type(old: &[Value], new: &[Value]) -> Result<&'static str, PatchError> {
    let mut types = old.iter().chain(new).map(go_format::type_of);
    let Some(first) = types.next() else { return failed("no elements in any of the given slices") };
    if first == "[]interface {}" {
        return Err(PatchError::Inapplicable("lists of lists are not supported".to_owned()));
    }
    if types.any(|other| other != first) {
        let plain = |items: &[Value]| go_format::plain(&Value::Array(items.to_vec()));
        return failed(format!("list element types are not identical: [{} {}]", plain(old), plain(new)));
    }
    Ok(first)
}

fn merge_lists(
    old: Vec<Value>,
    new: Vec<Value>,
    items: &Schema,
    key: Option<&str>,
    deletes: bool,
) -> Result<Vec<Value>, PatchError> {
    if old.is_empty() && new.is_empty() {
        return Ok(old);
    }
    if item_type(&old, &new)? != "map[string]interface {}" {
        if deletes {
            let deleted: HashSet<String> = new.iter().map(Value::to_string).collect();
            return Ok(old.into_iter().filter(|item| !deleted.contains(&item.to_string())).collect());
        }
        let mut seen = HashSet::new();
        let both = old.iter().chain(&new).filter(|item| seen.insert(item.to_string())).cloned().collect();
        return order::arrange(both, &new, &old, None);
    }
    let Some(key) = key.filter(|key| !key.is_empty()) else {
        return failed("cannot merge lists without merge key for struct");
    };
    let (old, new) = carry_out_directives(old, new, key)?;
    let merged = merge_items(old.clone(), &new, items, key)?;
    order::arrange(merged, &new, &old, Some(key))
}

/// Takes the items with `$patch` out of the patch, and does what they say.
fn carry_out_directives(
    old: Vec<Value>,
    new: Vec<Value>,
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let mut plain = Vec::with_capacity(new.len());
    let mut deleted = HashSet::new();
    let mut replace = false;
    for item in new {
        match item.get(PATCH) {
            None => plain.push(item),
            Some(directive) => match (directive.as_str(), item.get(key)) {
                (Some("delete"), Some(value)) => {
                    deleted.insert(value.to_string());
                }
                (Some("delete"), None) => return no_merge_key(&item, key),
                (Some("replace"), _) => replace = true,
                (Some("merge"), _) => return failed("merging lists cannot yet be specified in the patch"),
                _ => return unknown_directive(&item),
            },
        }
    }
    if replace {
        return Ok((plain, Vec::new()));
    }
    let kept = |item: &Value| !item.get(key).is_some_and(|value| deleted.contains(&value.to_string()));
    Ok((old.into_iter().filter(kept).collect(), plain))
}

/// Merges items that are the same by their key, and adds the others.
fn merge_items(
    mut merged: Vec<Value>,
    new: &[Value],
    items: &Schema,
    key: &str,
) -> Result<Vec<Value>, PatchError> {
    let mut places: HashMap<String, usize> = HashMap::with_capacity(merged.len());
    for (index, item) in merged.iter().enumerate() {
        if let Some(value) = item.get(key) {
            places.entry(value.to_string()).or_insert(index);
        }
    }
    for item in new {
        let Some(value) = item.get(key) else { return no_merge_key(item, key) };
        let place = *places.entry(value.to_string()).or_insert(merged.len());
        match (merged.get_mut(place), item) {
            (Some(old), Value::Object(item)) => {
                let old = std::mem::take(crate::machinery::object::map_mut(old));
                merged[place] = Value::Object(merge_objects(old, item.clone(), items)?);
            }
            _ => merged.push(item.clone()),
        }
    }
    Ok(merged)
}

/// A value of the patch that has nothing to be merged with; `None` if it says that there is to be nothing.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(PATCH) => None,
        Value::Object(map) => Some(
            map.into_iter().filter_map(|(name, value)| Some((name, without_directives(value)?))).collect(),
        ),
        Value::Array(items) => Some(items.into_iter().filter_map(without_directives).collect()),
        scalar => Some(scalar),
    }
}

#[cfg(test)]
mod tests;
