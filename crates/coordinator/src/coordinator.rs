//! The coordinator: holds the observers, starts and ends them and their watches, and shows how they fare.

use std::any::{TypeId, type_name};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use futures::FutureExt;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Client, Resource};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::activity::Activity;
use crate::actor::Actor;
use crate::bus::{Bus, Overflow};
use crate::entry::{Behaviour, Entry};
use crate::feeds::Feeds;
use crate::leadership::{self, Choice, Duty};
use crate::probe::Probe;
use crate::recorder::Recorder;
use crate::runtime::Runtime;
use crate::{
    AddError, BoxError, Clock, Context, Election, Event, IntoAction, Key, Kind, Observer, ObserverSpec, Plan,
    PlanError, Random, Reconciler, Right, RunError, Sharding, Status, SystemClock, View, Watch, Why, emitted,
    finalizer, idle, listwatch, metrics, planning, report, succession,
};

/// Watches the API server once a kind and scope, and serves many observers. Cheap to clone; clones are the same one.
#[derive(Clone)]
pub struct Coordinator {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) registry: Arc<Mutex<Registry>>,
    /// Notified when there is an observer or a feed to start.
    pub(crate) changed: Arc<Notify>,
}

#[derive(Default)]
pub(crate) struct Registry {
    pub(crate) entries: BTreeMap<String, Arc<Entry>>,
    pub(crate) to_start: Vec<Arc<Entry>>,
    pub(crate) running: bool,
    /// How many callbacks have been named.
    named: usize,
}

/// Settings of a [`Coordinator`].
pub struct Builder {
    client: Client,
    clock: Arc<dyn Clock>,
    seed: u64,
    instance: String,
    regarding: Option<ObjectReference>,
    leadership: Option<Choice>,
    probe: Probe,
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

    /// Sets what Kubernetes Events about observers themselves, such as their restarts, are about; the
    /// [Pod that this is](crate::own_pod) if the environment says so, and else the namespace of the client.
    #[must_use]
    pub fn regarding(mut self, reference: ObjectReference) -> Self {
        self.regarding = Some(reference);
        self
    }

    /// Makes it one of several replicas of which one serves, the leader. Instead of [`sharding`](Self::sharding).
    #[must_use]
    pub fn election(mut self, election: Election) -> Self {
        self.leadership = Some(Choice::Election(election));
        self
    }

    /// Makes it one of several replicas that share out the keys. Instead of [`election`](Self::election).
    #[must_use]
    pub fn sharding(mut self, sharding: Sharding) -> Self {
        self.leadership = Some(Choice::Sharding(sharding));
        self
    }

    #[cfg(feature = "sim")]
    pub(crate) fn probe(mut self, probe: Probe) -> Self {
        self.probe = probe;
        self
    }

    /// The coordinator. Nothing is watched until it [runs](Coordinator::run).
    pub fn build(self) -> Coordinator {
        let changed = Arc::new(Notify::new());
        let activity = Arc::new(Activity::default());
        let runtime = Runtime {
            clock: self.clock,
            random: Random::seeded(self.seed),
            feeds: Arc::new(Feeds::new(Arc::clone(&activity), Arc::clone(&changed))),
            bus: Bus::new(Arc::clone(&activity)),
            recorder: Recorder::new(&self.instance),
            regarding: self
                .regarding
                .or_else(report::own_pod)
                .unwrap_or_else(|| report::namespace(self.client.default_namespace())),
            client: self.client,
            probe: self.probe,
            activity,
            duty: self.leadership.as_ref().map(|choice| Arc::new(Duty::new(choice.times()))),
            leadership: self.leadership,
        };
        Coordinator { runtime: Arc::new(runtime), registry: Arc::default(), changed }
    }
}

impl Coordinator {
    /// A coordinator that speaks through this client, with settings to choose.
    pub fn builder(client: Client) -> Builder {
        Builder {
            client,
            clock: Arc::new(SystemClock),
            seed: rand::random(),
            instance: "xebec".to_owned(),
            regarding: None,
            leadership: None,
            probe: Probe::default(),
        }
    }

    /// A coordinator that speaks through this client.
    pub fn new(client: Client) -> Self {
        Self::builder(client).build()
    }

