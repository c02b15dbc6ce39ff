//! How writes reach the server: requests, answers, Kubernetes Events.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod fake;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fake::{Answer, CONFIG_MAPS, Fake, PODS, Run};
use http::Method;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::PropagationPolicy;
use parking_lot::Mutex;
use serde_json::{Value, json};
use xebec_coordinator::{
    Action, BoxError, Context, EventRecord, Key, Kind, Object, Observer, ObserverSpec, Plan, Reconciler,
    View, Watch, Write,
};

const EVENTS: &str = "/apis/events.k8s.io/v1/events";

/// Does what a test wants done for each Pod whenever it is woken.
struct Each<F>(F);

impl<F: Fn(&Key, &View) -> Plan + Send + Sync + 'static> Observer for Each<F> {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("writer", "").watch(Watch::of::<Pod>()).reports_as("test-writer")
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        Ok((self.0)(key, view))
    }
}

fn web() -> Key {
    Key::new::<Pod>("ns", "web")
}

/// The request that a write becomes: method, path with query, content type and body.
async fn request(write: Write) -> (String, String, Value) {
    let fake = Fake::new();
    fake.pod("web");
    let done = Arc::new(AtomicUsize::new(0));
    let run = Run::start(&fake, |coordinator| {
        let plan = move |_: &Key, _: &View| {
            let mut plan = Plan::new();
            if done.fetch_add(1, Ordering::SeqCst) == 0 {
                plan.write(write.clone());
            }
            plan
        };
        coordinator.observe(Each(plan)).unwrap();
    });
    fake.until("the write", |fake| !fake.writes().is_empty()).await;
    run.stop().await;
    let seen = fake.writes().remove(0);
    (format!("{} {}?{}", seen.method, seen.path, seen.query), seen.content_type, seen.body)
}

