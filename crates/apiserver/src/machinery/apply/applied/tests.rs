//! Applied configurations, by rule.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::machinery::{
    apply::{Filter, OtherVersion, Version, keep_times_if_unchanged},
    builtin,
    conform::conform,
};

const NOW: &str = "2024-05-01T00:00:00Z";
const LATER: &str = "2024-05-02T00:00:00Z";

fn manager_of(kind: &str, api_version: &str) -> FieldManager {
    let schema = builtin::schema(&format!("io.k8s.api.{kind}")).unwrap().clone();
    let version = Version { schema, filter: Filter::All };
    FieldManager::new(version, api_version, kind.rsplit('.').next().unwrap(), "")
}

fn config_map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data})
}

fn applied(live: Option<&Value>, config: &Value, manager: &str, force: bool) -> Result<Value, ApplyError> {
    let mut object = manager_of("core.v1.ConfigMap", "v1").apply(live, config, manager, force, NOW)?;
    object["metadata"]["uid"] = "1".into();
    Ok(object)
}

fn owned(object: &Value, manager: &str) -> Value {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let entry = entries.into_iter().find(|entry| entry["manager"] == manager);
    entry.map(|entry| entry["fieldsV1"].clone()).unwrap_or_default()
}

#[test]
fn what_a_manager_gives_up_goes_unless_somebody_owns_it() {
    let first = applied(None, &config_map(json!({"a": "1", "b": "1", "c": "1"})), "m1", false).unwrap();
    let second = applied(Some(&first), &config_map(json!({"b": "1"})), "m2", false).unwrap();
    let mut third = second.clone();
    third["data"]["c"] = json!("2");
    manager_of("core.v1.ConfigMap", "v1").update(Some(&second), &mut third, "u", NOW);
    let last = applied(Some(&third), &config_map(json!({})), "m1", false).unwrap();
    assert_eq!(last["data"], json!({"b": "1", "c": "2"}));
    assert_eq!(owned(&last, "m1"), json!({"f:data": {}}));
    assert_eq!(owned(&last, "m2"), json!({"f:data": {"f:b": {}}}));
    assert_eq!(owned(&last, "u"), json!({"f:data": {"f:c": {}}}));
}

#[test]
fn what_an_item_has_from_elsewhere_goes_with_it_only_if_nobody_owns_it() {
    let deployments = manager_of("apps.v1.Deployment", "apps/v1");
    let config = |containers: Value| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
            "spec": {"template": {"spec": {"containers": containers}}}})
    };
    let apply = |live: Option<&Value>, containers: Value, manager: &str| {
        let mut object = deployments.apply(live, &config(containers), manager, false, NOW).unwrap();
        object["metadata"]["uid"] = "1".into();
        object
    };
    let both = json!([{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]);
    let mut live = apply(None, both, "m1");
    // What a default gave, and what somebody else applied.
    live["spec"]["template"]["spec"]["containers"][1]["imagePullPolicy"] = json!("Always");
    let env = json!([{"name": "a", "env": [{"name": "E", "value": "1"}]}]);
    let live = apply(Some(&live), env, "m2");
    let last = apply(Some(&live), json!([]), "m1");
    assert_eq!(
        last["spec"]["template"]["spec"]["containers"],
        json!([{"name": "a", "env": [{"name": "E", "value": "1"}]}])
    );
}

