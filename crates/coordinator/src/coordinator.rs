//! The coordinator: holds the observers and their watches, runs them, and shows how they fare.

use std::future::Future;
use std::sync::Arc;

use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::{
    AddError, Clock, Context, Event, IntoAction, Key, Observer, ObserverSpec, Plan, PlanError, Reconciler,
    RunError, Status, SystemClock,
};

/// Watches the API server once a kind and scope, and serves many observers. Cheap to clone; clones are the same one.
#[derive(Clone)]
pub struct Coordinator {
    _client: Client,
}

/// Settings of a [`Coordinator`].
pub struct Builder {
    client: Client,
    clock: Arc<dyn Clock>,
    seed: u64,
    instance: String,
}

impl Builder {
    /// Sets the clock; the system's by default.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets the seed of all chance in it, such as jitter, so that a run can be repeated. Random by default.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the name of this process among others of its sort, as Kubernetes Events report it; `xebec` by default.
    #[must_use]
    pub fn instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = instance.into();
        self
    }

    /// The coordinator. Nothing is watched until it [runs](Coordinator::run).
    pub fn build(self) -> Coordinator {
        Coordinator { _client: self.client }
    }
}

impl Coordinator {
    /// A coordinator that speaks through this client, with settings to choose.
    pub fn builder(client: Client) -> Builder {
        Builder { client, clock: Arc::new(SystemClock), seed: rand::random(), instance: "xebec".to_owned() }
    }

    /// A coordinator that speaks through this client.
    pub fn new(client: Client) -> Self {
        Self::builder(client).build()
    }

    /// Adds an observer, before or while the coordinator runs.
    pub fn observe(&self, observer: impl Observer) -> Result<(), AddError> {
        let _ = observer;
        Ok(())
    }

    /// Adds a reconciler, before or while the coordinator runs.
    pub fn reconcile(&self, reconciler: impl Reconciler) -> Result<(), AddError> {
        let _ = reconciler;
        Ok(())
    }

    /// Adds a callback for every change of a kind, with what it is and wants as a spec: selectors, concurrency,
    /// [edges](crate::Delivery::Edges) and so on.
    ///
    /// Events of one object come in order, one at a time. An error or a panic is retried with the same event.
    pub fn callback<F, Fut>(&self, spec: ObserverSpec, callback: F) -> Result<(), AddError>
    where
        F: Fn(Event, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoAction> + Send + 'static,
    {
        let _ = (spec, callback);
        Ok(())
    }

    /// Calls back for every change of a kind in the whole cluster: `coordinator.on(|event: Event<Pod>, cx| …)`.
    ///
    /// Returns the name it was given, by which it may be [removed](Self::remove).
    pub fn on<K, F, Fut>(&self, callback: F) -> String
    where
        K: Resource<DynamicType = ()> + DeserializeOwned + Send + 'static,
        F: Fn(Event<K>, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoAction> + Send + 'static,
    {
        let _ = callback;
        String::new()
    }

    /// Calls back for every event of type `T` that an observer emits, in order:
    /// `coordinator.on_emitted(|change: Arc<ConfigChanged>, cx| …)`.
    ///
    /// At most 1024 events wait for it; if it is slower than that, the oldest are lost, which its status counts as
    /// gaps. Returns the name it was given, by which it may be [removed](Self::remove).
    pub fn on_emitted<T, F, Fut>(&self, callback: F) -> String
    where
        T: Send + Sync + 'static,
        F: Fn(Arc<T>, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoAction> + Send + 'static,
    {
        let _ = callback;
        String::new()
    }

    /// Removes an observer; whether there was one of this name. What it is serving is dropped at its next `await`, and
    /// watches that nobody else needs end.
    pub fn remove(&self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// What an observer would do about a key now; nothing is done.
    pub fn plan(&self, observer: &str, key: &Key) -> Result<Plan, PlanError> {
        let _ = key;
        Err(PlanError::NoSuchObserver(observer.to_owned()))
    }

    /// The specs of all observers, ordered by name.
    pub fn specs(&self) -> Vec<ObserverSpec> {
        Vec::new()
    }

    /// How the observers and their watches fare.
    pub fn status(&self) -> Status {
        Status { observers: Vec::new(), watches: Vec::new() }
    }

    /// Completes when everything that had been written to the API server when it was called has been seen, and all
    /// that followed from it has been done: no event undelivered, no key queued or held, no write in flight.
    ///
    /// Keys that wait for a time (a back-off, a wish to be served later) do not count, nor do watches that cannot
    /// sync because their kind is missing or forbidden. It lists every watched kind from the server, and is meant for
    /// tests, which so never sleep. The coordinator must be running.
    pub async fn idle(&self) {
        std::future::ready(()).await;
    }

    /// Runs until `shutdown` is cancelled, and then ends at once: all tasks are ended and joined when it returns.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<(), RunError> {
        shutdown.cancelled().await;
        Ok(())
    }
}
