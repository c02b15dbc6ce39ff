//! How keys are woken, planned and served, and how plans are executed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod fake;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fake::{Answer, CONFIG_MAPS, Fake, PODS, Planner, Run, status_body};
use http::Method;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Resource;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use xebec_coordinator::{BoxError, Coordinator, Freshness, Key, ObserverSpec, Plan, View, Watch, Write};

const REPLICA_SETS: &str = "/apis/apps/v1/replicasets";

fn planner<F>(spec: ObserverSpec, plan: F) -> impl FnOnce(&Coordinator)
where
    F: Fn(&Key, &View) -> Result<Plan, BoxError> + Send + Sync + 'static,
{
    move |coordinator| coordinator.observe(Planner(spec, plan)).unwrap()
}

fn pods(name: &'static str) -> ObserverSpec {
    ObserverSpec::new(name, "sees Pods").watch(Watch::of::<Pod>())
}

/// The simplest ReplicaSet controller: as many Pods as wanted, by creating what lacks.
fn replica_sets() -> impl FnOnce(&Coordinator) {
    let spec =
        ObserverSpec::new("replicasets", "").watch(Watch::of::<ReplicaSet>()).watch(Watch::of::<Pod>());
    planner(spec, |key, view| {
        let mut plan = Plan::new();
        let Some(set) = view.get_key::<ReplicaSet>(key)? else { return Ok(plan) };
        let wanted = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        let uid = set.metadata.uid.clone().unwrap_or_default();
        let there = view.typed::<Pod>().controlled_by(&uid).len();
        for _ in there..wanted as usize {
            let mut pod = Pod::default();
            pod.metadata.generate_name = Some(format!("{}-", key.name()));
            pod.metadata.namespace = key.namespace().map(str::to_owned);
            pod.metadata.owner_references = set.controller_owner_ref(&()).map(|owner| vec![owner]);
            plan.create(&pod);
        }
        Ok(plan)
    })
}

fn replica_set(replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "spec": {"replicas": replicas, "selector": {}},
    })
}

#[tokio::test]
async fn nothing_is_created_twice_while_the_watch_lags_behind() {
    let fake = Fake::new();
    fake.put(REPLICA_SETS, "ns", "web", replica_set(3));
    fake.hold_only(PODS);
    let run = Run::start(&fake, replica_sets());
    fake.until("three Pods", |fake| fake.writes().len() == 3).await;
    // Wake it, on a view that lacks the Pods.
    fake.put(REPLICA_SETS, "ns", "web", replica_set(3));
    run.until("the key to be held", "replicasets", |status| status.held == 1).await;
    assert_eq!(fake.writes().len(), 3);
    fake.release();
    run.idle().await;
    assert_eq!(fake.writes().len(), 3);
    assert_eq!(run.status("replicasets").held, 0);

    let pod = fake.objects(PODS)[0]["metadata"]["name"].as_str().unwrap().to_owned();
    fake.delete(PODS, "ns", &pod);
    run.idle().await;
    assert_eq!((fake.writes().len(), fake.objects(PODS).len()), (4, 3));
    run.stop().await;
}

#[tokio::test]
async fn nothing_is_created_twice_however_far_the_watch_is_behind() {
    let fake = Fake::new();
    fake.put(REPLICA_SETS, "ns", "web", replica_set(3));
    fake.hold_only(PODS);
    let run = Run::start(&fake, replica_sets());
    fake.until("three Pods", |fake| fake.writes().len() == 3).await;
    fake.put(REPLICA_SETS, "ns", "web", replica_set(3));
    run.until("the key to be held", "replicasets", |status| status.held == 1).await;
    let asks = |fake: &Fake| fake.requests().iter().any(|seen| seen.path == PODS && seen.is_metadata());
    assert!(!asks(&fake));
    for _ in 0..3 {
        run.clock.advance(Duration::from_secs(31));
        fake.until("it to ask the server", asks).await;
        run.until("the key to be held again", "replicasets", |status| status.held == 1).await;
        assert_eq!(fake.writes().len(), 3);
    }
    fake.release();
    run.idle().await;
    assert_eq!((fake.writes().len(), run.status("replicasets").held), (3, 0));
    run.stop().await;
}

#[tokio::test]
async fn a_pod_that_is_created_and_gone_in_a_gap_of_the_watch_is_created_again() {
    let fake = Fake::new();
    fake.put(REPLICA_SETS, "ns", "web", replica_set(1));
    fake.hold();
    let run = Run::start(&fake, replica_sets());
    fake.until("the Pod", |fake| fake.objects(PODS).len() == 1).await;
    let pod = fake.objects(PODS)[0]["metadata"]["name"].as_str().unwrap().to_owned();
    fake.delete(PODS, "ns", &pod);
    fake.forget();
    fake.cut();
    fake.release();
    run.idle().await;
    assert_eq!((fake.writes().len(), fake.objects(PODS).len()), (2, 1));
    run.stop().await;
}

