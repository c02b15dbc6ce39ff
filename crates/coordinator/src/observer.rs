//! The two forms of an observer that work by key: the pure one, and the one that cannot be pure.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{BoxError, Context, Event, Key, Object, ObserverSpec, Plan, Priority, View, WriteError};

/// An observer in two pure parts: which keys an event concerns, and what to do about a key.
///
/// Both are functions of their arguments alone: no I/O, no clock but [`View::now`], no chance. The coordinator
/// executes the plans, so that the same observer runs live, dry and in simulation. A panic in either restarts this
/// observer alone.
pub trait Observer: Send + Sync + 'static {
    /// What it is, as data. Asked once, when it is added.
    fn spec(&self) -> ObserverSpec;

    /// The keys to serve because of this event. A key need not exist, nor be of a watched kind.
    ///
    /// `view` has the event applied already. The default is [`default_wake`]: an object of the primary kind wakes
    /// itself, any other its controller if that is of the primary kind.
    fn wake(&self, event: &Event, view: &View) -> Vec<Key> {
        default_wake(event, view)
    }

    /// How urgent it is to serve a key that `event` wakes; all the same by default. See [`Priority`].
    fn priority(&self, key: &Key, event: &Event, view: &View) -> Priority {
        let _ = (key, event, view);
        Priority::Normal
    }

    /// What to do about a key, given what the cluster looks like. Called again whenever the key is woken, so that it
    /// plans from what is there (levels), not from what happened (edges).
    ///
    /// The view never is older than the last plan's writes for this key, see [`Freshness`](crate::Freshness).
    /// An error is a retry with back-off.
    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError>;

    /// What to clean up because `object` is being deleted, or [needs](ObserverSpec::finalizes_only) the observer no more;
    /// asked instead of [`plan`](Self::plan) if its spec names a [finalizer](ObserverSpec::finalizer) and the object has
    /// it.
    ///
    /// When all steps have succeeded, the coordinator takes the finalizer off; not if the plan
    /// [keeps it](Plan::keep_finalizer) or wishes to be made again later, and then this is asked again. The default is an
    /// error, so that an observer that names a finalizer and forgets this lets no object go unseen.
    fn finalize(&self, key: &Key, object: &Object, view: &View) -> Result<Plan, BoxError> {
        let _ = (object, view);
        Err(format!("the observer names a finalizer but does not implement finalize, for {key}").into())
    }

    /// What to do because a write of the plan for `key`, which was made on `view`, failed: the server refused it, or
    /// its answer was lost. For what has to be said of it, in Events or in a status; nothing by default.
    ///
    /// The answer is executed at once; should a write of it fail too, that is not asked about again. In any case the key
    /// counts as failed and is planned anew after its back-off. Not asked by a dry run, where nothing is refused.
    fn refused(&self, key: &Key, view: &View, error: &WriteError) -> Result<Plan, BoxError> {
        let _ = (key, view, error);
        Ok(Plan::new())
    }
}

impl dyn Observer {
    /// What the coordinator does about a key: what [`plan`](Observer::plan) or [`finalize`](Observer::finalize) says, with
    /// the finalizer added or removed, and without applies of what the view shows to be applied. For tests and rule cases.
    pub fn planned(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        crate::planning::plan(self, &self.spec(), key, view)
    }
}

impl<T: Observer + ?Sized> Observer for Arc<T> {
    fn spec(&self) -> ObserverSpec {
        (**self).spec()
    }

    fn wake(&self, event: &Event, view: &View) -> Vec<Key> {
        (**self).wake(event, view)
    }

    fn priority(&self, key: &Key, event: &Event, view: &View) -> Priority {
        (**self).priority(key, event, view)
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        (**self).plan(key, view)
    }

    fn finalize(&self, key: &Key, object: &Object, view: &View) -> Result<Plan, BoxError> {
        (**self).finalize(key, object, view)
    }

    fn refused(&self, key: &Key, view: &View, error: &WriteError) -> Result<Plan, BoxError> {
        (**self).refused(key, view, error)
    }
}

impl<T: Observer + ?Sized> Observer for Box<T> {
    fn spec(&self) -> ObserverSpec {
        (**self).spec()
    }

    fn wake(&self, event: &Event, view: &View) -> Vec<Key> {
        (**self).wake(event, view)
    }

    fn priority(&self, key: &Key, event: &Event, view: &View) -> Priority {
        (**self).priority(key, event, view)
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        (**self).plan(key, view)
    }

    fn finalize(&self, key: &Key, object: &Object, view: &View) -> Result<Plan, BoxError> {
        (**self).finalize(key, object, view)
    }

