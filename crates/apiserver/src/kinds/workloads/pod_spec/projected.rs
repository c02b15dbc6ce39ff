//! Projected volumes: files of several sources in one directory, without collisions.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    rules,
    volumes::{validate_downward_file, validate_item},
};
use crate::machinery::{
    FieldErrors, Path,
    fields::{list, number, present, text},
};

/// What is wrong with a projected volume. Sources that are behind feature gates (cluster trust bundles, certificates)
/// never get here: they are dropped from new objects.
pub fn validate(errors: &mut FieldErrors, path: &Path<'_>, source: &Value) {
    rules::file_mode(errors, path, source, "defaultMode");
    let mut files = HashSet::new();
    let sources = path.child("sources");
    for (index, source) in list(source, "sources").iter().enumerate() {
        let place = sources.index(index);
        let mut found = 0;
        for field in ["secret", "configMap"] {
            let Some(keys) = present(source, field) else { continue };
            found += 1;
            let place = place.child(field);
            rules::required(errors, &place, keys, &["name"]);
            let items = place.child("items");
            for (index, item) in list(keys, "items").iter().enumerate() {
                validate_item(errors, &items.index(index), item);
                claim_file(errors, path, &mut files, text(item, "path"), text(keys, "name"));
            }
        }
        if let Some(fields) = present(source, "downwardAPI") {
            found += 1;
            for file in list(fields, "items") {
                validate_downward_file(errors, &place.child("downwardAPI"), file);
                let file = text(file, "path");
                claim_file(errors, path, &mut files, file, file);
            }
        }
        if let Some(token) = present(source, "serviceAccountToken") {
            found += 1;
            validate_token(errors, path, &place.child("serviceAccountToken"), token);
        }
        if found > 1 {
            errors.forbidden(&place, "may not specify more than 1 volume type per source");
        }
    }
}

fn claim_file<'a>(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    files: &mut HashSet<&'a str>,
    file: &'a str,
    value: &str,
) {
    if !file.is_empty() && !files.insert(file) {
        errors.invalid(path, value, "conflicting duplicate paths");
    }
}

fn validate_token(errors: &mut FieldErrors, volume: &Path<'_>, path: &Path<'_>, token: &Value) {
    let seconds = number(token, "expirationSeconds");
    let mut refuse = |detail| errors.invalid(&path.child("expirationSeconds"), seconds, detail);
    if seconds < 600 {
        refuse("may not specify a duration less than 10 minutes");
    }
    if seconds > 1 << 32 {
        refuse("may not specify a duration larger than 2^32 seconds");
    }
    match text(token, "path") {
        "" => errors.required(&volume.child("path"), ""),
        file => rules::unreserved_path(errors, &volume.child("path"), file),
    }
}
