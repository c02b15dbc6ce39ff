//! The clock that a replica has as a process of its own: it goes as fast as it goes, and stands still while the process is
//! paused, so that its timers do not fire. When it wakes, everything comes at once.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use super::journal::{Journal, Moment};
use super::trouble::{Pause, What};
use super::{RuntimeClock, START};
use crate::clock::after;
use crate::{Clock, Random};

/// How long a process that wakes from a pause takes for each thing that it was at, at most: they come in any order.
const WAKING_MAX: Duration = Duration::from_millis(30);
/// How many thousandths of a second are a whole one.
const WHOLE: u32 = 1000;

/// The clock of a process.
#[derive(Clone, Debug)]
pub(super) struct ProcessClock {
    base: RuntimeClock,
    /// Its thousandths of a second a second.
    rate: u32,
    /// Apart from each other.
    pauses: Arc<Mutex<Vec<Pause>>>,
    random: Random,
}

impl ProcessClock {
    /// The clock of a replica to which these things happen.
    pub(super) fn new(base: RuntimeClock, troubles: &[What], random: Random) -> Self {
        let mut rates =
            troubles.iter().filter_map(|what| if let What::Slow(rate) = what { Some(*rate) } else { None });
        let pauses = troubles
            .iter()
            .filter_map(|what| if let What::Pause(pause) = what { Some(*pause) } else { None });
        Self {
            base,
            rate: rates.next_back().unwrap_or(WHOLE),
            pauses: Arc::new(Mutex::new(pauses.collect())),
            random,
        }
    }

    /// For how long the run has lasted, by no clock of a process.
    pub(super) fn elapsed(&self) -> Duration {
        Duration::try_from(self.base.now().duration_since(START)).unwrap_or_default()
    }

    /// The end of the pause that there is now, if there is one.
    pub(super) fn paused_until(&self) -> Option<Duration> {
        let now = self.elapsed();
        let now_paused = |pause: &&Pause| pause.at <= now && now < pause.at + pause.lasts;
        self.pauses.lock().iter().filter(now_paused).map(|pause| pause.at + pause.lasts).max()
    }

    /// Completes when the process is not paused.
    pub(super) async fn awake(&self) {
        while let Some(end) = self.paused_until() {
            self.base.sleep_until(after(START, end)).await;
            self.base.sleep(WAKING_MAX.mul_f64(self.random.fraction())).await;
        }
    }

    /// Completes after `duration` of real time, paused or not.
    pub(super) async fn sleep_really(&self, duration: Duration) {
        self.base.sleep(duration).await;
    }

    /// Completes at this real time, paused or not.
    pub(super) async fn sleep_really_until(&self, time: Timestamp) {
        self.base.sleep_until(time).await;
    }

    /// Tells the journal when the process is paused and when it goes on.
    pub(super) async fn tell_pauses(&self, journal: &Journal, name: &str) {
        let pauses = self.pauses.lock().clone();
        for pause in pauses {
            self.base.sleep_until(after(START, pause.at)).await;
            journal.see(name, Moment::Paused);
            self.base.sleep_until(after(START, pause.at + pause.lasts)).await;
            journal.see(name, Moment::Resumed);
        }
    }

    /// Whether no pause begins or goes on within so long.
    pub(super) fn runs_for(&self, duration: Duration) -> bool {
        let now = self.elapsed();
        !self.pauses.lock().iter().any(|pause| pause.at <= now + duration && now <= pause.at + pause.lasts)
    }

    /// Stands still from now on, for a while.
    pub(super) fn stall(&self, lasts: Duration, journal: &Arc<Journal>, name: &Arc<str>) {
        self.pauses.lock().push(Pause { at: self.elapsed(), lasts, suspends: false });
        journal.see(name, Moment::Paused);
        let (clock, journal, name) = (self.clone(), Arc::clone(journal), Arc::clone(name));
        tokio::spawn(async move {
            clock.base.sleep(lasts).await;
            journal.see(&name, Moment::Resumed);
        });
    }

    /// What is to be seen of the time passed: of a pause, its beginning.
    fn seen(&self) -> Duration {
        let now = self.elapsed();
        let during = |pause: &&Pause| pause.at <= now && now < pause.at + pause.lasts;
        self.pauses.lock().iter().filter(during).map(|pause| pause.at).min().unwrap_or(now)
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
        let pauses = self.pauses.lock();
        let slept = pauses.iter().filter(|pause| pause.suspends && pause.at < seen);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(at: u64, lasts: u64, suspends: bool) -> What {
        let (at, lasts) = (Duration::from_secs(at), Duration::from_secs(lasts));
        What::Pause(Pause { at, lasts, suspends })
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_goes_at_its_rate_and_stands_still_in_a_pause() {
        let base = RuntimeClock::new(START);
        let clock = ProcessClock::new(base, &[What::Slow(500), pause(20, 10, true)], Random::seeded(1));
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
