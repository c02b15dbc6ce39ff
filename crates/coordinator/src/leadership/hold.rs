//! Holding one Lease: acquiring, renewing, judging whether another's has expired, releasing. A plain state machine:
//! requests are what it returns, answers and time are arguments.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::moment::Moment;
use super::requests::{Answer, Failure, Lease, Outcome, Request};
use super::settings::Times;

/// How many requests in a row one attempt may take: read, write, and once more after a conflict.
const REQUESTS_MAX: u32 = 4;

/// One Lease, as one who wants to hold it sees it.
pub(crate) struct Hold {
    namespace: String,
    name: String,
    identity: String,
    pub(crate) times: Times,
    known: Known,
    /// The record as it was last read, and when it was first seen so.
    seen: Option<(Value, Moment)>,
    /// The time of our last attempt to acquire it, by which we know a record for ours.
    acquired: Option<Timestamp>,
    term: Option<Term>,
    /// The requests of the present attempt so far; none if there is none.
    attempt: Option<u32>,
    pub(crate) last_failure: Option<(Timestamp, String)>,
}

enum Known {
    /// It must be read.
    Unknown,
    Absent,
    /// As last read or written, and whether one may take it.
    Lease {
        lease: Lease,
        free: bool,
    },
}

/// A time of holding the Lease without a break.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Term {
    pub(crate) since: Timestamp,
    /// When the last renewal that succeeded was sent.
    pub(crate) sent: Moment,
}

/// What an answer meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    None,
    Begun,
    Renewed,
}

