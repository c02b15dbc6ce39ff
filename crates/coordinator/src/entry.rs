//! An observer as the coordinator holds it: what it is, how it is called, and how it fares.

use std::any::TypeId;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use futures::future::BoxFuture;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::bus::Letters;
use crate::feeds::Subscription;
use crate::view::Tables;
use crate::{
    Action, BoxError, Context, Emission, Event, Health, LastError, Observer, ObserverSpec, ObserverStatus,
    Reconciler,
};

/// One observer of a coordinator.
pub(crate) struct Entry {
    pub(crate) spec: ObserverSpec,
    pub(crate) behaviour: Behaviour,
    /// Ends the observer.
    pub(crate) cancel: CancellationToken,
    pub(crate) gauge: Gauge,
    /// What it sees; none until it has synced.
    pub(crate) view: ArcSwapOption<Tables>,
    /// What it subscribed to; none until it is started.
    pub(crate) subscriptions: ArcSwapOption<Vec<Subscription>>,
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
        let gauge = Gauge::new(&spec.name);
        Self {
            spec,
            behaviour,
            cancel: CancellationToken::new(),
            gauge,
            view: ArcSwapOption::empty(),
            subscriptions: ArcSwapOption::empty(),
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
    pub(crate) fn status(&self) -> ObserverStatus {
        let mut status = self.gauge.status();
        if let Behaviour::Emitted { letters, .. } = &self.behaviour {
            (status.queued, status.gaps) = (letters.len(), letters.lost());
        }
        status
    }

    fn is_started(&self) -> bool {
        self.subscriptions.load().is_some()
    }

    /// Whether it has nothing to do that does not wait for a time.
    pub(crate) fn is_quiet(&self) -> bool {
        if let Behaviour::Emitted { letters, .. } = &self.behaviour {
            return letters.len() == 0 && self.gauge.is_quiet();
        }
        let news = || {
            self.subscriptions.load().as_deref().is_some_and(|ends| ends.iter().any(Subscription::has_news))
        };
        // News first: what is none any more has been taken by someone who was marked busy before.
        self.is_started()
            && (self.waits_for().is_some() || self.gauge.is_paused() || (!news() && self.gauge.is_quiet()))
    }
}

/// How an observer fares, as it says itself.
pub(crate) struct Gauge(Mutex<Reading>);

pub(crate) struct Reading {
    pub(crate) status: ObserverStatus,
    /// It is at work between two waits.
    pub(crate) busy: bool,
}

impl Gauge {
    fn new(name: &str) -> Self {
        let status = ObserverStatus {
            name: name.to_owned(),
            health: Health::Stopped,
            queued: 0,
            active: 0,
            held: 0,
            delayed: 0,
            served: 0,
            retries: 0,
            panics: 0,
            writes: 0,
            gaps: 0,
            last_error: None,
        };
        Self(Mutex::new(Reading { status, busy: false }))
    }

    pub(crate) fn update(&self, update: impl FnOnce(&mut Reading)) {
        update(&mut self.0.lock());
    }

    fn status(&self) -> ObserverStatus {
        self.0.lock().status.clone()
    }

    pub(crate) fn error(&self, at: Timestamp, message: String) {
        self.update(|reading| reading.status.last_error = Some(LastError { at, message }));
    }

    fn is_quiet(&self) -> bool {
        let reading = self.0.lock();
        !reading.busy && reading.status.queued + reading.status.active + reading.status.held == 0
    }

    /// Whether it waits to be restarted, and does nothing until then.
    fn is_paused(&self) -> bool {
        let reading = self.0.lock();
        !reading.busy && reading.status.active == 0 && matches!(reading.status.health, Health::Restarting(_))
    }
}
