//! Whether a server-side apply would change anything, judged from the object and its `managedFields`.
//!
//! Applying again what is applied costs a request, and the server changes nothing. That it would is seen when the manager
//! owns exactly the fields that it states, and they have the values that it states. Where that cannot be seen (a default
//! within an atomic list, a value in another notation, a watch that does not keep `managedFields`, see
//! [`Watch::with_managed_fields`](crate::Watch::with_managed_fields)) the answer is no: the request
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
    if !is_conditioned_on(fields, object) {
        return false;
    }
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

/// Whether the conditions that an apply names, if any, are met by this state of the object; else it is to be refused.
pub(crate) fn is_conditioned_on(fields: &Value, object: &Object) -> bool {
    let is =
        |field: &str, value: &str| fields["metadata"][field].as_str().is_none_or(|wanted| wanted == value);
    is("uid", object.uid()) && is("resourceVersion", object.resource_version())
}

/// The fields stated of which somebody becomes the owner.
pub(crate) fn stated(fields: &Value) -> Option<Map<String, Value>> {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Kind;

    /// A Deployment of which `me` has applied replicas, a label and the port 80, and somebody else the rest.
    fn deployment() -> Object {
        let owned = json!({
            "f:metadata": {"f:labels": {"f:app": {}}},
            "f:spec": {
                "f:replicas": {},
                "f:ports": {
                    "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}, "f:protocol": {}, "f:name": {}},
                },
                "f:finalizers": {"v:\"a\"": {}},
                "f:atomic": {},
            },
        });
        let entry = |manager: &str, subresource: Option<&str>, fields: &Value| {
            let mut entry = json!({
                "manager": manager, "operation": "Apply", "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
                "fieldsV1": fields,
            });
            if let Some(subresource) = subresource {
                entry["subresource"] = subresource.into();
            }
            entry
        };
        let value = json!({
            "metadata": {
                "name": "web", "namespace": "ns", "uid": "u", "labels": {"app": "web", "other": "x"},
                "managedFields": [
                    entry("other", None, &json!({})),
                    entry("me", Some("status"), &json!({"f:status": {"f:replicas": {}}})),
                    entry("me", None, &owned),
                ],
            },
            "spec": {
                "replicas": 3, "paused": false, "finalizers": ["z", "a"], "atomic": [{"x": 1}],
                "ports": [{"port": 81, "protocol": "TCP"}, {"port": 80, "protocol": "TCP", "name": "web", "more": 1}],
            },
            "status": {"replicas": 2},
        });
        Object::from_value(&Kind::named("apps", "v1", "Deployment", "deployments"), &value).unwrap()
    }

    fn stated() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "ns", "labels": {"app": "web"}},
            "spec": {
                "replicas": 3, "finalizers": ["a"], "atomic": [{"x": 1}],
                "ports": [{"port": 80, "protocol": "TCP", "name": "web"}],
            },
        })
    }

    #[test]
    fn it_is_applied_only_if_just_these_fields_are_owned_and_have_these_values() {
        type Change = fn(&mut Value);
        let changes: &[(&str, Change, bool)] = &[
            ("the same", |_| {}, true),
            ("with its uid", |value| value["metadata"]["uid"] = "u".into(), true),
            ("with another's uid", |value| value["metadata"]["uid"] = "v".into(), false),
            ("of another state", |value| value["metadata"]["resourceVersion"] = "1".into(), false),
            ("another value", |value| value["spec"]["replicas"] = 4.into(), false),
            ("one more, that others own", |value| value["spec"]["paused"] = false.into(), false),
            ("one more label", |value| value["metadata"]["labels"]["other"] = "x".into(), false),
            ("one less", |value| drop(value["spec"].as_object_mut().unwrap().remove("replicas")), false),
            ("no label", |value| drop(value["metadata"].as_object_mut().unwrap().remove("labels")), false),
            ("another port", |value| value["spec"]["ports"][0]["port"] = 81.into(), false),
            ("a port by another name", |value| value["spec"]["ports"][0]["name"] = "b".into(), false),
            (
                "one more port",
                |value| {
                    value["spec"]["ports"] =
                        json!([{"port": 80, "protocol": "TCP", "name": "web"}, {"port": 81}]);
                },
                false,
            ),
            (
                "a default left out",
                |value| drop(value["spec"]["ports"][0].as_object_mut().unwrap().remove("protocol")),
                false,
            ),
            ("another of a set", |value| value["spec"]["finalizers"][0] = "z".into(), false),
            ("another in an atomic list", |value| value["spec"]["atomic"][0]["x"] = 2.into(), false),
            ("nothing", |value| *value = json!({}), false),
        ];
        for (why, change, applied) in changes {
            let mut fields = stated();
            change(&mut fields);
            assert_eq!(is_applied(&deployment(), &fields, "me", None), *applied, "{why}");
        }
    }

    #[test]
    fn it_goes_by_manager_and_subresource() {
        let status = |replicas: i64| json!({"status": {"replicas": replicas}});
        for (why, fields, manager, subresource, applied) in [
            ("another manager", stated(), "other", None, false),
            ("a manager that is not there", stated(), "nobody", None, false),
            ("the status", status(2), "me", Some("status"), true),
            ("another status", status(3), "me", Some("status"), false),
            ("the status, but not as such", status(2), "me", None, false),
            ("nothing, and nothing owned", json!({}), "nobody", None, true),
            ("nothing, but something owned", json!({}), "me", None, false),
        ] {
            assert_eq!(is_applied(&deployment(), &fields, manager, subresource), applied, "{why}");
        }
        let bare = Object::from_value(deployment().kind(), &json!({"metadata": {"name": "web"}})).unwrap();
        assert!(!is_applied(&bare, &json!({}), "me", None), "who owns what is not known");
    }
}
