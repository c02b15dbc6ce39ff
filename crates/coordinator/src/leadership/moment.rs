//! Moments of the local clock, compared so that a clock that is set, or a machine that slept, makes nobody bold.
//!
//! The wall clock may be set back, and the steady one may stand still while a machine is suspended. So each question
//! goes to both: what must not be overlooked *may* have happened if one of them says so, and what must not be
//! presumed has *surely* happened only if both do.

use std::time::Duration;

use jiff::Timestamp;

use crate::Clock;
use crate::clock::after;

/// A moment by both clocks of this process. Moments of different processes are never compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) wall: Timestamp,
    steady: Duration,
}

impl Moment {
    pub(crate) fn now(clock: &dyn Clock) -> Self {
        Self { wall: clock.now(), steady: clock.steady() }
    }

    #[cfg(test)]
    pub(crate) fn of(wall: Timestamp, steady: Duration) -> Self {
        Self { wall, steady }
    }

    /// Whether `duration` may have passed since `earlier`: whether what lasts that long must count as over.
    pub(crate) fn is_perhaps(self, duration: Duration, earlier: Self) -> bool {
        self.elapsed(earlier).into_iter().any(|elapsed| elapsed >= duration)
    }

    /// Whether `duration` has surely passed since `earlier`: whether one may act on it.
    pub(crate) fn is_surely(self, duration: Duration, earlier: Self) -> bool {
        self.elapsed(earlier).into_iter().all(|elapsed| elapsed >= duration)
    }

    /// The time at which to look whether `duration` has passed since.
    pub(crate) fn after(self, duration: Duration) -> Timestamp {
        after(self.wall, duration)
    }

    fn elapsed(self, earlier: Self) -> [Duration; 2] {
        let wall = Duration::try_from(self.wall.duration_since(earlier.wall)).unwrap_or_default();
        [wall, self.steady.saturating_sub(earlier.steady)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_prolongs_no_lease_and_ends_none_early() {
        let at =
            |wall, steady| Moment::of(Timestamp::from_second(wall).unwrap(), Duration::from_secs(steady));
        let (start, ten) = (at(1000, 5), Duration::from_secs(10));
        for (name, now, perhaps, surely) in [
            ("before", at(1009, 14), false, false),
            ("both", at(1010, 15), true, true),
            ("set back", at(900, 15), true, false),
            ("set on", at(5000, 6), true, false),
            ("suspended", at(1020, 5), true, false),
        ] {
            assert_eq!(now.is_perhaps(ten, start), perhaps, "{name}");
            assert_eq!(now.is_surely(ten, start), surely, "{name}");
        }
    }
}
