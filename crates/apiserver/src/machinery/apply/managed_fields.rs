//! `metadata.managedFields`: who owns which fields of an object, and since when.

use std::{borrow::Cow, cmp::Ordering};

use serde_json::{Map, Value};

use crate::machinery::go_quoted;

use super::{
    field_set::{FieldSet, limit_depth},
    path_element::write_json,
};

/// Entries of operation `Update` beyond this many are merged, the oldest first.
const UPDATE_MANAGERS_MAX: usize = 10;

/// Who owns what: the entries of `metadata.managedFields`, each of another [`Manager`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ManagedFields {
    entries: Vec<Entry>,
}

/// What one manager owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who.
    pub manager: Manager,
    /// In which version of the API the fields are named.
    pub api_version: String,
    /// When that last changed; `None` for an entry that never did change the object.
    pub time: Option<String>,
    fields: Fields,
}

/// The fields of an entry: most writes leave most entries as they are, so they are read when it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fields {
    Read(FieldSet),
    /// As `fieldsV1`, in the form in which it is written here.
    Written(Value),
}

/// Who owns fields, and how they came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manager {
    /// The name that the client goes by.
    pub name: String,
    /// The way it writes, which for updates includes the version of the API.
    pub operation: Operation,
    /// The subresource it writes through; empty for the object itself.
    pub subresource: String,
}

/// How a manager writes an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// It applies configurations. A manager has one such entry, of the version it applied last.
    Apply,
    /// It writes in any other way, in this version of the API; a manager has an entry for each version.
    Update {
        /// The version.
        api_version: String,
    },
}

/// Why entries that a client sent are none. They are ignored then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidManagedFields(String);

impl Manager {
    /// The text that Kubernetes tells managers apart by, and sorts them by.
    pub fn identity(&self) -> String {
        let mut text = String::from("{");
        if !self.name.is_empty() {
            text.push_str("\"manager\":");
            write_json(&Value::from(self.name.as_str()), &mut text);
            text.push(',');
        }
        text.push_str("\"operation\":\"");
        text.push_str(self.operation.name());
        text.push('"');
        if let Operation::Update { api_version } = &self.operation {
            text.push_str(",\"apiVersion\":");
            write_json(&Value::from(api_version.as_str()), &mut text);
        }
        if !self.subresource.is_empty() {
            text.push_str(",\"subresource\":");
            write_json(&Value::from(self.subresource.as_str()), &mut text);
        }
        text.push('}');
        text
    }

    /// As a message about a conflict names it: `"kubectl" with subresource "scale" using apps/v1`.
    pub fn describe(&self) -> String {
        let mut text = go_quoted(&self.name);
        if !self.subresource.is_empty() {
            text.push_str(" with subresource ");
            text.push_str(&go_quoted(&self.subresource));
        }
        if let Operation::Update { api_version } = &self.operation {
            text.push_str(" using ");
            text.push_str(api_version);
        }
        text
    }
}

impl Operation {
    fn name(&self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update { .. } => "Update",
        }
    }
}

impl Entry {
    /// An entry of these fields.
    pub fn new(manager: Manager, api_version: &str, time: Option<String>, fields: FieldSet) -> Self {
        Self { manager, api_version: api_version.to_owned(), time, fields: Fields::Read(fields) }
    }

    /// An entry of these fields, as this module writes them.
    pub(super) fn written(manager: Manager, api_version: &str, time: &str, mut fields_v1: Value) -> Self {
        limit_depth(&mut fields_v1);
        let fields = Fields::Written(fields_v1);
        Self { manager, api_version: api_version.to_owned(), time: Some(time.to_owned()), fields }
    }

