//! What an observer's task says of itself, for status and metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::counting::{Counts, Series};
use crate::{Health, LastError, ObserverStatus, WriteError};

/// How an observer fares, as it says itself.
pub(crate) struct Gauge(Mutex<Reading>);

pub(crate) struct Reading {
    pub(crate) status: ObserverStatus,
    /// It is at work between two waits.
    pub(crate) busy: bool,
    /// Since when it is told of events, which it might never come back from.
    pub(crate) turn_began: Option<Timestamp>,
    pub(crate) durations: Durations,
    /// How many writes of each verb had each outcome.
    pub(crate) writes: BTreeMap<(&'static str, Outcome), u64>,
    /// What the observer counts of its own.
    pub(crate) counts: Counts,
}

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// It is done.
    Ok,
    /// It conflicted with another (409).
    Conflict,
    /// The server refused it (4xx).
    Refused,
    /// The server failed (5xx).
    Failed,
    /// No answer came: it may be done or not.
    Lost,
}

/// How long it took to serve keys, as a histogram.
#[derive(Clone, Debug, Default)]
pub(crate) struct Durations {
    /// How many took at most as long as each of [`Self::BOUNDS`], and longer than the one before; then those beyond.
    pub(crate) counts: [u64; Self::BOUNDS.len() + 1],
    pub(crate) sum: Duration,
}

impl Gauge {
    pub(crate) fn new(name: &str) -> Self {
        Self(Mutex::new(Reading {
            status: ObserverStatus::new(name),
            busy: false,
            turn_began: None,
            durations: Durations::default(),
            writes: BTreeMap::new(),
            counts: Counts::new(),
        }))
    }

    pub(crate) fn update(&self, update: impl FnOnce(&mut Reading)) {
        update(&mut self.0.lock());
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Reading) -> T) -> T {
        read(&self.0.lock())
    }

    pub(crate) fn status(&self) -> ObserverStatus {
        self.read(|reading| reading.status.clone())
    }

    pub(crate) fn turn_began(&self) -> Option<Timestamp> {
        self.read(|reading| reading.turn_began)
    }

    pub(crate) fn error(&self, at: Timestamp, message: String) {
        self.update(|reading| reading.status.last_error = Some(LastError { at, message }));
    }

    /// Counts a write.
    pub(crate) fn wrote<T>(&self, verb: &'static str, result: &Result<T, WriteError>) {
        let outcome = result.as_ref().map_or_else(Outcome::of, |_| Outcome::Ok);
        self.update(|reading| *reading.writes.entry((verb, outcome)).or_default() += 1);
    }

    /// Counts what an executed plan counts.
    pub(crate) fn count(&self, counts: Vec<Series>) {
        if !counts.is_empty() {
            self.update(|reading| {
                for series in counts {
                    *reading.counts.entry(series).or_default() += 1;
                }
            });
        }
    }

    /// Whether it does nothing between two waits.
    pub(crate) fn is_quiet(&self) -> bool {
        self.read(|reading| !reading.busy)
    }

    /// Whether it waits to be restarted, and does nothing until then.
    pub(crate) fn is_paused(&self) -> bool {
        self.read(|reading| !reading.busy && matches!(reading.status.health, Health::Restarting(_)))
    }
}

impl Outcome {
    fn of(error: &WriteError) -> Self {
        match error.status().map(|status| status.code) {
            Some(409) => Self::Conflict,
            Some(code) if code < 500 => Self::Refused,
            Some(_) => Self::Failed,
            None => Self::Lost,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Conflict => "conflict",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }
}

impl Durations {
    /// The upper bounds of its buckets but the last, and how metrics write them in seconds.
    pub(crate) const BOUNDS: [(Duration, &'static str); 10] = [
        (Duration::from_micros(100), "0.0001"),
        (Duration::from_millis(1), "0.001"),
        (Duration::from_millis(5), "0.005"),
        (Duration::from_millis(25), "0.025"),
        (Duration::from_millis(100), "0.1"),
        (Duration::from_millis(500), "0.5"),
        (Duration::from_millis(2500), "2.5"),
        (Duration::from_secs(10), "10"),
        (Duration::from_mins(1), "60"),
        (Duration::from_mins(10), "600"),
    ];

    pub(crate) fn add(&mut self, duration: Duration) {
        let bucket = Self::BOUNDS.partition_point(|(bound, _)| *bound < duration);
        self.counts[bucket] += 1;
        self.sum = self.sum.saturating_add(duration);
    }
}
