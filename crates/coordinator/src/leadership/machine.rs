//! What election and sharding have in common: they want requests made, and say what may be served.

use jiff::Timestamp;

use super::duty::Fence;
use super::elector::Elector;
use super::hold::Effect;
use super::hold::Hold;
use super::membership::Membership;
use super::moment::Moment;
use super::requests::{Outcome, Request};
use super::settings::{Election, Settings, Sharding, Times};
use super::shards::Assignment;
use super::status::{LeadershipStatus, Member};
use crate::{LastError, Random};

/// What is to be done next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Todo {
    Send(Request),
    /// Nothing before this time.
    Wait(Timestamp),
}

/// What was chosen of the two.
#[derive(Clone, Debug)]
pub(crate) enum Choice {
    Election(Election),
    Sharding(Sharding),
}

/// An election or a membership.
#[expect(clippy::large_enum_variant, reason = "there is one a process")]
pub(crate) enum Machine {
    Elector(Elector),
    Membership(Membership),
}

impl Choice {
    pub(crate) fn times(&self) -> Times {
        self.settings().times
    }

    pub(crate) fn rights(&self) -> Vec<crate::Right> {
        match self {
            Self::Election(election) => election.rights(),
            Self::Sharding(sharding) => sharding.rights(),
        }
    }

    fn settings(&self) -> &Settings {
        match self {
            Self::Election(election) => &election.lease,
            Self::Sharding(sharding) => &sharding.lease,
        }
    }

    /// The machine at its start. `instance` is how this process is called where no identity was chosen.
    pub(crate) fn machine(&self, instance: &str, random: &Random) -> Machine {
        let random = random.fork("leadership");
        let Settings { namespace, name, identity, times } = self.settings().clone();
        let identity = identity.unwrap_or_else(|| format!("{instance}-{:016x}", random.number()));
        match self {
            Self::Election(_) => {
                Machine::Elector(Elector::new(Hold::new(namespace, name, identity, times), random))
            }
            Self::Sharding(Sharding { rule, .. }) => {
                let lease = lease_name(&name, &identity);
                let hold = Hold::new(namespace, lease, identity, times);
                Machine::Membership(Membership::new(hold, name, rule.clone(), random))
            }
        }
    }
}

impl Machine {
    /// Ends what must be over. To be called, and the assignment to be obeyed, before anything else is asked.
    pub(crate) fn tick(&mut self, now: Moment) {
        match self {
            Self::Elector(elector) => drop(elector.hold.lapse(now)),
            Self::Membership(membership) => membership.tick(now),
        }
    }

    pub(crate) fn assignment(&self) -> Assignment {
        match self {
            Self::Elector(elector) => elector.assignment(),
            Self::Membership(membership) => membership.assignment(),
        }
    }

    /// Until when one may write; none if not at all.
    pub(crate) fn fence(&self) -> Option<Fence> {
        let hold = self.hold();
        hold.term().map(|term| Fence { sent: term.sent, lasts: hold.times.fence })
    }

    /// What to do; `drained` says that no work is under way outside the assignment, nor any of its writes.
    pub(crate) fn poll(&mut self, now: Moment, drained: bool) -> Todo {
        match self {
            Self::Elector(elector) => elector.poll(now),
            Self::Membership(membership) => membership.poll(now, drained),
        }
    }

    pub(crate) fn answer(
        &mut self,
        request: &Request,
        sent: Moment,
        now: Moment,
        outcome: Outcome,
    ) -> Effect {
        match self {
            Self::Elector(elector) => elector.answer(request, sent, now, outcome),
            Self::Membership(membership) => membership.answer(request, sent, now, outcome),
        }
    }

    /// The request that hands over; only when no work is under way, nor any of its writes.
    pub(crate) fn release(&mut self, now: Moment) -> Option<Request> {
        self.hold_mut().release(now)
    }

    pub(crate) fn status(&self) -> LeadershipStatus {
        let hold = self.hold();
        let (leader, members) = match self {
            Self::Elector(_) => (hold.holder().map(str::to_owned), Vec::new()),
            Self::Membership(membership) => (None, membership.members()),
        };
        LeadershipStatus {
            identity: hold.identity().to_owned(),
            lease: hold.place(),
            serving_since: hold.term().filter(|_| !self.assignment().is_nothing()).map(|term| term.since),
            leader,
            members: members.into_iter().map(|(identity, agrees)| Member { identity, agrees }).collect(),
            last_error: hold.last_failure.clone().map(|(at, message)| LastError { at, message }),
        }
    }

    fn hold(&self) -> &Hold {
        match self {
            Self::Elector(elector) => &elector.hold,
            Self::Membership(membership) => &membership.hold,
        }
    }

    fn hold_mut(&mut self) -> &mut Hold {
        match self {
            Self::Elector(elector) => &mut elector.hold,
            Self::Membership(membership) => &mut membership.hold,
        }
    }
}

/// The name of a member's own Lease: letters, digits, dashes and dots only.
fn lease_name(group: &str, identity: &str) -> String {
    let name: String =
        format!("{group}-{identity}")
            .chars()
            .map(|letter| {
                if letter.is_ascii_alphanumeric() || letter == '.' {
                    letter.to_ascii_lowercase()
                } else {
                    '-'
                }
            })
            .take(253)
            .collect();
    name.trim_matches(['-', '.']).to_owned()
}