    /// Which fields the manager owns.
    pub fn fields(&self) -> Cow<'_, FieldSet> {
        match &self.fields {
            Fields::Read(fields) => Cow::Borrowed(fields),
            // It was written here, so it can be read.
            Fields::Written(fields) => Cow::Owned(FieldSet::from_fields_v1(fields).unwrap_or_default()),
        }
    }

    /// Lets the manager own other fields.
    pub fn set_fields(&mut self, fields: FieldSet) {
        self.fields = Fields::Read(fields);
    }

    /// Takes these fields away from the manager, if it owns any of them.
    pub fn lose(&mut self, fields: &FieldSet) {
        if let Fields::Written(written) = &self.fields
            && !fields.overlaps_fields_v1(written)
        {
            return;
        }
        let owned = self.fields().into_owned();
        self.set_fields(owned.difference(fields));
    }

    /// Whether nothing was changed since it was stored.
    pub(super) fn is_as_written(&self) -> bool {
        matches!(self.fields, Fields::Written(_))
    }

    /// Whether the manager owns nothing.
    pub fn is_empty(&self) -> bool {
        match &self.fields {
            Fields::Read(fields) => fields.is_empty(),
            Fields::Written(fields) => fields.as_object().is_none_or(Map::is_empty),
        }
    }

    /// Whether it is of operation `Apply`.
    pub fn is_applied(&self) -> bool {
        self.manager.operation == Operation::Apply
    }

    fn seconds(&self) -> &str {
        self.time.as_deref().unwrap_or("1970-01-01T00:00:00Z")
    }

    /// The order of entries in an object: `Apply` first, the older before the newer.
    fn order(&self, other: &Self) -> Ordering {
        let operation = |entry: &Self| entry.manager.operation.name();
        (operation(self).cmp(operation(other)))
            .then_with(|| self.seconds().cmp(other.seconds()))
            .then_with(|| self.manager.name.cmp(&other.manager.name))
            .then_with(|| self.api_version.cmp(&other.api_version))
            .then_with(|| self.manager.subresource.cmp(&other.manager.subresource))
    }

    fn decode(entry: &Value, position: usize) -> Result<Self, InvalidManagedFields> {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        let invalid = |why: String| Err(InvalidManagedFields(why));
        let api_version = text("apiVersion").to_owned();
        let operation = match text("operation") {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update { api_version: api_version.clone() },
            _ => return invalid("operation must be `Apply` or `Update`".to_owned()),
        };
        if api_version.is_empty() {
            return invalid("apiVersion must not be empty".to_owned());
        }
        match text("fieldsType") {
            "FieldsV1" => {}
            "" => return invalid(format!("missing fieldsType in managed fields entry {position}")),
            other => {
                let other = go_quoted(other);
                return invalid(format!("invalid fieldsType {other} in managed fields entry {position}"));
            }
        }
        let fields = match entry.get("fieldsV1") {
            None => Fields::Read(FieldSet::new()),
            Some(fields) => Fields::Read(FieldSet::from_fields_v1(fields).map_err(|error| {
                InvalidManagedFields(format!("error decoding versioned set: error decoding set: {error}"))
            })?),
        };
        let manager = Manager {
            name: text("manager").to_owned(),
            operation,
            subresource: text("subresource").to_owned(),
        };
        let time = entry.get("time").and_then(Value::as_str).map(ToOwned::to_owned);
        Ok(Self { manager, api_version, time, fields })
    }

    fn encode(self) -> Value {
        let mut entry = Map::new();
        let mut set = |field: &str, value: Value| {
            entry.insert(field.to_owned(), value);
        };
        set("operation", self.manager.operation.name().into());
        if !self.manager.name.is_empty() {
            set("manager", self.manager.name.into());
        }
        set("apiVersion", self.api_version.into());
        if let Some(time) = self.time {
            set("time", time.into());
        }
        set("fieldsType", "FieldsV1".into());
        set(
            "fieldsV1",
            match self.fields {
                Fields::Read(fields) => fields.to_fields_v1(),
                Fields::Written(fields) => fields,
            },
        );
        if !self.manager.subresource.is_empty() {
            set("subresource", self.manager.subresource.into());
        }
        Value::Object(entry)
    }
}

impl ManagedFields {
    /// Reads the entries of `metadata.managedFields`.
    ///
    /// # Errors
    /// The first entry that is none.
    pub fn decode(entries: Option<&Value>) -> Result<Self, InvalidManagedFields> {
        let mut managed = Self::default();
        let entries = entries.and_then(Value::as_array).into_iter().flatten();
        for (position, entry) in entries.enumerate() {
            managed.insert(Entry::decode(entry, position)?);
        }
        Ok(managed)
    }

