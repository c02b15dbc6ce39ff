//! A small API server for tests: enough of lists, watches and writes to play any script against a coordinator.
//!
//! It stores what it is given, tells watches of it, and misbehaves on request: cuts watches, forgets versions, holds
//! back what watches are told, refuses kinds and writes. It has no rules of Kubernetes' own.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::channel::mpsc;
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use xebec_coordinator::{Builder, Coordinator, ManualClock, ObserverStatus, RunError};

pub const PODS: &str = "/api/v1/pods";
pub const CONFIG_MAPS: &str = "/api/v1/configmaps";

#[derive(Clone, Default)]
pub struct Fake(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    version: u64,
    /// By collection (`/api/v1/pods`), namespace and name.
    objects: BTreeMap<(String, String, String), Value>,
    log: Vec<Change>,
    /// Versions before this one are forgotten.
    forgotten: u64,
    /// What watches are told ends here while it is set.
    held_at: Option<u64>,
    /// Only watches of this collection are held back, if one is given.
    held_only: Option<String>,
    watchers: Vec<Watcher>,
    requests: Vec<Seen>,
    scripted: HashMap<(Method, String), VecDeque<Answer>>,
    refused: HashMap<String, u16>,
    count: watch::Sender<usize>,
}

struct Change {
    version: u64,
    collection: String,
    old: Option<Value>,
    new: Option<Value>,
    /// The object as told.
    last: Value,
}

