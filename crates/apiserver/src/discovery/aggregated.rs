//! All of discovery in one document (`apidiscovery.k8s.io/v2`), as clients since 1.26 ask for it.

use serde_json::{Map, Value, json};

use super::{Group, Version, lists};
use crate::kinds::{Resource, Subresource};

pub(super) fn list(groups: &[Group]) -> Value {
    let items: Vec<Value> = groups.iter().map(group_of).collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn group_of(group: &Group) -> Value {
    let metadata = if group.name.is_empty() { json!({}) } else { json!({"name": group.name}) };
    let versions: Vec<Value> = group.versions.iter().map(version_of).collect();
    json!({"metadata": metadata, "versions": versions})
}

fn version_of(version: &Version) -> Value {
    let resources: Vec<Value> = version.resources.iter().map(|resource| resource_of(resource)).collect();
    json!({"version": version.name, "resources": resources, "freshness": "Current"})
}

fn resource_of(resource: &Resource) -> Value {
    let mut entry = Map::new();
    entry.insert("resource".to_owned(), resource.plural.as_ref().into());
    entry.insert("responseKind".to_owned(), kind_of(resource, "", "", &resource.kind));
    entry.insert("scope".to_owned(), if resource.namespaced { "Namespaced" } else { "Cluster" }.into());
    entry.insert("singularResource".to_owned(), resource.singular.as_ref().into());
    entry.insert("verbs".to_owned(), resource.verbs.iter().map(|verb| &**verb).collect());
    for (name, list) in [("shortNames", &resource.short_names), ("categories", &resource.categories)] {
        if !list.is_empty() {
            entry.insert(name.to_owned(), list.iter().map(|item| &**item).collect());
        }
    }
    let subresources: Vec<Value> =
        lists::subresources(resource).map(|subresource| subresource_of(resource, subresource)).collect();
    if !subresources.is_empty() {
        entry.insert("subresources".to_owned(), subresources.into());
    }
    Value::Object(entry)
}

fn subresource_of(resource: &Resource, subresource: &Subresource) -> Value {
    json!({
        "subresource": subresource.name,
        "responseKind": kind_of(resource, &subresource.group, &subresource.version, &subresource.kind),
        "verbs": subresource.verbs,
    })
}

/// Built-in kinds leave out the group and version that they share with their resource, custom ones say them.
fn kind_of(resource: &Resource, group: &str, version: &str, kind: &str) -> Value {
    if resource.type_name.is_none() && version.is_empty() {
        return json!({"group": resource.group, "version": resource.version, "kind": kind});
    }
    json!({"group": group, "version": version, "kind": kind})
}
