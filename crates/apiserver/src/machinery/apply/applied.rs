//! Server-side apply: merging a configuration into an object by who owns what.

use serde_json::Value;

use crate::{machinery::object, status::ApiError};

use super::{
    FieldManager,
    atom::Type,
    conflict::Conflicts,
    field_set::FieldSet,
    last_applied,
    managed_fields::{Entry, ManagedFields, Operation},
    merge::merge,
    path_element::equal,
    remove::remove,
    set_of::{set_of, with_named_fields},
    strip_meta,
    update::TakeOverError,
    validate::validate,
};

/// Why a configuration was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// 409: others own fields that it would change.
    #[error("{}", .0.message())]
    Conflicts(Conflicts),
    /// 400: it is no configuration of such an object.
    #[error("{0}")]
    BadRequest(String),
    /// 500: it does not fit the schema. (Kubernetes takes that for its own mistake.)
    #[error("{0}")]
    Unfit(String),
}

impl ApplyError {
    /// The answer.
    pub fn to_api_error(&self) -> ApiError {
        match self {
            Self::Conflicts(conflicts) => conflicts.to_api_error(),
            Self::BadRequest(message) => ApiError::bad_request(message.as_str()),
            Self::Unfit(message) => ApiError::new(500, "", message.as_str()),
        }
    }
}

impl From<ApplyError> for ApiError {
    fn from(error: ApplyError) -> Self {
        error.to_api_error()
    }
}

impl FieldManager {
    /// Merges `config` into `live` (`None` if there is no such object), and gives the object with its
    /// `metadata.managedFields`, still to be conformed and given defaults. What `manager` applied last time and does
    /// not now is removed, unless somebody else owns it. `config` is as it was sent, neither conformed nor given
    /// defaults: what it names is what `manager` owns. `now` is RFC 3339 in whole seconds.
    ///
    /// If nothing but times would change, [`super::keep_times_if_unchanged`] says so once the result is conformed.
    ///
    /// # Errors
    /// A configuration that is none for this kind, or does not fit its schema; without `force`, conflicts with
    /// others that own what it would change.
    pub fn apply(
        &self,
        live: Option<&Value>,
        config: &Value,
        manager: &str,
        force: bool,
        now: &str,
    ) -> Result<Value, ApplyError> {
        let entries = live.and_then(|live| object::meta(live, "managedFields"));
        let mut managed = entries.cloned().map(ManagedFields::stored).unwrap_or_default();
        self.check_identity(config)?;
        let live = live.unwrap_or(&self.empty);
        if managed.is_empty() {
            let before = self.updater("before-first-apply");
            managed = self.updated(&self.empty, live, managed, before, now).map_err(|errors| {
                ApplyError::Unfit(format!("failed to create manager for existing fields: {errors}"))
            })?;
        }
        let is_kubectl = manager == "kubectl";
        let mut applied = self.merged(live, config, managed.clone(), manager, force, now);
        if let Err(ApplyError::Conflicts(conflicts)) = &applied
            && is_kubectl
            && let Some(own) = last_applied::unchanged_since(&self.version, &self.api_version, live)
        {
            // kubectl made them itself, when it applied on the client's side.
            let conflicts = conflicts.clone().filter(|conflict| !own.has(&conflict.path.0));
            applied = if conflicts.is_empty() {
                self.merged(live, config, managed, manager, true, now)
            } else {
                Err(ApplyError::Conflicts(conflicts))
            };
        }
        let (mut object, managed) = applied?;
        if is_kubectl {
            last_applied::update(&mut object, config);
        }
        let metadata = object::metadata_mut(&mut object);
        metadata.remove("managedFields");
        metadata.extend(managed.encode().map(|entries| ("managedFields".to_owned(), entries)));
        Ok(object)
    }

    /// Whether `config` is of the kind, and says nothing of who owns what.
    fn check_identity(&self, config: &Value) -> Result<(), ApplyError> {
        let (api_version, kind) = type_of(config);
        if api_version != self.api_version || kind != self.kind {
            return Err(ApplyError::BadRequest(format!("invalid object type: {}", describe_type(config))));
        }
        if object::meta(config, "managedFields").is_some_and(Value::is_array) {
            return Err(ApplyError::BadRequest("metadata.managedFields must be nil".to_owned()));
        }
        Ok(())
    }