    /// Adds an observer, before or while the coordinator runs.
    pub fn observe(&self, observer: impl Observer) -> Result<(), AddError> {
        self.add(observer.spec(), Behaviour::Observer(Box::new(observer)))
    }

    /// Adds an observer with another spec than its own: with [options set](ObserverSpec::set), with another concurrency.
    ///
    /// Of a spec of another name or without what its plans look at, it would be told the wrong things.
    pub fn observe_as(&self, spec: ObserverSpec, observer: impl Observer) -> Result<(), AddError> {
        self.add(spec, Behaviour::Observer(Box::new(observer)))
    }

    /// Adds a reconciler, before or while the coordinator runs.
    pub fn reconcile(&self, reconciler: impl Reconciler) -> Result<(), AddError> {
        self.add(reconciler.spec(), Behaviour::Reconciler(Box::new(reconciler)))
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
        self.add(spec, Behaviour::callback(callback))
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
        let kind = Kind::of::<K>();
        let description = format!("is called back for every change of {}", kind.plural());
        let callback = move |event: Event, cx| match event.decode::<K>() {
            Ok(event) => callback(event, cx).map(IntoAction::into_action).boxed(),
            Err(error) => futures::future::ready(Err(error.into())).boxed(),
        };
        let behaviour = Behaviour::Callback(Box::new(callback));
        self.add_named(&format!("on-{}", kind.plural()), behaviour, |name| {
            ObserverSpec::new(name, description).watch(Watch::kind(kind))
        })
    }

