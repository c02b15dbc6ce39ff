//! Storage in memory: a persistent map and log, published as a whole at each commit.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use parking_lot::Mutex;

use super::{Change, Changes, CommitError, Event, Expected, Object, Snapshot, Storage, Teller};

/// Keeps everything in memory. Readers take the newest snapshot; writers take turns.
#[derive(Debug, Default)]
pub struct Memory {
    snapshot: ArcSwap<Snapshot>,
    writer: Mutex<()>,
    watches: Mutex<HashMap<Box<str>, Teller>>,
}

impl Memory {
    /// An empty store at revision 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// A store that begins with `snapshot`.
    pub fn of(snapshot: Arc<Snapshot>) -> Self {
        Self { snapshot: ArcSwap::new(snapshot), ..Self::default() }
    }

    /// Writes, without the ceremony of a future: in memory nothing is waited for.
    ///
    /// # Errors
    /// What is expected does not hold.
    pub fn write(&self, change: Change) -> Result<Arc<Object>, CommitError> {
        let Change { resource, key, expected, object } = change;
        let writing = self.writer.lock();
        let current = self.snapshot.load_full();
        let previous = current.get(&resource, &key).cloned();
        match (&previous, expected) {
            (Some(_), Expected::Absent) => return Err(CommitError::Exists),
            (None, Expected::Revision(_)) => return Err(CommitError::Missing),
            (Some(previous), Expected::Revision(revision)) if previous.revision != revision => {
                return Err(CommitError::Changed);
            }
            _ => {}
        }
        let revision = current.revision() + 1;
        let (object, deleted) = match (object, &previous) {
            (Some(draft), _) => (Arc::new(draft.at(key, revision)), false),
            (None, Some(previous)) => (Arc::new(previous.at(revision)), true),
            (None, None) => return Err(CommitError::Missing),
        };
        let mut next = Snapshot::clone(&current);
        next.push(&resource, Event::new(revision, object.clone(), previous, deleted));
        self.snapshot.store(Arc::new(next));
        drop(writing);
        if let Some(watch) = self.watches.lock().get(&*resource) {
            watch.tell(revision);
        }
        Ok(object)
    }
}

#[async_trait]
impl Storage for Memory {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    async fn commit(&self, change: Change) -> Result<Arc<Object>, CommitError> {
        self.write(change)
    }

    fn changes(&self, resource: &str) -> Changes {
        let mut watches = self.watches.lock();
        // A custom resource that is gone leaves no channel behind.
        watches.retain(|name, watch| watch.is_heard() || **name == *resource);
        watches.entry(resource.into()).or_default().subscribe()
    }

    fn fork(&self) -> Arc<dyn Storage> {
        Arc::new(Self::of(self.snapshot()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::storage::{Draft, Terms};

    fn draft(value: u64) -> Draft {
        let object = json!({"kind": "T", "apiVersion": "v1", "metadata": {"name": "n"}, "value": value});
        Draft::new(&object, Terms::default())
    }

    fn put(store: &Memory, key: &str, expected: Expected, value: u64) -> Result<u64, CommitError> {
        let change = Change { resource: "t".into(), key: key.into(), expected, object: Some(draft(value)) };
        store.write(change).map(|object| object.revision)
    }

    fn delete(store: &Memory, key: &str, revision: u64) -> Result<u64, CommitError> {
        let expected = Expected::Revision(revision);
        let change = Change { resource: "t".into(), key: key.into(), expected, object: None };
        store.write(change).map(|object| object.revision)
    }

    fn keys(snapshot: &Snapshot, prefix: &str) -> Vec<String> {
        snapshot.range("t", prefix, None).map(|object| object.key.to_string()).collect()
    }

    #[test]
    fn a_write_happens_only_if_what_it_expects_holds() {
        let store = Memory::new();
        assert_eq!(put(&store, "a/x", Expected::Absent, 1).unwrap(), 1);
        assert!(matches!(put(&store, "a/x", Expected::Absent, 2), Err(CommitError::Exists)));
        assert!(matches!(put(&store, "a/x", Expected::Revision(9), 2), Err(CommitError::Changed)));
        assert!(matches!(put(&store, "a/y", Expected::Revision(1), 2), Err(CommitError::Missing)));
        assert_eq!(put(&store, "a/x", Expected::Revision(1), 2).unwrap(), 2);
        assert_eq!(delete(&store, "a/x", 2).unwrap(), 3);
        assert!(matches!(delete(&store, "a/x", 2), Err(CommitError::Missing)));
        assert_eq!(store.snapshot().revision(), 3);
    }

    #[test]
    fn the_log_tells_every_change_once_in_order() {
        let store = Memory::new();
        put(&store, "a/x", Expected::Absent, 1).unwrap();
        put(&store, "a/y", Expected::Absent, 1).unwrap();
        put(&store, "a/x", Expected::Revision(1), 2).unwrap();
        delete(&store, "a/y", 2).unwrap();
        let snapshot = store.snapshot();
        let revisions = |after| {
            snapshot.events_after("t", after).unwrap().map(|event| event.revision).collect::<Vec<_>>()
        };
        assert_eq!(revisions(0), [1, 2, 3, 4]);
        assert_eq!(revisions(2), [3, 4]);
        assert_eq!(revisions(4), [0; 0]);
        let last = snapshot.events_after("t", 3).unwrap().next().unwrap();
        assert!(last.deleted && last.object.revision == 4);
    }

    #[test]
    fn an_older_revision_can_be_read_back() {
        let store = Memory::new();
        put(&store, "a/x", Expected::Absent, 1).unwrap();
        put(&store, "a/y", Expected::Absent, 1).unwrap();
        delete(&store, "a/x", 1).unwrap();
        put(&store, "b/z", Expected::Absent, 1).unwrap();
        let now = store.snapshot();
        assert_eq!(keys(&now, ""), ["a/y", "b/z"]);
        assert_eq!(keys(&now.back_to("t", 2).unwrap(), ""), ["a/x", "a/y"]);
        assert_eq!(keys(&now, "a/"), ["a/y"]);
    }

    #[test]
    fn the_log_is_bounded_and_says_what_it_no_longer_has() {
        let store = Memory::new();
        let mut revision = put(&store, "a/x", Expected::Absent, 0).unwrap();
        for value in 0..20_010 {
            revision = put(&store, "a/x", Expected::Revision(revision), value).unwrap();
        }
        let snapshot = store.snapshot();
        assert!(snapshot.events_after("t", 1).is_err());
        assert!(snapshot.back_to("t", 1).is_err());
        assert_eq!(snapshot.events_after("t", revision - 20_000).unwrap().count(), 20_000);
    }

    #[test]
    fn a_fork_goes_its_own_way() {
        let store = Memory::new();
        put(&store, "a/x", Expected::Absent, 1).unwrap();
        let fork = Memory::of(store.snapshot());
        put(&fork, "a/y", Expected::Absent, 1).unwrap();
        delete(&store, "a/x", 1).unwrap();
        assert_eq!(keys(&fork.snapshot(), ""), ["a/x", "a/y"]);
        assert_eq!(keys(&store.snapshot(), ""), [""; 0]);
    }

    #[tokio::test]
    async fn whoever_waits_is_told() {
        let store = Memory::new();
        let mut changes = store.changes("t");
        put(&store, "a/x", Expected::Absent, 1).unwrap();
        changes.changed().await;
        assert_eq!(changes.see(), 1);
    }
}
