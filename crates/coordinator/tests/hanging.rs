//! Observers that hang, what is told of their restarts, and metrics.
#![allow(clippy::unwrap_used)]

mod fake;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fake::{Answer, CONFIG_MAPS, Fake, PODS, Run, status_body};
use http::Method;
use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference, Pod};
use parking_lot::{Condvar, Mutex};
use serde_json::json;
use xebec_coordinator::{
    Action, BoxError, Context, Coordinator, Event, Health, Key, Observer, ObserverSpec, Plan, Reconciler,
    View, Watch, Write,
};

const EVENTS: &str = "/apis/events.k8s.io/v1/events";

fn pods(name: &'static str) -> ObserverSpec {
    ObserverSpec::new(name, "sees Pods").watch(Watch::of::<Pod>())
}

/// Never comes back from serving `bad` until told to.
struct Hanging {
    hang: Arc<AtomicBool>,
    served: Arc<Mutex<Vec<String>>>,
}

#[async_trait::async_trait]
impl Reconciler for Hanging {
    fn spec(&self) -> ObserverSpec {
        pods("hanging").hangs_after(Duration::from_mins(2))
    }

    async fn reconcile(&self, key: &Key, _cx: &Context) -> Result<Action, BoxError> {
        self.served.lock().push(key.name().to_owned());
        if key.name() == "bad" && self.hang.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(Action::done())
    }
}

#[tokio::test]
async fn what_hangs_is_ended_and_that_observer_alone_restarted() {
    let fake = Fake::new();
    fake.pod("bad");
    fake.pod("good");
    let (hang, served) = (Arc::new(AtomicBool::new(true)), Arc::new(Mutex::new(Vec::new())));
    let others = Arc::new(AtomicUsize::new(0));
    let (noted, counted) = (Arc::clone(&served), Arc::clone(&others));
    let run = Run::start(&fake, |to| {
        to.reconcile(Hanging { hang: Arc::clone(&hang), served: noted }).unwrap();
        to.on(move |_: Event<Pod>, _cx| {
            counted.fetch_add(1, Ordering::SeqCst);
            async {}
        });
    });
    run.until("the hang", "hanging", |status| status.active == 1).await;
    run.clock.advance(Duration::from_secs(119));
    assert_eq!(run.status("hanging").health, Health::Running);
    // A future that waits is ended as soon as its time is over.
    run.clock.advance(Duration::from_secs(1));
    run.until("the end of it", "hanging", |status| status.hangs == 1).await;
    run.idle().await;
    let status = run.status("hanging");
    assert!(matches!(status.health, Health::Restarting(_)), "{:?}", status.health);
    assert_eq!((status.active, status.queued, status.restarts), (0, 1, 0));
    assert!(status.last_error.unwrap().message.contains("Pod ns/bad: took longer than 120s"));
    assert_eq!(run.coordinator.status().unready().len(), 1);

    hang.store(false, Ordering::SeqCst);
    run.clock.advance(Duration::from_secs(1));
    run.idle().await;
    let status = run.status("hanging");
    assert_eq!((status.health, status.restarts, status.queued), (Health::Running, 1, 0));
    assert_eq!(served.lock().iter().filter(|name| *name == "bad").count(), 2);
    assert!(served.lock().contains(&"good".to_owned()));
    assert_eq!(others.load(Ordering::SeqCst), 2, "the other was not restarted");
    assert!(run.coordinator.status().unready().is_empty());
    run.stop().await;
}

#[tokio::test]
async fn a_restart_is_told_in_an_event_about_the_pod_that_it_happens_in() {
    let fake = Fake::new();
    fake.pod("web");
    let pod = ObjectReference {
        kind: Some("Pod".to_owned()),
        namespace: Some("xebec".to_owned()),
        name: Some("xebec-0".to_owned()),
        ..ObjectReference::default()
    };
    let builder = Coordinator::builder(fake.client()).regarding(pod);
    let run = Run::start_with(builder, |to| {
        to.on(|event: Event<Pod>, _cx| async move { assert!(event.is_deleted(), "on purpose") });
    });
    fake.until("the Event", |fake| fake.objects(EVENTS).len() == 1).await;
    let event = fake.objects(EVENTS).remove(0);
    assert_eq!(event["metadata"]["namespace"], "xebec");
    assert_eq!((&event["regarding"]["name"], &event["type"]), (&json!("xebec-0"), &json!("Warning")));
    assert_eq!((&event["reason"], &event["action"]), (&json!("ObserverRestarted"), &json!("Restart")));
    assert_eq!(event["reportingController"], "on-pods-1");
    assert_eq!(event["note"], "observer on-pods-1 is restarted after a panic: Pod ns/web: on purpose");
    run.stop().await;
}

