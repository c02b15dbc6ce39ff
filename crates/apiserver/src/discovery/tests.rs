//! Discovery, compared with that of a kube-apiserver (`tests/recordings/ext/discovery.json`).

use serde_json::json;

use super::*;
use crate::kinds::{Subresource, table::RESOURCES};

static RECORDING: &str = include_str!("../../tests/recordings/ext/discovery.json");

/// The resource lists hold a hash that the recorder masked.
fn masked(mut document: Value) -> Value {
    let resources = document.get_mut("resources").and_then(Value::as_array_mut);
    for resource in resources.into_iter().flatten() {
        if let Some(hash) = resource.get_mut("storageVersionHash") {
            *hash = "<storageVersionHash>".into();
        }
    }
    document
}

#[test]
fn documents_are_as_recorded() {
    let scenarios: Vec<Value> = serde_json::from_str(RECORDING).unwrap();
    let discovery = Discovery::new(&RESOURCES);
    let mut compared = 0;
    for step in scenarios.iter().flat_map(|scenario| scenario["steps"].as_array().unwrap()) {
        let answer = &step["answer"];
        let (Some(path), 200, "GET", "application/json") = (
            step["path"].as_str(),
            answer["status"].as_u64().unwrap_or_default(),
            step["method"].as_str().unwrap_or_default(),
            answer["type"].as_str().unwrap_or_default(),
        ) else {
            continue;
        };
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let aggregated = step["headers"]["Accept"].as_str().is_some_and(|accept| accept.contains("as="));
        let parsed = |document: Document| serde_json::from_slice(&document.bytes).unwrap();
        let address = "10.0.0.1:6443";
        let mut got: Value = match (parts.as_slice(), aggregated) {
            (["api"], true) => parsed(discovery.aggregated_core()),
            (["apis"], true) => parsed(discovery.aggregated()),
            (["api"], false) => discovery.api_versions(address),
            (["apis"], false) => discovery.api_groups(),
            (["apis", group], _) => discovery.api_group(group).unwrap(),
            (["apis", group, version], _) => discovery.api_resources(group, version).unwrap(),
            (["api", version], _) => discovery.api_resources("", version).unwrap(),
            (["version"], _) => version(),
            _ => continue,
        };
        if let Some(server) = got.pointer_mut("/serverAddressByClientCIDRs/0") {
            assert_eq!(server.as_object_mut().unwrap().remove("serverAddress").unwrap(), address);
        }
        if path == "/version" {
            got.as_object_mut().unwrap().retain(|field, _| answer["body"].get(field).is_some());
        }
        assert_eq!(masked(got), answer["body"], "{path}");
        compared += 1;
    }
    assert!(compared >= 30, "{compared}");
}

fn custom(group: &'static str, version: &'static str, plural: &'static str) -> Arc<Resource> {
    let base = RESOURCES.iter().find(|resource| &*resource.plural == "configmaps").unwrap();
    let subresource =
        |name: &'static str, group: &'static str, version: &'static str, kind: &'static str| Subresource {
            name: name.into(),
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
            verbs: vec!["get".into()].into(),
        };
    Arc::new(Resource {
        group: group.into(),
        version: version.into(),
        plural: plural.into(),
        singular: "widget".into(),
        kind: "Widget".into(),
        type_name: None,
        storage_version: format!("{group}/v1").into(),
        subresources: vec![
            subresource("scale", "autoscaling", "v1", "Scale"),
            subresource("status", "", "", "Widget"),
        ]
        .into(),
        ..(**base).clone()
    })
}

#[test]
fn custom_groups_come_last_with_their_best_version_first() {
    let mut resources = vec![
        custom("z.example.com", "v1", "widgets"),
        custom("a.example.com", "v1alpha1", "widgets"),
        custom("a.example.com", "v2", "widgets"),
        custom("a.example.com", "v2", "gadgets"),
    ];
    resources.extend(RESOURCES.iter().cloned());
    let discovery = Discovery::new(&resources);
    let groups = discovery.api_groups();
    let names: Vec<&str> =
        groups["groups"].as_array().unwrap().iter().map(|group| group["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 22);
    assert_eq!(names[names.len() - 2..], ["a.example.com", "z.example.com"]);
    let group = discovery.api_group("a.example.com").unwrap();
    assert_eq!(group["preferredVersion"]["version"], "v2");
    assert_eq!(group["versions"][1]["groupVersion"], "a.example.com/v1alpha1");

    let list = discovery.api_resources("a.example.com", "v2").unwrap();
    let names: Vec<&str> =
        list["resources"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    let expected =
        ["gadgets", "gadgets/status", "gadgets/scale", "widgets", "widgets/status", "widgets/scale"];
    assert_eq!(names, expected);
    assert_eq!(list["resources"][2]["group"], "autoscaling");
    // The hash is that of the version in which objects are stored: the same in each version.
    let hash = |version: &str| {
        discovery.api_resources("a.example.com", version).unwrap()["resources"][0]["storageVersionHash"]
            .clone()
    };
    assert_eq!(hash("v2"), hash("v1alpha1"));

    let aggregated: Value = serde_json::from_slice(&discovery.aggregated().bytes).unwrap();
    let group = aggregated["items"].as_array().unwrap().last().unwrap();
    assert_eq!(group["metadata"], json!({"name": "z.example.com"}));
    let widget = &group["versions"][0]["resources"][0];
    let kind = json!({"group": "z.example.com", "version": "v1", "kind": "Widget"});
    assert_eq!(widget["responseKind"], kind);
    assert_eq!(widget["subresources"][0]["responseKind"], kind);
    assert_eq!(
        widget["subresources"][1]["responseKind"],
        json!({"group": "autoscaling", "version": "v1", "kind": "Scale"})
    );
}

#[test]
fn what_there_is_not_is_not_described() {
    let discovery = Discovery::new(&RESOURCES);
    assert_eq!(discovery.api_group("nope.example.com"), None);
    assert_eq!(discovery.api_group(""), None);
    assert_eq!(discovery.api_resources("apps", "v9"), None);
    assert_eq!(discovery.api_resources("", "v2"), None);
}

#[test]
fn a_documents_tag_is_a_hash_of_it() {
    let discovery = Discovery::new(&RESOURCES);
    let document = discovery.aggregated();
    assert_eq!(document.etag.len(), 128);
    assert_eq!(document.etag, Discovery::new(&RESOURCES).aggregated().etag);
    assert_ne!(document.etag, discovery.aggregated_core().etag);
}
