//! Running the pure parts of observers, which might compute for long, where they hold up nobody else.
//!
//! A pure part cannot be interrupted: its thread is gone until it comes back. The other observers, tasks of their own,
//! go on on the other threads of the runtime; and once a part has proved slow, its runtime is told beforehand that the
//! thread will be gone (`block_in_place`), so that however many are slow at once, the others have threads. That costs a
//! few microseconds, which the fast ones are spared. On a runtime of one thread nothing can be done, and nothing is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{block_in_place, spawn};

use crate::Clock;

/// What takes longer is slow.
const SLOW: Duration = Duration::from_millis(10);

/// Whether the pure parts of one observer were slow when they ran last.
#[derive(Debug, Default)]
pub(crate) struct Pace(AtomicBool);

impl Pace {
    /// Runs a pure part. Only from a task of the runtime.
    pub(crate) fn run<T>(&self, clock: &dyn Clock, part: impl FnOnce() -> T) -> T {
        let began = clock.now();
        let threads = || Handle::try_current().map(|runtime| runtime.runtime_flavor());
        let slow = self.0.load(Ordering::Relaxed) && matches!(threads(), Ok(RuntimeFlavor::MultiThread));
        let result = if slow { block_in_place(part) } else { part() };
        let took = clock.now().duration_since(began);
        self.0.store(took.unsigned_abs() > SLOW, Ordering::Relaxed);
        result
    }
}

/// Has other threads take over whom the present task has woken so far, in case that a pure part now keeps this one.
///
/// The last task that was woken waits in a place of this thread from which no other takes it; whatever comes next pushes
/// it out. Only from a task of the runtime.
pub(crate) fn share_what_was_woken() {
    if Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread) {
        drop(spawn(async {}));
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::ManualClock;

    #[tokio::test]
    async fn the_last_run_says_whether_the_next_is_expected_to_be_slow() {
        let (clock, pace) = (ManualClock::new(Timestamp::UNIX_EPOCH), Pace::default());
        for (took, slow) in [(0, false), (11, true), (11, true), (1, false)] {
            assert_eq!(
                pace.run(&clock, || {
                    clock.advance(Duration::from_millis(took));
                    took
                }),
                took
            );
            assert_eq!(pace.0.load(Ordering::Relaxed), slow);
        }
    }
}
