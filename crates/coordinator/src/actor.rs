//! An observer at work: takes events from its feeds, wakes keys, and serves them, up to its limit at once.
//!
//! Each observer is a task of its own, so that none can delay another. Invariant: the view that plans are made on
//! contains nothing that `wake` has not been told of.

mod faults;
mod handover;
mod holding;
mod shift;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::{JoinSet, yield_now};
use tokio_util::sync::CancellationToken;

use self::faults::Fault;
use crate::backoff::Random;
use crate::clock::after;
use crate::desk::Verdict;
use crate::entry::{Behaviour, Entry};
use crate::feeds::Subscription;
use crate::indexing::Indexing;
use crate::leadership::Post;
use crate::payload::Payloads;
use crate::pure;
use crate::runtime::Runtime;
use crate::serve::{Outcome, Served, panic_message, serve};
use crate::view::Tables;
use crate::wire::Source;
use crate::{
    Context, Delivery, Event, Freshness, Health, Key, Priority, View, catch_up, pending, succession, why,
};

/// After how many events a task lets others have their turn.
const EVENTS_PER_TURN: usize = 256;

pub(crate) struct Actor {
    runtime: Arc<Runtime>,
    entry: Arc<Entry>,
    signal: Arc<Notify>,
    ends: Vec<End>,
    tables: Arc<Tables>,
    indexing: Indexing,
    payloads: Payloads,
    workers: JoinSet<Served>,
    /// For subscriptions that left the shared watch.
    catching_up: JoinSet<Source>,
    behind: BTreeSet<Source>,
    /// Asking the server whether there is more to be seen of the observer's own writes, since the time that comes out.
    asking: JoinSet<Timestamp>,
    agreed: Option<Timestamp>,
    /// Kubernetes Events about the observer itself that are being recorded.
    reports: JoinSet<()>,
    started: bool,
    /// It has taken over from another, with this to tell at first.
    took_over: Option<succession::Inheritance>,
    /// It panicked or hung, and restarts at this time.
    paused: Option<Timestamp>,
    faults_in_a_row: u32,
    last_fault: Option<Timestamp>,
    random: Random,
    /// Which keys are this replica's to serve.
    post: Post,
}

/// A subscription, in the order of the tables.
pub(crate) struct End {
    pub(crate) subscription: Arc<Subscription>,
    /// Nothing has been taken yet: the first take is what is there, not what happens.
    pub(crate) fresh: bool,
    pub(crate) gaps: u64,
}

impl Actor {
    /// An actor for an entry that has subscribed; `signal` is what its feeds notify.
    pub(crate) fn new(
        runtime: Arc<Runtime>,
        entry: Arc<Entry>,
        subscriptions: &[Arc<Subscription>],
        signal: Arc<Notify>,
    ) -> Self {
        let tables = Tables::for_spec(&entry.spec);
        let post = Post::new(&runtime, &entry.spec);
        Self {
            ends: in_order(&tables, subscriptions),
            tables: Arc::new(tables),
            indexing: Indexing::new(&entry.spec.indexes),
            payloads: Payloads::new(entry.spec.delivery),
            random: runtime.random.fork(&entry.spec.name),
            runtime,
            entry,
            signal,
            workers: JoinSet::new(),
            catching_up: JoinSet::new(),
            behind: BTreeSet::new(),
            asking: JoinSet::new(),
            agreed: None,
            reports: JoinSet::new(),
            started: false,
            took_over: None,
            paused: None,
            faults_in_a_row: 0,
            last_fault: None,
            post,
        }
    }

