//! The two ways to write a schema down: OpenAPI 3.0 and Swagger 2.0.

use serde_json::{Map, Value, json};

/// A version of OpenAPI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Swagger 2.0 (`/openapi/v2`).
    V2,
    /// OpenAPI 3.0 (`/openapi/v3`).
    V3,
}

impl Dialect {
    /// A reference to a definition.
    pub fn reference(self, name: &str) -> Value {
        // In a JSON pointer, names have no slashes to escape: they are dotted.
        let path = match self {
            Self::V2 => "#/definitions/",
            Self::V3 => "#/components/schemas/",
        };
        format!("{path}{name}").into()
    }

    /// Puts a reference into a schema that says more than the reference. OpenAPI 3.0 does not look at what stands
    /// beside a reference; clients of 2.0 do.
    pub fn refer(self, schema: &mut Map<String, Value>, name: &str) {
        let reference = self.reference(name);
        if self == Self::V3 && !schema.is_empty() {
            schema.insert("allOf".to_owned(), json!([{"$ref": reference}]));
        } else {
            schema.insert("$ref".to_owned(), reference);
        }
    }
}
