//! A feed: one watch of the server, its store, and the inboxes of those who subscribed to it.
//!
//! Invariant: a subscriber takes events and the snapshot that they lead to in one step, under the feed's lock, so that
//! what it sees and what it was told of never differ. The lock is only held for moments, never across an await, and
//! nothing of a subscriber runs under it: no subscriber can stall the watch.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::activity::Activity;
use crate::parser::{Parser, TRAINING_COUNT};
use crate::pending::PendingSet;
use crate::store::Snapshot;
use crate::wire::{Line, Source};
use crate::{Delivery, Detail, Event, Object, WatchState, WatchStatus};

/// One watch of the server for all who want it.
pub(crate) struct Feed {
    pub(crate) source: Source,
    /// Ends the watch.
    pub(crate) cancel: CancellationToken,
    /// Notified when subscribers want other than what is kept: it is to be listed anew.
    pub(crate) outdated: Notify,
    activity: Arc<Activity>,
    inner: Mutex<Inner>,
}

struct Inner {
    snapshot: Snapshot,
    state: WatchState,
    /// What all subscribers want together.
    wanted: Detail,
    /// What reads objects now.
    parser: Arc<Parser>,
    /// What was told lately and is to be packed when there is time, and how many bytes that is.
    hot: VecDeque<Object>,
    hot_bytes: usize,
    /// What is kept of each object; none until a whole list has been seen.
    kept: Option<Detail>,
    lists: u64,
    watches: u64,
    subscribers: BTreeMap<u64, Subscriber>,
    next_subscriber: u64,
}

struct Subscriber {
    wants: Detail,
    inbox: Inbox,
    /// It has taken nothing yet; its first take is a snapshot.
    fresh: bool,
    /// There is something that it has not taken: an event, a position, or objects packed.
    changed: bool,
    signal: Arc<Notify>,
}

/// How much that was told may wait to be packed.
const HOT_BYTES_MAX: usize = 16 << 20;
/// How much is packed before it is looked whether there is news.
const COOL_COUNT: usize = 16;

enum Inbox {
    Levels(PendingSet),
    Edges(Edges),
}

/// The inbox of a subscriber that wants every change.
struct Edges {
    events: VecDeque<Event>,
    capacity: usize,
    /// It left the shared watch because it was full: the state it was last told of.
    behind: Option<Snapshot>,
    gaps: u64,
    room: Arc<Notify>,
}

/// What a subscriber takes: events, and the snapshot that they lead to.
pub(crate) struct Taken {
    pub(crate) snapshot: Snapshot,
    pub(crate) events: Vec<Event>,
    /// How many gaps there were so far.
    pub(crate) gaps: u64,
    /// The subscriber has left the shared watch and needs to catch up.
    pub(crate) behind: bool,
}

/// How far catching up has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Behind,
    /// There is no room for more; the line was not taken.
    Full,
    /// It is on the shared watch again, or gone.
    CaughtUp,
}

impl Feed {
    pub(crate) fn new(source: Source, activity: Arc<Activity>) -> Self {
        let wanted = Detail::metadata();
        Self {
            cancel: CancellationToken::new(),
            outdated: Notify::new(),
            activity,
            inner: Mutex::new(Inner {
                snapshot: Snapshot::default(),
                state: WatchState::Listing,
                parser: Arc::new(Parser::new(source.kind.clone(), wanted.clone())),
                wanted,
                hot: VecDeque::new(),
                hot_bytes: 0,
                kept: None,
                lists: 0,
                watches: 0,
                subscribers: BTreeMap::new(),
                next_subscriber: 0,
            }),
            source,
        }
    }

    // What the watch does.

    /// Takes in a line of the watch that is about an object or a bookmark.
    pub(crate) fn tell(&self, line: Line) {
        self.change(|inner| {
            if let Line::Applied(object) = &line {
                inner.hot_bytes += object.len();
                inner.hot.push_back(object.clone());
            }
            let Inner { snapshot, subscribers, .. } = inner;
            if !matches!(line, Line::Bookmark { .. }) {
                for subscriber in subscribers.values_mut() {
                    subscriber.leave_if_full(snapshot);
                }
            }
            apply(line, snapshot, |event| {
                for subscriber in subscribers.values_mut() {
                    subscriber.push(&event);
                }
            });
            // A kind of few objects has grown.
            if snapshot.len() == TRAINING_COUNT && inner.parser.is_untrained() {
                inner.parser.learn(snapshot.iter().collect::<Vec<_>>().into_iter());
            }
        });
    }

