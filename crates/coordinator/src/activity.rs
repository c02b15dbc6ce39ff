//! A counter of everything that happens, to wait for a moment in which nothing does.

use tokio::sync::watch;

/// Counts whatever might change what is to be done: events, served keys, states of watches.
pub(crate) struct Activity(watch::Sender<u64>);

impl Default for Activity {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Activity {
    /// Something happened.
    pub(crate) fn bump(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    pub(crate) fn count(&self) -> u64 {
        *self.0.borrow()
    }

    /// Completes when something has happened since the count was `seen`.
    pub(crate) async fn after(&self, seen: u64) {
        // The sender is ours: it cannot be gone.
        let _ = self.0.subscribe().wait_for(|count| *count != seen).await;
    }
}
