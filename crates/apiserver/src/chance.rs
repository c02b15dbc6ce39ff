//! Chance, as the cluster has it: unique ids, generated names, addresses that nobody asked for. Nothing in this crate
//! draws but here, so that a simulation can repeat what has happened.
//!
//! What is drawn from a seed depends on what it is for and on how often that was drawn for before, and on nothing else:
//! a request more or less elsewhere changes no other name.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use uuid::Uuid;

/// Where chance comes from. The default is the system's.
#[derive(Debug, Default)]
pub struct Chance(Option<Seeded>);

#[derive(Debug)]
struct Seeded {
    seed: u64,
    turns: Mutex<Turns>,
}

/// How often each purpose has had its turn.
#[derive(Debug, Default)]
pub(crate) struct Turns(HashMap<u64, u64>);

/// So many purposes are told apart; then all counts start over.
const PURPOSES_MAX: usize = 1 << 16;

impl Turns {
    /// How often `purpose` has had its turn before, which is one more from now on.
    pub(crate) fn next(&mut self, purpose: &str) -> u64 {
        if self.0.len() >= PURPOSES_MAX {
            self.0.clear();
        }
        let turns = self.0.entry(hash(purpose)).or_default();
        *turns += 1;
        *turns - 1
    }
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// What chance gives `purpose` on its n-th turn.
pub(crate) fn draw(seed: u64, purpose: &str, turn: u64) -> StdRng {
    StdRng::seed_from_u64(hash((seed, purpose, turn)))
}

impl Chance {
    /// Chance that is the same for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Some(Seeded { seed, turns: Mutex::default() }))
    }

    /// A unique id for an object.
    pub fn uid(&self, resource: &str, namespace: &str, name: &str) -> String {
        match &self.0 {
            None => Uuid::new_v4(),
            Some(seeded) => {
                let bytes = seeded.next(&format!("uid {resource} {namespace}/{name}")).random();
                uuid::Builder::from_random_bytes(bytes).into_uuid()
            }
        }
        .to_string()
    }

    /// A text of these characters.
    pub fn text(&self, purpose: &str, characters: &[u8], length: usize) -> String {
        let pick = |random: &mut dyn FnMut(usize) -> usize| {
            let bound = characters.len().max(1);
            (0..length).filter_map(|_| characters.get(random(bound))).map(|byte| char::from(*byte)).collect()
        };
        match &self.0 {
            None => {
                let mut random = rand::rng();
                pick(&mut |bound| random.random_range(0..bound))
            }
            Some(seeded) => {
                let mut random = seeded.next(purpose);
                pick(&mut |bound| random.random_range(0..bound))
            }
        }
    }

    /// A number below `bound`, which is at least 1.
    pub fn below(&self, purpose: &str, bound: u32) -> u32 {
        let range = 0..bound.max(1);
        match &self.0 {
            None => rand::rng().random_range(range),
            Some(seeded) => seeded.next(purpose).random_range(range),
        }
    }
}

impl Seeded {
    fn next(&self, purpose: &str) -> StdRng {
        let turn = self.turns.lock().next(purpose);
        draw(self.seed, purpose, turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_whatever_else_is_drawn() {
        let (one, other) = (Chance::seeded(7), Chance::seeded(7));
        other.uid("/pods", "default", "b");
        assert_eq!(one.uid("/pods", "default", "a"), other.uid("/pods", "default", "a"));
        assert_eq!(one.text("names", b"abc", 5), other.text("names", b"abc", 5));
        assert_eq!(one.below("ports", 1000), other.below("ports", 1000));
        let first = one.uid("/pods", "default", "a");
        assert_ne!(first, one.uid("/pods", "default", "a"), "a second object of the name is another");
        assert_ne!(
            Chance::seeded(8).uid("/pods", "default", "a"),
            Chance::seeded(7).uid("/pods", "default", "a")
        );
    }

    #[test]
    fn what_is_drawn_is_within_its_bounds() {
        for chance in [Chance::default(), Chance::seeded(1)] {
            for _ in 0..100 {
                assert!(chance.below("x", 3) < 3);
                assert_eq!(chance.below("x", 0), 0);
                assert!(chance.text("x", b"ab", 4).bytes().all(|byte| b"ab".contains(&byte)));
            }
            assert_eq!(Uuid::parse_str(&chance.uid("/pods", "", "a")).unwrap().get_version_num(), 4);
        }
    }

    #[test]
    fn turns_are_counted_for_each_purpose_and_bounded() {
        let mut turns = Turns::default();
        assert_eq!([turns.next("a"), turns.next("b"), turns.next("a")], [0, 0, 1]);
        for number in 0..PURPOSES_MAX {
            turns.next(&number.to_string());
        }
        assert!(turns.0.len() <= PURPOSES_MAX);
    }
}
