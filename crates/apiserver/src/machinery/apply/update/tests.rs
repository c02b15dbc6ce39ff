//! Ownership of what updates change, by rule.

use serde_json::json;

use super::*;
use crate::machinery::{
    apply::{FieldSet, Filter, OtherVersion},
    builtin,
    conform::conform,
};

const NOW: &str = "2024-05-01T00:00:00Z";
const LATER: &str = "2024-05-02T00:00:00Z";

fn manager_of(kind: &str, api_version: &str, subresource: &str, filter: Filter) -> FieldManager {
    let schema = builtin::schema(&format!("io.k8s.api.{kind}")).unwrap().clone();
    let kind = kind.rsplit('.').next().unwrap();
    FieldManager::new(Version { schema, filter }, api_version, kind, subresource)
}

fn config_maps() -> FieldManager {
    manager_of("core.v1.ConfigMap", "v1", "", Filter::All)
}

fn config_map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "uid": "1"}, "data": data})
}

/// The fields that `new` is said to be owned by after a create, of one manager.
fn created(fields: &FieldManager, schema: &str, mut new: Value) -> Value {
    conform(builtin::schema(&format!("io.k8s.api.{schema}")).unwrap(), &mut new).unwrap();
    fields.update(None, &mut new, "m", NOW);
    let entries = new["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    assert!(entries.len() <= 1, "{entries:?}");
    entries.first().map(|entry| entry["fieldsV1"].clone()).unwrap_or_default()
}

fn updated(fields: &FieldManager, live: &Value, mut new: Value, manager: &str, now: &str) -> Value {
    if new["metadata"].get("managedFields").is_none() {
        new["metadata"]["managedFields"] = live["metadata"]["managedFields"].clone();
    }
    fields.update(Some(live), &mut new, manager, now);
    new
}

/// `manager operation time? fields` of each entry.
fn entries(object: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    (object["metadata"]["managedFields"].as_array().into_iter().flatten())
        .map(|entry| {
            let fields = FieldSet::from_fields_v1(&entry["fieldsV1"]).unwrap().to_string();
            let fields = fields.split_whitespace().collect::<Vec<_>>().join(" ");
            format!(
                "{} {} {}: {fields}",
                text(&entry["manager"]),
                text(&entry["operation"]),
                text(&entry["time"])
            )
        })
        .collect()
}

#[test]
fn who_creates_an_object_owns_what_it_was_made_with() {
    assert_eq!(
        created(&config_maps(), "core.v1.ConfigMap", config_map(json!({"a": "1"}))),
        json!({"f:data": {".": {}, "f:a": {}}})
    );
    assert_eq!(created(&config_maps(), "core.v1.ConfigMap", config_map(json!({}))), json!(null));
    let services = manager_of("core.v1.Service", "v1", "", Filter::except(&[&["status"]]));
    assert_eq!(
        created(
            &services,
            "core.v1.Service",
            json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "finalizers": ["a"]},
                "spec": {
                    "selector": {"a": "b"}, "type": "ClusterIP",
                    "ports": [{"port": 443, "protocol": "TCP", "targetPort": 80}, {"port": 80, "protocol": "UDP"}],
                },
                "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}},
            })
        ),
        json!({
            "f:metadata": {"f:finalizers": {".": {}, "v:\"a\"": {}}},
            "f:spec": {
                "f:ports": {
                    ".": {},
                    "k:{\"port\":443,\"protocol\":\"TCP\"}": {
                        ".": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {}},
                    "k:{\"port\":80,\"protocol\":\"UDP\"}": {
                        ".": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {}},
                },
                "f:selector": {},
                "f:type": {},
            },
        })
    );
    let deployments = manager_of("apps.v1.Deployment", "apps/v1", "", Filter::except(&[&["status"]]));
    assert_eq!(
        created(
            &deployments,
            "apps.v1.Deployment",
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
                "spec": {
                    "selector": {"matchLabels": {"app": "web"}},
                    "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}},
                    "template": {
                        "metadata": {"labels": {"app": "web"}},
                        "spec": {"containers": [{"name": "c", "image": "i"}]},
                    },
                },
            })
        ),
        json!({"f:spec": {
            "f:selector": {},
            "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}}, "f:type": {}},
            "f:template": {
                "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                "f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {
                    ".": {}, "f:image": {}, "f:name": {}, "f:resources": {}}}},
            },
        }})
    );
}

