//! Who owns which fields of an object: `metadata.managedFields`, kept by every write, and server-side apply, which
//! merges a configuration by it (`structured-merge-diff` and `managedfields` in Kubernetes).
//!
//! A [`FieldManager`] knows a kind in one version; [`FieldManager::update`] is for creates, updates and patches,
//! [`FieldManager::apply`] for applied configurations. Both are pure: time and names are given.

mod applied;
mod atom;
mod compare;
mod conflict;
mod created;
mod field_set;
mod filter;
mod last_applied;
mod managed_fields;
mod merge;
mod path_element;
mod reconcile;
mod remove;
mod scale;
mod set_of;
mod update;
mod validate;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, LazyLock},
};

use serde_json::Value;

use self::atom::Type;
use super::{Schema, conform};

pub use self::{
    applied::ApplyError,
    conflict::{Conflict, Conflicts},
    field_set::{FieldPath, FieldSet, Node},
    filter::{Filter, Step},
    managed_fields::{Entry, InvalidManagedFields, ManagedFields, Manager, Operation, is_reset, validate},
    path_element::{InvalidElement, PathElement},
    scale::ScaleFields,
    update::keep_times_if_unchanged,
};

/// Keeps `metadata.managedFields` of a kind's objects as they are written through one version of the API and one
/// subresource. Made once for each of these.
#[derive(Debug, Clone)]
pub struct FieldManager {
    version: Version,
    api_version: String,
    kind: String,
    subresource: String,
    empty: Value,
    others: BTreeMap<String, OtherVersion>,
}

/// What is known of a kind in a version.
#[derive(Debug, Clone, Default)]
pub struct Version {
    /// The schema of its objects.
    pub schema: Schema,
    /// What a write through the subresource can own.
    pub filter: Filter,
}

/// Another version of a kind, whose names managers may have used for the fields that they own.
#[derive(Clone)]
pub struct OtherVersion {
    /// The kind in that version.
    pub version: Version,
    /// Converts an object of the field manager's version into that version; `None` if that cannot be.
    pub to: Convert,
    /// Converts an object of that version into the field manager's version; `None` if that cannot be.
    pub from: Convert,
}

/// Gives an object in another version of its kind.
pub type Convert = Arc<dyn Fn(&Value) -> Option<Value> + Send + Sync>;

impl fmt::Debug for OtherVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtherVersion").field("version", &self.version).finish_non_exhaustive()
    }
}

impl Version {
    fn of(&self) -> Type<'_> {
        Type::object(&self.schema)
    }

    fn is_built_in(&self) -> bool {
        self.schema.object().is_some_and(|object| object.name.is_some())
    }
}

impl FieldManager {
    /// For objects of the kind, such as `apps/v1` `Deployment`, and writes to `subresource` (empty for the object
    /// itself), which can own what `version.filter` says.
    pub fn new(version: Version, api_version: &str, kind: &str, subresource: &str) -> Self {
        let mut empty = conform::zero(&version.schema);
        if let Value::Object(empty) = &mut empty {
            empty.insert("apiVersion".to_owned(), api_version.into());
            empty.insert("kind".to_owned(), kind.into());
        }
        Self {
            version,
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            subresource: subresource.to_owned(),
            empty,
            others: BTreeMap::new(),
        }
    }

    /// The same, with another version that the kind is served in. What managers own in versions that are not given
    /// is forgotten at the next write.
    #[must_use]
    pub fn with_other_version(mut self, api_version: &str, other: OtherVersion) -> Self {
        self.others.insert(api_version.to_owned(), other);
        self
    }

    fn manager(&self, name: &str, operation: Operation) -> Manager {
        let name = if name.is_empty() { "unknown" } else { name };
        Manager { name: name.to_owned(), operation, subresource: self.subresource.clone() }
    }

    fn updater(&self, name: &str) -> Manager {
        self.manager(name, Operation::Update { api_version: self.api_version.clone() })
    }
}

/// The fields of `metadata` that nobody owns: which object it is, and what the server alone says of it.
const STRIPPED_METADATA: [&str; 9] = [
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
];

/// Takes out what nobody owns.
fn strip_meta(fields: FieldSet) -> FieldSet {
    static STRIPPED: LazyLock<FieldSet> = LazyLock::new(|| {
        let metadata = STRIPPED_METADATA.map(|field| FieldSet::of_fields(&[&["metadata", field]]));
        let object = FieldSet::of_fields(&[&["apiVersion"], &["kind"], &["metadata"]]);
        metadata.into_iter().fold(object, FieldSet::union)
    });
    fields.difference(&STRIPPED)
}

/// The same with `fieldsV1`.
fn strip_written_meta(fields: &mut Value) {
    let Value::Object(fields) = fields else { return };
    fields.remove("f:apiVersion");
    fields.remove("f:kind");
    let Some(Value::Object(metadata)) = fields.get_mut("f:metadata") else { return };
    metadata.remove(".");
    for field in STRIPPED_METADATA {
        metadata.remove(format!("f:{field}").as_str());
    }
    if metadata.is_empty() {
        fields.remove("f:metadata");
    }
}
