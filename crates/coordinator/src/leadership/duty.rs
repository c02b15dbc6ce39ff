//! What a replica may do now: which keys it may serve, which work it is at, and until when it may write.
//!
//! Whoever serves a key has a [`Permit`] as long as it does. A key that is taken off the assignment gets no new permit,
//! and what is under way for it may end in peace for a while; then its permit is revoked, and with it the work. When
//! the term is over all permits are revoked at once. A write that was given up, or got no answer, counts as under way
//! for the margin more.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::moment::Moment;
use super::settings::Times;
use super::shards::Assignment;
use super::status::LeadershipStatus;
use crate::{Clock, Key};

/// How many unanswered writes are told apart; of more, the oldest counts as one of anything.
const UNANSWERED_MAX: usize = 1024;

/// What a coordinator that is one of several may do.
pub(crate) struct Duty {
    pub(crate) times: Times,
    inner: Mutex<Inner>,
    /// Notified when the assignment changes.
    pub(crate) changed: Notify,
    /// Notified when work has ended that ought to.
    pub(crate) ended: Notify,
    /// Notified, after it has retired, when work has ended.
    quiet: Notify,
}

struct Inner {
    assignment: Arc<Assignment>,
    version: u64,
    fence: Option<Fence>,
    retired: bool,
    tickets: BTreeMap<u64, Arc<Ticket>>,
    next_ticket: u64,
    /// Since when there is work under way outside the assignment.
    overrun: Option<Moment>,
    unanswered: VecDeque<(Option<Key>, Moment)>,
    /// Unanswered writes of nobody knows what.
    unanswered_any: Option<Moment>,
    /// Which version each observer has acted on.
    posts: BTreeMap<u64, u64>,
    next_post: u64,
    /// It has found out where it stands, and waits until then.
    rests_until: Option<Timestamp>,
    status: LeadershipStatus,
}

/// Until when one may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fence {
    pub(crate) sent: Moment,
    pub(crate) lasts: Duration,
}

struct Ticket {
    /// None for what is about no key.
    key: Option<Key>,
    revoked: CancellationToken,
}

/// Allows to write, while a key is being served. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Permit(Option<(Arc<Duty>, Arc<Ticket>)>);

/// A key is being served; its permit ends with this.
pub(crate) struct Serving {
    pub(crate) permit: Permit,
    id: u64,
}

/// The write was not sent, or given up: another replica may be serving by now.
#[derive(Debug, thiserror::Error)]
#[error("this replica may not write: its lease is lost or running out")]
pub(crate) struct Fenced;

/// A write that is under way. Dropped without an answer it counts as under way for the margin more.
pub(crate) struct Writing<'a> {
    permit: &'a Permit,
    clock: &'a dyn Clock,
    answered: bool,
}

impl Duty {
    pub(crate) fn new(times: Times) -> Self {
        Self {
            times,
            inner: Mutex::new(Inner {
                assignment: Arc::new(Assignment::Nothing),
                version: 0,
                fence: None,
                retired: false,
                tickets: BTreeMap::new(),
                next_ticket: 0,
                overrun: None,
                unanswered: VecDeque::new(),
                unanswered_any: None,
                posts: BTreeMap::new(),
                next_post: 0,
                rests_until: None,
                status: LeadershipStatus::default(),
            }),
            changed: Notify::new(),
            ended: Notify::new(),
            quiet: Notify::new(),
        }
    }

    // What the driver does.

    /// Begins a run: nothing may be done yet.
    pub(crate) fn begin_run(&self, now: Moment) {
        self.inner.lock().retired = false;
        self.obey(now, Assignment::Nothing, None);
    }

    /// Obeys the machine: work that may go on no more is given its time, or ended if the term is over. Whether what may
    /// be served has changed.
    pub(crate) fn obey(&self, now: Moment, assignment: Assignment, fence: Option<Fence>) -> bool {
        let mut inner = self.inner.lock();
        // A new term has a new beginning, even if nobody has seen the end of the old one.
        let broken = inner.fence.is_some_and(|fence| fence.is_over(now)) || fence.is_none();
        if broken {
            inner.revoke(|_| true);
        }
        inner.fence = fence;
        let changed = *inner.assignment != assignment || (broken && !inner.assignment.is_nothing());
        if changed {
            inner.assignment = Arc::new(assignment);
            // A term that began anew unseen is two changes: observers start over, as work of the old one has been dropped.
            inner.version += if broken { 2 } else { 1 };
            self.changed.notify_waiters();
        }
        if !inner.overruns() {
            inner.overrun = None;
            return changed;
        }
        let since = *inner.overrun.get_or_insert(now);
        if now.is_perhaps(self.times.grace(), since) {
            let assignment = Arc::clone(&inner.assignment);
            let retired = inner.retired;
            inner.revoke(|key| retired || !stays(&assignment, key));
        }
        changed
    }

