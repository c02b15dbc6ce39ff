//! The state at a revision, and the log that leads to it.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use imbl::{OrdMap, Vector};

use super::encoded::Object;

/// How many events of one resource are kept for watches and lists of older revisions.
const LOG_EVENTS_MAX: usize = 20_000;
/// How many bytes of states that are no longer current the log of one resource may keep alive.
const LOG_BYTES_MAX: usize = 64 << 20;

/// All objects at a revision. Cloning is O(1).
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    revision: u64,
    resources: OrdMap<Arc<str>, Arc<Resource>>,
}

/// The objects of one resource, and how they came to be.
#[derive(Debug, Clone, Default)]
struct Resource {
    objects: OrdMap<Arc<str>, Arc<Object>>,
    log: Vector<Arc<Event>>,
    /// What the log keeps alive beyond the current objects.
    log_bytes: usize,
    /// Events up to this revision are no longer kept.
    compacted: u64,
    /// The revision of the newest event.
    changed: u64,
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    /// It is new.
    Added,
    /// It changed.
    Modified,
    /// It is gone.
    Deleted,
}

/// One change of one object.
pub struct Event {
    /// The revision that it made.
    pub revision: u64,
    /// The object after it; its last state, with the revision of the deletion, if it is gone.
    pub object: Arc<Object>,
    /// The object before it.
    pub previous: Option<Arc<Object>>,
    /// Whether the object is gone.
    pub deleted: bool,
    lines: [OnceLock<Bytes>; 3],
}

/// The log no longer reaches back to the revision asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the revision is no longer kept")]
pub struct Compacted;

impl Snapshot {
    /// What creating objects one after the other, each with its resource, has led to.
    pub fn of_created<'a>(objects: impl IntoIterator<Item = (&'a str, Object)>) -> Self {
        let mut snapshot = Self::default();
        for (resource, object) in objects {
            snapshot.push(resource, Event::new(object.revision, Arc::new(object), None, false));
        }
        snapshot
    }

    /// The revision of the newest change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The object under `key`.
    pub fn get(&self, resource: &str, key: &str) -> Option<&Arc<Object>> {
        self.resources.get(resource)?.objects.get(key)
    }

    /// The resources of which there are or were objects, as [`crate::kinds::Resource::storage`] names them.
    pub fn resources(&self) -> impl Iterator<Item = &Arc<str>> {
        self.resources.keys()
    }

    /// How many objects there are of a resource.
    pub fn count(&self, resource: &str) -> usize {
        self.resources.get(resource).map_or(0, |resource| resource.objects.len())
    }

    /// The revision of the newest change of a resource; 0 where there was none. What is worked out from a resource's
    /// objects is true as long as this stays the same.
    pub fn changed_at(&self, resource: &str) -> u64 {
        self.resources.get(resource).map_or(0, |resource| resource.changed)
    }

    /// The objects whose key starts with `prefix`, in the order of their keys, from the first key that is greater
    /// than `after`.
    pub fn range<'a>(
        &'a self,
        resource: &str,
        prefix: &'a str,
        after: Option<&str>,
    ) -> impl Iterator<Item = &'a Arc<Object>> {
        self.resources
            .get(resource)
            .into_iter()
            .flat_map(move |resource| range(&resource.objects, prefix, after))
    }

    /// The same resource as it was at an older revision; the rest is as it is now.
    ///
    /// # Errors
    /// The log does not reach back that far.
    pub fn back_to(&self, resource: &str, revision: u64) -> Result<Snapshot, Compacted> {
        let mut snapshot = self.clone();
        let Some(now) = self.resources.get(resource) else { return Ok(snapshot) };
        if revision < now.compacted {
            return Err(Compacted);
        }
        let mut objects = now.objects.clone();
        for event in now.log.iter().rev().take_while(|event| event.revision > revision) {
            match &event.previous {
                Some(previous) => objects.insert(previous.key.clone(), previous.clone()),
                None => objects.remove(&event.object.key),
            };
        }
        let then = Resource { objects, ..Resource::default() };
        snapshot.resources.insert(resource.into(), Arc::new(then));
        snapshot.revision = revision;
        Ok(snapshot)
    }

    /// The events of a resource after `revision`, oldest first.
    ///
    /// # Errors
    /// The log does not reach back that far.
    pub fn events_after(
        &self,
        resource: &str,
        revision: u64,
    ) -> Result<impl Iterator<Item = &Arc<Event>>, Compacted> {
        let log = match self.resources.get(resource) {
            Some(resource) if revision < resource.compacted => return Err(Compacted),
            Some(resource) => {
                let log = &resource.log;
                let start = log
                    .binary_search_by(|event| event.revision.cmp(&revision).then(std::cmp::Ordering::Less));
                Some(log.focus().narrow(start.unwrap_or_else(|at| at)..log.len()).into_iter())
            }
            None => None,
        };
        Ok(log.into_iter().flatten())
    }

    /// Appends a change. The revision is the next one.
    pub(super) fn push(&mut self, resource: &str, event: Event) {
        self.revision = event.revision;
        // Other snapshots keep what they have; what none of them has is changed in place.
        let entry = match self.resources.get_mut(resource) {
            Some(entry) => entry,
            None => self.resources.entry(resource.into()).or_default(),
        };
        let entry = Arc::make_mut(entry);
        if event.deleted {
            entry.objects.remove(&event.object.key);
        } else {
            entry.objects.insert(event.object.key.clone(), event.object.clone());
        }
        entry.changed = event.revision;
        entry.log_bytes += event.kept();
        entry.log.push_back(Arc::new(event));
        while entry.log.len() > LOG_EVENTS_MAX || entry.log_bytes > LOG_BYTES_MAX {
            let Some(oldest) = entry.log.pop_front() else { break };
            entry.log_bytes -= oldest.kept().min(entry.log_bytes);
            entry.compacted = oldest.revision;
        }
    }
}

