//! The world of one case: a server, its user, and the process of the observers, on simulated time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Client, Error};
use serde_json::{Value, json};
use serde_saphyr::Spanned;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::journal::{Journal, Lookout, Moment, Requests};
use super::super::play::attempt;
use super::super::points::Points;
use super::super::{Misbehaviour, RuntimeClock, START, Server, invariants};
use super::Settings;
use super::expected::differences;
use super::file::{Mistake, Turn};
use super::kinds::{Kinds, NAMESPACE, Served, get};
use super::refusing::Refusals;
use super::told::{Told, short};
use crate::probe::Probe;
use crate::{Clock, Coordinator, Key, RunError, Write};

/// Who makes the changes.
const USER: &str = "user";
/// Whose the observers' requests are.
const OBSERVERS: &str = "observers";
/// The seed of all chance.
const SEED: u64 = 0;
/// How long the observers may take to come to rest.
const REST_MAX: Duration = Duration::from_mins(10);
/// How long a definition may take until its kind is served, and when that is looked for.
const DEFINITION_MAX: Duration = Duration::from_mins(1);
const DEFINITION_LOOK: Duration = Duration::from_millis(100);

/// The world of a case.
pub(super) struct World<'a> {
    settings: &'a Settings<'a>,
    server: Arc<dyn Server>,
    user: Client,
    clock: RuntimeClock,
    journal: Arc<Journal>,
    told: Told,
    refusals: Refusals,
    kinds: Kinds,
    process: Option<Process>,
    /// What the user has put there.
    pub(super) put: BTreeSet<Key>,
    violations_told: usize,
}

/// A coordinator at work.
struct Process {
    coordinator: Coordinator,
    stop: CancellationToken,
    task: JoinHandle<Result<(), RunError>>,
}

/// What came of a turn.
pub(super) struct Came {
    /// What the observers did.
    pub(super) does: Vec<String>,
    /// What was woken or served.
    pub(super) touched: BTreeSet<(String, Key)>,
    /// What is not as it should be, beside what they did.
    pub(super) reasons: Vec<String>,
}

impl<'a> World<'a> {
    /// A new one; within a runtime whose time is simulated.
    pub(super) fn new(settings: &'a Settings<'a>) -> Self {
        let clock = RuntimeClock::new(START);
        let server = (settings.server)(SEED);
        server.misbehave(Misbehaviour::None, &[]);
        let told = Told::new(settings.tellers.clone());
        let rules = vec![told.listener(), invariants::reads_own_writes(), invariants::serves_one_at_a_time()];
        let journal = Arc::new(Journal::new(clock, rules, Points::default(), false));
        let user = server.client(USER, Requests::new(USER, &journal));
        Self {
            settings,
            kinds: Kinds::new(user.clone()),
            server,
            user,
            clock,
            journal,
            told,
            refusals: Refusals::default(),
            process: None,
            put: BTreeSet::new(),
            violations_told: 0,
        }
    }

    /// The coordinator, while there is one.
    pub(super) fn coordinator(&self) -> Option<&Coordinator> {
        self.process.as_ref().map(|process| &process.coordinator)
    }

    /// Starts the observers.
    pub(super) fn start(&mut self) -> Result<(), String> {
        let client = self.server.client(OBSERVERS, Requests::new(OBSERVERS, &self.journal));
        let lookout = Lookout {
            replica: OBSERVERS.to_owned(),
            journal: Arc::clone(&self.journal),
            clock: Arc::new(self.clock),
        };
        let coordinator = Coordinator::builder(self.refusals.through(client))
            .clock(self.clock)
            .seed(SEED)
            .probe(Probe::new(Arc::new(lookout)))
            .build();
        (self.settings.observe)(&coordinator).map_err(|error| error.to_string())?;
        self.told.of_several(coordinator.specs().len() > 1);
        self.journal.see(OBSERVERS, Moment::Started);
        let stop = CancellationToken::new();
        let (running, token) = (coordinator.clone(), stop.clone());
        let task = tokio::spawn(async move { running.run(token).await });
        self.process = Some(Process { coordinator, stop, task });
        Ok(())
    }

