//! What every write shares: the checks around metadata, ownership of fields, admission, validation, and the commit
//! that is tried again when somebody else was faster.

use std::{collections::HashSet, sync::Arc};

use serde_json::{Map, Value, json};

use super::{Call, versions};
use crate::{
    admission,
    http::query::WriteOptions,
    kinds::{Part, Resource, Strategy, definitions, strategy::Generation},
    machinery::{FieldErrors, apply, metadata, object},
    status::{ApiError, ApiResult},
    storage::{Change, CommitError, Expected, Object},
};

/// How often a write that was overtaken is tried again, before the caller is told.
pub const ATTEMPTS_MAX: usize = 64;

/// Makes the caller the owner of what it changed in `new`.
pub fn own_fields(
    call: &Call<'_>,
    live: Option<&Value>,
    new: &mut Value,
    part: Part,
    options: &WriteOptions,
) {
    let manager = manager_name(call, options);
    call.resource.field_manager(part).update(live, new, &manager, &call.timestamp());
}

/// Who owns the fields of a write: who says so, else the program of the `User-Agent`.
pub fn manager_name(call: &Call<'_>, options: &WriteOptions) -> String {
    if options.field_manager.is_empty() { call.agent.clone() } else { options.field_manager.clone() }
}

/// Checks that the object's namespace is that of the path, and sets it where it is missing.
pub fn settle_namespace(call: &Call<'_>, value: &mut Value) -> ApiResult<()> {
    let wanted = if call.resource.namespaced { call.target.namespace.as_str() } else { "" };
    let own = object::namespace(value);
    if own == wanted {
        return Ok(());
    }
    if !own.is_empty() && !wanted.is_empty() {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let metadata = object::metadata_mut(value);
    if wanted.is_empty() {
        metadata.remove("namespace");
    } else {
        metadata.insert("namespace".into(), wanted.into());
    }
    Ok(())
}

/// Removes owners that are listed twice, and says so.
pub fn dedup_owners(call: &mut Call<'_>, value: &mut Value) {
    let Some(owners) = object::metadata_mut(value).get_mut("ownerReferences").and_then(Value::as_array_mut)
    else {
        return;
    };
    let before = owners.len();
    let mut seen = HashSet::new();
    let mut repeated: Vec<String> = Vec::new();
    owners.retain(|owner| {
        let is_new = seen.insert(owner.to_string());
        if !is_new {
            repeated.push(owner["uid"].as_str().unwrap_or_default().to_owned());
        }
        is_new
    });
    if owners.len() < before {
        repeated.dedup();
        call.warn(format!(
            ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and \
             may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
            repeated.join(", ")
        ));
    }
}

/// The metadata errors of a new object, then the kind's own.
pub fn validate_create(resource: &Resource, value: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    metadata::validate(value, resource.namespaced, resource.strategy.name_rule, &mut errors);
    (resource.strategy.validate_create)(value, &mut errors);
    validate_custom(resource, value, Part::Main, &mut errors);
    errors
}

/// What the definition of a custom resource refuses.
fn validate_custom(resource: &Resource, value: &Value, part: Part, errors: &mut FieldErrors) {
    if let Some(rules) = &resource.schema.rules {
        match part {
            Part::Status => definitions::validation::validate_status(rules, value, errors),
            _ => definitions::validation::validate(rules, value, errors),
        }
    }
    if let Some(paths) = resource.custom.as_ref().and_then(|custom| custom.scale.as_ref()) {
        definitions::scale::validate(paths, value, part, errors);
    }
}

/// Refuses an object with errors.
pub fn refuse(resource: &Resource, name: &str, errors: &FieldErrors) -> ApiResult<()> {
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid(resource.qualified_kind(), name, errors)) }
}

