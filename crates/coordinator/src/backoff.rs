//! How long to wait before trying again: exponential, with jitter from a seeded source.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Exponential back-off with jitter: the n-th delay is `first · 2ⁿ`, at most `max`, shortened by up to `jitter`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The delay after the first failure.
    pub first: Duration,
    /// No delay is longer.
    pub max: Duration,
    /// The share of a delay that is left to chance, from 0 to 1.
    pub jitter: f64,
}

impl Default for Backoff {
    /// From 100 ms to 1 minute, half of it left to chance.
    fn default() -> Self {
        Self { first: Duration::from_millis(100), max: Duration::from_mins(1), jitter: 0.5 }
    }
}

impl Backoff {
    /// The delay after `failures` failures in a row, at least one.
    pub fn delay(&self, failures: u32, random: &Random) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.max);
        full.mul_f64(1.0 - self.jitter.clamp(0.0, 1.0) * random.fraction())
    }
}

/// A source of chance that can be seeded, so that a run can be repeated. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct Random {
    seed: u64,
    source: Arc<Mutex<StdRng>>,
}

impl Random {
    /// A source that yields the same for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self { seed, source: Arc::new(Mutex::new(StdRng::seed_from_u64(seed))) }
    }

    /// A source of its own for `label`, so that what one task draws does not depend on when others draw.
    #[must_use]
    pub fn fork(&self, label: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (self.seed, label).hash(&mut hasher);
        Self::seeded(hasher.finish())
    }

    /// A number from 0 up to, but not including, 1.
    pub fn fraction(&self) -> f64 {
        self.source.lock().random()
    }

    /// A whole number.
    pub fn number(&self) -> u64 {
        self.source.lock().random()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_maximum_within_their_jitter() {
        let backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(1), jitter: 0.5 };
        let random = Random::seeded(1);
        for (failures, full_ms) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1000), (40, 1000)] {
            let delay = backoff.delay(failures, &random).as_millis();
            assert!((full_ms / 2..=full_ms).contains(&delay), "{failures} failures: {delay} ms");
        }
    }

    #[test]
    fn a_seed_repeats_and_labels_differ() {
        let draw = |seed, label| Random::seeded(seed).fork(label).number();
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
    }
}
