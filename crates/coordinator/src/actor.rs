//! An observer at work: takes events from its feeds, wakes keys, and serves them, up to its limit at once.
//!
//! Each observer is a task of its own, so that none can delay another. Invariant: the view that plans are made on
//! contains nothing that `wake` has not been told of.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::task::{JoinSet, yield_now};
use tokio_util::sync::CancellationToken;

use crate::backoff::Random;
use crate::clock::after;
use crate::entry::{Behaviour, Entry};
use crate::feeds::Subscription;
use crate::freshness::{Expectation, HOLD_MAX};
use crate::indexing::Indexing;
use crate::mailbox::{Mailbox, Next};
use crate::payload::Payloads;
use crate::runtime::Runtime;
use crate::serve::{Outcome, Served, panic_message, serve};
use crate::view::Tables;
use crate::{Backoff, Context, Delivery, Event, Freshness, Health, Key, View, catch_up, pending};

/// How soon an observer that panicked is restarted.
const RESTART: Backoff =
    Backoff { first: Duration::from_millis(100), max: Duration::from_secs(5), jitter: 0.5 };
/// After how long without a panic the next counts as the first.
const CALM: SignedDuration = SignedDuration::from_mins(1);
/// After how many events a task lets others have their turn.
const EVENTS_PER_TURN: usize = 256;
/// How many of its own writes an observer remembers, to recognise their echoes.
const ECHOES_MAX: usize = 1024;

pub(crate) struct Actor {
    runtime: Arc<Runtime>,
    entry: Arc<Entry>,
    signal: Arc<Notify>,
    subscriptions: Arc<Vec<Subscription>>,
    tables: Arc<Tables>,
    indexing: Indexing,
    mailbox: Mailbox,
    payloads: Payloads,
    /// How often in a row each key failed.
    failures: HashMap<Key, u32>,
    /// What the view must show before a key is served again; only what it does not show yet.
    holds: BTreeMap<Key, Hold>,
    echoes: Echoes,
    workers: JoinSet<Served>,
    /// The subscriptions, by their place, that left the shared watch.
    catching_up: JoinSet<usize>,
    behind: HashSet<usize>,
    started: bool,
    /// It panicked, and restarts at this time.
    paused: Option<Timestamp>,
    panics_in_a_row: u32,
    last_panic: Option<Timestamp>,
    random: Random,
}

struct Hold {
    expectations: Vec<Expectation>,
    deadline: Timestamp,
    /// It waits for somebody else's write.
    conflict: bool,
}

/// The versions that the observer itself wrote lately.
#[derive(Default)]
struct Echoes {
    known: HashSet<(Key, u64)>,
    order: VecDeque<(Key, u64)>,
}

impl Actor {
    /// An actor for an entry that has subscribed; `signal` is what its feeds notify.
    pub(crate) fn new(
        runtime: Arc<Runtime>,
        entry: Arc<Entry>,
        subscriptions: Arc<Vec<Subscription>>,
        signal: Arc<Notify>,
    ) -> Self {
        Self {
            tables: Arc::new(Tables::for_spec(&entry.spec)),
            indexing: Indexing::new(&entry.spec.indexes),
            payloads: Payloads::new(entry.spec.delivery),
            random: runtime.random.fork(&entry.spec.name),
            runtime,
            entry,
            signal,
            subscriptions,
            mailbox: Mailbox::default(),
            failures: HashMap::new(),
            holds: BTreeMap::new(),
            echoes: Echoes::default(),
            workers: JoinSet::new(),
            catching_up: JoinSet::new(),
            behind: HashSet::new(),
            started: false,
            paused: None,
            panics_in_a_row: 0,
            last_panic: None,
        }
    }

