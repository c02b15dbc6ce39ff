//! The task that feeds a feed: list, then watch; relist where the server has forgotten; retry for ever.
//!
//! A list comes over the watch itself where the server can do that (a *watch list*: the objects one by one, and a
//! bookmark after the last), and by pages elsewhere. Either way objects are packed as they come, so that a list costs
//! little more than what is kept of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::backoff::Random;
use crate::feed::Feed;
use crate::feeds::{Feeds, Subscription};
use crate::parser::{Parser, TRAINING_COUNT};
use crate::reading::{Lines, WatchError, fetch};
use crate::runtime::Runtime;
use crate::store::Snapshot;
use crate::wire::{Line, Source, Wanted};
use crate::{Backoff, Delivery, Detail, Kind, Object, WatchState};

/// A watch that lasted this long has not failed, even if it told nothing.
const LONG: Duration = Duration::from_mins(1);

/// After how long without news what was told is packed.
const LULL: Duration = Duration::from_millis(20);
/// How long a server may say nothing within a watch list before it counts as one that ignores what it does not know,
/// and so never says where the list ends.
const LIST_SILENCE_MAX: Duration = Duration::from_secs(10);

const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(100), max: Duration::from_secs(30), jitter: 0.5 };

/// Feeds a feed until it is cancelled.
pub(crate) async fn run(feed: Arc<Feed>, runtime: Arc<Runtime>) {
    let cancelled = feed.cancel.clone();
    let random = runtime.random.fork(&feed.source.to_string());
    let task = Task { feed, runtime, random, pages_only: AtomicBool::new(false) };
    tokio::select! {
        biased;
        () = cancelled.cancelled() => {}
        () = task.list_and_watch() => {}
    }
}

struct Task {
    feed: Arc<Feed>,
    runtime: Arc<Runtime>,
    random: Random,
    /// The server has refused a watch list.
    pages_only: AtomicBool,
}

/// A list that was taken in: the version to watch from, and the watch that goes on from there if it came over one.
struct Listed {
    version: String,
    watch: Option<Lines>,
}

impl Task {
    async fn list_and_watch(&self) {
        let source = &self.feed.source;
        let mut failures: u32 = 0;
        // How many lists in a row were followed by no good watch. One may.
        let mut barren: u32 = 0;
        // What it hears of its definition by, while there is none.
        let mut definition: Option<Definition> = None;
        loop {
            match self.list().await {
                Ok(listed) => {
                    definition = None;
                    let (error, progress) = self.watch_from(listed).await;
                    tracing::info!(%source, %error, "listing again");
                    if matches!(error, WatchError::Outdated) {
                        continue;
                    }
                    if matches!(error.code(), 0 | 403) {
                        self.feed.fail(error.state());
                    }
                    barren = if progress { 0 } else { barren + 1 };
                    failures = barren.saturating_sub(1);
                    if failures == 0 {
                        continue;
                    }
                }
                Err(error) => {
                    failures += 1;
                    match error.state() {
                        WatchState::Missing => {
                            tracing::info!(%source, "the kind does not exist, trying again");
                            self.feed.missing();
                            if definition.is_none() {
                                definition = Definition::awaited(&source.kind, &self.runtime.feeds);
                            }
                        }
                        state => {
                            tracing::warn!(%source, %error, failures, "cannot list, trying again");
                            self.feed.fail(state);
                        }
                    }
                }
            }
            let delay = BACKOFF.delay(failures, &self.random);
            match &mut definition {
                None => self.runtime.sleep(delay).await,
                Some(definition) => tokio::select! {
                    biased;
                    () = definition.changed() => failures = 0,
                    () = self.runtime.sleep(delay) => {}
                },
            }
        }
    }

    /// Lists everything.
    async fn list(&self) -> Result<Listed, WatchError> {
        if !self.pages_only.load(Ordering::Relaxed) {
            match self.list_over_watch().await {
                Err(error) if error.refuses_watch_list() => {
                    tracing::debug!(source = %self.feed.source, %error, "listing by pages");
                    self.pages_only.store(true, Ordering::Relaxed);
                }
                listed => return listed,
            }
        }
        self.list_by_pages().await
    }

