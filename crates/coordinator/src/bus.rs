//! Typed events of observers for observers: whoever emits does not know who listens, and never waits for them.

use std::any::TypeId;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::Emission;
use crate::activity::Activity;

/// How many emitted events wait for one subscriber at most; then the oldest is lost.
const CAPACITY: usize = 1024;

/// Takes emitted events to those who subscribed to their type.
pub(crate) struct Bus {
    /// Never iterated; subscribers of a type are told in the order in which they subscribed.
    topics: Mutex<HashMap<TypeId, Vec<Arc<Letters>>>>,
    activity: Arc<Activity>,
}

/// The emitted events that wait for one subscriber.
#[derive(Default)]
pub(crate) struct Letters {
    queue: Mutex<Queue>,
    pub(crate) signal: Notify,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Emission>,
    lost: u64,
}

impl Bus {
    pub(crate) fn new(activity: Arc<Activity>) -> Self {
        Self { topics: Mutex::default(), activity }
    }

    pub(crate) fn subscribe(&self, type_id: TypeId) -> Arc<Letters> {
        let letters = Arc::new(Letters::default());
        self.topics.lock().entry(type_id).or_default().push(Arc::clone(&letters));
        letters
    }

    pub(crate) fn unsubscribe(&self, type_id: TypeId, letters: &Arc<Letters>) {
        if let Some(subscribers) = self.topics.lock().get_mut(&type_id) {
            subscribers.retain(|subscriber| !Arc::ptr_eq(subscriber, letters));
        }
    }

    pub(crate) fn emit(&self, event: &Emission) {
        if let Some(subscribers) = self.topics.lock().get(&event.type_id()) {
            for letters in subscribers {
                letters.push(event.clone());
            }
        }
        self.activity.bump();
    }
}

impl Letters {
    fn push(&self, event: Emission) {
        let mut queue = self.queue.lock();
        if queue.events.len() >= CAPACITY {
            queue.events.pop_front();
            queue.lost += 1;
        }
        queue.events.push_back(event);
        drop(queue);
        self.signal.notify_one();
    }

    pub(crate) fn pop(&self) -> Option<Emission> {
        self.queue.lock().events.pop_front()
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.lock().events.len()
    }

    /// How many were lost so far.
    pub(crate) fn lost(&self) -> u64 {
        self.queue.lock().lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_go_to_the_subscribers_of_their_type_and_the_oldest_are_lost_first() {
        let bus = Bus::new(Arc::default());
        let numbers = bus.subscribe(TypeId::of::<usize>());
        let texts = bus.subscribe(TypeId::of::<String>());
        (0..CAPACITY + 2).for_each(|number| bus.emit(&Emission::new(number)));
        assert_eq!((numbers.len(), numbers.lost(), texts.len()), (CAPACITY, 2, 0));
        assert_eq!(numbers.pop().and_then(|event| event.get::<usize>()).as_deref(), Some(&2));
        bus.unsubscribe(TypeId::of::<usize>(), &numbers);
        bus.emit(&Emission::new(0_usize));
        assert_eq!(numbers.len(), CAPACITY - 1);
    }
}
