//! ConfigMap: keys that can be files, at most a megabyte, perhaps immutable.

use serde_json::Value;

use crate::{
    kinds::Strategy,
    machinery::{
        FieldErrors, Path,
        fields::{entries, flag},
        format, metadata,
    },
};

/// The behaviour of ConfigMaps.
pub static STRATEGY: Strategy = Strategy { validate_create: validate, validate_update, ..Strategy::PLAIN };

/// All values of a ConfigMap or a Secret together, in bytes.
pub(super) const DATA_SIZE_MAX: usize = 1024 * 1024;
pub(super) const IMMUTABLE: &str = "field is immutable when `immutable` is set";

fn validate(new: &Value, errors: &mut FieldErrors) {
    let (data, binary) = (Path::new("data"), Path::new("binaryData"));
    let mut size = 0;
    for (key, value) in entries(new, "data") {
        format::report(errors, &data.key(key), key, format::is_config_map_key(key));
        if new["binaryData"].get(key).is_some() {
            errors.invalid(&data.key(key), key, "duplicate of key present in binaryData");
        }
        size += value.as_str().map_or(0, str::len);
    }
    for (key, value) in entries(new, "binaryData") {
        format::report(errors, &binary.key(key), key, format::is_config_map_key(key));
        size += value.as_str().map_or(0, decoded_length);
    }
    if size > DATA_SIZE_MAX {
        errors.too_long(&Path::ROOT.key(""), DATA_SIZE_MAX);
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate_update(new, old, errors);
    validate_immutable(new, old, &["data", "binaryData"], errors);
    metadata::validate(new, true, STRATEGY.name_rule, errors);
    validate(new, errors);
}

/// Refuses a change of `fields`, and of `immutable` itself, once `immutable` was set.
pub(super) fn validate_immutable(new: &Value, old: &Value, fields: &[&str], errors: &mut FieldErrors) {
    if !flag(old, "immutable") {
        return;
    }
    if !flag(new, "immutable") {
        errors.forbidden(&Path::new("immutable"), IMMUTABLE);
    }
    for field in fields {
        if new[*field] != old[*field] {
            errors.forbidden(&Path::new(field), IMMUTABLE);
        }
    }
}

/// How many bytes a base64 text stands for.
pub(super) fn decoded_length(text: &str) -> usize {
    text.len() / 4 * 3 - text.bytes().rev().take_while(|b| *b == b'=').count().min(2)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::cases;

    #[test]
    fn keys_and_size_are_validated() {
        let key = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
        let base = json!({"apiVersion": "v1", "kind": "ConfigMap"});
        cases::check_wrong(
            &base,
            &[
                (json!({"data": {"a.b-c_D": ""}, "binaryData": {"e": "AA=="}}), &[]),
                (
                    json!({"data": {"a b": ""}, "binaryData": {"..": ""}}),
                    &[
                        &format!("data[a b]: Invalid value: \"a b\": {key}"),
                        "binaryData[..]: Invalid value: \"..\": must not be '..'",
                    ],
                ),
                (
                    json!({"data": {"k": "1"}, "binaryData": {"k": "AA=="}}),
                    &["data[k]: Invalid value: \"k\": duplicate of key present in binaryData"],
                ),
                (json!({"data": {"v": "x".repeat(DATA_SIZE_MAX)}}), &[]),
                (
                    json!({"data": {"v": "x".repeat(DATA_SIZE_MAX)}, "binaryData": {"w": "AA=="}}),
                    &["[]: Too long: may not be more than 1048576 bytes"],
                ),
            ],
        );
    }

    #[test]
    fn an_immutable_config_map_stays_as_it_is() {
        let base = json!({"apiVersion": "v1", "kind": "ConfigMap", "immutable": true, "data": {"a": "1"}});
        for (patch, want) in [
            (json!({"metadata": {"labels": {"a": "b"}}}), vec![]),
            (json!({"data": {"a": "2"}}), vec![format!("data: Forbidden: {IMMUTABLE}")]),
            (
                json!({"immutable": false, "binaryData": {"b": "AA=="}}),
                vec![
                    format!("immutable: Forbidden: {IMMUTABLE}"),
                    format!("binaryData: Forbidden: {IMMUTABLE}"),
                ],
            ),
        ] {
            assert_eq!(cases::updated(base.clone(), &patch).1, want, "{patch}");
        }
    }

    #[test]
    fn the_length_behind_base64_is_known() {
        for (text, want) in [("", 0), ("AA==", 1), ("AAA=", 2), ("AAAA", 3), ("AAAAAA==", 4)] {
            assert_eq!(decoded_length(text), want, "{text}");
        }
    }
}