    /// The object with `config` merged in, and who owns what then.
    fn merged(
        &self,
        live: &Value,
        config: &Value,
        managed: ManagedFields,
        manager: &str,
        force: bool,
        now: &str,
    ) -> Result<(Value, ManagedFields), ApplyError> {
        let of = self.version.of();
        validate(of, config, false).map_err(|errors| {
            let object = describe(config);
            ApplyError::Unfit(format!("failed to create typed patch object ({object}): {errors}"))
        })?;
        if !self.version.is_built_in() {
            validate(of, live, true).map_err(|errors| {
                let object = describe(live);
                ApplyError::Unfit(format!("failed to create typed live object ({object}): {errors}"))
            })?;
        }
        let mut managed = self.reconciled(managed);
        let merged = merge(of, live, config)
            .map_err(|errors| ApplyError::Unfit(format!("failed to merge config: {errors}")))?;
        let manager = self.manager(manager, Operation::Apply);
        let last = managed.remove(&manager);
        let fields = self.version.filter.apply(set_of(of, config));
        let (last_time, last) = last.map_or((None, None), |last| (last.time.clone(), Some(last)));
        managed.insert(Entry::new(manager.clone(), &self.api_version, last_time, fields.clone()));
        let object = match last.filter(|last| gives_up(last, &self.api_version, &fields)) {
            Some(last) => self.pruned(&merged, &managed, &last),
            None => merged,
        };
        match self.take_over(live, &object, &mut managed, Some(&manager), force) {
            Ok(_) => {}
            Err(TakeOverError::Conflicts(conflicts)) => return Err(ApplyError::Conflicts(conflicts)),
            Err(TakeOverError::Schema(errors)) => {
                return Err(ApplyError::Unfit(format!("failed to compare objects: {errors}")));
            }
        }
        if let Some(mut entry) = managed.remove(&manager) {
            entry.set_fields(strip_meta(entry.fields().into_owned()));
            // Who changes nothing keeps the time of its entry, or has none.
            if !equal(live, &object) {
                entry.time = Some(now.to_owned());
            }
            if !entry.is_empty() {
                managed.insert(entry);
            }
        }
        Ok((object, managed))
    }

    /// `merged` without what the manager applied `last` time and nobody (itself included) owns now.
    fn pruned(&self, merged: &Value, managed: &ManagedFields, last: &Entry) -> Value {
        if self.version(&last.api_version).is_none() {
            return merged.clone();
        }
        let last_fields = last.fields();
        let mut pruned =
            self.without(&last.api_version, merged, merged, |of, _, _| with_named_fields(of, &last_fields));
        // What somebody owns comes back, and what is in it.
        let mut versions: Vec<&str> = vec![&last.api_version];
        for entry in managed.iter() {
            if !versions.contains(&entry.api_version.as_str()) {
                versions.push(&entry.api_version);
            }
        }
        for version in versions {
            pruned = self.without(version, merged, &pruned, |of, merged, pruned| {
                let owned = managed.iter().filter(|entry| entry.api_version == version);
                let kept = owned.fold(FieldSet::new(), |kept, entry| kept.union(entry.fields().into_owned()));
                let kept = with_named_fields(of, &kept).union(named(of, pruned));
                named(of, merged).difference(&kept)
            });
        }
        // So does what went with it and was never this manager's.
        self.without(&last.api_version, merged, &pruned, |of, merged, pruned| {
            let gone = named(of, merged).difference(&named(of, pruned));
            gone.intersection(&with_named_fields(of, &last_fields))
        })
    }

    /// `merged` without the fields that `gone` tells of it and `pruned`, both as they are in a version.
    fn without(
        &self,
        api_version: &str,
        merged: &Value,
        pruned: &Value,
        gone: impl FnOnce(Type<'_>, &Value, &Value) -> FieldSet,
    ) -> Value {
        let Some(version) = self.version(api_version) else { return pruned.clone() };
        let of = version.of();
        let (merged, pruned) = (self.converted(merged, api_version), self.converted(pruned, api_version));
        let left = remove(of, &merged, &gone(of, &merged, &pruned));
        let other = self.others.get(api_version).filter(|_| api_version != self.api_version);
        other.and_then(|other| (other.from)(&left)).unwrap_or(left)
    }
}

/// Whether a manager that owned what `last` says owns less now.
fn gives_up(last: &Entry, api_version: &str, fields: &FieldSet) -> bool {
    !last.is_empty()
        && (last.api_version != api_version || !last.fields().into_owned().difference(fields).is_empty())
}

/// All fields of an object, with the declared ones on the way to them.
fn named(of: Type<'_>, object: &Value) -> FieldSet {
    with_named_fields(of, &set_of(of, object))
}

/// apiVersion and kind; empty where there are none.
fn type_of(object: &Value) -> (&str, &str) {
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    (text("apiVersion"), text("kind"))
}

/// Group, version and kind as messages have them: `apps/v1, Kind=Deployment`.
fn describe_type(object: &Value) -> String {
    let (api_version, kind) = type_of(object);
    match api_version.split('/').collect::<Vec<_>>().as_slice() {
        [version] => format!("/{version}, Kind={kind}"),
        [group, version] => format!("{group}/{version}, Kind={kind}"),
        _ => "/, Kind=".to_owned(),
    }
}

/// An object as messages name it: `namespace/name; apps/v1, Kind=Deployment`.
fn describe(object: &Value) -> String {
    format!("{}/{}; {}", object::namespace(object), object::name(object), describe_type(object))
}

#[cfg(test)]
mod tests;
