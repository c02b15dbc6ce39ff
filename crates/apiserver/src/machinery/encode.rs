//! From a JSON value to the bytes of an answer, where they are not JSON.

use serde_json::Value;

/// The value as YAML, as `sigs.k8s.io/yaml` writes it.
pub fn yaml(value: &Value) -> String {
    super::yaml::write(value)
}