    /// Takes the entries of a stored object, whose fields are in the form in which they are written here.
    pub(super) fn stored(entries: Value) -> Self {
        let mut managed = Self::default();
        let entries = match entries {
            Value::Array(entries) => entries,
            _ => Vec::new(),
        };
        for (position, mut entry) in entries.into_iter().enumerate() {
            let fields = entry.as_object_mut().and_then(|entry| entry.remove("fieldsV1"));
            // What makes no sense is not stored.
            let Ok(mut entry) = Entry::decode(&entry, position) else { return Self::default() };
            entry.fields = Fields::Written(fields.unwrap_or_default());
            managed.insert(entry);
        }
        managed
    }

    /// Writes `metadata.managedFields`; `None` if nobody owns anything.
    pub fn encode(mut self) -> Option<Value> {
        if self.entries.is_empty() {
            return None;
        }
        self.entries.sort_by(Entry::order);
        Some(self.entries.into_iter().map(Entry::encode).collect())
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The entries, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut()
    }

    /// The entry of `manager`.
    pub fn get(&self, manager: &Manager) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.manager == *manager)
    }

    /// Takes the entry of `manager` out.
    pub fn remove(&mut self, manager: &Manager) -> Option<Entry> {
        let position = self.entries.iter().position(|entry| entry.manager == *manager)?;
        Some(self.entries.swap_remove(position))
    }

    /// Puts an entry in, in place of the one of the same manager.
    pub fn insert(&mut self, entry: Entry) {
        match self.entries.iter_mut().find(|old| old.manager == entry.manager) {
            Some(old) => *old = entry,
            None => self.entries.push(entry),
        }
    }

    /// Keeps the entries that `keep` says.
    pub fn retain(&mut self, keep: impl FnMut(&Entry) -> bool) {
        self.entries.retain(keep);
    }

    /// Merges the oldest entries of operation `Update` into one a version, named `ancient-changes`, until there are
    /// no more than `UPDATE_MANAGERS_MAX` (10).
    pub fn cap_update_managers(&mut self) {
        let mut updaters: Vec<(String, String, Manager)> = self
            .entries
            .iter()
            .filter(|entry| !entry.is_applied())
            .map(|entry| (entry.seconds().to_owned(), entry.manager.identity(), entry.manager.clone()))
            .collect();
        let mut excess = updaters.len().saturating_sub(UPDATE_MANAGERS_MAX);
        updaters.sort_by(|left, right| (&left.0, &left.1).cmp(&(&right.0, &right.1)));
        let mut first_of_version: Vec<(String, Manager)> = Vec::new();
        for (_, _, manager) in updaters {
            if excess == 0 {
                break;
            }
            let Operation::Update { api_version } = &manager.operation else { continue };
            let bucket =
                Manager { name: "ancient-changes".to_owned(), subresource: String::new(), ..manager.clone() };
            let first = first_of_version.iter().find(|(version, _)| version == api_version);
            let Some((_, first)) = first else {
                first_of_version.push((api_version.clone(), manager));
                continue;
            };
            if self.get(&bucket).is_none()
                && let Some(first) = self.remove(first)
            {
                self.insert(Entry { manager: bucket.clone(), ..first });
            }
            if manager == bucket {
                continue;
            }
            if let (Some(merged), Some(old)) = (self.remove(&bucket), self.remove(&manager)) {
                // The newer of the two times: entries come in the order of theirs.
                let fields = merged.fields().into_owned().union(old.fields().into_owned());
                self.insert(Entry { fields: Fields::Read(fields), time: old.time, ..merged });
                excess -= 1;
            }
        }
    }
}

/// Whether the entries of `metadata.managedFields` could be read (mutating admission must leave them so).
///
/// # Errors
/// Why not.
pub fn validate(entries: Option<&Value>) -> Result<(), InvalidManagedFields> {
    ManagedFields::decode(entries).map(|_| ())
}

