//! Names that controllers choose: hashes of templates, and the endings of generated names.

use kube::Resource;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// The letters and digits of generated names: no vowels and nothing that looks like another, so that no words occur.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH: usize = 5;
/// Names are at most this long, the generated ending included.
const NAME_MAX: usize = 63;

/// A short hash of a template that is safe in names and label values; `collisions` makes it another one.
pub(crate) fn template_hash<T: Serialize>(
    template: &T,
    collisions: Option<i32>,
) -> Result<String, serde_json::Error> {
    // Through a Value, so that the order of fields is that of their names.
    let value = serde_json::to_value(template)?;
    let mut hash = fnv1a(value.to_string().bytes());
    if let Some(collisions) = collisions {
        hash = fnv1a(hash.to_le_bytes().into_iter().chain(collisions.to_le_bytes()));
    }
    Ok(hash
        .to_string()
        .bytes()
        .map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]))
        .collect())
}

fn fnv1a(bytes: impl Iterator<Item = u8>) -> u32 {
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Yields names that the server might have generated for the dependents of an object.
///
/// A plan is a function of what it sees, so that the names are too; they are told to the server together with the
/// `generateName` from which it would have made them. What is hashed changes with every plan that writes: the owner's
/// version, and which dependents there are.
pub(crate) struct Names {
    prefix: String,
    hash: Sha256,
    count: u64,
}

impl Names {
    /// Names for dependents of `owner`, which are to begin with `prefix`.
    pub(crate) fn new<K: Resource<DynamicType = ()>>(owner: &K, prefix: &str, now: jiff::Timestamp) -> Self {
        let meta = owner.meta();
        let mut hash = Sha256::new();
        for part in [meta.uid.as_deref(), meta.resource_version.as_deref()] {
            hash.update(part.unwrap_or_default());
            hash.update([0]);
        }
        hash.update(now.as_nanosecond().to_le_bytes());
        let prefix = prefix.chars().take(NAME_MAX - SUFFIX_LENGTH).collect();
        Self { prefix, hash, count: 0 }
    }

    /// Takes in which dependents there are.
    pub(crate) fn among<'a>(mut self, uids: impl Iterator<Item = &'a str>) -> Self {
        uids.for_each(|uid| self.hash.update(uid));
        self
    }

    /// The next name that is not taken.
    pub(crate) fn next(&mut self, taken: impl Fn(&str) -> bool) -> String {
        loop {
            let name = self.draw();
            if !taken(&name) {
                return name;
            }
        }
    }

    fn draw(&mut self) -> String {
        self.count += 1;
        let digest = self.hash.clone().chain_update(self.count.to_le_bytes()).finalize();
        let suffix = digest.iter().take(SUFFIX_LENGTH);
        let suffix = suffix.map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]));
        self.prefix.chars().chain(suffix).collect()
    }
}
