//! What stands against applying a configuration: others own fields that it would change.

use serde_json::json;

use crate::status::ApiError;

use super::{field_set::FieldPath, managed_fields::Manager};

/// A field that somebody else owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Who.
    pub manager: Manager,
    /// Which field.
    pub path: FieldPath,
}

/// Fields that others own, sorted by who does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conflicts(Vec<Conflict>);

impl Conflicts {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The conflicts, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &Conflict> {
        self.0.iter()
    }

    /// The conflicts that `keep` says.
    #[must_use]
    pub fn filter(mut self, keep: impl FnMut(&Conflict) -> bool) -> Self {
        self.0.retain(keep);
        self
    }

    /// The sentence that names them all.
    pub fn message(&self) -> String {
        if let [conflict] = self.0.as_slice() {
            let manager = conflict.manager.describe();
            return format!("Apply failed with 1 conflict: conflict with {manager}: {}", conflict.path);
        }
        let mut lines = Vec::new();
        let mut named = None;
        for conflict in &self.0 {
            if named != Some(&conflict.manager) {
                lines.push(format!("conflicts with {}:", conflict.manager.describe()));
                named = Some(&conflict.manager);
            }
            lines.push(format!("- {}", conflict.path));
        }
        format!("Apply failed with {} conflicts: {}", self.0.len(), lines.join("\n"))
    }

    /// The 409 answer.
    pub fn to_api_error(&self) -> ApiError {
        let causes: Vec<_> = self
            .iter()
            .map(|conflict| {
                json!({
                    "reason": "FieldManagerConflict",
                    "message": format!("conflict with {}", conflict.manager.describe()),
                    "field": conflict.path.to_string(),
                })
            })
            .collect();
        ApiError::new(409, "Conflict", self.message()).with_details(json!({"causes": causes}))
    }
}

impl FromIterator<Conflict> for Conflicts {
    /// In any order of managers; the order of each one's fields stays.
    fn from_iter<T: IntoIterator<Item = Conflict>>(conflicts: T) -> Self {
        let mut conflicts: Vec<Conflict> = conflicts.into_iter().collect();
        conflicts.sort_by_cached_key(|conflict| conflict.manager.identity());
        Self(conflicts)
    }
}
