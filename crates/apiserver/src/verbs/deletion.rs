//! The rules of deletion: grace, finalizers, and when an object may go (`rest.BeforeDelete` and the store's Delete).

use serde_json::Value;

use super::{
    Call,
    options::{DeleteOptions, Propagation},
};
use crate::{
    kinds::definitions,
    machinery::object,
    status::{ApiError, ApiResult, Qualified},
};

/// The finalizer that keeps an owner until its dependents are orphaned.
pub const ORPHAN: &str = "orphan";
/// The finalizer that keeps an owner until its dependents are gone.
pub const FOREGROUND: &str = "foregroundDeletion";

/// What a deletion does to an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Nothing: it is being deleted already.
    Nothing,
    /// It is marked and lives on.
    Mark(Value),
    /// It is marked (for all to see), then removed.
    MarkAndRemove(Value),
    /// It is removed.
    Remove,
}

/// Decides what a deletion does to `object`.
///
/// # Errors
/// 409, where the object is not the one that the caller means.
pub fn decide(call: &Call<'_>, object: &Value, options: &DeleteOptions) -> ApiResult<Step> {
    check_preconditions(call, object, options)?;
    if is_namespace(call) {
        return Ok(namespace(call, object, options));
    }
    if &*call.resource.storage == definitions::STORAGE {
        return Ok(definition(call, object));
    }
    let grace = (call.resource.strategy.grace_period)(object, options.grace_period);
    let deleting = object::deletion_timestamp(object).is_some();
    let finalizers = finalizers(call, object, options);
    let changed = finalizers != object::finalizers(object);
    if deleting {
        let left = object::meta(object, "deletionGracePeriodSeconds").and_then(Value::as_i64);
        let shorter = grace.zip(left).filter(|(grace, left)| grace < left).map(|(grace, _)| grace);
        match (shorter, grace) {
            (Some(grace), _) => return Ok(mark_graceful(call, object, grace, &finalizers)),
            (None, Some(_)) if !changed => return Ok(Step::Nothing),
            _ => {}
        }
        if !changed && !finalizers.is_empty() {
            return Ok(Step::Nothing);
        }
    }
    if let Some(grace) = grace.filter(|_| !deleting) {
        return Ok(mark_graceful(call, object, grace, &finalizers));
    }
    if finalizers.is_empty() {
        return Ok(Step::Remove);
    }
    let mut marked = object.clone();
    set_finalizers(&mut marked, &finalizers);
    if !deleting {
        mark(call, &mut marked, 0);
    }
    Ok(Step::Mark(marked))
}

/// Whether nothing but finalizers of metadata keeps an object that is being deleted.
pub fn may_go(call: &Call<'_>, object: &Value) -> bool {
    !is_namespace(call) || object["spec"]["finalizers"].as_array().is_none_or(Vec::is_empty)
}

fn mark_graceful(call: &Call<'_>, object: &Value, grace: i64, finalizers: &[String]) -> Step {
    let mut marked = object.clone();
    set_finalizers(&mut marked, finalizers);
    mark(call, &mut marked, grace);
    if grace > 0 || !finalizers.is_empty() { Step::Mark(marked) } else { Step::MarkAndRemove(marked) }
}

/// Writes when an object will be gone.
fn mark(call: &Call<'_>, object: &mut Value, grace: i64) {
    let first = object::deletion_timestamp(object).is_none();
    let time = call.now.checked_add(jiff::SignedDuration::from_secs(grace)).unwrap_or(call.now);
    let metadata = object::metadata_mut(object);
    metadata.insert("deletionTimestamp".into(), crate::machinery::conform::seconds(time).into());
    metadata.insert("deletionGracePeriodSeconds".into(), grace.into());
    if let Some(generation) =
        metadata.get("generation").and_then(Value::as_i64).filter(|generation| first && *generation > 0)
    {
        metadata.insert("generation".into(), (generation + 1).into());
    }
}

