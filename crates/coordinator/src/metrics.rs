//! How a coordinator fares, as Prometheus reads it.
//!
//! Written here rather than by a metrics library: all numbers are kept anyway, for status, so that a registry of
//! counters beside them would say everything twice, and the format is a line a number.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::Arc;

use crate::entry::Entry;
use crate::gauge::Durations;
use crate::runtime::Runtime;
use crate::{Health, MetricForm, ObserverStatus, WatchState, WatchStatus};

/// What the names of the coordinator's own metrics begin with.
const PREFIX: &str = "xebec_coordinator_";

/// A metric's name, what it counts, and where the number is.
type Counter<T> = (&'static str, &'static str, fn(&T) -> u64);

/// The text format of Prometheus, version 0.0.4.
#[derive(Default)]
struct Text(String);

impl Text {
    /// Begins a metric: its name without the prefix, `counter`, `gauge` or `histogram`, and what it counts.
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        self.metric_named(&format!("{PREFIX}{name}"), kind, help);
    }

    /// The same with its whole name.
    fn metric_named(&mut self, name: &str, kind: &str, help: &str) {
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.line_named(&format!("{PREFIX}{name}"), labels, value);
    }

    fn line_named(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (place, (label, value)) in labels.iter().enumerate() {
            self.0.push(if place == 0 { '{' } else { ',' });
            let _ = write!(self.0, "{label}=\"");
            for letter in value.chars() {
                match letter {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    letter => self.0.push(letter),
                }
            }
            self.0.push('"');
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{end} {value}");
    }
}

pub(crate) fn render(entries: &[Arc<Entry>], runtime: &Runtime) -> String {
    let mut text = Text::default();
    let now = runtime.clock.now();
    let observers: Vec<ObserverStatus> = entries.iter().map(|entry| entry.status(now)).collect();
    observers_as_text(&mut text, &observers);
    durations(&mut text, entries);
    writes(&mut text, entries);
    watches(&mut text, runtime);
    own(&mut text, entries);
    text.0
}

/// What observers count and measure of their own.
fn own(text: &mut Text, entries: &[Arc<Entry>]) {
    for entry in entries.iter().filter(|entry| !entry.spec.metrics.is_empty()) {
        let counts = entry.gauge.read(|reading| reading.counts.clone());
        let measures = entry.desk.lock().measures();
        for metric in &entry.spec.metrics {
            let name = entry.spec.metric_name(metric);
            text.metric_named(&name, metric.form.as_str(), metric.description);
            for series in metric.all() {
                match metric.form {
                    MetricForm::Counter => {
                        let count = counts.get(&series).copied().unwrap_or_default();
                        text.line_named(&name, series.labels(), count);
                    }
                    MetricForm::Gauge => {
                        let sum = measures.get(&series).copied().unwrap_or_default();
                        text.line_named(&name, series.labels(), sum);
                    }
                }
            }
        }
    }
}

fn observers_as_text(text: &mut Text, observers: &[ObserverStatus]) {
    text.metric("observer_state", "gauge", "1 for the state that the observer is in.");
    for observer in observers {
        let now = match &observer.health {
            Health::Waiting(_) => "waiting",
            Health::Running => "running",
            Health::Restarting(_) => "restarting",
            Health::Hanging { .. } => "hanging",
            Health::Stopped => "stopped",
        };
        for state in ["waiting", "running", "restarting", "hanging", "stopped"] {
            let labels = [("observer", observer.name.as_str()), ("state", state)];
            text.line("observer_state", &labels, u8::from(state == now));
        }
    }
    text.metric("observer_keys", "gauge", "Keys by what they wait for.");
    for observer in observers {
        let places = [
            ("queued", observer.queued),
            ("active", observer.active),
            ("held", observer.held),
            ("delayed", observer.delayed),
        ];
        for (place, count) in places {
            text.line("observer_keys", &[("observer", &observer.name), ("place", place)], count);
        }
    }
    text.metric(
        "observer_lag_seconds",
        "gauge",
        "How long the key that waits longest has been ready to be served.",
    );
    for observer in observers {
        let lag = observer.lag.unwrap_or_default().as_secs_f64();
        text.line("observer_lag_seconds", &[("observer", &observer.name)], lag);
    }
    let counters: [Counter<ObserverStatus>; 6] = [
        ("observer_served_total", "Times a key was served.", |observer| observer.served),
        ("observer_retries_total", "Times serving a key failed and was retried.", |observer| {
            observer.retries
        }),
        ("observer_panics_total", "Times the observer panicked.", |observer| observer.panics),
        ("observer_hangs_total", "Times the observer was ended because it hung.", |observer| observer.hangs),
        ("observer_restarts_total", "Times the observer was started again.", |observer| observer.restarts),
        ("observer_gaps_total", "Times events were lost that it wanted all of.", |observer| observer.gaps),
    ];
    for (name, help, count) in counters {
        text.metric(name, "counter", help);
        for observer in observers {
            text.line(name, &[("observer", &observer.name)], count(observer));
        }
    }
}

