//! What one can see of a running coordinator.

use jiff::Timestamp;

use crate::{Detail, Kind};

/// The state of a coordinator.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its observers, ordered by name.
    pub observers: Vec<ObserverStatus>,
    /// Its watches of the server, ordered by kind.
    pub watches: Vec<WatchStatus>,
}

/// The state of one observer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObserverStatus {
    /// Its name.
    pub name: String,
    /// How it fares.
    pub health: Health,
    /// How many keys wait to be served now.
    pub queued: usize,
    /// How many keys are being served.
    pub active: usize,
    /// How many keys wait until the observer's own writes for them are visible.
    pub held: usize,
    /// How many keys wait for a time: a back-off, or a wish to be served again.
    pub delayed: usize,
    /// How many times a key was served.
    pub served: u64,
    /// How many of these failed and were retried.
    pub retries: u64,
    /// How many times it panicked.
    pub panics: u64,
    /// How many writes it made.
    pub writes: u64,
    /// How many times an observer of edges lost sight of transitions because the server had forgotten them, or of
    /// emitted events because it was too slow for them.
    pub gaps: u64,
    /// The last error.
    pub last_error: Option<LastError>,
}

/// How an observer fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It waits for its watches to sync; what for.
    Waiting(String),
    /// It serves its keys.
    Running,
    /// It panicked and is restarted at this time.
    Restarting(Timestamp),
    /// It is not running: the coordinator has not started, or has ended.
    Stopped,
}

/// The last error of an observer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// What.
    pub message: String,
}

/// The state of one watch of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchStatus {
    /// The kind.
    pub kind: Kind,
    /// The namespace, none for all.
    pub namespace: Option<String>,
    /// The label selector.
    pub labels: Option<String>,
    /// The field selector.
    pub fields: Option<String>,
    /// How much of each object its observers want, and so how much is kept.
    pub detail: Detail,
    /// How it fares.
    pub state: WatchState,
    /// How many observers it serves.
    pub observers: usize,
    /// How many objects it holds.
    pub objects: usize,
    /// The highest resource version seen.
    pub position: u64,
    /// How many times it listed.
    pub lists: u64,
    /// How many times it opened a watch.
    pub watches: u64,
}

/// How a watch fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchState {
    /// The first list is under way.
    Listing,
    /// It holds what the server has.
    Synced,
    /// The kind does not exist on this server (404). Retried; it counts as empty.
    Missing,
    /// The rights do not cover it (403). Retried; what was seen before is kept.
    Forbidden(String),
    /// It cannot be listed or watched for another reason. Retried; what was seen before is kept.
    Failing(String),
}