#[tokio::test]
async fn without_a_pod_of_its_own_it_is_about_the_namespace_of_the_client() {
    let fake = Fake::new();
    fake.pod("web");
    let run = Run::start(&fake, |to| {
        to.on(|event: Event<Pod>, _cx| async move { assert!(event.is_deleted(), "on purpose") });
    });
    fake.until("the Event", |fake| fake.objects(EVENTS).len() == 1).await;
    let event = fake.objects(EVENTS).remove(0);
    assert_eq!(
        (&event["regarding"]["kind"], &event["regarding"]["name"]),
        (&json!("Namespace"), &json!("default"))
    );
    run.stop().await;
}

/// Blocks its thread where it is told to.
struct Blocking {
    name: &'static str,
    gate: Arc<(Mutex<bool>, Condvar)>,
    in_wake: bool,
    /// How often a thread was blocked.
    blocked: Arc<AtomicUsize>,
}

/// Opens the gate, also where the test fails: its runtime would wait for the threads for ever.
struct Opens(Arc<(Mutex<bool>, Condvar)>);

impl Drop for Opens {
    fn drop(&mut self) {
        *self.0.0.lock() = true;
        self.0.1.notify_all();
    }
}

impl Blocking {
    fn block(&self) {
        let (open, opened) = &*self.gate;
        self.blocked.fetch_add(1, Ordering::SeqCst);
        opened.wait_while(&mut open.lock(), |open| !*open);
    }
}

impl Observer for Blocking {
    fn spec(&self) -> ObserverSpec {
        pods(self.name).hangs_after(Duration::from_mins(2))
    }

    fn wake(&self, event: &Event, _view: &View) -> Vec<Key> {
        if self.in_wake {
            self.block();
        }
        vec![event.key().clone()]
    }