#[test]
fn who_changes_a_field_takes_it_over() {
    let fields = config_maps();
    let mut first = config_map(json!({"a": "1", "b": "1"}));
    fields.update(None, &mut first, "m1", NOW);
    let second = updated(&fields, &first, config_map(json!({"a": "1", "b": "2", "c": "3"})), "m2", LATER);
    assert_eq!(
        entries(&second),
        ["m1 Update 2024-05-01T00:00:00Z: .data .data.a", "m2 Update 2024-05-02T00:00:00Z: .data.b .data.c",]
    );
    let third = updated(&fields, &second, config_map(json!({"b": "2", "c": "3"})), "m3", LATER);
    assert_eq!(
        entries(&third),
        ["m1 Update 2024-05-01T00:00:00Z: .data", "m2 Update 2024-05-02T00:00:00Z: .data.b .data.c"]
    );
    let mut empty = config_map(json!({}));
    conform(builtin::schema("io.k8s.api.core.v1.ConfigMap").unwrap(), &mut empty).unwrap();
    let fourth = updated(&fields, &second, empty, "m2", LATER);
    assert_eq!(entries(&fourth), [""; 0]);
}

#[test]
fn a_write_that_changes_nothing_changes_no_entry() {
    let fields = config_maps();
    let mut first = config_map(json!({"a": "1"}));
    fields.update(None, &mut first, "m1", NOW);
    assert_eq!(updated(&fields, &first, config_map(json!({"a": "1"})), "m2", LATER), first);
    assert_eq!(updated(&fields, &first, config_map(json!({"a": "1"})), "m1", LATER), first);
}

#[test]
fn entries_that_are_sent_count_if_they_make_sense() {
    let fields = config_maps();
    let mut first = config_map(json!({"a": "1"}));
    fields.update(None, &mut first, "m1", NOW);
    let sent = |managed: Value| {
        let mut new = config_map(json!({"a": "1"}));
        new["metadata"]["managedFields"] = managed;
        new
    };
    let own = json!({"manager": "m9", "operation": "Apply", "apiVersion": "v1", "time": NOW,
        "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:a": {}}}});
    assert_eq!(
        entries(&updated(&fields, &first, sent(json!([own])), "w", LATER)),
        ["m9 Apply 2024-05-01T00:00:00Z: .data.a"]
    );
    for reset in [json!([]), json!([{}])] {
        let cleared = updated(&fields, &first, sent(reset), "w", LATER);
        assert_eq!(entries(&cleared), [""; 0]);
        assert_eq!(entries(&updated(&fields, &cleared, config_map(json!({"b": "1"})), "w", LATER)), [""; 0]);
    }
    let (mut bad_operation, mut bad_fields, mut old_version) = (own.clone(), own.clone(), own);
    bad_operation["operation"] = json!("Patch");
    bad_fields["fieldsV1"] = json!({"data": {}});
    old_version["apiVersion"] = json!("v0");
    for ignored in [json!([bad_operation]), json!([bad_fields])] {
        assert_eq!(entries(&updated(&fields, &first, sent(ignored), "w", LATER)), entries(&first));
    }
    assert_eq!(entries(&updated(&fields, &first, sent(json!([old_version])), "w", LATER)), [""; 0]);
    let status = manager_of("core.v1.ConfigMap", "v1", "status", Filter::All);
    assert_eq!(entries(&updated(&status, &first, sent(json!([])), "w", LATER)), entries(&first));
}

