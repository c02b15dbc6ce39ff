//! Triggers across kinds: a change of one object wakes those that use it.

use crate::{Event, Key, Kind, View};

/// "An object of this kind wakes the primary objects that use it", as an index over the primary kind says.
///
/// The index's values name what an object uses: by name, if that is cluster-scoped or in the user's own namespace; by
/// `namespace/name` if it is in any. All changes count, deletions included, so that an object may name what is not
/// there yet. What wakes a key by a trigger comes beside what [`wake`](crate::Observer::wake) yields. Callbacks, which
/// are told of each object itself, have no use for triggers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// The kind that is used.
    pub kind: Kind,
    /// The name of the index, over the primary kind, by what its objects use.
    pub index: &'static str,
}

impl Trigger {
    /// The primary objects that use the object of an event.
    pub(crate) fn users(&self, event: &Event, view: &View) -> Vec<Key> {
        let (key, Some(primary)) = (event.key(), view.primary()) else { return Vec::new() };
        if *key.kind() != self.kind {
            return Vec::new();
        }
        let table = view.kind(primary);
        let mut users = table.keys_by_index(self.index, key.name());
        if let Some(namespace) = key.namespace() {
            users.retain(|user| user.namespace() == Some(namespace));
            users.extend(table.keys_by_index(self.index, &format!("{namespace}/{}", key.name())));
        }
        users
    }
}
