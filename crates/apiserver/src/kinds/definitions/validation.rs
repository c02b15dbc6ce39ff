//! What a definition's schema refuses: types, required fields, enumerations, bounds, patterns and combinations, in the
//! words of Kubernetes' validator. (CEL rules come later.)

use regex::Regex;
use serde_json::Value;

use crate::machinery::{
    FieldErrors, Path, fields,
    invalid::{Cause, quoted},
};

/// Objects are decoded no deeper than 128; rules no deeper than this.
const DEPTH_MAX: usize = 128;
/// What a compiled pattern may take in memory, so that no definition can exhaust it.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Adds what is wrong with `value` by `rules` (an `openAPIV3Schema`).
pub fn validate(rules: &Value, value: &Value, errors: &mut FieldErrors) {
    let mut fields: Vec<(&String, &Value)> = value.as_object().into_iter().flatten().collect();
    fields.retain(|(name, _)| !matches!(name.as_str(), "apiVersion" | "kind" | "metadata"));
    missing(rules, value, &Path::ROOT, errors);
    for (name, value) in fields {
        let root = Path::ROOT;
        member(rules, name, value, &root.child(name), errors, 0);
    }
    combinations(rules, value, &Path::ROOT, errors, 0);
}

/// The same for the status alone, which a write to it is checked by: the rules speak of what is in it.
pub fn validate_status(rules: &Value, value: &Value, errors: &mut FieldErrors) {
    let (Some(rules), Some(status)) = (rules["properties"].get("status"), value.get("status")) else {
        return;
    };
    let mut own = FieldErrors::new();
    node(rules, status, &Path::ROOT, &mut own, 0);
    let root = Path::ROOT.to_string();
    for error in own.iter() {
        let path = Path::new("status");
        match error.field.as_str() {
            field if field == root => errors.push(error.reason, &path, error.message.as_str()),
            field => errors.push(error.reason, &path.child(field), error.message.as_str()),
        }
    }
}

fn member(rules: &Value, name: &str, value: &Value, path: &Path<'_>, errors: &mut FieldErrors, depth: usize) {
    match rules["properties"].get(name) {
        Some(own) => node(own, value, path, errors, depth + 1),
        None if rules["additionalProperties"].is_object() => {
            node(&rules["additionalProperties"], value, path, errors, depth + 1);
        }
        None => {}
    }
}

fn node(rules: &Value, value: &Value, path: &Path<'_>, errors: &mut FieldErrors, depth: usize) {
    if depth > DEPTH_MAX || (value.is_null() && rules["nullable"] == true) {
        return;
    }
    if let Some(message) = wrong_type(rules, value, path) {
        errors.push(Cause::FieldValueTypeInvalid, path, message);
        return;
    }
    if let Some(allowed) = rules["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
        let supported: Vec<String> = allowed.iter().map(quoted).collect();
        let message =
            format!("Unsupported value: {}: supported values: {}", quoted(value), supported.join(", "));
        errors.push(Cause::FieldValueNotSupported, path, message);
    }
    match value {
        Value::String(text) => text_rules(rules, text, path, errors),
        Value::Number(_) => number_rules(rules, value, path, errors),
        Value::Array(items) => {
            list_rules(rules, items, path, errors);
            for (index, item) in items.iter().enumerate() {
                node(&rules["items"], item, &path.index(index), errors, depth + 1);
            }
        }
        Value::Object(map) => {
            let bound = |name: &str| rules[name].as_u64().map(|bound| bound as usize);
            if let Some(max) = bound("maxProperties").filter(|max| map.len() > *max) {
                errors.push(
                    Cause::FieldValueTooMany,
                    path,
                    format!("Too many: {}: must have at most {max} items", map.len()),
                );
            }
            if let Some(min) = bound("minProperties").filter(|min| map.len() < *min) {
                errors.invalid(
                    path,
                    map.len() as u64,
                    &format!("{path} in body should have at least {min} properties"),
                );
            }
            missing(rules, value, path, errors);
            for (name, value) in map {
                member(rules, name, value, &path.child(name), errors, depth);
            }
        }
        _ => {}
    }
    combinations(rules, value, path, errors, depth);
}

fn missing(rules: &Value, value: &Value, path: &Path<'_>, errors: &mut FieldErrors) {
    for name in fields::list(rules, "required").iter().filter_map(Value::as_str) {
        if value.get(name).is_none() {
            errors.required(&path.child(name), "");
        }
    }
}