#[tokio::test]
async fn writes_to_objects_that_a_selector_leaves_out_are_not_waited_for() {
    let fake = Fake::new();
    fake.put(PODS, "ns", "web", json!({"metadata": {"labels": {"app": "web"}}}));
    let spec = ObserverSpec::new("copier", "")
        .watch(Watch::of::<Pod>())
        .watch(Watch::of::<ConfigMap>().labelled("kept=yes"));
    let plans = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&plans);
    let run = Run::start(
        &fake,
        planner(spec, move |key, _| {
            let mut plan = Plan::new();
            if counted.fetch_add(1, Ordering::SeqCst) == 0 {
                let mut copy = ConfigMap::default();
                copy.metadata.name = Some(key.name().to_owned());
                copy.metadata.namespace = key.namespace().map(str::to_owned);
                plan.create(&copy);
            }
            Ok(plan)
        }),
    );
    run.idle().await;
    fake.pod("web");
    run.idle().await;
    assert_eq!(plans.load(Ordering::SeqCst), 2);
    run.stop().await;
}

#[tokio::test]
async fn with_observer_wide_freshness_no_key_is_planned_before_all_writes_are_seen() {
    let fake = Fake::new();
    for number in 0..5 {
        fake.pod(&format!("pod-{number}"));
    }
    // Binds to the node with the fewest Pods, of two.
    let scheduler = |freshness| {
        planner(pods("scheduler").freshness(freshness), |key, view| {
            let mut plan = Plan::new();
            let mut load = BTreeMap::from([("n1".to_owned(), 0), ("n2".to_owned(), 0)]);
            for object in view.typed::<Pod>().list(None) {
                if let Some(node) = object.to_value()?.pointer("/spec/nodeName").and_then(Value::as_str) {
                    *load.get_mut(node).unwrap() += 1;
                }
            }
            let bound = view
                .object(key)
                .is_none_or(|pod| pod.to_value().is_ok_and(|pod| pod.pointer("/spec/nodeName").is_some()));
            if !bound {
                let node = load.iter().min_by_key(|(_, pods)| **pods).unwrap().0;
                plan.write(Write::bind(key.clone(), node));
            }
            Ok(plan)
        })
    };
    fake.hold();
    let run = Run::start(&fake, scheduler(Freshness::Observer));
    run.until("the first Pod to be bound", "scheduler", |status| status.served == 1 && status.active == 0)
        .await;
    assert_eq!(run.status("scheduler").queued, 4);
    fake.release();
    run.idle().await;
    let on = |node: &str| fake.objects(PODS).iter().filter(|pod| pod["spec"]["nodeName"] == node).count();
    assert_eq!((on("n1"), on("n2")), (3, 2));
    run.stop().await;
}

#[tokio::test]
async fn a_conflict_is_retried_as_soon_as_the_view_shows_the_newer_state() {
    let fake = Fake::new();
    fake.put(CONFIG_MAPS, "ns", "count", json!({"data": {"wanted": "1"}}));
    let spec = ObserverSpec::new("counter", "").watch(Watch::of::<ConfigMap>());
    let (other, interfere) = (fake.clone(), AtomicBool::new(true));
    let run = Run::start(
        &fake,
        planner(spec, move |key, view| {
            let mut plan = Plan::new();
            let Some(mut map) = view.get_key::<ConfigMap>(key)? else { return Ok(plan) };
            let data = map.data.get_or_insert_default();
            if data.get("done") != data.get("wanted") {
                data.insert("done".to_owned(), data["wanted"].clone());
                plan.update(&map);
                if interfere.swap(false, Ordering::SeqCst) {
                    // Somebody else is faster; the watch tells of it before the conflict is answered, or after.
                    other.put(CONFIG_MAPS, "ns", "count", json!({"data": {"wanted": "2"}}));
                }
            }
            Ok(plan)
        }),
    );
    run.idle().await; // the clock stands still: no back-off is waited for
    let seen = fake.object(CONFIG_MAPS, "ns", "count").unwrap();
    assert_eq!(seen["data"], json!({"wanted": "2", "done": "2"}));
    assert_eq!((fake.writes().len(), run.status("counter").retries), (2, 1));
    run.stop().await;
}

