//! An election: holding one Lease, again and again. A plain state machine.

use jiff::Timestamp;

use super::hold::{Effect, Hold};
use super::machine::Todo;
use super::moment::Moment;
use super::requests::{Outcome, Request};
use super::shards::Assignment;
use crate::Random;

/// A candidate for the Lease, or its holder.
pub(crate) struct Elector {
    pub(crate) hold: Hold,
    random: Random,
    /// When the next attempt begins; none while one is under way.
    due: Option<Timestamp>,
}

impl Elector {
    pub(crate) fn new(hold: Hold, random: Random) -> Self {
        Self { hold, random, due: Some(Timestamp::MIN) }
    }

    pub(crate) fn assignment(&self) -> Assignment {
        if self.hold.term().is_some() { Assignment::All } else { Assignment::Nothing }
    }

    pub(crate) fn poll(&mut self, now: Moment) -> Todo {
        match self.due {
            Some(due) if now.wall < due => return Todo::Wait(due),
            Some(_) => {
                self.due = None;
                self.hold.begin();
            }
            None => {}
        }
        if let Some(request) = self.hold.next(now, |_| {}) {
            return Todo::Send(request);
        }
        let retry = self.hold.times.retry;
        let due = if self.hold.term().is_some() {
            now.after(retry)
        } else {
            let retry = now.after(retry.mul_f64(1.0 + 0.2 * self.random.fraction()));
            // Neither earlier than makes sense, where the wall clock has been set.
            let soonest = now.after(self.hold.times.retry / 8);
            self.hold.expires().map_or(retry, |expires| expires.max(soonest).min(retry))
        };
        self.due = Some(due);
        Todo::Wait(due)
    }

    pub(crate) fn answer(
        &mut self,
        request: &Request,
        sent: Moment,
        now: Moment,
        outcome: Outcome,
    ) -> Effect {
        self.hold.answer(request, sent, now, outcome)
    }
}