    /// Whether no work is under way outside the assignment, nor any of its writes.
    pub(crate) fn is_drained(&self, now: Moment) -> bool {
        let mut inner = self.inner.lock();
        let margin = self.times.margin();
        inner.unanswered.retain(|(_, since)| !now.is_surely(margin, *since));
        inner.unanswered_any = inner.unanswered_any.filter(|since| !now.is_surely(margin, *since));
        let lost =
            |(key, _): &(Option<Key>, Moment)| inner.retired || !stays(&inner.assignment, key.as_ref());
        !inner.overruns() && inner.unanswered_any.is_none() && !inner.unanswered.iter().any(lost)
    }

    /// When to look again, if nothing happens until then.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let inner = self.inner.lock();
        let overrun = inner.overrun.map(|since| since.after(self.times.grace()));
        let fence = inner.fence.map(|fence| fence.sent.after(fence.lasts));
        let margin = self.times.margin();
        let unanswered = inner.unanswered.iter().map(|(_, since)| *since).chain(inner.unanswered_any);
        unanswered.map(|since| since.after(margin)).chain(overrun).chain(fence).min()
    }

    /// Gives out no permits any more.
    pub(crate) fn retire(&self) {
        self.inner.lock().retired = true;
        self.ended.notify_one();
    }

    /// Completes when no work is under way. To be awaited by one, after it has [retired](Self::retire).
    pub(crate) async fn idle(&self) {
        while !self.inner.lock().tickets.is_empty() {
            self.quiet.notified().await;
        }
    }

    pub(crate) fn report(&self, status: LeadershipStatus, rests_until: Option<Timestamp>) {
        let mut inner = self.inner.lock();
        inner.status = status;
        inner.rests_until = rests_until;
    }

    // What others do.

    pub(crate) fn status(&self) -> LeadershipStatus {
        self.inner.lock().status.clone()
    }

    fn fence(&self) -> Option<Fence> {
        self.inner.lock().fence
    }

    /// Whether one may write.
    fn is_open(&self, clock: &dyn Clock) -> bool {
        self.fence().is_some_and(|fence| !fence.is_over(Moment::now(clock)))
    }

    /// Whether it waits for a time, and all observers have acted on how it stands.
    pub(crate) fn is_settled(&self, now: Timestamp) -> bool {
        let inner = self.inner.lock();
        let rests = inner.rests_until.is_some_and(|until| now < until);
        rests && inner.posts.values().all(|version| *version == inner.version)
    }

    pub(crate) fn assignment(&self) -> (u64, Arc<Assignment>) {
        let inner = self.inner.lock();
        (inner.version, Arc::clone(&inner.assignment))
    }

    /// Whether this replica may begin to serve a key now, and write for it.
    #[cfg(feature = "sim")]
    pub(crate) fn may_serve(&self, key: &Key, clock: &dyn Clock) -> bool {
        self.inner.lock().may_serve(Some(key), clock)
    }

    pub(crate) fn add_post(&self) -> u64 {
        let mut inner = self.inner.lock();
        inner.next_post += 1;
        let id = inner.next_post;
        inner.posts.insert(id, 0);
        id
    }

    pub(crate) fn acted(&self, post: u64, version: u64) {
        self.inner.lock().posts.insert(post, version);
    }

    pub(crate) fn remove_post(&self, post: u64) {
        self.inner.lock().posts.remove(&post);
    }

    /// Begins to serve a key, or something that is about none; none if that is not this replica's, or not any more: who
    /// wakes from a pause may come here before it is known that the term is over.
    pub(crate) fn serve(self: &Arc<Self>, key: Option<&Key>, clock: &dyn Clock) -> Option<Serving> {
        let mut inner = self.inner.lock();
        if !inner.may_serve(key, clock) {
            return None;
        }
        let ticket = Arc::new(Ticket { key: key.cloned(), revoked: CancellationToken::new() });
        inner.next_ticket += 1;
        let id = inner.next_ticket;
        inner.tickets.insert(id, Arc::clone(&ticket));
        Some(Serving { permit: Permit(Some((Arc::clone(self), ticket))), id })
    }
}

