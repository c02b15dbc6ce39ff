//! Time, injected: what the runtime knows of time it knows from a [`Clock`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// A source of time. Everything in the coordinator that reads time or waits for it goes through one.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// How long it has been since some moment in the past, by a clock that nobody sets. As [`now`](Self::now) shows it
    /// by default, which is right for clocks that only go forward.
    fn steady(&self) -> Duration {
        Duration::try_from(self.now().duration_since(Timestamp::MIN)).unwrap_or_default()
    }

    /// Completes when the clock shows `deadline` or later.
    fn sleep_until(&self, deadline: Timestamp) -> BoxFuture<'static, ()>;

    /// Completes after `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.sleep_until(after(self.now(), duration))
    }
}

/// A clock of another library, by what time it says it is and how it is waited for: for tests in which a cluster in memory
/// and the coordinator go by one clock, that somebody moves on.
pub fn clock_of<S>(
    now: impl Fn() -> Timestamp + Send + Sync + 'static,
    sleep_until: impl Fn(Timestamp) -> S + Send + Sync + 'static,
) -> impl Clock
where
    S: Future<Output = ()> + Send + 'static,
{
    Functions { now, sleep_until }
}

struct Functions<N, U> {
    now: N,
    sleep_until: U,
}

impl<N, U, S> Clock for Functions<N, U>
where
    N: Fn() -> Timestamp + Send + Sync + 'static,
    U: Fn(Timestamp) -> S + Send + Sync + 'static,
    S: Future<Output = ()> + Send + 'static,
{
    fn now(&self) -> Timestamp {
        (self.now)()
    }

    fn sleep_until(&self, deadline: Timestamp) -> BoxFuture<'static, ()> {
        (self.sleep_until)(deadline).boxed()
    }
}

impl<N: Fn() -> Timestamp, U> fmt::Debug for Functions<N, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a clock at {}", (self.now)())
    }
}

/// `start` plus `duration`, at most the last representable time.
pub(crate) fn after(start: Timestamp, duration: Duration) -> Timestamp {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    start.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// The system's time: the only place of this crate that reads it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn steady(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed()
    }

    fn sleep_until(&self, deadline: Timestamp) -> BoxFuture<'static, ()> {
        let wait = deadline.duration_since(Timestamp::now());
        tokio::time::sleep(Duration::try_from(wait).unwrap_or_default()).boxed()
    }
}

/// A clock that stands still until it is advanced: for tests and simulation.
#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<Manual>>);

struct Manual {
    now: Timestamp,
    /// Sleepers by deadline, then by the order in which they came.
    sleepers: BTreeMap<(Timestamp, u64), oneshot::Sender<()>>,
    sequence: u64,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Manual { now, sleepers: BTreeMap::new(), sequence: 0 })))
    }

    /// Moves the clock on and wakes, in order, everyone whose time has come.
    pub fn advance(&self, duration: Duration) {
        let to = after(self.now(), duration);
        self.advance_to(to);
    }

    /// Moves the clock on to `to`; does nothing if that is in the past.
    pub fn advance_to(&self, to: Timestamp) {
        let mut clock = self.0.lock();
        clock.now = clock.now.max(to);
        while let Some(first) = clock.sleepers.first_entry() {
            if first.key().0 > to {
                break;
            }
            // A sleeper that is gone needs no waking.
            let _ = first.remove().send(());
        }
    }

    /// The next time somebody waits for.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let mut clock = self.0.lock();
        clock.sleepers.retain(|_, sleeper| !sleeper.is_closed());
        clock.sleepers.keys().next().map(|(deadline, _)| *deadline)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().now
    }

    fn sleep_until(&self, deadline: Timestamp) -> BoxFuture<'static, ()> {
        let mut clock = self.0.lock();
        if deadline <= clock.now {
            return futures::future::ready(()).boxed();
        }
        let (sender, receiver) = oneshot::channel();
        clock.sequence += 1;
        let id = (deadline, clock.sequence);
        clock.sleepers.retain(|_, sleeper| !sleeper.is_closed());
        clock.sleepers.insert(id, sender);
        receiver.map(|_| ()).boxed()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ManualClock({})", self.now())
    }
}