impl Hold {
    pub(crate) fn new(namespace: String, name: String, identity: String, times: Times) -> Self {
        Self {
            namespace,
            name,
            identity,
            times,
            known: Known::Unknown,
            seen: None,
            acquired: None,
            term: None,
            attempt: None,
            last_failure: None,
        }
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    /// `namespace/name`.
    pub(crate) fn place(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    pub(crate) fn term(&self) -> Option<Term> {
        self.term
    }

    /// Who holds it, as far as is known.
    pub(crate) fn holder(&self) -> Option<&str> {
        match &self.known {
            Known::Lease { lease, .. } => lease.holder(),
            _ => self.seen.as_ref()?.0["holderIdentity"].as_str().filter(|holder| !holder.is_empty()),
        }
    }

    /// Ends the term if it may be over; whether it did.
    pub(crate) fn lapse(&mut self, now: Moment) -> bool {
        let over = self.term.is_some_and(|term| now.is_perhaps(self.times.fence, term.sent));
        if over {
            self.end();
        }
        over
    }

    /// Ends the term: the Lease is not as we left it.
    pub(crate) fn end(&mut self) {
        self.term = None;
        self.known = Known::Unknown;
    }

    /// Begins an attempt to acquire or renew it.
    pub(crate) fn begin(&mut self) {
        self.attempt = Some(0);
        if !self.is_ours() {
            self.known = Known::Unknown;
        }
    }

    /// The next request of the attempt, none when it is over. `mark` adds to what is written.
    pub(crate) fn next(&mut self, now: Moment, mark: impl FnOnce(&mut Lease)) -> Option<Request> {
        let attempt = self.attempt?;
        if attempt >= REQUESTS_MAX {
            self.attempt = None;
            return None;
        }
        let ours = self.is_ours();
        let request = match &self.known {
            Known::Unknown => Request::Get { namespace: self.namespace.clone(), name: self.name.clone() },
            Known::Absent => {
                let mut lease = Lease::new(&self.namespace, &self.name);
                self.acquired = Some(micros(now.wall));
                lease.set(&self.identity, self.times.lease, now.wall, now.wall, 0);
                mark(&mut lease);
                Request::Create(lease)
            }
            Known::Lease { lease, .. } if ours => {
                let mut lease = lease.clone();
                let (acquired, transitions) = (lease.acquire_time().unwrap_or(now.wall), lease.transitions());
                lease.set(&self.identity, self.times.lease, acquired, now.wall, transitions);
                mark(&mut lease);
                Request::Replace(lease)
            }
            Known::Lease { lease, free: true } => {
                let mut lease = lease.clone();
                self.acquired = Some(micros(now.wall));
                let transitions = lease.transitions() + 1;
                lease.set(&self.identity, self.times.lease, now.wall, now.wall, transitions);
                mark(&mut lease);
                Request::Replace(lease)
            }
            Known::Lease { .. } => {
                self.attempt = None;
                return None;
            }
        };
        self.attempt = Some(attempt + 1);
        Some(request)
    }

    /// Takes in the answer to a request that was sent at `sent`.
    pub(crate) fn answer(
        &mut self,
        request: &Request,
        sent: Moment,
        now: Moment,
        outcome: Outcome,
    ) -> Effect {
        self.lapse(now);
        match (request, outcome) {
            (Request::Get { .. }, Ok(Answer::Lease(lease))) => {
                self.read(lease, sent, now);
                Effect::None
            }
            (Request::Get { .. }, Err(Failure::Missing)) => {
                self.term = None; // somebody deleted what we held
                self.known = Known::Absent;
                Effect::None
            }
            (Request::Create(_) | Request::Replace(_), Ok(Answer::Lease(lease))) => {
                self.attempt = None;
                self.last_failure = None;
                self.seen = Some((lease.record().clone(), now));
                self.known = Known::Lease { lease, free: false };
                self.written(sent, now)
            }
            (Request::Create(_) | Request::Replace(_), Err(Failure::Conflict | Failure::Missing)) => {
                self.known = Known::Unknown;
                Effect::None
            }
            (_, Err(failure)) => {
                self.known = Known::Unknown;
                self.attempt = None;
                self.last_failure = Some((now.wall, failure.to_string()));
                Effect::None
            }
            (_, Ok(_)) => Effect::None,
        }
    }

    /// The request that hands it over, if it is held for sure.
    pub(crate) fn release(&mut self, now: Moment) -> Option<Request> {
        self.term?;
        let Known::Lease { lease, .. } = &self.known else { return None };
        let mut lease = lease.clone();
        let transitions = lease.transitions();
        // As client-go does: whoever comes next need not wait.
        lease.set("", Duration::from_secs(1), now.wall, now.wall, transitions);
        self.term = None;
        self.acquired = None;
        Some(Request::Replace(lease))
    }

    /// When the Lease can have expired that another holds.
    pub(crate) fn expires(&self) -> Option<Timestamp> {
        let Known::Lease { lease, .. } = &self.known else { return None };
        if self.is_ours() {
            return None;
        }
        let (_, at) = self.seen.as_ref()?;
        Some(at.after(lease.duration().unwrap_or(self.times.lease)))
    }

    fn read(&mut self, lease: Lease, sent: Moment, now: Moment) {
        if self.seen.as_ref().is_none_or(|(record, _)| record != lease.record()) {
            self.seen = Some((lease.record().clone(), now));
        }
        let lasts = lease.duration().unwrap_or(self.times.lease);
        // What was read after that time is judged, not what was seen before: a renewal may be there unseen.
        let expired = self.seen.as_ref().is_some_and(|(_, at)| sent.is_surely(lasts, *at));
        let free = lease.holder().is_none() || expired;
        self.known = Known::Lease { lease, free };
        if !self.is_ours() {
            self.term = None;
        }
    }

    fn written(&mut self, sent: Moment, now: Moment) -> Effect {
        let renewed = self.term.is_some();
        if now.is_perhaps(self.times.fence, sent) {
            // Too late to be of use: it is ours, but not to write by.
            self.term = None;
            return Effect::None;
        }
        let since = self.term.map_or(now.wall, |term| term.since);
        self.term = Some(Term { since, sent });
        if renewed { Effect::Renewed } else { Effect::Begun }
    }

    /// Whether the record is one that we wrote: it has our name, and the time at which we acquired it.
    fn is_ours(&self) -> bool {
        match &self.known {
            Known::Lease { lease, .. } => {
                lease.holder() == Some(&self.identity)
                    && self.acquired.is_some()
                    && lease.acquire_time() == self.acquired
            }
            _ => false,
        }
    }

    /// Whether this Lease, as listed, still is the one that we hold.
    pub(crate) fn is_held(&self, lease: &Lease) -> bool {
        lease.holder() == Some(&self.identity) && lease.acquire_time() == self.acquired
    }
}

/// To the precision of a record.
fn micros(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}
