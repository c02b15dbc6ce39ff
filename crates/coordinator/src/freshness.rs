//! Reading one's own writes: what must be in an observer's view before it plans for a key again.
//!
//! A plan that is made on a view older than the last plan's writes would do it all again: create the Pods a second
//! time, count them too low. So each write leaves an expectation with the key, and the key is held until the view
//! meets it. Since a watch tells the changes of a kind in the order of their resource versions, a write is in the view
//! when the watch has got to the version that the server answered it with; a relist gets there in one step.
//!
//! What is not seen for long is asked for: when the view agrees with what the server has by then, there is no more to be
//! seen of it. However far a watch is behind, nothing is planned on a view that is older than what was written for it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kube::core::response::reason;

use crate::echoes::{Before, Echo};
use crate::store::parse_version;
use crate::view::{KindTable, Slice, Tables};
use crate::wire::Source;
use crate::write::{Operation, Patch};
use crate::{Key, Object, Write, WriteError};

/// How long a key is held until the server is asked, again and again, whether there is anything left to be seen.
pub(crate) const HOLD_MAX: Duration = Duration::from_secs(30);

/// The cause of a conflict that is no newer state.
const FIELD_CONFLICT: &str = "FieldManagerConflict";

/// What must be in the view.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expectation {
    /// A watch has got to this version of the object.
    Seen { source: Arc<Source>, key: Key, uid: Box<str>, version: u64, before: Before },
    /// The object is gone, or replaced by another of its name.
    Gone { key: Key, uid: Box<str> },
    /// The object is no longer in this state; if none is given, it is there.
    Changed { key: Key, from: Option<Box<str>> },
}

impl Expectation {
    /// What a write that succeeded makes one expect, if the observer sees such objects. `answer` is the object as
    /// written, none if the server answered with a status; `view` is what the plan was made on.
    pub(crate) fn of(write: &Write, answer: Option<&Object>, view: &Tables) -> Vec<Self> {
        let Some(kind) = table_of(view, &write.target) else { return Vec::new() };
        let key = &write.target;
        match (&write.operation, answer) {
            // Deleted at once: the server answers with a status, or with the last state.
            (Operation::Delete(_), answer) if answer.is_none_or(|last| !last.is_terminating()) => {
                let known = find(kind, key);
                known
                    .map(|known| Self::Gone { key: key.clone(), uid: known.uid().into() })
                    .into_iter()
                    .collect()
            }
            (_, Some(answer)) => {
                let Some(version) = parse_version(answer.resource_version()) else { return Vec::new() };
                let slices = kind.slices.iter().filter(|slice| {
                    // A scale or a token is no object of the kind: judge by what is known of the object.
                    let is_object = write.subresource.is_none_or(|subresource| subresource == "status");
                    let known = slice.snapshot.get(key.namespace(), answer.name()).is_some();
                    known || (is_object && slice.source.selects(answer))
                });
                let uid: Box<str> = answer.uid().into();
                let key =
                    Key::of_kind(key.kind().clone(), answer.namespace().or(key.namespace()), answer.name());
                slices
                    .map(|slice| Self::Seen {
                        source: Arc::clone(&slice.source),
                        key: key.clone(),
                        uid: uid.clone(),
                        version,
                        before: Before::of(write),
                    })
                    .collect()
            }
            // A binding or an eviction changes the object, to a version that the answer does not tell.
            (_, None) => {
                let known = find(kind, key).map(|known| known.resource_version().into());
                known.map(|from| Self::Changed { key: key.clone(), from: Some(from) }).into_iter().collect()
            }
        }
    }

    /// What a write that conflicted makes one expect: that the view shows what it conflicted with.
    pub(crate) fn of_conflict(error: &WriteError, view: &Tables) -> Option<Self> {
        let status = error.status().filter(|status| status.code == 409)?;
        let key = error.write.target.clone();
        let kind = table_of(view, &key)?;
        if status.reason == reason::ALREADY_EXISTS {
            let selected = !key.name().is_empty()
                && kind.slices.iter().any(|slice| {
                    slice.source.covers(key.namespace())
                        && slice.source.labels.is_none()
                        && slice.source.fields.is_none()
                });
            return selected.then_some(Self::Changed { key, from: None });
        }
        // An apply may conflict with other owners of its fields, and not with a newer state.
        let is_apply = matches!(error.write.operation, Operation::Patch(Patch::Apply { .. }));
        let causes = status.details.iter().flat_map(|details| &details.causes);
        let is_owned = is_apply && causes.into_iter().any(|cause| cause.reason == FIELD_CONFLICT);
        let from = find(kind, &key).filter(|_| !is_owned)?.resource_version().into();
        Some(Self::Changed { key, from: Some(from) })
    }

    pub(crate) fn is_met(&self, view: &Tables) -> bool {
        let now = |key: &Key| table_of(view, key).and_then(|kind| find(kind, key));
        match self {
            Self::Seen { source, key, version, .. } => {
                let Some(kind) = table_of(view, key) else { return true };
                let is_it = |slice: &&Slice| Arc::ptr_eq(&slice.source, source) || slice.source == *source;
                let is_there = |slice: &Slice| slice.snapshot.position() >= *version;
                if let Some(slice) = kind.slices.iter().find(is_it) {
                    return is_there(slice);
                }
                // It watches otherwise since: all that might show it.
                kind.slices.iter().all(|slice| !slice.source.covers(key.namespace()) || is_there(slice))
            }
            Self::Gone { key, uid } => now(key).is_none_or(|now| now.uid() != &**uid),
            Self::Changed { key, from: Some(from) } => {
                now(key).is_none_or(|now| now.resource_version() != &**from)
            }
            // Nobody tells any more where the kind is no longer watched.
            Self::Changed { key, from: None } => table_of(view, key).is_none() || now(key).is_some(),
        }
    }

    /// Whether what was written is gone already, so that perhaps nothing will ever tell of it.
    pub(crate) fn is_overtaken(&self, view: &Tables) -> bool {
        let Self::Seen { key, uid, .. } = self else { return false };
        table_of(view, key).and_then(|kind| find(kind, key)).is_none_or(|now| now.uid() != &**uid)
    }

    /// The state that was written: by this the watch's echo is recognised.
    pub(crate) fn echo(&self) -> Option<Echo> {
        match self {
            Self::Seen { key, version, before, .. } => {
                Some(Echo { key: key.clone(), version: *version, before: before.clone() })
            }
            _ => None,
        }
    }
}

fn table_of<'v>(view: &'v Tables, key: &Key) -> Option<&'v KindTable> {
    view.kinds.iter().map(|table| &**table).find(|table| table.kind == *key.kind())
}

fn find<'v>(kind: &'v KindTable, key: &Key) -> Option<&'v Object> {
    kind.slices.iter().find_map(|slice| slice.snapshot.get(key.namespace(), key.name()))
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seen { source, key, version, .. } => {
                write!(f, "the watch of {source} to show {key} as of version {version}")
            }
            Self::Gone { key, .. } => write!(f, "{key} to be gone"),
            Self::Changed { key, from: Some(from) } => {
                write!(f, "a state of {key} newer than version {from}")
            }
            Self::Changed { key, from: None } => write!(f, "{key} to be seen"),
        }
    }
}
