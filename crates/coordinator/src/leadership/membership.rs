//! A member of a group that shares out keys. A plain state machine; why it is right is told in the module above.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::hold::{Effect, Hold};
use super::machine::Todo;
use super::moment::Moment;
use super::requests::{Answer, Lease, Outcome, Request};
use super::settings::Rule;
use super::shards::{Assignment, Claim, Members, Shard};
use crate::Random;

/// The label by which the Leases of a group are found.
pub(crate) const GROUP_LABEL: &str = "coordinator.xebec.dev/group";
/// The annotation in which a member says by which rule and for which set it claims keys.
pub(crate) const CLAIM_ANNOTATION: &str = "coordinator.xebec.dev/claim";

pub(crate) struct Membership {
    pub(crate) hold: Hold,
    group: String,
    rule: Rule,
    random: Random,
    /// The set that the server surely has; none before it has one in this term.
    published: Option<Members>,
    /// The set that the server perhaps has: sent, and not answered.
    sent: Option<Members>,
    /// The set of all who live, by the last list.
    wanted: Members,
    /// By the names of their Leases.
    others: BTreeMap<String, Other>,
    assignment: Assignment,
    phase: Phase,
    /// Whether to publish what is wanted as soon as the work that this ends has ended.
    eager: bool,
    /// How many times in a row nothing changed.
    calm: u32,
    /// Leases that are dead for long.
    garbage: Vec<Lease>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// An attempt to write our Lease is under way.
    Publish,
    /// Our Lease is written; now the others'.
    List,
    /// Until then.
    Rest(Timestamp),
}

/// Another's Lease.
struct Other {
    record: Value,
    /// When the record was first seen so.
    seen: Moment,
    member: String,
    claim: Published,
    lasts: Duration,
    alive: bool,
}

/// What a member says that it claims.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Published {
    /// The keys that this set gives to it.
    Of(Members),
    /// It goes by another rule, or cannot be understood, and serves perhaps.
    Foreign,
    /// It goes by another rule, and waits.
    ForeignWaiting,
}

/// The annotation.
#[derive(Deserialize, Serialize)]
struct Note {
    rule: String,
    members: Vec<String>,
}

impl Membership {
    pub(crate) fn new(hold: Hold, group: String, rule: Rule, random: Random) -> Self {
        Self {
            hold,
            group,
            rule,
            random,
            published: None,
            sent: None,
            wanted: Members::default(),
            others: BTreeMap::new(),
            assignment: Assignment::Nothing,
            phase: Phase::Rest(Timestamp::MIN),
            eager: false,
            calm: 0,
            garbage: Vec::new(),
        }
    }

    pub(crate) fn assignment(&self) -> Assignment {
        self.assignment.clone()
    }

    /// Ends what must be over. To be called, and the assignment to be obeyed, before anything else is asked.
    pub(crate) fn tick(&mut self, now: Moment) {
        self.hold.lapse(now);
        if self.hold.term().is_none() && self.published.is_some() {
            self.start_over();
        }
    }

    /// What to do; `drained` says that no work is under way outside the assignment, nor any of its writes.
    pub(crate) fn poll(&mut self, now: Moment, drained: bool) -> Todo {
        loop {
            match self.phase {
                Phase::Rest(due) => {
                    if let Some(lease) = self.garbage.pop() {
                        return Todo::Send(Request::Delete(lease));
                    }
                    if now.wall < due && !(self.eager && drained) {
                        return Todo::Wait(due);
                    }
                    self.eager = false;
                    self.hold.begin();
                    self.phase = Phase::Publish;
                }
                Phase::Publish => {
                    if self.hold.term().is_none() && !drained {
                        return Todo::Wait(now.after(self.hold.times.retry)); // what is under way is ours by the Lease that was
                    }
                    let set = self.next_set(drained);
                    let (rule, group) = (&self.rule.name, &self.group);
                    let request = self.hold.next(now, |lease| mark(lease, rule, group, &set));
                    match request {
                        Some(request) => {
                            if matches!(request, Request::Create(_) | Request::Replace(_)) {
                                self.sent = Some(set);
                            }
                            return Todo::Send(request);
                        }
                        None if self.hold.term().is_some() => self.phase = Phase::List,
                        None => self.rest(now),
                    }
                }
                Phase::List => {
                    let labels = format!("{GROUP_LABEL}={}", self.group);
                    return Todo::Send(Request::List { namespace: self.hold.namespace().to_owned(), labels });
                }
            }
        }
    }

