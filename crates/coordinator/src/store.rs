//! The states of objects of one watch, as a value: a snapshot is a clone, and costs nothing.
//!
//! All maps are persistent (structure is shared between clones), so that readers hold what they took for as long as
//! they like, and nobody waits for anybody.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::{Event, Object};

/// The objects of one watch at one moment, ordered by namespace and name, with an index by owner.
#[derive(Clone, Default)]
pub(crate) struct Snapshot {
    /// By namespace ("" for cluster-scoped objects), then by name.
    objects: OrdMap<Arc<str>, OrdMap<Arc<str>, Object>>,
    owners: Entries,
    count: usize,
    /// The highest resource version seen: of events, bookmarks and lists.
    position: u64,
    /// The highest resource version at which anything changed.
    changed_at: u64,
}

/// Value, namespace and name: an index without a bucket per value.
type Entries = OrdSet<(Arc<str>, Arc<str>, Arc<str>)>;

impl Snapshot {
    /// Takes in the state of an object that exists, and tells what changed: nothing if this state is known, or shows
    /// nothing new of what is kept.
    pub(crate) fn apply(&mut self, new: Object, mut tell: impl FnMut(Event)) {
        self.advance(new.resource_version());
        self.changed_at = self.position;
        let old = self.insert(new.clone());
        match old {
            None => tell(Event::Added(new)),
            Some(old) if old.uid() != new.uid() => {
                tell(Event::Deleted(old));
                tell(Event::Added(new));
            }
            Some(old) if old.is_same_state(&new) || new.shows_the_same_as(&old) => {}
            Some(old) => tell(Event::Modified { old, new }),
        }
    }

    /// Takes in that an object is gone; `last` is its last state.
    pub(crate) fn delete(&mut self, last: Object, mut tell: impl FnMut(Event)) {
        self.advance(last.resource_version());
        self.changed_at = self.position;
        if self.remove(&last).is_some() {
            tell(Event::Deleted(last));
        }
    }

    /// Adds an object of a list that is being read: as `known` has it, if it has this very state.
    pub(crate) fn collect(&mut self, new: Object, known: Option<&Self>) {
        let known = known.and_then(|known| known.get(new.namespace(), new.name()));
        let same = known.filter(|known| known.is_same_state(&new)).cloned();
        self.insert(same.unwrap_or(new));
    }

    /// Puts an object in the place of one that is the same but for its form, if that is still there.
    pub(crate) fn exchange(&mut self, old: &Object, new: Object) {
        if self.get(old.namespace(), old.name()).is_some_and(|now| now.is(old)) {
            self.insert(new);
        }
    }

    /// Takes an object off a list that is being read.
    pub(crate) fn uncollect(&mut self, gone: &Object) {
        self.remove(gone);
    }

    /// Takes in a whole list, and tells only what differs, deletions included.
    pub(crate) fn replace(&mut self, mut list: Self, resource_version: &str, mut tell: impl FnMut(Event)) {
        for old in self.iter() {
            if list.get(old.namespace(), old.name()).is_none_or(|new| new.uid() != old.uid()) {
                tell(Event::Deleted(old.clone()));
            }
        }
        for new in list.iter() {
            match self.get(new.namespace(), new.name()).filter(|old| old.uid() == new.uid()) {
                None => tell(Event::Added(new.clone())),
                Some(old) if old.is_same_state(new) || new.shows_the_same_as(old) => {}
                Some(old) => tell(Event::Modified { old: old.clone(), new: new.clone() }),
            }
        }
        list.position = self.position;
        list.advance(resource_version);
        list.changed_at = list.position;
        *self = list;
    }

    /// Takes in that everything up to this resource version has been seen.
    pub(crate) fn advance(&mut self, resource_version: &str) {
        self.position = self.position.max(parse_version(resource_version).unwrap_or(0));
    }

