//! The task that feeds a feed: list, then watch; relist where the server has forgotten; retry for ever.
//!
//! A list comes over the watch itself where the server can do that (a *watch list*: the objects one by one, and a
//! bookmark after the last), and by pages elsewhere. Either way objects are packed as they come, so that a list costs
//! little more than what is kept of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};
use http::Request;
use kube::core::Status;
use tokio::sync::Notify;

use crate::backoff::Random;
use crate::feed::Feed;
use crate::feeds::{Feeds, Subscription};
use crate::parser::{Parser, TRAINING_COUNT};
use crate::runtime::{NoAnswer, Runtime};
use crate::store::Snapshot;
use crate::wire::{Line, Page, Source, Wanted};
use crate::{Backoff, DecodeError, Delivery, Detail, Kind, Object, WatchState};

/// How a list or a watch failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchError {
    #[error(transparent)]
    Client(#[from] kube::Error),
    #[error("the watch ended with an error: {0}")]
    Status(Box<Status>),
    #[error("cannot build the request: {0}")]
    Request(#[from] kube::core::request::Error),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("cannot read: {0}")]
    Read(#[from] std::io::Error),
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    #[error("the server does not say where the list ends")]
    NoListEnd,
    #[error("the watch ended within the list")]
    CutShort,
    #[error("observers want other fields than are kept")]
    Outdated,
}

impl WatchError {
    /// The code of the server's answer; 0 if it gave none.
    pub(crate) fn code(&self) -> u16 {
        match self {
            Self::Client(kube::Error::Api(status)) | Self::Status(status) => status.code,
            _ => 0,
        }
    }

    /// The server has forgotten the version to go on from.
    pub(crate) fn is_expired(&self) -> bool {
        self.code() == 410
    }

    /// The server does not know watch lists, or has them turned off.
    fn refuses_watch_list(&self) -> bool {
        matches!(self.code(), 400 | 422) || matches!(self, Self::NoListEnd)
    }

    /// Listing anew will show what is wrong.
    fn needs_list(&self) -> bool {
        matches!(self.code(), 403 | 404 | 410) || matches!(self, Self::Decode(_) | Self::Outdated)
    }

    fn state(&self) -> WatchState {
        match self.code() {
            404 => WatchState::Missing,
            403 => WatchState::Forbidden(self.to_string()),
            _ => WatchState::Failing(self.to_string()),
        }
    }
}

/// How long the server is asked to keep a watch open at least and at most; it is left to chance so that not all watches
/// end at once.
const WATCH_SECONDS: (u32, u32) = (240, 290);
/// How long after that a watch that has not ended counts as dead.
const GRACE: Duration = Duration::from_secs(30);
/// How long a page of a list may take, and a watch until it is open: less together than a key is held until its own
/// writes are seen (`freshness::HOLD_MAX`), so that one lost answer does not have it served unseen.
const PAGE_MAX: Duration = Duration::from_secs(20);
const OPEN_MAX: Duration = Duration::from_secs(5);
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
        let definitions = Kind::named(
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
            "customresourcedefinitions",
        );
        // Names of groups that definitions are of have a dot.
        if !kind.group().contains('.') || *kind == definitions {
            return None;
        }
        let name = format!("{}.{}", kind.plural(), kind.group());
        let source = Source { kind: definitions, namespace: None, labels: None, fields: None };
        let wanted = Wanted { source, detail: Detail::metadata(), required: false };
        let signal = Arc::new(Notify::new());
        let subscription = feeds.subscribe(wanted, Delivery::Levels, Arc::clone(&signal));
        Some(Self { name, subscription, signal, tried: None })
    }

    /// Completes when the definition has come, or has changed since.
    async fn changed(&mut self) {
        loop {
            // Nothing waits for the events: what counts is what there is.
            let taken = self.subscription.take();
            let now = taken.and_then(|taken| taken.snapshot.get(None, &self.name).cloned());
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

/// Fetches one page of a list.
pub(crate) async fn fetch(
    runtime: &Runtime,
    request: Request<Vec<u8>>,
    parser: &Parser,
) -> Result<Page, WatchError> {
    let read = async {
        let mut stream = Box::pin(runtime.client.request_stream(request).await?);
        let mut body = Vec::new();
        stream.read_to_end(&mut body).await?;
        Ok::<_, WatchError>(body)
    };
    let body = runtime.in_time(PAGE_MAX, read).await??;
    Ok(Page::parse(parser, &body)?)
}

/// The lines of an open watch.
pub(crate) struct Lines {
    parser: Arc<Parser>,
    stream: std::pin::Pin<Box<dyn AsyncBufRead + Send>>,
    /// The time from which on the connection counts as dead.
    dead: futures::future::BoxFuture<'static, ()>,
    line: Vec<u8>,
    /// What is read is told; else it is part of a list.
    is_news: bool,
}

impl Lines {
    /// Opens a watch of what comes after a version, or of everything where there is none.
    pub(crate) async fn open(
        runtime: &Runtime,
        source: &Source,
        after: Option<&str>,
        parser: Arc<Parser>,
        random: &Random,
    ) -> Result<Self, WatchError> {
        let (min, max) = WATCH_SECONDS;
        let seconds = min + (f64::from(max - min) * random.fraction()) as u32;
        let request = source.watch(parser.detail().is_metadata(), after, seconds)?;
        Ok(Self {
            parser,
            stream: Box::pin(runtime.in_time(OPEN_MAX, runtime.client.request_stream(request)).await??),
            dead: runtime.clock.sleep(Duration::from_secs(seconds.into()) + GRACE),
            line: Vec::new(),
            is_news: after.is_some(),
        })
    }

    /// The next line; none when the watch has ended. Nothing is lost if the future is dropped.
    pub(crate) async fn next(&mut self) -> Result<Option<Line>, WatchError> {
        loop {
            let read = tokio::select! {
                biased; // no chance: a simulation can be repeated
                read = self.stream.read_until(b'\n', &mut self.line) => read?,
                () = &mut self.dead => 0,
            };
            if read == 0 || !self.line.ends_with(b"\n") {
                return Ok(None); // ended, perhaps within a line
            }
            let line = match self.line.trim_ascii() {
                [] => None,
                _ => Some(Line::parse(&self.parser, &self.line, self.is_news)),
            };
            self.line.clear();
            if let Some(line) = line {
                return Ok(Some(line?));
            }
        }
    }
}

/// All objects' headers of a source, as the server has them now.
pub(crate) async fn list_headers(
    runtime: &Runtime,
    source: &Source,
) -> Result<(Vec<Object>, String), WatchError> {
    let parser = Parser::new(source.kind.clone(), Detail::metadata());
    let mut objects = Vec::new();
    let mut token = None;
    loop {
        let page = fetch(runtime, source.list(true, token.as_deref())?, &parser).await?;
        objects.extend(page.objects);
        token = page.continue_token;
        if token.is_none() {
            return Ok((objects, page.resource_version));
        }
    }
}
