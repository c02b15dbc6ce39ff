//! One object as the store keeps it: its encoded bytes and a small decoded header.
//!
//! The header holds what dispatch and indexes ask for; everything else is decoded when somebody asks.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use kube::Resource;
use kube::api::DynamicObject;
use kube::core::{Selector, SelectorExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Key, Kind};

/// An object as the server sent it (JSON bytes) with a decoded header. Cheap to clone.
#[derive(Clone)]
pub struct Object(Arc<Inner>);

struct Inner {
    key: Key,
    uid: Box<str>,
    resource_version: Box<str>,
    labels: Box<[(Box<str>, Box<str>)]>,
    owners: Box<[Owner]>,
    deletion_timestamp: Option<Timestamp>,
    bytes: Bytes,
}

/// An owner reference of an object.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// Group and version of the owner.
    pub api_version: Box<str>,
    /// Kind of the owner.
    pub kind: Box<str>,
    /// Name of the owner; it is in the dependent's namespace or cluster-scoped.
    pub name: Box<str>,
    /// Unique id of the owner.
    pub uid: Box<str>,
    /// Whether this owner is the managing controller; at most one is.
    #[serde(default)]
    pub controller: bool,
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

#[derive(Deserialize)]
struct Envelope {
    metadata: Header,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    name: Box<str>,
    namespace: Option<Box<str>>,
    #[serde(default)]
    uid: Box<str>,
    #[serde(default)]
    resource_version: Box<str>,
    #[serde(default)]
    labels: Option<BTreeMap<Box<str>, Box<str>>>,
    #[serde(default)]
    owner_references: Option<Vec<Owner>>,
    deletion_timestamp: Option<Timestamp>,
}

impl Object {
    /// Reads an object of this kind from its JSON bytes; only the header is decoded now.
    pub fn parse(kind: &Kind, bytes: Bytes) -> Result<Self, DecodeError> {
        let Envelope { metadata } = serde_json::from_slice(&bytes).map_err(|source| DecodeError {
            what: format!("metadata of an object of kind {kind}"),
            source,
        })?;
        Ok(Self(Arc::new(Inner {
            key: Key::of_kind(kind.clone(), metadata.namespace.as_deref(), &metadata.name),
            uid: metadata.uid,
            resource_version: metadata.resource_version,
            labels: metadata.labels.unwrap_or_default().into_iter().collect(),
            owners: metadata.owner_references.unwrap_or_default().into_boxed_slice(),
            deletion_timestamp: metadata.deletion_timestamp,
            bytes,
        })))
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
        &self.0.key
    }

    /// The kind.
    pub fn kind(&self) -> &Kind {
        self.0.key.kind()
    }

    /// The namespace, none for a cluster-scoped object.
    pub fn namespace(&self) -> Option<&str> {
        self.0.key.namespace()
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.0.key.name()
    }

    /// The unique id.
    pub fn uid(&self) -> &str {
        &self.0.uid
    }

    /// The version of this state.
    pub fn resource_version(&self) -> &str {
        &self.0.resource_version
    }

    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels().find_map(|(key, value)| (key == name).then_some(value))
    }

    /// The labels, ordered by name.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.labels.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Whether a label selector selects this object.
    pub fn selected_by(&self, selector: &Selector) -> bool {
        let labels = self.labels().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        selector.matches(&labels)
    }

    /// All owner references.
    pub fn owners(&self) -> &[Owner] {
        &self.0.owners
    }

    /// The owner that is its controller.
    pub fn controller(&self) -> Option<&Owner> {
        self.0.owners.iter().find(|owner| owner.controller)
    }

    /// When deletion was asked for: the object is terminating.
    pub fn deletion_timestamp(&self) -> Option<Timestamp> {
        self.0.deletion_timestamp
    }

    /// Whether deletion was asked for.
    pub fn is_terminating(&self) -> bool {
        self.0.deletion_timestamp.is_some()
    }

    /// The encoded object as the server sent it. Items of a list carry no `apiVersion` and `kind`.
    pub fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }

    /// Decodes into a typed object.
    pub fn decode<K: DeserializeOwned>(&self) -> Result<K, DecodeError> {
        serde_json::from_slice(&self.0.bytes)
            .map_err(|source| DecodeError { what: self.0.key.to_string(), source })
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
            .map_err(|source| DecodeError { what: self.0.key.to_string(), source })
    }

    /// Whether `other` is the same state of the same object.
    pub(crate) fn is_same_state(&self, other: &Self) -> bool {
        self.uid() == other.uid() && self.resource_version() == other.resource_version()
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the contents: they may be a Secret's.
        write!(f, "{}@{}", self.0.key, self.0.resource_version)
    }
}
