//! Serving one key: the only place where an observer's own code plans or acts.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;

use crate::context::Trace;
use crate::entry::{Behaviour, Entry};
use crate::leadership::Serving;
use crate::{Action, BoxError, Clock, Context, Event, Key, WriteError, finalizer, planning};

/// What came of serving a key.
pub(crate) struct Served {
    pub(crate) key: Key,
    pub(crate) outcome: Outcome,
    pub(crate) trace: Trace,
    pub(crate) took: Duration,
}

pub(crate) enum Outcome {
    Done(Action),
    Failed(BoxError),
    Panicked(String),
    /// It had to end: the key is another's to serve.
    Revoked,
    /// It took longer than it may, and was dropped.
    Hung,
}

/// Serves a key. `events` are for callbacks: what is to be told of the object.
pub(crate) async fn serve(
    entry: Arc<Entry>,
    key: Key,
    events: Vec<Event>,
    cx: Context,
    serving: Serving,
) -> Served {
    let began = cx.now();
    let acting = AssertUnwindSafe(act(&entry, &key, events, &cx)).catch_unwind();
    let outcome = tokio::select! {
        biased;
        () = cx.revoked() => Outcome::Revoked,
        end = within(cx.clock(), entry.spec.hangs_after, acting) => match end {
            Some(Ok(Ok(action))) => Outcome::Done(action),
            Some(Ok(Err(error))) => Outcome::Failed(error),
            Some(Err(panic)) => Outcome::Panicked(panic_message(&*panic)),
            None => Outcome::Hung,
        },
    };
    drop(serving);
    let took = cx.now().duration_since(began).try_into().unwrap_or_default();
    let trace = cx.take_trace();
    cx.probe().tell(|watcher| watcher.served(&entry.spec.name, &key, &outcome, &trace));
    Served { key, outcome, trace, took }
}

/// What a future yields, none if it takes longer than it may: then it is dropped.
pub(crate) async fn within<T>(
    clock: &Arc<dyn Clock>,
    limit: Duration,
    future: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        result = future => Some(result),
        // Only asked for once the future waits.
        () = async { clock.sleep(limit).await } => None,
    }
}

async fn act(entry: &Entry, key: &Key, events: Vec<Event>, cx: &Context) -> Result<Action, BoxError> {
    cx.probe().tell(|watcher| watcher.serving(&entry.spec.name, key, cx.view()));
    match &*entry.behaviour {
        Behaviour::Observer(observer) => {
            let plan =
                entry.pace.run(&**cx.clock(), || planning::plan(&**observer, &entry.spec, key, cx.view()))?;
            let (requeue_after, kept) = (plan.requeues_after(), plan.kept.clone());
            let counts = plan.counts.clone();
            if let Err(error) = cx.execute(plan).await {
                if let Some(refused) = error.downcast_ref::<WriteError>() {
                    cx.execute(observer.refused(key, cx.view(), refused)?).await?;
                }
                return Err(error);
            }
            cx.executed(kept, counts);
            Ok(requeue_after.map_or_else(Action::done, Action::after))
        }
        Behaviour::Reconciler(reconciler) => finalizer::reconcile(&**reconciler, &entry.spec, key, cx).await,
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
