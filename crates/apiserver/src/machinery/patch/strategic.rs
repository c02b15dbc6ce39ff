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
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::machinery::builtin;

    fn patched(kind: &str, object: Value, sent: Value) -> Result<Value, PatchError> {
        patch(builtin::schema(&format!("io.k8s.api.{kind}")).unwrap(), object, sent)
    }

    #[test]
    fn lists_are_merged_by_their_key() {
        let containers = json!([
            {"name": "a", "image": "x:1", "env": [{"name": "E", "value": "1"}, {"name": "F", "value": "2"}],
                "command": ["run"]},
            {"name": "b", "image": "y:1"},
        ]);
        for (sent, want) in [
            (
                json!([{"name": "a", "image": "x:2", "env": [{"name": "F", "value": "3"}, {"name": "G"}]}]),
                json!([
                    {"name": "a", "image": "x:2", "command": ["run"],
                        "env": [{"name": "E", "value": "1"}, {"name": "F", "value": "3"}, {"name": "G"}]},
                    {"name": "b", "image": "y:1"},
                ]),
            ),
            (json!([{"name": "c"}]), json!([{"name": "c"}, containers[0], containers[1]])),
            (
                json!([{"name": "b", "$patch": "delete"}, {"name": "z", "$patch": "delete"}]),
                json!([containers[0]]),
            ),
            (json!([{"$patch": "replace"}, {"name": "only"}]), json!([{"name": "only"}])),
            (json!([{"$patch": "replace"}]), json!([])),
            (
                json!([{"name": "a", "command": ["stop", "it"], "env": null, "image": null}]),
                json!([{"name": "a", "command": ["stop", "it"]}, containers[1]]),
            ),
            (
                json!([{"name": "b", "args": ["x"]}, {"name": "a", "env": [{"name": "E", "$patch": "delete"}]}]),
                json!([
                    {"name": "b", "image": "y:1", "args": ["x"]},
                    {"name": "a", "image": "x:1", "env": [{"name": "F", "value": "2"}], "command": ["run"]},
                ]),
            ),
        ] {
            let result =
                patched("core.v1.PodSpec", json!({"containers": containers}), json!({"containers": sent}));
            assert_eq!(result.unwrap()["containers"], want, "{sent}");
        }
    }

    #[test]
    fn objects_are_merged_replaced_or_emptied() {
        for (kind, object, sent, want) in [
            (
                "core.v1.PodSpec",
                json!({"nodeSelector": {"a": "b"}}),
                json!({"nodeSelector": {"c": "d", "x": null}}),
                json!({"nodeSelector": {"a": "b", "c": "d"}}),
            ),
            (
                "core.v1.PodSpec",
                json!({"nodeSelector": {"a": "b"}}),
                json!({"nodeSelector": {"$patch": "replace", "c": "d"}}),
                json!({"nodeSelector": {"c": "d"}}),
            ),
            (
                "core.v1.PodSpec",
                json!({"nodeSelector": {"a": "b"}}),
                json!({"nodeSelector": {"$patch": "delete"}}),
                json!({"nodeSelector": {}}),
            ),
            (
                "core.v1.PodSpec",
                json!({}),
                json!({"nodeSelector": {"$patch": "merge", "c": "d"}, "hostNetwork": null}),
                json!({}),
            ),
            (
                "core.v1.PodSpec",
                json!({"tolerations": [{"key": "a"}], "imagePullSecrets": [{"name": "p"}]}),
                json!({"tolerations": [{"key": "b"}], "imagePullSecrets": [{"name": "q"}]}),
                json!({"tolerations": [{"key": "b"}], "imagePullSecrets": [{"name": "q"}, {"name": "p"}]}),
            ),
            (
                "apps.v1.DeploymentSpec",
                json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}),
                json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}),
                json!({"strategy": {"type": "Recreate"}}),
            ),
            (
                "policy.v1.PodDisruptionBudgetSpec",
                json!({"selector": {"matchLabels": {"a": "b"}}}),
                json!({"selector": {"matchLabels": {"c": "d"}}}),
                json!({"selector": {"matchLabels": {"c": "d"}}}),
            ),
            (
                "core.v1.ConfigMap",
                json!({"metadata": {"finalizers": ["a", "b"]}}),
                json!({"metadata": {"finalizers": ["c", "b"]}}),
                json!({"metadata": {"finalizers": ["c", "a", "b"]}}),
            ),
            (
                "core.v1.ConfigMap",
                json!({"metadata": {"finalizers": ["a", "b"]}}),
                json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "z"], "finalizers": ["c"]}}),
                json!({"metadata": {"finalizers": ["c", "b"]}}),
            ),
            (
                "core.v1.ConfigMap",
                json!({"metadata": {}}),
                json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}),
                json!({"metadata": {}}),
            ),
            ("core.v1.ConfigMap", json!({"data": {"a": "1"}}), json!(null), json!({"data": {"a": "1"}})),
            ("core.v1.ConfigMap", json!({"data": {"a": "1"}}), json!({"data": "x"}), json!({"data": "x"})),
        ] {
            assert_eq!(patched(kind, object, sent.clone()), Ok(want), "{sent}");
        }
    }

    #[test]
    fn a_list_takes_the_order_that_is_set() {
        let names = |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
        for (live, order, sent, want) in [
            (&["a", "b", "c"][..], &["c", "a", "b"][..], &["b"][..], &["c", "a", "b"][..]),
            (&["c", "a", "b"], &["b", "n"], &["n"], &["c", "a", "b", "n"]),
            (&["a", "b", "c"], &["c", "b"], &[], &["a", "c", "b"]),
            (&[], &["y", "x"], &["y", "x"], &["y", "x"]),
        ] {
            let object = json!({"containers": names(live)});
            let sent = json!({"$setElementOrder/containers": names(order), "containers": names(sent)});
            let result = patched("core.v1.PodSpec", object, sent.clone());
            assert_eq!(result, Ok(json!({"containers": names(want)})), "{sent}");
        }
        let finalizers = patched(
            "core.v1.ConfigMap",
            json!({"metadata": {"finalizers": ["a", "b", "c"]}}),
            json!({"metadata": {"$setElementOrder/finalizers": ["c", "a"]}}),
        );
        assert_eq!(finalizers.unwrap()["metadata"]["finalizers"], json!(["b", "c", "a"]));
    }

    #[test]
    fn patches_that_make_no_sense_are_refused_in_kubernetes_words() {
        let failed = |message: &str| PatchError::Failed(message.to_owned());
        let malformed = |message: &str| PatchError::Malformed(message.to_owned());
        let object =
            json!({"containers": [{"name": "b"}], "nodeSelector": {"a": "b"}, "securityContext": {}});
        for (sent, want) in [
            (
                json!({"containers": [{"image": "nameless"}]}),
                failed("map: map[image:nameless] does not contain declared merge key: name"),
            ),
            (
                json!({"containers": [{"$patch": "delete"}]}),
                failed("map: map[$patch:delete] does not contain declared merge key: name"),
            ),
            (
                json!({"containers": [{"name": "a", "$patch": "merge"}]}),
                failed("merging lists cannot yet be specified in the patch"),
            ),
            (
                json!({"securityContext": {"$patch": "unknown"}}),
                failed("unknown patch type: unknown in map: map[$patch:unknown]"),
            ),
            (
                json!({"containers": ["b"]}),
                failed("list element types are not identical: [[map[name:b]] [b]]"),
            ),
            (
                json!({"$setElementOrder/containers": [{"name": "zz"}], "containers": [{"name": "b"}]}),
                failed(
                    "The order in patch list:\n[map[name:b]]\n doesn't match $setElementOrder list:\n[map[name:zz]]\n",
                ),
            ),
            (
                json!({"$setElementOrder/containers": "x"}),
                failed("expected a []interface {}, but received a string"),
            ),
            (
                json!({"$setElementOrder/nonsense": []}),
                failed("unable to find api field in struct PodSpec for the json field \"nonsense\""),
            ),
            (json!({"$setElementOrder": []}), malformed("invalid patch format of setElementOrder list")),
            (json!({"$deleteFromPrimitiveList": []}), malformed("invalid patch format of primitive list")),
            (json!({"$retainKeys": "x"}), malformed("invalid patch format of retainKeys")),
            (
                json!({"$retainKeys": ["a"], "hostNetwork": true}),
                malformed("invalid patch format of retainKeys"),
            ),
            (
                json!({"containers": [[1]]}),
                failed("list element types are not identical: [[map[name:b]] [[1]]]"),
            ),
            (
                json!([1]),
                malformed("json: cannot unmarshal array into Go value of type map[string]interface {}"),
            ),
        ] {
            assert_eq!(patched("core.v1.PodSpec", object.clone(), sent.clone()), Err(want), "{sent}");
        }
        let custom = patch(&Schema::default(), json!({}), json!({}));
        assert_eq!(custom, Err(malformed("strategic merge patch format is not supported")));
    }

    /// Pod specs, or patches of them without directives.
    fn pod_specs() -> impl Strategy<Value = Value> {
        let text = || prop_oneof![Just(json!(null)), "[a-c]".prop_map(Value::from)];
        let env = proptest::collection::btree_map("[A-C]", text(), 0..3).prop_map(|env| {
            env.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect::<Vec<_>>()
        });
        let containers =
            proptest::collection::btree_map("[a-d]", (text(), env), 0..4).prop_map(|containers| {
                let item = |(name, (image, env))| json!({"name": name, "image": image, "env": env});
                containers.into_iter().map(item).collect::<Vec<Value>>()
            });
        let selector = proptest::collection::btree_map("[a-c]", text(), 0..3);
        (containers.prop_shuffle(), selector, text()).prop_map(|(containers, selector, host)| {
            json!({"containers": containers, "nodeSelector": selector, "hostname": host})
        })
    }

    proptest! {
        #[test]
        fn a_patch_applied_twice_changes_nothing_more(object in pod_specs(), sent in pod_specs()) {
            let object = without_nulls(object);
            // Items that are new come with their nulls, which conforming takes out.
            let once = without_nulls(patched("core.v1.PodSpec", object, sent.clone()).unwrap());
            prop_assert_eq!(patched("core.v1.PodSpec", once.clone(), sent).map(without_nulls), Ok(once));
        }

        #[test]
        fn nothing_that_is_sent_is_beyond_it(object in pod_specs(), sent in r#"[{}\[\]",:a-c$]{0,20}"#) {
            if let Ok(sent) = serde_json::from_str::<Value>(&sent) {
                let _ = patched("core.v1.PodSpec", object, sent);
            }
        }
    }
}
