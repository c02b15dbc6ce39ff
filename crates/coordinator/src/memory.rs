//! What an observer keeps of a key between its plans: a value that a [`Plan`] states and the next [`View`] shows.
//!
//! So an observer has no state of its own, and its parts stay functions of their arguments. The coordinator keeps the
//! value, in memory only: it is for telling people more than the objects alone could tell (which keys of a ConfigMap have
//! changed), never for deciding. It is gone after a restart, on another replica, and in a dry run; what must last belongs
//! in the cluster, in an annotation or a status.
//!
//! It is bounded by what there is: one value for each key whose object the observer sees.

use std::any::{Any, type_name};
use std::fmt;
use std::sync::Arc;

use crate::counting::Kept;
use crate::{Plan, View};

/// A value of any type. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Memory {
    type_name: &'static str,
    value: Arc<dyn Any + Send + Sync>,
}

impl Memory {
    fn new<T: Send + Sync + 'static>(value: T) -> Self {
        Self { type_name: type_name::<T>(), value: Arc::new(value) }
    }

    fn get<T: 'static>(&self) -> Option<&T> {
        self.value.downcast_ref()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.type_name)
    }
}

impl Plan {
    /// Keeps a value for the next plan of this key, which finds it by [`View::remembered`]; once all steps have succeeded.
    /// A plan that remembers nothing forgets what was there. For telling people more, never for deciding:
    /// it is lost at a restart, and when the object of the key goes; a key whose object is not in view keeps nothing.
    ///
    /// ```
    /// use xebec_coordinator::Plan;
    ///
    /// let mut plan = Plan::new();
    /// plan.remember(3_usize);
    /// assert_eq!(plan.remembers::<usize>(), Some(&3));
    /// assert!(plan.is_empty(), "there is nothing to do");
    /// ```
    pub fn remember<T: Send + Sync + 'static>(&mut self, value: T) -> &mut Self {
        self.kept.memory = Some(Memory::new(value));
        self
    }

    /// What it keeps for the next plan, if that is a `T`.
    pub fn remembers<T: 'static>(&self) -> Option<&T> {
        self.kept.memory.as_ref()?.get()
    }

    /// Keeps what was kept when the view was taken, and counts nothing: it is executed instead of the observer's plan.
    pub(crate) fn remember_as_before(&mut self, view: &View) {
        self.kept.clone_from(&view.kept);
    }
}

impl View {
    /// What the last plan for the key [remembered](Plan::remember), if that is a `T`. In `plan`, `finalize` and `refused`;
    /// `wake` is about no key yet, and is shown nothing.
    pub fn remembered<T: 'static>(&self) -> Option<&T> {
        self.kept.memory.as_ref()?.get()
    }

    /// The view, for what is planned after this plan: with what it remembered. For tests.
    #[must_use]
    pub fn with_memory_of(mut self, plan: &Plan) -> Self {
        self.kept.clone_from(&plan.kept);
        self
    }

    pub(crate) fn with_kept(mut self, kept: Kept) -> Self {
        self.kept = kept;
        self
    }
}
