//! What a callback is still to be told of each object.

use std::collections::{HashMap, VecDeque};

use crate::pending::Pending;
use crate::{Delivery, Event, Key};

/// Events by key: one coalesced change of each object for levels, every change in order for edges.
pub(crate) struct Payloads {
    /// Never iterated.
    waiting: HashMap<Key, Payload>,
    /// What is being told: put back if that fails.
    told: HashMap<Key, Payload>,
    count: usize,
    delivery: Delivery,
}

enum Payload {
    Level(Pending),
    Edges(VecDeque<Event>),
}

impl Payload {
    /// From a level to edges, or back.
    fn convert(&mut self) {
        let converted = match self {
            Self::Level(pending) => Some(Self::Edges(pending.clone().into_events().collect())),
            Self::Edges(events) => {
                let mut events = events.drain(..);
                events.next().map(|first| {
                    let mut pending = Pending::new(first);
                    events.for_each(|event| pending.merge(event));
                    Self::Level(pending)
                })
            }
        };
        if let Some(converted) = converted {
            *self = converted;
        }
    }
}

impl Payloads {
    pub(crate) fn new(delivery: Delivery) -> Self {
        Self { waiting: HashMap::new(), told: HashMap::new(), count: 0, delivery }
    }

    /// Goes on in another way; what waits is kept.
    pub(crate) fn deliver_as(&mut self, delivery: Delivery) {
        let levels = |delivery| matches!(delivery, Delivery::Levels);
        if levels(self.delivery) != levels(delivery) {
            for payload in self.waiting.values_mut().chain(self.told.values_mut()) {
                payload.convert();
            }
        }
        self.delivery = delivery;
        let count = |payload: &Payload| if let Payload::Edges(events) = payload { events.len() } else { 0 };
        self.count = self.waiting.values().chain(self.told.values()).map(count).sum();
    }

    /// Whether more may be taken in.
    pub(crate) fn has_room(&self) -> bool {
        match self.delivery {
            Delivery::Levels => true,
            Delivery::Edges { capacity } => self.count < capacity,
        }
    }

    pub(crate) fn push(&mut self, event: Event) {
        match (self.waiting.get_mut(event.key()), self.delivery) {
            (Some(Payload::Level(pending)), _) => pending.merge(event),
            (Some(Payload::Edges(events)), _) => {
                self.count += 1;
                events.push_back(event);
            }
            (None, delivery) => {
                let key = event.key().clone();
                let payload = match delivery {
                    Delivery::Levels => Payload::Level(Pending::new(event)),
                    Delivery::Edges { .. } => {
                        self.count += 1;
                        Payload::Edges(VecDeque::from([event]))
                    }
                };
                self.waiting.insert(key, payload);
            }
        }
    }

    /// What to tell of an object next: one change.
    pub(crate) fn take(&mut self, key: &Key) -> Vec<Event> {
        match self.waiting.remove(key) {
            None => Vec::new(),
            Some(Payload::Level(pending)) => {
                self.told.insert(key.clone(), Payload::Level(pending.clone()));
                pending.into_events().collect()
            }
            Some(Payload::Edges(mut events)) => {
                let first = events.pop_front();
                if !events.is_empty() {
                    self.waiting.insert(key.clone(), Payload::Edges(events));
                }
                self.told.insert(key.clone(), Payload::Edges(first.iter().cloned().collect()));
                first.into_iter().collect()
            }
        }
    }

    /// What was taken has been told; whether there is more to tell of the object.
    pub(crate) fn told(&mut self, key: &Key) -> bool {
        if let Some(Payload::Edges(events)) = self.told.remove(key) {
            self.count = self.count.saturating_sub(events.len());
        }
        self.waiting.contains_key(key)
    }

    /// What was taken could not be told: it is to be told again, before all else of the object.
    pub(crate) fn put_back(&mut self, key: &Key) {
        let Some(told) = self.told.remove(key) else { return };
        let payload = match (told, self.waiting.remove(key)) {
            (Payload::Level(told), Some(Payload::Level(later))) => Payload::Level(told.followed_by(later)),
            (Payload::Edges(mut told), Some(Payload::Edges(later))) => {
                told.extend(later);
                Payload::Edges(told)
            }
            (told, _) => told,
        };
        self.waiting.insert(key.clone(), payload);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Kind, Object};

    fn object(version: u64) -> Object {
        let metadata =
            json!({"namespace": "ns", "name": "web", "uid": "a", "resourceVersion": version.to_string()});
        Object::from_value(&Kind::named("", "v1", "Pod", "pods"), &json!({ "metadata": metadata })).unwrap()
    }

    fn modified(old: u64, new: u64) -> Event {
        Event::Modified { old: object(old), new: object(new) }
    }

    fn versions(events: &[Event]) -> Vec<&str> {
        events.iter().map(|event| event.object().resource_version()).collect()
    }

    #[test]
    fn levels_coalesce_while_edges_wait_and_make_no_room_until_they_are_told() {
        let key = object(1).key().clone();
        for (delivery, told) in
            [(Delivery::Levels, vec!["3"]), (Delivery::Edges { capacity: 2 }, vec!["2", "3"])]
        {
            let mut payloads = Payloads::new(delivery);
            payloads.push(modified(1, 2));
            assert!(payloads.has_room());
            payloads.push(modified(2, 3));
            assert_eq!(payloads.has_room(), delivery == Delivery::Levels);
            for version in told {
                assert_eq!(versions(&payloads.take(&key)), [version]);
                payloads.told(&key);
            }
            assert!(payloads.take(&key).is_empty() && payloads.has_room());
        }
    }

    #[test]
    fn what_waits_is_kept_when_it_is_to_be_delivered_otherwise() {
        let key = object(1).key().clone();
        let mut payloads = Payloads::new(Delivery::Edges { capacity: 2 });
        (1..4).for_each(|version| payloads.push(modified(version, version + 1)));
        assert_eq!(versions(&payloads.take(&key)), ["2"]);
        payloads.deliver_as(Delivery::Levels);
        payloads.put_back(&key);
        let events = payloads.take(&key);
        assert_eq!((versions(&events), events[0].old().unwrap().resource_version()), (vec!["4"], "1"));
        payloads.deliver_as(Delivery::Edges { capacity: 1 });
        assert!(!payloads.has_room());
        payloads.told(&key);
        assert!(payloads.has_room() && payloads.take(&key).is_empty());
    }
}
