//! The queue of one observer: which key is served next. A plain data structure; time is an argument.
//!
//! A key is in the queue at most once, however often it is woken. Ready keys leave in the order in which they became
//! ready, by [priority](crate::ready). A key that is woken while it is served becomes ready again at the end of the queue
//! when it has been served.

use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::Timestamp;

use crate::ready::{Ready, Ticket};
use crate::why::{Cause, Woken};
use crate::{Key, Priority};

/// The keys of one observer that wait, are served, or wait for a time.
#[derive(Default)]
pub(crate) struct Mailbox {
    ready: Ready,
    /// Never iterated: its order is nobody's.
    slots: HashMap<Key, Slot>,
    /// By time, then by the order of the wishes.
    timers: BTreeMap<Timer, Key>,
    held: VecDeque<Key>,
    /// What is being served, and since when.
    active: BTreeMap<Key, Timestamp>,
    sequence: u64,
}

type Timer = (Timestamp, u64);

#[derive(Default)]
struct Slot {
    place: Place,
    priority: Priority,
    /// Woken while it is served.
    again: bool,
    timer: Option<Timer>,
    /// The timer is a back-off after a failure.
    failed: bool,
    /// What woke it last.
    woken: Option<Woken>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// Only waiting for its timer, if it has one.
    #[default]
    None,
    Ready {
        ticket: Ticket,
        since: Timestamp,
    },
    Active,
    Held,
}

/// Where a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// Nowhere: nothing is to be done about it.
    Absent,
    Ready {
        since: Timestamp,
        priority: Priority,
        ahead: usize,
    },
    Active {
        since: Timestamp,
        again: bool,
    },
    Held {
        until: Option<Timestamp>,
    },
    Delayed {
        until: Option<Timestamp>,
        failed: bool,
    },
}

/// What becomes of a key that has been served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing until it is woken.
    Rest,
    /// It is ready again, at the end of the queue.
    Again,
    /// It is ready at this time, if it is not woken before.
    At(Timestamp),
    /// It failed and is ready at this time; what woke it while it was served waits as well.
    RetryAt(Timestamp),
}

impl Mailbox {
    /// Makes a key ready, unless it is or is held.
    pub(crate) fn wake(&mut self, key: &Key, priority: Priority, now: Timestamp) {
        self.rouse(key, priority, now);
    }

    /// Makes a key ready, and remembers why. With `unless_failed`, not if it waits out a back-off: for the observer's
    /// own echoes.
    pub(crate) fn wake_because(&mut self, key: &Key, priority: Priority, woken: Woken, unless_failed: bool) {
        if unless_failed && self.slots.get(key).is_some_and(|slot| slot.failed) {
            return;
        }
        let now = woken.at;
        self.rouse(key, priority, now).woken = Some(woken);
    }

    fn rouse(&mut self, key: &Key, priority: Priority, now: Timestamp) -> &mut Slot {
        let slot = self.slots.entry(key.clone()).or_insert_with(|| Slot { priority, ..Slot::default() });
        let raised = priority > slot.priority;
        match &mut slot.place {
            Place::None => {
                slot.priority = slot.priority.max(priority);
                let ticket = self.ready.push(key.clone(), slot.priority);
                slot.place = Place::Ready { ticket, since: now };
            }
            Place::Ready { ticket, .. } if raised => {
                self.ready.withdraw(slot.priority);
                *ticket = self.ready.push(key.clone(), priority);
                slot.priority = priority;
            }
            Place::Active => {
                // What it is served for is done: only what comes now counts.
                slot.priority = if slot.again { slot.priority.max(priority) } else { priority };
                slot.again = true;
            }
            Place::Held => slot.priority = slot.priority.max(priority),
            Place::Ready { .. } => {}
        }
        slot
    }

    /// Whether a key is being served.
    pub(crate) fn is_active(&self, key: &Key) -> bool {
        self.active.contains_key(key)
    }

    /// The next key to serve. It is active until [`done`](Self::done) or [`hold`](Self::hold).
    pub(crate) fn pop(&mut self, now: Timestamp) -> Option<Key> {
        let slots = &self.slots;
        let key = self.ready.pop(|ticket, key| holds(slots, ticket, key))?;
        let slot = self.slots.entry(key.clone()).or_default();
        slot.place = Place::Active;
        slot.failed = false;
        if let Some(timer) = slot.timer.take() {
            self.timers.remove(&timer); // it will wish anew
        }
        self.active.insert(key.clone(), now);
        Some(key)
    }

