//! What is in the ConfigMaps and Secrets in use, as hashes.

use std::collections::BTreeMap;
use std::fmt::Write;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use xebec_coordinator::{DecodeError, Object, View};

use super::uses::{Source, SourceKind, Use, Uses};

/// How much of a hash is kept of each source, in hexadecimal digits.
const DIGITS: usize = 32;
/// Stands for the hash of what may be missing and is.
const ABSENT: &str = "absent";

/// The hash of each source in use: what a Deployment's annotation says was seen last.
///
/// A source of which other keys are used is another one, so that a change of the template, which rolls out by itself,
/// is not taken for a change of content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Hashes(BTreeMap<String, String>);

/// The hash of each key's value in use of one source.
pub(super) type KeyHashes = BTreeMap<String, [u8; 16]>;

/// What is in the sources in use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// One hash a source.
    pub(super) hashes: Hashes,
    /// One hash a key, of each source that is there.
    pub(super) keys: BTreeMap<Source, KeyHashes>,
}

/// What must be there and is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing(pub(super) String);

impl Contents {
    /// What is in what is used in a namespace, or what is missing.
    pub(super) fn of(
        uses: &Uses,
        namespace: &str,
        view: &View,
    ) -> Result<Result<Self, Missing>, DecodeError> {
        let mut contents = Self::default();
        for (source, used) in uses {
            let hash = match data(source, namespace, view)? {
                None if used.required => return Ok(Err(Missing(source.to_string()))),
                None => ABSENT.to_owned(),
                Some(data) => {
                    let gone =
                        used.keys.iter().find(|(key, required)| **required && !data.contains_key(*key));
                    if let Some((key, _)) = gone {
                        return Ok(Err(Missing(format!("key {key} of {source}"))));
                    }
                    let keys: KeyHashes = key_hashes(used, &data);
                    let hash = hash(&keys);
                    contents.keys.insert(source.clone(), keys);
                    hash
                }
            };
            contents.hashes.0.insert(identity(source, used), hash);
        }
        Ok(Ok(contents))
    }
}

impl Hashes {
    /// The hash of one source.
    pub(super) fn get(&self, source: &Source, used: &Use) -> Option<&str> {
        self.0.get(&identity(source, used)).map(String::as_str)
    }

    /// One hash of all.
    pub(super) fn total(&self) -> String {
        let mut hash = Sha256::new();
        for (source, own) in &self.0 {
            update(&mut hash, source.as_bytes());
            update(&mut hash, own.as_bytes());
        }
        hexadecimal(hash)
    }

    /// The sources in use whose contents are others than they were when `before` was seen. One that was not in use
    /// then is not among them.
    pub(super) fn changed_since<'u>(&self, before: &Self, uses: &'u Uses) -> Vec<&'u Source> {
        let changed = uses.iter().filter(|(source, used)| {
            before.get(source, used).is_some_and(|old| self.get(source, used) != Some(old))
        });
        changed.map(|(source, _)| source).collect()
    }
}

fn identity(source: &Source, used: &Use) -> String {
    format!("{}/{}{}", source.kind.as_str(), source.name, used.selection())
}

/// Keys and values of a source, none if it is not there.
fn data(
    source: &Source,
    namespace: &str,
    view: &View,
) -> Result<Option<BTreeMap<String, Vec<u8>>>, DecodeError> {
    let object = match source.kind {
        SourceKind::ConfigMap => view.typed::<ConfigMap>().get(namespace, &source.name),
        SourceKind::Secret => view.typed::<Secret>().get(namespace, &source.name),
    };
    object.map(values).transpose()
}

/// Keys and values of a ConfigMap or Secret.
fn values(object: &Object) -> Result<BTreeMap<String, Vec<u8>>, DecodeError> {
    if object.key().is::<Secret>() {
        let secret: Secret = object.decode()?;
        return Ok(secret.data.into_iter().flatten().map(|(key, value)| (key, value.0)).collect());
    }
    let map: ConfigMap = object.decode()?;
    let texts = map.data.into_iter().flatten().map(|(key, value)| (key, value.into_bytes()));
    let bytes = map.binary_data.into_iter().flatten().map(|(key, value)| (key, value.0));
    Ok(texts.chain(bytes).collect())
}

fn key_hashes(used: &Use, data: &BTreeMap<String, Vec<u8>>) -> KeyHashes {
    let hash = |value: &[u8]| {
        let mut hash = [0; 16];
        hash.copy_from_slice(&Sha256::digest(value)[..16]);
        hash
    };
    data.iter().filter(|(key, _)| used.has(key)).map(|(key, value)| (key.clone(), hash(value))).collect()
}

fn hash(keys: &KeyHashes) -> String {
    let mut hash = Sha256::new();
    for (key, value) in keys {
        update(&mut hash, key.as_bytes());
        update(&mut hash, value);
    }
    let mut text = hexadecimal(hash);
    text.truncate(DIGITS);
    text
}

/// With the length first, so that no two sequences of texts are the same bytes.
fn update(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