fn durations(text: &mut Text, entries: &[Arc<Entry>]) {
    text.metric("observer_serving_seconds", "histogram", "How long serving a key took.");
    for entry in entries {
        let durations = entry.gauge.read(|reading| reading.durations.clone());
        let observer = ("observer", &*entry.spec.name);
        let bounds = Durations::BOUNDS.iter().map(|(_, bound)| *bound).chain(["+Inf"]);
        let mut count = 0;
        for (bound, more) in bounds.zip(durations.counts) {
            count += more;
            text.line("observer_serving_seconds_bucket", &[observer, ("le", bound)], count);
        }
        text.line("observer_serving_seconds_sum", &[observer], durations.sum.as_secs_f64());
        text.line("observer_serving_seconds_count", &[observer], count);
    }
}

fn writes(text: &mut Text, entries: &[Arc<Entry>]) {
    text.metric("observer_writes_total", "counter", "Writes to the API server by what came of them.");
    for entry in entries {
        for ((verb, outcome), count) in entry.gauge.read(|reading| reading.writes.clone()) {
            let labels = [("observer", &*entry.spec.name), ("verb", verb), ("outcome", outcome.as_str())];
            text.line("observer_writes_total", &labels, count);
        }
    }
}

/// The watches of one kind and detail; namespaces and selectors are no labels, because they are not bounded.
#[derive(Default)]
struct Group {
    states: BTreeMap<&'static str, u64>,
    observers: usize,
    objects: usize,
    bytes: usize,
    lists: u64,
    opened: u64,
}

fn watches(text: &mut Text, runtime: &Runtime) {
    let mut groups: BTreeMap<(String, String), Group> = BTreeMap::new();
    for feed in runtime.feeds.all() {
        let watch = feed.status();
        let group = groups.entry(labels_of(&watch)).or_default();
        let state = match &watch.state {
            WatchState::Listing => "listing",
            WatchState::Synced => "synced",
            WatchState::Missing => "missing",
            WatchState::Forbidden(_) => "forbidden",
            WatchState::Failing(_) => "failing",
        };
        *group.states.entry(state).or_default() += 1;
        group.observers += watch.observers;
        group.objects += watch.objects;
        group.bytes += feed.snapshot().iter().map(|object| object.bytes().len()).sum::<usize>();
        group.lists += watch.lists;
        group.opened += watch.watches;
    }
    text.metric("watches", "gauge", "Watches of the API server by their state.");
    for ((kind, detail), group) in &groups {
        for (state, count) in &group.states {
            text.line("watches", &[("kind", kind), ("detail", detail), ("state", state)], count);
        }
    }
    let counts: [(&str, Counter<Group>); 5] = [
        ("gauge", ("watch_observers", "Observers that the watches serve.", |group| group.observers as u64)),
        ("gauge", ("watch_objects", "Objects that the watches hold.", |group| group.objects as u64)),
        ("gauge", ("watch_object_bytes", "Encoded size of the objects held.", |group| group.bytes as u64)),
        ("counter", ("watch_lists_total", "Whole lists that were read.", |group| group.lists)),
        ("counter", ("watch_opened_total", "Times a watch was opened.", |group| group.opened)),
    ];
    for (form, (name, help, count)) in counts {
        text.metric(name, form, help);
        for ((kind, detail), group) in &groups {
            text.line(name, &[("kind", kind), ("detail", detail)], count(group));
        }
    }
}

fn labels_of(watch: &WatchStatus) -> (String, String) {
    (watch.kind.to_string(), watch.detail.to_string())
}
