//! What comes of a spec as data: rows of the objects it serves, and its reference page.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use serde_json::json;
use xebec_coordinator::{Column, Kind, Metric, Object, ObserverSpec, Right, Setting, Severity, View, Watch};

const EVERY: Setting<Duration> = Setting::duration("every", "How often | at most.", Duration::from_secs(90));
const WORD: Setting<str> = Setting::text("word", "What to say.", "");
const SENT: Metric = Metric::counter("sent_total", "What was sent.").label("to", &["here", "there"]);

struct Greeted;

fn spec() -> ObserverSpec {
    ObserverSpec::new("night-watch", "watches Pods at night")
        .details("By day it sleeps.\n\nAlways.")
        .watch(Watch::of::<Pod>().namespace("a").labelled("app"))
        .watch(Watch::of::<ConfigMap>().metadata_only())
        .watch(Watch::kind(Kind::named("example.com", "v1", "Lantern", "lanterns")).optional())
        .right(Right::to::<Pod>(&["get", "patch"]))
        .right(Right::to_subresource::<Pod>("status", &["patch"]))
        .right(Right::to::<Secret>(&["create"]))
        .finalizer("example.com/night")
        .option(&EVERY)
        .option(&WORD)
        .column(Column::path("NODE", "Where it runs.", "/spec/nodeName"))
        .column(Column::new("CONTAINERS", "How many.", |pod: &Pod, _: &View| {
            pod.spec.as_ref().map_or(0, |spec| spec.containers.len()).to_string().replace('0', "")
        }))
        .column(Column::last_written("LAST", "When it was last looked at.", "watch"))
        .metric(&SENT)
        .records(Severity::Warning, "Dark", "It is dark.")
        .emits::<Greeted>("Somebody was greeted.")
}

#[test]
fn the_reference_page_says_all_that_the_spec_says() {
    let expected = "## night-watch

It watches Pods at night.

By day it sleeps.

Always.

### Watches

| kind | which | keeps |
|---|---|---|
| `Pod` | in a, labelled `app` | whole |
| `ConfigMap` | all | metadata |
| `Lantern.example.com` | all, if it is there | whole |

### Rights

| resource | verbs |
|---|---|
| `pods` | get, list, watch, patch |
| `configmaps` | get, list, watch |
| `lanterns.example.com` | get, list, watch |
| `pods/status` | patch |
| `secrets` | create |
| `events.events.k8s.io` | create, patch |

It keeps objects of Pod by the finalizer `example.com/night`.

### Options

| option | values | default | what it does |
|---|---|---|---|
| `every` | duration (30s, 5m, 1h30m) | `1m 30s` | How often \\| at most. |
| `word` | text |  | What to say. |

### Columns

| column | what it shows |
|---|---|
| NODE | Where it runs. |
| CONTAINERS | How many. |
| LAST | When it was last looked at. |

### Metrics

| metric | type | labels | what it tells |
|---|---|---|---|
| `night_watch_sent_total` | counter | `to`: here, there | What was sent. |

### Kubernetes Events, reported by `night-watch`

| type | reason | when |
|---|---|---|
| Warning | `Dark` | It is dark. |

### Events for other observers

| event | when |
|---|---|
| `Greeted` | Somebody was greeted. |
";
    assert_eq!(spec().reference(), expected);
}

#[test]
fn rows_are_of_the_objects_that_concern_the_observer() {
    let pod = |name: &str, spec| {
        let entry = |manager, time| json!({"manager": manager, "operation": "Apply", "time": time});
        let pod = json!({
            "metadata": {"name": name, "namespace": "a", "resourceVersion": "1", "managedFields": [
                entry("watch", "1970-01-01T00:00:00Z"),
                entry("watch", "1970-01-01T00:01:00Z"),
                entry("other", "1970-01-01T00:02:00Z"),
            ]},
            "spec": spec,
        });
        Object::from_value(&Kind::of::<Pod>(), &pod).unwrap()
    };
    let pods = [
        pod("c", json!({"containers": [{"name": "one"}]})),
        pod("b", json!({"containers": []})),
        pod("a", json!({"containers": [], "nodeName": "n1"})),
    ];
    let view = View::of(&spec(), jiff::Timestamp::from_second(200).unwrap(), pods);
    let rows = spec().rows(&view).unwrap();
    let rows: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.cells.join(","))).collect();
    assert_eq!(rows, [("a", "n1,,2m20s".to_owned()), ("c", ",1,2m20s".to_owned())]);
    assert_eq!(spec().rows(&view).unwrap()[0].namespace.as_deref(), Some("a"));
}
