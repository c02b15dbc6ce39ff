//! Scaling of a Deployment whose rollout is under way, or is paused: all its ReplicaSets in proportion.

use super::annotations::{desired_replicas, max_replicas};
use super::fenceposts::Fenceposts;
use super::sets::Set;

/// Scales the ReplicaSets to the size of the Deployment without hastening the rollout. `total` is how many replicas the
/// Deployment has at present.
pub(crate) fn scale(sets: &mut [Set], newest: Option<usize>, fenceposts: Fenceposts, total: i32) {
    if let Some(only) = active_or_latest(sets, newest) {
        // Also where its size is right already: as long as it is noted for another size, the Deployment is taken to be scaled,
        // and never rolled out.
        sets[only].scale(fenceposts.replicas, fenceposts);
        return;
    }
    if newest.is_some_and(|newest| is_saturated(&sets[newest], fenceposts)) {
        for (place, set) in sets.iter_mut().enumerate() {
            if Some(place) != newest {
                set.scale_if_needed(0, fenceposts);
            }
        }
        return;
    }
    if fenceposts.rolling {
        scale_in_proportion(sets, fenceposts, total);
    }
}

/// The only ReplicaSet that has replicas, or the latest if none has.
fn active_or_latest(sets: &[Set], newest: Option<usize>) -> Option<usize> {
    let mut active = (0..sets.len()).filter(|place| sets[*place].is_active());
    match (active.next(), active.next()) {
        (Some(only), None) => Some(only),
        (Some(_), Some(_)) => None,
        (None, _) => newest.or_else(|| (0..sets.len()).max_by_key(|place| sets[*place].age_order())),
    }
}

/// Whether a ReplicaSet has all the replicas, and the Deployment believes so too.
fn is_saturated(set: &Set, fenceposts: Fenceposts) -> bool {
    set.replicas() == fenceposts.replicas
        && desired_replicas(&set.object) == Some(fenceposts.replicas)
        && set.available() == fenceposts.replicas
}

fn scale_in_proportion(sets: &mut [Set], fenceposts: Fenceposts, total: i32) {
    let mut places: Vec<usize> = (0..sets.len()).filter(|place| sets[*place].is_active()).collect();
    let allowed = if fenceposts.replicas > 0 { fenceposts.max_total() } else { 0 };
    let to_add = allowed - places.iter().map(|place| sets[*place].replicas()).sum::<i32>();
    places.sort_by_cached_key(|place| sets[*place].size_order());
    if to_add > 0 {
        // Of equal ones the newer first.
        places.sort_by(|one, other| {
            let by_size = sets[*other].replicas().cmp(&sets[*one].replicas());
            by_size.then_with(|| sets[*other].age_order().cmp(&sets[*one].age_order()))
        });
    }
    let mut added = 0;
    let mut sizes: Vec<i32> = Vec::with_capacity(places.len());
    for place in &places {
        let share = proportion(&sets[*place], fenceposts, total, to_add, added);
        sizes.push(sets[*place].replicas() + share);
        added += share;
    }
    if let Some(largest) = sizes.first_mut() {
        *largest = (*largest + to_add - added).max(0);
    }
    for (place, size) in places.into_iter().zip(sizes) {
        sets[place].scale(size, fenceposts);
    }
}

/// How many of `to_add` replicas (negative: to remove) a ReplicaSet gets when `added` of them are gone already.
fn proportion(set: &Set, fenceposts: Fenceposts, total: i32, to_add: i32, added: i32) -> i32 {
    if set.replicas() == 0 || to_add == 0 || to_add == added {
        return 0;
    }
    let share = fraction(set, fenceposts, total);
    let left = to_add - added;
    if to_add > 0 { share.min(left) } else { share.max(left) }
}

fn fraction(set: &Set, fenceposts: Fenceposts, total: i32) -> i32 {
    if fenceposts.replicas == 0 {
        return -set.replicas();
    }
    let max_before = max_replicas(&set.object).filter(|max| *max != 0).unwrap_or(total);
    if max_before == 0 {
        return 0; // somebody removed the annotation, and no Pods can be made
    }
    let size = f64::from(set.replicas()) * f64::from(fenceposts.max_total()) / f64::from(max_before);
    size.round() as i32 - set.replicas()
}