#[test]
fn who_would_change_what_others_own_is_told_whose_it_is() {
    let first = applied(None, &config_map(json!({"a": "1", "b": "1"})), "m1", false).unwrap();
    let conflict = applied(Some(&first), &config_map(json!({"a": "2"})), "m2", false).unwrap_err();
    let status = conflict.to_api_error().to_status();
    assert_eq!(status["code"], 409);
    assert_eq!(status["message"], "Apply failed with 1 conflict: conflict with \"m1\": .data.a");
    assert_eq!(
        status["details"],
        json!({"causes": [{"reason": "FieldManagerConflict", "message": "conflict with \"m1\"", "field": ".data.a"}]})
    );
    let shared = applied(Some(&first), &config_map(json!({"a": "1"})), "m2", false).unwrap();
    assert_eq!(owned(&shared, "m1"), json!({"f:data": {"f:a": {}, "f:b": {}}}));
    assert_eq!(owned(&shared, "m2"), json!({"f:data": {"f:a": {}}}));
    let forced = applied(Some(&first), &config_map(json!({"a": "2"})), "m2", true).unwrap();
    assert_eq!(owned(&forced, "m1"), json!({"f:data": {"f:b": {}}}));
    let several = applied(Some(&forced), &config_map(json!({"a": "3", "b": "3"})), "m3", false).unwrap_err();
    assert_eq!(
        several.to_string(),
        "Apply failed with 2 conflicts: conflicts with \"m1\":\n- .data.b\nconflicts with \"m2\":\n- .data.a"
    );
}

#[test]
fn configurations_that_are_none_are_refused() {
    let refused = |config: Value| {
        let error = applied(None, &config, "m", true).unwrap_err().to_api_error();
        (error.code, error.reason, error.message)
    };
    let mut other_kind = config_map(json!({}));
    other_kind["kind"] = json!("Secret");
    let mut other_version = config_map(json!({}));
    other_version["apiVersion"] = json!("apps/v1");
    let mut owning = config_map(json!({}));
    owning["metadata"]["managedFields"] = json!([]);
    for (config, code, reason, message) in [
        (other_kind, 400, "BadRequest", "invalid object type: /v1, Kind=Secret"),
        (other_version, 400, "BadRequest", "invalid object type: apps/v1, Kind=ConfigMap"),
        (owning, 400, "BadRequest", "metadata.managedFields must be nil"),
        (
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}, "x": 1}),
            500,
            "",
            "failed to create typed patch object (n/c; /v1, Kind=ConfigMap): .x: field not declared in schema",
        ),
    ] {
        assert_eq!(refused(config), (code, reason, message.to_owned()));
    }
}

#[test]
fn kubectl_goes_on_from_what_it_applied_on_the_clients_side() {
    const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
    let mut live = config_map(json!({"a": "1", "b": "1"}));
    let text = config_map(json!({"a": "1", "b": "0"})).to_string();
    live["metadata"]["annotations"] = json!({ANNOTATION: text});
    manager_of("core.v1.ConfigMap", "v1").update(None, &mut live, "kubectl-client-side-apply", NOW);
    live["metadata"]["uid"] = "1".into();

    assert!(applied(Some(&live), &config_map(json!({"a": "2"})), "other", false).is_err());
    let upgraded = applied(Some(&live), &config_map(json!({"a": "2"})), "kubectl", false).unwrap();
    assert_eq!(upgraded["data"], json!({"a": "2", "b": "1"}));
    assert_eq!(
        upgraded["metadata"]["annotations"][ANNOTATION],
        "{\"apiVersion\":\"v1\",\"data\":{\"a\":\"2\"},\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\"}}\n"
    );
    // b is no longer as kubectl applied it.
    let conflict =
        applied(Some(&live), &config_map(json!({"a": "2", "b": "2"})), "kubectl", false).unwrap_err();
    assert_eq!(
        conflict.to_string(),
        "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using v1: .data.b"
    );
    let large =
        applied(Some(&live), &config_map(json!({"a": "x".repeat(300_000)})), "kubectl", true).unwrap();
    assert_eq!(large["metadata"]["annotations"], json!({}));
}