    /// Stops the observers, if they run.
    pub(super) async fn stop(&mut self) {
        let Some(Process { coordinator, stop, task }) = self.process.take() else { return };
        stop.cancel();
        match task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.journal.violated(OBSERVERS, &error.to_string()),
            Err(error) => self.journal.violated(OBSERVERS, &error.to_string()),
        }
        self.journal.see(OBSERVERS, Moment::Stopped);
        // Observers may know their coordinator: nothing of it is to stay.
        for spec in coordinator.specs() {
            coordinator.remove(&spec.name);
        }
    }

    /// Puts complete objects there.
    pub(super) async fn apply(&mut self, objects: &[Spanned<Value>]) -> Result<(), Mistake> {
        for object in objects {
            let applied = self.apply_one(&object.value).await;
            applied.map_err(|message| Mistake::at(object.referenced, message))?;
        }
        Ok(())
    }

    /// Puts there what all cases are given.
    pub(super) async fn give(&mut self) -> Result<(), Mistake> {
        for object in &self.settings.given {
            let applied = self.apply_one(object).await;
            applied.map_err(|message| Mistake::of_all(format!("what all cases are given: {message}")))?;
        }
        Ok(())
    }

    async fn apply_one(&mut self, object: &Value) -> Result<(), String> {
        let (served, key) = self.kinds.of_object(object).await?;
        self.ensure_namespace(&key).await?;
        let write = |key: Key, fields| Write::apply_value(key, fields).force();
        self.write(&served, &key, object.clone(), write).await?;
        self.defined(object).await
    }

    /// Lets happen what a turn says.
    pub(super) async fn happen(&mut self, turn: &Turn) -> Result<(), Mistake> {
        if turn.restarts {
            self.stop().await;
        }
        for (location, line, refusal) in turn.refusals()? {
            let expected = self.refusals.expect(&line, refusal, &mut self.kinds).await;
            expected.map_err(|message| Mistake::at(location, message))?;
        }
        let after = turn.after()?;
        if !after.is_zero() {
            self.clock.sleep(after).await;
            // That they do not come to rest is said in the end.
            let _ = self.rest().await;
        }
        self.apply(&turn.apply).await?;
        for object in &turn.change {
            let place = |message: String| Mistake::at(object.referenced, message);
            let (served, key) = self.kinds.of_object(&object.value).await.map_err(place)?;
            let mut fields = object.value.clone();
            if let Value::Object(map) = &mut fields {
                map.retain(|field, _| !matches!(field.as_str(), "apiVersion" | "kind"));
            }
            self.write(&served, &key, fields, Write::merge).await.map_err(place)?;
            self.defined(&object.value).await.map_err(place)?;
        }
        for text in &turn.delete {
            let place = |message: String| Mistake::at(text.referenced, message);
            let (_, key, _) = self.kinds.named(&text.value).await.map_err(place)?;
            self.attempt(&Write::delete(key)).await.map_err(place)?;
        }
        if turn.restarts {
            self.start().map_err(Mistake::of_all)?;
        }
        Ok(())
    }

    /// What has come of a turn, when the observers have come to rest.
    pub(super) async fn came(&mut self, turn: &Turn) -> Result<Came, Mistake> {
        let mut reasons = Vec::new();
        reasons.extend(self.rest().await.err());
        let (does, touched) = self.told.take();
        reasons
            .extend(self.refusals.take().into_iter().map(|line| format!("there was no `{line}` to refuse")));
        let violations = self.journal.violations();
        reasons.extend(violations.iter().skip(self.violations_told).cloned());
        self.violations_told = violations.len();
        for object in &turn.then {
            let place = |message: String| Mistake::at(object.referenced, message);
            let (_, key) = self.kinds.of_object(&object.value).await.map_err(place)?;
            let wrong = self.compare(&key, &object.value).await.map_err(place)?;
            let line = object.referenced.line();
            reasons.extend(wrong.into_iter().map(|wrong| format!("then, line {line}: {wrong}")));
        }
        for text in &turn.gone {
            let place = |message: String| Mistake::at(text.referenced, message);
            let (_, key, _) = self.kinds.named(&text.value).await.map_err(place)?;
            if self.read(&key).await.map_err(place)?.is_some() {
                reasons.push(format!(
                    "gone, line {}: {} is still there",
                    text.referenced.line(),
                    short(&key)
                ));
            }
        }
        Ok(Came { does, touched, reasons })
    }

    /// Completes when the observers have done all that there is to do now.
    async fn rest(&self) -> Result<(), String> {
        let Some(Process { coordinator, .. }) = &self.process else { return Ok(()) };
        tokio::select! {
            biased;
            () = self.told.endless() => Err("it comes to no end: it is woken by what it does, again and again".to_owned()),
            () = coordinator.idle() => Ok(()),
            () = self.clock.sleep(REST_MAX) => Err(format!("it is not at rest after {REST_MAX:?}")),
        }
    }

    async fn compare(&self, key: &Key, expected: &Value) -> Result<Vec<String>, String> {
        let mut expected = expected.clone();
        if let Value::Object(fields) = &mut expected {
            fields.retain(|field, _| !matches!(field.as_str(), "apiVersion" | "kind"));
        }
        if !key.name().is_empty() {
            return Ok(match self.read(key).await? {
                Some(found) => {
                    let differences = differences(&expected, &found).into_iter();
                    differences.map(|difference| format!("{} {difference}", short(key))).collect()
                }
                None => vec![format!("there is no {}", short(key))],
            });
        }
        // One that the server has named.
        let list: Option<Value> = get(&self.user, &key.kind().url(key.namespace())).await?;
        let items = list.as_ref().and_then(|list| list["items"].as_array()).into_iter().flatten();
        let fits = items.map(|item| differences(&expected, item)).min_by_key(Vec::len);
        let kind = key.kind().name();
        Ok(match fits {
            None => vec![format!("there is no {kind}")],
            Some(differences) if differences.is_empty() => Vec::new(),
            Some(differences) => {
                vec![format!("there is no such {kind}; the nearest: {}", differences.join("; "))]
            }
        })
    }

    async fn read(&self, key: &Key) -> Result<Option<Value>, String> {
        get(&self.user, &format!("{}/{}", key.kind().url(key.namespace()), key.name())).await
    }

    /// Writes an object, and its status apart where that is how its kind has it.
    async fn write(
        &mut self,
        served: &Served,
        key: &Key,
        mut fields: Value,
        write: impl Fn(Key, Value) -> Write,
    ) -> Result<(), String> {
        if key.name().is_empty() {
            return Err("this object has no name: say `metadata: {name: …}`".to_owned());
        }
        let status =
            fields.as_object_mut().filter(|_| served.has_status).and_then(|map| map.remove("status"));
        self.attempt(&write(key.clone(), fields)).await?;
        if let Some(status) = status {
            self.attempt(&write(key.clone(), json!({"status": status})).on("status")).await?;
        }
        self.put.insert(key.clone());
        Ok(())
    }

    async fn attempt(&self, write: &Write) -> Result<(), String> {
        attempt(&self.user, write).await.map_err(|error| match error {
            Error::Api(status) => format!("the server refuses it: {}", status.message),
            error => format!("{write}: {error}"),
        })
    }

    async fn ensure_namespace(&self, key: &Key) -> Result<(), String> {
        let Some(namespace) = key.namespace().filter(|namespace| *namespace != NAMESPACE) else {
            return Ok(());
        };
        let key = Key::new::<Namespace>(None, namespace);
        if self.read(&key).await?.is_none() {
            self.attempt(&Write::apply_value(key, json!({})).force()).await?;
        }
        Ok(())
    }

    /// Waits for the kinds that a definition defines.
    async fn defined(&mut self, object: &Value) -> Result<(), String> {
        if object["kind"] != "CustomResourceDefinition" {
            return Ok(());
        }
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (group, kind) = (text("/spec/group"), text("/spec/names/kind"));
        let versions = object.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
        for version in versions.filter(|version| version["served"] == true) {
            let api_version = format!("{group}/{}", version["name"].as_str().unwrap_or_default());
            let mut waited = Duration::ZERO;
            while !self.kinds.has(&api_version, kind).await? {
                if waited >= DEFINITION_MAX {
                    return Err(format!(
                        "the server does not serve {kind} of {api_version}: is its definition right?"
                    ));
                }
                self.clock.sleep(DEFINITION_LOOK).await;
                waited += DEFINITION_LOOK;
            }
        }
        Ok(())
    }
}