/// Shapes `new` to replace `old`: what a write to this part may not change is as it was.
pub fn prepare_update(call: &Call<'_>, new: &mut Value, old: &Value, part: Part) {
    let strategy = call.resource.strategy;
    {
        let metadata = object::metadata_mut(new);
        let kept = |field: &str| object::meta(old, field).cloned();
        // What the server alone says of an object is not the caller's to change or to leave out.
        for field in ["creationTimestamp", "generation", "uid"] {
            let leave = field == "uid" && metadata.get(field).is_some_and(|uid| uid != "");
            match kept(field) {
                _ if leave => {}
                Some(value) => drop(metadata.insert(field.into(), value)),
                None => drop(metadata.remove(field)),
            }
        }
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
            if !metadata.contains_key(field)
                && let Some(value) = kept(field)
            {
                metadata.insert(field.into(), value);
            }
        }
        metadata.remove("selfLink");
    }
    if let Some(strategy) = strategy.of_part(part) {
        (strategy.prepare_update)(new, old);
        grow(strategy, new, old);
        return;
    }
    match part {
        Part::Main => {
            if strategy.status {
                match old.get("status") {
                    Some(status) => object::map_mut(new).insert("status".into(), status.clone()),
                    None => object::map_mut(new).remove("status"),
                };
            }
            (strategy.prepare_update)(new, old);
            grow(strategy, new, old);
        }
        Part::Status => (strategy.prepare_status)(new, old),
        _ => {}
    }
}

fn grow(strategy: &Strategy, new: &mut Value, old: &Value) {
    if grows(strategy.generation, new, old) {
        let generation = object::meta(old, "generation").and_then(Value::as_i64).unwrap_or(0);
        object::metadata_mut(new).insert("generation".into(), (generation + 1).into());
    }
}

fn grows(generation: Generation, new: &Value, old: &Value) -> bool {
    match generation {
        Generation::None | Generation::Fixed => false,
        Generation::Spec | Generation::SpecOnUpdate => new.get("spec") != old.get("spec"),
        Generation::SpecAndAnnotations => {
            new.get("spec") != old.get("spec") || object::annotations(new) != object::annotations(old)
        }
        Generation::ContentAndLabels if object::labels(new) != object::labels(old) => true,
        Generation::Content | Generation::ContentAndLabels => {
            let content = |value: &Value| -> Map<String, Value> {
                let fields = value.as_object().into_iter().flatten();
                fields
                    .filter(|(field, _)| !matches!(field.as_str(), "metadata" | "status"))
                    .map(|(field, value)| (field.clone(), value.clone()))
                    .collect()
            };
            content(new) != content(old)
        }
    }
}

/// All errors of replacing `old` by `new`.
pub fn validate_update(resource: &Resource, new: &Value, old: &Value, part: Part) -> FieldErrors {
    let mut errors = FieldErrors::new();
    metadata::validate_update(new, old, &mut errors);
    validate_custom(resource, new, part, &mut errors);
    if let Some(own) = resource.strategy.of_part(part) {
        (own.validate_update)(new, old, &mut errors);
        return errors;
    }
    match part {
        Part::Main => (resource.strategy.validate_update)(new, old, &mut errors),
        Part::Status => (resource.strategy.validate_status)(new, old, &mut errors),
        _ => {}
    }
    errors
}

/// Writes an object, and tells conflicts in the API's words.
pub async fn commit(
    call: &Call<'_>,
    key: &Arc<str>,
    expected: Expected,
    value: Option<Value>,
) -> Result<Arc<Object>, CommitError> {
    let change = Change {
        resource: call.resource.storage.clone(),
        key: key.clone(),
        expected,
        object: value.map(|value| versions::draft(&call.resource, value)),
    };
    call.cluster.storage().commit(change).await
}

/// A commit's failure as an answer.
pub fn failed(call: &Call<'_>, name: &str, error: &CommitError) -> ApiError {
    match error {
        CommitError::Exists => ApiError::already_exists(call.resource.qualified(), name),
        CommitError::Missing => ApiError::not_found(call.resource.qualified(), name),
        CommitError::Changed => ApiError::modified(call.resource.qualified(), name),
        CommitError::Failed(why) => ApiError::internal(why),
    }
}

