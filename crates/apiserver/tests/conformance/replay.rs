//! One scenario against a cluster of its own.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use jiff::Timestamp;
use serde_json::{Value, json};
use xebec_apiserver::{
    Cluster,
    access::{
        User,
        authentication::{Authentication, ClientCertificate},
        token_file::TokenFile,
    },
    clock::Clock,
    cluster::ISSUER,
    http::{Body, Peer},
};

use crate::{bodies, mask};

/// The users of the recordings.
const TOKENS: &str =
    "admintoken,admin,1,system:masters\nbobtoken,bob,2,devs\ncaroltoken,carol,3,\"devs,ops\"\n";
/// How long a watch may take for the events that are expected of it.
const EVENTS_WITHIN: Duration = Duration::from_secs(5);
/// When scenarios begin. Their time passes where the recordings slept.
const START: Timestamp = Timestamp::constant(1_767_225_600, 0);

struct Session {
    cluster: Cluster,
    names: BTreeMap<String, String>,
    watches: HashMap<String, Watch>,
}

struct Watch {
    status: u16,
    body: Body,
    rest: Vec<u8>,
    events: Vec<Value>,
    ended: bool,
}

/// Runs a scenario. Gives each step's name and, where the answer differs, how.
pub async fn run(file: &str, scenario: &Value, bodies: &bodies::Scenario) -> Vec<(String, Option<String>)> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let scenario_name = scenario["name"].as_str().unwrap();
    let audiences = [ISSUER.to_owned()];
    let tokens = TokenFile::parse(TOKENS, &audiences).unwrap();
    let cluster = Cluster::with_clock(Clock::still(START)).with_authentication(Authentication {
        tokens: vec![Box::new(tokens)],
        allows_anonymous: true,
        audiences: audiences.to_vec(),
    });
    let names = [("id", format!("x{number}q")), ("ns", format!("rec-{number}q"))];
    let names = names.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let mut session = Session { cluster, names, watches: HashMap::new() };
    if scenario["namespace"] != false {
        let body =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": session.names["ns"]}});
        session.send("POST", "/api/v1/namespaces", &Value::Null, Some(body.to_string()), &Value::Null).await;
    }
    let mut compared = Vec::new();
    for (position, step) in scenario["steps"].as_array().unwrap().iter().enumerate() {
        let answer = session.step(step, bodies.body(position)).await;
        let (Some(mut answer), Some(want)) = (answer, step.get("answer")) else { continue };
        for path in step["ignore"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            drop_path(&mut answer, path);
        }
        let place = format!("{file} {scenario_name} {}", position + 1);
        let (want, got) = (mask::value(want), mask::value(&answer));
        compared.push((place, (want != got).then(|| difference(&want, &got))));
    }
    compared
}

impl Session {
    async fn step(&mut self, step: &Value, body: Option<&str>) -> Option<Value> {
        if let Some(name) = step["watch"].as_str() {
            let path = self.fill(step["path"].as_str().unwrap());
            let response = self.send("GET", &path, &step["headers"], None, &step["as"]).await;
            let (parts, body) = response.into_parts();
            let status = parts.status.as_u16();
            let watch = Watch { status, body, rest: Vec::new(), events: Vec::new(), ended: false };
            self.watches.insert(name.to_owned(), watch);
            return None;
        }
        if let Some(name) = step["collect"].as_str() {
            let wanted = step["answer"]["events"].as_array().map_or(0, Vec::len);
            let most = step["events"].as_u64().unwrap() as usize;
            let watch = self.watches.get_mut(name).unwrap();
            let mut events = watch.collect(wanted).await;
            events.truncate(most);
            return Some(json!({"events": mask::value(&self.unfill(&Value::Array(events)))}));
        }
        if let Some(seconds) = step["sleep"].as_f64() {
            // Clients read on while time passes.
            self.watches.values_mut().for_each(Watch::read_on);
            self.cluster.clock().advance(Duration::from_secs_f64(seconds));
            self.watches.values_mut().for_each(Watch::read_on);
            return None;
        }
        let method = step["method"].as_str()?;
        let path = self.fill(step["path"].as_str().unwrap());
        let body = match (body, step.get("raw")) {
            (Some(body), _) => Some(self.fill(body)),
            (None, Some(raw)) => Some(self.fill(raw.as_str().unwrap_or_default())),
            (None, None) => None,
        };
        let response = self.send(method, &path, &step["headers"], body, &step["as"]).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let parsed: Value = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        for (name, path) in step["save"].as_object().into_iter().flatten() {
            let value = lookup(&parsed, path.as_str().unwrap());
            let text = value.map_or_else(
                || format!("missing-{name}"),
                |v| v.as_str().map_or(v.to_string(), str::to_owned),
            );
            self.names.insert(name.clone(), text);
        }
        let media_type =
            parts.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = media_type.replace(' ', "");
        let warnings: Vec<Value> =
            parts.headers.get_all("warning").iter().map(|value| value.to_str().unwrap().into()).collect();
        Some(json!({
            "status": parts.status.as_u16(),
            "type": media_type.split(';').next().unwrap_or_default(),
            "warnings": self.unfill(&Value::Array(warnings)),
            "body": mask::value(&self.unfill(&parsed)),
        }))
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &Value,
        body: Option<String>,
        user: &Value,
    ) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(path);
        let mut own: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in headers.as_object().into_iter().flatten() {
            own.insert(name.to_ascii_lowercase(), self.fill(value.as_str().unwrap()));
        }
        own.entry("host".into()).or_insert_with(|| "localhost:6443".into());
        own.entry("accept".into()).or_insert_with(|| "application/json".into());
        if body.is_some() {
            own.entry("content-type".into()).or_insert_with(|| "application/json".into());
        }
        let peer = match user.as_str() {
            Some("anonymous") => Peer::Connection(ClientCertificate::Absent),
            Some(token) => {
                own.entry("authorization".into()).or_insert_with(|| format!("Bearer {token}"));
                Peer::Connection(ClientCertificate::Absent)
            }
            None if own.contains_key("authorization") => Peer::Connection(ClientCertificate::Absent),
            None => {
                let admin = User {
                    name: "admin".into(),
                    uid: "1".into(),
                    groups: vec!["system:masters".into()],
                    ..User::default()
                };
                Peer::User(Arc::new(admin.authenticated()))
            }
        };
        for (name, value) in own {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(body.unwrap_or_default()))).unwrap();
        self.cluster.handle(request, peer).await
    }

    /// Puts names in their places: `{ns}`, `{id}` and what was saved.
    fn fill(&self, text: &str) -> String {
        self.names
            .iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    fn unfill(&self, value: &Value) -> Value {
        let text = ["ns", "id"]
            .iter()
            .fold(value.to_string(), |text, name| text.replace(&self.names[*name], &format!("{{{name}}}")));
        serde_json::from_str(&text).unwrap()
    }
}

