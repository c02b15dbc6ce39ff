//! What is served when: priorities, triggers across kinds, emitted events, and why a key waits.
#![allow(clippy::unwrap_used)]

mod fake;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fake::{Fake, PODS, Planner, Run};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use xebec_coordinator::{
    Action, AddError, BoxError, Cause, Context, Coordinator, Event, Health, Index, Key, Observer,
    ObserverSpec, Plan, Priority, Reconciler, View, Waiting, Watch, Write, WriteError,
};

const SECRETS: &str = "/api/v1/secrets";

fn pods(name: &'static str) -> ObserverSpec {
    ObserverSpec::new(name, "sees Pods").watch(Watch::of::<Pod>())
}

fn pod(name: &str) -> Key {
    Key::new::<Pod>("ns", name)
}

/// Serves one key after the other, each when the gate is open, and notes their names. Pods named so are urgent.
struct Gated {
    gate: watch::Receiver<bool>,
    served: Arc<Mutex<Vec<String>>>,
}

#[async_trait::async_trait]
impl Reconciler for Gated {
    fn spec(&self) -> ObserverSpec {
        pods("gated")
    }

    fn priority(&self, key: &Key, _event: &Event, _view: &View) -> Priority {
        match key.name() {
            name if name.starts_with("urgent") => Priority::High,
            name if name.starts_with("idle") => Priority::Low,
            _ => Priority::Normal,
        }
    }

    async fn reconcile(&self, key: &Key, _cx: &Context) -> Result<Action, BoxError> {
        let _ = self.gate.clone().wait_for(|open| *open).await;
        self.served.lock().push(key.name().to_owned());
        Ok(Action::done())
    }
}

#[tokio::test]
async fn what_was_there_waits_for_what_happens_and_both_for_what_is_urgent() {
    let fake = Fake::new();
    for number in 0..4 {
        fake.pod(&format!("old-{number}"));
    }
    let (open, gate) = watch::channel(false);
    let served = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&served);
    let run = Run::start(&fake, |to| to.reconcile(Gated { gate, served: noted }).unwrap());
    run.until("the first", "gated", |status| status.active == 1 && status.queued == 3).await;
    for name in ["idle", "new", "urgent", "old-3"] {
        fake.pod(name);
    }
    run.until("the rest", "gated", |status| status.queued == 6).await;
    run.clock.advance(Duration::from_secs(2));
    assert_eq!(run.status("gated").lag, Some(Duration::from_secs(2)));
    open.send_replace(true);
    run.idle().await;
    assert_eq!(*served.lock(), ["old-0", "urgent", "new", "old-3", "old-1", "old-2", "idle"]);
    assert_eq!(run.status("gated").lag, None);
    run.stop().await;
}

#[tokio::test]
async fn why_tells_what_woke_a_key_and_what_it_waits_for() {
    let fake = Fake::new();
    for name in ["a", "b", "c"] {
        fake.pod(name);
    }
    let (open, gate) = watch::channel(false);
    let run = Run::start(&fake, |to| to.reconcile(Gated { gate, served: Arc::default() }).unwrap());
    let why = |name: &str| run.coordinator.why("gated", &pod(name)).unwrap();
    run.until("the first", "gated", |status| status.active == 1).await;
    let since = why("a").at;
    assert_eq!(why("a").waiting, Waiting::Served { since, again: false });
    assert_eq!(why("c").waiting, Waiting::Turn { since, priority: Priority::Low, ahead: 1 });
    assert_eq!(why("c").woken.unwrap().cause, Cause::There { object: pod("c") });
    let version = fake.pod("c");
    run.until("the change", "gated", |_| matches!(why("c").waiting, Waiting::Turn { ahead: 0, .. })).await;
    assert_eq!(why("c").waiting, Waiting::Turn { since, priority: Priority::Normal, ahead: 0 });
    let cause = Cause::Event { change: "modified", object: pod("c"), version, own: false };
    assert_eq!(why("c").woken.unwrap().cause, cause);
    run.clock.advance(Duration::from_secs(3));
    open.send_replace(true);
    run.idle().await;
    assert_eq!(why("a").waiting, Waiting::Nothing);
    let served = why("a").served.unwrap();
    assert_eq!((served.took, served.error, why("a").failures), (Duration::from_secs(3), None, 0));
    assert_eq!(why("nobody").served, None);
    assert!(run.coordinator.why("nobody", &pod("a")).is_err());
    run.stop().await;
}

