//! Time, as the cluster sees it. Nothing in this crate reads the system clock but this module, so that a test can
//! advance it, or stop it altogether.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::{sync::watch, time::Instant};

/// A clock that can be advanced. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Source,
    /// How far it was advanced; whoever sleeps is told of changes.
    advanced: watch::Sender<Duration>,
}

#[derive(Debug)]
enum Source {
    System,
    Still(Timestamp),
    Runtime { start: Timestamp, origin: Instant },
}

impl Clock {
    /// The system's time, plus what it is advanced by.
    pub fn system() -> Self {
        Self::of(Source::System)
    }

    /// A time that stands still until it is advanced.
    pub fn still(at: Timestamp) -> Self {
        Self::of(Source::Still(at))
    }

    /// The time of the tokio runtime, which shows `start` now. On a runtime whose time is paused it is simulated: it
    /// stands still while there is work, and jumps to the next deadline when there is none.
    #[allow(clippy::disallowed_methods, reason = "the one place that reads a clock")]
    pub fn of_runtime(start: Timestamp) -> Self {
        Self::of(Source::Runtime { start, origin: Instant::now() })
    }

    fn of(source: Source) -> Self {
        Self(Arc::new(Inner { source, advanced: watch::Sender::new(Duration::ZERO) }))
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        let advanced = SignedDuration::try_from(*self.0.advanced.borrow()).unwrap_or(SignedDuration::MAX);
        self.base().checked_add(advanced).unwrap_or(Timestamp::MAX)
    }

    /// Moves the time forward, and wakes whoever slept until then.
    pub fn advance(&self, by: Duration) {
        self.0.advanced.send_modify(|advanced| *advanced = advanced.saturating_add(by));
    }

    /// Returns when the time has come.
    pub async fn sleep_until(&self, time: Timestamp) {
        let mut advanced = self.0.advanced.subscribe();
        loop {
            advanced.mark_unchanged();
            let left = time.duration_since(self.now());
            let Ok(left) = Duration::try_from(left) else { return };
            if left.is_zero() {
                return;
            }
            let advanced = async {
                // The sender lives as long as this clock.
                let _ = advanced.changed().await;
            };
            match self.0.source {
                Source::Still(_) => advanced.await,
                Source::System | Source::Runtime { .. } => tokio::select! {
                    biased;
                    () = real_sleep(left) => {}
                    () = advanced => {}
                },
            }
        }
    }

    /// Returns after `duration`.
    pub async fn sleep(&self, duration: Duration) {
        let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
        self.sleep_until(self.now().checked_add(duration).unwrap_or(Timestamp::MAX)).await;
    }

    #[allow(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    fn base(&self) -> Timestamp {
        match self.0.source {
            Source::System => Timestamp::now(),
            Source::Still(at) => at,
            Source::Runtime { start, origin } => {
                let passed = SignedDuration::try_from(origin.elapsed()).unwrap_or(SignedDuration::MAX);
                start.checked_add(passed).unwrap_or(Timestamp::MAX)
            }
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "the one place that waits for the system clock")]
async fn real_sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_still_clock_moves_only_when_advanced() {
        let clock = Clock::still(Timestamp::UNIX_EPOCH);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_hours(1)).await }
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(3599));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
        assert_eq!(clock.now(), Timestamp::from_second(3600).unwrap());
    }

    #[tokio::test]
    async fn the_systems_clock_can_be_pushed_forward() {
        let clock = Clock::system();
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_hours(10)).await }
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(36_001));
        sleeper.await.unwrap();
    }
}
