//! The queue of one observer: which key is served next. A plain data structure; time is an argument.
//!
//! A key is in the queue at most once, however often it is woken. Ready keys leave in the order in which they became
//! ready. A key that is woken while it is served becomes ready again at the end of the queue when it has been served.

use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::Timestamp;

use crate::Key;

/// The keys of one observer that wait, are served, or wait for a time.
#[derive(Default)]
pub(crate) struct Mailbox {
    ready: VecDeque<Key>,
    /// Never iterated: its order is nobody's.
    slots: HashMap<Key, Slot>,
    /// By time, then by the order of the wishes.
    timers: BTreeMap<Timer, Key>,
    held: VecDeque<Key>,
    active: usize,
    sequence: u64,
}

type Timer = (Timestamp, u64);

#[derive(Default)]
struct Slot {
    place: Place,
    /// Woken while it is served.
    again: bool,
    timer: Option<Timer>,
    /// The timer is a back-off after a failure.
    failed: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// Only waiting for its timer, if it has one.
    #[default]
    None,
    Ready,
    Active,
    Held,
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
    pub(crate) fn wake(&mut self, key: &Key) {
        let slot = self.slots.entry(key.clone()).or_default();
        match slot.place {
            Place::None => {
                slot.place = Place::Ready;
                self.ready.push_back(key.clone());
            }
            Place::Active => slot.again = true,
            Place::Ready | Place::Held => {}
        }
    }

    /// Makes a key ready, unless it waits out a back-off: for the observer's own echoes.
    pub(crate) fn wake_unless_failed(&mut self, key: &Key) {
        if self.slots.get(key).is_none_or(|slot| !slot.failed) {
            self.wake(key);
        }
    }

    /// The next key to serve. It is active until [`done`](Self::done) or [`hold`](Self::hold).
    pub(crate) fn pop(&mut self) -> Option<Key> {
        let key = self.ready.pop_front()?;
        let slot = self.slots.entry(key.clone()).or_default();
        slot.place = Place::Active;
        slot.failed = false;
        if let Some(timer) = slot.timer.take() {
            self.timers.remove(&timer); // it will wish anew
        }
        self.active += 1;
        Some(key)
    }

    /// Takes a key off the active ones.
    pub(crate) fn done(&mut self, key: &Key, next: Next) {
        let Some(slot) = self.slots.get_mut(key).filter(|slot| slot.place == Place::Active) else {
            return;
        };
        self.active -= 1;
        slot.place = Place::None;
        let again = std::mem::take(&mut slot.again);
        match next {
            Next::Again => self.wake(key),
            Next::RetryAt(at) => {
                slot.failed = true;
                self.set_timer(key, at);
            }
            Next::At(at) => {
                self.set_timer(key, at);
                if again {
                    self.wake(key);
                }
            }
            Next::Rest if again => self.wake(key),
            Next::Rest => {
                self.slots.remove(key);
            }
        }
    }

    /// Sets a popped key aside until it is [released](Self::release), or ready anyway at the deadline.
    pub(crate) fn hold(&mut self, key: &Key, deadline: Timestamp) {
        let Some(slot) = self.slots.get_mut(key).filter(|slot| slot.place == Place::Active) else {
            return;
        };
        self.active -= 1;
        slot.place = Place::Held;
        slot.again = false;
        self.held.push_back(key.clone());
        self.set_timer(key, deadline);
    }