#[tokio::test]
async fn why_tells_of_failures_own_writes_and_wishes() {
    let fake = Fake::new();
    for name in ["bad", "late", "written"] {
        fake.pod(name);
    }
    fake.hold();
    let plan = |key: &Key, view: &View| {
        let mut plan = Plan::new();
        match key.name() {
            "bad" => return Err("it is bad".into()),
            "late" => {
                plan.requeue_after(Duration::from_mins(5));
            }
            _ if view.object(key).is_some_and(|pod| pod.label("seen").is_none()) => {
                let labels = json!({"metadata": {"labels": {"seen": "yes"}}});
                plan.write(Write::merge(key.clone(), labels)).requeue_after(Duration::ZERO);
            }
            _ => {}
        }
        Ok(plan)
    };
    let run = Run::start(&fake, |to| to.observe(Planner(pods("planner"), plan)).unwrap());
    let why = |name: &str| run.coordinator.why("planner", &pod(name)).unwrap();
    run.until("the hold", "planner", |status| status.held == 1).await;
    let at = why("bad").at;

    let bad = why("bad");
    assert!(matches!(bad.waiting, Waiting::BackOff { until } if until > at), "{:?}", bad.waiting);
    assert_eq!((bad.failures, bad.served.unwrap().error.as_deref()), (1, Some("it is bad")));
    assert!(bad.plan.unwrap_err().to_string().contains("it is bad"));
    let late = at + Duration::from_mins(5);
    assert_eq!(why("late").waiting, Waiting::Time { at: late });
    assert_eq!(why("late").waiting.to_string(), format!("until {late}, as it asked"));
    let Waiting::View { expected, until } = why("written").waiting else { panic!("{:?}", why("written")) };
    assert_eq!(expected, ["the watch of Pod to show Pod ns/written as of version 4"]);
    assert_eq!(until, Some(at + Duration::from_secs(30)));
    assert_eq!(why("written").served.unwrap().writes, 1);
    assert_eq!(why("written").health, Health::Running);

    fake.release();
    run.idle().await;
    let cause = Cause::Event { change: "modified", object: pod("written"), version: 4, own: true };
    assert_eq!(why("written").woken.unwrap().cause, cause);
    assert!(why("written").plan.unwrap().is_empty());
    run.clock.advance(Duration::from_mins(5));
    run.idle().await;
    assert_eq!(why("late").woken.unwrap().cause, Cause::Time);
    assert_eq!((why("bad").woken.unwrap().cause, why("bad").failures), (Cause::Retry, 2));
    run.stop().await;
}

/// The names of the Secrets that a Pod's annotation says it uses.
fn uses(pod: &Value) -> Vec<String> {
    let uses = pod.pointer("/metadata/annotations/uses").and_then(Value::as_str);
    uses.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_secret_wakes_the_pods_that_use_it_by_a_declared_index() {
    let fake = Fake::new();
    let user = |namespace: &str, name: &str, uses: &str| {
        fake.put(PODS, namespace, name, json!({"metadata": {"annotations": {"uses": uses}}}));
    };
    user("ns", "one", "token");
    user("ns", "both", "token ns/token other");
    user("ns", "other", "other");
    user("far", "same-name", "token");
    user("far", "by-namespace", "ns/token");
    let served = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&served);
    let spec = pods("users")
        .index(Index::over_values("uses", xebec_coordinator::Kind::of::<Pod>(), uses))
        .wakes_users_of::<k8s_openapi::api::core::v1::Secret>("uses");
    let run = Run::start(&fake, |to| {
        let plan = move |key: &Key, _: &View| {
            noted.lock().push(key.name().to_owned());
            Ok(Plan::new())
        };
        to.observe(Planner(spec, plan)).unwrap();
    });
    run.idle().await;
    let woken = || {
        let mut names = std::mem::take(&mut *served.lock());
        names.sort();
        names
    };
    assert_eq!(woken().len(), 5);
    fake.put(SECRETS, "ns", "token", json!({}));
    run.idle().await;
    assert_eq!(woken(), ["both", "by-namespace", "one"]);
    fake.delete(SECRETS, "ns", "token");
    run.idle().await;
    assert_eq!(woken(), ["both", "by-namespace", "one"], "that it is gone concerns them, too");
    user("ns", "other", "token");
    user("ns", "one", "");
    run.idle().await;
    woken();
    fake.put(SECRETS, "ns", "token", json!({}));
    run.idle().await;
    assert_eq!(woken(), ["both", "by-namespace", "other"]);

    let without = pods("without").wakes_users_of::<ConfigMap>("uses");
    let refused = run.coordinator.observe(Planner(without, |_: &Key, _: &View| Ok(Plan::new())));
    assert!(matches!(refused, Err(AddError::TriggerWithoutIndex { index: "uses", .. })));
    run.stop().await;
}

