//! The documents of discovery that there is one of for each group and version.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{Group, Version};
use crate::kinds::{Resource, Subresource};

pub(super) fn api_versions(core: Option<&Group>, address: &str) -> Value {
    let versions: Vec<&str> =
        core.into_iter().flat_map(|group| &group.versions).map(|version| &*version.name).collect();
    json!({
        "kind": "APIVersions", "versions": versions,
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

pub(super) fn api_group_list(groups: &[Group]) -> Value {
    let groups: Vec<Value> = groups.iter().map(group_of).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

pub(super) fn api_group(group: &Group) -> Value {
    let mut document = group_of(group);
    document["kind"] = "APIGroup".into();
    document["apiVersion"] = "v1".into();
    document
}

fn group_of(group: &Group) -> Value {
    let version = |version: &Version| json!({"groupVersion": format!("{}/{}", group.name, version.name), "version": version.name});
    let versions: Vec<Value> = group.versions.iter().map(version).collect();
    let preferred = versions.first().cloned().unwrap_or_default();
    json!({"name": group.name, "versions": versions, "preferredVersion": preferred})
}

pub(super) fn api_resource_list(group: &Group, version: &Version) -> Value {
    let mut resources = Vec::new();
    for resource in &version.resources {
        resources.push(api_resource(resource));
        resources.extend(subresources(resource).map(|subresource| api_subresource(resource, subresource)));
    }
    let mut list = json!({"kind": "APIResourceList", "resources": resources});
    if group.name.is_empty() {
        // The core group's list has no apiVersion of its own.
        list["groupVersion"] = version.name.as_ref().into();
    } else {
        list["apiVersion"] = "v1".into();
        list["groupVersion"] = format!("{}/{}", group.name, version.name).into();
    }
    list
}

/// The subresources in the order in which they are listed: by name, but for custom resources, whose status is first.
pub(super) fn subresources(resource: &Resource) -> impl Iterator<Item = &Subresource> {
    let mut sorted: Vec<&Subresource> = resource.subresources.iter().collect();
    let custom = resource.type_name.is_none();
    sorted.sort_by_key(|subresource| (!(custom && &*subresource.name == "status"), &subresource.name));
    sorted.into_iter()
}

fn api_resource(resource: &Resource) -> Value {
    let mut entry = Map::new();
    entry.insert("name".to_owned(), resource.plural.as_ref().into());
    entry.insert("singularName".to_owned(), resource.singular.as_ref().into());
    entry.insert("namespaced".to_owned(), resource.namespaced.into());
    entry.insert("kind".to_owned(), resource.kind.as_ref().into());
    entry.insert("verbs".to_owned(), resource.verbs.iter().map(|verb| &**verb).collect());
    for (name, list) in [("shortNames", &resource.short_names), ("categories", &resource.categories)] {
        if !list.is_empty() {
            entry.insert(name.to_owned(), list.iter().map(|item| &**item).collect());
        }
    }
    // What can be watched is stored; the others only answer.
    if resource.allows("watch") {
        entry.insert("storageVersionHash".to_owned(), storage_version_hash(resource).into());
    }
    Value::Object(entry)
}

fn api_subresource(resource: &Resource, subresource: &Subresource) -> Value {
    let mut entry = Map::new();
    entry.insert("name".to_owned(), format!("{}/{}", resource.plural, subresource.name).into());
    entry.insert("singularName".to_owned(), "".into());
    entry.insert("namespaced".to_owned(), resource.namespaced.into());
    for (name, text) in [("group", &subresource.group), ("version", &subresource.version)] {
        if !text.is_empty() {
            entry.insert(name.to_owned(), text.as_ref().into());
        }
    }
    entry.insert("kind".to_owned(), subresource.kind.as_ref().into());
    entry.insert("verbs".to_owned(), subresource.verbs.iter().map(|verb| &**verb).collect());
    Value::Object(entry)
}

/// What tells clients that objects are stored in another version than before.
fn storage_version_hash(resource: &Resource) -> String {
    let (group, version) =
        resource.storage_version.split_once('/').unwrap_or(("", &resource.storage_version));
    let hash = Sha256::digest(format!("{group}/{version}/{}", resource.kind));
    STANDARD.encode(&hash[..8])
}