    /// Whether something is to be packed: at once if there is much of it, else when nothing else is to be done.
    pub(crate) fn is_hot(&self, at_once: bool) -> bool {
        let inner = self.inner.lock();
        inner.hot_bytes > if at_once { HOT_BYTES_MAX } else { 0 }
    }

    /// Packs some of what was told.
    pub(crate) fn cool(&self) {
        let mut inner = self.inner.lock();
        let parser = Arc::clone(&inner.parser);
        let mut hot: Vec<Object> = Vec::new();
        while hot.len() < COOL_COUNT
            && let Some(object) = inner.hot.pop_front()
        {
            inner.hot_bytes -= object.len();
            if inner.snapshot.get(object.namespace(), object.name()).is_some_and(|now| now.is(&object)) {
                hot.push(object);
            }
        }
        drop(inner);
        if parser.is_untrained() {
            return; // there are too few of them to matter
        }
        for object in hot {
            let packed = parser.packed(&object);
            let mut inner = self.inner.lock();
            inner.snapshot.exchange(&object, packed);
            // Whoever takes something takes that, too; it is not worth a turn of its own.
            inner.subscribers.values_mut().for_each(|subscriber| subscriber.changed = true);
        }
    }

    /// What is to read objects of a new list, and what is known of them if that may be kept.
    pub(crate) fn begin_list(&self) -> (Arc<Parser>, Option<Snapshot>) {
        let mut inner = self.inner.lock();
        if *inner.parser.detail() != inner.wanted {
            inner.parser = Arc::new(Parser::new(self.source.kind.clone(), inner.wanted.clone()));
        }
        let known = inner.kept.as_ref() == Some(&inner.wanted);
        (Arc::clone(&inner.parser), known.then(|| inner.snapshot.clone()))
    }

    /// What reads objects now.
    pub(crate) fn parser(&self) -> Arc<Parser> {
        Arc::clone(&self.inner.lock().parser)
    }

    /// Whether what is kept is not what is wanted.
    pub(crate) fn is_outdated(&self) -> bool {
        let inner = self.inner.lock();
        inner.kept.as_ref() != Some(&inner.wanted)
    }

    /// Takes in a whole list, which `parser` has read.
    pub(crate) fn replace(&self, list: Snapshot, resource_version: &str, parser: &Parser) {
        self.change(|inner| {
            inner.lists += 1;
            inner.kept = Some(parser.detail().clone());
            inner.state = WatchState::Synced;
            let Inner { snapshot, subscribers, .. } = inner;
            snapshot.replace(list, resource_version, |event| {
                for subscriber in subscribers.values_mut() {
                    subscriber.push(&event);
                }
            });
        });
    }

    /// Takes in that the kind does not exist, and with it none of its objects.
    pub(crate) fn missing(&self) {
        self.change(|inner| {
            inner.state = WatchState::Missing;
            let Inner { snapshot, subscribers, .. } = inner;
            snapshot.replace(Snapshot::default(), "", |event| {
                for subscriber in subscribers.values_mut() {
                    subscriber.push(&event);
                }
            });
        });
    }

    /// Takes in that the watch does not work for now.
    pub(crate) fn fail(&self, state: WatchState) {
        self.change(|inner| inner.state = state);
    }

    /// Takes in that a watch has been opened.
    pub(crate) fn opened(&self) {
        self.change(|inner| {
            inner.watches += 1;
            inner.state = WatchState::Synced;
        });
    }

    fn change(&self, change: impl FnOnce(&mut Inner)) {
        let mut inner = self.inner.lock();
        change(&mut inner);
        // Bookmarks and states too: somebody may hold a key until a version is reached.
        for subscriber in inner.subscribers.values_mut() {
            subscriber.changed = true;
            subscriber.signal.notify_one();
        }
        drop(inner);
        self.activity.bump();
    }

    // What subscribers do.

