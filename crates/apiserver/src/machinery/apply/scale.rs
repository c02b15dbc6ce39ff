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

    /// The path in a version that is known; `None` within if it has none.
    fn path(&self, api_version: &str) -> Option<Option<&[PathElement]>> {
        let (_, path) = self.paths.iter().find(|(version, _)| version == api_version)?;
        Some(path.as_deref())
    }

    /// The entries of a `Scale` made of an object with these entries.
    ///
    /// # Errors
    /// Entries that make no sense.
    pub fn to_scale(&self, entries: Option<&Value>) -> Result<Option<Value>, InvalidManagedFields> {
        let mut managed = ManagedFields::decode(entries)?;
        managed.retain(|entry| match self.path(&entry.api_version) {
            Some(Some(path)) => entry.fields().has(path),
            _ => false,
        });
        for entry in managed.iter_mut() {
            entry.api_version = SCALE_VERSION.to_owned();
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
        for entry in before.iter() {
            let Some(path) = self.path(&entry.api_version) else { continue };
            let mut entry = entry.clone();
            if let Some(path) = path.filter(|path| entry.fields().has(path))
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
            let path = self.path(&self.api_version).flatten().unwrap_or_default();
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