    /// Works until the coordinator stops or the observer is removed. What is being served then is dropped.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let cancel = self.entry.cancel.clone();
        let succession = Arc::clone(&self.entry.succession);
        loop {
            self.entry.gauge.update(|reading| reading.busy = true);
            if let Some(successor) = succession.take() {
                self.hand_over(successor);
            }
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
                () = succession.signal.notified() => {}
                Some(served) = self.workers.join_next() => match served {
                    Ok(served) => self.settle(served),
                    Err(error) => tracing::error!(observer = %self.entry.spec.name, %error, "a worker is gone"),
                },
                Some(source) = self.catching_up.join_next() => match source {
                    Ok(source) => {
                        self.behind.remove(&source);
                    }
                    Err(error) => tracing::error!(observer = %self.entry.spec.name, %error, "catching up failed"),
                },
                Some(asked) = self.asking.join_next() => self.agreed = asked.ok(),
                Some(_) = self.reports.join_next() => {}
                () = self.signal.notified() => {}
                () = self.post.changed() => {}
                () = timer => {}
            }
        }
        self.workers.shutdown().await;
        self.catching_up.shutdown().await;
        self.asking.shutdown().await;
        self.entry.subscriptions.store(None);
        self.entry.view.store(None);
        self.entry.desk.lock().clear();
        self.entry.gauge.update(|reading| {
            reading.busy = false;
            reading.status.health = Health::Stopped;
        });
        self.runtime.activity.bump();
    }

    async fn turn(&mut self) {
        if self.post.act(&self.runtime, &self.entry.subscriptions.load_full().unwrap_or_default()) {
            self.stand_down().await;
        }
        if !self.started && self.entry.waits_for().is_some() {
            return;
        }
        self.started = true;
        let now = self.runtime.clock.now();
        self.entry.gauge.update(|reading| reading.turn_began = Some(now));
        match self.paused {
            Some(until) if now < until => return,
            Some(_) => {
                tracing::info!(observer = %self.entry.spec.name, "restarting");
                self.paused = None;
                self.entry.gauge.update(|reading| reading.status.restarts += 1);
                self.take_events(now, true).await;
            }
            None if self.payloads.has_room() => {
                self.take_events(now, false).await;
                self.wake_gained(now).await;
            }
            None => {}
        }
        self.let_go(now);
        self.start_workers(now);
    }

    /// Takes what the feeds have told, and wakes keys; when starting over, everything there is, is told again.
    async fn take_events(&mut self, now: Timestamp, again: bool) {
        let mut tables = Tables::clone(&self.tables);
        let (mut there, mut events) = (Vec::new(), Vec::new());
        let mut is_new = again || self.took_over.is_some();
        for (end, (kind, slice)) in self.ends.iter_mut().zip(self.tables.slices()) {
            let Some(taken) = end.subscription.take() else { continue };
            is_new = true;
            Arc::make_mut(&mut tables.kinds[kind]).slices[slice].snapshot = taken.snapshot;
            if std::mem::take(&mut end.fresh) { &mut there } else { &mut events }.extend(taken.events);
            let gaps = taken.gaps.saturating_sub(std::mem::replace(&mut end.gaps, taken.gaps));
            if gaps > 0 {
                self.entry.gauge.update(|reading| reading.status.gaps += gaps);
            }
            if taken.behind && self.behind.insert(end.subscription.serves.clone()) {
                let subscription = Arc::clone(&end.subscription);
                let (runtime, source) = (Arc::clone(&self.runtime), subscription.serves.clone());
                let (feed, id) = (Arc::clone(&subscription.feed), subscription.id);
                self.catching_up.spawn(async move {
                    catch_up::run(feed, id, runtime).await;
                    source
                });
            }
        }
        if !is_new {
            return;
        }
        pure::share_what_was_woken(); // by the taking: a feed that may tell more
        let took_over = self.took_over.is_some();
        if let Some(inheritance) = self.took_over.take() {
            let all: Vec<Event> = everything(&tables).collect();
            self.index(&mut tables, &all, now).await;
            there = inheritance.what_to_tell(there, all, &tables);
        } else {
            self.index(&mut tables, &there, now).await;
        }
        self.index(&mut tables, &events, now).await;
        if again {
            there.extend(everything(&tables));
        }
        self.tables = Arc::new(tables);
        if again || took_over {
            self.entry.desk.lock().keep_only(|key| self.tables.find(key).is_some());
        }
        self.entry.view.store(Some(Arc::clone(&self.tables)));
        self.tell(events, false, now).await;
        self.tell(there, true, now).await;
    }

    /// Takes events into the indexes.
    async fn index(&mut self, tables: &mut Tables, events: &[Event], now: Timestamp) {
        for (count, event) in events.iter().enumerate() {
            let update = || self.indexing.update(tables, event);
            if let Err(panic) = catch_unwind(AssertUnwindSafe(update)) {
                let message = format!("index for {}: {}", event.key(), panic_message(&*panic));
                self.restart(Fault::Panic, &message, now);
            }
            self.let_others_have_their_turn(count).await;
        }
    }

    /// Wakes the keys that events concern; `begins` if they tell what was there, not what happens.
    async fn tell(&mut self, events: Vec<Event>, begins: bool, now: Timestamp) {
        let view = View::new(Arc::clone(&self.tables), now);
        for (count, event) in events.into_iter().enumerate() {
            self.wake(event, &view, begins, now);
            self.let_others_have_their_turn(count).await;
        }
    }

    async fn let_others_have_their_turn(&self, count: usize) {
        if count % EVENTS_PER_TURN == EVENTS_PER_TURN - 1 {
            self.came_back(self.told_for(), || "telling it of events".to_owned());
            yield_now().await;
            let now = self.runtime.clock.now();
            self.entry.gauge.update(|reading| reading.turn_began = Some(now));
        }
    }

    fn wake(&mut self, event: Event, view: &View, begins: bool, now: Timestamp) {
        self.wake_where(event, view, begins, now, &|_| true);
    }

    fn wake_where(
        &mut self,
        event: Event,
        view: &View,
        begins: bool,
        now: Timestamp,
        wanted: &dyn Fn(&Key) -> bool,
    ) {
        let entry = Arc::clone(&self.entry);
        let part = || {
            self.runtime.probe.tell(|watcher| watcher.telling(&entry.spec.name, &event));
            woken_by(&entry, &event, view, begins)
        };
        let keys = catch_unwind(AssertUnwindSafe(|| entry.pace.run(&*self.runtime.clock, part)));
        if let Ok(keys) = &keys {
            let keys = || keys.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
            self.runtime.probe.tell(|watcher| watcher.woke(&entry.spec.name, &event, &keys()));
        }
        match keys {
            Ok(mut keys) => {
                keys.retain(|(key, _)| self.post.serves(key) && wanted(key));
                let is_callback = matches!(&*entry.behaviour, Behaviour::Callback(_));
                let is_told = is_callback && !keys.is_empty();
                let settles = entry.spec.settles && !is_callback;
                self.entry.desk.lock().wake(&event, keys, begins, settles, now);
                if is_told {
                    self.payloads.push(event);
                }
            }
            Err(panic) => {
                let message = format!("wake for {}: {}", event.key(), panic_message(&*panic));
                self.restart(Fault::Panic, &message, now);
            }
        }
    }

    fn start_workers(&mut self, now: Timestamp) {
        let entry = Arc::clone(&self.entry);
        let spec = &entry.spec;
        while self.workers.len() < spec.concurrency.max(1) {
            let key = self.entry.desk.lock().next(spec.freshness == Freshness::Observer, now);
            let Some(key) = key else { return };
            let Some(serving) = self.post.begin(&key, &*self.runtime.clock) else {
                self.forget(&key);
                continue;
            };
            let mut events = self.payloads.take(&key);
            let kept = self.entry.desk.lock().kept(&key);
            let view = View::new(Arc::clone(&self.tables), now).with_kept(kept);
            pending::refresh(&mut events, view.object(&key));
            if events.is_empty()
                && matches!(&*self.entry.behaviour, Behaviour::Callback(_))
                && let Some(object) = view.object(&key)
            {
                events.push(Event::Added(object.clone())); // it wished to see it again
            }
            let cx = Context::new(
                Arc::clone(&self.runtime),
                Arc::clone(&self.entry),
                Some(key.clone()),
                view,
                serving.permit.clone(),
            );
            self.workers.spawn(serve(Arc::clone(&self.entry), key, events, cx, serving));
        }
    }

    /// Takes in what came of serving a key.
    fn settle(&mut self, served: Served) {
        let Served { key, outcome, trace, took } = served;
        let now = self.runtime.clock.now();
        if !matches!(outcome, Outcome::Hung) {
            self.came_back(took, || format!("serving {key}"));
        }
        let mut expectations = trace.expectations;
        self.entry.desk.lock().remember(&key, expectations.iter());
        expectations.retain(|expected| !expected.is_met(&self.tables));
        if matches!(self.entry.spec.delivery, Delivery::Edges { .. })
            && matches!(&*self.entry.behaviour, Behaviour::Callback(_))
        {
            expectations.clear(); // it is told every change, whether or not that is how it still is
        }
        self.entry.desk.lock().expect(&key, expectations, now);
        let (verdict, error) = match outcome {
            Outcome::Done(action) => {
                let again = self.payloads.told(&key);
                self.entry.desk.lock().keep(&key, trace.kept, &self.tables);
                (Verdict::Done { again, requeue_after: action.requeue_after }, None)
            }
            Outcome::Failed(error) => {
                let error = error.to_string();
                let retry = self.failed(&key, now, &error);
                (Verdict::Failed { retry, conflict: trace.conflict }, Some(error))
            }
            Outcome::Revoked => {
                self.forget(&key);
                return;
            }
            Outcome::Panicked(message) => {
                let retry = self.failed(&key, now, &message);
                self.restart(Fault::Panic, &format!("{key}: {message}"), now);
                (Verdict::Failed { retry, conflict: None }, Some(message))
            }
            Outcome::Hung => {
                let message = format!("took longer than {:?}, and was ended", self.entry.spec.hangs_after);
                let retry = self.failed(&key, now, &message);
                self.restart(Fault::Hang, &format!("{key}: {message}"), now);
                (Verdict::Failed { retry, conflict: None }, Some(message))
            }
        };
        let served = why::Served { at: now, took, writes: trace.writes, error };
        self.entry.desk.lock().settle(&key, verdict, served, now);
        self.entry.gauge.update(|reading| {
            reading.status.served += 1;
            reading.status.writes += trace.writes;
            reading.durations.add(took);
        });
    }

    /// Counts a failure; returns when to try again.
    fn failed(&mut self, key: &Key, now: Timestamp, message: &str) -> Timestamp {
        self.payloads.put_back(key);
        let failures = self.entry.desk.lock().failed(key);
        let delay = self.entry.spec.backoff.delay(failures, &self.random);
        tracing::warn!(observer = %self.entry.spec.name, %key, failures, ?delay, message, "failed, trying again");
        self.entry.gauge.error(now, format!("{key}: {message}"));
        self.entry.gauge.update(|reading| reading.status.retries += 1);
        after(now, delay)
    }

    fn next_due(&self) -> Option<Timestamp> {
        if !self.started {
            return None; // its watches will tell; keys that it took over wait until then
        }
        if self.paused.is_some() {
            return self.paused;
        }
        let now = self.runtime.clock.now();
        self.entry.desk.lock().next_due(self.entry.spec.freshness == Freshness::Observer, now)
    }

    fn publish(&self) {
        self.came_back(self.told_for(), || "telling it of events".to_owned());
        let waits_for = if self.started { None } else { self.entry.waits_for() };
        let waits_for = waits_for.or_else(|| self.post.waits_for());
        let health = match (self.paused, waits_for) {
            (Some(until), _) => Health::Restarting(until),
            (None, Some(reason)) => Health::Waiting(reason),
            (None, None) => Health::Running,
        };
        self.entry.gauge.update(|reading| {
            reading.turn_began = None;
            reading.busy = self.paused.is_none() && self.post.is_busy();
            reading.status.health = health;
        });
        self.runtime.activity.bump();
    }
}

