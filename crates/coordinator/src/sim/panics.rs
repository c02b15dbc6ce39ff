//! Panics of observers, from a seed or from a list.

use std::collections::{BTreeMap, BTreeSet};

use crate::Random;

/// How often an observer panics when it is told of an event, and when it serves a key.
const PANICS: f64 = 0.004;

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