    /// Lists over the watch that goes on from there.
    async fn list_over_watch(&self) -> Result<Listed, WatchError> {
        let mut list = List::begin(&self.feed);
        let source = &self.feed.source;
        let parser = Arc::clone(&list.parser);
        let mut lines = Lines::open(&self.runtime, source, None, parser, &self.random).await?;
        loop {
            let line = tokio::select! {
                biased;
                line = lines.next() => line?.ok_or(WatchError::CutShort)?,
                () = self.runtime.sleep(LIST_SILENCE_MAX) => return Err(WatchError::NoListEnd),
            };
            match line {
                Line::Applied(object) => list.add(object),
                Line::Deleted(object) => list.remove(&object),
                Line::Bookmark { resource_version, ends_list: true } => {
                    list.end(&self.feed, &resource_version);
                    lines.is_news = true;
                    return Ok(Listed { version: resource_version, watch: Some(lines) });
                }
                // Only a server that does not know watch lists has other bookmarks before the list's end.
                Line::Bookmark { .. } => return Err(WatchError::NoListEnd),
                Line::Error(status) => return Err(WatchError::Status(status)),
                Line::Unknown => {}
            }
        }
    }

    async fn list_by_pages(&self) -> Result<Listed, WatchError> {
        let mut list = List::begin(&self.feed);
        let source = &self.feed.source;
        let mut token = None;
        loop {
            let request = source.list(list.parser.detail().is_metadata(), token.as_deref())?;
            let page = fetch(&self.runtime, request, &list.parser).await?;
            page.objects.into_iter().for_each(|object| list.add(object));
            token = page.continue_token;
            if token.is_none() {
                list.end(&self.feed, &page.resource_version);
                return Ok(Listed { version: page.resource_version, watch: None });
            }
        }
    }

    /// Watches from a list on, reconnecting where it can, until it must be listed anew; also returns whether it was any
    /// good.
    async fn watch_from(&self, listed: Listed) -> (WatchError, bool) {
        let source = &self.feed.source;
        let Listed { mut version, watch: mut open } = listed;
        // How many watches in a row told nothing. One may, for example if the server restarts.
        let mut barren: u32 = 0;
        let mut progress = false;
        loop {
            let began = self.runtime.clock.now();
            let before = version.clone();
            let end = self.watch_once(&mut version, open.take()).await;
            let lasted = self.runtime.clock.now().duration_since(began);
            let long = Duration::try_from(lasted).is_ok_and(|lasted| lasted >= LONG);
            barren = if long || version != before { 0 } else { barren + 1 };
            progress |= barren == 0;
            let failures = match end {
                Ok(()) => barren.saturating_sub(1),
                Err(error) if error.needs_list() => return (error, progress),
                Err(error) => {
                    tracing::warn!(%source, %error, barren, "the watch failed, reconnecting");
                    self.feed.fail(error.state());
                    barren.max(1)
                }
            };
            tracing::debug!(%source, version, failures, "the watch ended, reconnecting");
            if failures > 0 {
                self.runtime.sleep(BACKOFF.delay(failures, &self.random)).await;
            }
        }
    }

    async fn watch_once(&self, version: &mut String, open: Option<Lines>) -> Result<(), WatchError> {
        let mut lines = if let Some(lines) = open {
            lines
        } else {
            let (source, parser) = (&self.feed.source, self.feed.parser());
            Lines::open(&self.runtime, source, Some(version), parser, &self.random).await?
        };
        self.feed.opened();
        let mut lull = Lull::default();
        loop {
            let line = tokio::select! {
                biased;
                () = self.feed.outdated.notified() => {
                    if self.feed.is_outdated() {
                        return Err(WatchError::Outdated);
                    }
                    continue;
                }
                line = lines.next() => line?,
                () = lull.come(&self.feed, &self.runtime) => {
                    self.feed.cool();
                    tokio::task::yield_now().await; // others come first
                    continue;
                }
            };
            let Some(line) = line else { return Ok(()) };
            match &line {
                Line::Applied(object) | Line::Deleted(object) => {
                    object.resource_version().clone_into(version);
                }
                Line::Bookmark { resource_version, .. } => version.clone_from(resource_version),
                Line::Error(status) => return Err(WatchError::Status(status.clone())),
                Line::Unknown => continue,
            }
            lull.end();
            self.feed.tell(line);
            if self.feed.is_hot(true) {
                self.feed.cool();
            }
        }
    }
}

