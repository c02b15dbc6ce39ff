//! Keeping `metadata.managedFields` on creates, updates and patches: who changes a field owns it, and nobody else
//! does.

use std::borrow::Cow;

use serde_json::Value;

use crate::machinery::object;

use super::{
    FieldManager, Version,
    compare::{Comparison, compare},
    conflict::{Conflict, Conflicts},
    created::created,
    field_set::FieldSet,
    filter::Filter,
    managed_fields::{Entry, ManagedFields, Manager, is_reset},
    reconcile::reconcile,
    strip_meta, strip_written_meta,
    validate::{SchemaErrors, validate},
};

/// Why ownership could not pass.
#[derive(Debug, thiserror::Error)]
pub(super) enum TakeOverError {
    #[error(transparent)]
    Schema(#[from] SchemaErrors),
    #[error("others own fields that would change")]
    Conflicts(Conflicts),
}

impl FieldManager {
    /// Sets `new.metadata.managedFields` for a create (`live` is `None`), an update or a patch. `live` is the stored
    /// object, `new` the one to be stored, defaults and all, with the `metadata.managedFields` that were sent (an
    /// empty list included, which conforming drops: it asks to forget who owns what). `manager` is the name of the
    /// client; `now` is RFC 3339 in whole seconds.
    ///
    /// A write that changes nothing changes no entry. Entries that make no sense are ignored, and if `new` does not
    /// fit its schema nothing is said of who owns it: validation refuses it.
    pub fn update(&self, live: Option<&Value>, new: &mut Value, manager: &str, now: &str) {
        let sent = new.get_mut("metadata").and_then(Value::as_object_mut);
        let sent = sent.and_then(|metadata| metadata.remove("managedFields"));
        let owned = live.and_then(|live| object::meta(live, "managedFields"));
        let managed = self.before(sent, owned);
        // Nobody is said to own an object whose entries somebody removed, until it is applied to.
        if managed.is_empty() && live.is_some_and(|live| !object::uid(live).is_empty()) {
            return;
        }
        let manager = self.updater(manager);
        let managed = match (live, &self.version.filter) {
            (None, Filter::All) if managed.is_empty() => self.created(new, &FieldSet::new(), manager, now),
            (None, Filter::Except(except)) if managed.is_empty() => self.created(new, except, manager, now),
            _ => self.updated(live.unwrap_or(&self.empty), new, managed, manager, now),
        };
        if let Some(entries) = managed.ok().and_then(ManagedFields::encode) {
            object::metadata_mut(new).insert("managedFields".to_owned(), entries);
        }
    }

    /// The entries that an update starts from: those that were sent, if they make sense and it is not through a
    /// subresource, else those of the stored object.
    fn before(&self, sent: Option<Value>, owned: Option<&Value>) -> ManagedFields {
        if sent.as_ref() == owned {
            return sent.map(ManagedFields::stored).unwrap_or_default();
        }
        if self.subresource.is_empty() {
            if is_reset(sent.as_ref()) {
                return ManagedFields::default();
            }
            let sent = ManagedFields::decode(sent.as_ref()).ok();
            if let Some(managed) = sent.filter(|managed| !managed.is_empty()) {
                return managed;
            }
        }
        owned.cloned().map(ManagedFields::stored).unwrap_or_default()
    }

    /// The one entry of a new object.
    fn created(
        &self,
        new: &Value,
        except: &FieldSet,
        manager: Manager,
        now: &str,
    ) -> Result<ManagedFields, SchemaErrors> {
        if !self.version.is_built_in() {
            validate(self.version.of(), new, true)?;
        }
        let mut fields = created(self.version.of(), &self.empty, new, except)?;
        strip_written_meta(&mut fields);
        let mut managed = ManagedFields::default();
        let entry = Entry::written(manager, &self.api_version, now, fields);
        if !entry.is_empty() {
            managed.insert(entry);
        }
        Ok(managed)
    }

    /// The entries after `manager` made `new` of `live` in any other way than by applying.
    pub(super) fn updated(
        &self,
        live: &Value,
        new: &Value,
        managed: ManagedFields,
        manager: Manager,
        now: &str,
    ) -> Result<ManagedFields, SchemaErrors> {
        // A built-in object fits its schema, having been decoded by it.
        if !self.version.is_built_in() {
            validate(self.version.of(), live, true)?;
            validate(self.version.of(), new, true)?;
        }
        let mut managed = self.reconciled(managed);
        let comparison = match self.take_over(live, new, &mut managed, None, true) {
            Ok(comparison) => comparison,
            Err(TakeOverError::Schema(errors)) => return Err(errors),
            // Nobody objects to force.
            Err(TakeOverError::Conflicts(_)) => return Ok(managed),
        };
        let fields = strip_meta(comparison.changed);
        if !fields.is_empty() {
            let before = managed.remove(&manager).map(|entry| entry.fields().into_owned());
            let fields = fields.union(before.unwrap_or_default());
            managed.insert(Entry::new(manager, &self.api_version, Some(now.to_owned()), fields));
        }
        managed.cap_update_managers();
        Ok(managed)
    }

