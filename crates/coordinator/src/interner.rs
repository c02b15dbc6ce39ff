//! What many objects have in common, kept once: namespaces, label sets, owners.
//!
//! A thousand Pods of a ReplicaSet have one set of labels and one list of owners. What nobody uses any more is let go
//! when the tables have grown to twice what they were after the last time.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use crate::Owner;

/// A table is not looked through before it has so many entries.
const SWEEP_MIN: usize = 1024;

/// The labels of an object, ordered by name.
pub(crate) type Labels = [(Arc<str>, Arc<str>)];

/// The owners of an object, and their unique ids in the form in which indexes share them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Owners {
    pub(crate) list: Box<[Owner]>,
    pub(crate) uids: Box<[Arc<str>]>,
}

/// The tables of a feed.
#[derive(Default)]
pub(crate) struct Interner {
    texts: Table<str>,
    labels: Table<Labels>,
    owners: Table<Owners>,
}

impl Interner {
    pub(crate) fn text(&mut self, text: &str) -> Arc<str> {
        match self.texts.entries.get(text) {
            Some(known) => Arc::clone(known),
            None => self.texts.add(Arc::from(text)),
        }
    }

    /// Shares a set of labels. Labels that only one object has are not shared one by one.
    pub(crate) fn labels<'a>(&mut self, labels: impl Iterator<Item = (&'a str, &'a str)>) -> Arc<Labels> {
        let labels: Vec<(Arc<str>, Arc<str>)> =
            labels.map(|(name, value)| (self.text(name), self.text(value))).collect();
        match self.labels.entries.get(&labels[..]) {
            Some(known) => Arc::clone(known),
            None => self.labels.add(labels.into()),
        }
    }

    pub(crate) fn owners(&mut self, list: Vec<Owner>) -> Arc<Owners> {
        let uids = list.iter().map(|owner| self.text(owner.uid())).collect();
        let owners = Owners { list: list.into(), uids };
        match self.owners.entries.get(&owners) {
            Some(known) => Arc::clone(known),
            None => self.owners.add(Arc::new(owners)),
        }
    }
}

/// Never iterated but to let go.
struct Table<T: ?Sized> {
    entries: HashSet<Arc<T>>,
    sweep_at: usize,
}

impl<T: ?Sized> Default for Table<T> {
    fn default() -> Self {
        Self { entries: HashSet::new(), sweep_at: SWEEP_MIN }
    }
}

impl<T: ?Sized + Eq + Hash> Table<T> {
    fn add(&mut self, new: Arc<T>) -> Arc<T> {
        if self.entries.len() >= self.sweep_at {
            self.entries.retain(|entry| Arc::strong_count(entry) > 1);
            self.sweep_at = (self.entries.len() * 2).max(SWEEP_MIN);
        }
        self.entries.insert(Arc::clone(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_equal_is_kept_once() {
        let mut interner = Interner::default();
        let labels = [("app", "web"), ("tier", "front")];
        let (one, two) = (interner.labels(labels.into_iter()), interner.labels(labels.into_iter()));
        assert!(Arc::ptr_eq(&one, &two));
        assert!(!Arc::ptr_eq(&one, &interner.labels(labels.into_iter().take(1))));
        assert!(Arc::ptr_eq(&one[0].1, &interner.text("web")));
    }

    #[test]
    fn what_nobody_uses_any_more_is_let_go() {
        let mut interner = Interner::default();
        let kept = interner.text("kept");
        for number in 0..10 * SWEEP_MIN {
            interner.text(&number.to_string());
        }
        assert!(interner.texts.entries.len() <= SWEEP_MIN, "{}", interner.texts.entries.len());
        assert!(Arc::ptr_eq(&kept, &interner.text("kept")));
    }
}
