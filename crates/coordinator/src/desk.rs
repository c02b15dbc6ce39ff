//! The keys of one observer: which is served next, why each of the others waits, and what became of the last ones.
//! A plain data structure; time and views are arguments.
//!
//! It outlives the observer's task, so that it can be asked while the observer is at work or stuck, and it is handed on
//! when an observer is replaced by another, so that no key is lost.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::after;
use crate::counting::{Kept, Series};
use crate::echoes::{Early, Echoes};
use crate::freshness::{Expectation, HOLD_MAX};
use crate::mailbox::{Mailbox, Next, Position};
use crate::trail::Trails;
use crate::view::Tables;
use crate::why::{Cause, Served, Trail, Waiting, Woken};
use crate::{Event, Key, Priority};

/// The keys of one observer.
#[derive(Default)]
pub(crate) struct Desk {
    mailbox: Mailbox,
    /// What the view must show before a key is served again; only what it does not show yet.
    holds: BTreeMap<Key, Hold>,
    /// How often in a row each key failed.
    failures: HashMap<Key, u32>,
    echoes: Echoes,
    trails: Trails,
    /// What the last plans left behind of keys; iterated for sums only.
    kept: HashMap<Key, Kept>,
}

struct Hold {
    expectations: Vec<Expectation>,
    since: Timestamp,
    /// When it ends, if it waits for somebody else's write; when to ask the server, if for one of its own.
    deadline: Timestamp,
    /// It waits for somebody else's write.
    conflict: bool,
}

/// How many keys wait for what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) queued: usize,
    pub(crate) active: usize,
    pub(crate) held: usize,
    pub(crate) delayed: usize,
}

/// What is to become of a key that has been served.
pub(crate) enum Verdict {
    /// It succeeded, and is to be served again after this time, or now.
    Done { again: bool, requeue_after: Option<Duration> },
    /// It failed, and is to be retried then; at once if the view shows what it conflicted with.
    Failed { retry: Timestamp, conflict: Option<Expectation> },
}

impl Desk {
    /// Takes in that an event wakes these keys, each with its priority. An observer that `settles` is not woken by its own
    /// writes; but by all there is, when it begins (anew).
    pub(crate) fn wake(
        &mut self,
        event: &Event,
        keys: Vec<(Key, Priority)>,
        begins: bool,
        settles: bool,
        now: Timestamp,
    ) {
        if event.is_deleted() {
            self.kept.remove(event.key());
        }
        for (key, priority) in keys {
            let echo = self.echoes.of(event);
            let own = echo.is_some();
            if settles && !begins && echo.is_some_and(|echo| echo.is_all_of(event, &key)) {
                continue;
            }
            let woken = Woken { at: now, cause: Cause::of(event, own, begins) };
            if settles && !begins && self.mailbox.is_active(&key) {
                let early = Early { event: event.clone(), priority, woken: woken.clone() };
                if self.echoes.keep(&key, early) {
                    continue;
                }
            }
            self.mailbox.wake_because(&key, priority, woken, own);
        }
    }

    /// Wakes a key that has been served by what came meanwhile, but for its own writes.
    fn wake_late(&mut self, key: &Key) {
        for Early { event, priority, woken } in self.echoes.take_early(key) {
            let echo = self.echoes.of(&event);
            if !echo.is_some_and(|echo| echo.is_all_of(&event, key)) {
                self.mailbox.wake_because(key, priority, woken, echo.is_some());
            }
        }
    }

    /// Makes ready the keys whose time has come; returns those whose own writes have not been seen for long: the server is
    /// to be [asked](Self::agreed).
    pub(crate) fn fire(&mut self, now: Timestamp) -> Vec<Key> {
        for key in self.mailbox.fire(now) {
            if self.holds.get(&key).is_some_and(|hold| hold.conflict) {
                self.holds.remove(&key);
            }
        }
        let unseen = self.holds.iter_mut().filter(|(_, hold)| !hold.conflict && hold.deadline <= now);
        let asked = |(key, hold): (&Key, &mut Hold)| {
            hold.deadline = after(now, HOLD_MAX);
            key.clone()
        };
        unseen.map(asked).collect()
    }

    /// Lets go the keys whose writes the view shows, as it agrees with what the server had at `asked`.
    pub(crate) fn agreed(&mut self, asked: Timestamp) {
        self.holds.retain(|_, hold| hold.conflict || hold.since >= asked);
    }

    /// Lets go the keys whose writes the view shows by now.
    pub(crate) fn release(&mut self, tables: &Tables, now: Timestamp) {
        let mailbox = &mut self.mailbox;
        self.holds.retain(|key, hold| {
            let overtaken = |expected: &Expectation| expected.is_met(tables) && expected.is_overtaken(tables);
            if hold.expectations.iter().any(overtaken) {
                mailbox.wake(key, Priority::default(), now);
            }
            hold.expectations.retain(|expected| !expected.is_met(tables));
            !hold.expectations.is_empty()
        });
        let holds = &self.holds;
        mailbox.release(now, |key| !holds.contains_key(key));
    }

    /// The next key to serve. With `all_seen`, none while any write of the observer is not seen.
    pub(crate) fn next(&mut self, all_seen: bool, now: Timestamp) -> Option<Key> {
        if all_seen && self.holds.values().any(|hold| !hold.conflict) {
            return None;
        }
        loop {
            let key = self.mailbox.pop(now)?;
            let Some(hold) = self.holds.get(&key) else { return Some(key) };
            self.mailbox.hold(&key, hold.deadline);
        }
    }

