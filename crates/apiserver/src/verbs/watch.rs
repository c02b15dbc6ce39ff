//! Watch: the log from a revision on, each watcher with a place of its own in it, so that none can hold up another.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use jiff::Timestamp;

use super::{Answer, Call, WatchItem, pipeline, read};
use crate::{
    cluster::Shared,
    status::{ApiError, ApiResult},
    storage::{Changes, Event, EventType, Object, Snapshot},
};

/// How long a watch lives when its caller does not say: between half an hour and an hour, so that not all end at once.
const TIMEOUT_SECONDS_MIN: u32 = 1800;
/// How often a watcher that asked for bookmarks gets one.
const BOOKMARK_EVERY: Duration = Duration::from_mins(1);
/// How many items are taken from the log at once.
const BATCH_MAX: usize = 256;

/// Opens a watch on what the path and the query select.
pub fn watch(call: &Call<'_>) -> ApiResult<Answer> {
    read::check_options(call, true)?;
    let query = call.query;
    let seconds = match query.number("timeoutSeconds")? {
        Some(seconds) if seconds > 0 => seconds,
        _ => {
            let chance = call.cluster.chance();
            (TIMEOUT_SECONDS_MIN + chance.below("the end of watches", TIMEOUT_SECONDS_MIN)).into()
        }
    };
    let selection = read::Selection::of(call)?;
    let storage = call.cluster.storage();
    // The channel first, then the snapshot: what comes in between is told twice rather than never.
    let changes = storage.changes(&call.resource.storage);
    let snapshot = storage.snapshot();
    let version = query.get("resourceVersion");
    let revision = match version {
        "" => 0,
        text => text.parse::<u64>().map_err(|_| pipeline::invalid_resource_version(text))?,
    };
    let initial = query.has("sendInitialEvents").then(|| query.flag("sendInitialEvents"));
    if initial == Some(true) && revision > snapshot.revision() {
        return Ok(refused(&read::too_large(revision, snapshot.revision())));
    }
    let bookmarks = query.flag("allowWatchBookmarks");
    let mut watcher = Watcher {
        cluster: call.cluster.clone(),
        resource: call.resource.storage.clone(),
        prefix: read::prefix(call),
        selection,
        cursor: revision,
        changes,
        pending: VecDeque::new(),
        bookmark_at: bookmarks.then(|| later(call.now, BOOKMARK_EVERY)),
        ends_at: later(call.now, Duration::from_secs(seconds.unsigned_abs())),
        ended: false,
    };
    match initial {
        Some(false) if revision == 0 => watcher.cursor = snapshot.revision(),
        Some(false) => {}
        _ if revision == 0 || initial == Some(true) => {
            watcher.begin_with(&snapshot, initial == Some(true) && bookmarks);
        }
        _ => {}
    }
    if watcher.cursor != snapshot.revision()
        && snapshot.events_after(&watcher.resource, watcher.cursor).is_err()
    {
        let why = format!("too old resource version: {version} ({})", snapshot.revision());
        return Ok(refused(&ApiError::expired(why)));
    }
    Ok(Answer::Watch(stream::unfold(watcher, Watcher::next).boxed()))
}

/// A watch that consists of an error: its answer has begun before the version is looked at.
fn refused(error: &ApiError) -> Answer {
    let item = WatchItem::Error(error.to_status());
    Answer::Watch(stream::once(async { item }).boxed())
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

struct Watcher {
    cluster: Arc<Shared>,
    resource: Arc<str>,
    prefix: String,
    selection: read::Selection,
    /// Everything up to this revision was sent.
    cursor: u64,
    changes: Changes,
    pending: VecDeque<WatchItem>,
    /// When the next bookmark is due, if any are wanted.
    bookmark_at: Option<Timestamp>,
    ends_at: Timestamp,
    ended: bool,
}

impl Watcher {
    /// The objects that are there, as if they had just come.
    fn begin_with(&mut self, snapshot: &Snapshot, bookmark: bool) {
        let objects = snapshot
            .range(&self.resource, &self.prefix, None)
            .filter(|object| self.selection.matches(object));
        self.pending.extend(objects.map(|object| WatchItem::Object(EventType::Added, object.clone(), None)));
        self.cursor = snapshot.revision();
        if bookmark {
            self.pending.push_back(WatchItem::Bookmark(self.cursor, true));
        }
    }

    async fn next(mut self) -> Option<(WatchItem, Self)> {
        loop {
            if let Some(item) = self.pending.pop_front() {
                return Some((item, self));
            }
            let clock = self.cluster.clock().clone();
            // Also when nobody has asked for an item since.
            if self.ended || clock.now() >= self.ends_at {
                return None;
            }
            self.changes.see();
            if self.take_from_log() {
                continue;
            }
            let due = self.bookmark_at.map_or(self.ends_at, |bookmark| bookmark.min(self.ends_at));
            tokio::select! {
                biased; // no chance: a simulation can be repeated
                () = self.changes.changed() => {}
                () = clock.sleep_until(due) => self.time_came(clock.now()),
                () = self.cluster.closed() => return None,
            }
        }
    }

    fn time_came(&mut self, now: Timestamp) {
        if now >= self.ends_at {
            self.ended = true;
        } else if self.bookmark_at.is_some_and(|bookmark| now >= bookmark) {
            self.bookmark_at = Some(later(now, BOOKMARK_EVERY));
            self.pending.push_back(WatchItem::Bookmark(self.cursor, false));
        }
    }

    /// Takes what has been logged since. Returns whether there is more to do at once.
    fn take_from_log(&mut self) -> bool {
        let snapshot = self.cluster.storage().snapshot();
        if self.cursor >= snapshot.revision() {
            return false;
        }
        let Ok(events) = snapshot.events_after(&self.resource, self.cursor) else {
            let why = format!("too old resource version: {} ({})", self.cursor, snapshot.revision());
            self.pending.push_back(WatchItem::Error(ApiError::expired(why).to_status()));
            self.ended = true;
            return true;
        };
        let mut taken = 0;
        for event in events {
            taken += 1;
            self.cursor = event.revision;
            if let Some(item) = self.select(event) {
                self.pending.push_back(item);
            }
            if taken == BATCH_MAX {
                return true;
            }
        }
        self.cursor = snapshot.revision();
        !self.pending.is_empty()
    }

    /// The event as this watcher sees it: an object that no longer matches is gone, one that begins to is new.
    fn select(&self, event: &Arc<Event>) -> Option<WatchItem> {
        if !event.object.key.starts_with(&*self.prefix) {
            return None;
        }
        let before = event.previous.as_ref().is_some_and(|object| self.selection.matches(object));
        let after = !event.deleted && self.selection.matches(&event.object);
        let event_type = match (before, after) {
            (false, false) => return None,
            (false, true) => EventType::Added,
            (true, true) => EventType::Modified,
            (true, false) => EventType::Deleted,
        };
        if event_type == EventType::Deleted && !event.deleted {
            // What it was when it last matched, at the revision that changed it.
            let last = event.previous.as_ref()?.at(event.revision);
            return Some(WatchItem::Object(event_type, Arc::new(last), None));
        }
        let object: &Arc<Object> = &event.object;
        Some(WatchItem::Object(event_type, object.clone(), Some(event.line(event_type))))
    }
}
