//! What one can see of a running coordinator.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{Detail, Kind, LeadershipStatus};

/// The state of a coordinator.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its observers, ordered by name.
    pub observers: Vec<ObserverStatus>,
    /// Its watches of the server, ordered by kind.
    pub watches: Vec<WatchStatus>,
    /// Where it stands among other replicas; none if it is alone.
    pub leadership: Option<LeadershipStatus>,
}

/// The state of one observer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObserverStatus {
    /// Its name.
    pub name: String,
    /// How it fares.
    pub health: Health,
    /// How many keys wait to be served now.
    pub queued: usize,
    /// How many keys are being served.
    pub active: usize,
    /// How many keys wait until the observer's own writes for them are visible.
    pub held: usize,
    /// How many keys wait for a time: a back-off, or a wish to be served again.
    pub delayed: usize,
    /// How long the key that waits longest has been ready to be served; none if none waits.
    pub lag: Option<Duration>,
    /// How many times a key was served.
    pub served: u64,
    /// How many of these failed and were retried.
    pub retries: u64,
    /// How many times it panicked.
    pub panics: u64,
    /// How many times something took longer than its spec allows, and was ended if it could be.
    pub hangs: u64,
    /// How many times it was started again after a panic or a hang.
    pub restarts: u64,
    /// How many writes it made.
    pub writes: u64,
    /// How many times an observer of edges lost sight of transitions because the server had forgotten them, or of
    /// emitted events because it was too slow for them.
    pub gaps: u64,
    /// The last error.
    pub last_error: Option<LastError>,
}

impl Status {
    /// Why the process should be restarted, for `/healthz`; empty if it should not.
    ///
    /// That is where only a new process helps: an observer that hangs and does not give its thread back. What heals by
    /// itself (a restart after a panic) or outside (the API server, missing rights) is no reason.
    pub fn unhealthy(&self) -> Vec<String> {
        let hanging = |observer: &ObserverStatus| match &observer.health {
            Health::Hanging { since, doing } => {
                Some(format!("{} hangs since {since}: {doing}", observer.name))
            }
            _ => None,
        };
        self.observers.iter().filter_map(hanging).collect()
    }

    /// Why not all observers are at work, for `/readyz`; empty if they are.
    pub fn unready(&self) -> Vec<String> {
        let reason = |observer: &ObserverStatus| {
            let name = &observer.name;
            match &observer.health {
                Health::Running => None,
                Health::Waiting(reason) => Some(format!("{name} waits for {reason}")),
                Health::Restarting(at) => Some(format!("{name} restarts at {at}")),
                Health::Hanging { since, doing } => Some(format!("{name} hangs since {since}: {doing}")),
                Health::Stopped => Some(format!("{name} does not run")),
            }
        };
        self.observers.iter().filter_map(reason).collect()
    }
}

impl ObserverStatus {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            health: Health::Stopped,
            queued: 0,
            active: 0,
            held: 0,
            delayed: 0,
            lag: None,
            served: 0,
            retries: 0,
            panics: 0,
            hangs: 0,
            restarts: 0,
            writes: 0,
            gaps: 0,
            last_error: None,
        }
    }
}

/// How an observer fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It waits for its watches to sync; what for.
    Waiting(String),
    /// It serves its keys.
    Running,
    /// It panicked, or hung and was ended, and is restarted at this time.
    Restarting(Timestamp),
    /// It has been at one thing for longer than its spec allows, and cannot be ended because it does not give its thread
    /// back. All others go on, and so will it should it come back, which then counts as a hang.
    Hanging {
        /// Since when.
        since: Timestamp,
        /// What it does.
        doing: String,
    },
    /// It is not running: the coordinator has not started, or has ended.
    Stopped,
}

/// The last error of an observer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// What.
    pub message: String,
}

