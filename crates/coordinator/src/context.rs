//! What a reconciler or a callback has at hand, and what executes the plans of observers.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use kube::{Client, Resource};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::counting::{Kept, Series};
use crate::entry::{Behaviour, Entry};
use crate::freshness::Expectation;
use crate::leadership::Permit;
use crate::probe::{Probe, Watcher};
use crate::runtime::Runtime;
use crate::{
    BoxError, Clock, DecodeError, Dependent, Emission, EventRecord, Key, Kind, Object, Plan, Step, Table,
    View, Write, WriteError, planning,
};

/// What a [`Reconciler`](crate::Reconciler) or a callback has at hand while it serves one key. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    runtime: Arc<Runtime>,
    entry: Arc<Entry>,
    view: View,
    /// What is served; none for a callback of emitted events.
    key: Option<Key>,
    trace: Arc<Mutex<Trace>>,
    permit: Permit,
}

/// What has been written while a key was served.
#[derive(Default)]
pub(crate) struct Trace {
    pub(crate) expectations: Vec<Expectation>,
    /// The last write conflicted with a state that the view does not show yet.
    pub(crate) conflict: Option<Expectation>,
    pub(crate) writes: u64,
    /// What the plan leaves behind.
    pub(crate) kept: Kept,
    /// The objects written.
    pub(crate) written: BTreeSet<Key>,
}

impl Context {
    pub(crate) fn new(
        runtime: Arc<Runtime>,
        entry: Arc<Entry>,
        key: Option<Key>,
        view: View,
        permit: Permit,
    ) -> Self {
        Self { runtime, entry, view, key, trace: Arc::default(), permit }
    }