    /// Calls back for every event of type `T` that an observer emits, in order:
    /// `coordinator.on_emitted(|change: Arc<ConfigChanged>, cx| …)`.
    ///
    /// At most 1024 events wait for it; if it is slower than that, the oldest are lost, which its status counts as
    /// gaps; see [`on_every_emitted`](Self::on_every_emitted) to lose none. An error is retried with the same event.
    /// Returns the name it was given, by which it may be [removed](Self::remove).
    pub fn on_emitted<T, F, Fut>(&self, callback: F) -> String
    where
        T: Send + Sync + 'static,
        F: Fn(Arc<T>, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoAction> + Send + 'static,
    {
        self.on_emitted_with(Overflow::default(), callback)
    }

    /// The same as [`on_emitted`](Self::on_emitted), and nothing is lost: while `capacity` events wait for it, whoever
    /// emits another waits, too.
    ///
    /// That is, an observer that emits in its plan serves the key for as long. Observers that so wait for each other in a
    /// circle stand still until one of them [hangs](crate::ObserverSpec::hangs_after), is ended, and tries again.
    pub fn on_every_emitted<T, F, Fut>(&self, capacity: usize, callback: F) -> String
    where
        T: Send + Sync + 'static,
        F: Fn(Arc<T>, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoAction> + Send + 'static,
    {
        self.on_emitted_with(Overflow::Waits { capacity: capacity.max(1) }, callback)
    }

    fn on_emitted_with<T, F, Fut>(&self, overflow: Overflow, callback: F) -> String
    where
        T: Send + Sync + 'static,
        F: Fn(Arc<T>, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoAction> + Send + 'static,
    {
        let type_id = TypeId::of::<T>();
        let callback = move |event: crate::Emission, cx| match event.get::<T>() {
            Some(event) => callback(event, cx).map(IntoAction::into_action).boxed(),
            None => futures::future::ready(Err(BoxError::from("an event of another type"))).boxed(),
        };
        let letters = self.runtime.bus.subscribe(type_id, overflow);
        let behaviour = Behaviour::Emitted { type_id, letters, callback: Box::new(callback) };
        let short = type_name::<T>().rsplit("::").next().unwrap_or_default().to_lowercase();
        self.add_named(&format!("on-{short}"), behaviour, |name| {
            ObserverSpec::new(name, format!("is called back for every {}", type_name::<T>()))
        })
    }

    /// Removes an observer; whether there was one of this name. What it is serving is dropped at its next `await`, and
    /// watches that nobody else needs end.
    pub fn remove(&self, name: &str) -> bool {
        let mut registry = self.registry.lock();
        let Some(entry) = registry.entries.remove(name) else { return false };
        registry.to_start.retain(|other| !Arc::ptr_eq(other, &entry));
        drop(registry);
        entry.cancel.cancel();
        if let Behaviour::Emitted { type_id, letters, .. } = &*entry.behaviour {
            self.runtime.bus.unsubscribe(*type_id, letters);
        }
        self.runtime.activity.bump();
        true
    }

    /// What an observer would do about a key now; nothing is done.
    pub fn plan(&self, observer: &str, key: &Key) -> Result<Plan, PlanError> {
        let entry = self.registry.lock().entries.get(observer).map(Arc::clone);
        let entry = entry.ok_or_else(|| PlanError::NoSuchObserver(observer.to_owned()))?;
        let Behaviour::Observer(pure) = &*entry.behaviour else {
            return Err(PlanError::MakesNoPlans(observer.to_owned()));
        };
        let tables = entry.view.load_full().ok_or_else(|| PlanError::NotSynced(observer.to_owned()))?;
        let kept = entry.desk.lock().kept(key);
        let view = View::new(tables, self.runtime.clock.now()).with_kept(kept);
        planning::plan(&**pure, &entry.spec, key, &view)
            .map_err(|source| PlanError::Failed { key: key.clone(), source })
    }

    /// The specs of all observers, ordered by name.
    pub fn specs(&self) -> Vec<ObserverSpec> {
        self.entries().iter().map(|entry| entry.spec.clone()).collect()
    }

    /// The rights that the election or the sharding needs, in the namespace of its Leases; those of the observers are
    /// in their [specs](Self::specs).
    pub fn leadership_rights(&self) -> Vec<Right> {
        self.runtime.leadership.as_ref().map(Choice::rights).unwrap_or_default()
    }

    /// How the observers and their watches fare.
    pub fn status(&self) -> Status {
        Status {
            observers: self.entries().iter().map(|entry| entry.status(self.runtime.clock.now())).collect(),
            watches: self.runtime.feeds.statuses(),
            leadership: self.runtime.duty.as_ref().map(|duty| duty.status()),
        }
    }

    /// What a monitoring system wants to know of it, as the text that Prometheus reads: how the watches fare, how long
    /// the observers' queues are, how long serving takes, what fails. All labels are bounded: names of observers, kinds,
    /// verbs, outcomes and states.
    pub fn metrics(&self) -> String {
        metrics::render(&self.entries(), &self.runtime)
    }

    /// Why an observer does, or does not, serve a key: what woke it, what it waits for, what came of it last, and what
    /// would be done about it now. Nothing is done.
    pub fn why(&self, observer: &str, key: &Key) -> Result<Why, PlanError> {
        let entry = self.registry.lock().entries.get(observer).map(Arc::clone);
        let entry = entry.ok_or_else(|| PlanError::NoSuchObserver(observer.to_owned()))?;
        let at = self.runtime.clock.now();
        let (waiting, trail, failures) = entry.desk.lock().look_up(key);
        Ok(Why {
            observer: observer.to_owned(),
            key: key.clone(),
            at,
            health: entry.status(at).health,
            waiting,
            woken: trail.woken,
            served: trail.served,
            failures,
            plan: self.plan(observer, key),
        })
    }

    /// Completes when everything that had been written to the API server when it was called has been seen, and all
    /// that followed from it has been done: no event undelivered, no key queued or held, no write in flight.
    ///
    /// Keys that wait for a time (a back-off, a wish to be served later) do not count, nor do watches that cannot
    /// sync because their kind is missing or forbidden. A definition that came late counts, and with it the objects of its
    /// kind, unless the rights do not cover definitions: then it is only found after a back-off. It lists every watched kind from the server, and is meant for
    /// tests, which so never sleep. The coordinator must be running, else it waits until it does.
    pub async fn idle(&self) {
        idle::wait(&self.runtime, || self.entries()).await;
    }

    /// Runs until `shutdown` is cancelled, and then ends at once: all tasks are ended and joined when it returns.
    /// It may be run again.
    ///
    /// One of several replicas first lets the work in flight end, for a third of its lease at most, and then hands
    /// over to the others.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<(), RunError> {
        let running = Running::begin(self)?;
        let mut tasks = JoinSet::new();
        let leadership = leadership::Driver::start(&self.runtime);
        let (runtime, stop) = (Arc::clone(&self.runtime), running.stop.clone());
        tasks
            .spawn(async move { stop.run_until_cancelled(runtime.write_series()).await.unwrap_or_default() });
        loop {
            self.start_observers(&mut tasks, &running.stop);
            self.start_feeds(&mut tasks, &running.stop);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(end) = tasks.join_next() => log_panic(end),
                () = self.changed.notified() => {}
            }
        }
        leadership.retire().await;
        running.stop.cancel();
        while let Some(end) = tasks.join_next().await {
            log_panic(end);
        }
        leadership.end().await;
        Ok(())
    }

    fn start_observers(&self, tasks: &mut JoinSet<()>, stop: &CancellationToken) {
        let entries = std::mem::take(&mut self.registry.lock().to_start);
        for entry in entries {
            let signal = Arc::new(Notify::new());
            let ends = succession::subscribe(&entry.spec, None, &self.runtime.feeds, &signal);
            let (runtime, stop) = (Arc::clone(&self.runtime), stop.clone());
            if let Behaviour::Emitted { .. } = &*entry.behaviour {
                tasks.spawn(emitted::run(runtime, entry, stop));
                continue;
            }
            let ends = Arc::new(ends);
            entry.subscriptions.store(Some(Arc::clone(&ends)));
            tasks.spawn(Actor::new(runtime, entry, &ends, signal).run(stop));
        }
        self.runtime.activity.bump();
    }

    fn start_feeds(&self, tasks: &mut JoinSet<()>, stop: &CancellationToken) {
        for feed in self.runtime.feeds.take_new() {
            let (runtime, stop) = (Arc::clone(&self.runtime), stop.clone());
            tasks.spawn(async move {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => {}
                    () = listwatch::run(feed, runtime) => {}
                }
            });
        }
    }

