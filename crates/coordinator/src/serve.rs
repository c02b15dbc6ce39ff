//! Serving one key: the only place where an observer's own code plans or acts.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;

use crate::context::Trace;
use crate::entry::{Behaviour, Entry};
use crate::{Action, BoxError, Context, Event, Key};

/// What came of serving a key.
pub(crate) struct Served {
    pub(crate) key: Key,
    pub(crate) outcome: Outcome,
    pub(crate) trace: Trace,
}

pub(crate) enum Outcome {
    Done(Action),
    Failed(BoxError),
    Panicked(String),
}

/// Serves a key. `events` are for callbacks: what is to be told of the object.
pub(crate) async fn serve(entry: Arc<Entry>, key: Key, events: Vec<Event>, cx: Context) -> Served {
    let outcome = match AssertUnwindSafe(act(&entry, &key, events, &cx)).catch_unwind().await {
        Ok(Ok(action)) => Outcome::Done(action),
        Ok(Err(error)) => Outcome::Failed(error),
        Err(panic) => Outcome::Panicked(panic_message(&*panic)),
    };
    let trace = cx.take_trace();
    cx.probe().tell(|watcher| watcher.served(&entry.spec.name, &key, &outcome, &trace));
    Served { key, outcome, trace }
}

async fn act(entry: &Entry, key: &Key, events: Vec<Event>, cx: &Context) -> Result<Action, BoxError> {
    cx.probe().tell(|watcher| watcher.serving(&entry.spec.name, key, cx.view()));
    match &entry.behaviour {
        Behaviour::Observer(observer) => {
            let plan = observer.plan(key, cx.view())?;
            let requeue_after = plan.requeues_after();
            cx.execute(plan).await?;
            Ok(Action { requeue_after })
        }
        Behaviour::Reconciler(reconciler) => reconciler.reconcile(key, cx).await,
        Behaviour::Callback(callback) => {
            let mut action = Action::done();
            for event in events {
                action = callback(event, cx.clone()).await?;
            }
            Ok(action)
        }
        Behaviour::Emitted { .. } => Ok(Action::done()),
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
}
