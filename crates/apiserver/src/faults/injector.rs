//! Deciding: from a seed, or from a list of what was decided before.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use rand::{RngExt, rngs::StdRng};

use super::{Decision, Fault, Policy, Rule};
use crate::{
    chance::{Turns, draw},
    verbs::Call,
};

/// So many decisions are noted.
const DECISIONS_MAX: usize = 100_000;

/// Decides what goes wrong.
pub(super) struct Injector {
    source: Source,
    notes: Mutex<Notes>,
}

enum Source {
    Policy(Policy),
    Replay(BTreeMap<(String, u64), Fault>),
}

#[derive(Default)]
struct Notes {
    turns: Turns,
    taken: Vec<Decision>,
}

/// What a decision is about.
#[derive(Clone, Debug)]
pub(super) struct Point {
    label: String,
    user: String,
    verb: &'static str,
    resource: String,
    of_events: bool,
}

impl Point {
    /// A request.
    pub(super) fn of(call: &Call<'_>) -> Self {
        let target = call.target;
        let group = if target.group.is_empty() { String::new() } else { format!(".{}", target.group) };
        let resource = format!("{}{group}", target.resource);
        let part =
            if target.subresource.is_empty() { String::new() } else { format!("/{}", target.subresource) };
        let object = match (target.namespace.as_str(), target.name.as_str()) {
            ("", "") => String::new(),
            ("", name) => format!(" {name}"),
            (namespace, name) => format!(" {namespace}/{name}"),
        };
        let label = format!("{} {} {resource}{part}{object}", call.user.name, target.verb);
        Self { label, user: call.user.name.clone(), verb: target.verb, resource, of_events: false }
    }

    /// The events of a watch, the `turn`-th of its sort.
    pub(super) fn events(self, turn: u64) -> Self {
        Self { label: format!("{} #{} event", self.label, turn + 1), of_events: true, ..self }
    }
}

impl Injector {
    pub(super) fn drawing(policy: Policy) -> Self {
        Self { source: Source::Policy(policy), notes: Mutex::default() }
    }

    pub(super) fn replaying(decisions: impl IntoIterator<Item = Decision>) -> Self {
        let faults = decisions.into_iter().map(|Decision { point, turn, fault }| ((point, turn), fault));
        Self { source: Source::Replay(faults.collect()), notes: Mutex::default() }
    }

    pub(super) fn taken(&self, skip: usize) -> Vec<Decision> {
        self.notes.lock().taken.iter().skip(skip).cloned().collect()
    }

    /// What happens at a point, and the how many-th time it is there.
    pub(super) fn decide(&self, point: &Point) -> (u64, Option<Fault>) {
        let mut notes = self.notes.lock();
        let turn = notes.turns.next(&point.label);
        let fault = match &self.source {
            Source::Replay(faults) => faults.get(&(point.label.clone(), turn)).copied(),
            Source::Policy(policy) => {
                let mut random = draw(policy.seed, &point.label, turn);
                let mut rules = policy.rules.iter().filter(|rule| rule.concerns(point));
                rules
                    .find(|rule| random.random::<f64>() < rule.probability)
                    .map(|rule| rule.fault.drawn(&mut random))
            }
        };
        if let Some(fault) = fault
            && notes.taken.len() < DECISIONS_MAX
        {
            notes.taken.push(Decision { point: point.label.clone(), turn, fault });
        }
        (turn, fault)
    }
}

impl Rule {
    fn concerns(&self, point: &Point) -> bool {
        let among = |names: &[String], name: &str| names.is_empty() || names.iter().any(|own| own == name);
        self.fault.is_of_events() == point.of_events
            && among(&self.verbs, point.verb)
            && among(&self.resources, &point.resource)
            && among(&self.users, &point.user)
    }
}

impl Fault {
    /// One of the faults that a rule allows.
    fn drawn(self, random: &mut StdRng) -> Self {
        let mut up_to = |most: u64| random.random_range(1..=most.max(1));
        match self {
            Self::Delay { milliseconds } => Self::Delay { milliseconds: up_to(milliseconds) },
            Self::Lag { milliseconds } => Self::Lag { milliseconds: up_to(milliseconds) },
            Self::Stale { revisions } => Self::Stale { revisions: up_to(revisions) },
            other => other,
        }
    }
}
