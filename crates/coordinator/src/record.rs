//! Kubernetes Events as plans state them.

use std::borrow::Cow;
use std::fmt;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;

use crate::{Object, ObserverSpec};

/// A Kubernetes Event (`events.k8s.io/v1`) to be recorded about an object.
///
/// Not to be confused with [`Event`](crate::Event), by which observers are told of changes.
///
/// A storm of records is no storm of Events: the same record again within six minutes is counted in a series, which is
/// written at its second and then at most every six minutes; of records that differ in their note only, ten are told
/// apart, the others combined; and one observer may write 25 new Events about an object at once, and one more every five
/// minutes. They go to `events.k8s.io/v1`, or to `v1` where that is missing or forbidden. Recording is best effort: a
/// failure is logged and fails no plan.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRecord {
    /// `Normal` or `Warning`.
    pub severity: Severity,
    /// Why, in one CamelCase word, such as `SuccessfulCreate`.
    pub reason: String,
    /// What was done, in one CamelCase word; the reason if empty.
    pub action: String,
    /// The same for people, at most 1 kB.
    pub note: String,
    /// What it is about.
    pub regarding: ObjectReference,
    /// What else took part.
    pub related: Option<ObjectReference>,
}

/// A Kubernetes Event that an observer may record, for its reference page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSpec {
    /// `Normal` or `Warning`.
    pub severity: Severity,
    /// Why, in one CamelCase word.
    pub reason: Cow<'static, str>,
    /// When it is recorded, in a sentence.
    pub description: Cow<'static, str>,
}

/// The type of a Kubernetes Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// `Normal`: things go as they should.
    Normal,
    /// `Warning`: somebody should look.
    Warning,
}

impl Severity {
    /// The value of the Event's `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

impl fmt::Display for EventRecord {
    /// As a line: `Normal Reloaded Deployment shop/web: rolled out`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        let ObjectReference { kind, namespace, name, .. } = &self.regarding;
        write!(f, "{} {} {} ", self.severity.as_str(), self.reason, part(kind))?;
        if let Some(namespace) = namespace {
            write!(f, "{namespace}/")?;
        }
        write!(f, "{}: {}", part(name), self.note)
    }
}

impl EventRecord {
    /// Things went as they should for `regarding`.
    pub fn normal(regarding: ObjectReference, reason: impl Into<String>, note: impl Into<String>) -> Self {
        Self {
            severity: Severity::Normal,
            reason: reason.into(),
            action: String::new(),
            note: note.into(),
            regarding,
            related: None,
        }
    }

    /// Something is wrong with `regarding`.
    pub fn warning(regarding: ObjectReference, reason: impl Into<String>, note: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::normal(regarding, reason, note) }
    }

    /// Sets what was done.
    #[must_use]
    pub fn action(mut self, action: impl Into<String>) -> Self {
        self.action = action.into();
        self
    }

    /// Sets what else took part.
    #[must_use]
    pub fn related(mut self, related: ObjectReference) -> Self {
        self.related = Some(related);
        self
    }
}

/// The reference by which Events name a typed object.
pub fn reference_to<K: Resource<DynamicType = ()>>(object: &K) -> ObjectReference {
    let resource_version = object.meta().resource_version.clone();
    ObjectReference { resource_version, ..object.object_ref(&()) }
}

impl Object {
    /// The reference by which Events name this object.
    pub fn reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some(self.kind().api_version().to_owned()),
            kind: Some(self.kind().name().to_owned()),
            name: Some(self.name().to_owned()),
            namespace: self.namespace().map(str::to_owned),
            uid: Some(self.uid().to_owned()),
            resource_version: Some(self.resource_version().to_owned()),
            field_path: None,
        }
    }
}

impl ObserverSpec {
    /// Says that it records Kubernetes Events of this reason, and when.
    #[must_use]
    pub fn records(
        mut self,
        severity: Severity,
        reason: impl Into<Cow<'static, str>>,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.records.push(RecordSpec { severity, reason: reason.into(), description: description.into() });
        self
    }
}