    /// Takes a key off the active ones.
    pub(crate) fn done(&mut self, key: &Key, next: Next, now: Timestamp) {
        let Some(slot) = self.slots.get_mut(key).filter(|slot| slot.place == Place::Active) else {
            return;
        };
        self.active.remove(key);
        slot.place = Place::None;
        let (again, priority) = (std::mem::take(&mut slot.again), slot.priority);
        match next {
            Next::Again => self.wake(key, priority, now),
            Next::RetryAt(at) => {
                slot.failed = true;
                self.set_timer(key, at);
            }
            Next::At(at) => {
                self.set_timer(key, at);
                if again {
                    self.wake(key, priority, now);
                }
            }
            Next::Rest if again => self.wake(key, priority, now),
            Next::Rest => {
                self.slots.remove(key);
                // Room for all there was at the start is not kept for ever.
                if self.slots.capacity() > 16 * (self.slots.len() + 64) {
                    self.slots.shrink_to(2 * self.slots.len());
                }
            }
        }
    }

    /// Sets a popped key aside until it is [released](Self::release), or ready anyway at the deadline.
    pub(crate) fn hold(&mut self, key: &Key, deadline: Timestamp) {
        let Some(slot) = self.slots.get_mut(key).filter(|slot| slot.place == Place::Active) else {
            return;
        };
        self.active.remove(key);
        slot.place = Place::Held;
        slot.again = false;
        self.held.push_back(key.clone());
        self.set_timer(key, deadline);
    }

    /// Makes ready, in the order in which they were held, the held keys for which `met` is true.
    pub(crate) fn release(&mut self, now: Timestamp, mut met: impl FnMut(&Key) -> bool) {
        for key in std::mem::take(&mut self.held) {
            if met(&key) {
                self.let_go(&key, now);
            } else {
                self.held.push_back(key);
            }
        }
    }

    /// Makes ready the keys whose time has come; returns those that had been held until now in vain.
    pub(crate) fn fire(&mut self, now: Timestamp) -> Vec<Key> {
        let mut overdue = Vec::new();
        while let Some(first) = self.timers.first_entry().filter(|first| first.key().0 <= now) {
            let key = first.remove();
            let Some(slot) = self.slots.get_mut(&key) else { continue };
            slot.timer = None;
            let failed = std::mem::take(&mut slot.failed);
            let cause = match slot.place {
                Place::Held => Cause::Overdue,
                _ if failed => Cause::Retry,
                _ => Cause::Time,
            };
            if !matches!(slot.place, Place::Ready { .. }) {
                slot.woken = Some(Woken { at: now, cause });
            }
            if slot.place == Place::Held {
                self.held.retain(|held| *held != key);
                overdue.push(key.clone());
            }
            self.let_go(&key, now);
        }
        overdue
    }

    /// When the next timer is due.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.timers.keys().next().map(|(at, _)| *at)
    }

    pub(crate) fn ready(&self) -> usize {
        self.ready.len()
    }

    pub(crate) fn active(&self) -> usize {
        self.active.len()
    }

    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// How many keys wait for a time and for nothing else.
    pub(crate) fn delayed(&self) -> usize {
        self.slots.len() - self.ready.len() - self.held.len() - self.active.len()
    }

    /// Since when the key that waits longest has been ready.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        let firsts = self.ready.firsts(|ticket, key| holds(&self.slots, ticket, key));
        firsts.filter_map(|key| self.slots.get(key)?.ready_since()).min()
    }

    /// What is being served, and since when.
    pub(crate) fn serving(&self) -> impl Iterator<Item = (&Key, Timestamp)> {
        self.active.iter().map(|(key, since)| (key, *since))
    }

    /// What woke a key last, while that matters.
    pub(crate) fn woken(&self, key: &Key) -> Option<&Woken> {
        self.slots.get(key)?.woken.as_ref()
    }

    /// Where a key is.
    pub(crate) fn position(&self, key: &Key) -> Position {
        let Some(slot) = self.slots.get(key) else { return Position::Absent };
        let until = slot.timer.map(|(at, _)| at);
        match slot.place {
            Place::None => Position::Delayed { until, failed: slot.failed },
            Place::Held => Position::Held { until },
            Place::Active => match self.active.get(key) {
                Some(since) => Position::Active { since: *since, again: slot.again },
                None => Position::Absent,
            },
            Place::Ready { ticket, since } => {
                let priority = slot.priority;
                let ahead = self.ready.ahead(ticket, priority, |ticket, key| holds(&self.slots, ticket, key));
                Position::Ready { since, priority, ahead }
            }
        }
    }

    /// Makes a key ready that is held or waits for its timer.
    fn let_go(&mut self, key: &Key, now: Timestamp) {
        if let Some(slot) = self.slots.get_mut(key) {
            if slot.place == Place::Held {
                slot.place = Place::None;
            }
            let priority = slot.priority;
            self.wake(key, priority, now);
        }
    }

    fn set_timer(&mut self, key: &Key, at: Timestamp) {
        self.sequence += 1;
        let timer = (at, self.sequence);
        if let Some(slot) = self.slots.get_mut(key) {
            if let Some(old) = slot.timer.replace(timer) {
                self.timers.remove(&old);
            }
            self.timers.insert(timer, key.clone());
        }
    }
}

