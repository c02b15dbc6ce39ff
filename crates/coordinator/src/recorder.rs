//! Writing Kubernetes Events: what [`Aggregation`] decides, as `events.k8s.io/v1`, or as `v1` where that is refused.

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event as CoreEvent;
use k8s_openapi::api::events::v1::Event as KubernetesEvent;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::Notify;

use crate::aggregation::{Aggregation, Decision, Update, cut};
use crate::leadership::{Permit, Serving};
use crate::names::is_subdomain;
use crate::runtime::Runtime;
use crate::{BoxError, EventRecord, Key, Kind, Write, WriteError};

/// As the API server has it for reasons, actions and instances.
const WORD_BYTES_MAX: usize = 128;

/// Remembers which Events were recorded lately, and which API takes them.
pub(crate) struct Recorder {
    instance: String,
    aggregation: Mutex<Aggregation>,
    /// There may be a series to write later.
    counted: Notify,
    /// Events go to the core API, because the other refused one that it took.
    core: AtomicBool,
}

impl Recorder {
    pub(crate) fn new(instance: &str) -> Self {
        Self {
            instance: cut(instance, WORD_BYTES_MAX).to_owned(),
            aggregation: Mutex::default(),
            counted: Notify::new(),
            core: AtomicBool::new(false),
        }
    }

    /// How this process is called.
    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }
}

impl Runtime {
    /// Records an Event as `component`. A failure is logged, nothing else: Events are best effort.
    pub(crate) async fn record(&self, record: &EventRecord, component: &str, permit: &Permit) {
        if let Err(error) = self.try_record(record, component, permit).await {
            tracing::warn!(component, reason = record.reason, %error, "cannot record an event");
        }
    }

    /// Writes the counts of series when they are due, for ever.
    pub(crate) async fn write_series(&self) {
        loop {
            let due = self.recorder.aggregation.lock().next_due();
            let timer = async {
                match due {
                    Some(due) => self.clock.sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.recorder.counted.notified() => continue,
                () = timer => {}
            }
            let due = self.recorder.aggregation.lock().take_due(self.clock.now());
            for update in due {
                if let Err(error) = self.update(&update).await {
                    tracing::warn!(event = %update.key, %error, "cannot count an event");
                }
            }
        }
    }

    async fn try_record(
        &self,
        record: &EventRecord,
        component: &str,
        permit: &Permit,
    ) -> Result<(), BoxError> {
        loop {
            let now = self.clock.now();
            let (identity, decision) = self.recorder.aggregation.lock().take(record, component, now);
            match decision {
                // It has expired meanwhile: a new one.
                Decision::Update(update) if !self.update(&update).await? => {}
                Decision::Update(_) => return Ok(()),
                Decision::Later => {
                    self.recorder.counted.notify_one();
                    return Ok(());
                }
                Decision::Drop => {
                    tracing::debug!(component, reason = record.reason, "too many events about an object");
                    return Ok(());
                }
                Decision::Create(note) => {
                    let event = self.kubernetes_event(record, note, component, now);
                    let created = self.create(&event, component, permit).await;
                    let key = created.as_ref().ok().cloned();
                    self.recorder.aggregation.lock().created(&identity, key);
                    self.recorder.counted.notify_one();
                    return created.map(drop);
                }
            }
        }
    }

    /// Writes the count of a series; whether its Event is still there. No lease is asked for: an Event is counted by the
    /// process that has made it, and by no other.
    async fn update(&self, update: &Update) -> Result<bool, WriteError> {
        let series = json!({"count": update.count, "lastObservedTime": MicroTime(update.last)});
        let write = Write::merge(update.key.clone(), json!({ "series": series }));
        match self.write(&write, &update.component, &Serving::unlimited().permit).await {
            Ok(_) => Ok(true),
            Err(error) if error.status().is_some_and(|status| status.code == 404) => {
                self.recorder.aggregation.lock().gone(&update.key);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Creates an Event by the API that took the last, or else by the other: rights to one are no rights to the other,
    /// and a server need not have both.
    async fn create(
        &self,
        event: &KubernetesEvent,
        component: &str,
        permit: &Permit,
    ) -> Result<Key, BoxError> {
        let prefers_core = self.recorder.core.load(Ordering::Relaxed);
        let mut refused = None;
        for core in [prefers_core, !prefers_core] {
            let write = if core { core_event(event) } else { Write::create(event)? };
            let key = write.target.clone();
            match self.write(&write, component, permit).await {
                Ok(_) => {
                    self.recorder.core.store(core, Ordering::Relaxed);
                    return Ok(key);
                }
                Err(error) if error.status().is_some_and(|status| matches!(status.code, 403 | 404)) => {
                    refused.get_or_insert(error);
                }
                Err(error) => return Err(error.into()),
            }
        }
        refused.map_or(Err("no API takes events".into()), |error| Err(error.into()))
    }

    fn kubernetes_event(
        &self,
        record: &EventRecord,
        note: String,
        component: &str,
        now: Timestamp,
    ) -> KubernetesEvent {
        let regarding = record.regarding.clone();
        let action = if record.action.is_empty() { &record.reason } else { &record.action };
        KubernetesEvent {
            metadata: ObjectMeta {
                name: Some(self.event_name(regarding.name.as_deref().unwrap_or_default())),
                namespace: Some(regarding.namespace.clone().unwrap_or_else(|| "default".to_owned())),
                ..ObjectMeta::default()
            },
            action: Some(cut(action, WORD_BYTES_MAX).to_owned()),
            event_time: Some(MicroTime(now)),
            note: Some(note),
            reason: Some(cut(&record.reason, WORD_BYTES_MAX).to_owned()),
            regarding: Some(regarding),
            related: record.related.clone(),
            reporting_controller: Some(component.to_owned()),
            reporting_instance: Some(self.recorder.instance.clone()),
            type_: Some(record.severity.as_str().to_owned()),
            ..KubernetesEvent::default()
        }
    }

    /// `<object>.<hex>`; where that is no name for an Event (some objects may have longer and stranger ones), a random one.
    fn event_name(&self, subject: &str) -> String {
        let name = format!("{subject}.{:x}", self.random.number());
        if is_subdomain(&name) {
            return name;
        }
        let bytes = u128::from(self.random.number()) << 64 | u128::from(self.random.number());
        uuid::Builder::from_random_bytes(bytes.to_be_bytes()).into_uuid().to_string()
    }
}

/// The creation of the same as an Event of the core API.
fn core_event(event: &KubernetesEvent) -> Write {
    let body = json!({
        "metadata": event.metadata,
        "involvedObject": event.regarding,
        "related": event.related,
        "type": event.type_,
        "reason": event.reason,
        "action": event.action,
        "message": event.note,
        "eventTime": event.event_time,
        "reportingComponent": event.reporting_controller,
        "reportingInstance": event.reporting_instance,
        "source": {"component": event.reporting_controller},
    });
    Write::create_value(Kind::of::<CoreEvent>(), body)
}
