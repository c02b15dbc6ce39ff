//! How keys are woken, planned and served, and how plans are executed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod fake;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fake::{Answer, CONFIG_MAPS, Fake, PODS, Run, status_body};
use http::Method;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Resource;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use xebec_coordinator::{
    BoxError, Context, Coordinator, Event, Freshness, Health, Key, Observer, ObserverSpec, Plan, View, Watch,
    Write,
};

const REPLICA_SETS: &str = "/apis/apps/v1/replicasets";

/// An observer whose plan is a function.
struct Planner<F>(ObserverSpec, F);

impl<F> Observer for Planner<F>
where
    F: Fn(&Key, &View) -> Result<Plan, BoxError> + Send + Sync + 'static,
{
    fn spec(&self) -> ObserverSpec {
        self.0.clone()
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        self.1(key, view)
    }
}

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
    fake.hold();
    let spec = ObserverSpec::new("counter", "").watch(Watch::of::<ConfigMap>());
    let run = Run::start(
        &fake,
        planner(spec, |key, view| {
            let mut plan = Plan::new();
            let Some(mut map) = view.get_key::<ConfigMap>(key)? else { return Ok(plan) };
            let data = map.data.get_or_insert_default();
            if data.get("done") != data.get("wanted") {
                data.insert("done".to_owned(), data["wanted"].clone());
                plan.update(&map);
            }
            Ok(plan)
        }),
    );
    fake.until("a first write", |fake| fake.writes().len() == 1).await;
    // Somebody else writes, which the view does not show yet; the held echo comes with it.
    let seen = |fake: &Fake| fake.object(CONFIG_MAPS, "ns", "count").unwrap()["data"].clone();
    assert_eq!(seen(&fake), json!({"wanted": "1", "done": "1"}));
    fake.release();
    run.idle().await;

    fake.hold();
    fake.script(
        Method::PUT,
        "/api/v1/namespaces/ns/configmaps/count",
        Answer::Status(409, status_body(409, "Conflict")),
    );
    fake.put(CONFIG_MAPS, "ns", "count", json!({"data": {"wanted": "2", "done": "1"}}));
    fake.release();
    fake.until("a conflict", |fake| fake.writes().len() == 2).await;
    fake.put(CONFIG_MAPS, "ns", "count", json!({"data": {"wanted": "3", "done": "1"}}));
    run.idle().await; // the clock stands still: no back-off is waited for
    assert_eq!(seen(&fake), json!({"wanted": "3", "done": "3"}));
    assert_eq!(run.status("counter").retries, 1);
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
    let served = served.lock();
    let (min, max) = (served.values().min().unwrap(), served.values().max().unwrap());
    assert!(served.len() == 50 && max - min <= 1, "from {min} to {max} turns");
    drop(served);
    run.stop().await;
}

