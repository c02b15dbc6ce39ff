//! Keeping an observer's declared indexes as events are told.

use std::collections::HashMap;
use std::sync::Arc;

use crate::interner::Interner;
use crate::view::Tables;
use crate::{Event, Index, Key};

/// The indexes of one observer, and which values each object had, so that they can be taken back.
pub(crate) struct Indexing(Vec<Kept>);

struct Kept {
    index: Index,
    /// Never iterated.
    values: HashMap<Key, Box<[Arc<str>]>>,
    /// A value that many objects have is kept once.
    interner: Interner,
}

impl Indexing {
    pub(crate) fn new(indexes: &[Index]) -> Self {
        Self(
            indexes
                .iter()
                .map(|index| Kept {
                    index: index.clone(),
                    values: HashMap::new(),
                    interner: Interner::default(),
                })
                .collect(),
        )
    }

    /// Takes an event into the index tables.
    pub(crate) fn update(&mut self, tables: &mut Tables, event: &Event) {
        for Kept { index, values, interner } in
            self.0.iter_mut().filter(|kept| kept.index.kind() == event.kind())
        {
            let Some(kind) = tables.kinds.iter_mut().find(|kind| kind.kind == *event.kind()) else {
                continue;
            };
            let Some((_, table)) =
                Arc::make_mut(kind).indexes.iter_mut().find(|(name, _)| *name == index.name())
            else {
                continue;
            };
            for value in values.remove(event.key()).into_iter().flatten() {
                table.remove(event.object(), value);
            }
            let Some(new) = event.new() else { continue };
            let found = index.values(new);
            if !found.is_empty() {
                let found: Box<[Arc<str>]> = found.iter().map(|value| interner.text(value)).collect();
                for value in &found {
                    table.add(new, Arc::clone(value));
                }
                values.insert(event.key().clone(), found);
            }
        }
    }
}
