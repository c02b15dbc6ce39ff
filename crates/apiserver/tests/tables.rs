//! Tables, compared with those that a kube-apiserver answered (`recordings/ext/table.json`): the objects that the
//! recorder wrote are printed here, and must come out as they did there.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;
use xebec_apiserver::kinds::{
    Resource,
    columns::{IncludeObject, MetaVersion, Printer, TableOptions, partial_object_metadata, table_of_object},
    table::RESOURCES,
};

static RECORDING: &str = include_str!("recordings/ext/table.json");
const NOW: &str = "2026-01-01T00:00:00Z";

/// Recorded answers have `<time>` for times and `<field>` for ports. What was sent says which, else it is now.
fn restore_masked(answer: &mut Value, sent: &Value) {
    match answer {
        Value::String(text) if text.starts_with('<') && !sent.is_null() => *answer = sent.clone(),
        Value::String(text) if text == "<time>" => NOW.clone_into(text),
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                restore_masked(item, &sent[index]);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                restore_masked(field, &sent[name.as_str()]);
            }
        }
        _ => {}
    }
}

fn replaced(value: &Value, from: &str, to: &str) -> Value {
    serde_json::from_str(&value.to_string().replace(from, to)).unwrap()
}

fn resource_of(path: &str) -> Option<&'static Resource> {
    let mut parts: Vec<&str> = path.split('/').skip(1).collect();
    let (group, version) = match parts[..] {
        ["api", version, ..] => ("", version),
        ["apis", group, version, ..] => (group, version),
        _ => return None,
    };
    parts.drain(..if group.is_empty() { 2 } else { 3 });
    let plural = if parts.len() > 2 && parts[0] == "namespaces" { parts[2] } else { parts.first()? };
    let found =
        |r: &&std::sync::Arc<Resource>| &*r.group == group && &*r.version == version && &*r.plural == plural;
    RESOURCES.iter().find(found).map(|resource| &**resource)
}

#[test]
fn tables_of_objects_are_as_recorded() {
    let scenarios: Vec<Value> = serde_json::from_str(RECORDING).unwrap();
    let mut kinds = BTreeSet::new();
    let mut compared = 0;
    for scenario in &scenarios {
        let mut objects: BTreeMap<String, Value> = BTreeMap::new();
        for step in scenario["steps"].as_array().unwrap() {
            let (Some(path), Some(body)) = (step["path"].as_str(), step["answer"].get("body")) else {
                continue;
            };
            let (path, query) = path.split_once('?').unwrap_or((path, ""));
            let Some(resource) = resource_of(path) else { continue };
            let accept = step["headers"]["Accept"].as_str().unwrap_or_default();
            if body["kind"] != "Table" && body["kind"] == *resource.kind {
                // Addresses and ports are masked by the field's name in objects, and by their look in tables.
                let mut object = replaced(body, "\"<clusterIPs>\"", "\"<ip>\"");
                let stem = path.strip_suffix("/status").unwrap_or(path);
                let path = match step["method"].as_str() {
                    Some("POST") => format!("{path}/{}", body["metadata"]["name"].as_str().unwrap()),
                    _ => stem.to_owned(),
                };
                restore_masked(&mut object, &step["body"]);
                objects.insert(path, object);
                continue;
            }
            let Some(object) = objects.get(path) else { continue };
            if step["method"] != "GET" || step["answer"]["status"] != 200 {
                continue;
            }
            let version = if accept.contains("v1beta1") { MetaVersion::V1Beta1 } else { MetaVersion::V1 };
            let include = query.strip_prefix("includeObject=").unwrap_or_default();
            let (got, want) = if body["kind"] == "PartialObjectMetadata" {
                (partial_object_metadata(object, version), body.clone())
            } else if body["kind"] == "Table" {
                let options = TableOptions {
                    version,
                    include: IncludeObject::parse(include).unwrap(),
                    headers: true,
                    now: NOW.parse::<Timestamp>().unwrap(),
                };
                let got = table_of_object(&Printer::of(resource), object, &options);
                let saved = step["save"]["id"].as_str().map(|path| format!("/{}", path.replace('.', "/")));
                let saved = saved.and_then(|path| got.pointer(&path).cloned()).unwrap_or_default();
                let want = replaced(body, "{id}", saved.as_str().unwrap_or("{id}"));
                (got, want)
            } else {
                continue;
            };
            let want = replaced(&want, "<time>", NOW);
            assert_eq!(got["rows"][0]["cells"], want["rows"][0]["cells"], "{} {path}", scenario["name"]);
            assert_eq!(
                without_managed_fields(got),
                without_managed_fields(want),
                "{} {path}",
                scenario["name"]
            );
            kinds.insert(&*resource.kind);
            compared += 1;
        }
    }
    assert!(compared >= 60, "{compared}");
    assert!(kinds.len() >= 35, "{kinds:?}");
}

/// Whose times and paths the recorder left out.
fn without_managed_fields(mut value: Value) -> Value {
    if let Some(metadata) = value.pointer_mut("/rows/0/object/metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    value
}