#[tokio::test]
async fn a_stuck_observer_delays_no_other_and_gets_one_coalesced_event_in_the_end() {
    let fake = Fake::new();
    fake.pod("web");
    let gate = Arc::new(watch::Sender::new(false));
    let (slow, fast) = (Arc::new(Mutex::new(Vec::new())), Arc::new(watch::Sender::new(0)));
    let mut count = fast.subscribe();
    let run = Run::start(&fake, |coordinator| {
        let (gate, slow) = (Arc::clone(&gate), Arc::clone(&slow));
        let callback = move |event: Event, _cx: Context| {
            slow.lock().push(event.object().resource_version().to_owned());
            let mut gate = gate.subscribe();
            async move { drop(gate.wait_for(|open| *open).await) }
        };
        coordinator.callback(pods("slow"), callback).unwrap();
        coordinator.on(move |event: Event<Pod>, _cx| {
            fast.send_replace(event.object().metadata.resource_version.clone().unwrap().parse().unwrap());
            async {}
        });
    });
    fake::within("the slow one", async {
        while slow.lock().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    for version in 2..=100 {
        fake.pod("web");
        fake::within("the fast one", count.wait_for(|seen| *seen == version)).await.unwrap();
    }
    gate.send_replace(true);
    run.idle().await;
    assert_eq!(*slow.lock(), ["1", "100"]);
    run.stop().await;
}

#[tokio::test]
async fn an_observer_of_edges_gets_every_change_however_slow_and_stalls_no_watch() {
    let fake = Fake::new();
    fake.pod("web");
    let gate = Arc::new(watch::Sender::new(false));
    let (slow, fast) = (Arc::new(Mutex::new(Vec::new())), Arc::new(watch::Sender::new(0)));
    let mut count = fast.subscribe();
    let run = Run::start(&fake, |coordinator| {
        let (gate, slow) = (Arc::clone(&gate), Arc::clone(&slow));
        let callback = move |event: Event, _cx: Context| {
            let old = event.old().map_or("", |old| old.resource_version()).to_owned();
            slow.lock().push(format!("{old}-{}", event.object().resource_version()));
            let mut gate = gate.subscribe();
            async move { drop(gate.wait_for(|open| *open).await) }
        };
        coordinator.callback(pods("recorder").edges(4), callback).unwrap();
        coordinator.on(move |event: Event<Pod>, _cx| {
            fast.send_replace(event.object().metadata.resource_version.clone().unwrap().parse().unwrap());
            async {}
        });
    });
    fake::within("the slow one", async {
        while slow.lock().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    for version in 2..=100 {
        fake.pod("web");
        fake::within("the fast one", count.wait_for(|seen| *seen == version)).await.unwrap();
    }
    assert_eq!(slow.lock().len(), 1);
    gate.send_replace(true);
    run.idle().await;
    let every: Vec<String> =
        std::iter::once("-1".to_owned()).chain((2..=100).map(|new| format!("{}-{new}", new - 1))).collect();
    assert_eq!(*slow.lock(), every);
    // It is on the shared watch again.
    let watches = fake.watches(PODS);
    assert!(watches > 1, "it read on over a watch of its own");
    fake.pod("web");
    run.idle().await;
    assert_eq!(slow.lock().last().unwrap(), "100-101");
    assert_eq!((fake.watches(PODS), run.status("recorder").gaps), (watches, 0));
    assert_eq!(fake.open_watches(), 1);
    run.stop().await;
}

#[tokio::test]
async fn an_observer_of_edges_is_told_the_difference_where_the_server_has_forgotten() {
    let fake = Fake::new();
    fake.pod("web");
    let gate = Arc::new(watch::Sender::new(false));
    let slow = Arc::new(Mutex::new(Vec::new()));
    let fast = Arc::new(watch::Sender::new(0));
    let mut count = fast.subscribe();
    let run = Run::start(&fake, |coordinator| {
        let (gate, slow) = (Arc::clone(&gate), Arc::clone(&slow));
        let callback = move |event: Event, _cx: Context| {
            slow.lock().push(event.object().resource_version().to_owned());
            let mut gate = gate.subscribe();
            async move { drop(gate.wait_for(|open| *open).await) }
        };
        coordinator.callback(pods("recorder").edges(2), callback).unwrap();
        coordinator.on(move |event: Event<Pod>, _cx| {
            fast.send_replace(event.object().metadata.resource_version.clone().unwrap().parse().unwrap());
            async {}
        });
    });
    fake.until("the watch", |fake| fake.watches(PODS) == 1).await;
    // The history that it would need is gone before it can ask for it.
    fake.script(Method::GET, PODS, Answer::Status(410, status_body(410, "Expired")));
    for version in 2..=20 {
        fake.pod("web");
        fake::within("the fast one", count.wait_for(|seen| *seen == version)).await.unwrap();
    }
    gate.send_replace(true);
    run.idle().await;
    let slow = slow.lock();
    assert!(slow.len() < 20 && slow.last().unwrap() == "20", "{slow:?}");
    assert_eq!(run.status("recorder").gaps, 1);
    drop(slow);
    run.stop().await;
}

#[tokio::test]
async fn a_failed_callback_gets_the_same_event_again_before_later_ones() {
    let fake = Fake::new();
    fake.pod("web");
    let (told, fail) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(true)));
    let run = Run::start(&fake, |coordinator| {
        let (told, fail) = (Arc::clone(&told), Arc::clone(&fail));
        let callback = move |event: Event, _cx: Context| {
            told.lock().push(event.object().resource_version().to_owned());
            let result = if fail.load(Ordering::SeqCst) { Err("not now") } else { Ok(()) };
            async move { result }
        };
        coordinator.callback(pods("recorder").edges(16), callback).unwrap();
    });
    run.idle().await;
    fail.store(false, Ordering::SeqCst);
    run.clock.advance(Duration::from_secs(1));
    fake.pod("web");
    run.idle().await;
    assert_eq!(*told.lock(), ["1", "1", "2"]);
    run.stop().await;
}

#[tokio::test]
async fn a_panic_restarts_that_observer_alone() {
    let fake = Fake::new();
    fake.pod("worse");
    fake.pod("good");
    let served = Arc::new(Mutex::new(Vec::new()));
    let (noted, armed) = (Arc::clone(&served), Arc::new(AtomicBool::new(true)));
    let panics = Arc::clone(&armed);
    let others = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&others);
    let run = Run::start(&fake, |coordinator| {
        planner(pods("fragile"), move |key, _| {
            noted.lock().push(key.name().to_owned());
            assert!(key.name() != "worse" || !panics.load(Ordering::SeqCst), "on purpose");
            Ok(Plan::new())
        })(coordinator);
        planner(pods("solid"), move |_, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(Plan::new())
        })(coordinator);
    });
    run.idle().await;
    let status = run.status("fragile");
    assert_eq!(status.panics, 1);
    assert!(matches!(status.health, Health::Restarting(_)), "{:?}", status.health);
    assert!(status.last_error.unwrap().message.contains("on purpose"));
    assert_eq!(others.load(Ordering::SeqCst), 2);

    armed.store(false, Ordering::SeqCst);
    run.clock.advance(Duration::from_secs(1));
    run.idle().await;
    assert_eq!(run.status("fragile").health, Health::Running);
    assert_eq!(others.load(Ordering::SeqCst), 2, "the other was not restarted");
    let served = served.lock();
    assert_eq!(served.iter().filter(|name| *name == "worse").count(), 2);
    assert_eq!(served.iter().filter(|name| *name == "good").count(), 2, "everything there is, is told again");
    drop(served);
    run.stop().await;
}

