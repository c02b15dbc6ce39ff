//! What a kind does beyond its schema: how its names look, what it fills in, what it refuses, what a write may
//! change. A strategy is data; the verbs read it, and nothing else asks which kind an object is of.

use serde_json::Value;

use super::Part;
use crate::{
    access::User,
    machinery::{FieldErrors, object},
};

/// The behaviour of a kind. Start from [`Strategy::PLAIN`] and set what differs:
///
/// ```
/// # use xebec_apiserver::kinds::strategy::{Strategy, Generation};
/// const DEPLOYMENT: Strategy = Strategy { generation: Generation::SpecAndAnnotations, ..Strategy::PLAIN };
/// ```
///
/// All functions see objects in the version that the strategy is for, in the normal form of
/// [`conform`](crate::machinery::conform::conform).
#[derive(Debug, Clone, Copy)]
pub struct Strategy {
    /// What is wrong with a name, if anything; `true` asks about a `generateName` prefix.
    pub name_rule: fn(name: &str, prefix: bool) -> Vec<String>,
    /// Computed defaults (`SetDefaults_…` in Kubernetes). Plain defaults of the schema are already there. Runs on
    /// everything that is decoded: bodies, results of patches, stored objects.
    pub default: fn(&mut Value),
    /// Shapes an object that is about to be created, after the status was dropped (`PrepareForCreate`) and system
    /// metadata (name, uid, creationTimestamp) was set.
    pub prepare_create: fn(&mut Value),
    /// Puts in who creates it, after that.
    pub name_creator: fn(&mut Value, &User),
    /// Shapes an object that is about to replace `old` (`PrepareForUpdate`), after the status was restored.
    pub prepare_update: fn(new: &mut Value, old: &Value),
    /// What is wrong with a new object, beyond its metadata (`Validate`).
    pub validate_create: fn(&Value, &mut FieldErrors),
    /// What is wrong with replacing `old` by `new` (`ValidateUpdate`), all of the new object's errors included.
    pub validate_update: fn(new: &Value, old: &Value, &mut FieldErrors),
    /// Shapes a write to `status`: by default only the status (and metadata that is not the spec's) is taken.
    pub prepare_status: fn(new: &mut Value, old: &Value),
    /// What is wrong with a write to `status`.
    pub validate_status: fn(new: &Value, old: &Value, &mut FieldErrors),
    /// Sets times that a write itself determines, such as when a phase changed: runs last of the functions that shape
    /// a write, on create (`old` is `Null`), on update and on a write to any subresource, with the present time in
    /// RFC 3339.
    pub stamp: fn(new: &mut Value, old: &Value, now: &str),
    /// Sentences for the `Warning` header on create (`old` is `None`) and update.
    pub warnings: fn(new: &Value, old: Option<&Value>) -> Vec<String>,
    /// The `Warning` of every answer about the kind, where clients should leave it.
    pub deprecation: Option<&'static str>,
    /// When `metadata.generation` grows.
    pub generation: Generation,
    /// Whether it has a status that main writes may not touch.
    pub status: bool,
    /// Whether a new object may bring its status along.
    pub status_on_create: bool,
    /// Whether PUT of a missing name creates it.
    pub create_on_update: bool,
    /// Whether PUT without a resourceVersion is allowed.
    pub unconditional_update: bool,
    /// Whether dependents are orphaned when a deletion does not say (ReplicationController, Job by `batch/v1` warns).
    pub orphan_dependents: bool,
    /// Whether a deletion answers with the object that was deleted, not with a Status.
    pub returns_deleted: bool,
    /// What is said of a deletion that does not say what becomes of dependents.
    pub deletion_warning: Option<&'static str>,
    /// What a write cannot own beside the status, as paths of names: it cannot change it.
    pub resets: &'static [&'static [&'static str]],
    /// What a write to `status` cannot own beside everything but the status itself, as paths of names.
    pub status_resets: &'static [&'static [&'static str]],
    /// The behaviour of parts that are written through a subresource with rules of its own.
    pub parts: &'static [(Part, &'static Strategy)],
    /// How many seconds it lives on after a deletion, from the object and what the caller asked for; `None` is at once.
    pub grace_period: fn(&Value, asked: Option<i64>) -> Option<i64>,
}

/// When `metadata.generation` grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// The kind has none.
    None,
    /// With a change of `spec`.
    Spec,
    /// With a change of `spec` or annotations (Deployment).
    SpecAndAnnotations,
    /// With a change of `spec`, but new objects have none (CSIDriver).
    SpecOnUpdate,
    /// With a change of anything outside metadata and status (webhook configurations).
    Content,
    /// The same, and with a change of labels (EndpointSlice).
    ContentAndLabels,
    /// Never: it is 1 from creation on (PriorityClass).
    Fixed,
}

impl Strategy {
    /// The behaviour of a part, where it has one of its own.
    pub fn of_part(&self, part: Part) -> Option<&'static Strategy> {
        self.parts.iter().find(|(own, _)| *own == part).map(|(_, strategy)| *strategy)
    }

    /// A kind with a DNS subdomain for a name, and no behaviour of its own.
    pub const PLAIN: Strategy = Strategy {
        name_rule: |name, prefix| crate::machinery::format::dns1123_subdomain_name(name, prefix),
        default: |_| {},
        prepare_create: |_| {},
        name_creator: |_, _| {},
        prepare_update: |_, _| {},
        validate_create: |_, _| {},
        validate_update: |_, _, _| {},
        prepare_status: keep_all_but_status,
        validate_status: |_, _, _| {},
        stamp: |_, _, _| {},
        warnings: |_, _| Vec::new(),
        deprecation: None,
        generation: Generation::None,
        status: false,
        status_on_create: false,
        create_on_update: false,
        unconditional_update: true,
        orphan_dependents: false,
        returns_deleted: false,
        deletion_warning: None,
        resets: &[],
        status_resets: &[],
        parts: &[],
        grace_period: |_, _| None,
    };
}

/// A write to `status` takes over the status and the metadata; everything else stays as it was.
pub fn keep_all_but_status(new: &mut Value, old: &Value) {
    let new = object::map_mut(new);
    new.retain(|field, _| matches!(field.as_str(), "apiVersion" | "kind" | "metadata" | "status"));
    for (field, value) in old.as_object().into_iter().flatten() {
        if !matches!(field.as_str(), "apiVersion" | "kind" | "metadata" | "status") {
            new.insert(field.clone(), value.clone());
        }
    }
}

/// The same for kinds whose labels a write to `status` cannot change either.
pub fn keep_all_but_status_and_labels(new: &mut Value, old: &Value) {
    keep_all_but_status(new, old);
    let metadata = object::metadata_mut(new);
    match object::meta(old, "labels") {
        Some(labels) => metadata.insert("labels".to_owned(), labels.clone()),
        None => metadata.remove("labels"),
    };
}

/// The same for kinds of which a write to `status` takes nothing but the status, not even metadata.
pub fn keep_all_but_status_and_metadata(new: &mut Value, old: &Value) {
    keep_all_but_status(new, old);
    let metadata = object::metadata_mut(new);
    for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
        match object::meta(old, field) {
            Some(value) => metadata.insert(field.to_owned(), value.clone()),
            None => metadata.remove(field),
        };
    }
}
