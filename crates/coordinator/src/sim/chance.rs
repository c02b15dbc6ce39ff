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
/// How often a replica that is one of several is paused in a run, at most, and for how long: longer than a lease.
const PAUSES_MAX: u64 = 3;
const PAUSE_MAX: Duration = Duration::from_secs(25);
/// How slow the clock of one of several may be, in thousandths of a second a second.
const RATES: std::ops::Range<u32> = 850..1000;

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

/// A replica crashes, or is told to shut down, and is built anew after a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crash {
    pub(super) replica: usize,
    /// How long after the start.
    pub(super) at: Duration,
    pub(super) down: Duration,
    /// Whether it was told to, and had the time to end what it was at.
    pub(super) gently: bool,
}

/// A replica stands still for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pause {
    pub(super) replica: usize,
    /// How long after the start.
    pub(super) at: Duration,
    pub(super) lasts: Duration,
    /// Whether its machine sleeps: its steady clock stands still, too.
    pub(super) suspends: bool,
}

/// The clock of a replica goes slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slow {
    pub(super) replica: usize,
    /// Its thousandths of a second a second.
    pub(super) rate: u32,
}

/// What goes wrong with whole replicas.
#[derive(Clone, Debug, Default)]
pub(super) struct Troubles {
    pub(super) crashes: Vec<Crash>,
    pub(super) pauses: Vec<Pause>,
    pub(super) slow: Vec<Slow>,
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

impl Troubles {
    /// Within the first `within` of a run. One replica alone is never paused, nor is its clock slow: nobody would know.
    pub(super) fn seeded(random: &Random, replicas: usize, within: Duration) -> Self {
        let mut troubles = Self::default();
        for replica in 0..replicas {
            troubles.crash(&random.fork(&format!("crashes of replica {replica}")), replica, within);
            if replicas > 1 {
                troubles.pause(&random.fork(&format!("pauses of replica {replica}")), replica, within);
                let random = random.fork(&format!("clock of replica {replica}"));
                if random.fraction() < 0.5 {
                    let rate = RATES.start + (random.number() % u64::from(RATES.end - RATES.start)) as u32;
                    troubles.slow.push(Slow { replica, rate });
                }
            }
        }
        troubles
    }

    fn crash(&mut self, random: &Random, replica: usize, within: Duration) {
        let mut at = Duration::ZERO;
        for _ in 0..random.number() % (CRASHES_MAX + 1) {
            at += within.mul_f64(random.fraction());
            if at > within {
                break;
            }
            let (down, gently) = (DOWN_MAX.mul_f64(random.fraction()), random.fraction() < 0.3);
            self.crashes.push(Crash { replica, at, down, gently });
        }
    }

    fn pause(&mut self, random: &Random, replica: usize, within: Duration) {
        let mut at = Duration::ZERO;
        for _ in 0..random.number() % (PAUSES_MAX + 1) {
            at += within.mul_f64(random.fraction());
            if at > within {
                break;
            }
            let (lasts, suspends) = (PAUSE_MAX.mul_f64(random.fraction()), random.fraction() < 0.3);
            self.pauses.push(Pause { replica, at, lasts, suspends });
            at += lasts;
        }
    }
}
