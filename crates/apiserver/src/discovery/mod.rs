//! What a server says it serves: groups, versions, resources, and their schemas ([`openapi`]).
//!
//! A [`Discovery`] is made of a set of resources and stays the same; when custom resources come and go, the server
//! makes another. Documents are made when they are first asked for, and kept.

mod aggregated;
mod lists;
pub mod openapi;
pub mod order;
mod version;

use std::{
    fmt::Write as _,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest, Sha512};

pub use self::version::version;
use crate::kinds::Resource;

/// A document as it goes over the wire.
#[derive(Debug, Clone)]
pub struct Document {
    /// The bytes: JSON, or the protobuf of OpenAPI.
    pub bytes: Bytes,
    /// What the `ETag` header says, without its quotes.
    pub etag: Arc<str>,
    /// What the `Content-Type` header says.
    pub media_type: &'static str,
}

impl Document {
    fn of_json(value: &Value) -> Self {
        Self::of_bytes(value.to_string().into_bytes())
    }

    fn of_bytes(bytes: Vec<u8>) -> Self {
        let etag = upper_hex(&Sha512::digest(&bytes)).into();
        Self { bytes: bytes.into(), etag, media_type: "application/json" }
    }
}

fn upper_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}

/// What a server says of one set of resources.
pub struct Discovery {
    groups: Vec<Group>,
    core: Option<Group>,
    aggregated: OnceLock<Document>,
    aggregated_core: OnceLock<Document>,
    openapi_index: OnceLock<Document>,
    openapi_v2: OnceLock<Document>,
    openapi_v2_protobuf: OnceLock<Document>,
    openapi_custom: openapi::Cache,
}

/// A group with its versions, the preferred one first.
struct Group {
    name: Box<str>,
    versions: Vec<Version>,
}

/// A version of a group with its resources.
struct Version {
    name: Box<str>,
    resources: Vec<Arc<Resource>>,
}

impl Discovery {
    /// Describes these resources, the built-in ones in the server's order ([`RESOURCES`](crate::kinds::table)),
    /// custom ones in any.
    pub fn new(resources: &[Arc<Resource>]) -> Self {
        let mut groups = order::grouped(resources);
        let core = groups.iter().position(|group| group.name.is_empty()).map(|at| groups.remove(at));
        Self {
            groups,
            core,
            aggregated: OnceLock::new(),
            aggregated_core: OnceLock::new(),
            openapi_index: OnceLock::new(),
            openapi_v2: OnceLock::new(),
            openapi_v2_protobuf: OnceLock::new(),
            openapi_custom: openapi::Cache::default(),
        }
    }

    /// `GET /api`: the versions of the core group. `address` is this server's, as clients reach it.
    pub fn api_versions(&self, address: &str) -> Value {
        lists::api_versions(self.core.as_ref(), address)
    }

    /// `GET /apis`: all groups but the core group.
    pub fn api_groups(&self) -> Value {
        lists::api_group_list(&self.groups)
    }

    /// `GET /apis/GROUP`, if there is such a group.
    pub fn api_group(&self, name: &str) -> Option<Value> {
        self.groups.iter().find(|group| &*group.name == name).map(lists::api_group)
    }

    /// `GET /apis/GROUP/VERSION`, or `GET /api/VERSION` for the empty group, if there is such a version.
    pub fn api_resources(&self, group: &str, version: &str) -> Option<Value> {
        let group = self.all_groups().find(|known| &*known.name == group)?;
        let version = group.versions.iter().find(|known| &*known.name == version)?;
        Some(lists::api_resource_list(group, version))
    }

    /// `GET /apis` as an `APIGroupDiscoveryList`: everything but the core group.
    pub fn aggregated(&self) -> Document {
        self.aggregated.get_or_init(|| Document::of_json(&aggregated::list(&self.groups))).clone()
    }

    /// `GET /api` as an `APIGroupDiscoveryList`: the core group.
    pub fn aggregated_core(&self) -> Document {
        let list = || Document::of_json(&aggregated::list(self.core.as_slice()));
        self.aggregated_core.get_or_init(list).clone()
    }

    fn all_groups(&self) -> impl Iterator<Item = &Group> {
        self.core.iter().chain(&self.groups)
    }
}

#[cfg(test)]
mod tests;