    /// Works until the coordinator stops or the observer is removed. What is being served then is dropped.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let cancel = self.entry.cancel.clone();
        loop {
            self.entry.gauge.update(|reading| reading.busy = true);
            self.turn().await;
            self.publish();
            let due = self.next_due();
            let clock = Arc::clone(&self.runtime.clock);
            let timer = async move {
                match due {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = cancel.cancelled() => break,
                Some(served) = self.workers.join_next() => match served {
                    Ok(served) => self.settle(served),
                    Err(error) => tracing::error!(observer = %self.entry.spec.name, %error, "a worker is gone"),
                },
                Some(place) = self.catching_up.join_next() => match place {
                    Ok(place) => {
                        self.behind.remove(&place);
                    }
                    Err(error) => tracing::error!(observer = %self.entry.spec.name, %error, "catching up failed"),
                },
                () = self.signal.notified() => {}
                () = timer => {}
            }
        }
        self.workers.shutdown().await;
        self.catching_up.shutdown().await;
        self.entry.subscriptions.store(None);
        self.entry.view.store(None);
        self.entry.gauge.update(|reading| {
            reading.busy = false;
            reading.status.health = Health::Stopped;
            (reading.status.queued, reading.status.active) = (0, 0);
            (reading.status.held, reading.status.delayed) = (0, 0);
        });
        self.runtime.activity.bump();
    }

    async fn turn(&mut self) {
        if !self.started && self.entry.waits_for().is_some() {
            return;
        }
        self.started = true;
        let now = self.runtime.clock.now();
        match self.paused {
            Some(until) if now < until => return,
            Some(_) => {
                tracing::info!(observer = %self.entry.spec.name, "restarting");
                self.paused = None;
                self.take_events(now, true).await;
            }
            None if self.payloads.has_room() => self.take_events(now, false).await,
            None => {}
        }
        for key in self.mailbox.fire(now) {
            if self.holds.remove(&key).is_some_and(|hold| !hold.conflict) {
                tracing::warn!(observer = %self.entry.spec.name, %key, "serving it though its own writes are not seen");
            }
        }
        self.release();
        self.start_workers(now);
    }

    /// Takes what the feeds have told, and wakes keys; when starting over, everything there is, is told again.
    async fn take_events(&mut self, now: Timestamp, again: bool) {
        let subscriptions = Arc::clone(&self.subscriptions);
        let mut tables = Tables::clone(&self.tables);
        let mut events = Vec::new();
        let mut gaps = 0;
        let slices = tables.kinds.iter_mut().flat_map(|kind| kind.slices.iter_mut());
        for (place, subscription, slice) in in_order(&subscriptions, slices) {
            let Some(taken) = subscription.take() else { continue };
            slice.snapshot = taken.snapshot;
            events.extend(taken.events);
            gaps += taken.gaps;
            if taken.behind && self.behind.insert(place) {
                let (feed, id) = (Arc::clone(&subscription.feed), subscription.id);
                let runtime = Arc::clone(&self.runtime);
                self.catching_up.spawn(async move {
                    catch_up::run(feed, id, runtime).await;
                    place
                });
            }
        }
        if gaps > 0 {
            self.entry.gauge.update(|reading| reading.status.gaps = gaps);
        }
        if again {
            let slices = tables.kinds.iter().flat_map(|kind| &kind.slices);
            events.extend(slices.flat_map(|slice| slice.snapshot.iter()).cloned().map(Event::Added));
        }
        self.tell(tables, events, now).await;
    }

    /// Makes `tables` what is seen, once all events that led there have been told.
    async fn tell(&mut self, mut tables: Tables, events: Vec<Event>, now: Timestamp) {
        for (count, event) in events.iter().enumerate() {
            let update = || self.indexing.update(&mut tables, event);
            if let Err(panic) = catch_unwind(AssertUnwindSafe(update)) {
                self.panicked(now, &format!("index for {}: {}", event.key(), panic_message(&*panic)));
            }
            if count % EVENTS_PER_TURN == EVENTS_PER_TURN - 1 {
                yield_now().await;
            }
        }
        self.tables = Arc::new(tables);
        self.entry.view.store(Some(Arc::clone(&self.tables)));
        let view = View::new(Arc::clone(&self.tables), now);
        for (count, event) in events.into_iter().enumerate() {
            self.wake(event, &view, now);
            if count % EVENTS_PER_TURN == EVENTS_PER_TURN - 1 {
                yield_now().await;
            }
        }
    }

