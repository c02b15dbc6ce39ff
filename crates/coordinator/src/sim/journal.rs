//! What happens in a run: told to the invariants, and written down where somebody wants to read it.

use std::fmt::{self, Display};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use super::points::Points;
use super::{RuntimeClock, START, Server, wording};
use crate::context::Trace;
use crate::freshness::Expectation;
use crate::leadership;
use crate::probe::Watcher;
use crate::serve::{Outcome, panic_message};
use crate::{Clock, Emission, Event, EventRecord, Key, Object, View, Write, WriteError};

/// How the points end at which an observer panics.
pub(super) const PANICS_HERE: &str = ": panics";
/// What a panic on purpose says.
const ON_PURPOSE: &str = "a panic on purpose";
/// How often an observer panics when it is told of an event, and when it serves a key.
const PANICS: f64 = 0.004;
/// What a line of a journal says that tells of a violation.
pub(super) const VIOLATION: &str = "VIOLATION: ";
/// How many violations are kept.
const VIOLATIONS_MAX: usize = 20;

/// A rule: told of every moment, it says what is wrong.
pub type Invariant = Box<dyn FnMut(&Seen<'_>) -> Result<(), String> + Send>;

/// Something that happened, where and when.
#[derive(Debug)]
pub struct Seen<'a> {
    /// The replica.
    pub replica: &'a str,
    /// The time.
    pub at: Timestamp,
    /// What.
    pub moment: Moment<'a>,
}

/// What may happen in a replica.
#[derive(Debug)]
#[non_exhaustive]
pub enum Moment<'a> {
    /// It starts, or starts again, with nothing in memory.
    Started,
    /// It crashes, or is stopped.
    Stopped,
    /// It stands still: whatever it was at, it is not at it now.
    Paused,
    /// It goes on.
    Resumed,
    /// What it may serve has changed: of several replicas that share their work.
    Assigned {
        /// What it may serve, now and later.
        duty: &'a Duty,
    },
    /// An observer was told of an event, and woke these keys.
    Woke {
        /// The observer.
        observer: &'a str,
        /// The event.
        event: &'a Event,
        /// The keys.
        keys: &'a [Key],
    },
    /// An observer begins to serve a key.
    Serving {
        /// The observer.
        observer: &'a str,
        /// The key.
        key: &'a Key,
        /// What it sees.
        view: &'a View,
    },
    /// An observer wrote, and has the answer.
    Wrote {
        /// The observer.
        observer: &'a str,
        /// The key that it serves; none if it is told of an emitted event.
        key: Option<&'a Key>,
        /// What.
        write: &'a Write,
        /// The object as the server answered it, if it answered one; or why the write failed.
        answer: Result<Option<&'a Object>, &'a WriteError>,
    },
    /// An observer recorded a Kubernetes Event. Whether the server has it, nobody can rely on.
    Recorded {
        /// The observer.
        observer: &'a str,
        /// The key that it serves; none if it is told of an emitted event.
        key: Option<&'a Key>,
        /// What.
        record: &'a EventRecord,
    },
    /// An observer emitted an event for others.
    Emitted {
        /// The observer.
        observer: &'a str,
        /// The key that it serves; none if it is told of an emitted event.
        key: Option<&'a Key>,
        /// What.
        emission: &'a Emission,
    },
    /// An observer has served a key.
    Served {
        /// The observer.
        observer: &'a str,
        /// The key.
        key: &'a Key,
        /// What it has written.
        written: &'a Written,
        /// Why it failed, if it did.
        error: Option<String>,
    },
    /// Whatever an observer was serving has been dropped, since it may be another replica's to serve.
    Dropped {
        /// The observer.
        observer: &'a str,
    },
    /// The server has a write of the replica's, be it an observer's or about a Lease. It is executed when it comes or
    /// before it is answered, and whether or not the replica still waits for it.
    Received {
        /// The HTTP method.
        method: &'a str,
        /// The path of what is written.
        path: &'a str,
        /// The HTTP status of the answer; none while there is none.
        answered: Option<u16>,
    },
}