struct Watcher {
    place: Place,
    labels: Option<String>,
    position: u64,
    metadata_only: bool,
    lines: mpsc::Sender<Result<Frame<Bytes>, Infallible>>,
}

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

    pub fn is_metadata(&self) -> bool {
        self.accept.contains("PartialObjectMetadata")
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Place {
    collection: String,
    namespace: String,
    name: String,
    subresource: String,
}

impl Place {
    fn parse(path: &str) -> Self {
        let mut parts: VecDeque<&str> = path.trim_matches('/').split('/').collect();
        let prefix = if parts[0] == "api" { 2 } else { 3 };
        let base: Vec<&str> = parts.drain(..prefix).collect();
        let mut place = Self::default();
        if parts.len() >= 3 && parts[0] == "namespaces" && !["status", "finalize"].contains(&parts[2]) {
            place.namespace = parts[1].to_owned();
            parts.drain(..2);
        }
        let mut next = || parts.pop_front().unwrap_or_default().to_owned();
        place.collection = format!("/{}/{}", base.join("/"), next());
        (place.name, place.subresource) = (next(), next());
        place
    }
}

type Reply = Response<BoxBody<Bytes, Infallible>>;

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

impl State {
    fn answer(&mut self, place: &Place, seen: &Seen) -> Reply {
        let stored = (place.collection.clone(), place.namespace.clone(), place.name.clone());
        match (&seen.method, place.name.is_empty()) {
            (&Method::GET, true) if seen.is_watch() => self.watch(place, seen),
            (&Method::GET, true) => self.list(place, seen),
            (&Method::GET, false) => match self.objects.get(&stored) {
                Some(object) => reply(200, object),
                None => status(404, "NotFound"),
            },
            (&Method::POST, false) => {
                let Some(mut object) = self.objects.get(&stored).cloned() else {
                    return status(404, "NotFound");
                };
                match place.subresource.as_str() {
                    "binding" => {
                        object["spec"]["nodeName"] = seen.body["target"]["name"].clone();
                        self.write(&place.collection, object);
                    }
                    _ => self.delete(&place.collection, &place.namespace, &place.name),
                }
                reply(201, &json!({"kind": "Status", "status": "Success"}))
            }
            (&Method::POST, true) => {
                let mut object = seen.body.clone();
                if object["metadata"]["name"].is_null() {
                    let prefix = object["metadata"]["generateName"].as_str().unwrap().to_owned();
                    object["metadata"]["name"] = format!("{prefix}{}", self.version).into();
                }
                let name = object["metadata"]["name"].as_str().unwrap().to_owned();
                if self.objects.contains_key(&(stored.0, stored.1, name)) {
                    return status(409, "AlreadyExists");
                }
                reply(201, &self.write(&place.collection, object))
            }
            (&Method::PUT, _) => match self.objects.get(&stored) {
                None => status(404, "NotFound"),
                Some(old)
                    if old["metadata"]["resourceVersion"] != seen.body["metadata"]["resourceVersion"] =>
                {
                    status(409, "Conflict")
                }
                Some(_) => reply(200, &self.write(&place.collection, seen.body.clone())),
            },
            (&Method::PATCH, _) => {
                let apply = seen.content_type.contains("apply-patch");
                let Some(mut object) = self.objects.get(&stored).cloned().or(apply.then(|| json!({}))) else {
                    return status(404, "NotFound");
                };
                merge(&mut object, &seen.body);
                object["metadata"]["name"] = place.name.clone().into();
                object["metadata"]["namespace"] = place.namespace.clone().into();
                reply(200, &self.write(&place.collection, object))
            }
            (&Method::DELETE, _) => match self.objects.get(&stored) {
                None => status(404, "NotFound"),
                Some(old)
                    if !seen.body["preconditions"]["uid"].is_null()
                        && seen.body["preconditions"]["uid"] != old["metadata"]["uid"] =>
                {
                    status(409, "Conflict")
                }
                Some(_) => {
                    self.delete(&place.collection, &place.namespace, &place.name);
                    reply(200, &json!({"kind": "Status", "status": "Success"}))
                }
            },
            _ => status(405, "MethodNotAllowed"),
        }
    }

    fn list(&self, place: &Place, seen: &Seen) -> Reply {
        let query: HashMap<&str, &str> =
            seen.query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let labels = query.get("labelSelector").map(|labels| labels.replace("%3D", "="));
        let from: usize = query.get("continue").map_or(0, |token| token.parse().unwrap());
        let limit: usize = query.get("limit").map_or(usize::MAX, |limit| limit.parse().unwrap());
        let all: Vec<&Value> = self
            .objects
            .iter()
            .filter(|((collection, namespace, _), _)| {
                *collection == place.collection
                    && (place.namespace.is_empty() || *namespace == place.namespace)
            })
            .map(|(_, object)| object)
            .filter(|object| selected(labels.as_deref(), object))
            .collect();
        let page: Vec<Value> = all
            .iter()
            .skip(from)
            .take(limit)
            .map(|object| {
                let mut item = (*object).clone();
                if seen.is_metadata() {
                    item = json!({"metadata": item["metadata"]});
                }
                let fields = item.as_object_mut().unwrap();
                (fields.remove("kind"), fields.remove("apiVersion")); // as a real one does
                item
            })
            .collect();
        let mut metadata = json!({"resourceVersion": self.version.to_string()});
        if from + page.len() < all.len() {
            metadata["continue"] = (from + page.len()).to_string().into();
        }
        reply(200, &json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": page}))
    }

    fn watch(&mut self, place: &Place, seen: &Seen) -> Reply {
        let query: HashMap<&str, &str> =
            seen.query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let position: u64 = query["resourceVersion"].parse().unwrap();
        if position < self.forgotten {
            return status(410, "Expired");
        }
        let (lines, body) = mpsc::channel(100_000);
        self.watchers.push(Watcher {
            place: place.clone(),
            labels: query.get("labelSelector").map(|labels| labels.replace("%3D", "=")),
            position,
            metadata_only: seen.is_metadata(),
            lines,
        });
        self.tell();
        Response::new(BoxBody::new(StreamBody::new(body.fuse())))
    }

    fn write(&mut self, collection: &str, mut object: Value) -> Value {
        self.version += 1;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
        if namespace.is_empty() {
            object["metadata"].as_object_mut().unwrap().remove("namespace");
        }
        let key = (collection.to_owned(), namespace, name);
        let old = self.objects.get(&key).cloned();
        let uid =
            old.as_ref().map_or(format!("uid-{}", self.version).into(), |old| old["metadata"]["uid"].clone());
        object["metadata"]["uid"] = uid;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.objects.insert(key, object.clone());
        let collection = collection.to_owned();
        let (version, new, last) = (self.version, Some(object.clone()), object.clone());
        self.log.push(Change { version, collection, old, new, last });
        self.tell();
        object
    }

    fn delete(&mut self, collection: &str, namespace: &str, name: &str) {
        self.version += 1;
        let key = (collection.to_owned(), namespace.to_owned(), name.to_owned());
        let old = self.objects.remove(&key).expect("there to be deleted");
        let mut last = old.clone();
        last["metadata"]["resourceVersion"] = self.version.to_string().into();
        let collection = collection.to_owned();
        self.log.push(Change { version: self.version, collection, old: Some(old), new: None, last });
        self.tell();
    }

    fn tell(&mut self) {
        let (held_at, held_only) = (self.held_at.unwrap_or(u64::MAX), self.held_only.clone());
        let log = &self.log;
        self.watchers.retain_mut(|watcher| {
            let position = watcher.position;
            let is_held = held_only.as_ref().is_none_or(|only| *only == watcher.place.collection);
            let end = if is_held { held_at } else { u64::MAX };
            for change in log.iter().filter(|change| change.version > position && change.version <= end) {
                watcher.position = change.version;
                if let Some(line) = watcher.line(change)
                    && watcher.lines.try_send(Ok(Frame::data(line))).is_err()
                {
                    return false;
                }
            }
            true
        });
    }
}

impl Watcher {
    fn line(&self, change: &Change) -> Option<Bytes> {
        let namespace = change.last["metadata"]["namespace"].as_str().unwrap_or_default();
        if change.collection != self.place.collection
            || (!self.place.namespace.is_empty() && namespace != self.place.namespace)
        {
            return None;
        }
        let is = |object: &Option<Value>| {
            object.as_ref().is_some_and(|object| selected(self.labels.as_deref(), object))
        };
        let kind = match (is(&change.old), is(&change.new)) {
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
            (false, false) => return None,
        };
        let mut object = change.last.clone();
        if self.metadata_only {
            object = json!({
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]
            });
        }
        Some(format!("{}\n", json!({"type": kind, "object": object})).into())
    }
}

fn selected(labels: Option<&str>, object: &Value) -> bool {
    labels
        .and_then(|labels| labels.split_once('='))
        .is_none_or(|(label, value)| object["metadata"]["labels"][label] == *value)
}

fn merge(object: &mut Value, patch: &Value) {
    match patch {
        Value::Object(fields) => {
            if !object.is_object() {
                *object = json!({});
            }
            for (name, value) in fields {
                if value.is_null() {
                    object.as_object_mut().unwrap().remove(name);
                } else {
                    merge(&mut object[name], value);
                }
            }
        }
        _ => *object = patch.clone(),
    }
}

fn reply(code: u16, body: &Value) -> Reply {
    let body = BoxBody::new(Full::new(Bytes::from(body.to_string())));
    Response::builder().status(code).body(body).unwrap()
}

fn status(code: u16, reason: &str) -> Reply {
    reply(code, &status_body(code, reason))
}

pub fn status_body(code: u16, reason: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": format!("{reason} by the script"),
    })
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

/// Fails the test if something never happens. No test that passes waits for this.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(10), future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}
