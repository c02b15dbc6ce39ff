//! Custom resources: from a CustomResourceDefinition to the resources that it has served, with the same [`Schema`] and
//! [`Resource`] that built-in ones have.
//!
//! [`structural`] reads the schema, [`validation`] and [`mod@scale`] check objects by its rules, [`status`] says whether a definition's
//! names are accepted, [`strategy`] is the behaviour of definitions themselves.

pub mod scale;
pub mod status;
pub mod strategy;
pub mod structural;
pub mod validation;

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use serde_json::Value;

use super::{
    Custom, FieldManagers, Resource, ScalePaths, Strategy, Subresource, Text,
    strategy::{Generation, keep_all_but_status_and_metadata},
};
use crate::{
    discovery::order::compare_versions,
    machinery::{Schema, fields, format, go_quoted, object},
};

/// Where definitions are kept.
pub const STORAGE: &str = "apiextensions.k8s.io/customresourcedefinitions";

/// How objects of a custom resource without `status` behave: any change outside metadata is a new generation.
static WITHOUT_STATUS: Strategy =
    Strategy { generation: Generation::Content, unconditional_update: false, warnings, ..Strategy::PLAIN };
/// With `status`, the status is a part of its own.
static WITH_STATUS: Strategy =
    Strategy { status: true, prepare_status: keep_all_but_status_and_metadata, ..WITHOUT_STATUS };

const VERBS: &[Text] = &[
    Cow::Borrowed("delete"),
    Cow::Borrowed("deletecollection"),
    Cow::Borrowed("get"),
    Cow::Borrowed("list"),
    Cow::Borrowed("patch"),
    Cow::Borrowed("create"),
    Cow::Borrowed("update"),
    Cow::Borrowed("watch"),
];
const SUBRESOURCE_VERBS: &[Text] = &[Cow::Borrowed("get"), Cow::Borrowed("patch"), Cow::Borrowed("update")];

/// The resources of a definition, a served version each; none until its names are accepted.
pub fn resources(definition: &Value) -> Vec<Arc<Resource>> {
    if !status::is_established(definition) {
        return Vec::new();
    }
    let versions = fields::list(&definition["spec"], "versions");
    let storage = versions.iter().find(|version| version["storage"] == true);
    let storage_version = storage.map_or("", |version| fields::text(version, "name"));
    let group = fields::text(&definition["spec"], "group");
    let schemas = versions.iter().map(|version| {
        let api_version = format!("{group}/{}", fields::text(version, "name"));
        (api_version.into(), Arc::new(structural::object(&version["schema"]["openAPIV3Schema"])))
    });
    let schemas: Schemas = schemas.collect();
    let served = versions.iter().filter(|version| version["served"] == true);
    served.map(|version| Arc::new(resource(definition, version, storage_version, &schemas))).collect()
}

/// The fields of each version.
type Schemas = Arc<[(Box<str>, Arc<Schema>)]>;

fn resource(definition: &Value, version: &Value, storage_version: &str, schemas: &Schemas) -> Resource {
    let spec = &definition["spec"];
    let names = &definition["status"]["acceptedNames"];
    let group = fields::text(spec, "group");
    let version_name = fields::text(version, "name");
    let text = |text: &str| Text::from(text.to_owned());
    let texts = |list: &str| fields::list(names, list).iter().filter_map(Value::as_str).map(text).collect();
    let api_version: Text = format!("{group}/{version_name}").into();
    let plural = fields::text(names, "plural");
    let subresources = &version["subresources"];
    let has_status = !subresources["status"].is_null();
    let definition_name = object::name(definition);
    let own = schemas.iter().find(|(name, _)| **name == *api_version).map(|(_, schema)| schema);
    let schema = own.cloned().unwrap_or_default();
    Resource {
        group: group.to_owned().into(),
        version: version_name.to_owned().into(),
        plural: plural.to_owned().into(),
        singular: fields::text(names, "singular").to_owned().into(),
        kind: fields::text(names, "kind").to_owned().into(),
        list_kind: fields::text(names, "listKind").to_owned().into(),
        api_version,
        namespaced: fields::text(spec, "scope") == "Namespaced",
        verbs: Cow::Borrowed(VERBS),
        short_names: texts("shortNames"),
        categories: texts("categories"),
        subresources: subresources_of(fields::text(names, "kind"), subresources).into(),
        columns: super::columns::custom_columns(version).into(),
        selectable_fields: selectable_fields(version).into(),
        preferred: false,
        storage: format!("{group}/{plural}").into(),
        storage_version: format!("{group}/{storage_version}").into(),
        schema,
        strategy: if has_status { &WITH_STATUS } else { &WITHOUT_STATUS },
        conversion: None,
        type_name: None,
        custom: Some(Arc::new(Custom {
            definition: definition_name.into(),
            versions: Arc::clone(schemas),
            scale: scale(&subresources["scale"]),
            deprecation_warning: deprecation(definition, version),
        })),
        field_managers: FieldManagers::default(),
    }
}

