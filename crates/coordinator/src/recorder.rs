//! Recording Kubernetes Events: the same again within six minutes is a series, not another Event.

use std::collections::{HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event as KubernetesEvent;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use parking_lot::Mutex;
use serde_json::json;

use crate::leadership::Permit;
use crate::runtime::Runtime;
use crate::{EventRecord, Key, Severity, Write};

/// As in client-go.
const SERIES_WITHIN: SignedDuration = SignedDuration::from_mins(6);
/// How many Events are remembered at most, the latest.
const REMEMBERED_MAX: usize = 4096;
const NOTE_BYTES_MAX: usize = 1024;

/// Remembers which Events were recorded lately.
pub(crate) struct Recorder {
    instance: String,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// Never iterated.
    series: HashMap<Identity, Series>,
    /// By age, to forget the oldest.
    order: VecDeque<Identity>,
}

/// What makes two records the same.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Identity {
    component: String,
    severity: Severity,
    reason: String,
    action: String,
    note: String,
    /// Kind, namespace, name, unique id and field of what it is about.
    regarding: [Option<String>; 5],
}

struct Series {
    key: Key,
    count: i32,
    last: Timestamp,
}

impl Recorder {
    pub(crate) fn new(instance: String) -> Self {
        Self { instance, memory: Mutex::default() }
    }

    /// How this process is called.
    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    /// The key and count of the series that this record continues, if there is one.
    fn continued(&self, identity: &Identity, now: Timestamp) -> Option<(Key, i32)> {
        let mut memory = self.memory.lock();
        let series = memory.series.get_mut(identity)?;
        if now.duration_since(series.last) >= SERIES_WITHIN {
            return None;
        }
        series.count += 1;
        series.last = now;
        Some((series.key.clone(), series.count))
    }

    fn remember(&self, identity: Identity, key: Key, now: Timestamp) {
        let mut memory = self.memory.lock();
        if memory.series.insert(identity.clone(), Series { key, count: 1, last: now }).is_none() {
            memory.order.push_back(identity);
        }
        if memory.order.len() > REMEMBERED_MAX
            && let Some(oldest) = memory.order.pop_front()
        {
            memory.series.remove(&oldest);
        }
    }
}

impl Runtime {
    /// Records an Event as `component`. A failure is logged, nothing else: Events are best effort.
    pub(crate) async fn record(&self, record: &EventRecord, component: &str, permit: &Permit) {
        if let Err(error) = self.try_record(record, component, permit).await {
            tracing::warn!(component, reason = record.reason, %error, "cannot record an event");
        }
    }

    async fn try_record(
        &self,
        record: &EventRecord,
        component: &str,
        permit: &Permit,
    ) -> Result<(), crate::BoxError> {
        let now = self.clock.now();
        let identity = identity(record, component);
        if let Some((key, count)) = self.recorder.continued(&identity, now) {
            let series = json!({"series": {"count": count, "lastObservedTime": MicroTime(now)}});
            match self.write(&Write::merge(key, series), component, permit).await {
                Ok(_) => return Ok(()),
                // It has expired meanwhile: a new one.
                Err(error) if error.status().is_some_and(|status| status.code == 404) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let event = self.kubernetes_event(record, component, now);
        self.recorder.remember(identity, Key::of(&event), now);
        self.write(&Write::create(&event)?, component, permit).await?;
        Ok(())
    }

    fn kubernetes_event(&self, record: &EventRecord, component: &str, now: Timestamp) -> KubernetesEvent {
        let regarding = record.regarding.clone();
        let subject: String = regarding.name.as_deref().unwrap_or("unknown").chars().take(200).collect();
        let mut note = record.note.clone();
        note.truncate(note.floor_char_boundary(NOTE_BYTES_MAX));
        KubernetesEvent {
            metadata: ObjectMeta {
                name: Some(format!("{subject}.{:016x}", self.random.number())),
                namespace: Some(regarding.namespace.clone().unwrap_or_else(|| "default".to_owned())),
                ..ObjectMeta::default()
            },
            action: Some(if record.action.is_empty() { &record.reason } else { &record.action }.clone()),
            event_time: Some(MicroTime(now)),
            note: Some(note),
            reason: Some(record.reason.clone()),
            regarding: Some(regarding),
            related: record.related.clone(),
            reporting_controller: Some(component.to_owned()),
            reporting_instance: Some(self.recorder.instance.clone()),
            type_: Some(record.severity.as_str().to_owned()),
            ..KubernetesEvent::default()
        }
    }
}

fn identity(record: &EventRecord, component: &str) -> Identity {
    let ObjectReference { kind, namespace, name, uid, field_path, .. } = record.regarding.clone();
    Identity {
        component: component.to_owned(),
        severity: record.severity,
        reason: record.reason.clone(),
        action: record.action.clone(),
        note: record.note.clone(),
        regarding: [kind, namespace, name, uid, field_path],
    }
}
