//! Which contents were seen, key by key, so that people can be told which keys changed. Nothing is decided by it.
//!
//! It goes by hashes, not by events: whatever order plans and changes come in, the keys that are told are those in
//! which the content that a Deployment was last rolled out for differs from that of now.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::contents::{Contents, Hashes, KeyHashes};
use super::uses::{Source, Uses};

/// How many contents of a source are remembered besides the one last rolled out for: more than one, since the store
/// may be behind our own write.
const REMEMBERED_MAX: usize = 3;

/// The contents seen of a workload's sources: what is remembered between its plans.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(BTreeMap<Source, VecDeque<Version>>);

/// One content of a source.
#[derive(Clone, Debug)]
struct Version {
    hash: String,
    keys: KeyHashes,
}

impl Seen {
    /// The same with what is there now, and what the workload was last rolled out for, if that was seen.
    pub(super) fn with(mut self, uses: &Uses, contents: &Contents, observed: Option<&Hashes>) -> Self {
        let mut sources = BTreeMap::new();
        for (source, keys) in &contents.keys {
            let Some(used) = uses.get(source) else { continue };
            let Some(hash) = contents.hashes.get(source, used) else { continue };
            let mut versions = self.0.remove(source).unwrap_or_default();
            versions.retain(|version| version.hash != hash);
            versions.push_back(Version { hash: hash.to_owned(), keys: keys.clone() });
            let needed = observed.and_then(|observed| observed.get(source, used));
            while versions.len() > REMEMBERED_MAX + 1 {
                let old = versions.iter().position(|version| Some(version.hash.as_str()) != needed);
                versions.remove(old.unwrap_or_default());
            }
            sources.insert(source.clone(), versions);
        }
        Self(sources)
    }

    /// The names of the keys in which a content that was seen, by its hash, differs from `now`. None if it was not
    /// seen.
    pub(super) fn changed_keys(
        &self,
        source: &Source,
        hash: &str,
        now: &KeyHashes,
    ) -> Option<BTreeSet<String>> {
        let old = &self.0.get(source)?.iter().find(|version| version.hash == hash)?.keys;
        let keys = old.keys().chain(now.keys());
        Some(keys.filter(|key| old.get(*key) != now.get(*key)).cloned().collect())
    }
}