#[tokio::test]
async fn an_error_is_retried_by_key_with_exponential_back_off() {
    let fake = Fake::new();
    fake.pod("bad");
    fake.pod("good");
    let times = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&times);
    let run = Run::start(
        &fake,
        planner(pods("failing"), move |key, view| {
            if key.name() == "bad" {
                noted.lock().push(view.now());
                return Err("it is bad".into());
            }
            Ok(Plan::new())
        }),
    );
    run.idle().await;
    let status = run.status("failing");
    assert_eq!((status.served, status.retries, status.delayed), (2, 1, 1));
    assert!(status.last_error.unwrap().message.contains("Pod ns/bad: it is bad"));
    for _ in 0..4 {
        let until = run.clock.next_deadline().unwrap();
        run.clock.advance_to(until);
        run.idle().await;
    }
    let waits: Vec<i128> = times
        .lock()
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).total(jiff::Unit::Millisecond).unwrap() as i128)
        .collect();
    for (wait, full) in waits.iter().zip([100, 200, 400, 800]) {
        assert!((full / 2..=full).contains(wait), "{waits:?}");
    }
    assert_eq!(waits.len(), 4);
    run.stop().await;
}

#[tokio::test]
async fn a_failing_write_ends_the_plan_and_what_follows_it() {
    let fake = Fake::new();
    fake.pod("web");
    fake.script(
        Method::PATCH,
        "/api/v1/namespaces/ns/pods/web",
        Answer::Status(500, status_body(500, "InternalError")),
    );
    let told = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&told);
    let run = Run::start(&fake, |coordinator| {
        planner(pods("labeller"), |key, view| {
            let mut plan = Plan::new();
            if view.object(key).is_some_and(|pod| pod.label("seen").is_none()) {
                plan.write(Write::merge(key.clone(), json!({"metadata": {"labels": {"seen": "yes"}}})));
                plan.emit(Labelled(key.name().to_owned()));
            }
            Ok(plan)
        })(coordinator);
        coordinator.on_emitted(move |labelled: Arc<Labelled>, _cx| {
            assert_eq!(labelled.0, "web");
            counted.fetch_add(1, Ordering::SeqCst);
            async {}
        });
    });
    run.idle().await;
    assert_eq!(told.load(Ordering::SeqCst), 0);
    run.clock.advance(Duration::from_secs(1));
    run.idle().await;
    assert_eq!((told.load(Ordering::SeqCst), fake.writes().len()), (1, 2));
    run.stop().await;
}

struct Labelled(String);

#[tokio::test]
async fn fifty_keys_requeued_at_once_are_served_equally() {
    let fake = Fake::new();
    for number in 0..50 {
        fake.pod(&format!("pod-{number}"));
    }
    let served: Arc<Mutex<BTreeMap<Key, usize>>> = Arc::default();
    let (counted, total) = (Arc::clone(&served), Arc::new(watch::Sender::new(0)));
    let (mut done, total) = (total.subscribe(), total);
    let run = Run::start(
        &fake,
        planner(pods("busy"), move |key, _| {
            *counted.lock().entry(key.clone()).or_default() += 1;
            total.send_modify(|total| *total += 1);
            let mut plan = Plan::new();
            plan.requeue_after(Duration::ZERO);
            Ok(plan)
        }),
    );
    fake::within("1500 turns", done.wait_for(|total| *total >= 1500)).await.unwrap();
    let served = served.lock().clone();
    let (min, max) = (served.values().min().unwrap(), served.values().max().unwrap());
    assert!(served.len() == 50 && max - min <= 1, "from {min} to {max} turns");
    run.stop().await;
}

#[tokio::test]
async fn a_wish_to_be_served_later_goes_by_the_clock() {
    let fake = Fake::new();
    fake.pod("web");
    let plans = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&plans);
    let run = Run::start(
        &fake,
        planner(pods("periodic"), move |_, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut plan = Plan::new();
            plan.requeue_after(Duration::from_mins(10));
            Ok(plan)
        }),
    );
    run.idle().await;
    run.clock.advance(Duration::from_secs(599));
    run.idle().await;
    assert_eq!(plans.load(Ordering::SeqCst), 1);
    run.clock.advance(Duration::from_secs(1));
    run.idle().await;
    assert_eq!(plans.load(Ordering::SeqCst), 2);
    run.stop().await;
}

#[tokio::test]
async fn plans_can_be_seen_without_being_executed() {
    let fake = Fake::new();
    fake.put(REPLICA_SETS, "ns", "web", replica_set(2));
    let run = Run::start(&fake, replica_sets());
    run.idle().await;
    let key = Key::new::<ReplicaSet>("ns", "web");
    assert!(run.coordinator.plan("replicasets", &key).unwrap().is_empty());
    assert!(run.coordinator.plan("nobody", &key).is_err());
    run.stop().await;
}
