//! Rules that hold for every coordinator, whatever goes wrong.

use std::collections::{BTreeMap, BTreeSet};

use super::{Invariant, Moment, Seen, Written};
use crate::Key;

mod replicas;

pub use replicas::{has_one_owner, sees_what_others_wrote, writes_only_what_it_serves};

/// Replica, observer and key.
type Place = (String, String, Key);

fn place(seen: &Seen<'_>, observer: &str, key: &Key) -> Place {
    (seen.replica.to_owned(), observer.to_owned(), key.clone())
}

/// A key is served only on a view that shows what serving it has written before.
///
/// It holds for observers and reconcilers, not for callbacks that want every change; and among replicas until the term ends
/// in which it was written: what one takes over it sees as the server has it then, without what was deleted meanwhile.
pub fn reads_own_writes() -> Invariant {
    let mut unseen: BTreeMap<Place, Written> = BTreeMap::new();
    Box::new(move |seen| {
        match &seen.moment {
            Moment::Started | Moment::Stopped => unseen.retain(|(replica, ..), _| replica != seen.replica),
            Moment::Dropped { observer } => {
                unseen.retain(|(replica, of, _), _| replica != seen.replica || of != observer);
            }
            Moment::Served { observer, key, written, .. } if !written.is_empty() => {
                unseen.insert(place(seen, observer, key), (*written).clone());
            }
            Moment::Serving { observer, key, view } => {
                if let Some(written) = unseen.remove(&place(seen, observer, key))
                    && !written.is_in(view)
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
            Moment::Dropped { observer } => {
                active.retain(|(replica, of, _)| replica != seen.replica || of != observer);
            }
            _ => {}
        }
        Ok(())
    })
}