/// Waits for a moment in which there is no news: then what was told is packed.
#[derive(Default)]
struct Lull {
    /// There was news since the wait began.
    news: bool,
    wait: Option<futures::future::BoxFuture<'static, ()>>,
    /// There was none for long enough.
    lasts: bool,
}

impl Lull {
    fn end(&mut self) {
        (self.news, self.lasts) = (true, false);
    }

    /// Completes when there is something to pack, and no news to tell first. Nothing is lost if the future is dropped.
    async fn come(&mut self, feed: &Feed, runtime: &Runtime) {
        if !feed.is_hot(false) {
            std::future::pending::<()>().await;
        }
        while !self.lasts {
            if self.wait.is_none() {
                self.news = false;
            }
            self.wait.get_or_insert_with(|| runtime.clock.sleep(LULL)).await;
            self.wait = None;
            self.lasts = !self.news;
        }
    }
}

/// A list that is being read.
struct List {
    parser: Arc<Parser>,
    /// What is known already, and may be kept.
    known: Option<Snapshot>,
    /// The first objects, until a dictionary is made of them.
    first: Vec<Object>,
    objects: Snapshot,
}

impl List {
    fn begin(feed: &Feed) -> Self {
        let (parser, known) = feed.begin_list();
        Self { parser, known, first: Vec::new(), objects: Snapshot::default() }
    }

    fn add(&mut self, object: Object) {
        if !self.parser.is_untrained() {
            self.objects.collect(object, self.known.as_ref());
            return;
        }
        self.first.push(object);
        if self.first.len() == TRAINING_COUNT {
            self.parser.learn(self.first.iter());
            self.parser.pack(&mut self.first);
            self.flush();
        }
    }

    fn remove(&mut self, object: &Object) {
        self.flush();
        self.objects.uncollect(object);
    }

    fn flush(&mut self) {
        for object in self.first.drain(..) {
            self.objects.collect(object, self.known.as_ref());
        }
    }

    fn end(mut self, feed: &Feed, resource_version: &str) {
        self.flush();
        tracing::debug!(source = %feed.source, objects = self.objects.len(), "listed");
        feed.replace(self.objects, resource_version, &self.parser);
    }
}

/// Where the definition of a kind is to be found, and its name; none for a kind that no definition can make.
pub(crate) fn definition_of(kind: &Kind) -> Option<(Source, String)> {
    let definitions =
        Kind::named("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions");
    // Names of groups that definitions are of have a dot.
    if !kind.group().contains('.') || *kind == definitions {
        return None;
    }
    let name = format!("{}.{}", kind.plural(), kind.group());
    Some((Source { kind: definitions, namespace: None, labels: None, fields: None }, name))
}

/// The definition of a kind that does not exist yet: a watch of the server's CustomResourceDefinitions by which it is
/// heard of as soon as it comes. Where the rights do not cover that, it is left to trying again.
struct Definition {
    name: String,
    subscription: Subscription,
    signal: Arc<Notify>,
    /// The state of the definition at which it was tried last.
    tried: Option<Object>,
}

impl Definition {
    /// None for a kind that no definition can make.
    fn awaited(kind: &Kind, feeds: &Arc<Feeds>) -> Option<Self> {
        let (source, name) = definition_of(kind)?;
        let wanted = Wanted { source, detail: Detail::metadata(), required: false };
        let signal = Arc::new(Notify::new());
        let subscription = feeds.subscribe(wanted, Delivery::Levels, Arc::clone(&signal));
        Some(Self { name, subscription, signal, tried: None })
    }

    /// Completes when the definition has come, or has changed since.
    async fn changed(&mut self) {
        loop {
            // Nothing waits for the events: what counts is what there is.
            drop(self.subscription.take());
            let now = self.subscription.feed.snapshot().get(None, &self.name).cloned();
            let is_new = match (&now, &self.tried) {
                (Some(now), Some(tried)) => !now.is_same_state(tried),
                (now, _) => now.is_some(),
            };
            self.tried = now;
            if is_new {
                return;
            }
            self.signal.notified().await;
        }
    }
}