    fn refused(&self, key: &Key, view: &View, error: &WriteError) -> Result<Plan, BoxError> {
        (**self).refused(key, view, error)
    }
}

impl<T: Observer + ?Sized> Observer for &'static T {
    fn spec(&self) -> ObserverSpec {
        (**self).spec()
    }

    fn wake(&self, event: &Event, view: &View) -> Vec<Key> {
        (**self).wake(event, view)
    }

    fn priority(&self, key: &Key, event: &Event, view: &View) -> Priority {
        (**self).priority(key, event, view)
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        (**self).plan(key, view)
    }

    fn finalize(&self, key: &Key, object: &Object, view: &View) -> Result<Plan, BoxError> {
        (**self).finalize(key, object, view)
    }

    fn refused(&self, key: &Key, view: &View, error: &WriteError) -> Result<Plan, BoxError> {
        (**self).refused(key, view, error)
    }
}

/// An observer that cannot be pure, because it speaks with something besides the API server.
///
/// Everything else is as for an [`Observer`]; writes go through [`Context::write`] or [`Context::execute`], so that
/// they too are seen before the key is served again.
#[async_trait]
pub trait Reconciler: Send + Sync + 'static {
    /// What it is, as data. Asked once, when it is added.
    fn spec(&self) -> ObserverSpec;

    /// The keys to serve because of this event, see [`Observer::wake`].
    fn wake(&self, event: &Event, view: &View) -> Vec<Key> {
        default_wake(event, view)
    }

    /// How urgent it is to serve a key that `event` wakes; all the same by default. See [`Priority`].
    fn priority(&self, key: &Key, event: &Event, view: &View) -> Priority {
        let _ = (key, event, view);
        Priority::Normal
    }

    /// Serves a key. It is dropped at its next `await` when the coordinator shuts down, and when it takes
    /// longer than [`hangs_after`](ObserverSpec::hangs_after) allows.
    async fn reconcile(&self, key: &Key, cx: &Context) -> Result<Action, BoxError>;

    /// Cleans up because `object` is being deleted, or needs it no more, see [`Observer::finalize`]. The finalizer is added
    /// before the first `reconcile` of an object that [needs it](ObserverSpec::finalizes_only), and taken off when this returns [`Action::done`]; with [`Action::after`] or
    /// [`Action::keep_finalizer`] it stays, and this is called again.
    async fn finalize(&self, key: &Key, object: &Object, cx: &Context) -> Result<Action, BoxError> {
        let _ = (object, cx);
        Err(format!("the reconciler names a finalizer but does not implement finalize, for {key}").into())
    }
}

/// When to serve a key again, if nothing else wakes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Action {
    pub(crate) requeue_after: Option<Duration>,
    pub(crate) keeps_finalizer: bool,
}

impl Action {
    /// When something wakes it.
    pub fn done() -> Self {
        Self::default()
    }

    /// After `delay`, whatever happens until then.
    pub fn after(delay: Duration) -> Self {
        Self { requeue_after: Some(delay), ..Self::default() }
    }

    /// When something wakes it; a finalizer stays until then, because what was begun has not ended yet.
    pub fn keep_finalizer() -> Self {
        Self { keeps_finalizer: true, ..Self::default() }
    }
}

/// What a callback may return: nothing, an [`Action`], or a result of either.
pub trait IntoAction {
    /// The action, or why it failed.
    fn into_action(self) -> Result<Action, BoxError>;
}

impl IntoAction for () {
    fn into_action(self) -> Result<Action, BoxError> {
        Ok(Action::done())
    }
}

impl IntoAction for Action {
    fn into_action(self) -> Result<Action, BoxError> {
        Ok(self)
    }
}

impl<T: IntoAction, E: Into<BoxError>> IntoAction for Result<T, E> {
    fn into_action(self) -> Result<Action, BoxError> {
        self.map_err(Into::into).and_then(IntoAction::into_action)
    }
}

/// The keys that events wake by default: an object of the primary kind wakes itself, any other its controller, before
/// and after the change, if that is of the primary kind.
///
/// A controller is looked for in the namespace of the object, or in none if its kind is cluster-scoped. Of a kind known at
/// run time that is [stated](crate::Kind::cluster_scoped), or seen by the objects that there are of it.
pub fn default_wake(event: &Event, view: &View) -> Vec<Key> {
    match view.primary() {
        Some(primary) if primary != event.kind() => event.controller_keys(&view.scoped(primary)),
        _ => vec![event.key().clone()],
    }
}