    fn wake(&mut self, event: Event, view: &View, now: Timestamp) {
        let entry = Arc::clone(&self.entry);
        let keys = catch_unwind(AssertUnwindSafe(|| match &entry.behaviour {
            Behaviour::Observer(observer) => Some(observer.wake(&event, view)),
            Behaviour::Reconciler(reconciler) => Some(reconciler.wake(&event, view)),
            Behaviour::Callback(_) | Behaviour::Emitted { .. } => None,
        }));
        match keys {
            Ok(Some(keys)) if self.echoes.contains(&event) => {
                for key in &keys {
                    self.mailbox.wake_unless_failed(key);
                }
            }
            Ok(Some(keys)) => keys.iter().for_each(|key| self.mailbox.wake(key)),
            Ok(None) => {
                self.mailbox.wake(event.key());
                self.payloads.push(event);
            }
            Err(panic) => {
                self.panicked(now, &format!("wake for {}: {}", event.key(), panic_message(&*panic)));
            }
        }
    }

    /// Lets go the keys whose writes the view shows by now.
    fn release(&mut self) {
        let (tables, mailbox) = (&self.tables, &mut self.mailbox);
        self.holds.retain(|key, hold| {
            if hold
                .expectations
                .iter()
                .any(|expected| expected.is_met(tables) && expected.is_overtaken(tables))
            {
                mailbox.wake(key);
            }
            hold.expectations.retain(|expected| !expected.is_met(tables));
            !hold.expectations.is_empty()
        });
        let holds = &self.holds;
        mailbox.release(|key| !holds.contains_key(key));
    }

    fn start_workers(&mut self, now: Timestamp) {
        let spec = &self.entry.spec;
        while self.workers.len() < spec.concurrency.max(1) {
            if spec.freshness == Freshness::Observer
                && self.holds.values().any(|hold| !hold.conflict && hold.deadline > now)
            {
                return;
            }
            let Some(key) = self.mailbox.pop() else { return };
            if let Some(hold) = self.holds.get(&key) {
                self.mailbox.hold(&key, hold.deadline);
                continue;
            }
            let mut events = self.payloads.take(&key);
            let view = View::new(Arc::clone(&self.tables), now);
            pending::refresh(&mut events, view.object(&key));
            if events.is_empty()
                && matches!(self.entry.behaviour, Behaviour::Callback(_))
                && let Some(object) = view.object(&key)
            {
                events.push(Event::Added(object.clone())); // it wished to see it again
            }
            let cx = Context::new(Arc::clone(&self.runtime), Arc::clone(&self.entry), view);
            self.workers.spawn(serve(Arc::clone(&self.entry), key, events, cx));
        }
    }

    /// Takes in what came of serving a key.
    fn settle(&mut self, served: Served) {
        let Served { key, outcome, trace } = served;
        let now = self.runtime.clock.now();
        self.echoes.remember(trace.expectations.iter().filter_map(Expectation::echo));
        let mut expectations = trace.expectations;
        expectations.retain(|expected| !expected.is_met(&self.tables));
        if matches!(self.entry.spec.delivery, Delivery::Edges { .. })
            && matches!(self.entry.behaviour, Behaviour::Callback(_))
        {
            expectations.clear(); // it is told every change, whether or not that is how it still is
        }
        let written = !expectations.is_empty();
        if written {
            let deadline = after(now, HOLD_MAX);
            self.holds.insert(key.clone(), Hold { expectations, deadline, conflict: false });
        }
        let next = match outcome {
            Outcome::Done(action) => {
                self.failures.remove(&key);
                if self.payloads.told(&key) {
                    self.mailbox.wake(&key);
                }
                action.requeue_after.map_or(Next::Rest, |delay| Next::At(after(now, delay)))
            }
            Outcome::Failed(error) => {
                let retry = self.failed(&key, now, &error.to_string());
                match trace.conflict.filter(|_| !written) {
                    // At once, as soon as the view shows what it conflicted with.
                    Some(conflict) => {
                        let hold = Hold { expectations: vec![conflict], deadline: retry, conflict: true };
                        self.holds.insert(key.clone(), hold);
                        Next::Again
                    }
                    None => Next::RetryAt(retry),
                }
            }
            Outcome::Panicked(message) => {
                let retry = self.failed(&key, now, &message);
                self.panicked(now, &format!("{key}: {message}"));
                Next::RetryAt(retry)
            }
        };
        self.mailbox.done(&key, next);
        self.entry.gauge.update(|reading| {
            reading.status.served += 1;
            reading.status.writes += trace.writes;
        });
    }

