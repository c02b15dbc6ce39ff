//! What was worked out of objects, kept while they stay as they are.

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use parking_lot::Mutex;
use xebec_coordinator::{DecodeError, Key, Object};

use super::demand::Demand;
use super::neighbours::Sociability;

/// A Pod as the scheduler sees it.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) demand: Demand,
    pub(super) sociability: Sociability,
    pub(super) priority: i32,
    /// The unique id of its controller.
    pub(super) controller: Option<Box<str>>,
}

/// The facts of Pods, each of the state that was asked for last: a plan that looks at a thousand Pods decodes those
/// that have changed.
#[derive(Debug, Default)]
pub(super) struct Memo(Mutex<HashMap<Key, Known>>);

#[derive(Debug)]
struct Known {
    uid: Box<str>,
    resource_version: Box<str>,
    facts: Arc<Facts>,
}

impl Memo {
    /// The facts of a Pod.
    pub(super) fn of(&self, pod: &Object) -> Result<Arc<Facts>, DecodeError> {
        let known = self.0.lock().get(pod.key()).and_then(|known| {
            let is_same = *known.uid == *pod.uid() && *known.resource_version == *pod.resource_version();
            is_same.then(|| Arc::clone(&known.facts))
        });
        if let Some(facts) = known {
            return Ok(facts);
        }
        let facts = Arc::new(Facts::of(&pod.decode()?, pod));
        let known = Known {
            uid: pod.uid().into(),
            resource_version: pod.resource_version().into(),
            facts: Arc::clone(&facts),
        };
        // Without a version there is no telling whether it is the same.
        if !pod.resource_version().is_empty() {
            self.0.lock().insert(pod.key().clone(), known);
        }
        Ok(facts)
    }

    /// Forgets a Pod that is gone.
    pub(super) fn forget(&self, key: &Key) {
        self.0.lock().remove(key);
    }
}

impl Facts {
    fn of(pod: &Pod, object: &Object) -> Self {
        Self {
            demand: Demand::of(pod),
            sociability: Sociability::of(pod),
            priority: pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or_default(),
            controller: object.controller().map(|owner| owner.uid().into()),
        }
    }
}