/// What a replica that is one of several may do, as it sees that itself. Cheap to clone.
#[derive(Clone)]
pub struct Duty {
    duty: Arc<leadership::Duty>,
    clock: Arc<dyn Clock>,
}

impl Duty {
    /// Whether by its own clock it may begin to serve a key now, and write for it. While it is paused it may not, as it
    /// does not know; what this says is what it would believe when it went on.
    pub fn may_serve(&self, key: &Key) -> bool {
        self.duty.may_serve(key, &*self.clock)
    }
}

impl fmt::Debug for Duty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Duty to serve {}", self.duty.assignment().1)
    }
}

/// What serving a key has written: by this one can tell whether a view shows it.
#[derive(Clone, Debug)]
pub struct Written(Vec<Expectation>);

impl Written {
    /// Whether nothing was written that the observer watches.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a view of the same observer shows all of it.
    pub fn is_in(&self, view: &View) -> bool {
        self.0.iter().all(|expectation| expectation.is_met(view.tables()))
    }
}

/// The journal of a run.
pub(super) struct Journal {
    clock: RuntimeClock,
    inner: Mutex<Inner>,
}

struct Inner {
    lines: Option<Vec<String>>,
    /// Whose faults are written down as they happen, and how many have been.
    server: Option<Arc<dyn Server>>,
    faults_told: usize,
    invariants: Vec<Invariant>,
    violations: Vec<String>,
    points: Points,
    requests: u64,
    ended: bool,
}

impl Journal {
    pub(super) fn new(clock: RuntimeClock, invariants: Vec<Invariant>, points: Points, writes: bool) -> Self {
        Self {
            clock,
            inner: Mutex::new(Inner {
                lines: writes.then(Vec::new),
                server: None,
                faults_told: 0,
                invariants,
                violations: Vec::new(),
                points,
                requests: 0,
                ended: false,
            }),
        }
    }

    /// Writes down the faults of this server, too.
    pub(super) fn follow(&self, server: &Arc<dyn Server>) {
        self.inner.lock().server = Some(Arc::clone(server));
    }

    /// Writes a line, if anybody wants to read it.
    pub(super) fn write(&self, who: &str, line: impl FnOnce() -> String) {
        let mut inner = self.inner.lock();
        if inner.ended || inner.lines.is_none() {
            return;
        }
        let passed = self.clock.now().duration_since(START);
        if let Some(server) = inner.server.clone() {
            let faults = server.misbehaved(inner.faults_told);
            inner.faults_told += faults.len();
            for fault in faults {
                inner.push(passed, "FAULT", &fault.description);
            }
        }
        inner.push(passed, who, &line());
    }

    pub(super) fn see(&self, replica: &str, moment: Moment<'_>) {
        // Requests are written down where they are answered.
        if !matches!(moment, Moment::Woke { keys: [], .. } | Moment::Received { .. }) {
            self.write(replica, || moment.to_string());
        }
        let seen = Seen { replica, at: self.clock.now(), moment };
        let mut inner = self.inner.lock();
        let mut found = Vec::new();
        for invariant in &mut inner.invariants {
            match catch_unwind(AssertUnwindSafe(|| invariant(&seen))) {
                Ok(Ok(())) => {}
                Ok(Err(violation)) => found.push(violation),
                Err(panic) => found.push(format!("an invariant panicked: {}", panic_message(&*panic))),
            }
        }
        drop(inner);
        for violation in found {
            self.violated(replica, &violation);
        }
    }

    pub(super) fn violated(&self, replica: &str, violation: &str) {
        self.write(replica, || format!("{VIOLATION}{violation}"));
        let mut inner = self.inner.lock();
        if inner.violations.len() < VIOLATIONS_MAX {
            inner.violations.push(format!("{replica}: {violation}"));
        }
    }