    /// The highest resource version seen. A write whose version is at most this has been seen, because a watch tells
    /// the changes of a kind in order.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Whether these are the same states as `other`'s: nothing changed in either that the other has not seen.
    pub(crate) fn has_caught_up_with(&self, other: &Self) -> bool {
        self.changed_at <= other.changed_at && other.changed_at <= self.position
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn get(&self, namespace: Option<&str>, name: &str) -> Option<&Object> {
        self.objects.get(namespace.unwrap_or_default())?.get(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Object> {
        self.objects.values().flat_map(OrdMap::values)
    }

    pub(crate) fn in_namespace(&self, namespace: &str) -> impl Iterator<Item = &Object> {
        self.objects.get(namespace).into_iter().flat_map(OrdMap::values)
    }

    /// The objects that have an owner with this unique id.
    pub(crate) fn owned_by(&self, uid: &str) -> impl Iterator<Item = &Object> {
        find(&self.owners, uid).filter_map(|(namespace, name)| self.get(Some(namespace), name))
    }

    fn insert(&mut self, new: Object) -> Option<Object> {
        let (namespace, name) = (new.key().shared_namespace(), new.key().shared_name());
        if !self.objects.contains_key(&namespace) {
            self.objects.insert(Arc::clone(&namespace), OrdMap::new());
        }
        let old = self.objects.get_mut(&namespace)?.insert(name, new.clone());
        match &old {
            None => self.count += 1,
            Some(old) if old.has_owners_of(&new) => return Some(old.clone()),
            Some(old) => self.forget_owners(old),
        }
        for uid in new.owner_uids() {
            let (namespace, name) = (new.key().shared_namespace(), new.key().shared_name());
            self.owners.insert((Arc::clone(uid), namespace, name));
        }
        old
    }

    fn remove(&mut self, object: &Object) -> Option<Object> {
        let namespace = object.key().shared_namespace();
        let names = self.objects.get_mut(&namespace)?;
        let old = names.remove(object.name())?;
        if names.is_empty() {
            self.objects.remove(&namespace);
        }
        self.forget_owners(&old);
        self.count -= 1;
        Some(old)
    }

    fn forget_owners(&mut self, object: &Object) {
        for uid in object.owner_uids() {
            let (namespace, name) = (object.key().shared_namespace(), object.key().shared_name());
            self.owners.remove(&(Arc::clone(uid), namespace, name));
        }
    }
}

/// A declared index: which objects have which values. Belongs to one observer.
#[derive(Clone, Default)]
pub(crate) struct IndexTable {
    entries: Entries,
}

impl IndexTable {
    pub(crate) fn add(&mut self, object: &Object, value: Arc<str>) {
        self.entries.insert((value, object.key().shared_namespace(), object.key().shared_name()));
    }

    pub(crate) fn remove(&mut self, object: &Object, value: Arc<str>) {
        self.entries.remove(&(value, object.key().shared_namespace(), object.key().shared_name()));
    }

    /// Namespaces and names of the objects with this value, in order.
    pub(crate) fn find(&self, value: &str) -> impl Iterator<Item = (&str, &str)> {
        find(&self.entries, value)
    }
}

fn find<'a>(entries: &'a Entries, value: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let value: Arc<str> = Arc::from(value);
    let first = (Arc::clone(&value), Arc::from(""), Arc::from(""));
    entries
        .range(first..)
        .take_while(move |entry| entry.0 == value)
        .map(|(_, namespace, name)| (&**namespace, &**name))
}

/// The number that a resource version is; Kubernetes compares them as such. Servers with others are not ordered.
pub(crate) fn parse_version(resource_version: &str) -> Option<u64> {
    resource_version.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Kind;

    fn pod(name: &str, uid: &str, version: u64, owner: Option<&str>) -> Object {
        let owners: Vec<_> = owner
            .map(|uid| json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": uid}))
            .into_iter()
            .collect();
        let metadata = json!({
            "namespace": "ns", "name": name, "uid": uid, "resourceVersion": version.to_string(),
            "ownerReferences": owners,
        });
        Object::from_value(&Kind::named("", "v1", "Pod", "pods"), &json!({ "metadata": metadata })).unwrap()
    }

    fn names<'a>(objects: impl Iterator<Item = &'a Object>) -> Vec<&'a str> {
        objects.map(Object::name).collect()
    }

    fn list(objects: impl IntoIterator<Item = Object>) -> Snapshot {
        let mut list = Snapshot::default();
        objects.into_iter().for_each(|object| list.collect(object, None));
        list
    }

    #[test]
    fn a_list_keeps_the_objects_that_are_known() {
        let mut snapshot = Snapshot::default();
        snapshot.apply(pod("a", "1", 1, None), |_| {});
        snapshot.apply(pod("b", "2", 2, None), |_| {});
        let known = snapshot.get(Some("ns"), "a").unwrap().clone();
        let mut next = Snapshot::default();
        next.collect(pod("a", "1", 1, None), Some(&snapshot));
        next.collect(pod("b", "2", 3, None), Some(&snapshot));
        next.collect(pod("c", "3", 4, None), Some(&snapshot));
        next.uncollect(&pod("c", "3", 5, None));
        let mut told = Vec::new();
        snapshot.replace(next, "5", |event| told.push(event.object().resource_version().to_owned()));
        assert_eq!((told, snapshot.len()), (vec!["3".to_owned()], 2));
        assert!(
            std::ptr::eq(known.uid(), snapshot.get(Some("ns"), "a").unwrap().uid()),
            "the same, not its like"
        );
    }

    #[test]
    fn the_index_by_owner_follows_changes_deletions_and_lists() {
        let mut snapshot = Snapshot::default();
        snapshot.apply(pod("a", "1", 1, Some("x")), |_| {});
        snapshot.apply(pod("b", "2", 2, Some("x")), |_| {});
        assert_eq!(names(snapshot.owned_by("x")), ["a", "b"]);
        snapshot.apply(pod("a", "1", 3, Some("y")), |_| {});
        assert_eq!((names(snapshot.owned_by("x")), names(snapshot.owned_by("y"))), (vec!["b"], vec!["a"]));
        assert_eq!(snapshot.owners.len(), 2);
        snapshot.delete(pod("b", "2", 4, Some("x")), |_| {});
        snapshot.apply(pod("a", "1", 5, None), |_| {});
        assert!(snapshot.owners.is_empty());
        snapshot.replace(list([pod("c", "3", 6, Some("x"))]), "7", |_| {});
        assert_eq!((names(snapshot.owned_by("x")), snapshot.len(), snapshot.position()), (vec!["c"], 1, 7));
    }

    #[test]
    fn an_object_of_another_uid_is_another_object() {
        let mut snapshot = Snapshot::default();
        snapshot.apply(pod("a", "1", 1, None), |_| {});
        let mut told = Vec::new();
        snapshot.apply(pod("a", "2", 2, None), |event| told.push(event));
        assert!(
            matches!(&told[..], [Event::Deleted(old), Event::Added(new)] if old.uid() == "1" && new.uid() == "2")
        );
        told.clear();
        snapshot.apply(pod("a", "2", 2, None), |event| told.push(event));
        assert!(told.is_empty(), "a state that is known");
    }

    #[test]
    fn a_snapshot_never_changes() {
        let mut snapshot = Snapshot::default();
        snapshot.apply(pod("a", "1", 1, Some("x")), |_| {});
        let taken = snapshot.clone();
        snapshot.delete(pod("a", "1", 2, Some("x")), |_| {});
        snapshot.apply(pod("b", "2", 3, None), |_| {});
        assert_eq!((names(taken.iter()), names(taken.owned_by("x"))), (vec!["a"], vec!["a"]));
        assert_eq!(names(snapshot.iter()), ["b"]);
    }
}