/// Whether work about a key, or about none, may go on.
fn stays(assignment: &Assignment, key: Option<&Key>) -> bool {
    key.map_or(!assignment.is_nothing(), |key| assignment.serves(key))
}

impl Inner {
    fn may_serve(&self, key: Option<&Key>, clock: &dyn Clock) -> bool {
        let is_open = self.fence.is_some_and(|fence| !fence.is_over(Moment::now(clock)));
        is_open && !self.retired && stays(&self.assignment, key)
    }

    fn overruns(&self) -> bool {
        self.tickets.values().any(|ticket| self.retired || !stays(&self.assignment, ticket.key.as_ref()))
    }

    /// What is under way must end; it counts as under way until it has.
    fn revoke(&self, over: impl Fn(Option<&Key>) -> bool) {
        for ticket in self.tickets.values().filter(|ticket| over(ticket.key.as_ref())) {
            ticket.revoked.cancel();
        }
    }

    fn unanswered(&mut self, key: Option<Key>, now: Moment) {
        self.unanswered.push_back((key, now));
        if self.unanswered.len() > UNANSWERED_MAX {
            self.unanswered_any = self.unanswered.pop_front().map(|(_, since)| since).or(self.unanswered_any);
        }
    }
}

impl Fence {
    /// Whether one may write no more.
    pub(crate) fn is_over(self, now: Moment) -> bool {
        now.is_perhaps(self.lasts, self.sent)
    }
}

impl Serving {
    /// For what runs on every replica, and where there is but one.
    pub(crate) fn unlimited() -> Self {
        Self { permit: Permit(None), id: 0 }
    }

    /// For what is told though this replica stands by: it may not write.
    pub(crate) fn refused(duty: &Arc<Duty>) -> Self {
        let ticket = Arc::new(Ticket { key: None, revoked: CancellationToken::new() });
        ticket.revoked.cancel();
        Self { permit: Permit(Some((Arc::clone(duty), ticket))), id: 0 }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let Some((duty, ticket)) = &self.permit.0 else { return };
        ticket.revoked.cancel();
        let mut inner = duty.inner.lock();
        inner.tickets.remove(&self.id);
        let (overrun, retired) = (inner.overrun.is_some(), inner.retired);
        drop(inner);
        if overrun || retired {
            duty.ended.notify_one();
        }
        if retired {
            duty.quiet.notify_one();
        }
    }
}

impl Permit {
    /// Completes when what it allows must end at once.
    pub(crate) async fn revoked(&self) {
        match &self.0 {
            Some((_, ticket)) => ticket.revoked.cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// Begins a write, unless it may not be sent.
    pub(crate) fn write<'a>(&'a self, clock: &'a dyn Clock) -> Result<Writing<'a>, Fenced> {
        match &self.0 {
            Some((duty, ticket)) if ticket.revoked.is_cancelled() || !duty.is_open(clock) => Err(Fenced),
            _ => Ok(Writing { permit: self, clock, answered: false }),
        }
    }

    /// Completes when a write that is under way must be given up.
    pub(crate) async fn fenced(&self, clock: &dyn Clock) {
        let Some((duty, ticket)) = &self.0 else { return std::future::pending().await };
        loop {
            let Some(fence) = duty.fence().filter(|fence| !fence.is_over(Moment::now(clock))) else { return };
            tokio::select! {
                biased;
                () = ticket.revoked.cancelled() => return,
                () = clock.sleep_until(fence.sent.after(fence.lasts)) => {}
            }
        }
    }
}

impl Writing<'_> {
    /// The server has answered: the write has happened, or never will.
    pub(crate) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if let Some((duty, ticket)) = self.permit.0.as_ref().filter(|_| !self.answered) {
            duty.inner.lock().unanswered(ticket.key.clone(), Moment::now(self.clock));
        }
    }
}
