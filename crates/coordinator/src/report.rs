//! What a coordinator says of its observers in Kubernetes Events, and what these are about.
//!
//! Other controllers have no such Events: when a goroutine of kube-controller-manager or of a controller-runtime manager
//! panics, the process ends, and the kubelet tells of its Pod. As only the observer is restarted here, the Event is about
//! the same object, the Pod. Where the Pod is not known (the environment does not say, or there is none, as on a
//! developer's machine), it is about the client's namespace.

use k8s_openapi::api::core::v1::ObjectReference;

use crate::EventRecord;
use crate::runtime::Runtime;

/// The Pod that this process runs in, if the variables `POD_NAME` and `POD_NAMESPACE` (and perhaps `POD_UID`) say so, as
/// manifests set them from `metadata.name`, `metadata.namespace` and `metadata.uid` (the downward API).
pub fn own_pod() -> Option<ObjectReference> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    Some(ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        name: Some(variable("POD_NAME")?),
        namespace: Some(variable("POD_NAMESPACE")?),
        uid: variable("POD_UID"),
        ..ObjectReference::default()
    })
}

/// A namespace, as what Events are about.
pub(crate) fn namespace(name: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Namespace".to_owned()),
        name: Some(name.to_owned()),
        ..ObjectReference::default()
    }
}

impl Runtime {
    /// That an observer is restarted because of a panic or a hang.
    pub(crate) fn restarted(&self, observer: &str, fault: &str, message: &str) -> EventRecord {
        let note = format!("observer {observer} is restarted after a {fault}: {message}");
        EventRecord::warning(self.regarding.clone(), "ObserverRestarted", note).action("Restart")
    }
}