    /// Adds a subscriber, who is signalled when there is something to take.
    pub(crate) fn subscribe(&self, wants: Detail, delivery: Delivery, signal: Arc<Notify>) -> u64 {
        let inbox = match delivery {
            Delivery::Levels => Inbox::Levels(PendingSet::default()),
            Delivery::Edges { capacity } => Inbox::Edges(Edges {
                events: VecDeque::new(),
                capacity,
                behind: None,
                gaps: 0,
                room: Arc::default(),
            }),
        };
        let mut inner = self.inner.lock();
        inner.next_subscriber += 1;
        let id = inner.next_subscriber;
        signal.notify_one();
        inner.subscribers.insert(id, Subscriber { wants, inbox, fresh: true, changed: true, signal });
        self.want(&mut inner);
        id
    }

    /// Takes in who wants what.
    fn want(&self, inner: &mut Inner) {
        let wants = inner.subscribers.values().map(|subscriber| &subscriber.wants);
        let wanted = wants.fold(Detail::metadata(), |all, wants| all.union(wants));
        if wanted == inner.wanted {
            return;
        }
        inner.wanted = wanted;
        if inner.kept.as_ref().is_some_and(|kept| !kept.includes(&inner.wanted)) {
            inner.state = WatchState::Listing;
        }
        self.outdated.notify_one();
    }

    /// Removes a subscriber; whether there are others.
    pub(crate) fn unsubscribe(&self, id: u64) -> bool {
        let mut inner = self.inner.lock();
        if let Some(Subscriber { inbox: Inbox::Edges(edges), .. }) = inner.subscribers.remove(&id) {
            edges.room.notify_one();
        }
        if inner.subscribers.is_empty() {
            return false; // the feed goes, and needs no list
        }
        self.want(&mut inner);
        true
    }

    /// What has happened since the last take; at first, everything there is. None if it is all as it was.
    pub(crate) fn take(&self, id: u64) -> Option<Taken> {
        let mut inner = self.inner.lock();
        let Inner { snapshot, subscribers, kept, .. } = &mut *inner;
        let subscriber = subscribers.get_mut(&id)?;
        if !std::mem::take(&mut subscriber.changed) {
            return None;
        }
        if subscriber.fresh && kept.as_ref().is_some_and(|kept| !kept.includes(&subscriber.wants)) {
            // It begins when there is all that it wants.
            return Some(Taken { snapshot: Snapshot::default(), events: Vec::new(), gaps: 0, behind: false });
        }
        if std::mem::take(&mut subscriber.fresh) {
            let events = snapshot.iter().cloned().map(Event::Added).collect();
            return Some(Taken { snapshot: snapshot.clone(), events, gaps: 0, behind: false });
        }
        Some(match &mut subscriber.inbox {
            Inbox::Levels(pending) => {
                Taken { snapshot: snapshot.clone(), events: pending.take(), gaps: 0, behind: false }
            }
            Inbox::Edges(edges) => {
                edges.room.notify_one();
                Taken {
                    snapshot: edges.behind.as_ref().unwrap_or(snapshot).clone(),
                    events: edges.events.drain(..).collect(),
                    gaps: edges.gaps,
                    behind: edges.behind.is_some(),
                }
            }
        })
    }

    /// Whether there is something for this subscriber to take.
    pub(crate) fn has_news(&self, id: u64) -> bool {
        self.inner.lock().subscribers.get(&id).is_some_and(|subscriber| {
            subscriber.fresh
                || match &subscriber.inbox {
                    Inbox::Levels(pending) => !pending.is_empty(),
                    Inbox::Edges(edges) => !edges.events.is_empty() || edges.behind.is_some(),
                }
        })
    }

    /// Whether a subscriber may begin: the objects have been listed as it wants them, or it does without them.
    pub(crate) fn is_ready(&self, id: u64, required: bool) -> bool {
        let inner = self.inner.lock();
        let Some(subscriber) = inner.subscribers.get(&id) else { return false };
        inner.kept.as_ref().is_some_and(|kept| kept.includes(&subscriber.wants))
            || (!required && matches!(inner.state, WatchState::Missing | WatchState::Forbidden(_)))
    }

    pub(crate) fn state(&self) -> WatchState {
        self.inner.lock().state.clone()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.inner.lock().snapshot.clone()
    }

