//! What becomes of an object, given what has become of its owners.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::PropagationPolicy;
use serde::Deserialize;
use serde_json::{Value, json};
use xebec_coordinator::{DecodeError, Object, Write};

/// Keeps an owner until its dependents have lost it.
pub(super) const ORPHAN: &str = "orphan";
/// Keeps an owner until the dependents that block it are gone.
pub(super) const FOREGROUND: &str = "foregroundDeletion";

/// What has become of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// It is there.
    Present,
    /// It is gone.
    Absent,
    /// It waits for its dependents to be gone.
    Waiting,
}

/// The metadata of an object.
pub(super) fn metadata(object: &Object) -> Result<ObjectMeta, DecodeError> {
    #[derive(Deserialize)]
    struct Envelope {
        metadata: ObjectMeta,
    }
    Ok(object.decode::<Envelope>()?.metadata)
}

/// Whether it has a finalizer.
pub(super) fn has_finalizer(meta: &ObjectMeta, finalizer: &str) -> bool {
    meta.finalizers.iter().flatten().any(|known| known == finalizer)
}

/// Whether an object waits for its dependents to be gone.
pub(super) fn is_waiting(object: &Object) -> bool {
    object.is_terminating() && metadata(object).is_ok_and(|meta| has_finalizer(&meta, FOREGROUND))
}

/// What to do about an object whose owners are as said; `dependents` are its own.
pub(super) fn collect(
    object: &Object,
    meta: &ObjectMeta,
    owners: &[(OwnerReference, Owner)],
    dependents: &[Object],
) -> Vec<Write> {
    let any = |state: Owner| owners.iter().any(|(_, owner)| *owner == state);
    let delete = |policy| Write::delete_object(object).propagation(policy);
    if any(Owner::Present) {
        if !any(Owner::Absent) && !any(Owner::Waiting) {
            return Vec::new();
        }
        let kept =
            owners.iter().filter(|(_, owner)| *owner == Owner::Present).map(|(owner, _)| owner.clone());
        return vec![set_owners(object, kept.collect())];
    }
    if any(Owner::Waiting) && !dependents.is_empty() {
        let mut writes = Vec::new();
        if dependents.iter().any(is_waiting) {
            // Perhaps a circle, in which each waits for the next: let go of the owners.
            let open = owners
                .iter()
                .map(|(owner, _)| OwnerReference { block_owner_deletion: Some(false), ..owner.clone() });
            writes.push(set_owners(object, open.collect()));
        }
        writes.push(delete(PropagationPolicy::Foreground));
        return writes;
    }
    let policy = if has_finalizer(meta, ORPHAN) {
        PropagationPolicy::Orphan
    } else if has_finalizer(meta, FOREGROUND) {
        PropagationPolicy::Foreground
    } else {
        PropagationPolicy::Background
    };
    // Only this very state: if somebody has just given it another owner, that is looked at first.
    vec![delete(policy).if_unchanged(object.resource_version())]
}

/// Takes an owner from all its dependents, and then lets the owner go.
pub(super) fn orphan(
    owner: &Object,
    meta: &ObjectMeta,
    dependents: &[Object],
) -> Result<Vec<Write>, DecodeError> {
    let mut writes = Vec::new();
    for dependent in dependents {
        let mut owners = metadata(dependent)?.owner_references.unwrap_or_default();
        owners.retain(|reference| reference.uid != owner.uid());
        writes.push(set_owners(dependent, owners));
    }
    writes.push(without_finalizer(owner, meta, ORPHAN));
    Ok(writes)
}

/// Lets an owner go that waits for its dependents, once none of them blocks it.
pub(super) fn foreground(
    owner: &Object,
    meta: &ObjectMeta,
    dependents: &[Object],
) -> Result<Vec<Write>, DecodeError> {
    for dependent in dependents {
        let owners = metadata(dependent)?.owner_references.unwrap_or_default();
        if owners.iter().any(|known| known.uid == owner.uid() && known.block_owner_deletion == Some(true)) {
            return Ok(Vec::new());
        }
    }
    Ok(vec![without_finalizer(owner, meta, FOREGROUND)])
}

fn set_owners(object: &Object, owners: Vec<OwnerReference>) -> Write {
    let owners = if owners.is_empty() { Value::Null } else { json!(owners) };
    let metadata =
        json!({"uid": object.uid(), "resourceVersion": object.resource_version(), "ownerReferences": owners});
    Write::merge(object.key().clone(), json!({ "metadata": metadata }))
}

fn without_finalizer(object: &Object, meta: &ObjectMeta, finalizer: &str) -> Write {
    let left: Vec<&String> = meta.finalizers.iter().flatten().filter(|known| *known != finalizer).collect();
    let left = if left.is_empty() { Value::Null } else { json!(left) };
    let metadata = json!({"resourceVersion": object.resource_version(), "finalizers": left});
    Write::merge(object.key().clone(), json!({ "metadata": metadata }))
}
