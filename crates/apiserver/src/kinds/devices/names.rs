//! Names of drivers, pools and attributes, and how lists and maps of named things are checked.

use std::{borrow::Cow, collections::HashSet, hash::Hash};

use serde_json::Value;

use crate::{
    kinds::workloads::pod_spec::{rules, volumes::validate_driver},
    machinery::{FieldErrors, Path, fields::entries, format},
};

const POOL_LENGTH_MAX: usize = 253;
const IDENTIFIER_LENGTH_MAX: usize = 32;
/// A domain, a slash and an identifier.
pub const QUALIFIED_LENGTH_MAX: usize = 63 + 1 + IDENTIFIER_LENGTH_MAX;

/// What is wrong with the name of a pool of devices.
pub fn validate_pool(errors: &mut FieldErrors, path: &Path<'_>, name: &str) {
    if name.is_empty() {
        return errors.required(path, "");
    }
    if name.len() > POOL_LENGTH_MAX {
        errors.too_long(path, POOL_LENGTH_MAX);
    }
    for part in name.split('/') {
        rules::object_name(errors, path, part);
    }
}

/// What is wrong with the name of an attribute or a capacity, which may have a domain.
pub fn validate_qualified(errors: &mut FieldErrors, path: &Path<'_>, name: &str) {
    let parts: Vec<&str> = name.splitn(3, '/').collect();
    match parts[..] {
        [name] => validate_identifier(errors, path, name),
        [domain, name] => {
            if domain.is_empty() {
                errors.invalid(path, "", "the domain must not be empty");
            } else {
                validate_driver(errors, path, domain);
            }
            if name.is_empty() {
                errors.invalid(path, "", "the name must not be empty");
            } else {
                validate_identifier(errors, path, name);
            }
        }
        // Kubernetes lets more slashes pass.
        _ => {}
    }
}

/// The same of a name that must have a domain.
pub fn validate_fully_qualified(errors: &mut FieldErrors, path: &Path<'_>, name: &str) {
    validate_qualified(errors, path, name);
    if !name.contains('/') {
        let detail = "a fully qualified name must be a domain and a name separated by a slash";
        errors.invalid(path, name, detail);
    }
}

fn validate_identifier(errors: &mut FieldErrors, path: &Path<'_>, name: &str) {
    if name.len() > IDENTIFIER_LENGTH_MAX {
        errors.too_long(path, IDENTIFIER_LENGTH_MAX);
    }
    format::report(errors, path, name, format::is_c_identifier(name));
}

/// What is wrong with each item of a list, unless there are too many to look at. Gives whether they were looked at.
pub fn validate_items(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    items: &[Value],
    most: usize,
    mut validate: impl FnMut(&mut FieldErrors, &Path<'_>, &Value),
) -> bool {
    if items.len() > most {
        errors.too_many(path, items.len(), most);
        return false;
    }
    for (index, item) in items.iter().enumerate() {
        validate(errors, &path.index(index), item);
    }
    true
}

/// The same, and that no two items have the same key.
pub fn validate_set<K: Hash + Eq + Clone + Into<Value>>(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    items: &[Value],
    most: usize,
    validate: impl FnMut(&mut FieldErrors, &Path<'_>, &Value),
    key: impl Fn(&Value) -> K,
) {
    if !validate_items(errors, path, items, most, validate) {
        return;
    }
    let mut seen = HashSet::new();
    for (index, item) in items.iter().enumerate() {
        let key = key(item);
        if !seen.insert(key.clone()) {
            errors.duplicate(&path.index(index), key);
        }
    }
}

/// What is wrong with each key and each value of a map.
pub fn validate_map(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    owner: &Value,
    field: &str,
    key_length: usize,
    mut validate: impl FnMut(&mut FieldErrors, &Path<'_>, &str, &Value),
) {
    let path = path.child(field);
    for (key, value) in entries(owner, field) {
        validate(errors, &path.key(&shortened(key, key_length)), key, value);
    }
}

/// A key without its middle, where it is longer than keys can be.
fn shortened(key: &str, most: usize) -> Cow<'_, str> {
    const ELLIPSIS: &str = "...";
    if key.len() <= most {
        return key.into();
    }
    let kept = most - ELLIPSIS.len();
    let bytes = key.as_bytes();
    let (start, end) = (&bytes[..kept.div_ceil(2)], &bytes[bytes.len() - kept / 2..]);
    format!("{}{ELLIPSIS}{}", String::from_utf8_lossy(start), String::from_utf8_lossy(end)).into()
}

/// The text of an item of a list of texts.
pub fn item_text(item: &Value) -> &str {
    item.as_str().unwrap_or_default()
}
