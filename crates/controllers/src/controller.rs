//! What a controller is: an observer that also knows what to report when the server refuses one of its writes.

use async_trait::async_trait;
use kube::Resource;
use serde::Serialize;
use xebec_coordinator::{
    Action, BoxError, Context, Event, Key, Observer, ObserverSpec, Plan, Reconciler, View, Write, WriteError,
};

/// Who owns the fields that controllers write, as in Kubernetes, where all of them are one process.
pub(crate) const MANAGER: &str = "kube-controller-manager";

/// An observer that reports refused writes: in Events and in the status of what it controls.
pub trait Controller: Observer {
    /// What to write and record because a write of the plan for `key`, made on `view`, failed. The key is retried with
    /// back-off in any case.
    fn refused(&self, key: &Key, view: &View, error: &WriteError) -> Result<Plan, BoxError>;
}

/// A controller at work: executes its plans, and what it has to say of those that fail.
pub struct Live<C>(pub C);

#[async_trait]
impl<C: Controller> Reconciler for Live<C> {
    fn spec(&self) -> ObserverSpec {
        self.0.spec()
    }

    fn wake(&self, event: &Event, view: &View) -> Vec<Key> {
        self.0.wake(event, view)
    }

    async fn reconcile(&self, key: &Key, cx: &Context) -> Result<Action, BoxError> {
        let plan = self.0.plan(key, cx.view())?;
        let action = plan.requeues_after().map_or_else(Action::done, Action::after);
        let Err(error) = cx.execute(plan).await else { return Ok(action) };
        if let Some(refused) = error.downcast_ref::<WriteError>() {
            let answer = self.0.refused(key, cx.view(), refused)?;
            cx.execute(answer).await?;
        }
        Err(error)
    }
}

/// Writes of a controller, all as one field manager.
pub(crate) trait Writes {
    /// Adds a write.
    fn put(&mut self, write: Write) -> &mut Self;

    /// Creates an object.
    fn put_new<K>(&mut self, object: &K) -> Result<&mut Self, serde_json::Error>
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        Ok(self.put(Write::create(object)?))
    }

    /// Replaces an object.
    fn put_update<K>(&mut self, object: &K) -> Result<&mut Self, serde_json::Error>
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        Ok(self.put(Write::update(object)?))
    }

    /// Replaces the status of an object.
    fn put_status<K>(&mut self, object: &K) -> Result<&mut Self, serde_json::Error>
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        Ok(self.put(Write::update_status(object)?))
    }
}

impl Writes for Plan {
    fn put(&mut self, write: Write) -> &mut Self {
        self.write(write.managed_by(MANAGER))
    }
}

/// Why a write failed, in the server's words where it answered.
pub(crate) fn reason_of(error: &WriteError) -> String {
    error.status().map_or_else(|| error.source.to_string(), |status| status.message.clone())
}

/// Whether a create was refused because its namespace is being deleted, which nobody needs to be told of.
pub(crate) fn is_namespace_terminating(error: &WriteError) -> bool {
    let details = error.status().and_then(|status| status.details.as_ref());
    details.is_some_and(|details| details.causes.iter().any(|cause| cause.reason == "NamespaceTerminating"))
}