impl Slot {
    fn ready_since(&self) -> Option<Timestamp> {
        if let Place::Ready { since, .. } = self.place { Some(since) } else { None }
    }
}

/// Whether an entry of the queue still stands for its key.
fn holds(slots: &HashMap<Key, Slot>, ticket: Ticket, key: &Key) -> bool {
    slots.get(key).is_some_and(|slot| matches!(slot.place, Place::Ready { ticket: now, .. } if now == ticket))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use k8s_openapi::api::core::v1::Pod;
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn key(number: usize) -> Key {
        Key::new::<Pod>("ns", &format!("pod-{number}"))
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    /// What kube-rs gets wrong: its ready keys live in a hash set, so that of 50 keys requeued at once few are ever
    /// served.
    #[test]
    fn fifty_keys_requeued_at_once_are_served_equally_by_one_worker() {
        let mut mailbox = Mailbox::default();
        (0..50).for_each(|number| mailbox.wake(&key(number), Priority::Normal, NOW));
        let mut served: HashMap<Key, usize> = HashMap::new();
        for _ in 0..1500 {
            let key = mailbox.pop(NOW).unwrap();
            *served.entry(key.clone()).or_default() += 1;
            mailbox.done(&key, Next::Again, NOW);
        }
        assert_eq!(served.len(), 50);
        assert!(served.values().all(|count| *count == 30), "{served:?}");
    }

    #[test]
    fn a_key_is_queued_at_most_once_and_in_the_order_of_its_first_wake() {
        let mut mailbox = Mailbox::default();
        for number in [2, 1, 2, 3, 1, 2] {
            mailbox.wake(&key(number), Priority::Normal, NOW);
        }
        let order: Vec<Key> = std::iter::from_fn(|| mailbox.pop(NOW)).collect();
        assert_eq!(order, [key(2), key(1), key(3)]);
    }

    #[test]
    fn what_wakes_a_key_while_it_is_served_is_one_turn_more_at_the_end() {
        let mut mailbox = Mailbox::default();
        mailbox.wake(&key(1), Priority::Normal, NOW);
        assert_eq!(mailbox.pop(NOW), Some(key(1)));
        mailbox.wake(&key(1), Priority::Normal, NOW);
        mailbox.wake(&key(1), Priority::Normal, NOW);
        mailbox.wake(&key(2), Priority::Normal, NOW);
        assert_eq!((mailbox.ready(), mailbox.active()), (1, 1), "never served twice at once");
        mailbox.done(&key(1), Next::Rest, NOW);
        assert_eq!(mailbox.pop(NOW), Some(key(2)));
        assert_eq!(mailbox.pop(NOW), Some(key(1)));
        assert_eq!(mailbox.pop(NOW), None);
    }

    #[test]
    fn a_requeue_waits_for_its_time_and_a_wake_does_not_wait_for_it() {
        let mut mailbox = Mailbox::default();
        mailbox.wake(&key(1), Priority::Normal, NOW);
        mailbox.pop(NOW);
        mailbox.done(&key(1), Next::At(at(10)), NOW);
        assert_eq!((mailbox.pop(NOW), mailbox.next_due(), mailbox.delayed()), (None, Some(at(10)), 1));
        mailbox.fire(at(9));
        assert_eq!(mailbox.pop(NOW), None);
        mailbox.wake(&key(1), Priority::Normal, NOW);
        assert_eq!(mailbox.pop(NOW), Some(key(1)));
        mailbox.done(&key(1), Next::Rest, NOW);
        assert_eq!(mailbox.next_due(), None, "its new plan did not wish for a time");
    }

    #[test]
    fn an_echo_does_not_cut_a_back_off_short_but_an_event_does() {
        let mut mailbox = Mailbox::default();
        mailbox.wake(&key(1), Priority::Normal, NOW);
        mailbox.pop(NOW);
        mailbox.wake(&key(1), Priority::Normal, NOW); // its own echo, come before the answer
        mailbox.done(&key(1), Next::RetryAt(at(10)), NOW);
        mailbox.wake_because(&key(1), Priority::Normal, Woken { at: NOW, cause: Cause::Time }, true);
        assert_eq!(mailbox.pop(NOW), None);
        mailbox.wake(&key(1), Priority::Normal, NOW);
        assert_eq!(mailbox.pop(NOW), Some(key(1)));
    }

    #[test]
    fn a_held_key_waits_for_release_or_for_its_deadline() {
        let mut mailbox = Mailbox::default();
        for number in [1, 2] {
            mailbox.wake(&key(number), Priority::Normal, NOW);
            mailbox.pop(NOW);
            mailbox.hold(&key(number), at(30));
        }
        mailbox.wake(&key(1), Priority::Normal, NOW);
        assert_eq!((mailbox.pop(NOW), mailbox.held()), (None, 2));
        mailbox.release(NOW, |held| *held == key(2));
        assert_eq!(mailbox.pop(NOW), Some(key(2)));
        assert_eq!(mailbox.fire(at(30)), [key(1)]);
        assert_eq!(mailbox.pop(NOW), Some(key(1)));
    }

    #[test]
    fn a_waiting_key_is_raised_and_a_retried_one_keeps_its_priority() {
        let mut mailbox = Mailbox::default();
        (0..4).for_each(|number| mailbox.wake(&key(number), Priority::Low, at(0)));
        mailbox.wake(&key(4), Priority::Normal, at(1));
        mailbox.wake(&key(2), Priority::High, at(2));
        assert_eq!((mailbox.ready(), mailbox.oldest()), (5, Some(at(0))));
        let ready = |since, priority, ahead| Position::Ready { since: at(since), priority, ahead };
        assert_eq!(
            mailbox.position(&key(2)),
            ready(0, Priority::High, 0),
            "its age counts from the first wake"
        );
        assert_eq!(mailbox.position(&key(3)), ready(0, Priority::Low, 4));
        assert_eq!(mailbox.pop(at(3)), Some(key(2)));
        mailbox.done(&key(2), Next::RetryAt(at(5)), at(3));
        assert_eq!(mailbox.position(&key(2)), Position::Delayed { until: Some(at(5)), failed: true });
        mailbox.fire(at(5));
        assert_eq!(mailbox.pop(at(5)), Some(key(2)));
        mailbox.done(&key(2), Next::Rest, at(5));
        let rest: Vec<Key> = std::iter::from_fn(|| mailbox.pop(at(6))).collect();
        assert_eq!(rest, [key(4), key(0), key(1), key(3)], "and left no place behind");
        assert_eq!((mailbox.ready(), mailbox.oldest()), (0, None));
    }

    #[test]
    fn what_wakes_a_key_while_it_is_served_says_how_urgent_its_next_turn_is() {
        let mut mailbox = Mailbox::default();
        mailbox.wake(&key(1), Priority::High, NOW);
        mailbox.pop(NOW);
        mailbox.wake(&key(1), Priority::Low, NOW);
        mailbox.wake(&key(2), Priority::Normal, NOW);
        mailbox.done(&key(1), Next::Rest, NOW);
        assert_eq!((mailbox.pop(NOW), mailbox.pop(NOW)), (Some(key(2)), Some(key(1))));
    }

    proptest! {
        /// Whatever happens, no key is lost: every woken key is served after its last wake, none twice at once, and
        /// nothing is remembered of keys that rest.
        #[test]
        fn no_wake_up_is_lost(steps in prop::collection::vec((0..6_u8, 0..4_usize, prop::sample::select(Priority::ALL.to_vec())), 1..200)) {
            let mut mailbox = Mailbox::default();
            let mut owed = [false; 4];
            let mut active: Vec<Key> = Vec::new();
            let mut now = at(0);
            for (step, number, priority) in steps {
                match step {
                    0 => { mailbox.wake(&key(number), priority, NOW); owed[number] = true; }
                    1 => if let Some(popped) = mailbox.pop(NOW) {
                        prop_assert!(!active.contains(&popped));
                        let number = (0..4).find(|number| key(*number) == popped).unwrap();
                        owed[number] = false;
                        active.push(popped);
                    },
                    2 => if let Some(key) = active.pop() { mailbox.done(&key, Next::Rest, NOW); },
                    3 => if let Some(served) = active.pop() {
                        mailbox.done(&served, Next::RetryAt(crate::clock::after(now, Duration::from_secs(3))), NOW);
                        owed[(0..4).find(|number| key(*number) == served).unwrap()] = true;
                    },
                    4 => if let Some(popped) = mailbox.pop(NOW) {
                        prop_assert!(!active.contains(&popped));
                        mailbox.hold(&popped, crate::clock::after(now, Duration::from_secs(5)));
                    },
                    _ => { now = crate::clock::after(now, Duration::from_secs(1)); mailbox.fire(now); }
                }
                prop_assert_eq!(mailbox.active(), active.len());
            }
            for key in active.drain(..) { mailbox.done(&key, Next::Rest, NOW); }
            mailbox.fire(at(1_000_000));
            while let Some(popped) = mailbox.pop(NOW) {
                owed[(0..4).find(|number| key(*number) == popped).unwrap()] = false;
                mailbox.done(&popped, Next::Rest, NOW);
            }
            prop_assert_eq!(owed, [false; 4]);
            prop_assert!(mailbox.slots.is_empty() && mailbox.timers.is_empty() && mailbox.held.is_empty());
        }
    }
}
