//! A counter of everything that happens, to wait for a moment in which nothing does.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Counts whatever might change what is to be done: events, served keys, states of watches.
///
/// Unlike `tokio::sync::watch` it wakes those who wait in the order in which they came, which no chance decides, so that a
/// simulation can be repeated.
#[derive(Default)]
pub(crate) struct Activity {
    count: AtomicU64,
    changed: Notify,
}

impl Activity {
    /// Something happened.
    pub(crate) fn bump(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
        self.changed.notify_waiters();
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Completes when something has happened since the count was `seen`.
    pub(crate) async fn after(&self, seen: u64) {
        loop {
            // First in line, then the look: what happens in between wakes.
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.count() != seen {
                return;
            }
            changed.await;
        }
    }
}
