//! A small API server for tests: enough of lists, watches and writes to play any script against a coordinator.
//!
//! It stores what it is given, tells watches of it, and misbehaves on request: cuts watches, forgets versions, holds
//! back what watches are told, refuses kinds and writes. It has no rules of Kubernetes' own.
#![allow(dead_code, unused_imports, clippy::unwrap_used, clippy::expect_used)]

mod server;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use http_body_util::BodyExt;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use xebec_coordinator::{
    BoxError, Builder, Coordinator, Key, ManualClock, Observer, ObserverSpec, ObserverStatus, Plan, RunError,
    View,
};

pub use server::status_body;
use server::{Place, Reply, State, reply, status};

pub const PODS: &str = "/api/v1/pods";
pub const CONFIG_MAPS: &str = "/api/v1/configmaps";

#[derive(Clone, Default)]
pub struct Fake(Arc<Mutex<State>>);

/// What is answered to a request instead of what would be.
#[derive(Clone)]
pub enum Answer {
    /// This status.
    Status(u16, Value),
    /// Nothing, ever.
    Never,
    /// The request is executed, but the answer is lost.
    Lost,
}

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub content_type: String,
    pub accept: String,
    pub body: Value,
}

impl Seen {
    pub fn is_watch(&self) -> bool {
        self.query.contains("watch=true")
    }

    pub fn is_watch_list(&self) -> bool {
        self.query.contains("sendInitialEvents=true")
    }

    pub fn is_metadata(&self) -> bool {
        self.accept.contains("PartialObjectMetadata")
    }
}