    pub(crate) fn answer(
        &mut self,
        request: &Request,
        sent: Moment,
        now: Moment,
        outcome: Outcome,
    ) -> Effect {
        self.tick(now);
        match (request, outcome) {
            (Request::Delete(_), _) => Effect::None,
            (Request::List { .. }, Ok(Answer::Leases(leases))) => {
                if self.hold.term().is_some() {
                    self.listed(&leases, sent, now);
                }
                self.rest(now);
                Effect::None
            }
            (Request::List { .. }, _) => {
                self.rest(now);
                Effect::None
            }
            (_, outcome) => {
                let effect = self.hold.answer(request, sent, now, outcome);
                let set = self.sent.clone();
                match effect {
                    Effect::Renewed => (self.published, self.sent) = (set, None),
                    // A new term begins with a claim to nothing. One that was sent in the last is none.
                    Effect::Begun => {
                        self.published = set.filter(Members::is_empty);
                        self.sent = None;
                    }
                    Effect::None => {}
                }
                self.tick(now);
                effect
            }
        }
    }

    /// The members that it sees alive, and whether each claims by the same set as this one.
    pub(crate) fn members(&self) -> Vec<(String, bool)> {
        let alive = self.others.values().filter(|other| other.alive);
        let ours = self.published.as_ref();
        let mut members: Vec<(String, bool)> =
            alive.map(|other| (other.member.clone(), other.claim.is(ours))).collect();
        if self.hold.term().is_some() {
            members.push((self.hold.identity().to_owned(), ours == Some(&self.wanted)));
        }
        members.sort();
        members
    }

    fn next_set(&self, drained: bool) -> Members {
        match (&self.published, &self.sent) {
            (None, _) => Members::default(),
            (Some(_), Some(sent)) => sent.clone(), // until it is known whether the server has it
            (Some(published), None) if drained && self.covers(published) => self.wanted.clone(),
            (Some(published), None) => published.clone(),
        }
    }

    /// Whether the assignment, which is what `drained` is about, has taken the wanted set into account.
    fn covers(&self, published: &Members) -> bool {
        match &self.assignment {
            Assignment::Shard(shard) => shard.sets.contains(&self.wanted),
            _ => published.is_empty(), // nothing is served
        }
    }

    fn start_over(&mut self) {
        self.published = None;
        self.sent = None;
        self.wanted = Members::default();
        self.assignment = Assignment::Nothing;
        self.eager = false;
    }

    fn rest(&mut self, now: Moment) {
        let times = self.hold.times;
        let slow = times.retry.mul_f64(1.0 - 0.1 * self.random.fraction());
        let fast = times.retry / 8;
        let wait = if self.agrees() { slow } else { slow.min(fast * (1 << self.calm.min(3))) };
        self.calm = self.calm.saturating_add(1);
        let alive = self.others.values().filter(|other| other.alive);
        let expiry = alive.map(|other| other.seen.after(other.lasts)).chain(self.hold.expires()).min();
        let due = expiry.map_or(now.after(slow), |at| at.max(now.after(fast))).min(now.after(wait));
        self.phase = Phase::Rest(due);
    }

    /// Whether all who live go by the same set.
    fn agrees(&self) -> bool {
        self.hold.term().is_some()
            && self.published.as_ref() == Some(&self.wanted)
            && self
                .others
                .values()
                .filter(|other| other.alive)
                .all(|other| other.claim.is(Some(&self.wanted)))
    }

