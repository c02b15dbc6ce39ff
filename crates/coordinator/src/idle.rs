//! Waiting until what the server has is seen, and until all is done: that for tests, which so never sleep.

use std::sync::Arc;
use std::time::Duration;

use crate::WatchState;
use crate::entry::Entry;
use crate::feed::Feed;
use crate::feeds::Subscription;
use crate::listwatch::definition_of;
use crate::reading::list_headers;
use crate::runtime::Runtime;
use crate::store::{Snapshot, parse_version};
use crate::{Object, wire::Source};

/// How often a failed list is repeated at once, before the watch is left to its own retries.
const ATTEMPTS: usize = 10;
/// How long to wait before asking again what the server has.
const AGAIN: Duration = Duration::from_secs(1);

/// Completes when what the server had when it was called has been seen, and all that followed has been done.
pub(crate) async fn wait(runtime: &Runtime, entries: impl Fn() -> Vec<Arc<Entry>>) {
    loop {
        let count = quiet(runtime, &entries).await;
        let mut agreed = true;
        for feed in runtime.feeds.all() {
            agreed &= agrees_with_server(runtime, &feed).await;
        }
        // Nothing has happened while the server was asked: what was quiet has seen everything.
        if agreed && runtime.activity.count() == count {
            return;
        }
    }
}

/// Completes when nobody has anything to do; returns the count of activity as of before that was found.
async fn quiet(runtime: &Runtime, entries: &impl Fn() -> Vec<Arc<Entry>>) -> u64 {
    loop {
        let count = runtime.activity.count();
        let listing = runtime.feeds.all().iter().any(|feed| feed.state() == WatchState::Listing);
        let settled = runtime.duty.as_ref().is_none_or(|duty| duty.is_settled(runtime.clock.now()));
        if settled && !listing && entries().iter().all(|entry| entry.is_quiet()) {
            return count;
        }
        runtime.activity.after(count).await;
    }
}

/// Completes when the feeds show at least what the server has now.
pub(crate) async fn see_all(runtime: &Runtime, subscriptions: &[Arc<Subscription>]) {
    for subscription in subscriptions {
        let feed = &subscription.feed;
        while !feed.cancel.is_cancelled() && !agrees_with_server(runtime, feed).await {
            runtime.sleep(AGAIN).await;
        }
    }
}

/// Lists a feed's source from the server, and waits until the feed has seen at least that. False if it must be asked
/// again.
pub(crate) async fn agrees_with_server(runtime: &Runtime, feed: &Feed) -> bool {
    match feed.state() {
        WatchState::Forbidden(_) => return true,
        // A kind that the server has by now is about to be heard of, where definitions are watched.
        WatchState::Missing if !is_defined(runtime, feed) || !is_served(runtime, feed).await => return true,
        _ => {}
    }
    let Some((objects, version)) = list(runtime, &feed.source).await else { return false };
    let version = parse_version(&version).unwrap_or(0);
    loop {
        let count = runtime.activity.count();
        if has_seen(&feed.snapshot(), &objects, version) {
            return true;
        }
        let is_gone = |state| match state {
            WatchState::Forbidden(_) => true,
            WatchState::Missing => !is_defined(runtime, feed),
            _ => false,
        };
        if feed.cancel.is_cancelled() || is_gone(feed.state()) {
            return false;
        }
        runtime.activity.after(count).await;
    }
}

/// Whether the kind of a feed is seen to be defined. Where the rights do not cover definitions, none is seen.
fn is_defined(runtime: &Runtime, feed: &Feed) -> bool {
    let Some((definitions, name)) = definition_of(&feed.source.kind) else { return false };
    let seen = runtime.feeds.all().into_iter().find(|other| other.source == definitions);
    seen.is_some_and(|seen| seen.state() == WatchState::Synced && seen.snapshot().get(None, &name).is_some())
}

/// Whether the server serves the kind of a feed by now.
async fn is_served(runtime: &Runtime, feed: &Feed) -> bool {
    list_headers(runtime, &feed.source).await.is_ok()
}

async fn list(runtime: &Runtime, source: &Source) -> Option<(Vec<Object>, String)> {
    for _ in 0..ATTEMPTS {
        match list_headers(runtime, source).await {
            Ok(list) => return Some(list),
            Err(error) => tracing::debug!(%source, %error, "cannot list to see whether all is seen"),
        }
    }
    let count = runtime.activity.count();
    runtime.activity.after(count).await;
    None
}

/// Whether a snapshot is at least as new as a list of this version.
fn has_seen(snapshot: &Snapshot, list: &[Object], version: u64) -> bool {
    if snapshot.position() >= version {
        return true;
    }
    let number = |object: &Object| parse_version(object.resource_version()).unwrap_or(0);
    let mut common = 0;
    for listed in list {
        match snapshot.get(listed.namespace(), listed.name()) {
            Some(known) if number(known) >= number(listed) => {
                common += usize::from(number(known) <= version);
            }
            _ => return false,
        }
    }
    // What is known beyond the list is newer than it, or deleted without our having seen it.
    snapshot.iter().filter(|known| number(known) <= version).count() <= common
}