    /// Whether something goes wrong here, which it does this `often`; the how many-th time it might have. `point` says
    /// what, and where.
    pub(super) fn goes_wrong(&self, point: &str, often: f64) -> Option<u64> {
        let turn = self.inner.lock().points.decide(point, often)?;
        self.write("FAULT", || point.to_owned());
        Some(turn)
    }

    /// Panics if that is what goes wrong here.
    fn may_panic(&self, point: impl FnOnce() -> String) {
        if self.goes_wrong(&format!("{}{PANICS_HERE}", point()), PANICS).is_some() {
            resume_unwind(Box::new(ON_PURPOSE)); // quietly: the hook of panics is not called
        }
    }

    /// From now on nothing is written down: what is to happen has happened.
    pub(super) fn end(&self) {
        let mut inner = self.inner.lock();
        inner.ended = true;
    }

    /// Nothing goes wrong any more.
    pub(super) fn calm(&self) {
        self.inner.lock().points.end();
    }

    /// What went wrong at points of the run.
    pub(super) fn went_wrong(&self) -> Vec<(String, u64)> {
        self.inner.lock().points.taken().to_vec()
    }

    pub(super) fn violations(&self) -> Vec<String> {
        self.inner.lock().violations.clone()
    }

    /// Counts a request; whether it is to be written down.
    fn count(&self) -> bool {
        let mut inner = self.inner.lock();
        inner.requests += 1;
        inner.lines.is_some()
    }

    pub(super) fn requests(&self) -> u64 {
        self.inner.lock().requests
    }

    /// All lines; lets go of the server.
    pub(super) fn close(&self) -> Vec<String> {
        let mut inner = self.inner.lock();
        inner.server = None;
        inner.lines.take().unwrap_or_default()
    }
}

impl Inner {
    fn push(&mut self, passed: SignedDuration, who: &str, line: &str) {
        if let Some(lines) = &mut self.lines {
            let (seconds, milliseconds) = (passed.as_secs(), passed.subsec_millis());
            lines.push(format!("{seconds:>6}.{milliseconds:03}s  {who:<10} {line}"));
        }
    }
}

/// Where the requests of one user are written down.
#[derive(Clone)]
pub struct Requests {
    user: String,
    journal: Arc<Journal>,
}

impl Requests {
    pub(super) fn new(user: &str, journal: &Arc<Journal>) -> Self {
        Self { user: user.to_owned(), journal: Arc::clone(journal) }
    }

    /// Has a request answered by `answer`, which is made from it.
    pub async fn answered<A, B, F>(
        &self,
        request: Request<A>,
        answer: impl FnOnce(Request<A>) -> F,
    ) -> Response<B>
    where
        F: Future<Output = Response<B>>,
    {
        let what = self.journal.count().then(|| wording::request(request.method(), request.uri()));
        let asked = self.journal.clock.now();
        let response = answer(request).await;
        if let Some(what) = what {
            let took = self.journal.clock.now().duration_since(asked).as_millis();
            let after = if took > 0 { format!(" (after {took} ms)") } else { String::new() };
            self.journal.write(&self.user, || format!("{what} ► {}{after}", response.status().as_u16()));
        }
        response
    }
}

/// Looks in on the coordinator of one replica.
pub(super) struct Lookout {
    pub(super) replica: String,
    pub(super) journal: Arc<Journal>,
    /// The replica's own.
    pub(super) clock: Arc<dyn Clock>,
}

impl Watcher for Lookout {
    fn telling(&self, observer: &str, event: &Event) {
        self.journal.may_panic(|| format!("{} {observer} wake {}", self.replica, event.key()));
    }

    fn serving(&self, observer: &str, key: &Key, view: &View) {
        self.journal.see(&self.replica, Moment::Serving { observer, key, view });
        self.journal.may_panic(|| format!("{} {observer} plan {key}", self.replica));
    }

    fn woke(&self, observer: &str, event: &Event, keys: &[Key]) {
        self.journal.see(&self.replica, Moment::Woke { observer, event, keys });
    }

