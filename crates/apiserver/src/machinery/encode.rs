//! Writing values as YAML, as `sigs.k8s.io/yaml` does.

use serde_json::Value;

/// The value as a YAML document with sorted keys.
pub fn yaml(value: &Value) -> String {
    serde_saphyr::to_string(value).unwrap_or_default()
}
