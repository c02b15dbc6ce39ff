//! Observers that are replaced or reconfigured while they run.
#![allow(clippy::unwrap_used)]

mod fake;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fake::{CONFIG_MAPS, Fake, PODS, Run};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use xebec_coordinator::{
    Action, AddError, BoxError, Context, Event, Index, Key, Kind, ObserverSpec, Reconciler, View, Watch,
};

/// Notes what it serves and is told of, as `name: …`, and serves when the gate is open.
#[derive(Clone)]
struct Noting {
    name: &'static str,
    spec: ObserverSpec,
    gate: watch::Receiver<bool>,
    notes: Arc<Mutex<Vec<String>>>,
    at_once: Arc<AtomicUsize>,
    most_at_once: Arc<AtomicUsize>,
}

impl Noting {
    fn new(name: &'static str, spec: ObserverSpec) -> (Self, watch::Sender<bool>) {
        let (open, gate) = watch::channel(false);
        (
            Self {
                name,
                spec,
                gate,
                notes: Arc::default(),
                at_once: Arc::default(),
                most_at_once: Arc::default(),
            },
            open,
        )
    }

    fn named(&self, name: &'static str, spec: ObserverSpec) -> Self {
        Self { name, spec, ..self.clone() }
    }

    /// The notes since the last time, in alphabetical order.
    fn notes(&self) -> Vec<String> {
        let mut notes = std::mem::take(&mut *self.notes.lock());
        notes.sort();
        notes
    }
}

#[async_trait::async_trait]
impl Reconciler for Noting {
    fn spec(&self) -> ObserverSpec {
        self.spec.clone()
    }

    fn wake(&self, event: &Event, _view: &View) -> Vec<Key> {
        let change = match event {
            Event::Added(_) => "added",
            Event::Modified { .. } => "modified",
            Event::Deleted(_) => "deleted",
        };
        self.notes.lock().push(format!("{}: {change} {}", self.name, event.key().name()));
        vec![event.key().clone()]
    }

    async fn reconcile(&self, key: &Key, _cx: &Context) -> Result<Action, BoxError> {
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        let _ = self.gate.clone().wait_for(|open| *open).await;
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        self.notes.lock().push(format!("{}: serve {}", self.name, key.name()));
        if key.name() == "late" { Ok(Action::after(Duration::from_mins(5))) } else { Ok(Action::done()) }
    }
}

fn spec() -> ObserverSpec {
    ObserverSpec::new("noting", "notes").watch(Watch::of::<Pod>())
}

#[tokio::test]
async fn a_reconfigured_observer_keeps_its_queue_and_is_told_nothing_again() {
    let fake = Fake::new();
    for name in ["a", "b", "c", "d"] {
        fake.pod(name);
    }
    let (noting, open) = Noting::new("one", spec());
    let run = Run::start(&fake, |to| to.reconcile(noting.clone()).unwrap());
    run.until("the first", "noting", |status| status.active == 1 && status.queued == 3).await;
    noting.notes();
    run.coordinator.reconfigure("noting", |spec| spec.concurrency(3)).unwrap();
    run.until("more at once", "noting", |status| status.active == 3 && status.queued == 1).await;
    open.send_replace(true);
    run.idle().await;
    assert_eq!(noting.notes(), ["one: serve a", "one: serve b", "one: serve c", "one: serve d"]);
    assert_eq!(noting.most_at_once.load(Ordering::SeqCst), 3);
    assert_eq!((fake.watches(PODS), fake.open_watches(), run.status("noting").served), (1, 1, 4));
    assert_eq!(run.coordinator.specs()[0].concurrency, 3);
    let renamed = run.coordinator.reconfigure("noting", |spec| ObserverSpec { name: "x".into(), ..spec });
    assert!(matches!(renamed, Err(AddError::Renamed(..))));
    let nobody = run.coordinator.reconfigure("nobody", |spec| spec);
    assert!(matches!(nobody, Err(AddError::NoSuchObserver(_))));
    run.stop().await;
}

#[tokio::test]
async fn a_replaced_observer_hands_its_keys_on_and_none_is_served_by_two() {
    let fake = Fake::new();
    for name in ["a", "gone", "late", "z"] {
        fake.pod(name);
    }
    let (one, open) = Noting::new("one", spec());
    let two = one.named("two", spec());
    let run = Run::start(&fake, |to| to.reconcile(one.clone()).unwrap());
    run.until("the first", "noting", |status| status.active == 1 && status.queued == 3).await;
    fake.delete(PODS, "ns", "gone");
    run.until("the deletion to be told", "noting", |_| {
        one.notes.lock().contains(&"one: deleted gone".to_owned())
    })
    .await;
    one.notes();
    run.coordinator.replace_reconciler(two.clone()).unwrap();
    run.until("it to be told", "noting", |_| one.notes.lock().len() == 3).await;
    assert_eq!(run.status("noting").active, 1, "what is being served goes on");
    assert_eq!(two.notes(), ["two: added a", "two: added late", "two: added z"]);
    open.send_replace(true);
    run.idle().await;
    // The key of the deleted Pod waited: nobody tells of it again.
    let served = ["one: serve a", "two: serve a", "two: serve gone", "two: serve late", "two: serve z"];
    assert_eq!(two.notes(), served);
    assert_eq!((two.most_at_once.load(Ordering::SeqCst), fake.watches(PODS)), (1, 1));

    // A wish to be served later is kept, too.
    run.coordinator.reconfigure("noting", |spec| spec.concurrency(2)).unwrap();
    run.idle().await;
    assert_eq!((run.status("noting").delayed, run.status("noting").served), (1, 5));
    run.clock.advance(Duration::from_mins(5));
    run.idle().await;
    assert_eq!(two.notes(), ["two: serve late"]);
    run.stop().await;
}

