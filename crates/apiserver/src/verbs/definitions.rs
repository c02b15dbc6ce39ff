//! What follows from a write to a CustomResourceDefinition: its names are accepted, its resources served; or its
//! objects are deleted, and then itself. Kubernetes' API server has controllers for that; here it is done before the
//! write is answered, so that a client that has created a definition can use it.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::versions;
use crate::{
    cluster::Shared,
    kinds::{
        Resource,
        definitions::{STORAGE, status},
        table,
    },
    machinery::{conform, object},
    storage::{Change, CommitError, Draft, Expected, Object, Terms},
};

/// More rounds than any chain of definitions and objects needs; what is left is done with the next write.
const ROUNDS_MAX: usize = 16;

/// Brings all definitions to rest.
pub async fn settle(cluster: &Shared, now: Timestamp) {
    for _ in 0..ROUNDS_MAX {
        if !round(cluster, now).await {
            return;
        }
    }
}

/// One look at each definition. Returns whether anything was written.
async fn round(cluster: &Shared, now: Timestamp) -> bool {
    let snapshot = cluster.storage().snapshot();
    let stored: Vec<Arc<Object>> = snapshot.range(STORAGE, "", None).cloned().collect();
    let definitions: Vec<Value> = stored.iter().map(|object| object.decode()).collect();
    let mut wrote = false;
    for (object, definition) in stored.iter().zip(&definitions) {
        let next = if object::deletion_timestamp(definition).is_some() {
            match clean(cluster, definition, now).await {
                Some(next) => next,
                None => continue,
            }
        } else {
            Some(status::named(definition, &definitions, &conform::seconds(now)))
        };
        if next.as_ref() == Some(definition) {
            continue;
        }
        let Some(resource) = table::of_kind("apiextensions.k8s.io/v1", "CustomResourceDefinition") else {
            return false;
        };
        let change = Change {
            resource: STORAGE.into(),
            key: object.key.clone(),
            expected: Expected::Revision(object.revision),
            object: next.map(|next| versions::draft(&resource, next)),
        };
        match cluster.storage().commit(change).await {
            Ok(_) => wrote = true,
            // Whoever was faster settles it, too.
            Err(CommitError::Changed | CommitError::Missing | CommitError::Exists) => {}
            Err(error) => tracing::warn!(%error, "cannot settle a CustomResourceDefinition"),
        }
    }
    wrote
}

/// Deletes the objects of a definition that is being deleted. Gives the definition's next state once none is left
/// (`Some(None)` is gone), and nothing while objects with finalizers are.
async fn clean(cluster: &Shared, definition: &Value, now: Timestamp) -> Option<Option<Value>> {
    let spec = &definition["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let storage: Arc<str> = format!("{}/{}", text(&spec["group"]), text(&spec["names"]["plural"])).into();
    if !object::finalizers(definition).contains(&status::CLEANUP) {
        return object::finalizers(definition).is_empty().then_some(None);
    }
    let snapshot = cluster.storage().snapshot();
    for stored in snapshot.range(&storage, "", None) {
        delete(cluster, &storage, stored, now).await;
    }
    if cluster.storage().snapshot().count(&storage) > 0 {
        return None;
    }
    let mut next = definition.clone();
    let rest: Vec<&str> = object::finalizers(definition)
        .into_iter()
        .filter(|finalizer| *finalizer != status::CLEANUP)
        .collect();
    if rest.is_empty() {
        return Some(None);
    }
    let rest = json!(rest);
    object::metadata_mut(&mut next).insert("finalizers".into(), rest);
    Some(Some(next))
}

async fn delete(cluster: &Shared, storage: &Arc<str>, stored: &Object, now: Timestamp) {
    let mut value = stored.decode();
    let held = !object::finalizers(&value).is_empty();
    if held && object::deletion_timestamp(&value).is_some() {
        return;
    }
    let object = held.then(|| {
        let metadata = object::metadata_mut(&mut value);
        metadata.insert("deletionTimestamp".into(), conform::seconds(now).into());
        metadata.insert("deletionGracePeriodSeconds".into(), 0.into());
        Draft::new(&value, labels(&value))
    });
    let expected = Expected::Revision(stored.revision);
    let change = Change { resource: storage.clone(), key: stored.key.clone(), expected, object };
    if let Err(CommitError::Failed(why)) = cluster.storage().commit(change).await {
        tracing::warn!(%why, "cannot delete an object of a CustomResourceDefinition that is being deleted");
    }
}

fn labels(value: &Value) -> Terms {
    let labels = object::labels(value).into_iter().flatten();
    Terms::new(labels.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))), [])
}

/// Whether a write to this resource can concern a definition.
pub fn concerns(cluster: &Shared, resource: &Resource) -> bool {
    if &*resource.storage == STORAGE {
        return true;
    }
    let Some(custom) = &resource.custom else { return false };
    let snapshot = cluster.storage().snapshot();
    let definition = snapshot.get(STORAGE, &custom.definition);
    definition.is_some_and(|definition| object::deletion_timestamp(&definition.decode()).is_some())
}
