//! What observers did, a line each. What serving one key did stays together, however many are served at the same time.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::super::normal::Names;
use super::super::{Invariant, Moment, Seen};
use crate::write::{Operation, Patch};
use crate::{Emission, Key, Object, Write, WriteError};

/// How many keys may be served between two steps: more has no end.
const TURNS_MAX: usize = 1000;

/// Says an emitted event of one type as a line.
pub(super) type Teller = fn(&Emission) -> Option<String>;

/// What observers did, and where it is told.
#[derive(Clone)]
pub(super) struct Told(Arc<Shared>);

struct Shared {
    tellers: Vec<Teller>,
    inner: Mutex<Inner>,
    /// Notified when it has no end.
    endless: Notify,
}

#[derive(Default)]
struct Inner {
    /// Whether lines say who.
    several: bool,
    turns: Vec<Serving>,
    served: usize,
    /// What was woken or served.
    touched: BTreeSet<(String, Key)>,
    names: Names,
}

/// A key is served, or a callback is told of an emitted event.
struct Serving {
    observer: String,
    key: Option<Key>,
    open: bool,
    lines: Vec<String>,
    /// Whether the last line says what failed.
    failed: bool,
}

impl Told {
    pub(super) fn new(tellers: Vec<Teller>) -> Self {
        Self(Arc::new(Shared { tellers, inner: Mutex::default(), endless: Notify::new() }))
    }

    /// Whether there are several observers, so that lines must say who.
    pub(super) fn of_several(&self, several: bool) {
        self.0.inner.lock().several = several;
    }

    /// What a journal is to tell everything to.
    pub(super) fn listener(&self) -> Invariant {
        let told = self.clone();
        Box::new(move |seen| {
            told.hear(seen);
            Ok(())
        })
    }

    /// Completes when observers go on and on.
    pub(super) async fn endless(&self) {
        self.0.endless.notified().await;
    }

    /// All lines since this was asked last, and which keys were woken or served.
    pub(super) fn take(&self) -> (Vec<String>, BTreeSet<(String, Key)>) {
        let mut inner = self.0.inner.lock();
        let several = inner.several;
        let mut lines = Vec::new();
        for turn in std::mem::take(&mut inner.turns) {
            let who = if several { format!("{}: ", turn.observer) } else { String::new() };
            lines.extend(turn.lines.into_iter().map(|mut line| {
                inner.names.replace(&mut line);
                who.clone() + &line
            }));
        }
        inner.served = 0;
        (lines, std::mem::take(&mut inner.touched))
    }

    fn hear(&self, seen: &Seen<'_>) {
        let mut inner = self.0.inner.lock();
        match &seen.moment {
            Moment::Stopped => inner.turns.iter_mut().for_each(|turn| turn.open = false),
            Moment::Woke { observer, keys, .. } => {
                inner.touched.extend(keys.iter().map(|key| ((*observer).to_owned(), key.clone())));
            }
            Moment::Serving { observer, key, .. } => {
                inner.touched.insert(((*observer).to_owned(), (*key).clone()));
                inner.begin(observer, Some(key));
                inner.served += 1;
                if inner.served == TURNS_MAX {
                    self.0.endless.notify_one();
                }
            }
            Moment::Served { observer, key, error, .. } => {
                let turn = inner.turn(observer, Some(key));
                turn.open = false;
                if let Some(error) = error.as_ref().filter(|_| !turn.failed) {
                    turn.lines.push(format!("fails {}: {error}", short(key)));
                }
            }
            Moment::Wrote { observer, key, write, answer } => {
                if let Ok(Some(object)) = answer {
                    inner.learn(object);
                }
                // What a write that is refused would have made has no answer to learn its name from.
                if let Operation::Create(body) = &write.operation {
                    inner.names.learn(body);
                }
                let turn = inner.turn(observer, *key);
                turn.failed |= answer.is_err();
                turn.lines.push(written(write, *answer));
            }
            Moment::Recorded { observer, key, record } => {
                let line = record.to_string();
                inner.turn(observer, *key).lines.push(line);
            }
            Moment::Emitted { observer, key, emission } => {
                let line = emitted(emission, &self.0.tellers);
                inner.turn(observer, *key).lines.push(line);
            }
            _ => {}
        }
    }
}

impl Inner {
    fn begin(&mut self, observer: &str, key: Option<&Key>) -> usize {
        let turn = Serving {
            observer: observer.to_owned(),
            key: key.cloned(),
            open: key.is_some(),
            lines: Vec::new(),
            failed: false,
        };
        self.turns.push(turn);
        self.turns.len() - 1
    }

    /// What is being done about a key.
    fn turn(&mut self, observer: &str, key: Option<&Key>) -> &mut Serving {
        let found = self
            .turns
            .iter()
            .rposition(|turn| turn.open && turn.observer == observer && turn.key.as_ref() == key);
        let position = found.unwrap_or_else(|| self.begin(observer, key));
        &mut self.turns[position]
    }

    /// Remembers a name that the server has made.
    fn learn(&mut self, object: &Object) {
        if let Ok(object) = object.to_value() {
            self.names.learn(&object);
        }
    }
}

/// `Kind namespace/name`.
pub(super) fn short(key: &Key) -> String {
    match key.namespace() {
        Some(namespace) => format!("{} {namespace}/{}", key.kind().name(), key.name()),
        None => format!("{} {}", key.kind().name(), key.name()),
    }
}

/// What a write does, as a line says it.
pub(super) fn verb(write: &Write) -> &'static str {
    match &write.operation {
        Operation::Patch(Patch::Apply { .. }) => "apply",
        _ => write.verb(),
    }
}

fn written(write: &Write, answer: Result<Option<&Object>, &WriteError>) -> String {
    let mut target = short(&write.target);
    if let (Operation::Create(body), "") = (&write.operation, write.target.name()) {
        match answer {
            Ok(Some(object)) => target.push_str(object.name()),
            _ => target = target + body["metadata"]["generateName"].as_str().unwrap_or_default() + "*",
        }
    }
    let subresource = write.subresource.map(|name| format!("/{name}")).unwrap_or_default();
    let what = format!("{} {target}{subresource}", verb(write));
    match answer {
        Ok(_) => what,
        Err(error) => match error.status() {
            Some(status) => format!("cannot {what}: {} {}", status.code, status.reason),
            None => format!("cannot {what}: {}", reason(error)),
        },
    }
}

/// The innermost reason.
fn reason(error: &WriteError) -> String {
    let mut source: &dyn std::error::Error = &*error.source;
    while let Some(inner) = source.source() {
        source = inner;
    }
    source.to_string()
}

fn emitted(emission: &Emission, tellers: &[Teller]) -> String {
    let name = emission.type_name().rsplit("::").next().unwrap_or_default();
    match tellers.iter().find_map(|teller| teller(emission)) {
        Some(text) => format!("emits {name}: {text}"),
        None => format!("emits {name}"),
    }
}
