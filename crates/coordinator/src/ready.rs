//! Ready keys by priority: which is next. A plain data structure.
//!
//! The rule: keys of one priority leave first in, first out. A key of a higher priority leaves before those of a lower
//! one, except that a priority that has been passed over [`PASSED_OVER_MAX`] times has the next turn. So however busy the
//! higher priorities are, each gets at least one turn of [`PASSED_OVER_MAX`] + 2, and no key waits for ever.

use std::collections::VecDeque;

use crate::Key;

/// How often a priority that has keys waiting is passed over in a row.
pub(crate) const PASSED_OVER_MAX: u32 = 7;

/// How urgent it is to serve a key, compared with the other keys of its observer.
///
/// Keys of one priority are served first in, first out. Higher ones come first, but starve nobody: of nine keys that are
/// served at least one is of the lowest priority that waits. A waiting key that is woken with a higher priority is
/// raised to it; it keeps its priority when it is retried, or asked to be served again later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// What can wait. So are woken, unless they are urgent, the keys of what was there when the observer began or was
    /// restarted: what happens from then on need not wait until all that has been looked at.
    Low,
    /// What happens.
    #[default]
    Normal,
    /// What must not wait.
    High,
}

impl Priority {
    /// All priorities, the lowest first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Normal, Self::High];

    /// Its name in lower case, as metrics and `why` say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

/// A place in the queue: a key that was raised or taken leaves an entry behind that no longer holds its ticket.
pub(crate) type Ticket = u64;

/// The queues, by priority, the lowest first.
#[derive(Default)]
pub(crate) struct Ready {
    queues: [Queue; 3],
    tickets: Ticket,
}

#[derive(Default)]
struct Queue {
    entries: VecDeque<(Ticket, Key)>,
    /// How many entries still hold.
    waiting: usize,
    passed_over: u32,
}

impl Ready {
    /// Queues a key; returns its ticket.
    pub(crate) fn push(&mut self, key: Key, priority: Priority) -> Ticket {
        self.tickets += 1;
        let queue = &mut self.queues[priority as usize];
        queue.entries.push_back((self.tickets, key));
        queue.waiting += 1;
        self.tickets
    }

    /// Takes a key of this priority off; its entry stays behind, and holds no longer.
    pub(crate) fn withdraw(&mut self, priority: Priority) {
        let queue = &mut self.queues[priority as usize];
        queue.waiting -= 1;
        if queue.waiting == 0 {
            queue.entries.clear(); // else raised keys would pile up where nobody pops
        }
    }

    /// The next key whose entry holds.
    pub(crate) fn pop(&mut self, mut holds: impl FnMut(Ticket, &Key) -> bool) -> Option<Key> {
        let waits = |queue: &Queue| queue.waiting > 0;
        let overdue = |queue: &Queue| waits(queue) && queue.passed_over >= PASSED_OVER_MAX;
        let turn = self.queues.iter().position(overdue).or_else(|| self.queues.iter().rposition(waits))?;
        for lower in self.queues[..turn].iter_mut().filter(|queue| waits(queue)) {
            lower.passed_over += 1;
        }
        let queue = &mut self.queues[turn];
        queue.passed_over = 0;
        queue.waiting -= 1;
        while let Some((ticket, key)) = queue.entries.pop_front() {
            if holds(ticket, &key) {
                return Some(key);
            }
        }
        None
    }

    pub(crate) fn len(&self) -> usize {
        self.queues.iter().map(|queue| queue.waiting).sum()
    }

    /// How many keys of this priority or a higher one are before a ticket, and the entries still before it that hold.
    pub(crate) fn ahead(
        &self,
        ticket: Ticket,
        priority: Priority,
        holds: impl Fn(Ticket, &Key) -> bool,
    ) -> usize {
        let [.., queue] = &self.queues[..=priority as usize] else { return 0 };
        let before = queue.entries.iter().take_while(|entry| entry.0 != ticket);
        let higher = self.queues[priority as usize + 1..].iter().map(|queue| queue.waiting);
        before.filter(|entry| holds(entry.0, &entry.1)).count() + higher.sum::<usize>()
    }

    /// The first entry of each priority that holds.
    pub(crate) fn firsts<'a>(
        &'a self,
        holds: impl Fn(Ticket, &Key) -> bool + 'a,
    ) -> impl Iterator<Item = &'a Key> + 'a {
        self.queues.iter().filter_map(move |queue| {
            queue.entries.iter().find(|entry| holds(entry.0, &entry.1)).map(|entry| &entry.1)
        })
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use proptest::prelude::*;

    use super::*;

    fn key(priority: Priority, number: usize) -> Key {
        Key::new::<Pod>("ns", &format!("{}-{number}", priority.as_str()))
    }

    #[test]
    fn higher_priorities_come_first_and_each_first_in_first_out() {
        let mut ready = Ready::default();
        for priority in Priority::ALL {
            (0..2).for_each(|number| {
                ready.push(key(priority, number), priority);
            });
        }
        let order: Vec<String> =
            std::iter::from_fn(|| ready.pop(|_, _| true)).map(|key| key.name().to_owned()).collect();
        assert_eq!(order, ["high-0", "high-1", "normal-0", "normal-1", "low-0", "low-1"]);
    }

    #[test]
    fn one_turn_of_eight_is_that_of_a_lower_priority_however_busy_the_higher_is() {
        let mut ready = Ready::default();
        (0..3).for_each(|number| {
            ready.push(key(Priority::Low, number), Priority::Low);
        });
        let mut lows = Vec::new();
        for turn in 0..24 {
            ready.push(key(Priority::High, turn), Priority::High);
            if ready.pop(|_, _| true).unwrap().name().starts_with("low") {
                lows.push(turn);
            }
        }
        assert_eq!(lows, [7, 15, 23]);
    }

    proptest! {
        /// Whatever is queued meanwhile, a key leaves within nine turns for each of its priority before it.
        #[test]
        fn no_key_waits_for_ever(
            before in 0..20_usize,
            priority in prop::sample::select(Priority::ALL.to_vec()),
            arrivals in prop::collection::vec(prop::collection::vec(prop::sample::select(Priority::ALL.to_vec()), 0..4), 200),
        ) {
            let mut ready = Ready::default();
            (0..before).for_each(|number| { ready.push(key(priority, number), priority); });
            let wanted = ready.push(Key::new::<Pod>("ns", "wanted"), priority);
            prop_assert_eq!(ready.ahead(wanted, priority, |_, _| true), before);
            let turns = (before + 1) * (PASSED_OVER_MAX as usize + 2);
            let found = arrivals.iter().take(turns).enumerate().position(|(turn, arriving)| {
                for priority in arriving {
                    ready.push(key(*priority, 1000 + turn), *priority);
                }
                ready.pop(|_, _| true).is_some_and(|key| key.name() == "wanted")
            });
            prop_assert!(found.is_some(), "not within {} turns", turns);
        }
    }
}