#[test]
fn what_was_applied_in_another_version_is_given_up_in_that() {
    let rename = |from: &'static str, to: &'static str| {
        Arc::new(move |object: &Value| {
            let mut object = object.clone();
            if let Some(value) = object["spec"].as_object_mut()?.remove(from) {
                object["spec"][to] = value;
            }
            Some(object)
        })
    };
    let other =
        OtherVersion { version: Version::default(), to: rename("new", "old"), from: rename("old", "new") };
    let widgets =
        FieldManager::new(Version::default(), "e/v2", "Widget", "").with_other_version("e/v1", other);
    let live = json!({"apiVersion": "e/v2", "kind": "Widget",
        "metadata": {"name": "w", "uid": "1", "managedFields": [
            {"manager": "m", "operation": "Apply", "apiVersion": "e/v1", "time": NOW, "fieldsType": "FieldsV1",
                "fieldsV1": {"f:spec": {"f:old": {}, "f:keep": {}}}}]},
        "spec": {"new": 1, "keep": 1, "other": 1}});
    let config =
        json!({"apiVersion": "e/v2", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"keep": 2}});
    let object = widgets.apply(Some(&live), &config, "m", false, LATER).unwrap();
    assert_eq!(object["spec"], json!({"keep": 2, "other": 1}));
    assert_eq!(object["metadata"]["managedFields"][0]["apiVersion"], "e/v2");
    assert_eq!(owned(&object, "m"), json!({"f:spec": {".": {}, "f:keep": {}}}));
}

/// Configurations of pods. None has anything empty: that is not stored, so that applying it always is a change.
fn configs() -> impl Strategy<Value = Value> {
    let text = || "[a-b]".prop_map(Value::from);
    let map = || proptest::option::of(proptest::collection::btree_map("[a-c]", text(), 1..3));
    let limits = proptest::option::of(proptest::collection::btree_map("[a-c]", "[1-2]", 1..3));
    let containers = proptest::collection::btree_map("[a-c]", (proptest::option::of(text()), limits), 1..3);
    let containers = containers.prop_map(|containers| {
        let item =
            |(name, (image, limits))| json!({"name": name, "image": image, "resources": {"limits": limits}});
        containers.into_iter().map(item).collect::<Vec<Value>>()
    });
    (map(), containers.prop_shuffle(), map()).prop_map(|(labels, containers, selector)| {
        let mut config = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": labels},
            "spec": {"containers": containers, "nodeSelector": selector},
        });
        strip_nulls(&mut config);
        config
    })
}

fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(strip_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}

fn stored(mut object: Value) -> Value {
    conform(builtin::schema("io.k8s.api.core.v1.Pod").unwrap(), &mut object).unwrap();
    object["metadata"]["uid"] = "1".into();
    object
}

proptest! {
    #[test]
    fn applying_again_changes_nothing(steps in proptest::collection::vec((configs(), "m[1-3]"), 1..5)) {
        let pods = manager_of("core.v1.Pod", "v1");
        let mut live: Option<Value> = None;
        for (config, manager) in steps {
            let object = stored(pods.apply(live.as_ref(), &config, &manager, true, NOW).unwrap());
            let mut again = stored(pods.apply(Some(&object), &config, &manager, true, LATER).unwrap());
            keep_times_if_unchanged(&object, &mut again);
            prop_assert_eq!(&again, &object);
            prop_assert!(pods.apply(Some(&object), &config, &manager, false, LATER).is_ok());
            live = Some(object);
        }
    }

    #[test]
    fn what_is_applied_is_there_and_owned(before in configs(), config in configs()) {
        let pods = manager_of("core.v1.Pod", "v1");
        let live = stored(pods.apply(None, &before, "m1", false, NOW).unwrap());
        let object = pods.apply(Some(&live), &config, "m2", true, NOW).unwrap();
        let of = pods.version.of();
        let applied = strip_meta(set_of(of, &config));
        let entries = ManagedFields::decode(object::meta(&object, "managedFields")).unwrap();
        let entry = entries.get(&pods.manager("m2", Operation::Apply));
        prop_assert_eq!(entry.map(|entry| entry.fields().into_owned()).unwrap_or_default(), applied);
        prop_assert_eq!(merge(of, &object, &config).unwrap(), object);
    }
}
