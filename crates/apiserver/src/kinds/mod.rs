//! The kinds: which resources are served, and how each behaves.
//!
//! What a resource is called and offers stands in a [`table`] (made of `data/discovery.json`), its fields in its
//! [`Schema`], its behaviour from its [`Strategy`]. To change the behaviour of a built-in kind, find its strategy
//! through [`strategies::STRATEGIES`]. Custom resources make the same [`Resource`] from their definition.

pub mod access;
pub mod admission;
pub mod autoscaling;
#[cfg(test)]
mod cases;
pub mod catalog;
pub mod columns;
pub mod core;
pub mod definitions;
pub mod devices;
mod go;
pub mod network;
pub mod parts;
pub mod policy;
pub mod storage;
pub mod strategies;
pub mod strategy;
pub mod table;
pub mod workloads;

use std::{borrow::Cow, sync::Arc};

pub use self::{
    parts::{FieldManagers, Part},
    strategy::Strategy,
};
use crate::{machinery::Schema, status::Qualified};

/// A text that the program has, or that a custom resource's definition brings.
pub type Text = Cow<'static, str>;

/// A resource that is served in one version.
#[derive(Debug, Clone)]
pub struct Resource {
    /// The API group; empty for the core group.
    pub group: Text,
    /// The version, such as `v1`.
    pub version: Text,
    /// The plural name, as in the path.
    pub plural: Text,
    /// The singular name.
    pub singular: Text,
    /// The kind.
    pub kind: Text,
    /// The kind of a list of them.
    pub list_kind: Text,
    /// `apiVersion` of an object: `v1`, `apps/v1`.
    pub api_version: Text,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// What may be done, such as `get` and `list`.
    pub verbs: Cow<'static, [Text]>,
    /// Short names, such as `po`.
    pub short_names: Cow<'static, [Text]>,
    /// Categories, such as `all`.
    pub categories: Cow<'static, [Text]>,
    /// Its subresources.
    pub subresources: Cow<'static, [Subresource]>,
    /// The columns of a Table of them.
    pub columns: Cow<'static, [Column]>,
    /// Which fields a field selector may name.
    pub selectable_fields: Cow<'static, [Text]>,
    /// Whether this is the version of its group that clients should use.
    pub preferred: bool,
    /// Where objects are kept: `GROUP/PLURAL` of the storage version.
    pub storage: Arc<str>,
    /// `apiVersion` that objects are kept in.
    pub storage_version: Text,
    /// The fields.
    pub schema: Arc<Schema>,
    /// The behaviour.
    pub strategy: &'static Strategy,
    /// To and from the storage version, where it is another.
    pub conversion: Option<&'static Conversion>,
    /// The OpenAPI name of a built-in kind's type; `None` for custom resources.
    pub type_name: Option<&'static str>,
    /// What only a custom resource's definition says; `None` for built-in kinds.
    pub custom: Option<Arc<Custom>>,
    /// Who keeps `metadata.managedFields`, for each way of writing an object.
    pub field_managers: FieldManagers,
}

/// What a CustomResourceDefinition says of its resource beyond what built-in ones have.
#[derive(Debug, Clone, Default)]
pub struct Custom {
    /// The definition's name.
    pub definition: Box<str>,
    /// The fields in each version of the definition, by `apiVersion`.
    pub versions: Arc<[(Box<str>, Arc<Schema>)]>,
    /// Where `scale` finds its numbers, if it is served.
    pub scale: Option<ScalePaths>,
    /// What every use of this version is answered with in a `Warning` header.
    pub deprecation_warning: Option<Box<str>>,
}

/// Where `scale` finds its numbers in a custom resource: field names with dots between them.
#[derive(Debug, Clone)]
pub struct ScalePaths {
    /// The replicas that are wanted.
    pub replicas: Box<str>,
    /// The replicas that there are.
    pub status_replicas: Box<str>,
    /// The selector of its pods, as a text.
    pub label_selector: Option<Box<str>>,
}

/// A part of an object with a path of its own, or an action on it.
#[derive(Debug, Clone)]
pub struct Subresource {
    /// The last part of the path, such as `status`.
    pub name: Text,
    /// The group, version and kind of its bodies; group and version empty where they are those of the resource.
    pub group: Text,
    /// The version of its bodies.
    pub version: Text,
    /// The kind of its bodies.
    pub kind: Text,
    /// What may be done.
    pub verbs: Cow<'static, [Text]>,
}

/// A column of a Table.
#[derive(Debug, Clone)]
pub struct Column {
    /// The heading.
    pub name: Text,
    /// The OpenAPI type of its cells.
    pub type_: Text,
    /// The OpenAPI format of its cells, such as `name`.
    pub format: Text,
    /// 0 is shown always, more only in wide output.
    pub priority: i32,
    /// Where a custom resource's cell comes from (JSONPath); built-in kinds compute theirs.
    pub json_path: Option<Text>,
    /// What it means, where it says so itself.
    pub description: Option<Text>,
}

impl Column {
    /// A column of a built-in kind.
    pub const fn new(name: &'static str, type_: &'static str, format: &'static str, priority: i32) -> Self {
        let (name, type_, format) = (Cow::Borrowed(name), Cow::Borrowed(type_), Cow::Borrowed(format));
        Self { name, type_, format, priority, json_path: None, description: None }
    }
}

/// How objects of one version become objects of the storage version, and back. Both keep metadata as it is and set
/// `apiVersion` and `kind`.
#[derive(Debug, Clone, Copy)]
pub struct Conversion {
    /// From this version to the storage version.
    pub to_storage: fn(serde_json::Value) -> serde_json::Value,
    /// From the storage version to this version.
    pub from_storage: fn(serde_json::Value) -> serde_json::Value,
}

impl Resource {
    /// The plural with its group, as messages say it: `deployments.apps`.
    pub fn qualified(&self) -> Qualified<'_> {
        Qualified { group: &self.group, name: &self.plural }
    }

    /// The kind with its group, as messages of validation say it: `Deployment.apps`.
    pub fn qualified_kind(&self) -> Qualified<'_> {
        Qualified { group: &self.group, name: &self.kind }
    }

    /// The subresource of that name.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|subresource| &*subresource.name == name)
    }

    /// Whether it has that verb.
    pub fn allows(&self, verb: &str) -> bool {
        self.verbs.iter().any(|own| &**own == verb)
    }
}