#[test]
fn the_oldest_of_many_updaters_are_merged() {
    let fields = config_maps();
    let mut live = config_map(json!({}));
    for number in 0..12 {
        live["data"][format!("k{number:02}")] = json!("1");
    }
    let mut new = live.clone();
    new["metadata"]["managedFields"] = (0..12)
        .map(|number| {
            json!({"manager": format!("u{number:02}"), "operation": "Update", "apiVersion": "v1",
                "time": format!("2024-01-01T00:00:{number:02}Z"), "fieldsType": "FieldsV1",
                "fieldsV1": {"f:data": {format!("f:k{number:02}"): {}}}})
        })
        .collect();
    fields.update(Some(&live), &mut new, "z", NOW);
    let capped = entries(&new);
    assert_eq!(capped.len(), 10);
    assert_eq!(
        capped[..2],
        [
            "ancient-changes Update 2024-01-01T00:00:02Z: .data.k00 .data.k01 .data.k02",
            "u03 Update 2024-01-01T00:00:03Z: .data.k03",
        ]
    );
    let mut more = new.clone();
    more["data"]["zz"] = json!("1");
    let again = entries(&updated(&fields, &new, more, "z", NOW));
    assert_eq!(again.len(), 10);
    assert_eq!(
        again[0],
        "ancient-changes Update 2024-01-01T00:00:03Z: .data.k00 .data.k01 .data.k02 .data.k03"
    );
    assert_eq!(again[9], "z Update 2024-05-01T00:00:00Z: .data.zz");
}

#[test]
fn a_status_write_owns_the_status_alone() {
    let status = manager_of(
        "apps.v1.Deployment",
        "apps/v1",
        "status",
        Filter::except(&[&["spec"], &["metadata", "labels"]]),
    );
    let live = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "uid": "1",
        "managedFields": [{"manager": "m", "operation": "Update", "apiVersion": "apps/v1", "time": NOW,
            "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]},
        "spec": {"replicas": 1}, "status": {}});
    let mut new = live.clone();
    new["spec"]["replicas"] = json!(2);
    new["metadata"]["labels"] = json!({"x": "y"});
    new["status"] = json!({"replicas": 1, "conditions": [{"type": "A", "status": "True"}]});
    status.update(Some(&live), &mut new, "c", LATER);
    assert_eq!(
        entries(&new),
        [
            "m Update 2024-05-01T00:00:00Z: .spec.replicas",
            "c Update 2024-05-02T00:00:00Z: .status.conditions .status.replicas \
             .status.conditions[type=\"A\"] .status.conditions[type=\"A\"].status \
             .status.conditions[type=\"A\"].type",
        ]
    );
    assert_eq!(new["metadata"]["managedFields"][1]["subresource"], "status");
}

#[test]
fn what_is_owned_in_another_version_is_compared_in_that() {
    let rename = |from: &'static str, to: &'static str| {
        std::sync::Arc::new(move |object: &Value| {
            let mut object = object.clone();
            let value = object["spec"].as_object_mut()?.remove(from)?;
            object["spec"][to] = value;
            Some(object)
        })
    };
    let other =
        || OtherVersion { version: Version::default(), to: rename("new", "old"), from: rename("old", "new") };
    let fields =
        FieldManager::new(Version::default(), "e/v2", "Widget", "").with_other_version("e/v1", other());
    let widget = |value: u8| {
        json!({"apiVersion": "e/v2", "kind": "Widget", "metadata": {"uid": "1"},
        "spec": {"new": value, "keep": 1}})
    };
    let mut live = widget(1);
    live["metadata"]["managedFields"] = json!([{"manager": "m", "operation": "Update", "apiVersion": "e/v1",
        "time": NOW, "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:old": {}, "f:keep": {}}}}]);
    assert_eq!(
        entries(&updated(&fields, &live, widget(2), "w", LATER)),
        ["m Update 2024-05-01T00:00:00Z: .spec.keep", "w Update 2024-05-02T00:00:00Z: .spec.new"]
    );
}

#[test]
fn times_alone_do_not_make_a_change() {
    let entry = |time: &str| json!({"manager": "m", "operation": "Apply", "apiVersion": "v1", "time": time, "fieldsV1": {}});
    let object = |time: &str, data: &str| json!({"metadata": {"name": "c", "managedFields": [entry(time)]}, "data": data});
    let live = object(NOW, "a");
    for (mut new, want) in [
        (object(LATER, "a"), object(NOW, "a")),
        (object(LATER, "b"), object(LATER, "b")),
        (object(NOW, "b"), object(NOW, "b")),
    ] {
        keep_times_if_unchanged(&live, &mut new);
        assert_eq!(new, want);
    }
}
