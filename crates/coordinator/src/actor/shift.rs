//! An observer of which there are several replicas: what it does when keys come to be its own to serve, or cease to be.

use std::sync::Arc;

use jiff::Timestamp;

use super::Actor;
use crate::payload::Payloads;
use crate::{Event, Key, View};

impl Actor {
    /// Wakes the keys that it has come to serve, by everything there is.
    pub(super) async fn wake_gained(&mut self, now: Timestamp) {
        if !self.post.has_gained() {
            return;
        }
        // What others serve now, they remember and measure.
        self.entry.desk.lock().keep_only(|key| self.post.serves(key));
        let is_gained = self.post.take_gained();
        let tables = Arc::clone(&self.tables);
        let view = View::new(Arc::clone(&tables), now);
        let objects =
            tables.kinds.iter().flat_map(|kind| &kind.slices).flat_map(|slice| slice.snapshot.iter());
        for (count, object) in objects.enumerate() {
            self.wake_where(Event::Added(object.clone()), &view, true, now, &is_gained);
            self.let_others_have_their_turn(count).await;
        }
    }

    /// Drops all keys, and all work: they are others' to serve.
    pub(super) async fn stand_down(&mut self) {
        self.workers.shutdown().await;
        self.runtime.probe.tell(|watcher| watcher.dropped(&self.entry.spec.name));
        self.entry.desk.lock().clear();
        self.payloads = Payloads::new(self.entry.spec.delivery);
    }

    /// Drops a key that is being served no more: it is another's.
    pub(super) fn forget(&mut self, key: &Key) {
        while !self.payloads.take(key).is_empty() {
            self.payloads.told(key);
        }
        self.entry.desk.lock().forget(key, self.runtime.clock.now());
    }
}
