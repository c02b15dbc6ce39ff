//! The server's side of the fake: its objects, its log of changes, and its answers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::convert::Infallible;

use bytes::Bytes;
use futures::StreamExt;
use futures::channel::mpsc;
use http::{Method, Response};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{Full, StreamBody};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Answer, Seen};

#[derive(Default)]
pub(super) struct State {
    pub(super) version: u64,
    /// By collection (`/api/v1/pods`), namespace and name.
    pub(super) objects: BTreeMap<(String, String, String), Value>,
    pub(super) log: Vec<Change>,
    /// Versions before this one are forgotten.
    pub(super) forgotten: u64,
    /// What watches are told ends here while it is set.
    pub(super) held_at: Option<u64>,
    /// Only watches of this collection are held back, if one is given.
    pub(super) held_only: Option<String>,
    pub(super) watchers: Vec<Watcher>,
    /// Lists over watches are served.
    pub(super) watch_lists: bool,
    /// They have no bookmark at their end.
    pub(super) no_list_end: bool,
    pub(super) requests: Vec<Seen>,
    pub(super) scripted: HashMap<(Method, String), VecDeque<Answer>>,
    pub(super) refused: HashMap<String, u16>,
    pub(super) count: watch::Sender<usize>,
}

pub(super) struct Change {
    pub(super) version: u64,
    pub(super) collection: String,
    pub(super) old: Option<Value>,
    pub(super) new: Option<Value>,
    /// The object as told.
    pub(super) last: Value,
}

pub(super) struct Watcher {
    pub(super) place: Place,
    pub(super) labels: Option<String>,
    pub(super) position: u64,
    pub(super) metadata_only: bool,
    pub(super) lines: mpsc::Sender<Result<Frame<Bytes>, Infallible>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Place {
    pub(super) collection: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) subresource: String,
}

impl Place {
    pub(super) fn parse(path: &str) -> Self {
        let mut parts: VecDeque<&str> = path.trim_matches('/').split('/').collect();
        let prefix = if parts[0] == "api" { 2 } else { 3 };
        let base: Vec<&str> = parts.drain(..prefix).collect();
        let mut place = Self::default();
        if parts.len() >= 3 && parts[0] == "namespaces" && !["status", "finalize"].contains(&parts[2]) {
            parts[1].clone_into(&mut place.namespace);
            parts.drain(..2);
        }
        let mut next = || parts.pop_front().unwrap_or_default().to_owned();
        place.collection = format!("/{}/{}", base.join("/"), next());
        (place.name, place.subresource) = (next(), next());
        place
    }
}

pub(super) type Reply = Response<BoxBody<Bytes, Infallible>>;

impl State {
    pub(super) fn answer(&mut self, place: &Place, seen: &Seen) -> Reply {
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

    pub(super) fn list(&self, place: &Place, seen: &Seen) -> Reply {
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
                fields.retain(|name, _| name != "kind" && name != "apiVersion"); // as a real one does
                item
            })
            .collect();
        let mut metadata = json!({"resourceVersion": self.version.to_string()});
        if from + page.len() < all.len() {
            metadata["continue"] = (from + page.len()).to_string().into();
        }
        reply(200, &json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": page}))
    }

    pub(super) fn watch(&mut self, place: &Place, seen: &Seen) -> Reply {
        let query: HashMap<&str, &str> =
            seen.query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let position: u64 = match query["resourceVersion"] {
            "" => self.version,
            text => text.parse().unwrap(),
        };
        if position < self.forgotten {
            return status(410, "Expired");
        }
        let (lines, body) = mpsc::channel(100_000);
        let mut watcher = Watcher {
            place: place.clone(),
            labels: query.get("labelSelector").map(|labels| labels.replace("%3D", "=")),
            position,
            metadata_only: seen.is_metadata(),
            lines,
        };
        if seen.is_watch_list() {
            for ((collection, ..), object) in &self.objects {
                let (version, old, new) = (self.version, None, Some(object.clone()));
                let change =
                    Change { version, collection: collection.clone(), old, new, last: object.clone() };
                if let Some(line) = watcher.line(&change) {
                    watcher.lines.try_send(Ok(Frame::data(line))).unwrap();
                }
            }
            let mut bookmark = json!({"metadata": {"resourceVersion": self.version.to_string()}});
            bookmark["metadata"]["annotations"]["k8s.io/initial-events-end"] = "true".into();
            let line = format!("{}\n", json!({"type": "BOOKMARK", "object": bookmark}));
            if !self.no_list_end {
                watcher.lines.try_send(Ok(Frame::data(line.into()))).unwrap();
            }
        }
        self.watchers.push(watcher);
        self.tell();
        Response::new(BoxBody::new(StreamBody::new(body.fuse())))
    }

    pub(super) fn write(&mut self, collection: &str, mut object: Value) -> Value {
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

    pub(super) fn delete(&mut self, collection: &str, namespace: &str, name: &str) {
        let key = (collection.to_owned(), namespace.to_owned(), name.to_owned());
        // An observer on another thread may have been faster.
        let Some(old) = self.objects.remove(&key) else { return };
        self.version += 1;
        let mut last = old.clone();
        last["metadata"]["resourceVersion"] = self.version.to_string().into();
        let collection = collection.to_owned();
        self.log.push(Change { version: self.version, collection, old: Some(old), new: None, last });
        self.tell();
    }

    pub(super) fn tell(&mut self) {
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
    pub(super) fn line(&self, change: &Change) -> Option<Bytes> {
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

pub(super) fn selected(labels: Option<&str>, object: &Value) -> bool {
    labels
        .and_then(|labels| labels.split_once('='))
        .is_none_or(|(label, value)| object["metadata"]["labels"][label] == *value)
}

pub(super) fn merge(object: &mut Value, patch: &Value) {
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

pub(super) fn reply(code: u16, body: &Value) -> Reply {
    let body = BoxBody::new(Full::new(Bytes::from(body.to_string())));
    Response::builder().status(code).body(body).unwrap()
}

pub(super) fn status(code: u16, reason: &str) -> Reply {
    reply(code, &status_body(code, reason))
}

pub fn status_body(code: u16, reason: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": format!("{reason} by the script"),
    })
}
