//! Rules that hold for every coordinator, whatever goes wrong.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::{Invariant, Moment, Seen, Written};
use crate::Key;
use crate::freshness::HOLD_MAX;

/// Replica, observer and key.
type Place = (String, String, Key);

fn place(seen: &Seen<'_>, observer: &str, key: &Key) -> Place {
    (seen.replica.to_owned(), observer.to_owned(), key.clone())
}

/// A key is served only on a view that shows what serving it has written before, or 30 seconds later.
///
/// It holds for observers and reconcilers, not for callbacks that want every change.
pub fn reads_own_writes() -> Invariant {
    let mut unseen: BTreeMap<Place, (Timestamp, Written)> = BTreeMap::new();
    let patience = SignedDuration::try_from(HOLD_MAX).unwrap_or(SignedDuration::MAX);
    Box::new(move |seen| {
        match &seen.moment {
            Moment::Started | Moment::Stopped => unseen.retain(|(replica, ..), _| replica != seen.replica),
            Moment::Served { observer, key, written, .. } if !written.is_empty() => {
                unseen.insert(place(seen, observer, key), (seen.at, (*written).clone()));
            }
            Moment::Serving { observer, key, view } => {
                if let Some((at, written)) = unseen.remove(&place(seen, observer, key))
                    && !written.is_in(view)
                    && seen.at.duration_since(at) < patience
                {
                    return Err(format!("{observer} plans {key} on a view older than its own writes"));
                }
            }
            _ => {}
        }
        Ok(())
    })
}

/// No key of an observer is served twice at the same time in one replica.
pub fn serves_one_at_a_time() -> Invariant {
    let mut active: BTreeSet<Place> = BTreeSet::new();
    Box::new(move |seen| {
        match &seen.moment {
            Moment::Started | Moment::Stopped => active.retain(|(replica, ..)| replica != seen.replica),
            Moment::Serving { observer, key, .. } if !active.insert(place(seen, observer, key)) => {
                return Err(format!("{observer} serves {key} twice at once"));
            }
            Moment::Served { observer, key, .. } => drop(active.remove(&place(seen, observer, key))),
            _ => {}
        }
        Ok(())
    })
}

/// No key of an observer is served by two replicas at the same time: for replicas that share their work.
pub fn has_one_owner() -> Invariant {
    let mut active: BTreeMap<(String, Key), String> = BTreeMap::new();
    Box::new(move |seen| {
        match &seen.moment {
            Moment::Started | Moment::Stopped => active.retain(|_, replica| replica != seen.replica),
            Moment::Serving { observer, key, .. } => {
                let owner = active.insert(((*observer).to_owned(), (*key).clone()), seen.replica.to_owned());
                if let Some(owner) = owner.filter(|owner| owner != seen.replica) {
                    return Err(format!("{observer} serves {key} while {owner} does"));
                }
            }
            Moment::Served { observer, key, .. } => {
                let key = ((*observer).to_owned(), (*key).clone());
                if active.get(&key).is_some_and(|owner| owner == seen.replica) {
                    active.remove(&key);
                }
            }
            _ => {}
        }
        Ok(())
    })
}
