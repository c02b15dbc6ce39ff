//! How many requests are worked on at once, as `--max-requests-inflight` of kube-apiserver has it: who comes when all
//! slots are taken does not wait, but is told to come again.

use std::{sync::Arc, time::Duration};

use http::{HeaderValue, Response, StatusCode, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Body, target::Target, text};
use crate::access::User;

/// How long a request may hold a slot once it is answered: as long as kube-apiserver lets one last. Who takes longer to
/// read the answer reads on, but costs no work.
pub const ANSWER_TIME_MAX: Duration = Duration::from_mins(1);
/// Actions that last for as long as their clients like.
const LONG_RUNNING: [&str; 5] = ["attach", "exec", "proxy", "log", "portforward"];

/// The slots of a server.
#[derive(Debug, Clone)]
pub struct InFlight {
    reads: Option<Arc<Semaphore>>,
    writes: Option<Arc<Semaphore>>,
}

/// All slots are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

impl InFlight {
    /// So many slots for requests that change nothing, and for those that do; 0 is no limit.
    pub fn new(reads: usize, writes: usize) -> Self {
        let slots =
            |count: usize| (count > 0).then(|| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS))));
        Self { reads: slots(reads), writes: slots(writes) }
    }

    /// A slot for a request, if it needs one: what runs long is not counted.
    ///
    /// # Errors
    /// All are taken; administrators are let in all the same.
    pub fn enter(&self, user: &User, target: &Target) -> Result<Option<Slot>, TooMany> {
        if target.verb == "watch" || LONG_RUNNING.contains(&target.subresource.as_str()) {
            return Ok(None);
        }
        let slots = if matches!(target.verb, "get" | "list") { &self.reads } else { &self.writes };
        let Some(slots) = slots else { return Ok(None) };
        match slots.clone().try_acquire_owned() {
            Ok(permit) => Ok(Some(Slot { _permit: permit })),
            Err(TryAcquireError::NoPermits) if !user.is_in("system:masters") => Err(TooMany),
            Err(_) => Ok(None),
        }
    }
}

/// A place among the requests that are worked on, given back when it is dropped.
#[derive(Debug)]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
}

impl Slot {
    /// Keeps the slot until what is given is dropped, but no longer than `at_most`.
    pub fn until_answered(self, at_most: Duration) -> DropGuard {
        let answered = CancellationToken::new();
        let guard = answered.clone().drop_guard();
        tokio::spawn(async move {
            let _ = tokio::time::timeout(at_most, answered.cancelled()).await;
            drop(self);
        });
        guard
    }
}

/// What is answered when all slots are taken.
pub fn too_many() -> Response<Body> {
    const WHY: &str = "Too many requests, please try again later.\n";
    let mut response = text(StatusCode::TOO_MANY_REQUESTS, "text/plain; charset=utf-8", WHY);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::http::query::Query;

    fn target(method: &Method, path: &str) -> Target {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        Target::of(method, path, &Query::parse(query))
    }

    #[test]
    fn reads_and_writes_have_slots_of_their_own() {
        let (user, get, post) = (User::default(), Method::GET, Method::POST);
        let in_flight = InFlight::new(1, 1);
        let pods = target(&get, "/api/v1/pods");
        let read = in_flight.enter(&user, &pods).unwrap();
        assert!(read.is_some());
        assert_eq!(in_flight.enter(&user, &target(&get, "/healthz")).unwrap_err(), TooMany);
        let posted = target(&post, "/api/v1/namespaces/n/pods");
        let write = in_flight.enter(&user, &posted).unwrap();
        assert!(write.is_some());
        assert_eq!(in_flight.enter(&user, &posted).unwrap_err(), TooMany);
        drop(read);
        assert!(in_flight.enter(&user, &pods).unwrap().is_some());
        assert_eq!(in_flight.enter(&user, &posted).unwrap_err(), TooMany);
    }

    #[test]
    fn what_runs_long_and_who_administers_is_let_in() {
        let full = InFlight::new(1, 1);
        let user = User::default();
        let _slots = [&Method::GET, &Method::POST]
            .map(|method| full.enter(&user, &target(method, "/api/v1/namespaces/n/pods")).unwrap());
        for (method, path) in [
            (Method::GET, "/api/v1/pods?watch=true"),
            (Method::GET, "/api/v1/namespaces/n/pods/p/log"),
            (Method::POST, "/api/v1/namespaces/n/pods/p/exec"),
        ] {
            assert!(full.enter(&user, &target(&method, path)).unwrap().is_none(), "{path}");
        }
        let admin = User { groups: vec!["system:masters".into()], ..User::default() };
        assert!(full.enter(&admin, &target(&Method::GET, "/api/v1/pods")).unwrap().is_none());
        let unlimited = InFlight::new(0, 0);
        assert!(unlimited.enter(&user, &target(&Method::GET, "/api/v1/pods")).unwrap().is_none());
    }

    #[tokio::test]
    async fn a_slot_is_kept_while_an_answer_is_written_but_not_for_ever() {
        let (user, pods) = (User::default(), target(&Method::GET, "/api/v1/pods"));
        let in_flight = InFlight::new(1, 1);
        let slot = || in_flight.enter(&user, &pods).unwrap().unwrap();
        let is_free = async || {
            while in_flight.enter(&user, &pods).is_err() {
                tokio::task::yield_now().await;
            }
        };
        let written = slot().until_answered(ANSWER_TIME_MAX);
        tokio::task::yield_now().await;
        assert!(in_flight.enter(&user, &pods).is_err());
        drop(written);
        is_free().await;
        let _stalled = slot().until_answered(Duration::from_millis(1));
        is_free().await;
    }
}