#[tokio::test]
async fn writes_become_the_requests_that_kubernetes_expects() {
    const POD: &str = "/api/v1/namespaces/ns/pods/web";
    let mut pod = Pod::default();
    pod.metadata.namespace = Some("ns".to_owned());
    pod.metadata.name = Some("web".to_owned());
    let encoded = serde_json::to_value(&pod).unwrap();
    let (json, manager) = ("application/json", "fieldManager=test-writer");
    let patch = json!({"metadata": {"labels": {"a": "b"}}});
    // What is served is not brought back should it be gone.
    let of_this_very_object = |mut object: Value| {
        object["metadata"]["uid"] = "uid-1".into();
        object
    };
    for (write, line, content_type, sent) in [
        (
            Write::create(&pod).unwrap(),
            format!("POST /api/v1/namespaces/ns/pods?&{manager}"),
            json,
            encoded.clone(),
        ),
        (Write::update(&pod).unwrap(), format!("PUT {POD}?&{manager}"), json, encoded.clone()),
        (Write::update_status(&pod).unwrap(), format!("PUT {POD}/status?&{manager}"), json, encoded.clone()),
        (
            Write::merge(web(), patch.clone()),
            format!("PATCH {POD}?&{manager}"),
            "application/merge-patch+json",
            patch.clone(),
        ),
        (
            Write::strategic(web(), patch.clone()).on("status"),
            format!("PATCH {POD}/status?&{manager}"),
            "application/strategic-merge-patch+json",
            patch.clone(),
        ),
        (
            Write::json(web(), json!([{"op": "remove", "path": "/spec"}])),
            format!("PATCH {POD}?&{manager}"),
            "application/json-patch+json",
            json!([{"op": "remove", "path": "/spec"}]),
        ),
        (
            Write::apply(&pod).unwrap().force().managed_by("me"),
            format!("PATCH {POD}?&force=true&fieldManager=me"),
            "application/apply-patch+yaml",
            of_this_very_object(encoded.clone()),
        ),
        (
            Write::apply_value(web(), json!({"spec": {}})),
            format!("PATCH {POD}?&{manager}"),
            "application/apply-patch+yaml",
            of_this_very_object(json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "ns"}, "spec": {},
            })),
        ),
        (
            Write::merge(web(), patch.clone()).if_uid("u").if_unchanged("7"),
            format!("PATCH {POD}?&{manager}"),
            "application/merge-patch+json",
            json!({"metadata": {"labels": {"a": "b"}, "uid": "u", "resourceVersion": "7"}}),
        ),
        (
            Write::json(web(), json!([{"op": "remove", "path": "/spec"}])).if_uid("u"),
            format!("PATCH {POD}?&{manager}"),
            "application/json-patch+json",
            json!([{"op": "test", "path": "/metadata/uid", "value": "u"}, {"op": "remove", "path": "/spec"}]),
        ),
        (Write::delete(web()), format!("DELETE {POD}?"), json, json!({})),
        (
            Write::delete(web())
                .if_uid("u")
                .if_unchanged("7")
                .propagation(PropagationPolicy::Foreground)
                .grace_period(0),
            format!("DELETE {POD}?"),
            json,
            json!({
                "gracePeriodSeconds": 0, "propagationPolicy": "Foreground",
                "preconditions": {"resourceVersion": "7", "uid": "u"},
            }),
        ),
        (
            Write::bind(web(), "n1"),
            format!("POST {POD}/binding?&{manager}"),
            json,
            json!({
                "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "web", "namespace": "ns"},
                "target": {"apiVersion": "v1", "kind": "Node", "name": "n1"},
            }),
        ),
        (
            Write::evict(web()),
            format!("POST {POD}/eviction?&{manager}"),
            json,
            json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web", "namespace": "ns"}}),
        ),
        (
            Write::scale(web(), 3),
            format!("PATCH {POD}/scale?&{manager}"),
            "application/merge-patch+json",
            json!({"spec": {"replicas": 3}}),
        ),
        (
            Write::create_value(
                Kind::named("example.com", "v1", "Widget", "widgets"),
                json!({"metadata": {"name": "w"}}),
            ),
            format!("POST /apis/example.com/v1/widgets?&{manager}"),
            json,
            json!({"metadata": {"name": "w"}}),
        ),
    ] {
        let name = write.to_string();
        let (got_line, got_type, got_body) = request(write).await;
        let got_line = got_line.replace("?fieldManager", "?&fieldManager").replace("?force", "?&force");
        assert_eq!(got_line, line, "{name}");
        assert_eq!(got_type, content_type, "{name}");
        assert_eq!(got_body, sent, "{name}");
    }
}

#[tokio::test]
async fn deleting_what_is_gone_is_success() {
    let fake = Fake::new();
    fake.pod("web");
    let run = Run::start(&fake, |coordinator| {
        let plan = |_: &Key, _: &View| {
            let mut plan = Plan::new();
            plan.delete(Key::new::<Pod>("ns", "nobody"));
            plan
        };
        coordinator.observe(Each(plan)).unwrap();
    });
    run.idle().await;
    let status = run.status("writer");
    assert_eq!((status.served, status.retries, status.writes), (1, 0, 1));
    run.stop().await;
}

