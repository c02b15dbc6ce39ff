//! What goes wrong where a run passes a certain point, from a seed or from a list.

use std::collections::{BTreeMap, BTreeSet};

use crate::Random;

/// Decides whether something goes wrong at a point, the same for the same point and turn whatever happened elsewhere.
#[derive(Default)]
pub(super) struct Points {
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

impl Points {
    pub(super) fn seeded(random: &Random) -> Self {
        Self { source: Source::Seeded(random.clone()), ..Self::default() }
    }

    pub(super) fn these(points: impl IntoIterator<Item = (String, u64)>) -> Self {
        Self { source: Source::Replay(points.into_iter().collect()), ..Self::default() }
    }

    /// Whether it happens here, which it does this `often` where a seed decides; the how many-th time it might have.
    pub(super) fn decide(&mut self, point: &str, often: f64) -> Option<u64> {
        if matches!(self.source, Source::None) {
            return None;
        }
        let count = self.turns.entry(point.to_owned()).or_default();
        *count += 1;
        let turn = *count;
        let happens = match &self.source {
            Source::None => false,
            Source::Seeded(random) => random.fork(&format!("{point} {turn}")).fraction() < often,
            Source::Replay(points) => points.contains(&(point.to_owned(), turn)),
        };
        happens.then(|| {
            self.taken.push((point.to_owned(), turn));
            turn
        })
    }

    /// No more of it.
    pub(super) fn end(&mut self) {
        self.source = Source::None;
    }

    pub(super) fn taken(&self) -> &[(String, u64)] {
        &self.taken
    }
}
