//! One object as the store keeps it: its encoded bytes, packed, and a small decoded header.
//!
//! The header holds what dispatch and indexes ask for; everything else is decoded when somebody asks.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::api::DynamicObject;
use kube::core::{Selector, SelectorExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::header::Header;
use crate::interner::{Interner, Labels, Owners};
use crate::packed::Packed;
use crate::parser::equal_but_version;
use crate::{Key, Kind};

/// An object as kept: what is wanted of its JSON, packed, with a decoded header. Cheap to clone.
#[derive(Clone)]
pub struct Object(Arc<Inner>);

struct Inner {
    parts: Parts,
    packed: Packed,
    /// By the name of the projection.
    derived: Box<[Derived]>,
    /// Something of what the server sent was left out.
    is_partial: bool,
}

/// The name of a projection, and what it made of the object.
pub(crate) type Derived = (&'static str, Option<Vec<u8>>);

/// The header of an object, shared where it is like others'.
#[derive(Clone)]
pub(crate) struct Parts {
    key: Key,
    /// The unique id, and the resource version after it.
    identity: Box<str>,
    uid_len: usize,
    labels: Arc<Labels>,
    owners: Arc<Owners>,
    deletion_timestamp: Option<Timestamp>,
}

/// An owner reference of an object.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    api_version: Box<str>,
    kind: Box<str>,
    name: Box<str>,
    uid: Box<str>,
    #[serde(default)]
    controller: bool,
}

impl Owner {
    /// Group and version of the owner.
    pub fn api_version(&self) -> &str {
        &self.api_version
    }

    /// Kind of the owner.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Name of the owner; it is in the dependent's namespace or cluster-scoped.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Unique id of the owner.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// Whether this owner is the managing controller; at most one is.
    pub fn is_controller(&self) -> bool {
        self.controller
    }
}

#[derive(Deserialize)]
struct Envelope {
    metadata: Rest,
}

/// What is asked for too seldom to be kept decoded.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rest {
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    creation_timestamp: Option<Timestamp>,
    generation: Option<i64>,
}

/// The bytes of an object did not have the expected form.
#[derive(Debug, thiserror::Error)]
#[error("cannot decode {what}: {source}")]
pub struct DecodeError {
    /// What was to be decoded: a key, or a description of it where the key itself could not be read.
    pub what: String,
    /// What was wrong.
    #[source]
    pub source: serde_json::Error,
}

impl DecodeError {
    pub(crate) fn header(kind: &Kind, source: serde_json::Error) -> Self {
        Self { what: format!("metadata of an object of kind {kind}"), source }
    }
}

impl Parts {
    pub(crate) fn of(kind: &Kind, header: Header<'_>, interner: &mut Interner) -> Self {
        let namespace = header.namespace.map(|namespace| interner.text(&namespace.0));
        let labels = header.labels.unwrap_or_default();
        Self {
            key: Key::shared(kind.clone(), namespace, &header.name.0),
            identity: [&*header.uid.0, &*header.resource_version.0].concat().into(),
            uid_len: header.uid.0.len(),
            labels: interner.labels(labels.iter().map(|(name, value)| (&*name.0, &*value.0))),
            owners: interner.owners(header.owner_references.unwrap_or_default()),
            deletion_timestamp: header.deletion_timestamp,
        }
    }
}

impl Object {
    /// Reads an object of this kind from its JSON bytes, and keeps all of it; only the header is decoded now.
    pub fn parse(kind: &Kind, bytes: Bytes) -> Result<Self, DecodeError> {
        let header = Header::read(&bytes).map_err(|source| DecodeError::header(kind, source))?;
        let parts = Parts::of(kind, header, &mut Interner::default());
        Ok(Self::new(parts, Packed::plain(bytes.into()), Vec::new(), false))
    }

    pub(crate) fn new(parts: Parts, packed: Packed, derived: Vec<Derived>, is_partial: bool) -> Self {
        Self(Arc::new(Inner { parts, packed, derived: derived.into(), is_partial }))
    }