fn set_finalizers(object: &mut Value, finalizers: &[String]) {
    let metadata = object::metadata_mut(object);
    if finalizers.is_empty() {
        metadata.remove("finalizers");
    } else {
        metadata.insert("finalizers".into(), finalizers.into());
    }
}

/// The finalizers that an object has once its dependents are dealt with as asked.
fn finalizers(call: &Call<'_>, object: &Value, options: &DeleteOptions) -> Vec<String> {
    let own = object::finalizers(object);
    let has = |name: &str| own.contains(&name);
    let default =
        if call.resource.strategy.orphan_dependents { Propagation::Orphan } else { Propagation::Background };
    let (orphan, foreground) = match options.propagation {
        Some(propagation) => (propagation == Propagation::Orphan, propagation == Propagation::Foreground),
        None if has(ORPHAN) || has(FOREGROUND) => (has(ORPHAN), has(FOREGROUND)),
        None => (default == Propagation::Orphan, false),
    };
    let mut finalizers: Vec<String> = own
        .iter()
        .filter(|name| !matches!(**name, ORPHAN | FOREGROUND))
        .map(|name| (*name).to_owned())
        .collect();
    for (wanted, name) in [(orphan, ORPHAN), (foreground, FOREGROUND)] {
        if wanted {
            finalizers.push(name.to_owned());
        }
    }
    // What is there already keeps its place.
    if finalizers.len() == own.len() && finalizers.iter().all(|name| own.contains(&name.as_str())) {
        return own.iter().map(|name| (*name).to_owned()).collect();
    }
    finalizers
}

fn is_namespace(call: &Call<'_>) -> bool {
    call.resource.group.is_empty() && &*call.resource.plural == "namespaces"
}

/// A namespace is marked, and stays until its content is gone and its `spec.finalizers` with it.
fn namespace(call: &Call<'_>, object: &Value, options: &DeleteOptions) -> Step {
    let finalizers = finalizers(call, object, options);
    if object::deletion_timestamp(object).is_none() {
        let mut marked = object.clone();
        set_finalizers(&mut marked, &finalizers);
        let time = call.timestamp();
        object::metadata_mut(&mut marked).insert("deletionTimestamp".into(), time.into());
        object::child_mut(&mut marked, "status").insert("phase".into(), "Terminating".into());
        return Step::Mark(marked);
    }
    if may_go(call, object) && finalizers.is_empty() { Step::Remove } else { Step::Nothing }
}

/// A definition is marked, and stays until its objects are gone.
fn definition(call: &Call<'_>, object: &Value) -> Step {
    if object::deletion_timestamp(object).is_some() {
        return Step::Nothing;
    }
    let mut marked = object.clone();
    let time = call.timestamp();
    let metadata = object::metadata_mut(&mut marked);
    metadata.insert("deletionTimestamp".into(), time.as_str().into());
    let finalizers = metadata.entry("finalizers").or_insert_with(|| Value::Array(Vec::new()));
    if let Some(finalizers) = finalizers.as_array_mut() {
        finalizers.push(definitions::status::CLEANUP.into());
    }
    let condition = serde_json::json!({
        "type": "Terminating", "status": "True", "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    });
    definitions::status::set_condition(&mut marked, condition, &time);
    Step::Mark(marked)
}

fn check_preconditions(call: &Call<'_>, object: &Value, options: &DeleteOptions) -> ApiResult<()> {
    // Kubernetes names the kind here, without its group, not the resource.
    let kind = Qualified { group: "", name: &call.resource.kind };
    let conflict = |why: String| Err(ApiError::conflict(kind, object::name(object), &why));
    match &options.uid {
        Some(uid) if uid != object::uid(object) => {
            return conflict(format!(
                "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have \
                 been deleted and then recreated",
                object::uid(object)
            ));
        }
        _ => {}
    }
    match &options.resource_version {
        Some(version) if version != object::resource_version(object) => conflict(format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). \
             The object might have been modified",
            object::resource_version(object)
        )),
        _ => Ok(()),
    }
}
