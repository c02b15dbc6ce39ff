//! The connection between a replica and the server, with what is wrong with it: it is long, and at times cut.
//!
//! What a process had sent before it was paused, the server has; what it is answered waits until it wakes. While it is
//! cut off nothing comes to it, and what it sends comes late or never. So a request may be executed of which its sender
//! believes that it was lost, and may be lost without anybody saying so.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use http_body::{Body as HttpBody, Frame};
use kube::Client;
use kube::client::Body;

use super::START;
use super::journal::{Journal, Moment};
use super::process::ProcessClock;
use super::trouble::{Cut, What};
use crate::Random;
use crate::clock::after;

/// How often a process stands still when a write of its has been executed and not answered yet, and for how long at most:
/// longer than a lease.
const STALLS: f64 = 0.02;
const STALL_MAX: Duration = Duration::from_secs(25);

/// The way between a replica and the server. Cheap to clone.
#[derive(Clone)]
pub(super) struct Way {
    process: ProcessClock,
    cuts: Arc<[Cut]>,
    far: Duration,
    stalls: bool,
    random: Random,
}

impl Way {
    /// The way of a replica to which these things happen.
    pub(super) fn new(process: &ProcessClock, troubles: &[What], stalls: bool, random: Random) -> Self {
        let cuts =
            troubles.iter().filter_map(|what| if let What::Cut(cut) = what { Some(*cut) } else { None });
        let mut far =
            troubles.iter().filter_map(|what| if let What::Far(most) = what { Some(*most) } else { None });
        Self {
            process: process.clone(),
            cuts: cuts.collect(),
            far: far.next_back().unwrap_or_default(),
            stalls,
            random,
        }
    }

    /// A client whose requests go this way. What was sent is answered by the server, and told the journal, even when the
    /// process does not wait for it any more.
    pub(super) fn client(&self, server: Client, journal: &Arc<Journal>, name: &str) -> Client {
        let (way, journal, name) = (self.clone(), Arc::clone(journal), Arc::<str>::from(name));
        let namespace = server.default_namespace().to_owned();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (server, way) = (server.clone(), way.clone());
            let (journal, name) = (Arc::clone(&journal), Arc::clone(&name));
            async move {
                if way.cut().is_some_and(|cut| !cut.arrives) {
                    let what =
                        || format!("{name} {} {}: lost on the way", request.method(), request.uri().path());
                    journal.write("FAULT", what);
                    return std::future::pending().await;
                }
                let answer = if request.method() == Method::GET {
                    way.travel().await;
                    server.send(request).await
                } else {
                    // A task of its own: a write that is given up is executed nevertheless.
                    let there = way.clone();
                    let written = tokio::spawn(async move {
                        there.travel().await;
                        there.write(&server, request, &journal, &name).await
                    });
                    match written.await {
                        Ok(answer) => answer,
                        Err(_) => std::future::pending().await, // the run is over
                    }
                };
                way.travel().await;
                way.open().await;
                answer.map(|answer| answer.map(|body| Held { body: Box::pin(body), way, waits: None }))
            }
        });
        Client::new(service, namespace)
    }

    async fn write(
        &self,
        server: &Client,
        request: Request<Body>,
        journal: &Arc<Journal>,
        name: &Arc<str>,
    ) -> Result<Response<Body>, kube::Error> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let see = |answered| {
            journal.see(name, Moment::Received { method: method.as_str(), path: &path, answered });
        };
        see(None);
        let answer = server.send(request).await;
        see(answer.as_ref().ok().map(|answer| answer.status().as_u16()));
        if self.stalls && self.process.runs_for(STALL_MAX) {
            let point = format!("{name}: stands still before it knows of {method} {path}");
            if let Some(turn) = journal.goes_wrong(&point, STALLS) {
                let lasts = STALL_MAX.mul_f64(self.random.fork(&format!("{point} {turn}")).fraction());
                self.process.stall(lasts, journal, name);
            }
        }
        answer
    }

    /// Takes as long as a request, or an answer, takes this time.
    async fn travel(&self) {
        if !self.far.is_zero() {
            self.process.sleep_really(self.far.mul_f64(self.random.fraction())).await;
        }
    }

    fn cut(&self) -> Option<Cut> {
        let now = self.process.elapsed();
        self.cuts.iter().find(|cut| cut.at <= now && now < cut.at + cut.lasts).copied()
    }

    fn is_open(&self) -> bool {
        self.cut().is_none() && self.process.paused_until().is_none()
    }

    /// Completes when what comes reaches the process.
    async fn open(&self) {
        loop {
            self.process.awake().await;
            match self.cut() {
                None => return,
                Some(cut) => self.process.sleep_really_until(after(START, cut.at + cut.lasts)).await,
            }
        }
    }
}

/// A body of which nothing comes while nothing reaches the process.
struct Held {
    body: Pin<Box<Body>>,
    way: Way,
    waits: Option<BoxFuture<'static, ()>>,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.waits.is_none() && !self.way.is_open() {
            let way = self.way.clone();
            self.waits = Some(async move { way.open().await }.boxed());
        }
        if let Some(wait) = &mut self.waits {
            if wait.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.waits = None;
        }
        self.body.as_mut().poll_frame(context)
    }
}