    pub(crate) fn status(&self) -> WatchStatus {
        let inner = self.inner.lock();
        WatchStatus {
            kind: self.source.kind.clone(),
            namespace: self.source.namespace.clone(),
            labels: self.source.labels.clone(),
            fields: self.source.fields.clone(),
            detail: inner.wanted.clone(),
            state: inner.state.clone(),
            observers: inner.subscribers.len(),
            objects: inner.snapshot.len(),
            position: inner.snapshot.position(),
            lists: inner.lists,
            watches: inner.watches,
        }
    }

    // What a subscriber of edges does that fell behind.

    /// The resource version from which it must read on; none if it has caught up.
    pub(crate) fn behind_at(&self, id: u64) -> Option<u64> {
        self.inner.lock().edges(id)?.behind.as_ref().map(Snapshot::position)
    }

    /// What tells that there is room again.
    pub(crate) fn room(&self, id: u64) -> Option<Arc<Notify>> {
        self.inner.lock().edges(id).map(|edges| Arc::clone(&edges.room))
    }

    /// Takes in a line of its own watch.
    pub(crate) fn tell_behind(&self, id: u64, line: &Line) -> Progress {
        self.change_behind(id, |edges, behind, _| {
            if edges.events.len() >= edges.capacity {
                return Progress::Full;
            }
            apply(line.clone(), behind, |event| edges.events.push_back(event));
            Progress::Behind
        })
    }

    /// Takes in that the server has forgotten how it went on from there: tells the difference to the present.
    pub(crate) fn skip_gap(&self, id: u64) -> Progress {
        self.change_behind(id, |edges, behind, now| {
            edges.gaps += 1;
            behind.replace(now.clone(), &now.position().to_string(), |event| edges.events.push_back(event));
            Progress::CaughtUp
        })
    }

    fn change_behind(
        &self,
        id: u64,
        change: impl FnOnce(&mut Edges, &mut Snapshot, &Snapshot) -> Progress,
    ) -> Progress {
        let mut inner = self.inner.lock();
        let now = inner.snapshot.clone();
        let Some(edges) = inner.edges(id) else { return Progress::CaughtUp };
        let Some(mut behind) = edges.behind.take() else { return Progress::CaughtUp };
        let mut progress = change(edges, &mut behind, &now);
        if progress == Progress::Behind && behind.has_caught_up_with(&now) {
            progress = Progress::CaughtUp;
        }
        if progress != Progress::CaughtUp {
            edges.behind = Some(behind);
        }
        if let Some(subscriber) = inner.subscribers.get_mut(&id) {
            subscriber.changed = true;
            subscriber.signal.notify_one();
        }
        drop(inner);
        self.activity.bump();
        progress
    }
}

impl Inner {
    fn edges(&mut self, id: u64) -> Option<&mut Edges> {
        match &mut self.subscribers.get_mut(&id)?.inbox {
            Inbox::Edges(edges) => Some(edges),
            Inbox::Levels(_) => None,
        }
    }
}

impl Subscriber {
    fn push(&mut self, event: &Event) {
        if self.fresh {
            return;
        }
        match &mut self.inbox {
            Inbox::Levels(pending) => pending.push(event.clone()),
            Inbox::Edges(Edges { behind: Some(_), .. }) => {}
            Inbox::Edges(edges) => edges.events.push_back(event.clone()),
        }
    }

    /// Takes a full inbox of edges off the shared watch, as of `now`.
    fn leave_if_full(&mut self, now: &Snapshot) {
        if let Inbox::Edges(edges) = &mut self.inbox
            && edges.behind.is_none()
            && edges.events.len() >= edges.capacity
        {
            edges.behind = Some(now.clone());
        }
    }
}