    /// Holds a key back until the view shows what was written for it.
    pub(crate) fn expect(&mut self, key: &Key, expectations: Vec<Expectation>, now: Timestamp) {
        if !expectations.is_empty() {
            let deadline = after(now, HOLD_MAX);
            self.holds.insert(key.clone(), Hold { expectations, since: now, deadline, conflict: false });
        }
    }

    /// Remembers what was written for a key, to recognise its echo.
    pub(crate) fn remember<'a>(&mut self, key: &Key, written: impl Iterator<Item = &'a Expectation>) {
        self.echoes.remember(key, written.filter_map(Expectation::echo));
    }

    /// Counts a failure of a key; returns how many there were in a row.
    pub(crate) fn failed(&mut self, key: &Key) -> u32 {
        let failures = self.failures.entry(key.clone()).or_default();
        *failures = failures.saturating_add(1);
        *failures
    }

    /// Takes in what came of serving a key.
    pub(crate) fn settle(&mut self, key: &Key, verdict: Verdict, served: Served, now: Timestamp) {
        let woken = self.mailbox.woken(key).cloned();
        self.wake_late(key);
        self.trails.remember(key, Trail { woken, served: Some(served) });
        let next = match verdict {
            Verdict::Done { again, requeue_after } => {
                self.failures.remove(key);
                if again {
                    self.mailbox.wake(key, Priority::default(), now); // there is more to tell of it
                }
                requeue_after.map_or(Next::Rest, |delay| Next::At(after(now, delay)))
            }
            Verdict::Failed { retry, conflict: Some(conflict) } if !self.holds.contains_key(key) => {
                let hold = Hold { expectations: vec![conflict], since: now, deadline: retry, conflict: true };
                self.holds.insert(key.clone(), hold);
                Next::Again
            }
            Verdict::Failed { retry, .. } => Next::RetryAt(retry),
        };
        self.mailbox.done(key, next, now);
    }

    /// Keeps what the plan for a key left behind, if its object is there, instead of what the plan before did.
    pub(crate) fn keep(&mut self, key: &Key, kept: Kept, tables: &Tables) {
        if kept.is_empty() || tables.find(key).is_none() {
            self.kept.remove(key);
        } else {
            self.kept.insert(key.clone(), kept);
        }
    }

    /// What is kept of a key.
    pub(crate) fn kept(&self, key: &Key) -> Kept {
        self.kept.get(key).cloned().unwrap_or_default()
    }

    /// The sums of what was measured of all keys.
    pub(crate) fn measures(&self) -> BTreeMap<Series, f64> {
        let mut sums = BTreeMap::new();
        for (series, value) in self.kept.values().flat_map(Kept::measures) {
            *sums.entry(series.clone()).or_default() += value;
        }
        sums
    }

    /// Forgets what was kept of keys whose objects are not seen (any more).
    pub(crate) fn keep_only(&mut self, is_seen: impl Fn(&Key) -> bool) {
        self.kept.retain(|key, _| is_seen(key));
    }

    /// Drops a key that is being served no more: it is another's.
    pub(crate) fn forget(&mut self, key: &Key, now: Timestamp) {
        self.failures.remove(key);
        self.kept.remove(key);
        self.holds.remove(key);
        self.echoes.take_early(key);
        self.mailbox.done(key, Next::Rest, now);
    }

    /// When something is to be done that only time brings about.
    pub(crate) fn next_due(&self, all_seen: bool, now: Timestamp) -> Option<Timestamp> {
        let blocked = all_seen && self.mailbox.ready() > 0;
        let holds = self.holds.values().filter(|_| blocked).map(|hold| hold.deadline);
        self.mailbox.next_due().into_iter().chain(holds.filter(|deadline| *deadline > now)).min()
    }

    /// Forgets all keys, because nobody will serve them.
    pub(crate) fn clear(&mut self) {
        let trails = std::mem::take(&mut self.trails);
        *self = Self { trails, ..Self::default() };
    }

    // What one can see of it.

    pub(crate) fn counts(&self) -> Counts {
        let conflicts = self.holds.values().filter(|hold| hold.conflict).count();
        let held = self.mailbox.held();
        Counts {
            queued: self.mailbox.ready(),
            active: self.mailbox.active(),
            held: held.saturating_sub(conflicts),
            delayed: self.mailbox.delayed() + held.min(conflicts),
        }
    }

    /// Since when the key that waits longest has been ready.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.mailbox.oldest()
    }

    /// What has been served for longest, and since when.
    pub(crate) fn longest_served(&self) -> Option<(&Key, Timestamp)> {
        self.mailbox.serving().min_by_key(|(_, since)| *since)
    }

    /// What a key waits for, what woke it and how it was served last, and how often in a row it failed.
    pub(crate) fn look_up(&self, key: &Key) -> (Waiting, Trail, u32) {
        let waiting = match self.mailbox.position(key) {
            Position::Absent | Position::Delayed { until: None, .. } => Waiting::Nothing,
            Position::Ready { since, priority, ahead } => Waiting::Turn { since, priority, ahead },
            Position::Active { since, again } => Waiting::Served { since, again },
            Position::Delayed { until: Some(until), failed: true } => Waiting::BackOff { until },
            Position::Delayed { until: Some(at), failed: false } => Waiting::Time { at },
            Position::Held { until } => {
                let hold = self.holds.get(key);
                let expected = hold.map(|hold| hold.expectations.iter().map(ToString::to_string).collect());
                Waiting::View { expected: expected.unwrap_or_default(), until }
            }
        };
        let mut trail = self.trails.of(key).cloned().unwrap_or_default();
        if let Some(woken) = self.mailbox.woken(key) {
            trail.woken = Some(woken.clone());
        }
        (waiting, trail, self.failures.get(key).copied().unwrap_or(0))
    }
}
