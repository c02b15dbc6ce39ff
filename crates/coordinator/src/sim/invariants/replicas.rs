//! Rules for replicas that share their work: each key is one replica's, and only that one writes for it.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ConfigMap;

use crate::Key;
use crate::sim::{Duty, Invariant, Moment, Seen, Written};

/// How many keys that nobody has seen are asked for as well.
const UNSEEN: usize = 16;

/// What each replica may do, as it believes itself.
#[derive(Default)]
struct Beliefs {
    duties: BTreeMap<String, Duty>,
    paused: BTreeSet<String>,
}

impl Beliefs {
    fn take_in(&mut self, seen: &Seen<'_>) {
        match &seen.moment {
            Moment::Started | Moment::Stopped => drop(self.duties.remove(seen.replica)),
            Moment::Assigned { duty } => drop(self.duties.insert(seen.replica.to_owned(), (*duty).clone())),
            Moment::Paused => drop(self.paused.insert(seen.replica.to_owned())),
            Moment::Resumed => drop(self.paused.remove(seen.replica)),
            _ => {}
        }
    }

    /// Whether a replica believes that it may serve a key.
    fn may_serve(&self, replica: &str, key: &Key) -> bool {
        let duty = self.duties.get(replica).filter(|_| !self.paused.contains(replica));
        duty.is_some_and(|duty| duty.may_serve(key))
    }

    /// Another replica that believes that it may.
    fn rival(&self, replica: &str, key: &Key) -> Option<&str> {
        let mut others = self.duties.keys().filter(|other| *other != replica);
        others.find(|other| self.may_serve(other, key)).map(String::as_str)
    }
}

/// No key of an observer is served, or may be, by two replicas at the same time: for replicas that share their work.
///
/// Whenever what a replica may serve changes, and whenever it goes on after a pause, it is asked for all keys whether it
/// may serve them, by its own clock; and so are all others, and whether they are at work on them. What a replica that
/// stands still was at, another may serve when the first has lost its lease. When that goes on, it is judged by what it
/// writes: see [`writes_only_what_it_serves`].
pub fn has_one_owner() -> Invariant {
    let mut beliefs = Beliefs::default();
    let mut active: BTreeMap<(String, Key), String> = BTreeMap::new();
    let mut interrupted: Vec<((String, Key), String)> = Vec::new();
    let unseen = |number| Key::new::<ConfigMap>(format!("unseen-{number}").as_str(), "any");
    let mut keys: BTreeSet<Key> = (0..UNSEEN).map(unseen).collect();
    Box::new(move |seen| {
        beliefs.take_in(seen);
        match &seen.moment {
            Moment::Started | Moment::Stopped => {
                active.retain(|_, replica| replica != seen.replica);
                interrupted.retain(|(_, replica)| replica != seen.replica);
            }
            Moment::Paused => {
                interrupted.extend(active.extract_if(.., |_, replica| replica == seen.replica));
            }
            Moment::Resumed => {
                let own: Vec<_> =
                    interrupted.extract_if(.., |(_, replica)| replica == seen.replica).collect();
                active.extend(own.into_iter().filter(|((_, key), _)| beliefs.may_serve(seen.replica, key)));
            }
            Moment::Serving { observer, key, .. } => {
                if !keys.contains(*key) {
                    keys.insert((*key).clone());
                }
                let owner = active.insert(((*observer).to_owned(), (*key).clone()), seen.replica.to_owned());
                if let Some(owner) = owner.filter(|owner| owner != seen.replica) {
                    return Err(format!("{observer} serves {key} while {owner} does"));
                }
            }
            Moment::Dropped { observer } => {
                active.retain(|(of, _), replica| replica != seen.replica || of != observer);
            }
            Moment::Served { observer, key, .. } => {
                let key = ((*observer).to_owned(), (*key).clone());
                if active.get(&key).is_some_and(|owner| owner == seen.replica) {
                    active.remove(&key);
                }
            }
            _ => {}
        }
        if !matches!(seen.moment, Moment::Assigned { .. } | Moment::Resumed) {
            return Ok(());
        }
        for key in keys.iter().filter(|key| beliefs.may_serve(seen.replica, key)) {
            if let Some(rival) = beliefs.rival(seen.replica, key) {
                return Err(format!("it may serve {key}, and so may {rival}"));
            }
        }
        let others = active.iter().filter(|(_, replica)| *replica != seen.replica);
        for ((observer, key), replica) in others {
            if beliefs.may_serve(seen.replica, key) {
                return Err(format!("it may serve {key} while {observer} of {replica} is at it"));
            }
        }
        Ok(())
    })
}

/// The server has no write of a replica after another has begun, or may begin, to serve what it is about: for replicas
/// that share their work. Judged at the server, where the write comes and where it is answered; Leases and Kubernetes
/// Events apart.
///
/// `share` yields a key that is served where the objects of a namespace are, or those of none: any key of that namespace
/// with [`Sharding::by_namespace`](crate::Sharding::by_namespace), any at all with an [`Election`](crate::Election).
pub fn writes_only_what_it_serves(share: impl Fn(Option<&str>) -> Key + Send + 'static) -> Invariant {
    let mut beliefs = Beliefs::default();
    let mut serving: BTreeMap<Key, String> = BTreeMap::new();
    Box::new(move |seen| {
        beliefs.take_in(seen);
        match &seen.moment {
            Moment::Serving { key, .. } => {
                serving.insert(share(key.namespace()), seen.replica.to_owned());
            }
            // Refused, it has not happened.
            Moment::Received { answered: Some(400..=499), .. } => {}
            Moment::Received { method, path, .. } => {
                let (namespace, resource) = place_of(path);
                if ["leases", "events"].contains(&resource) {
                    return Ok(());
                }
                let key = share(namespace);
                if let Some(owner) = serving.get(&key).filter(|owner| *owner != seen.replica) {
                    return Err(format!("{method} {path} while {owner} serves"));
                }
                if let Some(rival) = beliefs.rival(seen.replica, &key) {
                    return Err(format!("{method} {path} while {rival} may serve"));
                }
            }
            _ => {}
        }
        Ok(())
    })
}

/// A key is served only on a view that shows what other replicas wrote when they served it: for replicas that share their
/// work.
pub fn sees_what_others_wrote() -> Invariant {
    let mut written: BTreeMap<(String, Key), (String, Written)> = BTreeMap::new();
    Box::new(move |seen| {
        match &seen.moment {
            Moment::Served { observer, key, written: by_it, .. } if !by_it.is_empty() => {
                let key = ((*observer).to_owned(), (*key).clone());
                written.insert(key, (seen.replica.to_owned(), (*by_it).clone()));
            }
            Moment::Serving { observer, key, view } => {
                let last = written.get(&((*observer).to_owned(), (*key).clone()));
                if let Some((replica, by_it)) = last.filter(|(replica, _)| replica != seen.replica)
                    && !by_it.is_in(view)
                {
                    return Err(format!(
                        "{observer} plans {key} on a view older than what {replica} wrote for it"
                    ));
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
    use std::sync::Arc;

    use jiff::Timestamp;

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
            writes_only_what_it_serves(|namespace| Key::new::<ConfigMap>(namespace, "any")),
        );
        let mut holds = |replica: &str, moment: Moment<'_>| {
            let seen = Seen { replica, at, moment };
            (owner(&seen).is_ok(), writes(&seen).is_ok())
        };
        let key = Key::new::<ConfigMap>("town", "a");
        let view = crate::View::new(Arc::default(), at);
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