struct Told(usize);

/// An observer that emits 50 events of a Pod.
fn teller(to: &Coordinator) {
    let plan = |_: &Key, _: &View| {
        let mut plan = Plan::new();
        for number in 0..50 {
            plan.emit(Told(number));
        }
        Ok(plan)
    };
    to.observe(Planner(pods("teller"), plan)).unwrap();
}

#[tokio::test]
async fn who_emits_waits_for_those_who_want_every_event() {
    let fake = Fake::new();
    fake.pod("web");
    let (open, gate) = watch::channel(false);
    let told = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&told);
    let mut name = String::new();
    let run = Run::start(&fake, |to| {
        name = to.on_every_emitted(4, move |event: Arc<Told>, _cx| {
            noted.lock().push(event.0);
            let mut gate = gate.clone();
            async move { drop(gate.wait_for(|open| *open).await) }
        });
        teller(to);
    });
    run.until("the queue to be full", &name, |status| status.queued == 4).await;
    assert_eq!((told.lock().len(), run.status("teller").active), (1, 1));
    open.send_replace(true);
    run.idle().await;
    assert_eq!(*told.lock(), (0..50).collect::<Vec<_>>());
    assert_eq!((run.status(&name).gaps, run.status("teller").served), (0, 1));
    run.stop().await;
}

#[tokio::test]
async fn who_emits_does_not_wait_for_a_subscriber_that_is_removed() {
    let fake = Fake::new();
    fake.pod("web");
    let mut name = String::new();
    let run = Run::start(&fake, |to| {
        name = to.on_every_emitted(1, |_: Arc<Told>, _cx| std::future::pending::<()>());
        teller(to);
    });
    run.until("the queue to be full", &name, |status| status.queued == 1).await;
    run.coordinator.remove(&name);
    run.idle().await;
    assert_eq!(run.status("teller").served, 1);
    run.stop().await;
}

/// Creates a ConfigMap for each Pod, and labels the Pod with why it could not.
struct Refused(AtomicUsize);

impl Observer for Refused {
    fn spec(&self) -> ObserverSpec {
        pods("refused")
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        if view.object(key).is_some_and(|pod| pod.label("why").is_none()) {
            let mut map = ConfigMap::default();
            map.metadata.name = Some(key.name().to_owned());
            map.metadata.namespace = key.namespace().map(str::to_owned);
            plan.create(&map);
        }
        Ok(plan)
    }

    fn refused(&self, key: &Key, _view: &View, error: &WriteError) -> Result<Plan, BoxError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let why = error.status().map_or_else(String::new, |status| status.code.to_string());
        let mut plan = Plan::new();
        plan.write(Write::merge(key.clone(), json!({"metadata": {"labels": {"why": why}}})));
        Ok(plan)
    }
}

#[tokio::test]
async fn an_observer_is_asked_what_to_do_about_a_refused_write() {
    let fake = Fake::new();
    fake.pod("web");
    fake.refuse("/api/v1/configmaps", 403);
    let asked = Arc::new(Refused(AtomicUsize::new(0)));
    let observer = Arc::clone(&asked);
    let run = Run::start(&fake, |to| to.observe(observer).unwrap());
    run.idle().await;
    assert_eq!(fake.object(PODS, "ns", "web").unwrap()["metadata"]["labels"]["why"], "403");
    let status = run.status("refused");
    assert_eq!((status.retries, status.delayed), (1, 1), "it is tried again, whatever was done about it");
    run.clock.advance(Duration::from_secs(1));
    run.idle().await;
    assert_eq!((asked.0.load(Ordering::SeqCst), run.status("refused").retries), (1, 1));
    run.stop().await;
}

#[tokio::test]
async fn an_observer_may_hold_its_coordinator_without_keeping_it() {
    struct Noted(Arc<AtomicBool>);
    impl Drop for Noted {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let gone = Arc::new(AtomicBool::new(false));
    let coordinator = Coordinator::new(Fake::new().client());
    let (weak, noted) = (coordinator.downgrade(), Noted(Arc::clone(&gone)));
    coordinator.on(move |_: Event<Pod>, _cx| {
        let (_, _) = (&weak, &noted);
        async {}
    });
    let weak = coordinator.downgrade();
    assert!(weak.upgrade().is_some());
    drop(coordinator);
    assert!(weak.upgrade().is_none() && gone.load(Ordering::SeqCst));
}
