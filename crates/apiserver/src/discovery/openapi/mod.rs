//! The schemas of everything that is served, as OpenAPI 3.0 (a document for each group and version) and as Swagger
//! 2.0 (one for all). kubectl explains, validates and patches by them.
//!
//! Documents of built-in groups are the same for all servers of a process and made once, when first asked for; those
//! of custom resources belong to a [`Discovery`]. The index names documents by a hash without making them: clients
//! keep what they read under it.

mod custom;
mod definitions;
mod dialect;
mod documents;
mod offers;
mod operations;
mod protobuf;
mod texts;

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha512};

use super::{Discovery, Document, Group, Version, upper_hex};
/// Documents by the path that the index has them under, such as `apis/apps/v1`.
pub(super) type Cache = Mutex<HashMap<String, Document>>;

/// The documents of built-in groups.
static BUILTIN: LazyLock<Cache> = LazyLock::new(Cache::default);

/// What built-in documents are made of, and a number that grows when the way they are made changes what they say.
static INGREDIENTS: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha512::new();
    hash.update(b"1");
    for text in [
        include_str!("../../../data/schema.json"),
        include_str!("../../../data/discovery.json"),
        include_str!("../../../data/descriptions.json"),
        include_str!("../../../data/parameters.json"),
    ] {
        hash.update(text);
    }
    upper_hex(&hash.finalize())
});

impl Discovery {
    /// The document at a path: `/openapi/v2` (which callers may want in protobuf: [`is_protobuf`]), `/openapi/v3`, or
    /// one that the index of the latter names.
    pub fn openapi(&self, path: &str, protobuf: bool) -> Option<Document> {
        match path {
            "/openapi/v2" if protobuf => Some(self.openapi_v2_protobuf()),
            "/openapi/v2" => Some(self.openapi_v2()),
            "/openapi/v3" => Some(self.openapi_index()),
            path => self.openapi_v3(path.strip_prefix("/openapi/v3/")?),
        }
    }

    /// `GET /openapi/v3`: where the documents are.
    pub fn openapi_index(&self) -> Document {
        self.openapi_index
            .get_or_init(|| {
                let paths: Map<String, Value> = self
                    .all_versions()
                    .map(|(group, version)| {
                        let path = index_path(group, version);
                        let url = url(&format!("/openapi/v3/{path}"), &hash(group, version));
                        (path, json!({"serverRelativeURL": url}))
                    })
                    .collect();
                let mut document = Document::of_json(&json!({"paths": paths}));
                document.media_type = "text/plain; charset=utf-8";
                document
            })
            .clone()
    }

    /// `GET /openapi/v3/PATH`, where PATH is `api/v1` or `apis/GROUP/VERSION`. Its tag is the hash of the index.
    pub fn openapi_v3(&self, path: &str) -> Option<Document> {
        let (group, version) =
            self.all_versions().find(|(group, version)| index_path(group, version) == path)?;
        let cache = if is_custom(version) { &self.openapi_custom } else { &*BUILTIN };
        if let Some(document) = cache.lock().get(path) {
            return Some(document.clone());
        }
        let mut document = document(group, version);
        if !is_custom(version) {
            document.etag = hash(group, version);
        }
        cache.lock().insert(path.to_owned(), document.clone());
        Some(document)
    }

    /// `GET /openapi/v2`: everything in one document.
    pub fn openapi_v2(&self) -> Document {
        self.openapi_v2.get_or_init(|| Document::of_json(&self.swagger())).clone()
    }

    /// `GET /openapi/v2` in protobuf.
    pub fn openapi_v2_protobuf(&self) -> Document {
        let document = self.openapi_v2_protobuf.get_or_init(|| {
            let document = Document::of_bytes(protobuf::document(&self.swagger()));
            Document { media_type: "application/com.github.proto-openapi.spec.v2.v1.0+protobuf", ..document }
        });
        document.clone()
    }

    fn swagger(&self) -> Value {
        let resources = self.all_versions().flat_map(|(_, version)| &version.resources);
        documents::version_2(resources.map(|resource| &**resource))
    }

    fn all_versions(&self) -> impl Iterator<Item = (&Group, &Version)> + Clone {
        let groups = self.core.iter().chain(&self.groups);
        groups.flat_map(|group| group.versions.iter().map(move |version| (group, version)))
    }
}

/// Whether a media type in an `Accept` header, without its parameters, is that of Swagger 2.0 in protobuf: the name
/// that clients send, which is not a valid one, or the one that they are answered with.
pub fn is_protobuf(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
            | "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    )
}

/// Where the document at a path is found for as long as it stays as it is: clients that ask for another `hash` than
/// the tag of the document are sent there, and may keep what they find there for ever.
pub fn url(path: &str, etag: &str) -> String {
    format!("{path}?hash={etag}")
}

fn index_path(group: &Group, version: &Version) -> String {
    operations::root(&group.name, &version.name).trim_start_matches('/').to_owned()
}

fn is_custom(version: &Version) -> bool {
    version.resources.iter().all(|resource| resource.type_name.is_none())
}

/// What stands for a document's contents: of a built-in group its ingredients, so that it need not be made to be
/// named; of custom resources, which say anything at all, the document itself.
fn hash(group: &Group, version: &Version) -> Arc<str> {
    if is_custom(version) {
        return document(group, version).etag;
    }
    let mut hash = Sha512::new();
    hash.update(&*INGREDIENTS);
    hash.update(index_path(group, version));
    upper_hex(&hash.finalize()).into()
}

fn document(group: &Group, version: &Version) -> Document {
    let resources = version.resources.iter().map(|resource| &**resource);
    Document::of_json(&documents::version_3(&group.name, &version.name, resources))
}

#[cfg(test)]
mod tests;