#[tokio::test]
async fn a_wake_that_panics_leaves_the_other_keys_served() {
    struct Fragile(Arc<Mutex<Vec<String>>>, Arc<AtomicBool>);
    impl Observer for Fragile {
        fn spec(&self) -> ObserverSpec {
            pods("fragile")
        }
        fn wake(&self, event: &Event, _view: &View) -> Vec<Key> {
            assert!(event.key().name() != "bad" || !self.1.load(Ordering::SeqCst), "on purpose");
            vec![event.key().clone()]
        }
        fn plan(&self, key: &Key, _view: &View) -> Result<Plan, BoxError> {
            self.0.lock().push(key.name().to_owned());
            Ok(Plan::new())
        }
    }
    let fake = Fake::new();
    fake.pod("bad");
    fake.pod("good");
    let (served, armed) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(true)));
    let run = Run::start(&fake, |coordinator| {
        coordinator.observe(Fragile(Arc::clone(&served), Arc::clone(&armed))).unwrap()
    });
    run.idle().await;
    assert_eq!(*served.lock(), ["good"]);
    assert_eq!(run.status("fragile").panics, 1);
    armed.store(false, Ordering::SeqCst);
    run.clock.advance(Duration::from_secs(1));
    run.idle().await;
    assert_eq!((run.status("fragile").health, run.status("fragile").panics), (Health::Running, 1));
    assert_eq!(*served.lock(), ["good", "bad", "good"]);
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
async fn a_coordinator_ends_at_once_and_can_run_again() {
    let fake = Fake::new();
    fake.pod("web");
    let told = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&told);
    let run = Run::start(&fake, |coordinator| {
        coordinator.on(move |_event: Event<Pod>, _cx| {
            counted.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>() // serves for ever
        });
    });
    fake::within("the callback", async {
        while told.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let coordinator = run.coordinator.clone();
    run.stop().await;
    assert_eq!(coordinator.status().observers[0].health, Health::Stopped);
    assert!(coordinator.status().watches.is_empty());
    assert_eq!(Arc::strong_count(&told), 2, "the callback itself, and the test");

    let shutdown = tokio_util::sync::CancellationToken::new();
    let (again, token) = (coordinator.clone(), shutdown.clone());
    let task = tokio::spawn(async move { again.run(token).await });
    fake::within("the callback", async {
        while told.load(Ordering::SeqCst) == 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(coordinator.run(shutdown.clone()).await.is_err(), "it runs already");
    shutdown.cancel();
    fake::within("the end", task).await.unwrap().unwrap();
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
