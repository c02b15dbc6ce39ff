//! Keys that are held until their own writes are seen: let go when they are, and asked for when that takes long.

use std::sync::Arc;

use jiff::Timestamp;

use super::Actor;
use crate::idle;

impl Actor {
    /// Makes ready the keys whose time has come, or whose writes are in view by now.
    pub(super) fn let_go(&mut self, now: Timestamp) {
        let overdue = {
            let mut desk = self.entry.desk.lock();
            // What has been agreed on has been taken, unless there was no room.
            if let Some(asked) = self.agreed.take_if(|_| self.payloads.has_room()) {
                desk.agreed(asked);
            }
            let overdue = desk.fire(now);
            desk.release(&self.tables, now);
            overdue
        };
        for key in &overdue {
            tracing::warn!(observer = %self.entry.spec.name, %key, "its own writes are not seen, asking the server");
        }
        if !overdue.is_empty() && self.asking.is_empty() {
            let subscriptions = self.entry.subscriptions.load_full().unwrap_or_default();
            let runtime = Arc::clone(&self.runtime);
            self.asking.spawn(async move {
                idle::see_all(&runtime, &subscriptions).await;
                now
            });
        }
    }
}
