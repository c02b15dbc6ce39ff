//! Runs the rules of a kind on an object, as a request would, for table tests: `field: message` lines come out.

use serde_json::{Value, json};

use super::{Resource, table};
use crate::machinery::{FieldErrors, conform, defaults, metadata};

/// The kind of an object, by its apiVersion and kind.
pub fn resource(object: &Value) -> &'static Resource {
    let (version, kind) = (object["apiVersion"].as_str(), object["kind"].as_str());
    let found = table::RESOURCES
        .iter()
        .find(|resource| Some(&*resource.api_version) == version && Some(&*resource.kind) == kind);
    found.unwrap_or_else(|| panic!("{version:?} {kind:?} is no kind"))
}

/// What is decoded from a body.
pub fn decoded(mut object: Value) -> Value {
    let resource = resource(&object);
    let unknown = conform::conform(&resource.schema, &mut object).unwrap();
    assert_eq!(unknown.fields, Vec::<String>::new(), "{object}");
    defaults::fill(&resource.schema, &mut object);
    (resource.strategy.default)(&mut object);
    conform::conform(&resource.schema, &mut object).unwrap();
    object
}

/// An object with some fields of another merged over its own (`null` removes a field).
pub fn merged(mut object: Value, over: &Value) -> Value {
    match (&mut object, over) {
        (Value::Object(map), Value::Object(over)) => {
            for (name, value) in over {
                if value.is_null() {
                    map.remove(name);
                } else {
                    let own = map.remove(name).unwrap_or(Value::Null);
                    map.insert(name.clone(), merged(own, value));
                }
            }
            object
        }
        _ => over.clone(),
    }
}

/// What would be stored of a new object, and what is wrong with it.
pub fn created(object: Value) -> (Value, Vec<String>) {
    let resource = resource(&object);
    let strategy = resource.strategy;
    let named = json!({"metadata": {"name": "x", "creationTimestamp": "2024-01-01T00:00:00Z"}});
    let mut object = decoded(merged(named, &object));
    if resource.namespaced {
        object["metadata"]["namespace"] = "ns".into();
    }
    if strategy.status && !strategy.status_on_create {
        object.as_object_mut().unwrap().remove("status");
    }
    conform::conform(&resource.schema, &mut object).unwrap();
    (strategy.prepare_create)(&mut object);
    (strategy.stamp)(&mut object, &Value::Null, "2024-01-01T00:00:00Z");
    let mut errors = FieldErrors::new();
    metadata::validate(&object, resource.namespaced, strategy.name_rule, &mut errors);
    (strategy.validate_create)(&object, &mut errors);
    (object, lines(&errors))
}

/// What is wrong with a new object.
pub fn wrong(object: Value) -> Vec<String> {
    created(object).1
}

/// What would be stored when `old` was merged with `patch`, and what is wrong with that. `old` is created first.
pub fn updated(old: Value, patch: &Value) -> (Value, Vec<String>) {
    let (mut old, errors) = created(old);
    assert_eq!(errors, Vec::<String>::new());
    old["metadata"]["resourceVersion"] = "1".into();
    let strategy = resource(&old).strategy;
    let mut new = decoded(merged(old.clone(), patch));
    if strategy.status {
        new["status"] = old["status"].clone();
    }
    (strategy.prepare_update)(&mut new, &old);
    (strategy.stamp)(&mut new, &old, "2024-02-02T00:00:00Z");
    let mut errors = FieldErrors::new();
    (strategy.validate_update)(&new, &old, &mut errors);
    (new, lines(&errors))
}

/// What would be stored when `patch` was merged over the status of `old`, and what is wrong with that.
pub fn status_updated(old: Value, patch: &Value) -> (Value, Vec<String>) {
    let (mut old, errors) = created(old);
    assert_eq!(errors, Vec::<String>::new());
    old["metadata"]["resourceVersion"] = "1".into();
    let strategy = resource(&old).strategy;
    let mut new = decoded(merged(old.clone(), patch));
    (strategy.prepare_status)(&mut new, &old);
    (strategy.stamp)(&mut new, &old, "2024-02-02T00:00:00Z");
    let mut errors = FieldErrors::new();
    (strategy.validate_status)(&new, &old, &mut errors);
    (new, lines(&errors))
}

/// The warnings that come with a new object.
pub fn warnings(object: Value) -> Vec<String> {
    let object = created(object).0;
    (resource(&object).strategy.warnings)(&object, None)
}

/// `field: message` of each error; the explanation of a regular expression is cut off.
pub fn lines(errors: &FieldErrors) -> Vec<String> {
    let short = |message: &str| message.split(" (e.g. '").next().unwrap_or_default().to_owned();
    errors.iter().map(|error| format!("{}: {}", error.field, short(&error.message))).collect()
}

/// Checks what is wrong with each of a table of new objects, each merged over `base`.
pub fn check_wrong(base: &Value, table: &[(Value, &[&str])]) {
    for (over, want) in table {
        assert_eq!(wrong(merged(base.clone(), over)), *want, "{over}");
    }
}
