//! Typed events of observers for observers: whoever emits does not know who listens, and waits only for those who asked
//! to lose nothing.

use std::any::TypeId;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::Emission;
use crate::activity::Activity;

/// What becomes of emitted events while too many wait for a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// The oldest is lost.
    Loses { capacity: usize },
    /// Whoever emits waits until there is room.
    Waits { capacity: usize },
}

impl Default for Overflow {
    fn default() -> Self {
        Self::Loses { capacity: 1024 }
    }
}

/// Takes emitted events to those who subscribed to their type.
pub(crate) struct Bus {
    /// Never iterated; subscribers of a type are told in the order in which they subscribed.
    topics: Mutex<HashMap<TypeId, Vec<Arc<Letters>>>>,
    activity: Arc<Activity>,
}

/// The emitted events that wait for one subscriber.
pub(crate) struct Letters {
    queue: Mutex<Queue>,
    overflow: Overflow,
    pub(crate) signal: Notify,
    /// Notified when there is room, or will be no need of any.
    room: Notify,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Emission>,
    lost: u64,
    /// Nobody reads any more.
    closed: bool,
}

impl Bus {
    pub(crate) fn new(activity: Arc<Activity>) -> Self {
        Self { topics: Mutex::default(), activity }
    }

    pub(crate) fn subscribe(&self, type_id: TypeId, overflow: Overflow) -> Arc<Letters> {
        let queue = Mutex::default();
        let letters = Arc::new(Letters { queue, overflow, signal: Notify::new(), room: Notify::new() });
        self.topics.lock().entry(type_id).or_default().push(Arc::clone(&letters));
        letters
    }

    pub(crate) fn unsubscribe(&self, type_id: TypeId, letters: &Arc<Letters>) {
        if let Some(subscribers) = self.topics.lock().get_mut(&type_id) {
            subscribers.retain(|subscriber| !Arc::ptr_eq(subscriber, letters));
        }
        letters.queue.lock().closed = true;
        letters.room.notify_waiters();
    }

    /// Takes an event to all who subscribed to its type, once all of them have room that lose nothing.
    pub(crate) async fn emit(&self, event: &Emission) {
        for letters in self.subscribers(event) {
            letters.put(event).await;
            self.activity.bump();
        }
    }

    fn subscribers(&self, event: &Emission) -> Vec<Arc<Letters>> {
        self.topics.lock().get(&event.type_id()).cloned().unwrap_or_default()
    }
}

impl Letters {
    async fn put(&self, event: &Emission) {
        loop {
            let room = self.room.notified();
            let mut room = std::pin::pin!(room);
            room.as_mut().enable(); // before looking, so that no notification is missed
            if self.try_put(event) {
                return;
            }
            room.await;
        }
    }

    /// Queues an event; false if it must wait for room.
    fn try_put(&self, event: &Emission) -> bool {
        let mut queue = self.queue.lock();
        match self.overflow {
            _ if queue.closed => return true,
            Overflow::Waits { capacity } if queue.events.len() >= capacity => return false,
            Overflow::Loses { capacity } if queue.events.len() >= capacity => {
                queue.events.pop_front();
                queue.lost += 1;
            }
            Overflow::Waits { .. } | Overflow::Loses { .. } => {}
        }
        queue.events.push_back(event.clone());
        drop(queue);
        self.signal.notify_one();
        true
    }

    pub(crate) fn pop(&self) -> Option<Emission> {
        let event = self.queue.lock().events.pop_front();
        self.room.notify_waiters();
        event
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
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn events_go_to_the_subscribers_of_their_type_and_the_oldest_are_lost_first() {
        let bus = Bus::new(Arc::default());
        let numbers = bus.subscribe(TypeId::of::<usize>(), Overflow::Loses { capacity: 10 });
        let texts = bus.subscribe(TypeId::of::<String>(), Overflow::default());
        for number in 0..12_usize {
            bus.emit(&Emission::new(number)).await;
        }
        assert_eq!((numbers.len(), numbers.lost(), texts.len()), (10, 2, 0));
        assert_eq!(numbers.pop().and_then(|event| event.get::<usize>()).as_deref(), Some(&2));
        bus.unsubscribe(TypeId::of::<usize>(), &numbers);
        bus.emit(&Emission::new(0_usize)).await;
        assert_eq!(numbers.len(), 9);
    }

    #[tokio::test]
    async fn who_emits_waits_for_a_subscriber_that_loses_nothing_until_it_is_gone() {
        let bus = Bus::new(Arc::default());
        let numbers = bus.subscribe(TypeId::of::<usize>(), Overflow::Waits { capacity: 1 });
        let [first, second, third] = [1_usize, 2, 3].map(Emission::new);
        bus.emit(&first).await;
        let mut emitting = std::pin::pin!(bus.emit(&second));
        assert!(emitting.as_mut().now_or_never().is_none());
        numbers.pop();
        assert!(emitting.now_or_never().is_some());
        let mut emitting = std::pin::pin!(bus.emit(&third));
        assert!(emitting.as_mut().now_or_never().is_none());
        bus.unsubscribe(TypeId::of::<usize>(), &numbers);
        assert!(emitting.now_or_never().is_some());
        assert_eq!((numbers.len(), numbers.lost()), (1, 0));
    }
}