/// The state of one watch of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchStatus {
    /// The kind.
    pub kind: Kind,
    /// The namespace, none for all.
    pub namespace: Option<String>,
    /// The label selector.
    pub labels: Option<String>,
    /// The field selector.
    pub fields: Option<String>,
    /// How much of each object its observers want, and so how much is kept.
    pub detail: Detail,
    /// How it fares.
    pub state: WatchState,
    /// How many observers it serves.
    pub observers: usize,
    /// How many objects it holds.
    pub objects: usize,
    /// The highest resource version seen.
    pub position: u64,
    /// How many times it listed.
    pub lists: u64,
    /// How many times it opened a watch.
    pub watches: u64,
}

/// How a watch fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchState {
    /// The first list is under way.
    Listing,
    /// It holds what the server has.
    Synced,
    /// The kind does not exist on this server (404). Retried; it counts as empty.
    Missing,
    /// The rights do not cover it (403). Retried; what was seen before is kept.
    Forbidden(String),
    /// It cannot be listed or watched for another reason. Retried; what was seen before is kept.
    Failing(String),
}

impl Status {
    /// The status for programs, as JSON: `observers`, `watches` and, of several replicas, `leadership`.
    pub fn to_value(&self) -> Value {
        let observers = self.observers.iter().map(|observer| {
            let (health, detail) = health(&observer.health);
            json!({
                "name": observer.name,
                "health": health,
                "detail": detail,
                "queued": observer.queued,
                "active": observer.active,
                "held": observer.held,
                "delayed": observer.delayed,
                "lagSeconds": observer.lag.unwrap_or_default().as_secs_f64(),
                "served": observer.served,
                "retries": observer.retries,
                "panics": observer.panics,
                "hangs": observer.hangs,
                "restarts": observer.restarts,
                "writes": observer.writes,
                "gaps": observer.gaps,
                "lastError": observer.last_error.as_ref().map(last_error),
            })
        });
        let watches = self.watches.iter().map(|watch| {
            let (state, detail) = state(&watch.state);
            json!({
                "kind": watch.kind.to_string(),
                "namespace": watch.namespace,
                "labels": watch.labels,
                "fields": watch.fields,
                "keeps": watch.detail.to_string(),
                "state": state,
                "detail": detail,
                "observers": watch.observers,
                "objects": watch.objects,
                "position": watch.position,
                "lists": watch.lists,
                "watches": watch.watches,
            })
        });
        json!({
            "observers": observers.collect::<Vec<_>>(),
            "watches": watches.collect::<Vec<_>>(),
            "leadership": self.leadership.as_ref().map(leadership),
        })
    }
}

fn leadership(leadership: &LeadershipStatus) -> Value {
    let members = leadership.members.iter();
    let members = members.map(|member| json!({ "identity": member.identity, "agrees": member.agrees }));
    json!({
        "identity": leadership.identity,
        "lease": leadership.lease,
        "serving": leadership.is_serving(),
        "servingSince": leadership.serving_since.map(|since| since.to_string()),
        "leader": leadership.leader,
        "members": members.collect::<Vec<_>>(),
        "lastError": leadership.last_error.as_ref().map(last_error),
    })
}

pub(crate) fn health(health: &Health) -> (&'static str, Option<String>) {
    match health {
        Health::Running => ("running", None),
        Health::Waiting(reason) => ("waiting", Some(format!("for {reason}"))),
        Health::Restarting(at) => ("restarting", Some(format!("at {at}"))),
        Health::Hanging { since, doing } => ("hanging", Some(format!("since {since}: {doing}"))),
        Health::Stopped => ("stopped", None),
    }
}

fn state(state: &WatchState) -> (&'static str, Option<&str>) {
    match state {
        WatchState::Listing => ("listing", None),
        WatchState::Synced => ("synced", None),
        WatchState::Missing => ("missing", None),
        WatchState::Forbidden(why) => ("forbidden", Some(why)),
        WatchState::Failing(why) => ("failing", Some(why)),
    }
}

fn last_error(error: &LastError) -> Value {
    json!({ "at": error.at.to_string(), "message": error.message })
}