fn apply(line: Line, snapshot: &mut Snapshot, tell: impl FnMut(Event)) {
    match line {
        Line::Applied(object) => snapshot.apply(object, tell),
        Line::Deleted(object) => snapshot.delete(object, tell),
        Line::Bookmark { resource_version, .. } => snapshot.advance(&resource_version),
        Line::Error(_) | Line::Unknown => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Kind;

    fn line(parser: &Parser, name: usize, version: u64) -> Line {
        let metadata = json!({"name": format!("pod-{name}"), "uid": name.to_string(), "resourceVersion": version.to_string()});
        let spec = json!({"containers": [{"name": "web", "image": "registry.example.com/shop/web:1.2.3"}]});
        let object = json!({"metadata": metadata, "spec": spec});
        let line = json!({"type": "MODIFIED", "object": object}).to_string();
        Line::parse(parser, line.as_bytes(), true).unwrap()
    }

    #[test]
    fn what_was_told_is_packed_afterwards_unless_it_has_changed_since() {
        let kind = Kind::named("", "v1", "Pod", "pods");
        let source = Source { kind, namespace: None, labels: None, fields: None };
        let feed = Feed::new(source, Arc::default());
        let id = feed.subscribe(Detail::whole(), Delivery::Levels, Arc::default());
        let (parser, _) = feed.begin_list();
        feed.replace(Snapshot::default(), "1", &parser);
        (0..TRAINING_COUNT).for_each(|name| feed.tell(line(&parser, name, 2)));
        feed.tell(line(&parser, 0, 3));
        assert!(feed.is_hot(false) && !feed.is_hot(true));
        let held = feed.take(id).unwrap();
        while feed.is_hot(false) {
            feed.cool();
        }
        let plain = |snapshot: &Snapshot| snapshot.iter().filter(|object| object.is_plain()).count();
        assert_eq!((plain(&held.snapshot), plain(&feed.snapshot())), (TRAINING_COUNT, 0));
        assert_eq!(feed.snapshot().len(), TRAINING_COUNT);
        assert_eq!(feed.snapshot().get(None, "pod-0").unwrap().resource_version(), "3");
        assert!(feed.take(id).unwrap().events.is_empty(), "it is no change");
    }

    #[test]
    fn nothing_is_taken_where_nothing_is_new() {
        let kind = Kind::named("", "v1", "Pod", "pods");
        let source = Source { kind, namespace: None, labels: None, fields: None };
        let feed = Feed::new(source, Arc::default());
        let id = feed.subscribe(Detail::whole(), Delivery::Levels, Arc::default());
        let (parser, _) = feed.begin_list();
        feed.replace(Snapshot::default(), "1", &parser);
        assert!(feed.take(id).is_some() && feed.take(id).is_none());
        (0..TRAINING_COUNT).for_each(|name| feed.tell(line(&parser, name, 2)));
        assert_eq!(feed.take(id).unwrap().events.len(), TRAINING_COUNT);
        assert!(feed.take(id).is_none());
        // A position is news to whoever waits for one, and packed objects are less to keep.
        feed.tell(Line::Bookmark { resource_version: "9".to_owned(), ends_list: false });
        assert_eq!(feed.take(id).unwrap().snapshot.position(), 9);
        assert!(feed.take(id).is_none());
        feed.cool();
        let taken = feed.take(id).unwrap();
        assert!(taken.events.is_empty() && taken.snapshot.iter().any(|object| !object.is_plain()));
    }

    #[test]
    fn what_is_kept_follows_what_is_wanted() {
        let kind = Kind::named("", "v1", "Pod", "pods");
        let source = Source { kind, namespace: None, labels: None, fields: None };
        let feed = Feed::new(source, Arc::default());
        let list = |feed: &Feed| {
            let (parser, known) = feed.begin_list();
            feed.replace(Snapshot::default(), "1", &parser);
            known.is_some()
        };
        let first = feed.subscribe(Detail::metadata(), Delivery::Levels, Arc::default());
        assert!(!feed.is_ready(first, true));
        list(&feed);
        assert!(feed.is_ready(first, true) && !feed.is_outdated());
        let whole = feed.subscribe(Detail::whole(), Delivery::Levels, Arc::default());
        assert_eq!((feed.is_outdated(), feed.state()), (true, WatchState::Listing));
        assert!(feed.is_ready(first, true) && !feed.is_ready(whole, true));
        assert!(feed.take(whole).unwrap().events.is_empty() && feed.has_news(whole), "it has not begun");
        assert!(!list(&feed), "what is known is too little");
        assert!(feed.is_ready(whole, true) && !feed.is_outdated());
        assert!(feed.unsubscribe(whole));
        assert!(feed.is_outdated(), "the rest is to be let go");
        assert!(feed.is_ready(first, true));
        assert!(!list(&feed), "what is known is too much");
        assert!(list(&feed));
        assert!(!feed.unsubscribe(first));
    }
}