    /// Counts a failure; returns when to try again.
    fn failed(&mut self, key: &Key, now: Timestamp, message: &str) -> Timestamp {
        self.payloads.put_back(key);
        let failures = self.failures.entry(key.clone()).or_default();
        *failures = failures.saturating_add(1);
        let delay = self.entry.spec.backoff.delay(*failures, &self.random);
        tracing::warn!(observer = %self.entry.spec.name, %key, failures, ?delay, message, "failed, trying again");
        self.entry.gauge.error(now, format!("{key}: {message}"));
        self.entry.gauge.update(|reading| reading.status.retries += 1);
        after(now, delay)
    }

    fn panicked(&mut self, now: Timestamp, message: &str) {
        if self.paused.is_none() {
            let calm = self.last_panic.is_none_or(|last| now.duration_since(last) > CALM);
            self.panics_in_a_row = if calm { 1 } else { self.panics_in_a_row.saturating_add(1) };
            self.last_panic = Some(now);
        }
        let until = after(now, RESTART.delay(self.panics_in_a_row, &self.random));
        self.paused = Some(until);
        tracing::error!(observer = %self.entry.spec.name, message, "panicked, restarting");
        self.entry.gauge.error(now, format!("panic: {message}"));
        self.entry.gauge.update(|reading| reading.status.panics += 1);
    }

    fn next_due(&self) -> Option<Timestamp> {
        if self.paused.is_some() {
            return self.paused;
        }
        let now = self.runtime.clock.now();
        let blocked = self.entry.spec.freshness == Freshness::Observer && self.mailbox.ready() > 0;
        let holds = self.holds.values().filter(|_| blocked).map(|hold| hold.deadline);
        self.mailbox.next_due().into_iter().chain(holds.filter(|deadline| *deadline > now)).min()
    }

    fn publish(&self) {
        let conflicts = self.holds.values().filter(|hold| hold.conflict).count();
        let waits_for = if self.started { None } else { self.entry.waits_for() };
        let health = match (self.paused, waits_for) {
            (Some(until), _) => Health::Restarting(until),
            (None, Some(reason)) => Health::Waiting(reason),
            (None, None) => Health::Running,
        };
        self.entry.gauge.update(|reading| {
            reading.busy = false;
            reading.status.health = health;
            reading.status.queued = self.mailbox.ready();
            reading.status.active = self.mailbox.active();
            reading.status.held = self.mailbox.held().saturating_sub(conflicts);
            reading.status.delayed = self.mailbox.delayed() + self.mailbox.held().min(conflicts);
        });
        self.runtime.activity.bump();
    }
}

/// Pairs the subscriptions, which are in the order of the spec's watches, with the slices, which are by kind.
fn in_order<'a>(
    subscriptions: &'a [Subscription],
    slices: impl Iterator<Item = &'a mut crate::view::Slice>,
) -> impl Iterator<Item = (usize, &'a Subscription, &'a mut crate::view::Slice)> {
    slices.filter_map(|slice| {
        let place = subscriptions.iter().position(|subscription| subscription.serves == *slice.source)?;
        Some((place, &subscriptions[place], slice))
    })
}

impl Echoes {
    fn remember(&mut self, written: impl Iterator<Item = (Key, u64)>) {
        for echo in written {
            if self.known.insert(echo.clone()) {
                self.order.push_back(echo);
            }
            if self.order.len() > ECHOES_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
    }

    fn contains(&self, event: &Event) -> bool {
        let version = crate::store::parse_version(event.object().resource_version());
        !self.known.is_empty()
            && version.is_some_and(|version| self.known.contains(&(event.key().clone(), version)))
    }
}