impl Fake {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn client(&self) -> kube::Client {
        let fake = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let fake = fake.clone();
            async move { Ok::<_, Infallible>(fake.serve(request).await) }
        });
        kube::Client::new(service, "default")
    }

    // What tests do to the cluster.

    pub fn put(&self, collection: &str, namespace: &str, name: &str, rest: Value) -> u64 {
        let mut object = rest;
        object["metadata"]["name"] = name.into();
        if !namespace.is_empty() {
            object["metadata"]["namespace"] = namespace.into();
        }
        self.0.lock().write(collection, object)["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    }

    pub fn pod(&self, name: &str) -> u64 {
        self.put(PODS, "ns", name, json!({}))
    }

    pub fn delete(&self, collection: &str, namespace: &str, name: &str) {
        self.0.lock().delete(collection, namespace, name);
    }

    pub fn object(&self, collection: &str, namespace: &str, name: &str) -> Option<Value> {
        self.0.lock().objects.get(&(collection.into(), namespace.into(), name.into())).cloned()
    }

    pub fn objects(&self, collection: &str) -> Vec<Value> {
        let state = self.0.lock();
        state.objects.iter().filter(|(key, _)| key.0 == collection).map(|(_, value)| value.clone()).collect()
    }

    /// Ends all watches.
    pub fn cut(&self) {
        self.0.lock().watchers.clear();
    }

    /// Forgets all versions up to now: watches that go on from there get a 410.
    pub fn forget(&self) {
        let mut state = self.0.lock();
        state.forgotten = state.version;
    }

    /// Tells watches nothing more for now.
    pub fn hold(&self) {
        let mut state = self.0.lock();
        state.held_at = Some(state.version);
        state.held_only = None;
    }

    /// Tells watches of one collection nothing more for now.
    pub fn hold_only(&self, collection: &str) {
        self.hold();
        self.0.lock().held_only = Some(collection.to_owned());
    }

    /// Tells watches what was held back.
    pub fn release(&self) {
        let mut state = self.0.lock();
        state.held_at = None;
        state.tell();
    }

    /// Serves lists over watches, too.
    pub fn serve_watch_lists(&self) {
        self.0.lock().watch_lists = true;
    }

    /// Serves watches that begin with all objects, but never says where these end, as old servers do.
    pub fn ignore_watch_lists(&self) {
        let mut state = self.0.lock();
        (state.watch_lists, state.no_list_end) = (true, true);
    }

    /// Answers everything about a collection with this code, until it is 200.
    pub fn refuse(&self, collection: &str, code: u16) {
        let mut state = self.0.lock();
        state.refused.insert(collection.to_owned(), code);
        if code != 200 {
            state.watchers.retain(|watcher| watcher.place.collection != collection);
        }
    }

    pub fn script(&self, method: Method, path: &str, answer: Answer) {
        self.0.lock().scripted.entry((method, path.to_owned())).or_default().push_back(answer);
    }

    // What tests see of the requests.

    pub fn requests(&self) -> Vec<Seen> {
        self.0.lock().requests.clone()
    }

    pub fn watches(&self, path: &str) -> usize {
        self.requests().iter().filter(|seen| seen.path == path && seen.is_watch()).count()
    }

    pub fn lists(&self, path: &str) -> usize {
        let is_list = |seen: &&Seen| seen.path == path && seen.method == Method::GET && !seen.is_watch();
        self.requests().iter().filter(is_list).filter(|seen| !seen.is_metadata()).count()
    }

    pub fn writes(&self) -> Vec<Seen> {
        self.requests().into_iter().filter(|seen| seen.method != Method::GET).collect()
    }

    pub fn open_watches(&self) -> usize {
        let mut state = self.0.lock();
        state.watchers.retain(|watcher| !watcher.lines.is_closed());
        state.watchers.len()
    }

    /// Completes when the requests are as wished.
    pub async fn until(&self, what: &str, wished: impl Fn(&Self) -> bool) {
        let mut count = self.0.lock().count.subscribe();
        within(what, async {
            while !wished(self) {
                count.changed().await.unwrap();
            }
        })
        .await;
    }

    // The server.

    async fn serve(&self, request: Request<Body>) -> Reply {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let header = |name: &str| {
            parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        let seen = Seen {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            content_type: header("content-type"),
            accept: header("accept"),
            body: serde_json::from_slice(&body).unwrap_or_default(),
        };
        let place = Place::parse(&seen.path);
        let scripted = {
            let mut state = self.0.lock();
            if seen.is_watch_list() && !state.watch_lists {
                return status(422, "Invalid"); // and counts as no request: most tests are about lists by pages
            }
            state.requests.push(seen.clone());
            state.count.send_modify(|count| *count += 1);
            if let Some(code) = state.refused.get(&place.collection).filter(|code| **code != 200) {
                return status(*code, "Refused");
            }
            state.scripted.get_mut(&(seen.method.clone(), seen.path.clone())).and_then(VecDeque::pop_front)
        };
        match scripted {
            Some(Answer::Status(code, body)) => reply(code, &body),
            Some(Answer::Never) => std::future::pending().await,
            Some(Answer::Lost) => {
                self.0.lock().answer(&place, &seen);
                status(504, "Timeout")
            }
            None => self.0.lock().answer(&place, &seen),
        }
    }
}

/// A coordinator that runs against a fake, on a clock that stands still.
pub struct Run {
    pub coordinator: Coordinator,
    pub clock: ManualClock,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), RunError>>,
}

impl Run {
    /// Starts a coordinator with what `add` adds to it.
    pub fn start(fake: &Fake, add: impl FnOnce(&Coordinator)) -> Self {
        Self::start_with(Coordinator::builder(fake.client()), add)
    }

    pub fn start_with(builder: Builder, add: impl FnOnce(&Coordinator)) -> Self {
        let clock = ManualClock::new(jiff::Timestamp::from_second(1_000_000).unwrap());
        let coordinator = builder.clock(clock.clone()).seed(7).build();
        add(&coordinator);
        let shutdown = CancellationToken::new();
        let (running, token) = (coordinator.clone(), shutdown.clone());
        let task = tokio::spawn(async move { running.run(token).await });
        Self { coordinator, clock, shutdown, task }
    }

    pub async fn idle(&self) {
        within("the coordinator to be idle", self.coordinator.idle()).await;
    }

    /// Completes when the status of an observer is as wished.
    pub async fn until(&self, what: &str, observer: &str, wished: impl Fn(&ObserverStatus) -> bool) {
        within(what, async {
            while !wished(&self.status(observer)) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    pub fn status(&self, observer: &str) -> ObserverStatus {
        let status = self.coordinator.status();
        status.observers.into_iter().find(|status| status.name == observer).unwrap()
    }

    /// Ends it, which must not take long.
    pub async fn stop(self) {
        self.shutdown.cancel();
        within("the end", self.task).await.unwrap().unwrap();
    }
}

/// An observer whose plan is a function.
pub struct Planner<F>(pub ObserverSpec, pub F);

impl<F> Observer for Planner<F>
where
    F: Fn(&Key, &View) -> Result<Plan, BoxError> + Send + Sync + 'static,
{
    fn spec(&self) -> ObserverSpec {
        self.0.clone()
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        self.1(key, view)
    }
}

/// Fails the test if something never happens. No test that passes waits for this.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(Duration::from_secs(10), future).await;
    result.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}
