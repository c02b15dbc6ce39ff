//! The table of built-in resources, read from the facts in `data/discovery.json`.

use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use super::{Column, Resource, Strategy, Subresource, strategies};
use crate::machinery::{Schema, builtin};

static FACTS: &str = include_str!("../../data/discovery.json");

/// All built-in resources, in the server's order (the order of discovery).
pub static RESOURCES: LazyLock<Vec<Arc<Resource>>> = LazyLock::new(|| {
    // The table is part of the program: a test says that it parses.
    let facts: Vec<Fact> = serde_json::from_str(FACTS).unwrap_or_default();
    facts.iter().map(|fact| Arc::new(resource(fact))).collect()
});

/// The built-in resource of a kind.
pub fn of_kind(api_version: &str, kind: &str) -> Option<Arc<Resource>> {
    RESOURCES
        .iter()
        .find(|resource| &*resource.api_version == api_version && &*resource.kind == kind)
        .cloned()
}

/// The types' packages, where they are not `io.k8s.api.GROUP`.
const PACKAGES: &[(&str, &str)] = &[
    ("", "io.k8s.api.core"),
    ("apiextensions.k8s.io", "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions"),
    ("apiregistration.k8s.io", "io.k8s.kube-aggregator.pkg.apis.apiregistration"),
    ("flowcontrol.apiserver.k8s.io", "io.k8s.api.flowcontrol"),
    ("rbac.authorization.k8s.io", "io.k8s.api.rbac"),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fact {
    #[serde(default)]
    group: String,
    version: String,
    resource: String,
    kind: String,
    singular: String,
    namespaced: bool,
    verbs: Vec<Box<str>>,
    #[serde(default)]
    preferred: bool,
    #[serde(default)]
    short_names: Vec<Box<str>>,
    #[serde(default)]
    categories: Vec<Box<str>>,
    #[serde(default)]
    subresources: Vec<SubresourceFact>,
    #[serde(default)]
    columns: Vec<ColumnFact>,
    #[serde(default)]
    selectable_fields: Vec<Box<str>>,
}

/// Name, type, format and priority.
type ColumnFact = (Box<str>, Box<str>, Box<str>, i32);

#[derive(Deserialize)]
struct SubresourceFact {
    name: Box<str>,
    kind: String,
    verbs: Vec<Box<str>>,
}

fn resource(fact: &Fact) -> Resource {
    let behaviour = strategies::of(&fact.group, &fact.version, &fact.kind);
    let type_name = type_name(&fact.group, &fact.version, &fact.kind);
    let api_version = api_version(&fact.group, &fact.version);
    let storage_version =
        behaviour.and_then(|row| row.storage_version).map_or(api_version.clone(), Into::into);
    let storage = behaviour
        .and_then(|row| row.storage)
        .map_or_else(|| format!("{}/{}", fact.group, fact.resource).into(), Arc::from);
    Resource {
        group: fact.group.as_str().into(),
        version: fact.version.as_str().into(),
        plural: fact.resource.as_str().into(),
        singular: fact.singular.as_str().into(),
        kind: fact.kind.as_str().into(),
        list_kind: format!("{}List", fact.kind).into(),
        api_version,
        namespaced: fact.namespaced,
        verbs: fact.verbs.clone(),
        short_names: fact.short_names.clone(),
        categories: fact.categories.clone(),
        subresources: fact.subresources.iter().map(subresource).collect(),
        columns: fact.columns.iter().map(column).collect(),
        selectable_fields: fact.selectable_fields.clone(),
        preferred: fact.preferred,
        storage,
        storage_version,
        schema: Arc::new(type_name.and_then(builtin::schema).cloned().unwrap_or_else(Schema::default)),
        strategy: behaviour.map_or(&Strategy::PLAIN, |row| row.strategy),
        conversion: behaviour.and_then(|row| row.conversion),
        type_name,
        custom: None,
        field_managers: super::FieldManagers::default(),
    }
}

/// `apiVersion` of a group and version.
pub fn api_version(group: &str, version: &str) -> Box<str> {
    if group.is_empty() { version.into() } else { format!("{group}/{version}").into() }
}

/// The OpenAPI name of a built-in kind's type.
pub fn type_name(group: &str, version: &str, kind: &str) -> Option<&'static str> {
    let package = PACKAGES.iter().find(|(name, _)| *name == group).map_or_else(
        || format!("io.k8s.api.{}", group.split('.').next().unwrap_or(group)),
        |(_, package)| (*package).into(),
    );
    let name = format!("{package}.{version}.{kind}");
    builtin::interned_name(&name)
}

fn subresource(fact: &SubresourceFact) -> Subresource {
    let mut parts = fact.kind.rsplitn(3, '/');
    let kind = parts.next().unwrap_or_default().into();
    let version = parts.next().unwrap_or_default().into();
    let group = parts.next().unwrap_or_default().into();
    Subresource { name: fact.name.clone(), group, version, kind, verbs: fact.verbs.clone() }
}

fn column((name, type_, format, priority): &ColumnFact) -> Column {
    Column {
        name: name.clone(),
        type_: type_.clone(),
        format: format.clone(),
        priority: *priority,
        json_path: None,
        description: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resource_of_the_table_has_its_type() {
        assert_eq!(RESOURCES.len(), 68);
        for resource in RESOURCES.iter() {
            assert!(resource.type_name.is_some(), "{} {}", resource.api_version, resource.kind);
        }
    }

    #[test]
    fn every_strategy_belongs_to_a_resource() {
        for row in strategies::STRATEGIES.iter().copied().flatten() {
            let known = RESOURCES
                .iter()
                .any(|r| &*r.group == row.group && &*r.version == row.version && &*r.kind == row.kind);
            assert!(known, "{}/{} {}", row.group, row.version, row.kind);
        }
    }
}