    /// The entries as they would be had the schema always been as it is. Those of versions that are not served are
    /// dropped.
    pub(super) fn reconciled(&self, mut managed: ManagedFields) -> ManagedFields {
        managed.retain(|entry| self.version(&entry.api_version).is_some());
        // What was written here is of today's schema, as far as that is our own.
        let changing = |entry: &&mut Entry| !self.version.is_built_in() || !entry.is_as_written();
        for entry in managed.iter_mut().filter(changing) {
            let of = self.version(&entry.api_version).map(Version::of);
            if let Some(fields) = of.and_then(|of| reconcile(of, &entry.fields())) {
                entry.set_fields(fields);
            }
        }
        managed
    }

    /// Takes what changed from `live` to `new` away from all entries but that of `winner`, and what went too;
    /// entries with nothing left go. Gives what changed, in the field manager's own version.
    ///
    /// # Errors
    /// Without `force`, what others own of what changed.
    pub(super) fn take_over(
        &self,
        live: &Value,
        new: &Value,
        managed: &mut ManagedFields,
        winner: Option<&Manager>,
        force: bool,
    ) -> Result<Comparison, TakeOverError> {
        let own = self.compare(&self.api_version, live, new)?;
        let mut others: Vec<(String, Comparison)> = Vec::new();
        for entry in managed.iter().filter(|entry| entry.api_version != self.api_version) {
            if others.iter().all(|(api_version, _)| *api_version != entry.api_version) {
                let comparison = self.compare(&entry.api_version, live, new)?;
                others.push((entry.api_version.clone(), comparison));
            }
        }
        let comparison = |entry: &Entry| {
            let other = others.iter().find(|(api_version, _)| *api_version == entry.api_version);
            other.map_or(&own, |(_, comparison)| comparison)
        };
        let losers = |entry: &&Entry| winner != Some(&entry.manager);
        if !force {
            let conflicts = managed.iter().filter(losers).flat_map(|entry| {
                let paths = entry.fields().intersection(&comparison(entry).changed).paths();
                paths.into_iter().map(|path| Conflict { manager: entry.manager.clone(), path })
            });
            let conflicts: Conflicts = conflicts.collect();
            if !conflicts.is_empty() {
                return Err(TakeOverError::Conflicts(conflicts));
            }
        }
        for entry in managed.iter_mut().filter(|entry| winner != Some(&entry.manager)) {
            let Comparison { changed, removed } = comparison(entry);
            entry.lose(changed);
            entry.lose(removed);
        }
        managed.retain(|entry| !entry.is_empty());
        Ok(own)
    }

    /// Compares two objects in a version, without what the write could not own. An object that cannot be had in
    /// that version is compared in the field manager's own.
    fn compare(&self, api_version: &str, old: &Value, new: &Value) -> Result<Comparison, SchemaErrors> {
        let version = self.version(api_version).unwrap_or(&self.version);
        let (old, new) = (self.converted(old, api_version), self.converted(new, api_version));
        if api_version != self.api_version && !version.is_built_in() {
            validate(version.of(), &old, true)?;
            validate(version.of(), &new, true)?;
        }
        let compared = compare(version.of(), &old, &new)?;
        Ok(Comparison {
            changed: version.filter.apply(compared.changed),
            removed: version.filter.apply(compared.removed),
        })
    }

    /// What is known of a version that the kind is served in.
    pub(super) fn version(&self, api_version: &str) -> Option<&Version> {
        if api_version == self.api_version {
            return Some(&self.version);
        }
        self.others.get(api_version).map(|other| &other.version)
    }

    /// The object in another version.
    pub(super) fn converted<'v>(&self, object: &'v Value, api_version: &str) -> Cow<'v, Value> {
        let other = self.others.get(api_version).filter(|_| api_version != self.api_version);
        other.and_then(|other| (other.to)(object)).map_or(Cow::Borrowed(object), Cow::Owned)
    }
}

/// Gives the entries of `new` the times that they have in `live`, if nothing but times is different: a write that
/// changes nothing is not to be seen. To be called last, on the object as it would be stored.
pub fn keep_times_if_unchanged(live: &Value, new: &mut Value) {
    let entries = |object| object::meta(object, "managedFields").and_then(Value::as_array);
    let (Some(old), Some(changed)) = (entries(live), entries(new)) else { return };
    if old == changed || old.len() != changed.len() {
        return;
    }
    let same = |(old, new): (&Value, &Value)| without(old, "time").eq(without(new, "time"));
    if !old.iter().zip(changed).all(same) || !equal_but_entries(live, new) {
        return;
    }
    let old = Value::Array(old.clone());
    object::metadata_mut(new).insert("managedFields".to_owned(), old);
}

fn equal_but_entries(left: &Value, right: &Value) -> bool {
    without(left, "metadata").eq(without(right, "metadata"))
        && (left.get("metadata").into_iter().flat_map(|metadata| without(metadata, "managedFields")))
            .eq(right.get("metadata").into_iter().flat_map(|metadata| without(metadata, "managedFields")))
}

/// The fields of an object but one.
fn without<'v>(object: &'v Value, field: &str) -> impl Iterator<Item = (&'v String, &'v Value)> {
    object.as_object().into_iter().flatten().filter(move |(name, _)| *name != field)
}

#[cfg(test)]
mod tests;
