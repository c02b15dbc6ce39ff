//! What a replica has as a process of its own: a clock that goes as fast as it goes, and a connection. Both stand still
//! while the process is paused: its timers do not fire, and nothing that comes reaches it; what it had sent before, the
//! server has. When it wakes, everything comes at once.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use http_body::{Body as HttpBody, Frame};
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use kube::client::Body;

use super::chance::Pause;
use super::journal::{Journal, Moment};
use super::{RuntimeClock, START};
use crate::Clock;
use crate::clock::after;

/// How many thousandths of a second are a whole one.
const WHOLE: u32 = 1000;

/// The clock of a process.
#[derive(Clone, Debug)]
pub(super) struct ProcessClock {
    base: RuntimeClock,
    /// Its thousandths of a second a second.
    rate: u32,
    /// In order, and apart.
    pauses: Arc<[Pause]>,
}

impl ProcessClock {
    pub(super) fn new(base: RuntimeClock, rate: Option<u32>, mut pauses: Vec<Pause>) -> Self {
        pauses.sort_by_key(|pause| pause.at);
        Self { base, rate: rate.unwrap_or(WHOLE), pauses: pauses.into() }
    }

    /// For how long the run has lasted.
    fn elapsed(&self) -> Duration {
        Duration::try_from(self.base.now().duration_since(START)).unwrap_or_default()
    }

    /// The end of the pause that there is now, if there is one.
    fn paused_until(&self) -> Option<Duration> {
        let now = self.elapsed();
        let now_paused = |pause: &&Pause| pause.at <= now && now < pause.at + pause.lasts;
        self.pauses.iter().filter(now_paused).map(|pause| pause.at + pause.lasts).max()
    }

    /// Completes when the process is not paused.
    pub(super) async fn awake(&self) {
        while let Some(end) = self.paused_until() {
            self.base.sleep_until(after(START, end)).await;
        }
    }

    /// Tells the journal when the process is paused and when it goes on.
    pub(super) async fn tell_pauses(&self, journal: &Journal, name: &str) {
        for pause in self.pauses.iter() {
            self.base.sleep_until(after(START, pause.at)).await;
            journal.see(name, Moment::Paused);
            self.base.sleep_until(after(START, pause.at + pause.lasts)).await;
            journal.see(name, Moment::Resumed);
        }
    }

    /// What is to be seen of the time passed: of a pause, its beginning.
    fn seen(&self) -> Duration {
        let now = self.elapsed();
        let during = |pause: &&Pause| pause.at <= now && now < pause.at + pause.lasts;
        self.pauses.iter().filter(during).map(|pause| pause.at).min().unwrap_or(now)
    }

    fn scaled(&self, real: Duration) -> Duration {
        real * self.rate / WHOLE
    }
}

impl Clock for ProcessClock {
    fn now(&self) -> Timestamp {
        after(START, self.scaled(self.seen()))
    }

    fn steady(&self) -> Duration {
        let seen = self.seen();
        let slept = self.pauses.iter().filter(|pause| pause.suspends && pause.at < seen);
        self.scaled(seen.saturating_sub(slept.map(|pause| pause.lasts).sum()))
    }

    fn sleep_until(&self, deadline: Timestamp) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        async move {
            loop {
                clock.awake().await;
                let missing = SignedDuration::max(deadline.duration_since(clock.now()), SignedDuration::ZERO);
                let missing = Duration::try_from(missing).unwrap_or_default();
                if missing.is_zero() {
                    return;
                }
                // Rounded up: a sleep must not end too early.
                let real = missing * WHOLE / clock.rate + Duration::from_nanos(1);
                clock.base.sleep(real).await;
            }
        }
        .boxed()
    }
}

/// The connection of a process: `client`, but what it answers waits while the process is paused. What was sent is
/// answered by the server, and told the journal, even when the process does not wait for it any more.
pub(super) fn connection(client: Client, clock: &ProcessClock, journal: &Arc<Journal>, name: &str) -> Client {
    let (clock, journal, name) = (clock.clone(), Arc::clone(journal), Arc::<str>::from(name));
    let namespace = client.default_namespace().to_owned();
    let service = tower::service_fn(move |request: Request<Body>| {
        let (client, clock) = (client.clone(), clock.clone());
        let (journal, name) = (Arc::clone(&journal), Arc::clone(&name));
        async move {
            let answer = if request.method() == Method::GET {
                client.send(request).await
            } else {
                // A task of its own: a write that is given up is executed nevertheless.
                let written = tokio::spawn(async move { write(&client, request, &journal, &name).await });
                match written.await {
                    Ok(answer) => answer,
                    Err(_) => futures::future::pending().await, // the run is over
                }
            };
            clock.awake().await;
            answer.map(|answer| answer.map(|body| Held { body: Box::pin(body), clock, waits: None }))
        }
    });
    Client::new(service, namespace)
}

async fn write(
    client: &Client,
    request: Request<Body>,
    journal: &Journal,
    name: &str,
) -> Result<Response<Body>, kube::Error> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let see = |answered| {
        journal.see(name, Moment::Received { method: method.as_str(), path: &path, answered });
    };
    see(None);
    let answer = client.send(request).await;
    see(answer.as_ref().ok().map(|answer| answer.status().as_u16()));
    answer
}

/// A body of which nothing comes during a pause.
struct Held {
    body: Pin<Box<Body>>,
    clock: ProcessClock,
    waits: Option<BoxFuture<'static, ()>>,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.waits.is_none() && self.clock.paused_until().is_some() {
            let clock = self.clock.clone();
            self.waits = Some(async move { clock.awake().await }.boxed());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(at: u64, lasts: u64, suspends: bool) -> Pause {
        let (at, lasts) = (Duration::from_secs(at), Duration::from_secs(lasts));
        Pause { replica: 0, at, lasts, suspends }
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_goes_at_its_rate_and_stands_still_in_a_pause() {
        let base = RuntimeClock::new(START);
        let clock = ProcessClock::new(base, Some(500), vec![pause(20, 10, true)]);
        let at = |clock: &ProcessClock| clock.now().duration_since(START).as_secs();
        let begin = clock.steady();
        let passed = |clock: &ProcessClock| clock.steady().saturating_sub(begin).as_secs();
        base.sleep(Duration::from_secs(24)).await;
        assert_eq!((at(&clock), passed(&clock)), (10, 10));
        // Due at 28 s of real time, when it is paused.
        clock.sleep_until(after(START, Duration::from_secs(14))).await;
        assert_eq!((base.now().duration_since(START).as_secs(), at(&clock), passed(&clock)), (30, 15, 10));
        clock.sleep(Duration::from_secs(5)).await;
        assert_eq!((base.now().duration_since(START).as_secs(), at(&clock), passed(&clock)), (40, 20, 15));
    }
}
