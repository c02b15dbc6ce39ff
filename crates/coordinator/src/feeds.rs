//! Which feeds there are: one for each source that somebody subscribed to, and none else.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::activity::Activity;
use crate::feed::{Feed, Taken};
use crate::wire::{Source, Wanted};
use crate::{Delivery, Detail, WatchStatus};

/// All feeds of a coordinator.
pub(crate) struct Feeds {
    registry: Mutex<Registry>,
    activity: Arc<Activity>,
    /// Notified when there is a feed to start.
    pub(crate) changed: Arc<Notify>,
}

#[derive(Default)]
struct Registry {
    feeds: BTreeMap<Source, Arc<Feed>>,
    to_start: Vec<Arc<Feed>>,
}

/// A subscriber's end of a feed. Dropping it ends the subscription, and the feed if it was the last.
pub(crate) struct Subscription {
    pub(crate) feed: Arc<Feed>,
    pub(crate) id: u64,
    /// What was asked for.
    pub(crate) serves: Source,
    detail: Detail,
    required: bool,
    feeds: Arc<Feeds>,
}

impl Feeds {
    pub(crate) fn new(activity: Arc<Activity>, changed: Arc<Notify>) -> Self {
        Self { registry: Mutex::default(), activity, changed }
    }

    /// Subscribes to a source. All who do share one feed, which has of each object what they want together.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        wanted: Wanted,
        delivery: Delivery,
        signal: Arc<Notify>,
    ) -> Subscription {
        let Wanted { source, detail, required } = wanted;
        let mut registry = self.registry.lock();
        let known = registry.feeds.get(&source).map(Arc::clone);
        let feed = known.unwrap_or_else(|| {
            let feed = Arc::new(Feed::new(source.clone(), Arc::clone(&self.activity)));
            registry.feeds.insert(source.clone(), Arc::clone(&feed));
            registry.to_start.push(Arc::clone(&feed));
            self.changed.notify_one();
            feed
        });
        let id = feed.subscribe(detail.clone(), delivery, signal);
        Subscription { feed, id, serves: source, detail, required, feeds: Arc::clone(self) }
    }

    /// The feeds whose watch is to be started.
    pub(crate) fn take_new(&self) -> Vec<Arc<Feed>> {
        std::mem::take(&mut self.registry.lock().to_start)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Feed>> {
        self.registry.lock().feeds.values().map(Arc::clone).collect()
    }

    pub(crate) fn statuses(&self) -> Vec<WatchStatus> {
        self.all().iter().map(|feed| feed.status()).collect()
    }
}

impl Subscription {
    pub(crate) fn take(&self) -> Option<Taken> {
        self.feed.take(self.id)
    }

    /// Whether this is what was asked for.
    pub(crate) fn is_for(&self, wanted: &Wanted) -> bool {
        (&self.serves, &self.detail, self.required) == (&wanted.source, &wanted.detail, wanted.required)
    }

    /// Whether its subscriber may begin: there is what was asked for, or it does without.
    pub(crate) fn is_ready(&self) -> bool {
        self.feed.is_ready(self.id, self.required)
    }

    pub(crate) fn has_news(&self) -> bool {
        self.feed.has_news(self.id)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut registry = self.feeds.registry.lock();
        if !self.feed.unsubscribe(self.id) {
            registry.feeds.remove(&self.feed.source);
            self.feed.cancel.cancel();
        }
    }
}
