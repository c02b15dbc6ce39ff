//! Who owns the number of replicas, as it is seen through the `scale` subresource: the entries of the scaled object
//! in terms of a `Scale`, and back (`managedfields.ScaleHandler` in Kubernetes).

use serde_json::Value;

use super::{
    field_set::FieldSet,
    managed_fields::{InvalidManagedFields, ManagedFields},
    path_element::PathElement,
};

/// The version of `Scale` objects.
const SCALE_VERSION: &str = "autoscaling/v1";

/// Where a kind keeps its number of replicas.
#[derive(Debug, Clone)]
pub struct ScaleFields {
    /// The version of the kind that is written through.
    api_version: String,
    /// The path of the field in each version of the kind; `None` for a version without the subresource.
    paths: Vec<(String, Option<Vec<PathElement>>)>,
}

impl ScaleFields {
    /// A kind that keeps its replicas in the field at `path` (such as `["spec", "replicas"]`) in this version, which
    /// is the one that is written through.
    pub fn new(api_version: &str, path: &[&str]) -> Self {
        let own = Self { api_version: api_version.to_owned(), paths: Vec::new() };
        own.with_other_version(api_version, Some(path))
    }

    /// The same, with another version of the kind; `None` if that has no replicas. Entries of versions that are not
    /// given are forgotten.
    #[must_use]
    pub fn with_other_version(mut self, api_version: &str, path: Option<&[&str]>) -> Self {
        let path = path.map(|path| path.iter().map(|name| PathElement::field(name)).collect());
        self.paths.push((api_version.to_owned(), path));
        self
    }

    /// The path in a version that has one.
    fn path(&self, api_version: &str) -> Option<&[PathElement]> {
        self.paths.iter().find(|(version, _)| version == api_version)?.1.as_deref()
    }

    fn knows(&self, api_version: &str) -> bool {
        self.paths.iter().any(|(version, _)| version == api_version)
    }

    /// The entries of a `Scale` made of an object with these entries.
    ///
    /// # Errors
    /// Entries that make no sense.
    pub fn to_scale(&self, entries: Option<&Value>) -> Result<Option<Value>, InvalidManagedFields> {
        let mut managed = ManagedFields::decode(entries)?;
        managed.retain(|entry| self.path(&entry.api_version).is_some_and(|path| entry.fields().has(path)));
        for entry in managed.iter_mut() {
            SCALE_VERSION.clone_into(&mut entry.api_version);
            entry.set_fields(replicas_of_scale());
        }
        Ok(managed.encode())
    }

    /// The entries of the object, which were `entries`, after a write to its `Scale` that left `scale_entries` there.
    ///
    /// # Errors
    /// Entries that make no sense.
    pub fn to_object(
        &self,
        entries: Option<&Value>,
        scale_entries: Option<&Value>,
    ) -> Result<Option<Value>, InvalidManagedFields> {
        let before = ManagedFields::decode(entries)?;
        let mut scale = ManagedFields::decode(scale_entries)?;
        let mut after = ManagedFields::default();
        for entry in before.iter().filter(|entry| self.knows(&entry.api_version)) {
            let mut entry = entry.clone();
            if let Some(path) = self.path(&entry.api_version).filter(|path| entry.fields().has(path))
                && scale.remove(&entry.manager).is_none()
            {
                // Somebody took it over.
                entry.lose(&FieldSet::of_path(path));
                if entry.is_empty() {
                    continue;
                }
            }
            after.insert(entry);
        }
        let replicas = replicas_of_scale();
        for entry in scale.iter().filter(|entry| !entry.fields().intersection(&replicas).is_empty()) {
            let mut entry = entry.clone();
            let path = self.path(&self.api_version).unwrap_or_default();
            entry.set_fields(FieldSet::of_path(path));
            entry.api_version.clone_from(&self.api_version);
            // As Kubernetes has it: the time of the entry before, if the manager had one.
            entry.time = before.get(&entry.manager).and_then(|before| before.time.clone());
            after.insert(entry);
        }
        Ok(after.encode())
    }
}