    fn add(&self, spec: ObserverSpec, behaviour: Behaviour) -> Result<(), AddError> {
        spec.check()?;
        let mut registry = self.registry.lock();
        if registry.entries.contains_key(&*spec.name) {
            return Err(AddError::DuplicateName(spec.name.into_owned()));
        }
        finalizer::check(&spec, &behaviour, registry.entries.values().map(|entry| &entry.spec))?;
        registry.insert(Entry::new(spec, behaviour));
        drop(registry);
        self.changed.notify_one();
        Ok(())
    }

    fn add_named(
        &self,
        prefix: &str,
        behaviour: Behaviour,
        spec: impl FnOnce(String) -> ObserverSpec,
    ) -> String {
        let mut registry = self.registry.lock();
        let name = loop {
            registry.named += 1;
            let name = format!("{prefix}-{}", registry.named);
            if !registry.entries.contains_key(&name) {
                break name;
            }
        };
        registry.insert(Entry::new(spec(name.clone()), behaviour));
        drop(registry);
        self.changed.notify_one();
        name
    }

    fn entries(&self) -> Vec<Arc<Entry>> {
        self.registry.lock().entries.values().map(Arc::clone).collect()
    }
}

impl Registry {
    fn insert(&mut self, entry: Entry) {
        let entry = Arc::new(entry);
        self.entries.insert(entry.spec.name.clone().into_owned(), Arc::clone(&entry));
        self.to_start.push(entry);
    }
}

/// One run of the coordinator; leaves it as if it had never run, even if the run is dropped half-way.
struct Running<'a> {
    coordinator: &'a Coordinator,
    stop: CancellationToken,
}

impl<'a> Running<'a> {
    fn begin(coordinator: &'a Coordinator) -> Result<Self, RunError> {
        let mut registry = coordinator.registry.lock();
        if std::mem::replace(&mut registry.running, true) {
            return Err(RunError::RunsAlready);
        }
        registry.to_start = registry.entries.values().map(Arc::clone).collect();
        Ok(Self { coordinator, stop: CancellationToken::new() })
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.stop.cancel();
        let mut registry = self.coordinator.registry.lock();
        registry.running = false;
        let subscriptions: Vec<_> =
            registry.entries.values().map(|entry| entry.subscriptions.swap(None)).collect();
        drop(registry);
        drop(subscriptions);
    }
}

fn log_panic(end: Result<(), tokio::task::JoinError>) {
    if let Err(error) = end {
        tracing::error!(%error, "a task of the coordinator is gone");
    }
}
