//! An observer that panics or hangs: it stops for a while and starts over, and everybody is told.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Actor;
use crate::Backoff;
use crate::clock::after;
use crate::leadership::Serving;

/// How soon an observer that panicked or hung is restarted.
const RESTART: Backoff =
    Backoff { first: Duration::from_millis(100), max: Duration::from_secs(5), jitter: 0.5 };
/// After how long without a panic or a hang the next counts as the first.
const CALM: SignedDuration = SignedDuration::from_mins(1);

/// Why an observer is restarted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Panic,
    Hang,
}

impl Actor {
    /// Stops serving keys for a while, and starts over then.
    pub(super) fn restart(&mut self, fault: Fault, message: &str, now: Timestamp) {
        if self.paused.is_none() {
            let calm = self.last_fault.is_none_or(|last| now.duration_since(last) > CALM);
            self.faults_in_a_row = if calm { 1 } else { self.faults_in_a_row.saturating_add(1) };
            self.last_fault = Some(now);
            let (runtime, entry) = (Arc::clone(&self.runtime), Arc::clone(&self.entry));
            let record = runtime.restarted(&entry.spec.name, fault.what(), message);
            let everywhere = Serving::unlimited();
            self.reports.spawn(async move {
                runtime.record(&record, entry.spec.component(), &everywhere.permit).await;
            });
        }
        if fault == Fault::Panic {
            self.runtime.probe.tell(|watcher| watcher.panicked(&self.entry.spec.name, message));
        }
        self.paused = Some(after(now, RESTART.delay(self.faults_in_a_row, &self.random)));
        tracing::error!(observer = %self.entry.spec.name, message, "{}, restarting", fault.what());
        self.entry.gauge.error(now, format!("{}: {message}", fault.what()));
        self.entry.gauge.update(|reading| match fault {
            Fault::Panic => reading.status.panics += 1,
            Fault::Hang => reading.status.hangs += 1,
        });
    }

    /// How long it has been told of events without giving others their turn.
    pub(super) fn told_for(&self) -> Duration {
        let began = self.entry.gauge.turn_began();
        let took = began.map(|began| self.runtime.clock.now().duration_since(began));
        took.and_then(|took| took.try_into().ok()).unwrap_or_default()
    }

    /// Counts as a hang what could not be ended and has come back by itself, if it took too long.
    pub(super) fn came_back(&self, took: Duration, doing: impl FnOnce() -> String) {
        let limit = self.entry.spec.hangs_after;
        if took > limit {
            let now = self.runtime.clock.now();
            let message = format!("{} took longer than {limit:?}, and did not give its thread back", doing());
            tracing::error!(observer = %self.entry.spec.name, message, "hung, going on");
            self.entry.gauge.error(now, format!("{}: {message}", Fault::Hang.what()));
            self.entry.gauge.update(|reading| reading.status.hangs += 1);
        }
    }
}

impl Fault {
    fn what(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Hang => "hang",
        }
    }
}