    /// The observer's view, as it was when it began to serve this key. Empty for a callback of emitted events.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// A typed object as the view shows it; `namespace` is `None` if it is cluster-scoped. As [`View::get`].
    pub fn get<'a, K>(
        &self,
        namespace: impl Into<Option<&'a str>>,
        name: &str,
    ) -> Result<Option<K>, DecodeError>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.view.get(namespace, name)
    }

    /// All typed objects of a namespace, or of all if `None`. As [`View::list`].
    pub fn list<'a, K>(&self, namespace: impl Into<Option<&'a str>>) -> Result<Vec<K>, DecodeError>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.view.list(namespace)
    }

    /// The typed objects for which a declared index has this value. As [`View::by_index`].
    pub fn by_index<K>(&self, index: &str, value: &str) -> Result<Vec<K>, DecodeError>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.view.by_index(index, value)
    }

    /// The typed owner of an object. As [`View::owner_of`].
    pub fn owner_of<K>(&self, dependent: &impl Dependent) -> Result<Option<K>, DecodeError>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.view.owner_of(dependent)
    }

    /// The object of a key of any watched kind, not decoded. As [`View::object`].
    pub fn object(&self, key: &Key) -> Option<&Object> {
        self.view.object(key)
    }

    /// The objects of any watched kind, not decoded. As [`View::kind`].
    pub fn kind(&self, kind: &Kind) -> Table<'_> {
        self.view.kind(kind)
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
    ///
    /// An apply that would change nothing is not sent, and the object is answered as the view shows it; that this is so is
    /// seen from [who owns which field](crate::Watch::with_managed_fields) where the watch keeps that, and else where
    /// nobody has written to the object since the same apply. An apply to the object that is served carries its unique id:
    /// if it is gone, it is refused, and creates nothing.
    ///
    /// Where there are several replicas it is refused, or given up, when this one may not write any more
    /// ([`WriteError::is_fenced`]); and when the key has been served, whoever keeps the context.
    pub async fn write(&self, write: Write) -> Result<Option<Object>, WriteError> {
        let write = self.guarded(write);
        if let Some(as_it_is) = self.applied(&write) {
            return Ok(Some(as_it_is.clone()));
        }
        let manager = self.entry.spec.component();
        let result = self.runtime.write(&write, manager, &self.permit).await;
        if let Ok(Some(answer)) = &result {
            self.entry.repeats.lock().remember(&write, manager, answer);
        }
        self.entry.gauge.wrote(write.verb(), &result);
        let answer = result.as_ref().map(Option::as_ref);
        self.tell(|watcher, observer, key| watcher.wrote(observer, key, &write, answer));
        let mut trace = self.trace.lock();
        match &result {
            Ok(answer) => {
                tracing::debug!(observer = %self.entry.spec.name, %write, "written");
                trace.writes += 1;
                trace.written.insert(write.target.clone());
                trace.conflict = None;
                trace.expectations.extend(Expectation::of(&write, answer.as_ref(), self.view.tables()));
            }
            Err(error) => trace.conflict = Expectation::of_conflict(error, self.view.tables()),
        }
        drop(trace);
        result
    }

    /// An apply to the object that is served, as this very object's: a plan must not bring back what was deleted meanwhile.
    fn guarded(&self, write: Write) -> Write {
        if self.key.as_ref() != Some(&write.target)
            || !write.may_resurrect()
            || self.has_written(&write.target)
        {
            return write;
        }
        match self.view.find(&write.target) {
            Some(object) if !object.uid().is_empty() => write.if_uid(object.uid()),
            _ => write,
        }
    }

    /// The object, if the write is an apply that would change nothing of it.
    fn applied(&self, write: &Write) -> Option<&Object> {
        if write.check().is_err() || self.has_written(&write.target) {
            return None; // to be refused, or the view is not what it is applied to
        }
        let spec = &self.entry.spec;
        let object = self.view.find(&write.target)?;
        let is_repeated = || self.entry.repeats.lock().is_repeated(write, spec.component(), object);
        // Of a plan this has been seen to.
        let is_planned = matches!(&*self.entry.behaviour, Behaviour::Observer(_));
        (is_repeated() || (!is_planned && planning::is_applied(write, spec, &self.view))).then_some(object)
    }

    /// Executes a plan: its writes, emitted events and records, in order. The first write that fails ends it.
    pub async fn execute(&self, plan: Plan) -> Result<(), BoxError> {
        for step in plan.into_steps()? {
            match step {
                Step::Write(write) => {
                    self.write(write).await?;
                }
                Step::Emit(event) => self.emit_any(&event).await,
                Step::Record(record) => self.record(*record).await,
            }
        }
        Ok(())
    }

    /// Tells the observers that subscribed to events of type `T`; completes when those who want to lose none have room
    /// for it.
    pub async fn emit<T: Send + Sync + 'static>(&self, event: T) {
        self.emit_any(&Emission::new(event)).await;
    }

    async fn emit_any(&self, emission: &Emission) {
        self.tell(|watcher, observer, key| watcher.emitted(observer, key, emission));
        self.runtime.bus.emit(emission).await;
    }

    /// Records a Kubernetes Event, best effort.
    pub async fn record(&self, event: EventRecord) {
        self.tell(|watcher, observer, key| watcher.recorded(observer, key, &event));
        self.runtime.record(&event, self.entry.spec.component(), &self.permit).await;
    }

    /// Takes in what a plan that has been executed leaves behind, and what it counts.
    pub(crate) fn executed(&self, kept: Kept, counts: Vec<Series>) {
        self.trace.lock().kept = kept;
        self.entry.gauge.count(counts);
    }

    /// Cancelled when the observer is removed. When the coordinator shuts down, what serves a key is dropped.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.entry.cancel
    }

    /// Completes when serving the key must end at once.
    pub(crate) async fn revoked(&self) {
        self.permit.revoked().await;
    }

    /// Whether the object of a key has been written while this key was served.
    pub(crate) fn has_written(&self, key: &Key) -> bool {
        self.trace.lock().written.contains(key)
    }

    /// Tells the probe, if there is one, what is done.
    fn tell(&self, tell: impl FnOnce(&dyn Watcher, &str, Option<&Key>)) {
        self.runtime.probe.tell(|watcher| tell(watcher, &self.entry.spec.name, self.key.as_ref()));
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