/// What a caller takes for granted about the object that it writes.
#[derive(Debug, Clone, Default)]
pub struct Preconditions {
    /// Its uid.
    pub uid: Option<String>,
    /// Its resourceVersion.
    pub resource_version: Option<String>,
}

impl Preconditions {
    /// Checks them against the stored object.
    pub fn check(&self, call: &Call<'_>, name: &str, old: &Value) -> ApiResult<()> {
        let conflict = |what: &str, wanted: &str, own: &str| {
            let key = registry_key(call, name);
            let why = format!(
                "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: \
                 Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {own}"
            );
            Err(ApiError::conflict(call.resource.qualified(), name, &why))
        };
        let own = object::resource_version(old);
        match (&self.uid, &self.resource_version) {
            (Some(uid), _) if uid != object::uid(old) => conflict("UID", uid, object::uid(old)),
            (_, Some(version)) if version != own => conflict("ResourceVersion", version, own),
            _ => Ok(()),
        }
    }
}

/// Where kube-apiserver would keep the object in etcd; some messages say it.
fn registry_key(call: &Call<'_>, name: &str) -> String {
    let prefix = match (&*call.resource.group, &*call.resource.plural) {
        ("", "services") => "services/specs".to_owned(),
        ("", "endpoints") => "services/endpoints".to_owned(),
        ("", "nodes") => "minions".to_owned(),
        (group, plural) if call.resource.type_name.is_none() => format!("{group}/{plural}"),
        (_, plural) => plural.to_owned(),
    };
    let namespace = &call.target.namespace;
    if call.resource.namespaced {
        format!("/registry/{prefix}/{namespace}/{name}")
    } else {
        format!("/registry/{prefix}/{name}")
    }
}

