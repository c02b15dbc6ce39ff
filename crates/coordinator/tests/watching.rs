//! How the server is listed and watched, and what observers are told of it.
#![allow(clippy::unwrap_used)]

mod fake;

use std::sync::Arc;
use std::time::Duration;

use fake::{CONFIG_MAPS, Fake, PODS, Run};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::core::PartialObjectMeta;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::watch;
use xebec_coordinator::{Context, Coordinator, Event, Index, Kind, ObserverSpec, Watch, WatchState};

/// What a callback was told, as text.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>, Arc<watch::Sender<usize>>);

impl Told {
    fn push(&self, event: &Event) {
        let what = match event {
            Event::Added(_) => "added",
            Event::Modified { .. } => "modified",
            Event::Deleted(_) => "deleted",
        };
        let mut told = self.0.lock();
        told.push(format!("{what} {}@{}", event.object().name(), event.object().resource_version()));
        self.1.send_replace(told.len());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }

    fn observe(&self, coordinator: &Coordinator, spec: ObserverSpec) {
        let told = self.clone();
        let callback = move |event: Event, _cx: Context| {
            told.push(&event);
            async {}
        };
        coordinator.callback(spec, callback).unwrap();
    }
}

fn pods(name: &'static str) -> ObserverSpec {
    ObserverSpec::new(name, "sees Pods").watch(Watch::of::<Pod>())
}

#[tokio::test]
async fn ten_observers_cost_one_watch() {
    let fake = Fake::new();
    fake.pod("web");
    let told: Vec<Told> = (0..10).map(|_| Told::default()).collect();
    let run = Run::start(&fake, |coordinator| {
        for (number, told) in told.iter().enumerate() {
            told.observe(coordinator, ObserverSpec::new(format!("o{number}"), "").watch(Watch::of::<Pod>()));
        }
    });
    run.idle().await;
    fake.pod("db");
    run.idle().await;
    for told in &told {
        assert_eq!(told.take(), ["added web@1", "added db@2"]);
    }
    assert_eq!((fake.lists(PODS), fake.watches(PODS), fake.open_watches()), (1, 1, 1));
    assert_eq!(run.coordinator.status().watches[0].observers, 10);
    run.stop().await;
}

#[tokio::test]
async fn a_long_list_comes_in_pages() {
    let fake = Fake::new();
    for number in 0..1200 {
        fake.pod(&format!("pod-{number:04}"));
    }
    let told = Told::default();
    let run = Run::start(&fake, |coordinator| told.observe(coordinator, pods("all")));
    run.idle().await;
    let told = told.take();
    assert_eq!((told.len(), &*told[0], &*told[1199]), (1200, "added pod-0000@1", "added pod-1199@1200"));
    assert_eq!(fake.lists(PODS), 3);
    run.stop().await;
}

#[tokio::test]
async fn a_relist_tells_only_what_differs_deletions_included() {
    let fake = Fake::new();
    for name in ["gone", "same", "changed", "replaced"] {
        fake.pod(name);
    }
    let told = Told::default();
    let run = Run::start(&fake, |coordinator| told.observe(coordinator, pods("all")));
    run.idle().await;
    told.take();
    fake.hold();
    fake.delete(PODS, "ns", "gone");
    fake.pod("changed");
    fake.delete(PODS, "ns", "replaced");
    fake.pod("replaced");
    fake.pod("new");
    fake.forget();
    fake.cut();
    run.idle().await;
    let mut told = told.take();
    told.sort();
    assert_eq!(
        told,
        ["added new@9", "added replaced@8", "deleted gone@1", "deleted replaced@4", "modified changed@6"]
    );
    assert_eq!(fake.lists(PODS), 2);
    run.stop().await;
}

#[tokio::test]
async fn a_watch_that_was_cut_goes_on_where_it_was() {
    let fake = Fake::new();
    fake.pod("web");
    let told = Told::default();
    let run = Run::start(&fake, |coordinator| told.observe(coordinator, pods("all")));
    run.idle().await;
    fake.pod("db");
    run.idle().await;
    fake.hold();
    fake.pod("cache");
    fake.cut();
    fake.release();
    run.idle().await;
    assert_eq!(told.take(), ["added web@1", "added db@2", "added cache@3"]);
    assert_eq!((fake.lists(PODS), fake.watches(PODS)), (1, 2));
    run.stop().await;
}

#[tokio::test]
async fn watches_that_tell_nothing_and_end_are_not_reopened_at_once_for_ever() {
    let fake = Fake::new();
    let run = Run::start(&fake, |coordinator| Told::default().observe(coordinator, pods("all")));
    for watches in [1, 2] {
        fake.until("a watch", |fake| fake.watches(PODS) == watches).await;
        run.idle().await;
        fake.cut();
    }
    let soon = xebec_coordinator::Clock::now(&run.clock) + Duration::from_secs(1);
    let waiting = async {
        while run.clock.next_deadline().is_none_or(|deadline| deadline > soon) {
            tokio::task::yield_now().await;
        }
    };
    fake::within("a back-off", waiting).await;
    assert_eq!(fake.watches(PODS), 2);
    run.clock.advance(Duration::from_secs(1));
    fake.until("the next watch", |fake| fake.watches(PODS) == 3).await;
    run.stop().await;
}

