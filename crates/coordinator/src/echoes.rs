//! The echoes of an observer's own writes, by which it is not woken from a back-off.

use std::collections::{HashSet, VecDeque};

use crate::{Event, Key};

/// How many of its own writes an observer remembers, to recognise their echoes.
const ECHOES_MAX: usize = 1024;

/// The versions that the observer itself wrote lately.
#[derive(Default)]
pub(crate) struct Echoes {
    known: HashSet<(Key, u64)>,
    order: VecDeque<(Key, u64)>,
}

impl Echoes {
    /// Remembers versions that were written.
    pub(crate) fn remember(&mut self, written: impl Iterator<Item = (Key, u64)>) {
        for echo in written {
            if self.known.insert(echo.clone()) {
                self.order.push_back(echo);
            }
            if self.order.len() > ECHOES_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
    }

    /// Whether an event tells of one of them.
    pub(crate) fn contains(&self, event: &Event) -> bool {
        let version = crate::store::parse_version(event.object().resource_version());
        !self.known.is_empty()
            && version.is_some_and(|version| self.known.contains(&(event.key().clone(), version)))
    }
}
