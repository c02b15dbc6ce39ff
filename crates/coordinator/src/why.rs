//! Why a key is, or is not, served: what woke it, what it waits for, what came of it last.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{Event, Health, Key, Plan, PlanError, Priority};

/// All there is to say about one key of one observer, see [`Coordinator::why`](crate::Coordinator::why).
#[derive(Debug)]
pub struct Why {
    /// The observer.
    pub observer: String,
    /// The key.
    pub key: Key,
    /// When this was asked.
    pub at: Timestamp,
    /// How the observer fares: while it does not run, no key of it is served.
    pub health: Health,
    /// What the key waits for.
    pub waiting: Waiting,
    /// What woke it last; none if nothing did, or if that is long forgotten.
    pub woken: Option<Woken>,
    /// How it was served last; none if it was not, or if that is long forgotten.
    pub served: Option<Served>,
    /// How often in a row it has failed.
    pub failures: u32,
    /// What the observer would do about it now; nothing is done.
    pub plan: Result<Plan, PlanError>,
}

impl Why {
    /// All of it for programs, as JSON: nothing that is in objects, which may be secret.
    pub fn to_value(&self) -> Value {
        let (health, detail) = crate::status::health(&self.health);
        let woken = self.woken.as_ref();
        let served = self.served.as_ref();
        let mut value = json!({
            "observer": self.observer,
            "object": self.key.to_string(),
            "at": self.at.to_string(),
            "health": health,
            "detail": detail,
            "waits": self.waiting.to_string(),
            "woken": woken.map(|woken| json!({ "at": woken.at.to_string(), "by": woken.cause.to_string() })),
            "served": served.map(|served| json!({
                "at": served.at.to_string(),
                "tookSeconds": served.took.as_secs_f64(),
                "writes": served.writes,
                "error": served.error,
            })),
            "failures": self.failures,
        });
        match &self.plan {
            Ok(plan) => {
                value["would"] = plan.steps().iter().map(|step| Value::from(step.to_string())).collect();
            }
            Err(error) => value["error"] = error.to_string().into(),
        }
        value
    }
}

/// What a key waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// For something to wake it: there is nothing to do about it.
    Nothing,
    /// For its turn.
    Turn {
        /// Since when it has been ready.
        since: Timestamp,
        /// How urgent it is.
        priority: Priority,
        /// How many keys are before it.
        ahead: usize,
    },
    /// For nothing: it is being served.
    Served {
        /// Since when.
        since: Timestamp,
        /// Whether it was woken meanwhile, and has another turn afterwards.
        again: bool,
    },
    /// For the observer's view to show what was written, by it or, after a conflict, by another.
    View {
        /// What the view is to show.
        expected: Vec<String>,
        /// When it is served nevertheless.
        until: Option<Timestamp>,
    },
    /// For its back-off to end, as it failed.
    BackOff {
        /// When it is tried again, if nothing wakes it before.
        until: Timestamp,
    },
    /// For the time at which it asked to be served again.
    Time {
        /// That time.
        at: Timestamp,
    },
}

/// What woke a key, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Woken {
    /// When.
    pub at: Timestamp,
    /// What.
    pub cause: Cause,
}

/// What woke a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An object was added, modified or deleted.
    Event {
        /// `added`, `modified` or `deleted`.
        change: &'static str,
        /// The object.
        object: Key,
        /// Its version.
        version: u64,
        /// Whether the observer itself wrote that version.
        own: bool,
    },
    /// The object was there when the observer began, or was started again.
    There {
        /// The object.
        object: Key,
    },
    /// The time came at which it asked to be served again.
    Time,
    /// Its back-off ended.
    Retry,
    /// The view did not show in time what was expected of it.
    Overdue,
}

/// How a key was served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// When that was over.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// How many writes were made.
    pub writes: u64,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// What is remembered of a key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trail {
    pub(crate) woken: Option<Woken>,
    pub(crate) served: Option<Served>,
}

impl Cause {
    pub(crate) fn of(event: &Event, own: bool, begins: bool) -> Self {
        let object = event.key().clone();
        if begins && matches!(event, Event::Added(_)) {
            return Self::There { object };
        }
        let change = match event {
            Event::Added(_) => "added",
            Event::Modified { .. } => "modified",
            Event::Deleted(_) => "deleted",
        };
        let version = crate::store::parse_version(event.object().resource_version()).unwrap_or(0);
        Self::Event { change, object, version, own }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event { change, object, version, own } => {
                write!(f, "{object} was {change} (version {version})")?;
                if *own { f.write_str(" by the observer itself") } else { Ok(()) }
            }
            Self::There { object } => write!(f, "{object} was there when the observer began"),
            Self::Time => f.write_str("the time came for which it had asked"),
            Self::Retry => f.write_str("its back-off ended"),
            Self::Overdue => f.write_str("what it had been held for was not seen in time"),
        }
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("for something to wake it"),
            Self::Turn { since, priority, ahead } => {
                write!(
                    f,
                    "for its turn since {since}, with {} priority, {ahead} before it",
                    priority.as_str()
                )
            }
            Self::Served { since, again } => {
                write!(f, "for nothing: it is being served since {since}")?;
                if *again { f.write_str(", and will be once more") } else { Ok(()) }
            }
            Self::View { expected, until } => {
                write!(f, "for {}", expected.join(" and "))?;
                until.map_or(Ok(()), |until| write!(f, "; the server is asked at {until}"))
            }
            Self::BackOff { until } => write!(f, "until {until}, to be tried again after it failed"),
            Self::Time { at } => write!(f, "until {at}, as it asked"),
        }
    }
}