#[tokio::test]
async fn a_missing_kind_is_visible_waited_for_let_go_and_stops_nothing_else() {
    const WIDGETS: &str = "/apis/example.com/v1/widgets";
    let kind = Kind::named("example.com", "v1", "Widget", "widgets");
    let fake = Fake::new();
    fake.refuse(WIDGETS, 404);
    fake.pod("web");
    let (widgets, both, others) = (Told::default(), Told::default(), Told::default());
    let run = Run::start(&fake, |coordinator| {
        let widget = Watch::kind(kind.clone());
        widgets.observe(coordinator, ObserverSpec::new("widgets", "").watch(widget.clone()));
        both.observe(coordinator, pods("both").watch(widget.clone().optional()));
        others.observe(coordinator, pods("others"));
    });
    run.idle().await;
    assert_eq!(others.take(), ["added web@1"]);
    assert_eq!(both.take(), ["added web@1"], "does without the widgets");
    assert_eq!(widgets.take(), [""; 0]);
    assert!(run.coordinator.status().watches.iter().any(|watch| watch.state == WatchState::Missing));

    fake.refuse(WIDGETS, 200);
    fake.put(WIDGETS, "ns", "w", json!({"spec": {"size": 3}}));
    run.clock.advance(Duration::from_mins(1));
    fake.until("the widgets' watch", |fake| fake.watches(WIDGETS) == 1).await;
    run.idle().await;
    assert_eq!((widgets.take(), both.take()), (vec!["added w@2".to_owned()], vec!["added w@2".to_owned()]));

    fake.refuse(WIDGETS, 404); // the definition leaves, and with it its objects
    loop {
        run.idle().await;
        if !widgets.0.lock().is_empty() {
            break;
        }
        run.clock.advance(Duration::from_mins(1));
        tokio::task::yield_now().await;
    }
    assert_eq!(widgets.take(), ["deleted w@2"]);
    run.stop().await;
}

#[tokio::test]
async fn a_forbidden_kind_is_visible_and_retried() {
    let fake = Fake::new();
    fake.refuse(PODS, 403);
    let told = Told::default();
    let run = Run::start(&fake, |coordinator| told.observe(coordinator, pods("all")));
    run.idle().await;
    let status = run.coordinator.status();
    assert!(matches!(&status.watches[0].state, WatchState::Forbidden(why) if why.contains("by the script")));
    fake.refuse(PODS, 200);
    fake.pod("web");
    run.clock.advance(Duration::from_mins(1));
    fake.until("the watch", |fake| fake.watches(PODS) == 1).await;
    run.idle().await;
    assert_eq!(told.take(), ["added web@1"]);
    run.stop().await;
}

#[tokio::test]
async fn a_late_observer_gets_a_snapshot_and_then_the_tail() {
    let fake = Fake::new();
    fake.pod("web");
    let run = Run::start(&fake, |coordinator| Told::default().observe(coordinator, pods("early")));
    run.idle().await;
    fake.pod("web");
    run.idle().await;
    let late = Told::default();
    late.observe(&run.coordinator, pods("late"));
    run.idle().await;
    fake.pod("web");
    run.idle().await;
    assert_eq!(late.take(), ["added web@2", "modified web@3"]);
    assert_eq!(fake.watches(PODS), 1);
    run.stop().await;
}

#[tokio::test]
async fn a_watch_ends_with_its_last_observer() {
    let fake = Fake::new();
    let run = Run::start(&fake, |coordinator| {
        Told::default().observe(coordinator, pods("one"));
        Told::default().observe(coordinator, pods("two"));
    });
    run.idle().await;
    assert!(run.coordinator.remove("one"));
    run.idle().await;
    assert_eq!(fake.open_watches(), 1);
    assert!(run.coordinator.remove("two"));
    let ended = async {
        while fake.open_watches() > 0 {
            tokio::task::yield_now().await;
        }
    };
    fake::within("the watch to end", ended).await;
    assert!(run.coordinator.status().watches.is_empty());
    assert!(!run.coordinator.remove("two"));
    run.stop().await;
}

/// What kube-rs gets wrong: a reader that finds its object gone waits for ever, and 256 events later so does the whole
/// kind's watch.
#[tokio::test]
async fn an_object_applied_and_deleted_before_a_reader_polls_stalls_nothing() {
    let fake = Fake::new();
    let (gate, opened) = watch::channel(false);
    let told = Told::default();
    let run = Run::start(&fake, |coordinator| {
        let callback = move |_event: Event, _cx: Context| {
            let mut opened = opened.clone();
            async move {
                opened.wait_for(|open| *open).await.unwrap();
            }
        };
        coordinator.callback(pods("stuck"), callback).unwrap();
        told.observe(coordinator, pods("free"));
    });
    fake.until("the watch", |fake| fake.watches(PODS) == 1).await;
    for number in 0..2000 {
        fake.pod(&format!("brief-{number}"));
        fake.delete(PODS, "ns", &format!("brief-{number}"));
    }
    fake.pod("last");
    let mut count = told.1.subscribe();
    let last = async {
        while !told.0.lock().iter().any(|told| told.starts_with("added last")) {
            count.changed().await.unwrap();
        }
    };
    fake::within("the free observer to see the last event", last).await;
    gate.send_replace(true);
    run.idle().await;
    assert_eq!(run.status("stuck").queued, 0);
    run.stop().await;
}

