//! One observer going on in the place of another of its name: what it keeps, and what it must be told.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::actor::End;
use crate::feeds::{Feeds, Subscription};
use crate::view::Tables;
use crate::wire::Wanted;
use crate::{Event, Key, Object, ObserverSpec};

/// What an observer takes over from the one before it.
pub(crate) struct Inheritance {
    /// What that one had been told of.
    pub(crate) told: Arc<Tables>,
    /// It is another observer, and must be told of everything.
    pub(crate) again: bool,
}

impl Inheritance {
    /// What the successor must be told to go on from what its predecessor knew: `there` is what its new watches show,
    /// `all` is everything that it sees. What it does not see any more counts as deleted.
    pub(crate) fn what_to_tell(self, there: Vec<Event>, all: Vec<Event>, now: &Tables) -> Vec<Event> {
        let kinds = self.told.kinds.iter().filter(|kind| now.kinds.iter().any(|seen| seen.kind == kind.kind));
        let known = kinds.flat_map(|kind| &kind.slices).flat_map(|slice| slice.snapshot.iter());
        let mut events: Vec<Event> = known
            .filter(|known| find(now, known.key()).is_none())
            .map(|known| Event::Deleted(known.clone()))
            .collect();
        if self.again {
            events.extend(all);
            return events;
        }
        for event in there {
            let (new, known) = (event.object(), find(&self.told, event.key()));
            match known {
                None => events.push(event),
                Some(old) if old.uid() != new.uid() => {
                    events.push(Event::Deleted(old.clone()));
                    events.push(event);
                }
                Some(old) if old.resource_version() == new.resource_version() => {}
                Some(old) => events.push(Event::Modified { old: old.clone(), new: new.clone() }),
            }
        }
        events
    }
}

fn find<'t>(tables: &'t Tables, key: &Key) -> Option<&'t Object> {
    let kind = tables.kinds.iter().find(|kind| kind.kind == *key.kind())?;
    kind.slices.iter().find_map(|slice| slice.snapshot.get(key.namespace(), key.name()))
}

/// Subscribes to what a spec watches, in its order; what is among the `known` subscriptions is kept.
pub(crate) fn subscribe(
    spec: &ObserverSpec,
    known: Option<&Vec<Arc<Subscription>>>,
    feeds: &Arc<Feeds>,
    signal: &Arc<Notify>,
) -> Vec<Arc<Subscription>> {
    let kept = |wanted: &Wanted| known?.iter().find(|known| known.is_for(wanted)).map(Arc::clone);
    let subscribe = |wanted: Wanted| {
        kept(&wanted).unwrap_or_else(|| Arc::new(feeds.subscribe(wanted, spec.delivery, Arc::clone(signal))))
    };
    Wanted::all(&spec.watches).into_iter().map(subscribe).collect()
}

/// Goes on with what has been taken of the subscriptions that are kept.
pub(crate) fn keep_taken(ends: &mut [End], before: Vec<End>) {
    for known in before {
        let same = |end: &&mut End| Arc::ptr_eq(&end.subscription, &known.subscription);
        if let Some(end) = ends.iter_mut().find(same) {
            *end = known;
        }
    }
}

/// Goes on with what was seen of the watches that are kept.
pub(crate) fn keep_snapshots(tables: &mut Tables, ends: &[End], before: &Tables) {
    let kinds = tables.kinds.iter_mut().map(Arc::make_mut);
    let slices = kinds.flat_map(|kind| kind.slices.iter_mut());
    for (slice, _) in slices.zip(ends).filter(|(_, end)| !end.fresh) {
        let mut known = before.kinds.iter().flat_map(|kind| &kind.slices);
        if let Some(known) = known.find(|known| known.source == slice.source) {
            slice.snapshot = known.snapshot.clone();
        }
    }
}
