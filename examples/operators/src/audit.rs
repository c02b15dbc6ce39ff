//! Tells who was given which rights, and from whom they were taken: every change of a binding, in order.
//!
//! An auditor must not miss the role that somebody had for a second: so edges, not levels. Nothing is dropped where the
//! reader is slow; the watch of this operator alone falls behind. What happened while nobody ran is told as the
//! difference to nothing: every grant there is, once more.

use std::collections::BTreeSet;

use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::Sender;
use xebec_coordinator::{AddError, BoxError, Coordinator, DecodeError, Event, Object, ObserverSpec, Watch};

/// How many events wait in memory before the operator reads a watch of its own.
const WAITING_MAX: usize = 1024;

/// One line of the audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Whether the role was given, or taken away.
    pub granted: bool,
    /// Whose: `User jane`.
    pub subject: String,
    /// Which: `ClusterRole view`.
    pub role: String,
    /// Where, none for everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// By which binding.
    pub binding: String,
    /// The version of the binding that says so.
    pub resource_version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Binding {
    role_ref: Reference,
    #[serde(default)]
    subjects: Option<Vec<Reference>>,
}

#[derive(Deserialize)]
struct Reference {
    kind: String,
    name: String,
    #[serde(default)]
    namespace: Option<String>,
}

/// Role and subject, for each subject of a binding.
fn grants(binding: Option<&Object>) -> Result<BTreeSet<(String, String)>, DecodeError> {
    let Some(binding) = binding else { return Ok(BTreeSet::new()) };
    let Binding { role_ref: role, subjects } = binding.decode()?;
    let role = format!("{} {}", role.kind, role.name);
    let subjects = subjects.unwrap_or_default().into_iter().map(|subject| match subject.namespace {
        Some(namespace) => format!("{} {namespace}/{}", subject.kind, subject.name),
        None => format!("{} {}", subject.kind, subject.name),
    });
    Ok(subjects.map(|subject| (role.clone(), subject)).collect())
}

/// What an event changes: first what was taken away.
pub fn changes(event: &Event) -> Result<Vec<Change>, DecodeError> {
    let (before, after) = (grants(event.old())?, grants(event.new())?);
    let change = |granted, (role, subject): &(String, String)| Change {
        granted,
        subject: subject.clone(),
        role: role.clone(),
        namespace: event.key().namespace().map(str::to_owned),
        binding: format!("{} {}", event.kind().name(), event.key().name()),
        resource_version: event.object().resource_version().to_owned(),
    };
    let taken = before.difference(&after).map(|grant| change(false, grant));
    Ok(taken.chain(after.difference(&before).map(|grant| change(true, grant))).collect())
}

/// Sends every change into `lines`, and waits where these are full. Each comes once at least: an event that could not be
/// told to its end is told again.
///
/// # Errors
/// There is an observer of this name already.
pub fn add(coordinator: &Coordinator, lines: Sender<Change>) -> Result<(), AddError> {
    let spec = ObserverSpec::new("audit", "tells who was given which rights")
        .watch(Watch::of::<ClusterRoleBinding>())
        .watch(Watch::of::<RoleBinding>())
        .edges(WAITING_MAX);
    coordinator.callback(spec, move |event, _cx| {
        let lines = lines.clone();
        async move {
            for change in changes(&event)? {
                lines.send(change).await?;
            }
            Ok::<_, BoxError>(())
        }
    })
}