    /// Makes ready, in the order in which they were held, the held keys for which `met` is true.
    pub(crate) fn release(&mut self, mut met: impl FnMut(&Key) -> bool) {
        for key in std::mem::take(&mut self.held) {
            if met(&key) {
                if let Some(slot) = self.slots.get_mut(&key) {
                    slot.place = Place::None;
                }
                self.wake(&key);
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
            slot.failed = false;
            if slot.place == Place::Held {
                slot.place = Place::None;
                self.held.retain(|held| *held != key);
                overdue.push(key.clone());
            }
            self.wake(&key);
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
        self.active
    }

    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// How many keys wait for a time and for nothing else.
    pub(crate) fn delayed(&self) -> usize {
        self.slots.len() - self.ready.len() - self.held.len() - self.active
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use k8s_openapi::api::core::v1::Pod;
    use proptest::prelude::*;

    use super::*;

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
        (0..50).for_each(|number| mailbox.wake(&key(number)));
        let mut served: HashMap<Key, usize> = HashMap::new();
        for _ in 0..1500 {
            let key = mailbox.pop().unwrap();
            *served.entry(key.clone()).or_default() += 1;
            mailbox.done(&key, Next::Again);
        }
        assert_eq!(served.len(), 50);
        assert!(served.values().all(|count| *count == 30), "{served:?}");
    }

    #[test]
    fn a_key_is_queued_at_most_once_and_in_the_order_of_its_first_wake() {
        let mut mailbox = Mailbox::default();
        for number in [2, 1, 2, 3, 1, 2] {
            mailbox.wake(&key(number));
        }
        let order: Vec<Key> = std::iter::from_fn(|| mailbox.pop()).collect();
        assert_eq!(order, [key(2), key(1), key(3)]);
    }

    #[test]
    fn what_wakes_a_key_while_it_is_served_is_one_turn_more_at_the_end() {
        let mut mailbox = Mailbox::default();
        mailbox.wake(&key(1));
        assert_eq!(mailbox.pop(), Some(key(1)));
        mailbox.wake(&key(1));
        mailbox.wake(&key(1));
        mailbox.wake(&key(2));
        assert_eq!((mailbox.ready(), mailbox.active()), (1, 1), "never served twice at once");
        mailbox.done(&key(1), Next::Rest);
        assert_eq!(mailbox.pop(), Some(key(2)));
        assert_eq!(mailbox.pop(), Some(key(1)));
        assert_eq!(mailbox.pop(), None);
    }

    #[test]
    fn a_requeue_waits_for_its_time_and_a_wake_does_not_wait_for_it() {
        let mut mailbox = Mailbox::default();
        mailbox.wake(&key(1));
        mailbox.pop();
        mailbox.done(&key(1), Next::At(at(10)));
        assert_eq!((mailbox.pop(), mailbox.next_due(), mailbox.delayed()), (None, Some(at(10)), 1));
        mailbox.fire(at(9));
        assert_eq!(mailbox.pop(), None);
        mailbox.wake(&key(1));
        assert_eq!(mailbox.pop(), Some(key(1)));
        mailbox.done(&key(1), Next::Rest);
        assert_eq!(mailbox.next_due(), None, "its new plan did not wish for a time");
    }

    #[test]
    fn an_echo_does_not_cut_a_back_off_short_but_an_event_does() {
        let mut mailbox = Mailbox::default();
        mailbox.wake(&key(1));
        mailbox.pop();
        mailbox.wake(&key(1)); // its own echo, come before the answer
        mailbox.done(&key(1), Next::RetryAt(at(10)));
        mailbox.wake_unless_failed(&key(1));
        assert_eq!(mailbox.pop(), None);
        mailbox.wake(&key(1));
        assert_eq!(mailbox.pop(), Some(key(1)));
    }

    #[test]
    fn a_held_key_waits_for_release_or_for_its_deadline() {
        let mut mailbox = Mailbox::default();
        for number in [1, 2] {
            mailbox.wake(&key(number));
            mailbox.pop();
            mailbox.hold(&key(number), at(30));
        }
        mailbox.wake(&key(1));
        assert_eq!((mailbox.pop(), mailbox.held()), (None, 2));
        mailbox.release(|held| *held == key(2));
        assert_eq!(mailbox.pop(), Some(key(2)));
        assert_eq!(mailbox.fire(at(30)), [key(1)]);
        assert_eq!(mailbox.pop(), Some(key(1)));
    }

    proptest! {
        /// Whatever happens, no key is lost: every woken key is served after its last wake, none twice at once, and
        /// nothing is remembered of keys that rest.
        #[test]
        fn no_wake_up_is_lost(steps in prop::collection::vec((0..6_u8, 0..4_usize), 1..200)) {
            let mut mailbox = Mailbox::default();
            let mut owed = [false; 4];
            let mut active: Vec<Key> = Vec::new();
            let mut now = at(0);
            for (step, number) in steps {
                match step {
                    0 => { mailbox.wake(&key(number)); owed[number] = true; }
                    1 => if let Some(popped) = mailbox.pop() {
                        prop_assert!(!active.contains(&popped));
                        let number = (0..4).find(|number| key(*number) == popped).unwrap();
                        owed[number] = false;
                        active.push(popped);
                    },
                    2 => if let Some(key) = active.pop() { mailbox.done(&key, Next::Rest); },
                    3 => if let Some(served) = active.pop() {
                        mailbox.done(&served, Next::RetryAt(crate::clock::after(now, Duration::from_secs(3))));
                        owed[(0..4).find(|number| key(*number) == served).unwrap()] = true;
                    },
                    4 => if let Some(popped) = mailbox.pop() {
                        prop_assert!(!active.contains(&popped));
                        mailbox.hold(&popped, crate::clock::after(now, Duration::from_secs(5)));
                    },
                    _ => { now = crate::clock::after(now, Duration::from_secs(1)); mailbox.fire(now); }
                }
                prop_assert_eq!(mailbox.active(), active.len());
            }
            for key in active.drain(..) { mailbox.done(&key, Next::Rest); }
            mailbox.fire(at(1_000_000));
            while let Some(popped) = mailbox.pop() {
                owed[(0..4).find(|number| key(*number) == popped).unwrap()] = false;
                mailbox.done(&popped, Next::Rest);
            }
            prop_assert_eq!(owed, [false; 4]);
            prop_assert!(mailbox.slots.is_empty() && mailbox.timers.is_empty() && mailbox.held.is_empty());
        }
    }
}
