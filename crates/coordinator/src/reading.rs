//! Reading what the server sends: pages of a list, lines of a watch, and how that fails.

use std::sync::Arc;
use std::time::Duration;

use futures::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};
use http::Request;
use kube::core::Status;

use crate::backoff::Random;
use crate::parser::Parser;
use crate::runtime::{NoAnswer, Runtime};
use crate::wire::{Line, Page, Source};
use crate::{DecodeError, Detail, Object, WatchState};

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
    pub(crate) fn refuses_watch_list(&self) -> bool {
        matches!(self.code(), 400 | 422) || matches!(self, Self::NoListEnd)
    }

    /// Listing anew will show what is wrong.
    pub(crate) fn needs_list(&self) -> bool {
        matches!(self.code(), 403 | 404 | 410) || matches!(self, Self::Decode(_) | Self::Outdated)
    }

    pub(crate) fn state(&self) -> WatchState {
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
/// How long a page of a list may take, and a watch until it is open: less together than a key is held until the server is
/// asked for its own writes (`freshness::HOLD_MAX`).
const PAGE_MAX: Duration = Duration::from_secs(20);
const OPEN_MAX: Duration = Duration::from_secs(5);
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
    pub(crate) is_news: bool,
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