fn sort_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() && number.as_f64().is_some_and(|n| n.fract() != 0.0) => {
            "number"
        }
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn wrong_type(rules: &Value, value: &Value, path: &Path<'_>) -> Option<String> {
    let sort = sort_of(value);
    let wanted = if rules["x-kubernetes-int-or-string"] == true {
        "integer,string"
    } else {
        rules["type"].as_str().filter(|wanted| !wanted.is_empty())?
    };
    let fits = match wanted {
        "integer,string" => matches!(sort, "integer" | "string"),
        "number" => matches!(sort, "integer" | "number"),
        wanted => wanted == sort,
    };
    if fits {
        return None;
    }
    Some(format!("Invalid value: \"{sort}\": {path} in body must be of type {wanted}: \"{sort}\""))
}

fn text_rules(rules: &Value, text: &str, path: &Path<'_>, errors: &mut FieldErrors) {
    let length = text.chars().count();
    let bound = |name: &str| rules[name].as_u64().map(|bound| bound as usize);
    if let Some(max) = bound("maxLength").filter(|max| length > *max) {
        errors.too_long(path, max);
    }
    if let Some(min) = bound("minLength").filter(|min| length < *min) {
        errors.invalid(path, text, &format!("{path} in body should be at least {min} chars long"));
    }
    if let Some(pattern) = rules["pattern"].as_str().filter(|pattern| !pattern.is_empty()) {
        let compiled = regex::RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build();
        // A definition with a pattern that cannot be read is refused when it is created.
        if compiled.is_ok_and(|pattern: Regex| !pattern.is_match(text)) {
            errors.invalid(path, text, &format!("{path} in body should match '{pattern}'"));
        }
    }
    let format = fields::text(rules, "format");
    if !fits_format(format, text) {
        let value = quoted(&text.into());
        errors.push(
            Cause::FieldValueTypeInvalid,
            path,
            format!("Invalid value: {value}: {path} in body must be of type {format}: {value}"),
        );
    }
}

/// Formats that are checked; others say nothing.
fn fits_format(format: &str, text: &str) -> bool {
    use base64::{Engine, prelude::BASE64_STANDARD};
    match format {
        "date-time" | "datetime" => text.parse::<jiff::Timestamp>().is_ok(),
        "date" => text.parse::<jiff::civil::Date>().is_ok(),
        "byte" => BASE64_STANDARD.decode(text).is_ok(),
        "uuid" | "uuid3" | "uuid4" | "uuid5" => uuid::Uuid::parse_str(text).is_ok(),
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        "cidr" => text.split_once('/').is_some_and(|(address, bits)| {
            address.parse::<std::net::IpAddr>().is_ok() && bits.parse::<u8>().is_ok_and(|bits| bits <= 128)
        }),
        "uri" => text.contains(':') && text.parse::<http::Uri>().is_ok(),
        _ => true,
    }
}

fn number_rules(rules: &Value, value: &Value, path: &Path<'_>, errors: &mut FieldErrors) {
    let Some(number) = value.as_f64() else { return };
    if let Some(max) = rules["maximum"].as_f64() {
        let exclusive = rules["exclusiveMaximum"] == true;
        if number > max || (exclusive && number >= max) {
            let than = if exclusive { "less than" } else { "less than or equal to" };
            errors.invalid(
                path,
                value.clone(),
                &format!("{path} in body should be {than} {}", rules["maximum"]),
            );
        }
    }
    if let Some(min) = rules["minimum"].as_f64() {
        let exclusive = rules["exclusiveMinimum"] == true;
        if number < min || (exclusive && number <= min) {
            let than = if exclusive { "greater than" } else { "greater than or equal to" };
            errors.invalid(
                path,
                value.clone(),
                &format!("{path} in body should be {than} {}", rules["minimum"]),
            );
        }
    }
    if let Some(step) = rules["multipleOf"].as_f64().filter(|step| *step > 0.0) {
        let times = number / step;
        if (times - times.round()).abs() > 1e-9 {
            errors.invalid(
                path,
                value.clone(),
                &format!("{path} in body should be a multiple of {}", rules["multipleOf"]),
            );
        }
    }
}

fn list_rules(rules: &Value, items: &[Value], path: &Path<'_>, errors: &mut FieldErrors) {
    let bound = |name: &str| rules[name].as_u64().map(|bound| bound as usize);
    if let Some(max) = bound("maxItems").filter(|max| items.len() > *max) {
        errors.too_many(path, items.len(), max);
    }
    if let Some(min) = bound("minItems").filter(|min| items.len() < *min) {
        errors.invalid(path, items.len() as u64, &format!("{path} in body should have at least {min} items"));
    }
    let keys: Vec<&str> = match fields::text(rules, "x-kubernetes-list-type") {
        "set" => Vec::new(),
        "map" => fields::list(rules, "x-kubernetes-list-map-keys").iter().filter_map(Value::as_str).collect(),
        _ => return,
    };
    let mut seen = std::collections::HashSet::new();
    for (index, item) in items.iter().enumerate() {
        let known_by = if keys.is_empty() {
            item.clone()
        } else {
            keys.iter().map(|key| ((*key).to_owned(), item[*key].clone())).collect()
        };
        if !seen.insert(known_by.to_string()) {
            errors.duplicate(&path.index(index), known_by);
        }
    }
}

