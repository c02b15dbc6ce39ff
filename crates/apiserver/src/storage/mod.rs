//! Where objects are kept: one small trait, and the state that every implementation of it shows to readers.
//!
//! There is one revision counter, and every change is one [`Event`] in one order. A list is a [`Snapshot`] of a
//! revision; a watch is the log from a revision on; nothing else orders anything. Readers load the newest snapshot
//! and never wait for a writer. Start reading at [`Snapshot`], then [`memory`].

mod changes;
mod encoded;
pub mod memory;
mod snapshot;

use std::sync::Arc;

use async_trait::async_trait;

pub use self::{
    changes::{Changes, Teller},
    encoded::{Draft, Object, Terms},
    snapshot::{Compacted, Event, EventType, Snapshot, line as event_line, line_of as event_line_of},
};

/// What a writer takes for granted about the object under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// There is none.
    Absent,
    /// It is the one of this revision.
    Revision(u64),
}

/// A write of one object.
#[derive(Debug, Clone)]
pub struct Change {
    /// The resource, as [`crate::kinds::Resource::storage`] names it.
    pub resource: Arc<str>,
    /// The object: `NAMESPACE/NAME`, or `NAME` where there is no namespace.
    pub key: Arc<str>,
    /// What must hold, or nothing is written.
    pub expected: Expected,
    /// The new state; `None` deletes it.
    pub object: Option<Draft>,
}

/// Why nothing was written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// It should have been absent.
    #[error("the key is taken")]
    Exists,
    /// It should have been there.
    #[error("there is nothing under the key")]
    Missing,
    /// It is there, but not of the revision expected.
    #[error("the object has changed")]
    Changed,
    /// The storage itself failed.
    #[error("the storage failed: {0}")]
    Failed(String),
}

/// A store of objects. What can be read is in the snapshot; only writing may take time.
#[async_trait]
pub trait Storage: Send + Sync + std::fmt::Debug {
    /// The newest state.
    fn snapshot(&self) -> Arc<Snapshot>;

    /// Writes one object if what is expected holds, and gives its new state (its last one, for a deletion, with the
    /// revision of the deletion).
    async fn commit(&self, change: Change) -> Result<Arc<Object>, CommitError>;

    /// Tells of each new revision of a resource: what it holds is at least the newest revision at which the resource
    /// changed.
    fn changes(&self, resource: &str) -> Changes;

    /// An independent copy, in constant time where the implementation can.
    fn fork(&self) -> Arc<dyn Storage>;
}
