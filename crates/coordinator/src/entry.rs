//! An observer as the coordinator holds it: what it is, how it is called, and how it fares.

use std::any::TypeId;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::bus::Letters;
use crate::clock::after;
use crate::desk::Desk;
use crate::feeds::Subscription;
use crate::gauge::Gauge;
use crate::pure::Pace;
use crate::repeats::Repeats;
use crate::view::Tables;
use crate::{
    Action, BoxError, Context, Emission, Event, Health, IntoAction, Observer, ObserverSpec, ObserverStatus,
    Reconciler,
};

/// One observer of a coordinator.
pub(crate) struct Entry {
    pub(crate) spec: ObserverSpec,
    pub(crate) behaviour: Arc<Behaviour>,
    /// Ends the observer, and whoever succeeds it.
    pub(crate) cancel: CancellationToken,
    /// How it fares; that of its predecessor goes on.
    pub(crate) gauge: Arc<Gauge>,
    pub(crate) pace: Pace,
    /// Its keys; those of its predecessor go on.
    pub(crate) desk: Arc<Mutex<Desk>>,
    /// What it has applied; its successors know it, too.
    pub(crate) repeats: Arc<Mutex<Repeats>>,
    /// What it sees; none until it has synced.
    pub(crate) view: ArcSwapOption<Tables>,
    /// What it subscribed to, in the order of its watches; none until it is started.
    pub(crate) subscriptions: ArcSwapOption<Vec<Arc<Subscription>>>,
    /// Who is to go on in its place, while it runs.
    pub(crate) succession: Arc<Succession>,
}

/// Where the task of an observer finds who is to go on in its place.
#[derive(Default)]
pub(crate) struct Succession {
    successor: Mutex<Option<Arc<Entry>>>,
    pub(crate) signal: Notify,
}

/// The four forms of an observer.
pub(crate) enum Behaviour {
    Observer(Box<dyn Observer>),
    Reconciler(Box<dyn Reconciler>),
    Callback(Callback<Event>),
    Emitted { type_id: TypeId, letters: Arc<Letters>, callback: Callback<Emission> },
}

pub(crate) type Callback<T> =
    Box<dyn Fn(T, Context) -> BoxFuture<'static, Result<Action, BoxError>> + Send + Sync>;

impl Entry {
    pub(crate) fn new(spec: ObserverSpec, behaviour: Behaviour) -> Self {
        Self {
            gauge: Arc::new(Gauge::new(&spec.name)),
            spec,
            behaviour: Arc::new(behaviour),
            cancel: CancellationToken::new(),
            pace: Pace::default(),
            desk: Arc::default(),
            repeats: Arc::default(),
            view: ArcSwapOption::empty(),
            subscriptions: ArcSwapOption::empty(),
            succession: Arc::default(),
        }
    }

    /// Who goes on in its place, with its keys.
    pub(crate) fn successor(&self, spec: ObserverSpec, behaviour: Arc<Behaviour>) -> Self {
        Self {
            spec,
            behaviour,
            cancel: self.cancel.clone(),
            gauge: Arc::clone(&self.gauge),
            pace: Pace::default(),
            desk: Arc::clone(&self.desk),
            repeats: Arc::clone(&self.repeats),
            view: ArcSwapOption::empty(),
            subscriptions: ArcSwapOption::empty(),
            succession: Arc::clone(&self.succession),
        }
    }

    /// Which of its required watches it still waits for.
    pub(crate) fn waits_for(&self) -> Option<String> {
        let subscriptions = self.subscriptions.load();
        let Some(subscriptions) = subscriptions.as_deref() else { return Some("its start".to_owned()) };
        let missing = subscriptions.iter().find(|end| !end.is_ready())?;
        Some(format!("{} ({:?})", missing.feed.source, missing.feed.state()))
    }

    /// How it fares.
    pub(crate) fn status(&self, now: Timestamp) -> ObserverStatus {
        let mut status = self.gauge.status();
        let mut hanging = self.gauge.turn_began().map(|since| (since, "telling it of events".to_owned()));
        if let Behaviour::Emitted { letters, .. } = &*self.behaviour {
            (status.queued, status.gaps) = (letters.len(), letters.lost());
        } else {
            let desk = self.desk.lock();
            let counts = desk.counts();
            (status.queued, status.active) = (counts.queued, counts.active);
            (status.held, status.delayed) = (counts.held, counts.delayed);
            status.lag = desk.oldest().and_then(|since| now.duration_since(since).try_into().ok());
            let served = desk.longest_served().map(|(key, since)| (since, format!("serving {key}")));
            hanging = hanging.into_iter().chain(served).min_by_key(|(since, _)| *since);
        }
        if let Some((since, doing)) = hanging.filter(|(since, _)| now > after(*since, self.spec.hangs_after))
        {
            status.health = Health::Hanging { since, doing };
        }
        status
    }

    fn is_started(&self) -> bool {
        self.subscriptions.load().is_some()
    }

    /// Whether it has nothing to do that does not wait for a time.
    pub(crate) fn is_quiet(&self) -> bool {
        if let Behaviour::Emitted { letters, .. } = &*self.behaviour {
            return letters.len() == 0 && self.gauge.is_quiet();
        }
        let news =
            || self.subscriptions.load().as_deref().is_some_and(|ends| ends.iter().any(|end| end.has_news()));
        let idle = || {
            let counts = self.desk.lock().counts();
            counts.queued + counts.active + counts.held == 0
        };
        let paused = || self.gauge.is_paused() && self.desk.lock().counts().active == 0;
        // News first: what is none any more has been taken by someone who was marked busy before.
        self.is_started()
            && (self.waits_for().is_some() || paused() || (!news() && self.gauge.is_quiet() && idle()))
    }
}

impl Behaviour {
    /// A callback for events of objects.
    pub(crate) fn callback<F, Fut>(callback: F) -> Self
    where
        F: Fn(Event, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoAction> + Send + 'static,
    {
        Self::Callback(Box::new(move |event, cx| callback(event, cx).map(IntoAction::into_action).boxed()))
    }
}

impl Succession {
    pub(crate) fn announce(&self, successor: Arc<Entry>) {
        *self.successor.lock() = Some(successor);
        self.signal.notify_one();
    }

    pub(crate) fn take(&self) -> Option<Arc<Entry>> {
        self.successor.lock().take()
    }
}
