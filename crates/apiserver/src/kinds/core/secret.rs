//! Secret: what each of its types must hold, and `stringData`, which becomes `data`.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};

use super::config_map::{DATA_SIZE_MAX, decoded_length, validate_immutable};
use crate::{
    kinds::Strategy,
    machinery::{
        FieldErrors, Path,
        fields::{entries, fill, text},
        format, metadata, object,
    },
};

/// The behaviour of Secrets.
pub static STRATEGY: Strategy =
    Strategy { default, validate_create: validate, validate_update, ..Strategy::PLAIN };

const SERVICE_ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";
const REDACTED: &str = "<secret contents redacted>";

/// `stringData` is only ever sent, never stored.
fn default(secret: &mut Value) {
    let secret = object::map_mut(secret);
    if let Some(Value::Object(texts)) = secret.remove("stringData")
        && !texts.is_empty()
    {
        let data = secret.entry("data").or_insert_with(|| Value::Object(Map::new()));
        let data = object::map_mut(data);
        for (key, value) in texts {
            data.insert(key, BASE64_STANDARD.encode(value.as_str().unwrap_or_default()).into());
        }
    }
    if secret.get("type").and_then(Value::as_str).unwrap_or_default().is_empty() {
        secret.remove("type");
        fill(secret, "type", "Opaque");
    }
}

fn validate(new: &Value, errors: &mut FieldErrors) {
    let data = Path::new("data");
    let mut size = 0;
    for (key, value) in entries(new, "data") {
        format::report(errors, &data.key(key), key, format::is_config_map_key(key));
        size += value.as_str().map_or(0, decoded_length);
    }
    if size > DATA_SIZE_MAX {
        errors.too_long(&data, DATA_SIZE_MAX);
    }
    let value = |key: &str| new["data"].get(key).map(|value| value.as_str().unwrap_or_default());
    match text(new, "type") {
        "kubernetes.io/service-account-token" => {
            let annotations = &new["metadata"]["annotations"];
            if text(annotations, SERVICE_ACCOUNT_NAME).is_empty() {
                let metadata = Path::new("metadata");
                let path = metadata.child("annotations");
                errors.required(&path.key(SERVICE_ACCOUNT_NAME), "");
            }
        }
        "kubernetes.io/dockercfg" => validate_json(&data, ".dockercfg", value(".dockercfg"), errors),
        "kubernetes.io/dockerconfigjson" => {
            validate_json(&data, ".dockerconfigjson", value(".dockerconfigjson"), errors);
        }
        "kubernetes.io/basic-auth" if value("username").is_none() && value("password").is_none() => {
            errors.required(&data.key("username"), "");
            errors.required(&data.key("password"), "");
        }
        "kubernetes.io/ssh-auth" if value("ssh-privatekey").unwrap_or_default().is_empty() => {
            errors.required(&data.key("ssh-privatekey"), "");
        }
        "kubernetes.io/tls" => {
            for key in ["tls.crt", "tls.key"] {
                if value(key).is_none() {
                    errors.required(&data.key(key), "");
                }
            }
        }
        _ => {}
    }
}

fn validate_json(data: &Path<'_>, key: &str, value: Option<&str>, errors: &mut FieldErrors) {
    let path = data.key(key);
    let Some(value) = value else { return errors.required(&path, "") };
    let bytes = BASE64_STANDARD.decode(value).unwrap_or_default();
    if let Some(problem) = json_problem(&bytes) {
        errors.invalid(&path, REDACTED, &problem);
    }
}

/// Why bytes are no JSON object, in the words of Go's decoder.
fn json_problem(bytes: &[u8]) -> Option<String> {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(Value::Object(_) | Value::Null) => None,
        Ok(other) => {
            let sort = match other {
                Value::Bool(_) => "bool",
                Value::Number(_) => "number",
                Value::String(_) => "string",
                _ => "array",
            };
            Some(format!("json: cannot unmarshal {sort} into Go value of type map[string]interface {{}}"))
        }
        Err(error) if error.is_eof() => Some("unexpected end of JSON input".to_owned()),
        Err(error) => {
            let line = bytes.split(|b| *b == b'\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
            let at = line.get(error.column().saturating_sub(1)).copied().unwrap_or_default();
            let place = if error.line() == 1 && error.column() == 1 {
                "beginning of value"
            } else {
                "object key string or value"
            };
            Some(format!("invalid character '{}' looking for {place}", char::from(at)))
        }
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate_update(new, old, errors);
    metadata::immutable(errors, &Path::new("type"), &new["type"], &old["type"]);
    validate_immutable(new, old, &["data"], errors);
    metadata::validate(new, true, STRATEGY.name_rule, errors);
    validate(new, errors);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::cases;

    #[test]
    fn texts_become_data_and_the_type_is_filled_in() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "data": {"k": "dmFsdWU="},
            "stringData": {"k": "override", "plain": "text"}});
        let stored = cases::created(secret).0;
        assert_eq!(stored["data"], json!({"k": "b3ZlcnJpZGU=", "plain": "dGV4dA=="}));
        assert_eq!(stored["type"], "Opaque");
        assert!(stored.get("stringData").is_none());
    }

    #[test]
    fn each_type_must_hold_its_keys() {
        let encoded = |text: &str| BASE64_STANDARD.encode(text);
        cases::check_wrong(
            &json!({"apiVersion": "v1", "kind": "Secret"}),
            &[
                (
                    json!({"type": "kubernetes.io/tls"}),
                    &["data[tls.crt]: Required value", "data[tls.key]: Required value"],
                ),
                (
                    json!({"type": "kubernetes.io/service-account-token"}),
                    &["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
                ),
                (json!({"type": "kubernetes.io/ssh-auth"}), &["data[ssh-privatekey]: Required value"]),
                (
                    json!({"type": "kubernetes.io/basic-auth"}),
                    &["data[username]: Required value", "data[password]: Required value"],
                ),
                (json!({"type": "kubernetes.io/basic-auth", "data": {"password": ""}}), &[]),
                (json!({"type": "kubernetes.io/dockercfg"}), &["data[.dockercfg]: Required value"]),
                (
                    json!({"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": encoded("x")}}),
                    &[
                        "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": invalid character 'x' looking for beginning of value",
                    ],
                ),
                (
                    json!({"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": encoded("[]")}}),
                    &[
                        "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": json: cannot unmarshal array into Go value of type map[string]interface {}",
                    ],
                ),
                (json!({"type": "kubernetes.io/dockercfg", "data": {".dockercfg": encoded("{}")}}), &[]),
                (json!({"type": "example.com/own"}), &[]),
            ],
        );
    }

    #[test]
    fn the_type_cannot_change() {
        let old = json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "MQ=="}});
        assert_eq!(
            cases::updated(old.clone(), &json!({"type": "example.com/x"})).1,
            ["type: Invalid value: \"example.com/x\": field is immutable"]
        );
        assert_eq!(
            cases::updated(old, &json!({"type": null, "data": {"b": "MQ=="}})).1,
            Vec::<String>::new()
        );
    }
}
