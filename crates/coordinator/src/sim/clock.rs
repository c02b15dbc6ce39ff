//! The clock of a simulation.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::Clock;
use crate::clock::after;

/// The time of the tokio runtime, counted from a start: simulated where the runtime's is.
#[derive(Clone, Copy, Debug)]
pub struct RuntimeClock {
    start: Timestamp,
    origin: Instant,
}

#[expect(clippy::disallowed_methods, reason = "the runtime's time is simulated here")]
impl RuntimeClock {
    /// A clock that shows `start` now.
    pub fn new(start: Timestamp) -> Self {
        Self { start, origin: Instant::now() }
    }
}

#[expect(clippy::disallowed_methods, reason = "the runtime's time is simulated here")]
impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        after(self.start, Instant::now().duration_since(self.origin))
    }

    fn sleep_until(&self, deadline: Timestamp) -> BoxFuture<'static, ()> {
        let wait = SignedDuration::max(deadline.duration_since(self.now()), SignedDuration::ZERO);
        tokio::time::sleep(Duration::try_from(wait).unwrap_or_default()).boxed()
    }
}
