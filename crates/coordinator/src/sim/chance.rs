//! What goes wrong with observers and replicas, from a seed or from a list.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::Random;

/// How often an observer panics when it is told of an event, and when it serves a key.
const PANICS: f64 = 0.004;
/// How often a replica crashes in a run, at most.
const CRASHES_MAX: u64 = 2;
/// How long a replica that crashed is gone, at most.
const DOWN_MAX: Duration = Duration::from_secs(8);

/// Decides whether an observer panics, the same for the same point and turn whatever happened elsewhere.
#[derive(Default)]
pub(super) struct Panics {
    source: Source,
    turns: BTreeMap<String, u64>,
    taken: Vec<(String, u64)>,
}

#[derive(Default)]
enum Source {
    #[default]
    None,
    Seeded(Random),
    Replay(BTreeSet<(String, u64)>),
}

/// A replica crashes, and is built anew after a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crash {
    pub(super) replica: usize,
    /// How long after the start.
    pub(super) at: Duration,
    pub(super) down: Duration,
}

impl Panics {
    pub(super) fn seeded(random: &Random) -> Self {
        Self { source: Source::Seeded(random.clone()), ..Self::default() }
    }

    pub(super) fn these(panics: impl IntoIterator<Item = (String, u64)>) -> Self {
        Self { source: Source::Replay(panics.into_iter().collect()), ..Self::default() }
    }

    /// Whether there is a panic here.
    pub(super) fn decide(&mut self, point: &str) -> bool {
        if matches!(self.source, Source::None) {
            return false;
        }
        let count = self.turns.entry(point.to_owned()).or_default();
        *count += 1;
        let turn = *count;
        let panics = match &self.source {
            Source::None => false,
            Source::Seeded(random) => random.fork(&format!("{point} {turn}")).fraction() < PANICS,
            Source::Replay(panics) => panics.contains(&(point.to_owned(), turn)),
        };
        if panics {
            self.taken.push((point.to_owned(), turn));
        }
        panics
    }

    /// No more of them.
    pub(super) fn end(&mut self) {
        self.source = Source::None;
    }

    pub(super) fn taken(&self) -> &[(String, u64)] {
        &self.taken
    }
}

/// When replicas crash within the first `within` of a run.
pub(super) fn crashes(random: &Random, replicas: usize, within: Duration) -> Vec<Crash> {
    let mut crashes = Vec::new();
    for replica in 0..replicas {
        let random = random.fork(&format!("crashes of replica {replica}"));
        let mut at = Duration::ZERO;
        for _ in 0..random.number() % (CRASHES_MAX + 1) {
            at += within.mul_f64(random.fraction());
            if at > within {
                break;
            }
            crashes.push(Crash { replica, at, down: DOWN_MAX.mul_f64(random.fraction()) });
        }
    }
    crashes
}
