//! What controllers have in common: as whom they write, and what they make of a refused write.

use kube::Resource;
use serde::Serialize;
use xebec_coordinator::{Plan, Write, WriteError};

/// Who owns the fields that controllers write, as in Kubernetes, where all of them are one process.
pub(crate) const MANAGER: &str = "kube-controller-manager";

/// Writes of a controller, all as one field manager.
pub(crate) trait Writes {
    /// Adds a write.
    fn put(&mut self, write: Write) -> &mut Self;

    /// Creates an object.
    fn put_new<K>(&mut self, object: &K) -> Result<&mut Self, serde_json::Error>
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        Ok(self.put(Write::create(object)?))
    }

    /// Replaces an object.
    fn put_update<K>(&mut self, object: &K) -> Result<&mut Self, serde_json::Error>
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        Ok(self.put(Write::update(object)?))
    }

    /// Replaces the status of an object.
    fn put_status<K>(&mut self, object: &K) -> Result<&mut Self, serde_json::Error>
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        Ok(self.put(Write::update_status(object)?))
    }
}

impl Writes for Plan {
    fn put(&mut self, write: Write) -> &mut Self {
        self.write(write.managed_by(MANAGER))
    }
}

/// Why a write failed, in the server's words where it answered.
pub(crate) fn reason_of(error: &WriteError) -> String {
    error.status().map_or_else(|| error.source.to_string(), |status| status.message.clone())
}

/// Whether a create was refused because its namespace is being deleted, which nobody needs to be told of.
pub(crate) fn is_namespace_terminating(error: &WriteError) -> bool {
    let details = error.status().and_then(|status| status.details.as_ref());
    details.is_some_and(|details| details.causes.iter().any(|cause| cause.reason == "NamespaceTerminating"))
}
