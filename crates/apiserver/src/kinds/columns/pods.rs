//! The row of a Pod: readiness, the one word that says what it is at, restarts.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    format,
    read::{at, count, flag, is_set, is_true, items, number, text, text_or},
};
use crate::machinery::object;

/// The cells of a Pod.
pub fn pod(pod: &Value, now: Timestamp) -> Vec<Value> {
    let summary = Summary::of(pod);
    let or_none = |text: &str| -> Value { if text.is_empty() { "<none>" } else { text }.into() };
    let gates = items(pod, "spec.readinessGates");
    let passed =
        gates.iter().filter(|gate| is_true(pod, "status.conditions", text(gate, "conditionType"))).count();
    let gates = match gates.len() {
        0 => "<none>".to_owned(),
        all => format!("{passed}/{all}"),
    };
    vec![
        object::name(pod).into(),
        format!("{}/{}", summary.ready, summary.containers).into(),
        summary.reason.into(),
        summary.restarts.said(now).into(),
        format::created(pod, now),
        or_none(items(pod, "status.podIPs").first().map_or("", |ip| text(ip, "ip"))),
        or_none(text(pod, "spec.nodeName")),
        or_none(text(pod, "status.nominatedNodeName")),
        gates.into(),
    ]
}

/// The conditions of a Pod's row: whether it has run to completion.
pub fn conditions(pod: &Value) -> Option<Value> {
    let (reason, message) = match text(pod, "status.phase") {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(json!([{"type": "Completed", "status": "True", "reason": reason, "message": message}]))
}

/// How often containers were restarted, and when last.
#[derive(Default)]
struct Restarts {
    count: i64,
    last: Option<Timestamp>,
}

impl Restarts {
    fn add(&mut self, status: &Value) {
        self.count += number(status, "restartCount");
        self.last = self.last.max(format::time_of(at(status, "lastState.terminated.finishedAt")));
    }

    fn said(&self, now: Timestamp) -> String {
        match self.last {
            Some(last) if self.count != 0 => {
                let ago = format::human_duration(format::nanoseconds(last, now));
                format!("{} ({ago} ago)", self.count)
            }
            _ => self.count.to_string(),
        }
    }
}

struct Summary {
    ready: usize,
    containers: usize,
    reason: String,
    restarts: Restarts,
}

impl Summary {
    fn of(pod: &Value) -> Self {
        let sidecars: Vec<&str> = items(pod, "spec.initContainers")
            .iter()
            .filter(|container| text(container, "restartPolicy") == "Always")
            .map(|container| text(container, "name"))
            .collect();
        let mut summary = Self {
            ready: 0,
            containers: count(pod, "spec.containers") + sidecars.len(),
            reason: text_or(pod, "status.reason", text(pod, "status.phase")).to_owned(),
            restarts: Restarts::default(),
        };
        let gated = |condition: &Value| {
            text(condition, "type") == "PodScheduled" && text(condition, "reason") == "SchedulingGated"
        };
        if items(pod, "status.conditions").iter().any(gated) {
            "SchedulingGated".clone_into(&mut summary.reason);
        }
        let (initializing, of_sidecars) = summary.init_containers(pod, &sidecars);
        if !initializing || is_true(pod, "status.conditions", "Initialized") {
            summary.restarts = of_sidecars;
            summary.main_containers(pod);
        }
        if object::deletion_timestamp(pod).is_some() {
            if text(pod, "status.reason") == "NodeLost" {
                "Unknown".clone_into(&mut summary.reason);
            } else if !matches!(text(pod, "status.phase"), "Succeeded" | "Failed") {
                "Terminating".clone_into(&mut summary.reason);
            }
        }
        summary
    }

    /// Goes through the init containers up to the one that is at work. Says whether one is, and how often those
    /// that go on running (sidecars) were restarted.
    fn init_containers(&mut self, pod: &Value, sidecars: &[&str]) -> (bool, Restarts) {
        let mut of_sidecars = Restarts::default();
        for (index, status) in items(pod, "status.initContainerStatuses").iter().enumerate() {
            let sidecar = sidecars.contains(&text(status, "name"));
            self.restarts.add(status);
            if sidecar {
                of_sidecars.add(status);
            }
            let terminated = at(status, "state.terminated");
            if !terminated.is_null() && number(terminated, "exitCode") == 0 {
                continue;
            }
            if sidecar && flag(status, "started") {
                self.ready += usize::from(flag(status, "ready"));
                continue;
            }
            let waiting = text(status, "state.waiting.reason");
            self.reason = if !terminated.is_null() {
                format!("Init:{}", why_terminated(terminated))
            } else if !waiting.is_empty() && waiting != "PodInitializing" {
                format!("Init:{waiting}")
            } else {
                format!("Init:{index}/{}", count(pod, "spec.initContainers"))
            };
            return (true, of_sidecars);
        }
        (false, of_sidecars)
    }

    /// Goes through the main containers, the last first, so that the first one's trouble is what is said. What went
    /// well is only said when nothing went wrong and nothing runs any more.
    fn main_containers(&mut self, pod: &Value) {
        let mut running = false;
        let mut failure = None;
        for status in items(pod, "status.containerStatuses").iter().rev() {
            self.restarts.add(status);
            let terminated = at(status, "state.terminated");
            let waiting = text(status, "state.waiting.reason");
            if !waiting.is_empty() {
                waiting.clone_into(&mut self.reason);
            } else if !terminated.is_null() {
                self.reason = why_terminated(terminated);
                if number(terminated, "exitCode") != 0 {
                    failure = Some(self.reason.clone());
                }
            } else if flag(status, "ready") && is_set(status, "state.running") {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" {
            if running && is_true(pod, "status.conditions", "Ready") {
                "Running".clone_into(&mut self.reason);
            } else if let Some(failure) = failure {
                self.reason = failure;
            } else if running {
                "NotReady".clone_into(&mut self.reason);
            }
        }
    }
}

fn why_terminated(terminated: &Value) -> String {
    match (text(terminated, "reason"), number(terminated, "signal")) {
        ("", 0) => format!("ExitCode:{}", number(terminated, "exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}