impl Watch {
    /// The events so far, once there are `wanted`; more if more are there already.
    async fn collect(&mut self, wanted: usize) -> Vec<Value> {
        if self.status != 200 {
            let bytes = (&mut self.body).collect().await.unwrap().to_bytes();
            if self.events.is_empty() {
                let body: Value = serde_json::from_slice(&bytes).unwrap();
                self.events.push(json!({"status": self.status, "body": body}));
            }
            return self.events.clone();
        }
        let _ = tokio::time::timeout(EVENTS_WITHIN, async {
            while self.events.len() < wanted && self.read().await {}
        })
        .await;
        // Nothing that is not expected may be there.
        self.read_on();
        self.events.clone()
    }

    /// Reads what is there already.
    fn read_on(&mut self) {
        if self.status == 200 {
            while !self.ended && futures::FutureExt::now_or_never(self.read()) == Some(true) {}
        }
    }

    async fn read(&mut self) -> bool {
        let Some(Ok(frame)) = self.body.frame().await else {
            self.ended = true;
            return false;
        };
        self.rest.extend_from_slice(&frame.into_data().unwrap_or_default());
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            if !line.trim_ascii().is_empty() {
                self.events.push(serde_json::from_slice(&line).unwrap());
            }
        }
        true
    }
}

fn lookup<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, part| match value {
        Value::Array(list) => list.get(part.parse::<usize>().ok()?),
        value => value.get(part),
    })
}

fn drop_path(value: &mut Value, path: &str) {
    let (head, last) = path.rsplit_once('.').map_or((None, path), |(head, last)| (Some(head), last));
    let mut parent = Some(value);
    for part in head.into_iter().flat_map(|head| head.split('.')) {
        parent = parent.and_then(|value| match value {
            Value::Array(list) => list.get_mut(part.parse::<usize>().ok()?),
            value => value.get_mut(part),
        });
    }
    match parent {
        Some(Value::Object(map)) => drop(map.remove(last)),
        Some(Value::Array(list)) => {
            if let Some(index) = last.parse::<usize>().ok().filter(|index| *index < list.len()) {
                list.remove(index);
            }
        }
        _ => {}
    }
}

/// The lines of either that the other does not have.
fn difference(want: &Value, got: &Value) -> String {
    const LINES_MAX: usize = 24;
    let lines = |value: &Value| -> Vec<String> {
        serde_json::to_string_pretty(value).unwrap().lines().map(str::to_owned).collect()
    };
    let (want, got) = (lines(want), lines(got));
    let only = |of: &[String], other: &[String], sign: char| -> Vec<String> {
        of.iter().filter(|line| !other.contains(line)).map(|line| format!("  {sign}{line}")).collect()
    };
    let mut all = only(&want, &got, '-');
    all.extend(only(&got, &want, '+'));
    all.truncate(LINES_MAX);
    all.join("\n")
}
