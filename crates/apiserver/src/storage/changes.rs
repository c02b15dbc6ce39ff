//! Telling watchers that a resource has changed: the newest revision, and a wake-up.
//!
//! Unlike `tokio::sync::watch` it wakes those who wait in one order, which no chance decides, so that a simulation can
//! be repeated.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use tokio::sync::Notify;

/// Those who wait are spread over so many lists, so that they do not all queue for one lock.
const SHARDS: usize = 8;

/// The side that tells.
#[derive(Debug, Default)]
pub struct Teller(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    revision: AtomicU64,
    shards: [Notify; SHARDS],
    next_shard: AtomicUsize,
    receivers: AtomicUsize,
}

/// Tells of each new revision of a resource.
#[derive(Debug)]
pub struct Changes {
    inner: Arc<Inner>,
    shard: usize,
    seen: u64,
}

impl Teller {
    /// Tells of a revision; one that is not newer is no news.
    pub fn tell(&self, revision: u64) {
        if self.0.revision.fetch_max(revision, Ordering::AcqRel) < revision {
            self.0.shards.iter().for_each(Notify::notify_waiters);
        }
    }

    /// Somebody who wants to be told of what is new from now on.
    pub fn subscribe(&self) -> Changes {
        let inner = self.0.clone();
        inner.receivers.fetch_add(1, Ordering::AcqRel);
        let shard = inner.next_shard.fetch_add(1, Ordering::Relaxed) % SHARDS;
        let seen = inner.revision.load(Ordering::Acquire);
        Changes { inner, shard, seen }
    }

    /// Whether anybody listens.
    pub fn is_heard(&self) -> bool {
        self.0.receivers.load(Ordering::Acquire) > 0
    }
}

impl Changes {
    /// The newest revision that was told; from now on it counts as seen.
    pub fn see(&mut self) -> u64 {
        self.seen = self.inner.revision.load(Ordering::Acquire);
        self.seen
    }

    /// Returns when a revision is told that has not been seen, which it then has.
    pub async fn changed(&mut self) {
        loop {
            // First in line, then the look: what is told in between wakes.
            let told = self.inner.shards[self.shard].notified();
            let mut told = std::pin::pin!(told);
            told.as_mut().enable();
            let revision = self.inner.revision.load(Ordering::Acquire);
            if revision > self.seen {
                self.seen = revision;
                return;
            }
            told.await;
        }
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.inner.receivers.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn what_is_new_is_told_once_and_nothing_is_missed() {
        let teller = Teller::default();
        teller.tell(3);
        let mut changes = teller.subscribe();
        assert!(changes.changed().now_or_never().is_none(), "that was before");
        teller.tell(5);
        teller.tell(4);
        changes.changed().await;
        assert!(changes.changed().now_or_never().is_none());
        assert_eq!(changes.see(), 5);
        let waiting = tokio::spawn(async move { changes.changed().await });
        tokio::task::yield_now().await;
        teller.tell(6);
        waiting.await.unwrap();
        assert!(!teller.is_heard());
    }
}