fn holds(rules: &Value, value: &Value, path: &Path<'_>, depth: usize) -> bool {
    let mut errors = FieldErrors::new();
    node(rules, value, path, &mut errors, depth + 1);
    errors.is_empty()
}

fn combinations(rules: &Value, value: &Value, path: &Path<'_>, errors: &mut FieldErrors, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    for all in fields::list(rules, "allOf") {
        node(all, value, path, errors, depth + 1);
    }
    let any = fields::list(rules, "anyOf");
    // The two sorts of an int-or-string are told by its type.
    if !any.is_empty()
        && rules["x-kubernetes-int-or-string"] != true
        && !any.iter().any(|rules| holds(rules, value, path, depth))
    {
        errors.invalid(
            path,
            value.clone(),
            &format!("{path} in body must validate at least one schema (anyOf)"),
        );
    }
    let one = fields::list(rules, "oneOf");
    if !one.is_empty() && one.iter().filter(|rules| holds(rules, value, path, depth)).count() != 1 {
        errors.invalid(
            path,
            value.clone(),
            &format!("{path} in body must validate one and only one schema (oneOf)"),
        );
    }
    if rules["not"].is_object() && holds(&rules["not"], value, path, depth) {
        errors.invalid(path, value.clone(), &format!("{path} in body must not validate the schema (not)"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_rule_names_the_field_and_itself() {
        let rules = json!({"type": "object", "properties": {"spec": {"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string", "minLength": 2, "maxLength": 5, "pattern": "^[a-z]+$"},
            "level": {"type": "integer", "minimum": 1, "maximum": 10},
            "color": {"type": "string", "enum": ["red", "green"]},
            "list": {"type": "array", "items": {"type": "integer"}, "maxItems": 2},
            "map": {"type": "object", "additionalProperties": {"type": "integer"}},
            "when": {"type": "string", "format": "date-time"},
            "port": {"x-kubernetes-int-or-string": true},
            "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "either": {"oneOf": [{"required": ["a"]}, {"required": ["b"]}], "type": "object"},
        }}}});
        for (spec, want) in [
            (
                json!({"name": "abc", "level": 10, "list": [1], "port": 1, "set": ["a", "b"], "either": {"a": 1}}),
                "",
            ),
            (json!({}), "spec.name: Required value"),
            (json!({"name": "abcdef"}), "spec.name: Too long: may not be more than 5 bytes"),
            (
                json!({"name": "A1"}),
                "spec.name: Invalid value: \"A1\": spec.name in body should match '^[a-z]+$'",
            ),
            (
                json!({"name": "ab", "level": 0}),
                "spec.level: Invalid value: 0: spec.level in body should be greater than or equal to 1",
            ),
            (
                json!({"name": "ab", "color": "blue"}),
                "spec.color: Unsupported value: \"blue\": supported values: \"red\", \"green\"",
            ),
            (json!({"name": "ab", "list": [1, 2, 3]}), "spec.list: Too many: 3: must have at most 2 items"),
            (
                json!({"name": "ab", "map": {"k": "v"}}),
                "spec.map.k: Invalid value: \"string\": spec.map.k in body must be of type integer: \"string\"",
            ),
            (
                json!({"name": "ab", "when": "no"}),
                "spec.when: Invalid value: \"no\": spec.when in body must be of type date-time: \"no\"",
            ),
            (
                json!({"name": "ab", "port": 1.5}),
                "spec.port: Invalid value: \"number\": spec.port in body must be of type integer,string: \"number\"",
            ),
            (json!({"name": "ab", "set": ["a", "a"]}), "spec.set[1]: Duplicate value: \"a\""),
            (
                json!({"name": "ab", "either": {"a": 1, "b": 1}}),
                "spec.either: Invalid value: {\"a\":1,\"b\":1}: spec.either in body must validate one and only one schema (oneOf)",
            ),
        ] {
            let mut errors = FieldErrors::new();
            validate(&rules, &json!({"metadata": {}, "spec": spec}), &mut errors);
            let said: Vec<String> =
                errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect();
            assert_eq!(said.join("; "), want);
        }
    }
}
