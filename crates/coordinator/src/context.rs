//! What a reconciler or a callback has at hand, and what executes the plans of observers.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use kube::Client;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::entry::Entry;
use crate::freshness::Expectation;
use crate::probe::Probe;
use crate::runtime::Runtime;
use crate::{BoxError, Clock, Emission, EventRecord, Object, Plan, Step, View, Write, WriteError};

/// What a [`Reconciler`](crate::Reconciler) or a callback has at hand while it serves one key. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    runtime: Arc<Runtime>,
    entry: Arc<Entry>,
    view: View,
    trace: Arc<Mutex<Trace>>,
}

/// What has been written while a key was served.
#[derive(Default)]
pub(crate) struct Trace {
    pub(crate) expectations: Vec<Expectation>,
    /// The last write conflicted with a state that the view does not show yet.
    pub(crate) conflict: Option<Expectation>,
    pub(crate) writes: u64,
}

impl Context {
    pub(crate) fn new(runtime: Arc<Runtime>, entry: Arc<Entry>, view: View) -> Self {
        Self { runtime, entry, view, trace: Arc::default() }
    }

    /// The observer's view, as it was when it began to serve this key. Empty for a callback of emitted events.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.runtime.clock.now()
    }

    /// The clock by which to wait.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.runtime.clock
    }

    /// The client, for reads beyond the view and for calls that are no writes. Writes made through it are not waited
    /// for; use [`write`](Self::write).
    pub fn client(&self) -> &Client {
        &self.runtime.client
    }

    /// Writes, and returns the object as the server answered it: none where it answers with a status, as it does to
    /// most deletes. The key is not served again before the write is visible in the observer's view.
    pub async fn write(&self, write: Write) -> Result<Option<Object>, WriteError> {
        let result = self.runtime.write(&write, self.entry.spec.component()).await;
        let answer = result.as_ref().map(Option::as_ref);
        self.runtime.probe.tell(|watcher| watcher.wrote(&self.entry.spec.name, &write, answer));
        let mut trace = self.trace.lock();
        match &result {
            Ok(answer) => {
                tracing::debug!(observer = %self.entry.spec.name, %write, "written");
                trace.writes += 1;
                trace.conflict = None;
                trace.expectations.extend(Expectation::of(&write, answer.as_ref(), self.view.tables()));
            }
            Err(error) => trace.conflict = Expectation::of_conflict(error, self.view.tables()),
        }
        drop(trace);
        result
    }

    /// Executes a plan: its writes, emitted events and records, in order. The first write that fails ends it.
    pub async fn execute(&self, plan: Plan) -> Result<(), BoxError> {
        for step in plan.into_steps()? {
            match step {
                Step::Write(write) => {
                    self.write(write).await?;
                }
                Step::Emit(event) => self.runtime.bus.emit(&event),
                Step::Record(record) => self.record(*record).await,
            }
        }
        Ok(())
    }

    /// Tells the observers that subscribed to events of type `T`.
    pub fn emit<T: Send + Sync + 'static>(&self, event: T) {
        self.runtime.bus.emit(&Emission::new(event));
    }

    /// Records a Kubernetes Event, best effort.
    pub async fn record(&self, event: EventRecord) {
        self.runtime.record(&event, self.entry.spec.component()).await;
    }

    /// Cancelled when the observer is removed. When the coordinator shuts down, what serves a key is dropped.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.entry.cancel
    }

    pub(crate) fn probe(&self) -> &Probe {
        &self.runtime.probe
    }

    pub(crate) fn take_trace(&self) -> Trace {
        std::mem::take(&mut self.trace.lock())
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context of {} on {:?}", self.entry.spec.name, self.view)
    }
}