/// Whether a client asks to forget who owns what: an empty list, or one empty entry.
pub fn is_reset(entries: Option<&Value>) -> bool {
    match entries.and_then(Value::as_array).map(Vec::as_slice) {
        Some([]) => true,
        Some([entry]) => entry
            .as_object()
            .is_some_and(|entry| entry.values().all(|value| value.is_null() || value.as_str() == Some(""))),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(manager: &str, operation: &str, time: Option<&str>) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "time": time,
            "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {}}})
    }

    #[test]
    fn entries_are_sorted_by_operation_time_and_manager() {
        let entries = json!([
            entry("b", "Update", Some("2024-01-01T00:00:00Z")),
            entry("a", "Update", Some("2024-01-02T00:00:00Z")),
            entry("a2", "Update", Some("2024-01-01T00:00:00Z")),
            entry("z", "Apply", Some("2024-01-03T00:00:00Z")),
            entry("new", "Update", None),
            entry("b", "Update", Some("2024-01-04T00:00:00Z")),
        ]);
        let encoded = ManagedFields::decode(Some(&entries)).unwrap().encode().unwrap();
        let names: Vec<_> =
            encoded.as_array().unwrap().iter().map(|entry| entry["manager"].as_str().unwrap()).collect();
        // The last of two entries of one manager counts.
        assert_eq!(names, ["z", "new", "a2", "a", "b"]);
        assert_eq!(encoded[1].get("time"), None);
    }

    #[test]
    fn entries_that_make_no_sense_are_told() {
        let change = |field: &str, value: Value| {
            let mut entry = entry("m", "Update", None);
            entry[field] = value;
            json!([entry])
        };
        for (entries, want) in [
            (change("operation", json!("Patch")), "operation must be `Apply` or `Update`"),
            (change("apiVersion", json!("")), "apiVersion must not be empty"),
            (change("fieldsType", json!("")), "missing fieldsType in managed fields entry 0"),
            (change("fieldsType", json!("V2")), "invalid fieldsType \"V2\" in managed fields entry 0"),
        ] {
            assert_eq!(validate(Some(&entries)).unwrap_err().to_string(), want);
        }
        assert!(validate(Some(&change("fieldsV1", json!({"nonsense": {}})))).is_err());
        for sensible in
            [json!(null), json!([]), change("fieldsV1", json!(null)), change("manager", json!(""))]
        {
            assert_eq!(validate(Some(&sensible)), Ok(()), "{sensible}");
        }
    }

    #[test]
    fn an_entry_that_loses_nothing_stays_as_it_was_written() {
        let fields = json!({"f:data": {".": {}, "f:a": {}, "k:{\"port\":80}": {"f:x": {}}}});
        for (lost, changes, want) in [
            (json!({"f:other": {}, "f:data": {"f:b": {}}}), false, fields.clone()),
            (json!({"f:data": {"k:{\"port\":80}": {}}}), false, fields.clone()),
            (json!({"f:data": {}}), true, json!({"f:data": {"f:a": {}, "k:{\"port\":80}": {"f:x": {}}}})),
            (
                json!({"f:data": {"k:{\"port\":80}": {"f:x": {}}}}),
                true,
                json!({"f:data": {".": {}, "f:a": {}}}),
            ),
        ] {
            let mut stored = entry("m", "Update", None);
            stored["fieldsV1"] = fields.clone();
            let mut managed = ManagedFields::stored(json!([stored]));
            for entry in managed.iter_mut() {
                entry.lose(&FieldSet::from_fields_v1(&lost).unwrap());
                assert_eq!(entry.is_as_written(), !changes, "{lost}");
            }
            assert_eq!(managed.encode().unwrap()[0]["fieldsV1"], want, "{lost}");
        }
    }

    #[test]
    fn a_manager_is_told_apart_and_described_as_kubernetes_does() {
        let manager = |operation, subresource: &str| Manager {
            name: "m".to_owned(),
            operation,
            subresource: subresource.to_owned(),
        };
        let update = Operation::Update { api_version: "apps/v1".to_owned() };
        let applier = manager(Operation::Apply, "");
        let updater = manager(update, "status");
        assert_eq!(applier.identity(), r#"{"manager":"m","operation":"Apply"}"#);
        assert_eq!(
            updater.identity(),
            r#"{"manager":"m","operation":"Update","apiVersion":"apps/v1","subresource":"status"}"#
        );
        assert_eq!(applier.describe(), "\"m\"");
        assert_eq!(updater.describe(), "\"m\" with subresource \"status\" using apps/v1");
    }
}
