//! An observer's side of leadership: which keys it serves, and what it must do when that changes.
//!
//! An observer that comes to serve keys first sees all that others have written before: its watches must show at
//! least what the server has at that time.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::duty::{Duty, Serving};
use super::shards::Assignment;
use crate::feeds::Subscription;
use crate::runtime::Runtime;
use crate::{Clock, Key, ObserverSpec, idle};

/// Where an observer stands.
pub(crate) struct Post(Option<Stand>);

struct Stand {
    duty: Arc<Duty>,
    id: u64,
    /// The version of the assignment that it was told of last.
    seen: u64,
    /// The version acted on.
    version: u64,
    acting: Arc<Assignment>,
    /// What was served before, until the keys that were gained have been woken.
    gaining_from: Option<Arc<Assignment>>,
    /// The version that is caught up with.
    target: u64,
    catching_up: JoinSet<()>,
}

impl Post {
    pub(crate) fn new(runtime: &Runtime, spec: &ObserverSpec) -> Self {
        let duty = runtime.duty.as_ref().filter(|_| !spec.every_replica);
        Self(duty.map(|duty| Stand {
            duty: Arc::clone(duty),
            id: duty.add_post(),
            seen: duty.assignment().0,
            version: 0,
            acting: Arc::new(Assignment::Nothing),
            gaining_from: None,
            target: 0,
            catching_up: JoinSet::new(),
        }))
    }

    /// Completes when there may be something to [`act`](Self::act) on.
    pub(crate) async fn changed(&mut self) {
        let Some(stand) = &mut self.0 else { return std::future::pending().await };
        // Those who wait are woken in the order in which they came, so that a simulation can be repeated.
        let mut changed = std::pin::pin!(stand.duty.changed.notified());
        changed.as_mut().enable();
        if stand.duty.assignment().0 == stand.seen {
            tokio::select! {
                biased;
                Some(_) = stand.catching_up.join_next() => {}
                () = changed => {}
            }
        }
        stand.seen = stand.duty.assignment().0;
    }

    /// Acts on what has changed; whether all keys and all work must be dropped.
    pub(crate) fn act(
        &mut self,
        runtime: &Arc<Runtime>,
        subscriptions: &Arc<Vec<Arc<Subscription>>>,
    ) -> bool {
        let Some(stand) = &mut self.0 else { return false };
        let (version, assignment) = stand.duty.assignment();
        while stand.catching_up.try_join_next().is_some() {}
        if version == stand.version {
            return false;
        }
        if assignment.is_nothing() {
            stand.give_up();
            stand.target = version;
            stand.act_on(version, assignment);
            stand.gaining_from = None;
            return true;
        }
        if stand.target != version {
            stand.target = version;
            stand.give_up();
            let (runtime, subscriptions) = (Arc::clone(runtime), Arc::clone(subscriptions));
            stand.catching_up.spawn(async move { idle::see_all(&runtime, &subscriptions).await });
            if version != stand.version + 1 {
                // Keys may have come and gone unseen: it starts over.
                stand.acting = Arc::new(Assignment::Nothing);
                return true;
            }
        } else if stand.catching_up.is_empty() {
            let before = match stand.gaining_from {
                // What came before has not been woken yet, and may have gone and come back: all of it is woken.
                Some(_) => Arc::new(Assignment::Nothing),
                None => Arc::clone(&stand.acting),
            };
            stand.act_on(version, assignment);
            stand.gaining_from = Some(before);
        }
        false
    }

    /// Whether it has work that waits for nothing but others.
    pub(crate) fn is_busy(&self) -> bool {
        self.0.as_ref().is_some_and(|stand| !stand.catching_up.is_empty() || stand.gaining_from.is_some())
    }

    /// What it waits for before it serves anything.
    pub(crate) fn waits_for(&self) -> Option<String> {
        let stand = self.0.as_ref().filter(|stand| stand.acting.is_nothing())?;
        let lease = stand.duty.status().lease;
        Some(if stand.catching_up.is_empty() {
            format!("the lease {lease}")
        } else {
            "what was written before it came to serve".to_owned()
        })
    }

    /// Whether it serves a key.
    pub(crate) fn serves(&self, key: &Key) -> bool {
        self.0.as_ref().is_none_or(|stand| stand.acting.serves(key))
    }

    /// Whether there are keys to be woken because it has come to serve them.
    pub(crate) fn has_gained(&self) -> bool {
        self.0.as_ref().is_some_and(|stand| stand.gaining_from.is_some())
    }

    /// Which keys these are: all that it has come to serve since the last time it was asked.
    pub(crate) fn take_gained(&mut self) -> impl Fn(&Key) -> bool + use<> {
        let gained =
            self.0.as_mut().and_then(|stand| Some((stand.gaining_from.take()?, Arc::clone(&stand.acting))));
        move |key| gained.as_ref().is_some_and(|(before, now)| now.serves(key) && !before.serves(key))
    }

    /// Begins to serve a key; none if it is another's to serve.
    pub(crate) fn begin(&self, key: &Key, clock: &dyn Clock) -> Option<Serving> {
        match &self.0 {
            None => Some(Serving::unlimited()),
            Some(stand) if stand.acting.serves(key) => stand.duty.serve(Some(key), clock),
            Some(_) => None,
        }
    }
}

impl Stand {
    fn give_up(&mut self) {
        self.catching_up.abort_all();
        self.catching_up.detach_all();
    }

    fn act_on(&mut self, version: u64, assignment: Arc<Assignment>) {
        self.version = version;
        self.acting = assignment;
        self.duty.acted(self.id, version);
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.duty.remove_post(self.id);
    }
}
