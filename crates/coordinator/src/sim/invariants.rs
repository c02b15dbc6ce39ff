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
///
/// What a replica that stands still was at, another may serve when the first has lost its lease. When that goes on, it is
/// judged by what it writes: see [`writes_only_what_it_serves`].
pub fn has_one_owner() -> Invariant {
    let mut active: BTreeMap<(String, Key), String> = BTreeMap::new();
    let mut paused: BTreeSet<String> = BTreeSet::new();
    Box::new(move |seen| {
        match &seen.moment {
            Moment::Started | Moment::Stopped => active.retain(|_, replica| replica != seen.replica),
            Moment::Paused => drop(paused.insert(seen.replica.to_owned())),
            Moment::Resumed => drop(paused.remove(seen.replica)),
            Moment::Serving { observer, key, .. } => {
                let owner = active.insert(((*observer).to_owned(), (*key).clone()), seen.replica.to_owned());
                if let Some(owner) = owner.filter(|owner| owner != seen.replica && !paused.contains(owner)) {
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

/// The server has no write of a replica after another has begun to serve what it is about: for replicas that share their
/// work. Judged at the server, where the write comes and where it is answered; Leases and Kubernetes Events apart.
///
/// `share` says which objects of a namespace, or of none, go together: by their namespace with
/// [`Sharding::by_namespace`](crate::Sharding::by_namespace), all with an [`Election`](crate::Election).
pub fn writes_only_what_it_serves(share: impl Fn(Option<&str>) -> String + Send + 'static) -> Invariant {
    let mut serving: BTreeMap<String, String> = BTreeMap::new();
    Box::new(move |seen| {
        match &seen.moment {
            Moment::Serving { key, .. } => {
                serving.insert(share(key.namespace()), seen.replica.to_owned());
            }
            // Refused, it has not happened.
            Moment::Received { answered: Some(400..=499), .. } => {}
            Moment::Received { method, path, .. } => {
                let (namespace, resource) = place_of(path);
                let owner = serving.get(&share(namespace)).filter(|owner| *owner != seen.replica);
                if let Some(owner) = owner.filter(|_| !["leases", "events"].contains(&resource)) {
                    return Err(format!("{method} {path} while {owner} serves"));
                }
            }
            _ => {}
        }
        Ok(())
    })
}

/// The namespace and the resource in a path of the Kubernetes API.
fn place_of(path: &str) -> (Option<&str>, &str) {
    let mut parts = path.trim_matches('/').split('/');
    // The group, if it has one, and the version.
    let skipped = if parts.next() == Some("api") { 1 } else { 2 };
    let parts: Vec<&str> = parts.skip(skipped).collect();
    match *parts {
        ["namespaces", namespace, resource, ..] => (Some(namespace), resource),
        [resource, ..] => (None, resource),
        [] => (None, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_what_it_is_about() {
        for (path, namespace, resource) in [
            ("/api/v1/namespaces/town/configmaps/a", Some("town"), "configmaps"),
            ("/apis/apps/v1/namespaces/town/deployments/web/scale", Some("town"), "deployments"),
            ("/apis/coordination.k8s.io/v1/namespaces/town/leases", Some("town"), "leases"),
            ("/api/v1/nodes/one", None, "nodes"),
            ("/api/v1/namespaces", None, "namespaces"),
            ("/", None, ""),
        ] {
            assert_eq!(place_of(path), (namespace, resource), "{path}");
        }
    }

    #[test]
    fn who_is_paused_may_be_succeeded_but_not_write_afterwards() {
        let at = Timestamp::UNIX_EPOCH;
        let (mut owner, mut writes) = (
            has_one_owner(),
            writes_only_what_it_serves(|namespace| namespace.unwrap_or_default().to_owned()),
        );
        let mut holds = |replica: &str, moment: Moment<'_>| {
            let seen = Seen { replica, at, moment };
            (owner(&seen).is_ok(), writes(&seen).is_ok())
        };
        let key = Key::new::<k8s_openapi::api::core::v1::ConfigMap>("town", "a");
        let view = crate::View::new(std::sync::Arc::default(), at);
        let serving = || Moment::Serving { observer: "copy", key: &key, view: &view };
        let received = |path, answered| Moment::Received { method: "PUT", path, answered };
        let map = "/api/v1/namespaces/town/configmaps/a";
        assert_eq!(holds("a", serving()), (true, true));
        assert_eq!(holds("a", received(map, None)), (true, true));
        assert_eq!(holds("a", Moment::Paused), (true, true));
        assert_eq!(holds("b", serving()), (true, true));
        assert_eq!(holds("a", Moment::Resumed), (true, true));
        for (path, answered, is_right) in [
            (map, None, false),
            (map, Some(200), false),
            (map, Some(409), true),
            (map, Some(504), false),
            ("/apis/coordination.k8s.io/v1/namespaces/town/leases/a", Some(200), true),
            ("/api/v1/namespaces/village/configmaps/a", Some(200), true),
        ] {
            assert_eq!(holds("a", received(path, answered)), (true, is_right), "{path} {answered:?}");
        }
        assert_eq!(holds("a", serving()), (false, true));
    }
}
