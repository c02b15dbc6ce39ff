//! Echoes: the changes that a watch tells because the observer itself has made them.
//!
//! Each write comes back as an event. By default it wakes like any other, because a plan may be one of several: what
//! follows from a created Pod is only planned once it is seen. All echoes of a plan are one turn, since its key is held
//! until they have all come, and a plan that finds everything as it should be costs nothing but itself.
//!
//! An observer whose plans are complete says so ([`ObserverSpec::settles`](crate::ObserverSpec::settles)), and is then not
//! woken by itself. No wake-up is lost by that, for three reasons:
//!
//! 1. Only the key that wrote is not woken, and only by an event that is *nothing but* its write: a creation at the version
//!    that the server answered; or a modification to that version, from the very version that the write named as its
//!    precondition and that the observer was told of last. In any other case, as when another's change has been coalesced
//!    with it or a patch named no version, the state may hold something that the plan has not seen, and it wakes.
//! 2. Whatever else the view holds by then, has been told by events of its own, which wake.
//! 3. An event that comes before the answer to the write cannot be judged yet: it is kept until the key has been served,
//!    and then wakes it, or does not.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

use crate::why::Woken;
use crate::write::{Operation, Patch};
use crate::{Event, Key, Priority, Write};

/// How many of its own writes an observer remembers, to recognise their echoes.
const ECHOES_MAX: usize = 1024;
/// How many events are kept for a key while it is served.
const EARLY_MAX: usize = 64;

/// What an object was before a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// It was not there.
    Nothing,
    /// It had this version: else the server would have refused.
    State(Box<str>),
    /// That is not known.
    Unknown,
}

/// A write as its echo is recognised: what was written, at which version, and on what.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Echo {
    pub(crate) key: Key,
    pub(crate) version: u64,
    pub(crate) before: Before,
}

/// The writes of late of one observer.
#[derive(Default)]
pub(crate) struct Echoes {
    /// Never iterated.
    known: HashMap<(Key, u64), Known>,
    order: VecDeque<(Key, u64)>,
    /// What came while a key is served. Never iterated.
    early: HashMap<Key, Vec<Early>>,
}

/// A write that is remembered.
pub(crate) struct Known {
    /// The key for which it was made.
    writer: Key,
    before: Before,
}

/// An event that would wake a key that is being served.
pub(crate) struct Early {
    pub(crate) event: Event,
    pub(crate) priority: Priority,
    pub(crate) woken: Woken,
}

impl Before {
    /// What the server has made sure of.
    pub(crate) fn of(write: &Write) -> Self {
        let body = match &write.operation {
            Operation::Create(_) if write.subresource.is_none() => return Self::Nothing,
            Operation::Update(body) => body,
            Operation::Patch(Patch::Merge(patch) | Patch::Strategic(patch)) => patch,
            Operation::Patch(Patch::Apply { fields, .. }) => fields,
            Operation::Patch(Patch::Json(_)) | Operation::Create(_) | Operation::Delete(_) => {
                return Self::Unknown;
            }
        };
        match body.pointer("/metadata/resourceVersion").and_then(Value::as_str) {
            Some(version) if !version.is_empty() => Self::State(version.into()),
            _ => Self::Unknown,
        }
    }
}

