//! Coalescing: what is left to tell of an object of which much has happened.

use std::collections::{HashMap, VecDeque};

use crate::{Event, Key, Object};

/// From the state an observer was last told of to the state now, whatever happened in between.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    /// The state last told; none if the object was never told of.
    told: Option<Object>,
    last: Object,
    exists: bool,
}

impl Pending {
    pub(crate) fn new(event: Event) -> Self {
        match event {
            Event::Added(new) => Self { told: None, last: new, exists: true },
            Event::Modified { old, new } => Self { told: Some(old), last: new, exists: true },
            Event::Deleted(last) => Self { told: Some(last.clone()), last, exists: false },
        }
    }

    /// Takes in what happened next.
    pub(crate) fn merge(&mut self, event: Event) {
        self.exists = !event.is_deleted();
        self.last = event.object().clone();
    }

    /// Takes in what is pending since.
    pub(crate) fn followed_by(mut self, later: Self) -> Self {
        self.exists = later.exists;
        self.last = later.last;
        self
    }

    /// What to tell, at most two events. An object that came and went unseen is told as deleted: the observer may have
    /// created it and wait for it.
    pub(crate) fn into_events(self) -> impl Iterator<Item = Event> {
        let Self { told, last, exists } = self;
        let end = |last| if exists { Event::Added(last) } else { Event::Deleted(last) };
        let (first, second) = match told {
            None => (None, Some(end(last))),
            // A deletion alone, or a modification that was undone by one.
            Some(old) if old.is_same_state(&last) && !exists => (None, Some(Event::Deleted(last))),
            Some(old) if old.uid() != last.uid() => (Some(Event::Deleted(old)), Some(end(last))),
            Some(old) => {
                let deleted = (!exists).then(|| Event::Deleted(last.clone()));
                (Some(Event::Modified { old, new: last }), deleted)
            }
        };
        first.into_iter().chain(second)
    }
}

/// Makes the last event show the state `now` where that shows nothing new, so that its version is one that can be
/// written to: such a state is not told.
pub(crate) fn refresh(events: &mut [Event], now: Option<&Object>) {
    if let (Some(Event::Added(last) | Event::Modified { new: last, .. }), Some(now)) =
        (events.last_mut(), now)
        && last.uid() == now.uid()
        && now.shows_the_same_as(last)
    {
        *last = now.clone();
    }
}

/// Pending changes of many objects, in the order in which each first changed. Bounded by the number of objects.
#[derive(Default)]
pub(crate) struct PendingSet {
    order: VecDeque<Key>,
    /// Never iterated.
    changes: HashMap<Key, Pending>,
}

impl PendingSet {
    pub(crate) fn push(&mut self, event: Event) {
        if let Some(pending) = self.changes.get_mut(event.key()) {
            pending.merge(event);
        } else {
            self.order.push_back(event.key().clone());
            self.changes.insert(event.key().clone(), Pending::new(event));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(crate) fn take(&mut self) -> Vec<Event> {
        let mut changes = std::mem::take(&mut self.changes);
        let order = std::mem::take(&mut self.order);
        order.iter().filter_map(|key| changes.remove(key)).flat_map(Pending::into_events).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Kind;

    fn object(uid: &str, version: u64) -> Object {
        let metadata =
            json!({"namespace": "ns", "name": "web", "uid": uid, "resourceVersion": version.to_string()});
        Object::from_value(&Kind::named("", "v1", "Pod", "pods"), &json!({ "metadata": metadata })).unwrap()
    }

    fn added(uid: &str, version: u64) -> Event {
        Event::Added(object(uid, version))
    }

    fn modified(uid: &str, old: u64, new: u64) -> Event {
        Event::Modified { old: object(uid, old), new: object(uid, new) }
    }

    fn deleted(uid: &str, version: u64) -> Event {
        Event::Deleted(object(uid, version))
    }

    #[track_caller]
    fn check(events: impl IntoIterator<Item = Event>, told: &[&str]) {
        let mut set = PendingSet::default();
        events.into_iter().for_each(|event| set.push(event));
        let describe = |event: Event| {
            let state = |object: &Object| format!("{}{}", object.uid(), object.resource_version());
            match event {
                Event::Added(new) => format!("added {}", state(&new)),
                Event::Modified { old, new } => format!("modified {} {}", state(&old), state(&new)),
                Event::Deleted(last) => format!("deleted {}", state(&last)),
            }
        };
        assert_eq!(set.take().into_iter().map(describe).collect::<Vec<_>>(), told);
        assert!(set.is_empty());
    }

    #[test]
    fn newer_states_replace_older_ones() {
        check([added("a", 1), modified("a", 1, 2), modified("a", 2, 3)], &["added a3"]);
        check([modified("a", 1, 2), modified("a", 2, 3)], &["modified a1 a3"]);
    }

    #[test]
    fn deletions_carry_the_last_state() {
        check([deleted("a", 2)], &["deleted a2"]);
        check([modified("a", 1, 2), deleted("a", 3)], &["modified a1 a3", "deleted a3"]);
        check([added("a", 1), deleted("a", 2)], &["deleted a2"]);
    }

    #[test]
    fn an_object_replaced_under_its_name_is_deleted_and_added() {
        check([deleted("a", 2), added("b", 3)], &["deleted a2", "added b3"]);
        check([modified("a", 1, 2), deleted("a", 2), added("b", 3)], &["deleted a1", "added b3"]);
        check([deleted("a", 2), added("b", 3), deleted("b", 4)], &["deleted a2", "deleted b4"]);
    }

    #[test]
    fn an_object_that_left_a_selector_and_came_back_is_modified() {
        check([deleted("a", 2), added("a", 3)], &["modified a2 a3"]);
    }

    #[test]
    fn an_event_has_the_version_that_is_there_now() {
        let owned = |version: u64, phase: &str| {
            let metadata = json!({
                "name": "web", "uid": "u", "resourceVersion": version.to_string(), "managedFields": [{"f": version}],
            });
            let json = json!({"metadata": metadata, "status": phase}).to_string();
            let kind = Kind::named("", "v1", "Pod", "pods");
            crate::parser::Parser::new(kind, crate::Detail::whole()).parse(json.as_bytes()).unwrap()
        };
        for (now, shown) in [(owned(3, "a"), "3"), (owned(3, "b"), "2")] {
            let mut events = [Event::Modified { old: owned(1, "c"), new: owned(2, "a") }];
            refresh(&mut events, Some(&now));
            assert_eq!(events[0].object().resource_version(), shown);
        }
    }

    #[test]
    fn objects_are_told_in_the_order_in_which_they_first_changed() {
        let named = |name: &str, version: u64| {
            let metadata = json!({"name": name, "uid": name, "resourceVersion": version.to_string()});
            let kind = Kind::named("", "v1", "Node", "nodes");
            Event::Added(Object::from_value(&kind, &json!({ "metadata": metadata })).unwrap())
        };
        let mut set = PendingSet::default();
        for (name, version) in [("b", 1), ("a", 2), ("b", 3), ("c", 4)] {
            set.push(named(name, version));
        }
        let told = set.take();
        assert_eq!(told.iter().map(|event| event.key().name()).collect::<Vec<_>>(), ["b", "a", "c"]);
    }
}
