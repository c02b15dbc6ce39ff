//! Panics, shutdown, and observers that are slow.
#![allow(clippy::unwrap_used)]

mod fake;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fake::{Answer, Fake, PODS, Planner, Run, status_body};
use http::Method;
use k8s_openapi::api::core::v1::Pod;
use parking_lot::Mutex;
use tokio::sync::watch;
use xebec_coordinator::{
    BoxError, Context, Coordinator, Event, Health, Key, Observer, ObserverSpec, Plan, View, Watch,
};

fn planner<F>(spec: ObserverSpec, plan: F) -> impl FnOnce(&Coordinator)
where
    F: Fn(&Key, &View) -> Result<Plan, BoxError> + Send + Sync + 'static,
{
    move |coordinator| coordinator.observe(Planner(spec, plan)).unwrap()
}

fn pods(name: &'static str) -> ObserverSpec {
    ObserverSpec::new(name, "sees Pods").watch(Watch::of::<Pod>())
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
    let slow = slow.lock().clone();
    assert!(slow.len() < 20 && slow.last().unwrap() == "20", "{slow:?}");
    assert_eq!(run.status("recorder").gaps, 1);
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
    let served = served.lock().clone();
    assert_eq!(served.iter().filter(|name| *name == "worse").count(), 2);
    assert_eq!(served.iter().filter(|name| *name == "good").count(), 2, "everything there is, is told again");
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
        coordinator.observe(Fragile(Arc::clone(&served), Arc::clone(&armed))).unwrap();
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
