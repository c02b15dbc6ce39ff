//! Where a webhook is: at a URL, or behind a Service of the cluster.

use serde_json::Value;

use super::url;
use crate::machinery::{
    FieldErrors, Path,
    fields::{fill, number, object_mut, present, text},
    format,
};

const URL_FORM: &str = "; desired format: https://host[/path]";

/// What a reference to a Service means by leaving its port out.
pub fn fill_port(client: &mut serde_json::Map<String, Value>) {
    if let Some(service) = object_mut(client, "service") {
        fill(service, "port", 443);
    }
}

/// What is wrong with how a webhook is reached.
pub fn validate(errors: &mut FieldErrors, path: &Path<'_>, client: &Value) {
    match (present(client, "url").and_then(Value::as_str), present(client, "service")) {
        (Some(address), None) => validate_url(errors, &path.child("url"), address),
        (None, Some(service)) => validate_service(errors, &path.child("service"), service),
        _ => errors.required(path, "exactly one of url or service is required"),
    }
}

/// What is wrong with the URL of a webhook.
pub fn validate_url(errors: &mut FieldErrors, path: &Path<'_>, address: &str) {
    let url = match url::parse(address) {
        Ok(url) => url,
        Err(problem) => {
            return errors.required(path, &format!("url must be a valid URL: {problem}{URL_FORM}"));
        }
    };
    if url.scheme != "https" {
        errors.invalid(path, url.scheme, &format!("'https' is the only allowed URL scheme{URL_FORM}"));
    }
    if url.host.is_empty() {
        errors.invalid(path, "", &format!("host must be specified{URL_FORM}"));
    }
    if let Some(user) = url.user {
        errors.invalid(path, user, "user information is not permitted in the URL");
    }
    for (part, what) in [(url.fragment, "fragments"), (url.query, "query parameters")] {
        if !part.is_empty() {
            errors.invalid(path, part, &format!("{what} are not permitted in the URL"));
        }
    }
}

/// What is wrong with the Service of a webhook.
pub fn validate_service(errors: &mut FieldErrors, path: &Path<'_>, service: &Value) {
    // Kubernetes confuses the two.
    if text(service, "namespace").is_empty() {
        errors.required(&path.child("name"), "");
    }
    if text(service, "name").is_empty() {
        errors.required(&path.child("namespace"), "");
    }
    let port = number(service, "port");
    let problems = format::is_port_number(port);
    if !problems.is_empty() {
        let detail = format!("port is not valid: {}", problems.join(", "));
        errors.invalid(&path.child("port"), port, &detail);
    }
    validate_path(errors, &path.child("path"), text(service, "path"));
}

fn validate_path(errors: &mut FieldErrors, path: &Path<'_>, value: &str) {
    if matches!(value, "" | "/") {
        return;
    }
    if value == "//" {
        return errors.invalid(path, value, "segment[0] may not be empty");
    }
    if !value.starts_with('/') {
        errors.invalid(path, value, "must start with a '/'");
    }
    // Kubernetes drops the first byte, whatever it is.
    let rest = String::from_utf8_lossy(&value.as_bytes()[1..]);
    let rest = rest.strip_suffix('/').unwrap_or(&rest);
    for (index, step) in rest.split('/').enumerate() {
        if step.is_empty() {
            errors.invalid(path, value, &format!("segment[{index}] may not be empty"));
            continue;
        }
        for problem in format::is_dns1123_subdomain(step) {
            errors.invalid(path, value, &format!("segment[{index}]: {problem}"));
        }
        if errors.len() > SEGMENT_ERRORS_MAX {
            return;
        }
    }
}

/// Each error about a segment quotes the whole path: a path of many bad segments has said enough after these.
const SEGMENT_ERRORS_MAX: usize = 256;
