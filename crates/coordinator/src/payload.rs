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

impl Payloads {
    pub(crate) fn new(delivery: Delivery) -> Self {
        Self { waiting: HashMap::new(), told: HashMap::new(), count: 0, delivery }
    }

    /// Whether more may be taken in.
    pub(crate) fn has_room(&self) -> bool {
        match self.delivery {
            Delivery::Levels => true,
            Delivery::Edges { capacity } => self.count < capacity,
        }
    }

    pub(crate) fn push(&mut self, event: Event) {
        self.count += 1;
        match (self.waiting.get_mut(event.key()), self.delivery) {
            (Some(Payload::Level(pending)), _) => pending.merge(event),
            (Some(Payload::Edges(events)), _) => events.push_back(event),
            (None, delivery) => {
                let key = event.key().clone();
                let payload = match delivery {
                    Delivery::Levels => Payload::Level(Pending::new(event)),
                    Delivery::Edges { .. } => Payload::Edges(VecDeque::from([event])),
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