/// About new finalizers that others might have, too.
fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    const PREFER: &str = "prefer a domain-qualified finalizer name";
    const AVOID: &str = "to avoid accidental conflicts with other finalizer writers";
    let before = old.map(object::finalizers).unwrap_or_default();
    let added: BTreeSet<&str> =
        object::finalizers(new).into_iter().filter(|finalizer| !before.contains(finalizer)).collect();
    let mut warnings = Vec::new();
    for finalizer in added {
        let said = format!("metadata.finalizers: {}", go_quoted(finalizer));
        warnings
            .extend(format::is_qualified_name(finalizer).iter().map(|problem| format!("{said}: {problem}")));
        if finalizer.contains('/') || STANDARD_FINALIZERS.contains(&finalizer) {
            continue;
        }
        let path = if finalizer.contains('.') { " including a path (/)" } else { "" };
        warnings.push(format!("{said}: {PREFER}{path} {AVOID}"));
    }
    warnings
}

const STANDARD_FINALIZERS: [&str; 3] = ["orphan", "foregroundDeletion", "kubernetes"];

fn subresources_of(kind: &str, subresources: &Value) -> Vec<Subresource> {
    let mut all = Vec::new();
    if !subresources["status"].is_null() {
        all.push(Subresource {
            name: "status".into(),
            group: "".into(),
            version: "".into(),
            kind: kind.to_owned().into(),
            verbs: Cow::Borrowed(SUBRESOURCE_VERBS),
        });
    }
    if !subresources["scale"].is_null() {
        all.push(Subresource {
            name: "scale".into(),
            group: "autoscaling".into(),
            version: "v1".into(),
            kind: "Scale".into(),
            verbs: Cow::Borrowed(SUBRESOURCE_VERBS),
        });
    }
    all
}

fn selectable_fields(version: &Value) -> Vec<Text> {
    let own = fields::list(version, "selectableFields").iter();
    let own = own.map(|field| fields::text(field, "jsonPath").trim_start_matches('.').to_owned().into());
    ["metadata.name".into(), "metadata.namespace".into()].into_iter().chain(own).collect()
}

fn scale(scale: &Value) -> Option<ScalePaths> {
    let path = |field: &str| fields::text(scale, field).trim_start_matches('.').into();
    scale.as_object()?;
    Some(ScalePaths {
        replicas: path("specReplicasPath"),
        status_replicas: path("statusReplicasPath"),
        label_selector: scale["labelSelectorPath"].as_str().map(|path| path.trim_start_matches('.').into()),
    })
}

fn deprecation(definition: &Value, version: &Value) -> Option<Box<str>> {
    if version["deprecated"] != true {
        return None;
    }
    if let Some(own) = version["deprecationWarning"].as_str() {
        return Some(own.into());
    }
    let spec = &definition["spec"];
    let (group, kind, name) =
        (fields::text(spec, "group"), fields::text(&spec["names"], "kind"), fields::text(version, "name"));
    // The best of those that go before it.
    let others = fields::list(spec, "versions").iter();
    let better = others
        .filter(|other| other["served"] == true && other["deprecated"] != true)
        .map(|other| fields::text(other, "name"))
        .filter(|other| compare_versions(other, name).is_lt())
        .min_by(|a, b| compare_versions(a, b));
    let advice = better.map(|better| format!("; use {group}/{better} {kind}")).unwrap_or_default();
    Some(format!("{group}/{name} {kind} is deprecated{advice}").into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn new_finalizers_should_be_qualified() {
        let with = |finalizers: &[&str]| json!({"metadata": {"finalizers": finalizers}});
        for (finalizers, want) in [
            (&["example.com/x", "orphan"][..], vec![]),
            (
                &["example.com", "x", "old"],
                vec![
                    "metadata.finalizers: \"example.com\": prefer a domain-qualified finalizer name including a path (/) \
                     to avoid accidental conflicts with other finalizer writers",
                    "metadata.finalizers: \"x\": prefer a domain-qualified finalizer name to avoid accidental conflicts \
                     with other finalizer writers",
                ],
            ),
        ] {
            assert_eq!(warnings(&with(finalizers), Some(&with(&["old"]))), want);
        }
        assert_eq!(warnings(&with(&["x"]), None).len(), 1);
    }

    #[test]
    fn a_deprecated_version_names_the_best_that_is_not() {
        let version =
            |name: &str, deprecated: bool| json!({"name": name, "served": true, "deprecated": deprecated});
        let definition = json!({"spec": {"group": "e.com", "names": {"kind": "W"}, "versions": [
            version("v1beta1", true), version("v1", false), version("v2", false), version("v3", true)]}});
        let warning = |name: &str| deprecation(&definition, &version(name, true));
        assert_eq!(warning("v1beta1").as_deref(), Some("e.com/v1beta1 W is deprecated; use e.com/v2 W"));
        assert_eq!(warning("v3").as_deref(), Some("e.com/v3 W is deprecated"));
        assert_eq!(deprecation(&definition, &version("v1", false)), None);
    }
}
