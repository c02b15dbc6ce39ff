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
mod tests {
    use serde_json::json;

    use super::*;
    use crate::machinery::{
        apply::{FieldSet, Filter, OtherVersion},
        builtin,
        conform::conform,
    };

    const NOW: &str = "2024-05-01T00:00:00Z";
    const LATER: &str = "2024-05-02T00:00:00Z";

    fn manager_of(kind: &str, api_version: &str, subresource: &str, filter: Filter) -> FieldManager {
        let schema = builtin::schema(&format!("io.k8s.api.{kind}")).unwrap().clone();
        let kind = kind.rsplit('.').next().unwrap();
        FieldManager::new(Version { schema, filter }, api_version, kind, subresource)
    }

    fn config_maps() -> FieldManager {
        manager_of("core.v1.ConfigMap", "v1", "", Filter::All)
    }

    fn config_map(data: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "uid": "1"}, "data": data})
    }

    /// The fields that `new` is said to be owned by after a create, of one manager.
    fn created(fields: &FieldManager, schema: &str, mut new: Value) -> Value {
        conform(builtin::schema(&format!("io.k8s.api.{schema}")).unwrap(), &mut new).unwrap();
        fields.update(None, &mut new, "m", NOW);
        let entries = new["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
        assert!(entries.len() <= 1, "{entries:?}");
        entries.first().map(|entry| entry["fieldsV1"].clone()).unwrap_or_default()
    }

    fn updated(fields: &FieldManager, live: &Value, mut new: Value, manager: &str, now: &str) -> Value {
        if new["metadata"].get("managedFields").is_none() {
            new["metadata"]["managedFields"] = live["metadata"]["managedFields"].clone();
        }
        fields.update(Some(live), &mut new, manager, now);
        new
    }

    /// `manager operation time? fields` of each entry.
    fn entries(object: &Value) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        (object["metadata"]["managedFields"].as_array().into_iter().flatten())
            .map(|entry| {
                let fields = FieldSet::from_fields_v1(&entry["fieldsV1"]).unwrap().to_string();
                let fields = fields.split_whitespace().collect::<Vec<_>>().join(" ");
                format!(
                    "{} {} {}: {fields}",
                    text(&entry["manager"]),
                    text(&entry["operation"]),
                    text(&entry["time"])
                )
            })
            .collect()
    }

    #[test]
    fn who_creates_an_object_owns_what_it_was_made_with() {
        assert_eq!(
            created(&config_maps(), "core.v1.ConfigMap", config_map(json!({"a": "1"}))),
            json!({"f:data": {".": {}, "f:a": {}}})
        );
        assert_eq!(created(&config_maps(), "core.v1.ConfigMap", config_map(json!({}))), json!(null));
        let services = manager_of("core.v1.Service", "v1", "", Filter::except(&[&["status"]]));
        assert_eq!(
            created(
                &services,
                "core.v1.Service",
                json!({
                    "apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "finalizers": ["a"]},
                    "spec": {
                        "selector": {"a": "b"}, "type": "ClusterIP",
                        "ports": [{"port": 443, "protocol": "TCP", "targetPort": 80}, {"port": 80, "protocol": "UDP"}],
                    },
                    "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}},
                })
            ),
            json!({
                "f:metadata": {"f:finalizers": {".": {}, "v:\"a\"": {}}},
                "f:spec": {
                    "f:ports": {
                        ".": {},
                        "k:{\"port\":443,\"protocol\":\"TCP\"}": {
                            ".": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {}},
                        "k:{\"port\":80,\"protocol\":\"UDP\"}": {
                            ".": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {}},
                    },
                    "f:selector": {},
                    "f:type": {},
                },
            })
        );
        let deployments = manager_of("apps.v1.Deployment", "apps/v1", "", Filter::except(&[&["status"]]));
        assert_eq!(
            created(
                &deployments,
                "apps.v1.Deployment",
                json!({
                    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
                    "spec": {
                        "selector": {"matchLabels": {"app": "web"}},
                        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}},
                        "template": {
                            "metadata": {"labels": {"app": "web"}},
                            "spec": {"containers": [{"name": "c", "image": "i"}]},
                        },
                    },
                })
            ),
            json!({"f:spec": {
                "f:selector": {},
                "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}}, "f:type": {}},
                "f:template": {
                    "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                    "f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {
                        ".": {}, "f:image": {}, "f:name": {}, "f:resources": {}}}},
                },
            }})
        );
    }

    #[test]
    fn who_changes_a_field_takes_it_over() {
        let fields = config_maps();
        let mut first = config_map(json!({"a": "1", "b": "1"}));
        fields.update(None, &mut first, "m1", NOW);
        let second = updated(&fields, &first, config_map(json!({"a": "1", "b": "2", "c": "3"})), "m2", LATER);
        assert_eq!(
            entries(&second),
            [
                "m1 Update 2024-05-01T00:00:00Z: .data .data.a",
                "m2 Update 2024-05-02T00:00:00Z: .data.b .data.c",
            ]
        );
        let third = updated(&fields, &second, config_map(json!({"b": "2", "c": "3"})), "m3", LATER);
        assert_eq!(
            entries(&third),
            ["m1 Update 2024-05-01T00:00:00Z: .data", "m2 Update 2024-05-02T00:00:00Z: .data.b .data.c"]
        );
        let mut empty = config_map(json!({}));
        conform(builtin::schema("io.k8s.api.core.v1.ConfigMap").unwrap(), &mut empty).unwrap();
        let fourth = updated(&fields, &second, empty, "m2", LATER);
        assert_eq!(entries(&fourth), [""; 0]);
    }

    #[test]
    fn a_write_that_changes_nothing_changes_no_entry() {
        let fields = config_maps();
        let mut first = config_map(json!({"a": "1"}));
        fields.update(None, &mut first, "m1", NOW);
        assert_eq!(updated(&fields, &first, config_map(json!({"a": "1"})), "m2", LATER), first);
        assert_eq!(updated(&fields, &first, config_map(json!({"a": "1"})), "m1", LATER), first);
    }

    #[test]
    fn entries_that_are_sent_count_if_they_make_sense() {
        let fields = config_maps();
        let mut first = config_map(json!({"a": "1"}));
        fields.update(None, &mut first, "m1", NOW);
        let sent = |managed: Value| {
            let mut new = config_map(json!({"a": "1"}));
            new["metadata"]["managedFields"] = managed;
            new
        };
        let own = json!({"manager": "m9", "operation": "Apply", "apiVersion": "v1", "time": NOW,
            "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:a": {}}}});
        assert_eq!(
            entries(&updated(&fields, &first, sent(json!([own])), "w", LATER)),
            ["m9 Apply 2024-05-01T00:00:00Z: .data.a"]
        );
        for reset in [json!([]), json!([{}])] {
            let cleared = updated(&fields, &first, sent(reset), "w", LATER);
            assert_eq!(entries(&cleared), [""; 0]);
            assert_eq!(
                entries(&updated(&fields, &cleared, config_map(json!({"b": "1"})), "w", LATER)),
                [""; 0]
            );
        }
        let (mut bad_operation, mut bad_fields, mut old_version) = (own.clone(), own.clone(), own);
        bad_operation["operation"] = json!("Patch");
        bad_fields["fieldsV1"] = json!({"data": {}});
        old_version["apiVersion"] = json!("v0");
        for ignored in [json!([bad_operation]), json!([bad_fields])] {
            assert_eq!(entries(&updated(&fields, &first, sent(ignored), "w", LATER)), entries(&first));
        }
        assert_eq!(entries(&updated(&fields, &first, sent(json!([old_version])), "w", LATER)), [""; 0]);
        let status = manager_of("core.v1.ConfigMap", "v1", "status", Filter::All);
        assert_eq!(entries(&updated(&status, &first, sent(json!([])), "w", LATER)), entries(&first));
    }

    #[test]
    fn the_oldest_of_many_updaters_are_merged() {
        let fields = config_maps();
        let mut live = config_map(json!({}));
        for number in 0..12 {
            live["data"][format!("k{number:02}")] = json!("1");
        }
        let mut new = live.clone();
        new["metadata"]["managedFields"] = (0..12)
            .map(|number| {
                json!({"manager": format!("u{number:02}"), "operation": "Update", "apiVersion": "v1",
                    "time": format!("2024-01-01T00:00:{number:02}Z"), "fieldsType": "FieldsV1",
                    "fieldsV1": {"f:data": {format!("f:k{number:02}"): {}}}})
            })
            .collect();
        fields.update(Some(&live), &mut new, "z", NOW);
        let capped = entries(&new);
        assert_eq!(capped.len(), 10);
        assert_eq!(
            capped[..2],
            [
                "ancient-changes Update 2024-01-01T00:00:02Z: .data.k00 .data.k01 .data.k02",
                "u03 Update 2024-01-01T00:00:03Z: .data.k03",
            ]
        );
        let mut more = new.clone();
        more["data"]["zz"] = json!("1");
        let again = entries(&updated(&fields, &new, more, "z", NOW));
        assert_eq!(again.len(), 10);
        assert_eq!(
            again[0],
            "ancient-changes Update 2024-01-01T00:00:03Z: .data.k00 .data.k01 .data.k02 .data.k03"
        );
        assert_eq!(again[9], "z Update 2024-05-01T00:00:00Z: .data.zz");
    }

    #[test]
    fn a_status_write_owns_the_status_alone() {
        let status = manager_of(
            "apps.v1.Deployment",
            "apps/v1",
            "status",
            Filter::except(&[&["spec"], &["metadata", "labels"]]),
        );
        let live = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "uid": "1",
            "managedFields": [{"manager": "m", "operation": "Update", "apiVersion": "apps/v1", "time": NOW,
                "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]},
            "spec": {"replicas": 1}, "status": {}});
        let mut new = live.clone();
        new["spec"]["replicas"] = json!(2);
        new["metadata"]["labels"] = json!({"x": "y"});
        new["status"] = json!({"replicas": 1, "conditions": [{"type": "A", "status": "True"}]});
        status.update(Some(&live), &mut new, "c", LATER);
        assert_eq!(
            entries(&new),
            [
                "m Update 2024-05-01T00:00:00Z: .spec.replicas",
                "c Update 2024-05-02T00:00:00Z: .status.conditions .status.replicas \
                 .status.conditions[type=\"A\"] .status.conditions[type=\"A\"].status \
                 .status.conditions[type=\"A\"].type",
            ]
        );
        assert_eq!(new["metadata"]["managedFields"][1]["subresource"], "status");
    }

    #[test]
    fn what_is_owned_in_another_version_is_compared_in_that() {
        let rename = |from: &'static str, to: &'static str| {
            std::sync::Arc::new(move |object: &Value| {
                let mut object = object.clone();
                let value = object["spec"].as_object_mut()?.remove(from)?;
                object["spec"][to] = value;
                Some(object)
            })
        };
        let other = || OtherVersion {
            version: Version::default(),
            to: rename("new", "old"),
            from: rename("old", "new"),
        };
        let fields =
            FieldManager::new(Version::default(), "e/v2", "Widget", "").with_other_version("e/v1", other());
        let widget = |value: u8| {
            json!({"apiVersion": "e/v2", "kind": "Widget", "metadata": {"uid": "1"},
            "spec": {"new": value, "keep": 1}})
        };
        let mut live = widget(1);
        live["metadata"]["managedFields"] = json!([{"manager": "m", "operation": "Update", "apiVersion": "e/v1",
            "time": NOW, "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:old": {}, "f:keep": {}}}}]);
        assert_eq!(
            entries(&updated(&fields, &live, widget(2), "w", LATER)),
            ["m Update 2024-05-01T00:00:00Z: .spec.keep", "w Update 2024-05-02T00:00:00Z: .spec.new"]
        );
    }

    #[test]
    fn times_alone_do_not_make_a_change() {
        let entry = |time: &str| json!({"manager": "m", "operation": "Apply", "apiVersion": "v1", "time": time, "fieldsV1": {}});
        let object = |time: &str, data: &str| json!({"metadata": {"name": "c", "managedFields": [entry(time)]}, "data": data});
        let live = object(NOW, "a");
        for (mut new, want) in [
            (object(LATER, "a"), object(NOW, "a")),
            (object(LATER, "b"), object(LATER, "b")),
            (object(NOW, "b"), object(NOW, "b")),
        ] {
            keep_times_if_unchanged(&live, &mut new);
            assert_eq!(new, want);
        }
    }
}