/// The keys that an event wakes, each with its priority: what was there is less urgent than what happens.
fn woken_by(entry: &Entry, event: &Event, view: &View, begins: bool) -> Vec<(Key, Priority)> {
    let usual = if begins { Priority::Low } else { Priority::Normal };
    let mut keys = match &*entry.behaviour {
        Behaviour::Observer(observer) => observer.wake(event, view),
        Behaviour::Reconciler(reconciler) => reconciler.wake(event, view),
        Behaviour::Callback(_) => return vec![(event.key().clone(), usual)],
        Behaviour::Emitted { .. } => return Vec::new(),
    };
    keys.extend(entry.spec.triggers.iter().flat_map(|trigger| trigger.users(event, view)));
    let urgency = |key: &Key| {
        let wished = match &*entry.behaviour {
            Behaviour::Observer(observer) => observer.priority(key, event, view),
            Behaviour::Reconciler(reconciler) => reconciler.priority(key, event, view),
            Behaviour::Callback(_) | Behaviour::Emitted { .. } => usual,
        };
        if wished == Priority::High { wished } else { wished.min(usual) }
    };
    keys.into_iter()
        .map(|key| {
            let priority = urgency(&key);
            (key, priority)
        })
        .collect()
}

fn everything(tables: &Tables) -> impl Iterator<Item = Event> {
    let slices = tables.kinds.iter().flat_map(|kind| &kind.slices);
    slices.flat_map(|slice| slice.snapshot.iter()).cloned().map(Event::Added)
}

/// Brings the subscriptions, which are in the order of the spec's watches, into that of the slices, which are by kind.
fn in_order(tables: &Tables, subscriptions: &[Arc<Subscription>]) -> Vec<End> {
    let slices = tables.kinds.iter().flat_map(|kind| &kind.slices);
    slices
        .filter_map(|slice| {
            let mut subscriptions = subscriptions.iter();
            let subscription = subscriptions.find(|subscription| subscription.serves == *slice.source)?;
            Some(End { subscription: Arc::clone(subscription), fresh: true, gaps: 0 })
        })
        .collect()
}