impl Event {
    pub(super) fn new(
        revision: u64,
        object: Arc<Object>,
        previous: Option<Arc<Object>>,
        deleted: bool,
    ) -> Self {
        Self { revision, object, previous, deleted, lines: Default::default() }
    }

    /// The event as a line of a watch, `{"type":…,"object":…}`, encoded once for all watches.
    pub fn line(&self, event_type: EventType) -> Bytes {
        let slot = match event_type {
            EventType::Added => 0,
            EventType::Modified => 1,
            EventType::Deleted => 2,
        };
        self.lines[slot].get_or_init(|| line(event_type, self.object.bytes())).clone()
    }

    /// The bytes that it alone keeps alive, once newer states have come.
    fn kept(&self) -> usize {
        128 + self.previous.as_ref().map_or(0, |previous| previous.size())
            + if self.deleted { self.object.size() } else { 0 }
    }
}

/// A line of a watch.
pub fn line(event_type: EventType, object: &[u8]) -> Bytes {
    line_of(event_type, &[object])
}

/// A line of a watch about an object that is written in parts, one behind the other.
pub fn line_of(event_type: EventType, object: &[&[u8]]) -> Bytes {
    let mut line = Vec::with_capacity(object.iter().map(|part| part.len()).sum::<usize>() + 40);
    line.extend_from_slice(b"{\"type\":\"");
    line.extend_from_slice(event_type.as_str().as_bytes());
    line.extend_from_slice(b"\",\"object\":");
    for part in object {
        line.extend_from_slice(part);
    }
    line.extend_from_slice(b"}\n");
    line.into()
}

impl EventType {
    /// As a watch writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("object", &self.object)
            .field("deleted", &self.deleted)
            .finish_non_exhaustive()
    }
}

fn range<'a>(
    objects: &'a OrdMap<Arc<str>, Arc<Object>>,
    prefix: &'a str,
    after: Option<&str>,
) -> impl Iterator<Item = &'a Arc<Object>> {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    let start = match after {
        Some(after) if after > prefix => Excluded(after),
        _ => Included(prefix),
    };
    objects
        .range::<_, str>((start, Unbounded))
        .take_while(move |(key, _)| key.starts_with(prefix))
        .map(|(_, object)| object)
}