    /// Takes in a list that was asked for at `asked`, after what is published was known to be.
    fn listed(&mut self, leases: &[Lease], asked: Moment, now: Moment) {
        let mut changed = false;
        let mut mine = false;
        let mut listed: Vec<&str> = Vec::new();
        for lease in leases {
            if lease.name() == self.hold.name() {
                mine = self.hold.is_held(lease);
                continue;
            }
            listed.push(lease.name());
            changed |= self.saw(lease, asked, now);
        }
        if !mine {
            // Somebody deleted it, or took it: nobody knows of our claims any more.
            self.hold.end();
            self.start_over();
            return;
        }
        listed.sort_unstable();
        self.others.retain(|name, other| {
            // One that released it says so. One whose Lease vanished may live on until it would have expired.
            let there = listed.binary_search(&name.as_str()).is_ok();
            there || (other.alive && !asked.is_surely(other.lasts, other.seen))
        });
        if changed {
            self.calm = 0;
        }

        let alive = self.others.values().filter(|other| other.alive);
        let foreign = alive.clone().any(|other| other.claim.is_foreign());
        let me = self.hold.identity();
        let published = self.published.clone().unwrap_or_default();
        let wanted = if foreign && published.is_empty() {
            Members::default() // those of the other rule were first
        } else {
            let same_rule = alive.clone().filter(|other| !other.claim.is_foreign());
            Members::new(same_rule.map(|other| other.member.clone()).chain([me.to_owned()]))
        };
        self.eager = wanted != published;
        let mut sets = vec![published];
        sets.extend(self.sent.clone());
        sets.push(wanted.clone());
        sets.dedup();
        let claims = alive.filter_map(|other| other.blocks(me, &sets)).collect();
        self.assignment = if sets.iter().any(Members::is_empty) {
            Assignment::Nothing
        } else {
            Assignment::Shard(Shard { rule: self.rule.clone(), me: me.to_owned(), sets, claims })
        };
        self.wanted = wanted;
    }

    /// Takes in another's Lease; whether it has changed.
    fn saw(&mut self, lease: &Lease, asked: Moment, now: Moment) -> bool {
        let lasts = lease.duration().unwrap_or(self.hold.times.lease);
        let known = self.others.get(lease.name()).filter(|other| other.record == *lease.record());
        let seen = known.map_or(now, |other| other.seen);
        let member = lease.holder().unwrap_or_default().to_owned();
        // Judged by what was read after that time, as a renewal may have been there unseen until then.
        let alive = lease.holder().is_some() && !asked.is_surely(lasts, seen);
        let claim = Published::read(lease, &self.rule);
        let before = self.others.get(lease.name());
        let changed = before.is_none_or(|before| (&before.claim, before.alive) != (&claim, alive));
        if !alive && asked.is_surely(lasts + 2 * self.hold.times.lease, seen) {
            self.garbage.push(lease.clone());
        }
        let other = Other { record: lease.record().clone(), seen, member, claim, lasts, alive };
        self.others.insert(lease.name().to_owned(), other);
        changed
    }
}

impl Other {
    /// What it keeps this member from, who goes by these sets.
    fn blocks(&self, me: &str, sets: &[Members]) -> Option<Claim> {
        let claim = match &self.claim {
            Published::Of(claim) => claim,
            Published::Foreign => return Some(Claim::Everything),
            Published::ForeignWaiting => return None,
        };
        // Which of two members a key prefers does not depend on the others: if each knows of the other, they agree.
        let agree = claim.contains(me) && sets.iter().any(|set| set.contains(&self.member));
        (!claim.is_empty() && !agree).then(|| Claim::Of { member: self.member.clone(), set: claim.clone() })
    }
}

impl Published {
    /// What a Lease says.
    fn read(lease: &Lease, rule: &Rule) -> Self {
        let note =
            lease.annotation(CLAIM_ANNOTATION).and_then(|text| serde_json::from_str::<Note>(text).ok());
        match note {
            Some(note) if note.rule == rule.name => Self::Of(Members::new(note.members)),
            Some(note) if note.members.is_empty() => Self::ForeignWaiting,
            _ => Self::Foreign,
        }
    }

    fn is(&self, set: Option<&Members>) -> bool {
        matches!(self, Self::Of(claim) if Some(claim) == set)
    }

    fn is_foreign(&self) -> bool {
        !matches!(self, Self::Of(_))
    }
}

fn mark(lease: &mut Lease, rule: &str, group: &str, set: &Members) {
    let note = Note { rule: rule.to_owned(), members: set.names().to_vec() };
    // A struct of texts: it cannot fail to be encoded.
    let text = serde_json::to_string(&note).unwrap_or_default();
    lease.mark("labels", GROUP_LABEL, group);
    lease.mark("annotations", CLAIM_ANNOTATION, &text);
}
