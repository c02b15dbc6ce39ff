//! The table of built-in resources: what each is called and offers, and with it its strategy and its fields.

#[rustfmt::skip]
mod rows;

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use super::{Column, Resource, Strategy, Subresource, Text, strategies};
use crate::machinery::{Reference, Schema, Shape, builtin};

/// All built-in resources, in the server's order (the order of discovery).
pub static RESOURCES: LazyLock<Vec<Arc<Resource>>> =
    LazyLock::new(|| rows::ROWS.iter().map(|row| Arc::new(resource(row))).collect());

/// The built-in resource of a kind.
pub fn of_kind(api_version: &str, kind: &str) -> Option<Arc<Resource>> {
    RESOURCES
        .iter()
        .find(|resource| &*resource.api_version == api_version && &*resource.kind == kind)
        .cloned()
}

/// A built-in resource as the table has it. The program has it ready: nothing is read at the start of a process.
struct Row {
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    singular: &'static str,
    kind: &'static str,
    list_kind: &'static str,
    api_version: &'static str,
    type_name: &'static str,
    namespaced: bool,
    preferred: bool,
    verbs: &'static [Text],
    short_names: &'static [Text],
    categories: &'static [Text],
    selectable_fields: &'static [Text],
    columns: &'static [Column],
    subresources: &'static [Subresource],
}

fn resource(row: &'static Row) -> Resource {
    let behaviour = strategies::of(row.group, row.version, row.kind);
    let storage = behaviour
        .and_then(|row| row.storage)
        .map_or_else(|| [row.group, "/", row.plural].concat().into(), Arc::from);
    Resource {
        group: Cow::Borrowed(row.group),
        version: Cow::Borrowed(row.version),
        plural: Cow::Borrowed(row.plural),
        singular: Cow::Borrowed(row.singular),
        kind: Cow::Borrowed(row.kind),
        list_kind: Cow::Borrowed(row.list_kind),
        api_version: Cow::Borrowed(row.api_version),
        namespaced: row.namespaced,
        verbs: Cow::Borrowed(row.verbs),
        short_names: Cow::Borrowed(row.short_names),
        categories: Cow::Borrowed(row.categories),
        subresources: Cow::Borrowed(row.subresources),
        columns: Cow::Borrowed(row.columns),
        selectable_fields: Cow::Borrowed(row.selectable_fields),
        preferred: row.preferred,
        storage,
        storage_version: Cow::Borrowed(
            behaviour.and_then(|row| row.storage_version).unwrap_or(row.api_version),
        ),
        // The fields are read when they are first asked for.
        schema: Arc::new(Schema::of(Shape::Named(Reference::new(row.type_name)))),
        strategy: behaviour.map_or(&Strategy::PLAIN, |row| row.strategy),
        conversion: behaviour.and_then(|row| row.conversion),
        type_name: Some(row.type_name),
        custom: None,
        field_managers: super::FieldManagers::default(),
    }
}

/// `apiVersion` of a group and version.
pub fn api_version(group: &str, version: &str) -> Text {
    if group.is_empty() { version.to_owned().into() } else { format!("{group}/{version}").into() }
}

/// The OpenAPI name of a built-in type of a group that has resources: of their kinds, or of a body of a subresource.
pub fn type_name(group: &str, version: &str, kind: &str) -> Option<&'static str> {
    let row = rows::ROWS.iter().find(|row| row.group == group)?;
    // All versions of a group are of one package: `io.k8s.api.core` in `io.k8s.api.core.v1.Pod`.
    let package = row.type_name.strip_suffix(row.kind)?.strip_suffix('.')?.strip_suffix(row.version)?;
    builtin::interned_name(&[package, version, ".", kind].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resource_of_the_table_has_its_type() {
        assert_eq!(RESOURCES.len(), 68);
        for resource in RESOURCES.iter() {
            let name = type_name(&resource.group, &resource.version, &resource.kind);
            assert!(
                name.is_some() && name == resource.type_name,
                "{} {}",
                resource.api_version,
                resource.kind
            );
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