    fn plan(&self, _key: &Key, _view: &View) -> Result<Plan, BoxError> {
        self.block();
        Ok(Plan::new())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pure_part_that_keeps_its_thread_is_reported_and_delays_nobody() {
    let fake = Fake::new();
    fake.pod("web");
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let opens = Opens(Arc::clone(&gate));
    let blocked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::new(AtomicUsize::new(0));
    let others = Arc::clone(&counted);
    let run = Run::start(&fake, |to| {
        for (name, in_wake) in [("planning", false), ("waking", true)] {
            let (gate, blocked) = (Arc::clone(&gate), Arc::clone(&blocked));
            to.observe(Blocking { name, gate, in_wake, blocked }).unwrap();
        }
        to.on(move |_: Event<Pod>, _cx| {
            others.fetch_add(1, Ordering::SeqCst);
            async {}
        });
    });
    fake::within("both to block", async {
        while blocked.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // Its turn has ended, which has to count as no hang when time jumps.
    run.until("the turn to end", "planning", |status| status.health == Health::Running).await;
    let doing = |name| match run.status(name).health {
        Health::Hanging { doing, .. } => doing,
        _ => String::new(),
    };
    fake::within("both to hang", async {
        while doing("planning") != "serving Pod ns/web" || doing("waking") != "telling it of events" {
            run.clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(run.coordinator.status().unhealthy().len(), 2);
    assert!(run.coordinator.metrics().contains(r#"observer_state{observer="waking",state="hanging"} 1"#));
    for number in 0..20 {
        fake.pod(&format!("pod-{number}"));
    }
    fake::within("the other observer", async {
        while counted.load(Ordering::SeqCst) < 21 {
            tokio::task::yield_now().await;
        }
    })
    .await;

    drop(opens);
    run.idle().await;
    for name in ["planning", "waking"] {
        let status = run.status(name);
        assert_eq!((status.health, status.queued), (Health::Running, 0), "{name}");
        assert!(status.served >= 21);
        assert_eq!(status.hangs, 1, "{name}");
    }
    assert!(run.coordinator.status().unhealthy().is_empty());
    run.stop().await;
}

#[tokio::test]
async fn a_callback_of_emitted_events_that_hangs_is_told_again() {
    struct Told;
    let fake = Fake::new();
    fake.pod("web");
    let told = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&told);
    let mut name = String::new();
    let run = Run::start(&fake, |to| {
        name = to.on_emitted(move |_: Arc<Told>, _cx| {
            let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                if first {
                    std::future::pending::<()>().await;
                }
            }
        });
        to.reconfigure(&name, |spec| spec.hangs_after(Duration::from_secs(10))).unwrap();
        to.on(|_: Event<Pod>, cx| async move { cx.emit(Told).await });
    });
    run.until("the hang", &name, |status| status.active == 1).await;
    run.clock.advance(Duration::from_secs(10));
    run.until("the end of it", &name, |status| status.hangs == 1 && status.delayed == 1).await;
    run.clock.advance(Duration::from_secs(1));
    run.idle().await;
    assert_eq!((told.load(Ordering::SeqCst), run.status(&name).retries), (2, 1));
    run.stop().await;
}

#[tokio::test]
async fn metrics_are_what_prometheus_reads() {
    struct Labeller;
    impl Observer for Labeller {
        fn spec(&self) -> ObserverSpec {
            pods("labeller").watch(Watch::of::<ConfigMap>().metadata_only())
        }
        fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
            let mut plan = Plan::new();
            if view.object(key).is_some_and(|pod| pod.label("seen").is_none()) {
                plan.write(Write::merge(key.clone(), json!({"metadata": {"labels": {"seen": "yes"}}})));
            }
            Ok(plan)
        }
    }
    let fake = Fake::new();
    fake.pod("web");
    fake.pod("api");
    fake.put(CONFIG_MAPS, "ns", "map", json!({}));
    fake.script(
        Method::PATCH,
        "/api/v1/namespaces/ns/pods/web",
        Answer::Status(422, status_body(422, "Invalid")),
    );
    let run = Run::start(&fake, |to| to.observe(Labeller).unwrap());
    run.idle().await;
    let metrics = run.coordinator.metrics();
    let bytes: usize = fake.objects(PODS).iter().map(|pod| pod.to_string().len()).sum();
    for line in [
        r#"xebec_coordinator_observer_state{observer="labeller",state="running"} 1"#,
        r#"xebec_coordinator_observer_state{observer="labeller",state="hanging"} 0"#,
        r#"xebec_coordinator_observer_keys{observer="labeller",place="queued"} 0"#,
        r#"xebec_coordinator_observer_keys{observer="labeller",place="delayed"} 1"#,
        r#"xebec_coordinator_observer_lag_seconds{observer="labeller"} 0"#,
        r#"xebec_coordinator_observer_served_total{observer="labeller"} 3"#,
        r#"xebec_coordinator_observer_retries_total{observer="labeller"} 1"#,
        r#"xebec_coordinator_observer_restarts_total{observer="labeller"} 0"#,
        r#"xebec_coordinator_observer_writes_total{observer="labeller",verb="patch",outcome="ok"} 1"#,
        r#"xebec_coordinator_observer_writes_total{observer="labeller",verb="patch",outcome="refused"} 1"#,
        r#"xebec_coordinator_observer_serving_seconds_bucket{observer="labeller",le="0.0001"} 3"#,
        r#"xebec_coordinator_observer_serving_seconds_bucket{observer="labeller",le="+Inf"} 3"#,
        r#"xebec_coordinator_observer_serving_seconds_count{observer="labeller"} 3"#,
        r#"xebec_coordinator_watches{kind="Pod",detail="whole",state="synced"} 1"#,
        r#"xebec_coordinator_watch_objects{kind="ConfigMap",detail="metadata"} 1"#,
        r#"xebec_coordinator_watch_lists_total{kind="Pod",detail="whole"} 1"#,
        &format!(r#"xebec_coordinator_watch_object_bytes{{kind="Pod",detail="whole"}} {bytes}"#),
    ] {
        assert!(metrics.lines().any(|found| found == line), "no {line} in\n{metrics}");
    }
    // Each metric is declared once, before its lines, and each line is of one declared last.
    let mut declared = "";
    for line in metrics.lines() {
        match line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
            Some((name, _)) => declared = name,
            None if line.starts_with('#') => {}
            None => assert!(line.starts_with(declared), "{line} is declared as {declared}"),
        }
    }
    let types: Vec<&str> = metrics.lines().filter(|line| line.starts_with("# TYPE")).collect();
    assert_eq!(types.len(), types.iter().collect::<std::collections::BTreeSet<_>>().len());
    run.stop().await;
}
