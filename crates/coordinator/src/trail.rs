//! What is remembered of the keys that were served last, within bounds.

use std::collections::{HashMap, VecDeque};

use crate::Key;
use crate::why::Trail;

/// How many keys of an observer are remembered.
const REMEMBERED_MAX: usize = 1024;

/// The trails of the keys served last.
#[derive(Default)]
pub(crate) struct Trails {
    /// Never iterated.
    trails: HashMap<Key, Remembered>,
    /// By age; a key that was served again gets a second chance before it is forgotten.
    order: VecDeque<Key>,
}

struct Remembered {
    trail: Trail,
    renewed: bool,
}

impl Trails {
    pub(crate) fn remember(&mut self, key: &Key, trail: Trail) {
        if let Some(known) = self.trails.get_mut(key) {
            *known = Remembered { trail, renewed: true };
            return;
        }
        // Each round takes a second chance away: it ends.
        while self.order.len() >= REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            match self.trails.get_mut(&oldest).filter(|known| known.renewed) {
                Some(known) => {
                    known.renewed = false;
                    self.order.push_back(oldest);
                }
                None => {
                    self.trails.remove(&oldest);
                }
            }
        }
        self.order.push_back(key.clone());
        self.trails.insert(key.clone(), Remembered { trail, renewed: false });
    }

    pub(crate) fn of(&self, key: &Key) -> Option<&Trail> {
        self.trails.get(key).map(|known| &known.trail)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;

    use super::*;

    #[test]
    fn the_keys_served_last_are_remembered_and_no_more() {
        let key = |number: usize| Key::new::<Pod>("ns", &format!("pod-{number}"));
        let mut trails = Trails::default();
        for number in 0..3 * REMEMBERED_MAX {
            trails.remember(&key(number), Trail::default());
            trails.remember(&key(0), Trail::default());
        }
        assert_eq!((trails.trails.len(), trails.order.len()), (REMEMBERED_MAX, REMEMBERED_MAX));
        assert!(trails.of(&key(0)).is_some(), "it is served all the time");
        assert!(trails.of(&key(1)).is_none() && trails.of(&key(3 * REMEMBERED_MAX - 1)).is_some());
    }
}