    fn served(&self, observer: &str, key: &Key, outcome: &Outcome, trace: &Trace) {
        let error = match outcome {
            Outcome::Done(_) => None,
            Outcome::Failed(error) => Some(error.to_string()),
            Outcome::Panicked(message) => Some(format!("panic: {message}")),
            Outcome::Revoked => Some("it is another replica's to serve".to_owned()),
            Outcome::Hung => Some("it took longer than it may".to_owned()),
        };
        let written = Written(trace.expectations.clone());
        self.journal.see(&self.replica, Moment::Served { observer, key, written: &written, error });
    }

    fn wrote(
        &self,
        observer: &str,
        key: Option<&Key>,
        write: &Write,
        answer: Result<Option<&Object>, &WriteError>,
    ) {
        self.journal.see(&self.replica, Moment::Wrote { observer, key, write, answer });
    }

    fn recorded(&self, observer: &str, key: Option<&Key>, record: &EventRecord) {
        self.journal.see(&self.replica, Moment::Recorded { observer, key, record });
    }

    fn emitted(&self, observer: &str, key: Option<&Key>, emission: &Emission) {
        self.journal.see(&self.replica, Moment::Emitted { observer, key, emission });
    }

    fn dropped(&self, observer: &str) {
        self.journal.see(&self.replica, Moment::Dropped { observer });
    }

    fn assigned(&self, duty: &Arc<leadership::Duty>) {
        let duty = Duty { duty: Arc::clone(duty), clock: Arc::clone(&self.clock) };
        self.journal.see(&self.replica, Moment::Assigned { duty: &duty });
    }

    fn panicked(&self, observer: &str, message: &str) {
        if !message.ends_with(ON_PURPOSE) {
            self.journal.violated(&self.replica, &format!("{observer} panicked: {message}"));
        }
    }
}

impl Display for Moment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started => f.write_str("starts"),
            Self::Paused => f.write_str("stands still"),
            Self::Resumed => f.write_str("goes on"),
            Self::Received { method, path, answered: None } => write!(f, "sent {method} {path}"),
            Self::Received { method, path, answered: Some(code) } => {
                write!(f, "{method} {path} is answered with {code}")
            }
            Self::Stopped => f.write_str("is gone"),
            Self::Assigned { duty } => write!(f, "may serve {}", duty.duty.assignment().1),
            Self::Woke { observer, event, keys } => {
                let what = match event {
                    Event::Added(_) => "added",
                    Event::Modified { .. } => "modified",
                    Event::Deleted(_) => "deleted",
                };
                let version = event.object().resource_version();
                write!(f, "{observer}: {what} {} @{version} wakes", event.key())?;
                if keys.is_empty() {
                    f.write_str(" nothing")?;
                }
                keys.iter()
                    .enumerate()
                    .try_for_each(|(number, key)| write!(f, "{} {key}", if number == 0 { "" } else { "," }))
            }
            Self::Serving { observer, key, .. } => write!(f, "{observer}: plans {key}"),
            Self::Dropped { observer } => write!(f, "{observer}: drops what it was at"),
            Self::Wrote { observer, write, answer, .. } => match answer {
                Ok(Some(object)) => {
                    write!(f, "{observer}: wrote {write} @{}", object.resource_version())
                }
                Ok(None) => write!(f, "{observer}: wrote {write}"),
                Err(error) => write!(f, "{observer}: could not {write}: {}", error.source),
            },
            Self::Recorded { observer, record, .. } => write!(f, "{observer}: records {record}"),
            Self::Emitted { observer, emission, .. } => write!(f, "{observer}: emits {emission:?}"),
            Self::Served { observer, key, error: None, .. } => write!(f, "{observer}: served {key}"),
            Self::Served { observer, key, error: Some(error), .. } => {
                write!(f, "{observer}: failed {key}: {error}")
            }
        }
    }
}
