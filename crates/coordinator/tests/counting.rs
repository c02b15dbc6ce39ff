//! What observers count and measure of their own.
#![allow(clippy::unwrap_used)]

mod fake;

use fake::{Answer, Fake, PODS, Planner, Run};
use http::Method;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use serde_json::json;
use xebec_coordinator::{
    AddError, BoxError, Coordinator, Key, Kind, Metric, Observer, ObserverSpec, Plan, View, Watch, Write,
};

const SERVED: Metric = Metric::counter("orders_total", "Orders \\ by outcome.\nAll.")
    .label("outcome", &["done", "refused"])
    .label("by", &["hand"]);
const WAITING: Metric = Metric::gauge("waiting", "Orders that wait.");

fn spec() -> ObserverSpec {
    ObserverSpec::new("shop-keeper", "keeps shop").watch(Watch::of::<Pod>())
}

/// Counts a Pod by its label `outcome`, and measures its label `waiting`.
fn keeper() -> impl Observer {
    Planner(spec().metric(&SERVED).metric(&WAITING), |key: &Key, view: &View| {
        let mut plan = Plan::new();
        let Some(pod) = view.object(key) else { return Ok(plan) };
        if pod.label("write").is_some() {
            let map = json!({"metadata": {"name": "map", "namespace": "ns"}});
            plan.write(Write::create_value(Kind::of::<ConfigMap>(), map));
        }
        if let Some(outcome) = pod.label("outcome") {
            plan.count(&SERVED, &[outcome, "hand"]);
        }
        if let Some(waiting) = pod.label("waiting") {
            plan.measure(&WAITING, &[], waiting.parse()?);
        }
        Ok::<_, BoxError>(plan)
    })
}

/// The lines of its own metrics, without what they mean.
fn told(run: &Run) -> Vec<String> {
    let metrics = run.coordinator.metrics();
    metrics.lines().filter(|line| line.starts_with("shop_keeper")).map(str::to_owned).collect()
}

#[tokio::test]
async fn counters_count_what_succeeded_and_gauges_sum_what_is_there() {
    let fake = Fake::new();
    let run = Run::start(&fake, |to| to.observe(keeper()).unwrap());
    run.idle().await;
    let series = |done: u32, refused: u32, waiting: &str| {
        [
            format!("shop_keeper_orders_total{{outcome=\"done\",by=\"hand\"}} {done}"),
            format!("shop_keeper_orders_total{{outcome=\"refused\",by=\"hand\"}} {refused}"),
            format!("shop_keeper_waiting {waiting}"),
        ]
    };
    assert_eq!(told(&run), series(0, 0, "0"));
    let metrics = run.coordinator.metrics();
    assert!(
        metrics.contains("# HELP shop_keeper_orders_total Orders \\\\ by outcome.\\nAll.\n"),
        "{metrics}"
    );
    assert!(metrics.contains("# TYPE shop_keeper_orders_total counter\n"), "{metrics}");

    let labelled = |name: &str, labels| {
        fake.put(PODS, "ns", name, json!({"metadata": {"labels": labels}}));
    };
    labelled("a", json!({"outcome": "done", "waiting": "2"}));
    labelled("b", json!({"outcome": "refused", "waiting": "0.5"}));
    run.idle().await;
    assert_eq!(told(&run), series(1, 1, "2.5"));
    labelled("a", json!({"outcome": "done"}));
    run.idle().await;
    assert_eq!(told(&run), series(2, 1, "0.5"), "the last plan of a key counts");
    fake.delete(PODS, "ns", "b");
    run.idle().await;
    assert_eq!(told(&run), series(2, 1, "0"), "what is gone waits no more");

    fake.script(
        Method::POST,
        "/api/v1/namespaces/ns/configmaps",
        Answer::Status(500, fake::status_body(500, "InternalError")),
    );
    labelled("a", json!({"outcome": "done", "write": "yes"}));
    run.until("the failure", "shop-keeper", |status| status.retries == 1).await;
    assert_eq!(told(&run), series(2, 1, "0"), "what failed is not done");
    run.stop().await;
}

#[tokio::test]
async fn what_is_not_declared_is_refused() {
    let fake = Fake::new();
    fake.put(PODS, "ns", "a", json!({"metadata": {"labels": {"outcome": "lost"}}}));
    let run = Run::start(&fake, |to| to.observe(keeper()).unwrap());
    run.until("the failure", "shop-keeper", |status| status.retries == 1).await;
    let error = run.status("shop-keeper").last_error.unwrap().message;
    assert!(error.contains(r#"metric orders_total has no series ["lost", "hand"]"#), "{error}");
    run.stop().await;

    let run = Run::start(&fake, |to| {
        let plan = |_: &Key, _: &View| {
            let mut plan = Plan::new();
            plan.measure(&WAITING, &[], 1.0);
            Ok::<_, BoxError>(plan)
        };
        to.observe(Planner(spec().metric(&SERVED), plan)).unwrap();
    });
    run.until("the failure", "shop-keeper", |status| status.retries == 1).await;
    let error = run.status("shop-keeper").last_error.unwrap().message;
    assert!(error.contains("the observer's spec declares no gauge waiting"), "{error}");
    run.stop().await;
}

#[tokio::test]
async fn metrics_that_prometheus_would_not_take_are_refused() {
    const DIGITS: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    const MANY: &[&str] = &[""; 101];
    for (metric, why) in [
        (Metric::counter("orders", ""), "end in _total"),
        (Metric::gauge("waiting_total", ""), "end in _total"),
        (Metric::gauge("Waiting", ""), "lower case"),
        (Metric::gauge("waiting", "").label("by-hand", DIGITS), "lower case"),
        (Metric::gauge("waiting", "").label("a", DIGITS).label("b", MANY), "more than 1000"),
    ] {
        let coordinator = Coordinator::new(Fake::new().client());
        let plan = |_: &Key, _: &View| Ok::<_, BoxError>(Plan::new());
        let error = coordinator.observe(Planner(spec().metric(&metric), plan)).unwrap_err();
        assert!(matches!(error, AddError::Metric { .. }) && error.to_string().contains(why), "{error}");
        let twice = spec().metric(&WAITING).metric(&WAITING);
        let error = coordinator.observe(Planner(twice, plan)).unwrap_err().to_string();
        assert!(error.contains("another of this name"), "{error}");
    }
}