#[tokio::test]
async fn selectors_and_namespaces_have_watches_of_their_own() {
    let fake = Fake::new();
    let web = json!({"metadata": {"labels": {"app": "web"}}});
    fake.put(PODS, "one", "a", web.clone());
    fake.put(PODS, "one", "b", json!({}));
    fake.put(PODS, "two", "c", web.clone());
    fake.put(PODS, "three", "d", web);
    let (labelled, spaces) = (Told::default(), Told::default());
    let run = Run::start(&fake, |coordinator| {
        let watch = Watch::of::<Pod>().labelled("app=web");
        labelled.observe(coordinator, ObserverSpec::new("labelled", "").watch(watch));
        let watch = Watch::of::<Pod>().namespace("one").namespace("two");
        spaces.observe(coordinator, ObserverSpec::new("spaces", "").watch(watch));
    });
    run.idle().await;
    assert_eq!(labelled.take(), ["added a@1", "added d@4", "added c@3"], "by namespace and name");
    assert_eq!(spaces.take(), ["added a@1", "added b@2", "added c@3"]);
    fake.put(PODS, "one", "a", json!({})); // leaves the selector
    run.idle().await;
    assert_eq!((labelled.take(), spaces.take()), (vec!["deleted a@5".into()], vec!["modified a@5".into()]));
    assert_eq!(fake.watches(PODS), 1);
    assert_eq!(fake.watches("/api/v1/namespaces/two/pods"), 1);
    run.stop().await;
}

#[tokio::test]
async fn metadata_comes_from_whole_objects_where_there_are_some() {
    let fake = Fake::new();
    fake.put(PODS, "ns", "web", json!({"metadata": {"labels": {"app": "web"}}, "spec": {"nodeName": "n1"}}));
    fake.put(CONFIG_MAPS, "ns", "conf", json!({"data": {"secret": "value"}}));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let run = Run::start(&fake, |coordinator| {
        let spec = ObserverSpec::new("metadata", "")
            .watch(Watch::of::<Pod>().metadata_only())
            .watch(Watch::of::<ConfigMap>().metadata_only());
        let seen = Arc::clone(&seen);
        let callback = move |event: Event, cx: Context| {
            let metadata: Option<PartialObjectMeta<Pod>> = cx.view().get(Some("ns"), "web").unwrap();
            let labels = metadata.unwrap().metadata.labels.unwrap();
            seen.lock().push((event.object().bytes().into_owned(), labels["app"].clone()));
            async {}
        };
        coordinator.callback(spec, callback).unwrap();
        Told::default().observe(coordinator, pods("whole"));
    });
    run.idle().await;
    let seen = seen.lock().clone();
    assert!(String::from_utf8_lossy(&seen[0].0).contains("nodeName"), "shared with those who want all");
    assert!(!String::from_utf8_lossy(&seen[1].0).contains("secret"), "nobody asked for data");
    assert_eq!(seen[1].1, "web");
    assert_eq!((fake.watches(PODS), fake.watches(CONFIG_MAPS)), (1, 1));
    run.stop().await;
}

#[tokio::test]
async fn indexes_follow_the_objects_through_changes_and_relists() {
    let fake = Fake::new();
    let on = |node: &str| json!({"spec": {"nodeName": node, "containers": []}});
    fake.put(PODS, "ns", "a", on("n1"));
    fake.put(PODS, "ns", "b", on("n1"));
    let by_node = Index::new("node", |pod: &Pod| {
        pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).into_iter().collect()
    });
    let seen = Arc::new(Mutex::new(Vec::new()));
    let run = Run::start(&fake, |coordinator| {
        let seen = Arc::clone(&seen);
        let callback = move |_event: Event, cx: Context| {
            let names = |node: &str| {
                let objects = cx.view().typed::<Pod>().by_index("node", node);
                objects.iter().map(|object| object.name().to_owned()).collect::<String>()
            };
            *seen.lock() = vec![names("n1"), names("n2"), names("n")];
            async {}
        };
        coordinator.callback(pods("indexed").index(by_node), callback).unwrap();
    });
    run.idle().await;
    assert_eq!(*seen.lock(), ["ab", "", ""]);
    fake.put(PODS, "ns", "a", on("n2"));
    run.idle().await;
    assert_eq!(*seen.lock(), ["b", "a", ""]);
    fake.hold();
    fake.delete(PODS, "ns", "b");
    fake.put(PODS, "ns", "c", on("n2"));
    fake.forget();
    fake.cut();
    run.idle().await;
    assert_eq!(*seen.lock(), ["", "ac", ""]);
    run.stop().await;
}
