//! Where a simulation looks in on a running coordinator, and where it makes observers crash. Nobody else has one.

use std::fmt;
use std::sync::Arc;

use crate::context::Trace;
use crate::leadership::Duty;
use crate::serve::Outcome;
use crate::{Emission, Event, EventRecord, Key, Object, View, Write, WriteError};

/// What is told of each thing that observers do. The first two may panic, as if the observer did.
pub(crate) trait Watcher: Send + Sync {
    /// An observer is about to be told of an event.
    fn telling(&self, observer: &str, event: &Event);
    /// An observer is about to serve a key.
    fn serving(&self, observer: &str, key: &Key, view: &View);
    /// An event has woken keys.
    fn woke(&self, observer: &str, event: &Event, keys: &[Key]);
    /// A key has been served.
    fn served(&self, observer: &str, key: &Key, outcome: &Outcome, trace: &Trace);
    /// Nothing is being served any more: what was, has been dropped.
    fn dropped(&self, observer: &str);
    /// What this replica may serve has changed.
    fn assigned(&self, duty: &Arc<Duty>);
    /// A write has been answered; this and the next two without a key where a callback of emitted events did it.
    fn wrote(
        &self,
        observer: &str,
        key: Option<&Key>,
        write: &Write,
        answer: Result<Option<&Object>, &WriteError>,
    );
    /// A Kubernetes Event is to be recorded.
    fn recorded(&self, observer: &str, key: Option<&Key>, record: &EventRecord);
    /// An event is emitted for other observers.
    fn emitted(&self, observer: &str, key: Option<&Key>, emission: &Emission);
    /// An observer has panicked.
    fn panicked(&self, observer: &str, message: &str);
}

/// The watcher of a coordinator, if it has one.
#[derive(Clone, Default)]
pub(crate) struct Probe(Option<Arc<dyn Watcher>>);

impl Probe {
    #[cfg(feature = "sim")]
    pub(crate) fn new(watcher: Arc<dyn Watcher>) -> Self {
        Self(Some(watcher))
    }

    /// Tells the watcher, if there is one.
    pub(crate) fn tell(&self, tell: impl FnOnce(&dyn Watcher)) {
        if let Some(watcher) = &self.0 {
            tell(&**watcher);
        }
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Probe").field(&self.0.is_some()).finish()
    }
}