/// A replacement of an object: what `change` makes of the stored one is owned, admitted, checked and written; when
/// somebody else was faster, from the start again.
///
/// `change` gets the stored object in the version of the call, and gives the new one. Giving the old one back writes
/// nothing.
pub async fn replace(
    call: &mut Call<'_>,
    part: Part,
    options: &WriteOptions,
    owns: Ownership,
    mut change: impl FnMut(&mut Call<'_>, &Value) -> ApiResult<Value> + Send,
) -> ApiResult<Replaced> {
    let key = call.key();
    let name = call.target.name.clone();
    for _ in 0..ATTEMPTS_MAX {
        let snapshot = call.cluster.storage().snapshot();
        let Some(stored) = snapshot.get(&call.resource.storage, &key).cloned() else {
            return Err(ApiError::not_found(call.resource.qualified(), &name));
        };
        let old = call.decode(&stored);
        let mut new = change(call, &old)?;
        let asked = object::resource_version(&new).to_owned();
        if !asked.is_empty() && asked != object::resource_version(&old) {
            check_resource_version(&asked)?;
            return Err(ApiError::modified(call.resource.qualified(), &name));
        }
        dedup_owners(call, &mut new);
        if owns == Ownership::Caller {
            own_fields(call, Some(&old), &mut new, part, options);
        }
        admission::mutate_update(call, &mut new, &old, part)?;
        let metadata = object::metadata_mut(&mut new);
        metadata.insert("resourceVersion".into(), object::resource_version(&old).into());
        let reservation = match part {
            Part::Main => super::allocation::reserve(call, &mut new, Some(&old))?,
            _ => super::allocation::Reservation::default(),
        };
        let attempt = attempt(call, part, options, &stored, &old, new).await;
        super::allocation::release(call, reservation);
        if let Some(replaced) = attempt? {
            return Ok(replaced);
        }
    }
    Err(ApiError::modified(call.resource.qualified(), &name))
}

/// Checks and writes a replacement of `stored` (`old`, in the version of the call). Gives nothing where somebody else
/// was faster.
async fn attempt(
    call: &mut Call<'_>,
    part: Part,
    options: &WriteOptions,
    stored: &Arc<Object>,
    old: &Value,
    mut new: Value,
) -> ApiResult<Option<Replaced>> {
    let name = call.target.name.clone();
    prepare_update(call, &mut new, old, part);
    (call.resource.strategy.default)(&mut new);
    (call.resource.strategy.stamp)(&mut new, old, &call.timestamp());
    refuse(&call.resource, &name, &validate_update(&call.resource, &new, old, part))?;
    admission::validate_update(call, &new, old, part)?;
    for sentence in (call.resource.strategy.warnings)(&new, Some(old)) {
        call.warn(sentence);
    }
    new = conform_again(call, new);
    apply::keep_times_if_unchanged(old, &mut new);
    if new == *old {
        return Ok(Some(Replaced { stored: stored.clone(), value: new, deleted: false }));
    }
    // The last writer of a finalizer takes the object away.
    let gone = object::deletion_timestamp(&new).is_some()
        && object::finalizers(&new).is_empty()
        && object::meta(&new, "deletionGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(0) == 0
        && super::deletion::may_go(call, &new);
    if options.dry_run {
        return Ok(Some(Replaced { stored: stored.clone(), value: new, deleted: gone }));
    }
    let object = (!gone).then(|| new.clone());
    match commit(call, &stored.key, Expected::Revision(stored.revision), object).await {
        Ok(written) => {
            let version = written.revision.to_string().into();
            object::metadata_mut(&mut new).insert("resourceVersion".into(), version);
            Ok(Some(Replaced { stored: written, value: new, deleted: gone }))
        }
        Err(CommitError::Changed | CommitError::Missing) => Ok(None),
        Err(error) => Err(failed(call, &name, &error)),
    }
}

/// Who becomes the owner of what changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// The caller, by comparing new and old.
    Caller,
    /// `change` has settled it (server-side apply).
    Settled,
}

/// What a replacement left.
#[derive(Debug)]
pub struct Replaced {
    /// The object as it is stored (as it was, in a dry run).
    pub stored: Arc<Object>,
    /// The object in the version of the call.
    pub value: Value,
    /// Whether it is gone, having lost its last finalizer.
    pub deleted: bool,
}

/// The normal form once more, after kinds and admission have touched the object.
pub fn conform_again(call: &Call<'_>, mut value: Value) -> Value {
    let map = object::map_mut(&mut value);
    for (field, own) in [("apiVersion", &call.resource.api_version), ("kind", &call.resource.kind)] {
        map.entry(field).or_insert_with(|| (**own).into());
    }
    versions::conform_typed(&call.resource.schema, &mut value);
    value
}

/// Forgets the resourceVersion of an object that a PUT or an applied configuration creates.
pub fn drop_resource_version(value: &mut Value) -> ApiResult<()> {
    let version = object::resource_version(value);
    if !version.is_empty() {
        check_resource_version(version)?;
        object::metadata_mut(value).remove("resourceVersion");
    }
    Ok(())
}

/// Refuses a resourceVersion that is none.
pub fn check_resource_version(text: &str) -> ApiResult<()> {
    match text.parse::<u64>() {
        Ok(_) => Ok(()),
        Err(_) => Err(invalid_resource_version(text)),
    }
}

/// What is said of a resourceVersion that is no number: 500, as Kubernetes does.
pub fn invalid_resource_version(text: &str) -> ApiError {
    let quoted = crate::machinery::go_quoted(text);
    ApiError::new(
        500,
        "",
        format!(
            "resourceVersion: Invalid value: {quoted}: strconv.ParseUint: parsing {quoted}: invalid syntax"
        ),
    )
}

/// The `Status` of a success.
pub fn success(call: &Call<'_>, name: &str, uid: &str) -> Value {
    let mut details = json!({"name": name, "kind": &*call.resource.plural});
    if !call.resource.group.is_empty() {
        details["group"] = (&*call.resource.group).into();
    }
    if !uid.is_empty() {
        details["uid"] = uid.into();
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
