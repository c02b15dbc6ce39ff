//! The task that feeds a feed: list by pages, then watch; relist where the server has forgotten; retry for ever.

use std::sync::Arc;
use std::time::Duration;

use futures::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};
use http::Request;
use kube::core::Status;

use crate::backoff::Random;
use crate::feed::Feed;
use crate::runtime::{NoAnswer, Runtime};
use crate::wire::{Line, Page, Source};
use crate::{Backoff, DecodeError, Object, WatchState};

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

    /// Listing anew will show what is wrong.
    fn needs_list(&self) -> bool {
        matches!(self.code(), 403 | 404 | 410) || matches!(self, Self::Decode(_))
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

const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(100), max: Duration::from_secs(30), jitter: 0.5 };

/// Feeds a feed until it is cancelled.
pub(crate) async fn run(feed: Arc<Feed>, runtime: Arc<Runtime>) {
    let cancelled = feed.cancel.clone();
    let task = Task { random: runtime.random.fork(&feed.source.to_string()), feed, runtime };
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
}

impl Task {
    async fn list_and_watch(&self) {
        let source = &self.feed.source;
        let mut failures: u32 = 0;
        // How many lists in a row were followed by no good watch. One may.
        let mut barren: u32 = 0;
        loop {
            match self.list().await {
                Ok(version) => {
                    let (error, progress) = self.watch_from(version).await;
                    tracing::info!(%source, %error, "listing again");
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
                        }
                        state => {
                            tracing::warn!(%source, %error, failures, "cannot list, trying again");
                            self.feed.fail(state);
                        }
                    }
                }
            }
            self.runtime.sleep(BACKOFF.delay(failures, &self.random)).await;
        }
    }

    /// Lists everything; returns the version to watch from.
    async fn list(&self) -> Result<String, WatchError> {
        let mut objects = Vec::new();
        let mut token = None;
        loop {
            let page =
                fetch(&self.runtime, self.feed.source.list(token.as_deref())?, &self.feed.source).await?;
            objects.extend(page.objects);
            token = page.continue_token;
            if token.is_none() {
                tracing::debug!(source = %self.feed.source, objects = objects.len(), "listed");
                self.feed.replace(objects, &page.resource_version);
                return Ok(page.resource_version);
            }
        }
    }

    /// Watches from a version on, reconnecting where it can, until it must be listed anew; also returns whether it was
    /// any good.
    async fn watch_from(&self, mut version: String) -> (WatchError, bool) {
        let source = &self.feed.source;
        // How many watches in a row told nothing. One may, for example if the server restarts.
        let mut barren: u32 = 0;
        let mut progress = false;
        loop {
            let began = self.runtime.clock.now();
            let before = version.clone();
            let end = self.watch_once(&mut version).await;
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

    async fn watch_once(&self, version: &mut String) -> Result<(), WatchError> {
        let mut lines = Lines::open(&self.runtime, &self.feed.source, version, &self.random).await?;
        self.feed.opened();
        while let Some(line) = lines.next().await? {
            match &line {
                Line::Applied(object) | Line::Deleted(object) => {
                    object.resource_version().clone_into(version);
                }
                Line::Bookmark(bookmark) => version.clone_from(bookmark),
                Line::Error(status) => return Err(WatchError::Status(status.clone())),
                Line::Unknown => continue,
            }
            self.feed.tell(line);
        }
        Ok(())
    }
}

/// Fetches one page of a list.
pub(crate) async fn fetch(
    runtime: &Runtime,
    request: Request<Vec<u8>>,
    source: &Source,
) -> Result<Page, WatchError> {
    let read = async {
        let mut stream = Box::pin(runtime.client.request_stream(request).await?);
        let mut body = Vec::new();
        stream.read_to_end(&mut body).await?;
        Ok::<_, WatchError>(body)
    };
    let body = runtime.in_time(PAGE_MAX, read).await??;
    Ok(Page::parse(&source.kind, &body)?)
}

/// The lines of an open watch.
pub(crate) struct Lines {
    source: Source,
    stream: std::pin::Pin<Box<dyn AsyncBufRead + Send>>,
    /// The time from which on the connection counts as dead.
    dead: futures::future::BoxFuture<'static, ()>,
    line: Vec<u8>,
}

impl Lines {
    pub(crate) async fn open(
        runtime: &Runtime,
        source: &Source,
        after: &str,
        random: &Random,
    ) -> Result<Self, WatchError> {
        let (min, max) = WATCH_SECONDS;
        let seconds = min + (f64::from(max - min) * random.fraction()) as u32;
        let request = source.watch(after, seconds)?;
        Ok(Self {
            source: source.clone(),
            stream: Box::pin(runtime.in_time(OPEN_MAX, runtime.client.request_stream(request)).await??),
            dead: runtime.clock.sleep(Duration::from_secs(seconds.into()) + GRACE),
            line: Vec::new(),
        })
    }

    /// The next line; none when the watch has ended.
    pub(crate) async fn next(&mut self) -> Result<Option<Line>, WatchError> {
        loop {
            self.line.clear();
            let read = tokio::select! {
                biased; // no chance: a simulation can be repeated
                read = self.stream.read_until(b'\n', &mut self.line) => read?,
                () = &mut self.dead => 0,
            };
            if read == 0 || !self.line.ends_with(b"\n") {
                return Ok(None); // ended, perhaps within a line
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some(Line::parse(&self.source.kind, &self.line)?));
            }
        }
    }
}

/// All objects' headers of a source, as the server has them now.
pub(crate) async fn list_headers(
    runtime: &Runtime,
    source: &Source,
) -> Result<(Vec<Object>, String), WatchError> {
    let mut objects = Vec::new();
    let mut token = None;
    loop {
        let page = fetch(runtime, source.list_metadata(token.as_deref())?, source).await?;
        objects.extend(page.objects);
        token = page.continue_token;
        if token.is_none() {
            return Ok((objects, page.resource_version));
        }
    }
}