#[tokio::test]
async fn a_pod_is_deleted_once_though_the_watch_lags_behind() {
    let fake = Fake::new();
    fake.pod("web");
    fake.pod("other");
    let run = Run::start(&fake, |coordinator| {
        let plan = |key: &Key, view: &View| {
            let mut plan = Plan::new();
            if let Some(pod) = view.object(key).filter(|pod| pod.name() == "web") {
                plan.write(Write::delete_object(pod)).requeue_after(Duration::ZERO);
            }
            plan
        };
        fake.hold();
        coordinator.observe(Each(plan)).unwrap();
    });
    fake.until("the delete", |fake| fake.writes().len() == 1).await;
    run.until("the key to be held", "writer", |status| status.held == 1).await;
    fake.release();
    run.idle().await;
    assert_eq!(fake.writes().len(), 1);
    run.stop().await;
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_planned_anew_from_what_is_seen() {
    let fake = Fake::new();
    fake.pod("web");
    let path = "/api/v1/namespaces/ns/pods/web";
    fake.script(Method::PATCH, path, Answer::Lost);
    let run = Run::start(&fake, |coordinator| {
        let plan = |key: &Key, view: &View| {
            let mut plan = Plan::new();
            if view.object(key).is_some_and(|pod| pod.label("seen").is_none()) {
                plan.write(Write::merge(key.clone(), json!({"metadata": {"labels": {"seen": "yes"}}})));
            }
            plan
        };
        coordinator.observe(Each(plan)).unwrap();
    });
    run.idle().await;
    run.clock.advance(Duration::from_secs(1));
    run.idle().await;
    assert_eq!((fake.writes().len(), run.status("writer").retries), (1, 1));
    run.stop().await;
}

#[tokio::test]
async fn a_write_that_is_never_answered_does_not_hold_its_key_for_ever() {
    let fake = Fake::new();
    fake.pod("web");
    fake.script(Method::DELETE, "/api/v1/namespaces/ns/pods/web", Answer::Never);
    let run = Run::start(&fake, |coordinator| {
        let plan = |key: &Key, view: &View| {
            let mut plan = Plan::new();
            if view.object(key).is_some() {
                plan.delete(key.clone());
            }
            plan
        };
        coordinator.observe(Each(plan)).unwrap();
    });
    fake.until("the delete", |fake| fake.writes().len() == 1).await;
    run.clock.advance(Duration::from_mins(2));
    run.until("a retry", "writer", |status| status.retries == 1).await;
    run.clock.advance(Duration::from_mins(2));
    run.idle().await;
    assert!(fake.object(PODS, "ns", "web").is_none());
    run.stop().await;
}

#[tokio::test]
async fn a_reconciler_reads_its_answers_and_then_its_own_writes() {
    struct Copies(Arc<Mutex<Vec<String>>>);

    #[async_trait]
    impl Reconciler for Copies {
        fn spec(&self) -> ObserverSpec {
            ObserverSpec::new("copies", "").watch(Watch::of::<Pod>()).watch(Watch::of::<ConfigMap>())
        }

        async fn reconcile(&self, key: &Key, cx: &Context) -> Result<Action, BoxError> {
            if cx.view().get::<ConfigMap>(key.namespace(), key.name())?.is_none() {
                let mut copy = ConfigMap::default();
                copy.metadata.name = Some(key.name().to_owned());
                copy.metadata.namespace = key.namespace().map(str::to_owned);
                let written = cx.write(Write::create(&copy)?).await?.ok_or("an object")?;
                self.0.lock().push(format!("{}@{}", written.key(), written.resource_version()));
                return Ok(Action::after(Duration::ZERO));
            }
            self.0.lock().push("there".to_owned());
            Ok(Action::done())
        }
    }

    let fake = Fake::new();
    fake.pod("web");
    let done = Arc::new(Mutex::new(Vec::new()));
    let run = Run::start(&fake, |coordinator| {
        fake.hold();
        coordinator.reconcile(Copies(Arc::clone(&done))).unwrap();
    });
    fake.until("the write", |fake| !fake.writes().is_empty()).await;
    run.until("the key to be held", "copies", |status| status.held == 1).await;
    fake.release();
    run.idle().await;
    assert_eq!(*done.lock(), ["ConfigMap ns/web@2", "there"]);
    assert_eq!(fake.objects(CONFIG_MAPS).len(), 1);
    run.stop().await;
}

#[tokio::test]
async fn the_same_kubernetes_event_again_is_a_series() {
    let fake = Fake::new();
    fake.pod("web");
    let run = Run::start(&fake, |coordinator| {
        let plan = |key: &Key, view: &View| {
            let mut plan = Plan::new();
            let reference = view.object(key).map(Object::reference).unwrap();
            plan.record(EventRecord::warning(reference, "Crashed", "it fell over").action("Watching"));
            plan
        };
        coordinator.observe(Each(plan)).unwrap();
    });
    run.idle().await;
    for _ in 0..2 {
        run.clock.advance(Duration::from_mins(5));
        fake.pod("web");
        run.idle().await;
    }
    let events = fake.objects(EVENTS);
    assert_eq!((events.len(), &events[0]["series"]["count"]), (1, &json!(2)));
    run.clock.advance(Duration::from_mins(1));
    fake.until("the count", |fake| fake.objects(EVENTS)[0]["series"]["count"] == 3).await;
    let event = &fake.objects(EVENTS)[0];
    assert_eq!(event["series"], json!({"count": 3, "lastObservedTime": "1970-01-12T13:56:40.000000Z"}));
    assert_eq!(event["metadata"]["namespace"], "ns");
    assert!(event["metadata"]["name"].as_str().unwrap().starts_with("web."));
    let fields =
        ["type", "reason", "action", "note", "reportingController", "reportingInstance", "eventTime"];
    assert_eq!(
        fields.map(|field| event[field].as_str().unwrap()),
        [
            "Warning",
            "Crashed",
            "Watching",
            "it fell over",
            "test-writer",
            "xebec",
            "1970-01-12T13:46:40.000000Z"
        ]
    );
    assert_eq!(event["regarding"]["uid"], "uid-1");

    run.clock.advance(Duration::from_mins(6));
    fake.pod("web");
    run.idle().await;
    assert_eq!(fake.objects(EVENTS).len(), 2, "the series has ended");

    // An event that has expired on the server is recorded anew, and a failure fails no plan.
    let name = fake.objects(EVENTS)[1]["metadata"]["name"].as_str().unwrap().to_owned();
    let other = fake.objects(EVENTS)[0]["metadata"]["name"].as_str().unwrap().to_owned();
    fake.delete(EVENTS, "ns", &name);
    fake.delete(EVENTS, "ns", &other);
    fake.pod("web");
    run.idle().await;
    assert_eq!(fake.objects(EVENTS).len(), 1);
    fake.refuse(EVENTS, 403);
    fake.pod("web");
    run.idle().await;
    assert_eq!(run.status("writer").retries, 0);
    run.stop().await;
}

#[tokio::test]
async fn events_go_to_the_core_api_where_the_other_is_refused() {
    const CORE: &str = "/api/v1/events";
    let fake = Fake::new();
    fake.refuse(EVENTS, 403);
    fake.pod("web");
    fake.put(PODS, "ns", "Not:A:Name", json!({}));
    let run = Run::start(&fake, |coordinator| {
        let plan = |key: &Key, view: &View| {
            let mut plan = Plan::new();
            let reference = view.object(key).map(Object::reference).unwrap();
            plan.record(EventRecord::normal(reference, "Seen", "it is there"));
            plan
        };
        coordinator.observe(Each(plan)).unwrap();
    });
    run.idle().await;
    let events = fake.objects(CORE);
    let fields = |event: &Value| {
        let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
        [
            event["involvedObject"]["name"].as_str().unwrap().to_owned(),
            text("message"),
            text("reportingComponent"),
        ]
    };
    let mut told: Vec<_> = events.iter().map(fields).collect();
    told.sort();
    assert_eq!(told, [["Not:A:Name", "it is there", "test-writer"], ["web", "it is there", "test-writer"]]);
    let name = |about: &str| {
        let event = events.iter().find(|event| event["involvedObject"]["name"] == about).unwrap();
        event["metadata"]["name"].as_str().unwrap().to_owned()
    };
    assert!(name("web").starts_with("web."), "{}", name("web"));
    assert!(name("Not:A:Name").len() == 36, "a random name: {}", name("Not:A:Name"));

    // The one that took the last is asked first, and a series goes on where it began.
    let asked = fake.requests().iter().filter(|seen| seen.path.contains("events.k8s.io")).count();
    assert_eq!(asked, 1);
    fake.pod("web");
    run.idle().await;
    let counts: Vec<_> = fake.objects(CORE).iter().map(|event| event["series"]["count"].clone()).collect();
    assert!(counts.contains(&json!(2)), "{counts:?}");
    fake.refuse(CORE, 404);
    fake.refuse(EVENTS, 200);
    fake.pod("other");
    run.idle().await;
    assert_eq!((fake.objects(EVENTS).len(), run.status("writer").retries), (1, 0));
    run.stop().await;
}
