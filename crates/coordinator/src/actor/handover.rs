//! An observer handing over to another of its name.

use std::sync::Arc;

use super::{Actor, in_order};
use crate::entry::Entry;
use crate::indexing::Indexing;
use crate::leadership::Post;
use crate::succession;
use crate::view::Tables;

impl Actor {
    /// Lets another observer go on in the place of this one: with its keys, with what it was told of, and with its
    /// watches as far as both want the same. What is being served goes on.
    pub(super) fn hand_over(&mut self, successor: Arc<Entry>) {
        if Arc::ptr_eq(&successor, &self.entry) {
            return; // announced to a task that ended before it heard of it
        }
        let before = std::mem::replace(&mut self.entry, successor);
        let (spec, feeds) = (&self.entry.spec, &self.runtime.feeds);
        let known =
            (before.spec.delivery == spec.delivery).then(|| before.subscriptions.load_full()).flatten();
        let subscriptions = succession::subscribe(spec, known.as_deref(), feeds, &self.signal);
        let mut tables = Tables::for_spec(spec);
        let mut ends = in_order(&tables, &subscriptions);
        succession::keep_taken(&mut ends, std::mem::take(&mut self.ends));
        succession::keep_snapshots(&mut tables, &ends, &self.tables);
        self.ends = ends;
        let told = std::mem::replace(&mut self.tables, Arc::new(tables));
        let told = self.took_over.take().map_or(told, |inheritance| inheritance.told);
        let again = !Arc::ptr_eq(&before.behaviour, &self.entry.behaviour)
            || before.spec.options != self.entry.spec.options;
        self.took_over = Some(succession::Inheritance { told, again });
        if before.spec.every_replica != self.entry.spec.every_replica {
            self.post = Post::new(&self.runtime, &self.entry.spec);
        }
        self.asking.abort_all(); // of the subscriptions that were
        self.indexing = Indexing::new(&self.entry.spec.indexes);
        self.payloads.deliver_as(self.entry.spec.delivery);
        self.entry.subscriptions.store(Some(Arc::new(subscriptions)));
        before.subscriptions.store(None);
        self.started = false;
        tracing::info!(observer = %self.entry.spec.name, "goes on as it is to be from now on");
    }
}