impl Echoes {
    /// Remembers what was written for a key.
    pub(crate) fn remember(&mut self, writer: &Key, written: impl Iterator<Item = Echo>) {
        for Echo { key, version, before } in written {
            let place = (key, version);
            if self.known.insert(place.clone(), Known { writer: writer.clone(), before }).is_none() {
                self.order.push_back(place);
            }
            if self.order.len() > ECHOES_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
    }

    /// The write of which an event is the echo; of several that were coalesced, the last.
    pub(crate) fn of(&self, event: &Event) -> Option<&Known> {
        if self.known.is_empty() {
            return None;
        }
        let version = crate::store::parse_version(event.object().resource_version())?;
        self.known.get(&(event.key().clone(), version))
    }

    /// Keeps an event until the key, which is being served, has been. False if there are too many.
    pub(crate) fn keep(&mut self, key: &Key, early: Early) -> bool {
        let kept = self.early.entry(key.clone()).or_default();
        let has_room = kept.len() < EARLY_MAX;
        if has_room {
            kept.push(early);
        }
        has_room
    }

    /// The events that were kept for a key.
    pub(crate) fn take_early(&mut self, key: &Key) -> Vec<Early> {
        self.early.remove(key).unwrap_or_default()
    }
}

impl Known {
    /// Whether an event, of which this is the write, is nothing but what this key wrote.
    pub(crate) fn is_all_of(&self, event: &Event, key: &Key) -> bool {
        self.writer == *key
            && match (event, &self.before) {
                (Event::Added(_), Before::Nothing) => true,
                (Event::Modified { old, .. }, Before::State(version)) => *old.resource_version() == **version,
                _ => false,
            }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::desk::{Desk, Verdict};
    use crate::freshness::Expectation;
    use crate::pending::PendingSet;
    use crate::why::Served;
    use crate::wire::Wanted;
    use crate::{Kind, Object, Watch};

    /// A server with three objects, each with a value and a copy of it that the observer keeps; and the observer's desk,
    /// view and inbox.
    struct World {
        version: u64,
        objects: BTreeMap<Key, Object>,
        inbox: PendingSet,
        view: BTreeMap<Key, Object>,
        desk: Desk,
        settles: bool,
        turns: usize,
        /// What has been planned and written, and is not answered yet.
        unanswered: Vec<(Key, Option<(u64, Before)>)>,
    }

    fn kind() -> Kind {
        Kind::named("", "v1", "ConfigMap", "configmaps")
    }

    fn key(number: usize) -> Key {
        Key::of_kind(kind(), "ns", &number.to_string())
    }

    fn state(object: &Object) -> (i64, i64) {
        let label = |name: &str| object.label(name).and_then(|value| value.parse().ok()).unwrap_or(-1);
        (label("value"), label("copy"))
    }

    impl World {
        fn new(settles: bool) -> Self {
            Self {
                version: 0,
                objects: BTreeMap::new(),
                inbox: PendingSet::default(),
                view: BTreeMap::new(),
                desk: Desk::default(),
                settles,
                turns: 0,
                unanswered: Vec::new(),
            }
        }

        fn write(&mut self, key: &Key, value: i64, copy: i64) -> u64 {
            self.version += 1;
            let new = json!({"metadata": {
                "namespace": "ns", "name": key.name(), "uid": key.name(), "resourceVersion": self.version.to_string(),
                "labels": {"value": value.to_string(), "copy": copy.to_string()},
            }});
            let new = Object::from_value(&kind(), &new).unwrap();
            self.inbox.push(match self.objects.insert(key.clone(), new.clone()) {
                None => Event::Added(new),
                Some(old) => Event::Modified { old, new },
            });
            self.version
        }

        /// Somebody else changes the value.
        fn change(&mut self, key: &Key, value: i64) {
            let copy = self.objects.get(key).map_or(-1, |object| state(object).1);
            self.write(key, value, copy);
        }

        fn deliver(&mut self) {
            for event in self.inbox.take() {
                self.view.insert(event.key().clone(), event.object().clone());
                let keys = vec![(event.key().clone(), Priority::default())];
                self.desk.wake(&event, keys, false, self.settles, Timestamp::UNIX_EPOCH);
            }
        }

        /// Plans and writes: with a precondition, or (`blind`) without.
        fn serve(&mut self, blind: bool) {
            let Some(key) = self.desk.next(false, Timestamp::UNIX_EPOCH) else { return };
            self.turns += 1;
            let seen = self.view[&key].clone();
            let (value, copy) = state(&seen);
            let mut written = None;
            if value != copy {
                let now = self.objects[&key].clone();
                let version = || Before::State(seen.resource_version().into());
                let before = if blind { Before::Unknown } else { version() };
                let may = blind || now.resource_version() == seen.resource_version();
                written = may.then(|| (self.write(&key, state(&now).0, value), before));
            }
            if value != copy && written.is_none() {
                self.settle(&key, Verdict::Failed { retry: Timestamp::UNIX_EPOCH, conflict: None });
            } else {
                self.unanswered.push((key, written));
            }
        }

        fn answer(&mut self) {
            let Some((key, written)) = self.unanswered.pop() else { return };
            if let Some((version, before)) = written {
                let source = Wanted::all(&[Watch::kind(kind())]).remove(0).source.into();
                let seen = Expectation::Seen { source, key: key.clone(), uid: "".into(), version, before };
                self.desk.remember(&key, [&seen].into_iter());
            }
            self.settle(&key, Verdict::Done { again: false, requeue_after: None });
        }

        fn settle(&mut self, key: &Key, verdict: Verdict) {
            let at = Timestamp::UNIX_EPOCH;
            let served = Served { at, took: std::time::Duration::ZERO, writes: 0, error: None };
            self.desk.settle(key, verdict, served, at);
        }

        /// Everything is told and served.
        fn rest(&mut self) {
            loop {
                let turns = self.turns;
                self.deliver();
                self.desk.fire(Timestamp::UNIX_EPOCH);
                self.serve(false);
                while !self.unanswered.is_empty() {
                    self.deliver(); // the echo comes before the answer
                    self.answer();
                }
                let counts = self.desk.counts();
                if self.turns == turns && self.inbox.is_empty() && counts.queued + counts.active == 0 {
                    return;
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn no_wake_up_is_lost_by_not_waking_for_echoes(
            steps in prop::collection::vec((0..6_u8, 0..3_usize, 0..4_i64), 1..60)
        ) {
            let mut world = World::new(true);
            for (step, number, value) in steps {
                match step {
                    0 | 1 => world.change(&key(number), value),
                    2 => world.deliver(),
                    3 => world.serve(false),
                    4 => world.serve(true),
                    _ => world.answer(),
                }
            }
            world.rest();
            for object in world.objects.values() {
                let (value, copy) = state(object);
                prop_assert_eq!(value, copy);
            }
        }
    }

    #[test]
    fn an_observer_that_settles_is_not_woken_by_itself() {
        for (settles, turns) in [(true, 1), (false, 2)] {
            let mut world = World::new(settles);
            world.change(&key(0), 1);
            world.rest();
            assert_eq!(
                (state(&world.objects[&key(0)]), world.turns),
                ((1, 1), turns),
                "the echo before the answer"
            );
            world.change(&key(0), 2);
            world.deliver();
            world.serve(false);
            world.answer();
            world.deliver();
            world.rest();
            assert_eq!((state(&world.objects[&key(0)]), world.turns), ((2, 2), 2 * turns), "and after it");
            // One of which it is not known what else it holds, wakes.
            world.change(&key(0), 3);
            world.deliver();
            world.serve(true);
            world.answer();
            world.rest();
            assert_eq!(world.turns, 2 * turns + 2);
        }
    }

    #[test]
    fn what_was_before_is_known_where_the_server_made_sure_of_it() {
        let version = json!({"metadata": {"resourceVersion": "7"}});
        let state = || Before::State("7".into());
        for (write, before) in [
            (Write::create_value(kind(), version.clone()), Before::Nothing),
            (Write::update_value(kind(), version.clone()), state()),
            (Write::update_value(kind(), json!({})), Before::Unknown),
            (Write::merge(key(0), version.clone()), state()),
            (Write::merge(key(0), json!({})), Before::Unknown),
            (Write::apply_value(key(0), version.clone()), state()),
            (Write::json(key(0), json!([])), Before::Unknown),
            (Write::delete(key(0)), Before::Unknown),
            (Write::create_subresource(key(0), "token", version), Before::Unknown),
        ] {
            assert_eq!(Before::of(&write), before, "{write}");
        }
    }
}