#[tokio::test]
async fn another_scope_is_told_as_what_comes_and_goes_by_it() {
    let fake = Fake::new();
    let pod =
        |name: &str, app: &str| fake.put(PODS, "ns", name, json!({"metadata": {"labels": {"app": app}}}));
    pod("web", "web");
    pod("both", "web");
    pod("api", "api");
    let app = |value: &Value| vec![value["metadata"]["labels"]["app"].as_str().unwrap_or("").to_owned()];
    let by_app = move || Index::over_values("app", Kind::of::<Pod>(), app);
    let labelled = |labels: &str| {
        ObserverSpec::new("noting", "notes").watch(Watch::of::<Pod>().labelled(labels)).index(by_app())
    };
    let (noting, open) = Noting::new("one", labelled("app=web"));
    open.send_replace(true);
    let run = Run::start(&fake, |to| to.reconcile(noting.clone()).unwrap());
    run.idle().await;
    let seen = noting.notes();
    let watches = fake.watches(PODS);
    run.coordinator
        .reconfigure("noting", |spec| ObserverSpec { watches: labelled("app in (web, api)").watches, ..spec })
        .unwrap();
    run.idle().await;
    assert!(seen.contains(&"one: added web".to_owned()) && !seen.contains(&"one: added api".to_owned()));
    assert_eq!(noting.notes(), ["one: added api", "one: serve api"]);
    run.coordinator
        .reconfigure("noting", |spec| ObserverSpec { watches: labelled("app=api").watches, ..spec })
        .unwrap();
    run.idle().await;
    assert_eq!(
        noting.notes(),
        ["one: deleted both", "one: deleted web", "one: serve both", "one: serve web"]
    );
    assert_eq!((fake.watches(PODS) - watches, fake.open_watches()), (2, 1));

    // Another kind beside it: the first watch goes on.
    run.coordinator.reconfigure("noting", |spec| spec.watch(Watch::of::<ConfigMap>())).unwrap();
    fake.put(CONFIG_MAPS, "ns", "map", json!({}));
    run.idle().await;
    assert_eq!(noting.notes(), ["one: added map", "one: serve map"]);
    assert_eq!((fake.watches(PODS) - watches, fake.open_watches()), (2, 2));
    assert_eq!(run.coordinator.status().watches.len(), 2);
    run.stop().await;
}

#[tokio::test]
async fn no_edge_is_lost_when_its_observer_is_reconfigured() {
    let fake = Fake::new();
    fake.pod("web");
    let (open, gate) = watch::channel(false);
    let told = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&told);
    let run = Run::start(&fake, |to| {
        let callback = move |event: Event, _cx: Context| {
            noted.lock().push(event.object().resource_version().to_owned());
            let mut gate = gate.clone();
            async move { drop(gate.wait_for(|open| *open).await) }
        };
        to.callback(spec().edges(64), callback).unwrap();
    });
    run.until("the first", "noting", |status| status.active == 1).await;
    for _ in 0..10 {
        fake.pod("web");
    }
    run.coordinator.reconfigure("noting", |spec| spec.concurrency(4)).unwrap();
    for _ in 0..10 {
        fake.pod("web");
    }
    open.send_replace(true);
    run.idle().await;
    assert_eq!(*told.lock(), (1..=21).map(|version| version.to_string()).collect::<Vec<_>>());
    assert_eq!(run.status("noting").gaps, 0);
    run.stop().await;
}

#[tokio::test]
async fn before_it_runs_only_the_last_of_them_is_ever_asked() {
    let fake = Fake::new();
    fake.pod("web");
    let (one, open) = Noting::new("one", spec());
    open.send_replace(true);
    let two = one.named("two", spec());
    let run = Run::start(&fake, |to| {
        to.reconcile(one.clone()).unwrap();
        to.replace_reconciler(two.clone()).unwrap();
    });
    run.idle().await;
    assert_eq!(two.notes(), ["two: added web", "two: serve web"]);
    run.coordinator.remove("noting");
    fake.pod("web");
    run.idle().await;
    assert!(two.notes().is_empty() && fake.open_watches() == 0);
    assert!(run.coordinator.replace_reconciler(one).is_err());
    run.stop().await;
}
