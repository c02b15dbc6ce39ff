//! What observers are told: an object was added, modified or deleted.

use serde::de::DeserializeOwned;

use crate::{DecodeError, Key, Kind, Object};

/// A change of one object as an observer sees it: from the state it was last told of to the state now.
///
/// Levels coalesce: an observer that was busy sees one `Modified` for many changes. A snapshot is told as `Added`,
/// and so is an object that comes to match the observer's selectors; one that ceases to match is `Deleted`.
/// `T` is [`Object`] as dispatched, or a typed object in callbacks.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<T = Object> {
    /// The object is new to the observer.
    Added(T),
    /// The object changed.
    Modified {
        /// The state the observer was last told of.
        old: T,
        /// The state now. It is the same object: the unique id has not changed.
        new: T,
    },
    /// The object is gone; its last state.
    Deleted(T),
}

impl<T> Event<T> {
    /// The state now, or the last one if the object is gone.
    pub fn object(&self) -> &T {
        match self {
            Self::Added(object) | Self::Deleted(object) | Self::Modified { new: object, .. } => object,
        }
    }

    /// The state the observer was told of before this event.
    pub fn old(&self) -> Option<&T> {
        match self {
            Self::Added(_) => None,
            Self::Modified { old, .. } | Self::Deleted(old) => Some(old),
        }
    }

    /// The state now; none if the object is gone.
    #[expect(clippy::new_ret_no_self, reason = "the counterpart of old")]
    pub fn new(&self) -> Option<&T> {
        match self {
            Self::Added(new) | Self::Modified { new, .. } => Some(new),
            Self::Deleted(_) => None,
        }
    }

    /// Whether the object is gone.
    pub fn is_deleted(&self) -> bool {
        matches!(self, Self::Deleted(_))
    }

    /// Old state, where there is one, and new state, where there is one.
    pub fn states(&self) -> impl Iterator<Item = &T> {
        self.old().into_iter().chain(self.new())
    }
}

impl Event {
    /// The object's key.
    pub fn key(&self) -> &Key {
        self.object().key()
    }

    /// The object's kind.
    pub fn kind(&self) -> &Kind {
        self.object().kind()
    }

    /// Keys of the owners of kind `owner`, before and after the change: "wake the owner".
    ///
    /// With `controller_only`, of those that are the controller. An owner of a namespaced object is in the same namespace,
    /// unless its kind is [known](Kind::is_namespaced) to be in none.
    pub fn owner_keys(&self, owner: &Kind, controller_only: bool) -> Vec<Key> {
        let mut keys = Vec::new();
        let is_namespaced = owner.is_namespaced() != Some(false);
        for object in self.states() {
            let namespace = object.namespace().filter(|_| is_namespaced);
            let owners = object.owners().iter();
            for reference in owners.filter(|reference| reference.is_controller() || !controller_only) {
                if owner.names(reference.api_version(), reference.kind()) {
                    let key = Key::of_kind(owner.clone(), namespace, reference.name());
                    if !keys.contains(&key) {
                        keys.push(key);
                    }
                }
            }
        }
        keys
    }

    /// Keys of the controllers of kind `owner`, before and after the change.
    pub fn controller_keys(&self, owner: &Kind) -> Vec<Key> {
        self.owner_keys(owner, true)
    }

    /// The same event with decoded objects.
    pub fn decode<K: DeserializeOwned>(&self) -> Result<Event<K>, DecodeError> {
        Ok(match self {
            Self::Added(object) => Event::Added(object.decode()?),
            Self::Modified { old, new } => Event::Modified { old: old.decode()?, new: new.decode()? },
            Self::Deleted(object) => Event::Deleted(object.decode()?),
        })
    }
}