fn replicas_of_scale() -> FieldSet {
    FieldSet::of_fields(&[&["spec", "replicas"]])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: &str = "2024-05-01T00:00:00Z";

    fn entry(manager: &str, operation: &str, api_version: &str, subresource: &str, fields: Value) -> Value {
        let mut entry = json!({"manager": manager, "operation": operation, "apiVersion": api_version,
            "time": NOW, "fieldsType": "FieldsV1", "fieldsV1": fields});
        if !subresource.is_empty() {
            entry["subresource"] = subresource.into();
        }
        entry
    }

    fn timeless(mut entry: Value) -> Value {
        entry.as_object_mut().unwrap().remove("time");
        entry
    }

    #[test]
    fn who_owns_the_replicas_is_seen_on_the_scale() {
        let fields =
            ScaleFields::new("apps/v1", &["spec", "replicas"]).with_other_version("apps/v1beta9", None);
        let entries = json!([
            entry("a", "Apply", "apps/v1", "", json!({"f:spec": {"f:replicas": {}, "f:selector": {}}})),
            entry("b", "Update", "apps/v1", "", json!({"f:spec": {"f:selector": {}}})),
            entry("c", "Apply", "apps/v1beta9", "", json!({"f:spec": {"f:replicas": {}}})),
        ]);
        assert_eq!(
            fields.to_scale(Some(&entries)).unwrap(),
            Some(json!([entry("a", "Apply", "autoscaling/v1", "", json!({"f:spec": {"f:replicas": {}}}))]))
        );
        assert!(fields.to_scale(Some(&json!([{}]))).is_err());
    }

    #[test]
    fn who_takes_the_replicas_over_on_the_scale_owns_them() {
        let fields =
            ScaleFields::new("apps/v1", &["spec", "replicas"]).with_other_version("apps/v1beta9", None);
        let replicas = json!({"f:spec": {"f:replicas": {}}});
        let both = json!({"f:spec": {"f:replicas": {}, "f:selector": {}}});
        let selector = json!({"f:spec": {"f:selector": {}}});
        let before = entry("a", "Apply", "apps/v1", "", both.clone());
        for (entries, scale, want) in [
            // Nobody did.
            (
                json!([before]),
                json!([entry("a", "Apply", "autoscaling/v1", "", replicas.clone())]),
                json!([before]),
            ),
            // Another applier, and another updater.
            (
                json!([before]),
                json!([entry("s", "Apply", "autoscaling/v1", "scale", replicas.clone())]),
                json!([
                    timeless(entry("s", "Apply", "apps/v1", "scale", replicas.clone())),
                    entry("a", "Apply", "apps/v1", "", selector.clone()),
                ]),
            ),
            (
                json!([before]),
                json!([entry("s", "Update", "autoscaling/v1", "scale", replicas.clone())]),
                json!([
                    entry("a", "Apply", "apps/v1", "", selector),
                    timeless(entry("s", "Update", "apps/v1", "scale", replicas.clone())),
                ]),
            ),
            // The same applier, on the scale; nothing else was its own.
            (
                json!([entry("a", "Apply", "apps/v1", "", replicas.clone())]),
                json!([entry("a", "Apply", "autoscaling/v1", "scale", replicas.clone())]),
                json!([timeless(entry("a", "Apply", "apps/v1", "scale", replicas.clone()))]),
            ),
            // Versions without replicas are kept, versions that are not known are not.
            (
                json!([
                    entry("x", "Update", "apps/v0", "", both.clone()),
                    entry("y", "Update", "apps/v1beta9", "", both.clone()),
                ]),
                json!([]),
                json!([entry("y", "Update", "apps/v1beta9", "", both.clone())]),
            ),
        ] {
            assert_eq!(fields.to_object(Some(&entries), Some(&scale)).unwrap(), Some(want), "{scale}");
        }
    }
}