    /// The same object with other bytes, and derived values.
    pub(crate) fn replaced(mut self, packed: Packed, derived: Vec<Derived>) -> Self {
        // Nobody else has it yet.
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.packed = packed;
            inner.derived = derived.into();
        }
        self
    }

    /// The same object with its bytes in another form.
    pub(crate) fn with_bytes(&self, packed: Packed) -> Self {
        let Inner { parts, derived, is_partial, .. } = &*self.0;
        let (parts, derived) = (parts.clone(), derived.clone());
        Self(Arc::new(Inner { parts, packed, derived, is_partial: *is_partial }))
    }

    /// Packs its bytes anew, unless somebody else holds it.
    pub(crate) fn repack(&mut self, pack: impl FnOnce(Vec<u8>) -> Packed) {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.packed = pack(inner.packed.unpack().into_owned());
        }
    }

    /// An object from a typed one, for tests and fixtures.
    pub fn encode<K: Resource<DynamicType = ()> + Serialize>(object: &K) -> Result<Self, DecodeError> {
        let kind = Kind::of::<K>();
        let bytes = serde_json::to_vec(object)
            .map_err(|source| DecodeError { what: format!("an object of kind {kind}"), source })?;
        Self::parse(&kind, bytes.into())
    }

    /// An object from JSON, for tests and fixtures.
    pub fn from_value(kind: &Kind, value: &Value) -> Result<Self, DecodeError> {
        Self::parse(kind, value.to_string().into())
    }

    /// Kind, namespace and name.
    pub fn key(&self) -> &Key {
        &self.0.parts.key
    }

    /// The kind.
    pub fn kind(&self) -> &Kind {
        self.0.parts.key.kind()
    }

    /// The namespace, none for a cluster-scoped object.
    pub fn namespace(&self) -> Option<&str> {
        self.0.parts.key.namespace()
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.0.parts.key.name()
    }

    /// The unique id.
    pub fn uid(&self) -> &str {
        &self.0.parts.identity[..self.0.parts.uid_len]
    }

    /// The version of this state.
    pub fn resource_version(&self) -> &str {
        &self.0.parts.identity[self.0.parts.uid_len..]
    }

    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels().find_map(|(key, value)| (key == name).then_some(value))
    }

    /// The labels, ordered by name.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.parts.labels.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The value of an annotation. Unlike labels they are decoded when asked for.
    pub fn annotation(&self, name: &str) -> Option<String> {
        self.annotations().remove(name)
    }

    /// The annotations, ordered by name. Decoded when asked for.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        self.rest().annotations.unwrap_or_default()
    }

    /// When it was created; none of an object that is still to be. Decoded when asked for.
    pub fn creation_timestamp(&self) -> Option<Timestamp> {
        self.rest().creation_timestamp
    }

    /// The generation of its desired state, which the server counts. Decoded when asked for.
    pub fn generation(&self) -> Option<i64> {
        self.rest().generation
    }

    /// All of the metadata, as typed objects have it. Decoded when asked for.
    pub fn metadata(&self) -> Result<ObjectMeta, DecodeError> {
        #[derive(Deserialize)]
        struct Whole {
            metadata: ObjectMeta,
        }
        Ok(self.decode::<Whole>()?.metadata)
    }

    /// The metadata that the header does not have. That it can be read was made sure of but for the types of its fields,
    /// which are the server's.
    fn rest(&self) -> Rest {
        let envelope: Result<Envelope, _> = serde_json::from_slice(&self.bytes());
        envelope.map(|envelope| envelope.metadata).unwrap_or_default()
    }

    /// Whether a label selector selects this object.
    pub fn selected_by(&self, selector: &Selector) -> bool {
        let labels = self.labels().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        selector.matches(&labels)
    }

    /// All owner references.
    pub fn owners(&self) -> &[Owner] {
        &self.0.parts.owners.list
    }

    /// The owner that is its controller.
    pub fn controller(&self) -> Option<&Owner> {
        self.owners().iter().find(|owner| owner.is_controller())
    }

    /// When deletion was asked for: the object is terminating.
    pub fn deletion_timestamp(&self) -> Option<Timestamp> {
        self.0.parts.deletion_timestamp
    }

    /// Whether deletion was asked for.
    pub fn is_terminating(&self) -> bool {
        self.0.parts.deletion_timestamp.is_some()
    }

    /// The object as JSON, as far as it is kept: as the server sent it, without `managedFields` unless some observer
    /// asked for them, and without the fields that no observer asked for. Items of a list may carry no `apiVersion` and
    /// `kind`. It is unpacked each time it is asked for.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        self.0.packed.unpack()
    }

    /// What a [`Projection`](crate::Projection) of this name made of the object; none if no observer asked for it, or
    /// it failed.
    pub fn derived(&self, projection: &str) -> Option<&[u8]> {
        let (_, value) = self.0.derived.iter().find(|(name, _)| *name == projection)?;
        value.as_deref()
    }

    /// Decodes into a typed object.
    pub fn decode<K: DeserializeOwned>(&self) -> Result<K, DecodeError> {
        serde_json::from_slice(&self.bytes())
            .map_err(|source| DecodeError { what: self.key().to_string(), source })
    }

    /// Decodes into JSON, always with `apiVersion` and `kind`.
    pub fn to_value(&self) -> Result<Value, DecodeError> {
        let mut value: Value = self.decode()?;
        if let Value::Object(fields) = &mut value {
            fields.entry("apiVersion").or_insert_with(|| self.kind().api_version().into());
            fields.entry("kind").or_insert_with(|| self.kind().name().into());
        }
        Ok(value)
    }

    /// Decodes into kube's dynamic object, always with its type.
    pub fn to_dynamic(&self) -> Result<DynamicObject, DecodeError> {
        serde_json::from_value(self.to_value()?)
            .map_err(|source| DecodeError { what: self.key().to_string(), source })
    }

    /// Whether `other` is the same state of the same object.
    pub(crate) fn is_same_state(&self, other: &Self) -> bool {
        self.0.parts.identity == other.0.parts.identity && self.uid() == other.uid()
    }

    /// Whether this state of an object shows nothing that another state of it does not: they differ in what was left
    /// out. What the server calls a change is one where nothing was.
    pub(crate) fn shows_the_same_as(&self, other: &Self) -> bool {
        self.0.is_partial
            && other.0.is_partial
            && self.0.derived == other.0.derived
            && {
                // Most changes change the length, which costs nothing to see.
                let length = |object: &Self| object.0.packed.unpacked_len() - object.resource_version().len();
                length(self) == length(other)
            }
            && equal_but_version(
                &self.bytes(),
                &other.bytes(),
                self.resource_version(),
                other.resource_version(),
            )
    }

    /// Whether this is that very object, not only its like.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The length of its JSON.
    pub(crate) fn len(&self) -> usize {
        self.0.packed.unpacked_len()
    }

    /// The unique ids of the owners, as indexes share them.
    pub(crate) fn owner_uids(&self) -> &[Arc<str>] {
        &self.0.parts.owners.uids
    }

    /// Whether its owners are the same as another's.
    pub(crate) fn has_owners_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0.parts.owners, &other.0.parts.owners) || self.owners() == other.owners()
    }

    #[cfg(test)]
    pub(crate) fn is_plain(&self) -> bool {
        self.0.packed.is_plain()
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the contents: they may be a Secret's.
        write!(f, "{}@{}", self.key(), self.resource_version())
    }
}
