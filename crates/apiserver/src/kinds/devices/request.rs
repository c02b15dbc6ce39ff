//! What a claim asks for: requests for devices, constraints between them, and configuration that comes along.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{
    names::{item_text, validate_fully_qualified, validate_items, validate_set},
    taint,
};
use crate::{
    kinds::workloads::pod_spec::{rules, volumes::validate_driver},
    machinery::{
        FieldErrors, Path,
        fields::{list, number, present, text},
    },
};

/// How many requests, and how many results, a claim may have.
pub const REQUESTS_MAX: usize = 32;
/// How many configurations a claim may have.
pub const CONFIGURATIONS_MAX: usize = 32;
const CONSTRAINTS_MAX: usize = 32;
const ALTERNATIVES_MAX: usize = 8;
const SELECTORS_MAX: usize = 32;
const EXPRESSION_LENGTH_MAX: usize = 10 * 1024;
const PARAMETERS_LENGTH_MAX: usize = 10 * 1024;
const EXACT: &str = "ExactCount";

/// The names of a claim's requests, with the names of the alternatives of each.
pub struct Names<'a>(HashMap<&'a str, HashSet<&'a str>>);

impl<'a> Names<'a> {
    /// Those of the claim with these devices.
    pub fn of(devices: &'a Value) -> Self {
        let alternatives = |request: &'a Value| {
            list(request, "firstAvailable").iter().map(|own| text(own, "name")).collect()
        };
        let requests = list(devices, "requests").iter();
        Self(requests.map(|request| (text(request, "name"), alternatives(request))).collect())
    }

    /// What is wrong with what should be `REQUEST` or `REQUEST/ALTERNATIVE`.
    pub fn validate(&self, errors: &mut FieldErrors, path: &Path<'_>, name: &str) {
        const UNKNOWN: &str = "must be the name of a request in the claim or the name of a request and a subrequest \
                               separated by '/'";
        let (request, alternative) =
            name.split_once('/').map_or((name, None), |(own, rest)| (own, Some(rest)));
        if alternative.is_some_and(|rest| rest.contains('/')) {
            return errors.invalid(path, name, UNKNOWN);
        }
        for part in name.split('/') {
            rules::label(errors, path, part);
        }
        let known = self.0.get(request).is_some_and(|own| alternative.is_none_or(|rest| own.contains(rest)));
        if !known {
            errors.invalid(path, name, UNKNOWN);
        }
    }

    /// What is wrong with the list of the requests that something is about.
    pub fn validate_list(&self, errors: &mut FieldErrors, path: &Path<'_>, owner: &Value) {
        validate_set(
            errors,
            &path.child("requests"),
            list(owner, "requests"),
            REQUESTS_MAX,
            |errors, path, name| self.validate(errors, path, item_text(name)),
            |name| item_text(name).to_owned(),
        );
    }
}

/// What requests mean by leaving out how many devices they are for.
pub fn fill(devices: &mut Value) {
    let requests = devices.get_mut("requests").and_then(Value::as_array_mut);
    for request in requests.into_iter().flatten().filter_map(Value::as_object_mut) {
        if let Some(exactly) = request.get_mut("exactly") {
            fill_count(exactly);
        }
        let alternatives = request.get_mut("firstAvailable").and_then(Value::as_array_mut);
        alternatives.into_iter().flatten().for_each(fill_count);
    }
}

fn fill_count(request: &mut Value) {
    let Some(request) = request.as_object_mut() else { return };
    if request.get("allocationMode").and_then(Value::as_str).unwrap_or_default().is_empty() {
        request.insert("allocationMode".to_owned(), EXACT.into());
    }
    let counted = request.get("count").and_then(Value::as_i64).unwrap_or_default() != 0;
    if !counted && request["allocationMode"] == EXACT {
        request.insert("count".to_owned(), 1.into());
    }
}

/// What is wrong with the devices that a claim asks for. `path` is that of `devices`.
pub fn validate(errors: &mut FieldErrors, path: &Path<'_>, devices: &Value) {
    let names = Names::of(devices);
    let name = |item: &Value| text(item, "name").to_owned();
    let requests = list(devices, "requests");
    validate_set(errors, &path.child("requests"), requests, REQUESTS_MAX, validate_request, name);
    let constraints = list(devices, "constraints");
    validate_items(errors, &path.child("constraints"), constraints, CONSTRAINTS_MAX, |errors, path, item| {
        validate_constraint(errors, path, item, &names);
    });
    let configurations = list(devices, "config");
    validate_items(
        errors,
        &path.child("config"),
        configurations,
        CONFIGURATIONS_MAX,
        |errors, path, item| {
            names.validate_list(errors, path, item);
            validate_configuration(errors, path, item);
        },
    );
}

fn validate_request(errors: &mut FieldErrors, path: &Path<'_>, request: &Value) {
    const ONE: &str = "exactly one of `exactly` or `firstAvailable` is required";
    rules::label(errors, &path.child("name"), text(request, "name"));
    let alternatives = list(request, "firstAvailable");
    match present(request, "exactly") {
        None if alternatives.is_empty() => errors.required(path, ONE),
        Some(_) if !alternatives.is_empty() => {
            errors.invalid(path, Value::Null, &format!("{ONE}, but multiple fields are set"));
        }
        Some(exactly) => validate_exact(errors, &path.child("exactly"), exactly),
        None => {
            let validate = |errors: &mut FieldErrors, path: &Path<'_>, own: &Value| {
                rules::label(errors, &path.child("name"), text(own, "name"));
                validate_exact(errors, path, own);
            };
            let name = |item: &Value| text(item, "name").to_owned();
            let path = path.child("firstAvailable");
            validate_set(errors, &path, alternatives, ALTERNATIVES_MAX, validate, name);
        }
    }
}

fn validate_exact(errors: &mut FieldErrors, path: &Path<'_>, request: &Value) {
    match text(request, "deviceClassName") {
        "" => errors.required(&path.child("deviceClassName"), ""),
        class => rules::object_name(errors, &path.child("deviceClassName"), class),
    }
    validate_selectors(errors, path, request);
    let count = number(request, "count");
    match text(request, "allocationMode") {
        "All" if count != 0 => {
            let detail = "must not be specified when allocationMode is 'All'";
            errors.invalid(&path.child("count"), count, detail);
        }
        "All" => {}
        EXACT => rules::positive(errors, &path.child("count"), count),
        mode => errors.not_supported(&path.child("allocationMode"), mode, &["All", EXACT]),
    }
    taint::validate_tolerations(errors, path, request);
}

/// What is wrong with the expressions that select devices, apart from what they say.
pub fn validate_selectors(errors: &mut FieldErrors, path: &Path<'_>, owner: &Value) {
    let selectors = list(owner, "selectors");
    validate_items(errors, &path.child("selectors"), selectors, SELECTORS_MAX, |errors, path, selector| {
        let path = path.child("cel");
        match present(selector, "cel") {
            None => errors.required(&path, ""),
            Some(cel) if text(cel, "expression").len() > EXPRESSION_LENGTH_MAX => {
                errors.too_long(&path.child("expression"), EXPRESSION_LENGTH_MAX);
            }
            Some(_) => {}
        }
    });
}

fn validate_constraint(errors: &mut FieldErrors, path: &Path<'_>, constraint: &Value, names: &Names<'_>) {
    names.validate_list(errors, path, constraint);
    let attribute = |field: &str| present(constraint, field).and_then(Value::as_str);
    if let Some(name) = attribute("matchAttribute") {
        validate_fully_qualified(errors, &path.child("matchAttribute"), name);
    } else if let Some(name) = attribute("distinctAttribute") {
        validate_fully_qualified(errors, &path.child("distinctAttribute"), name);
    } else {
        let detail = "exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are set";
        errors.required(path, detail);
    }
}

/// What is wrong with what a driver is told.
pub fn validate_configuration(errors: &mut FieldErrors, path: &Path<'_>, configuration: &Value) {
    let path = path.child("opaque");
    let Some(opaque) = present(configuration, "opaque") else { return errors.required(&path, "") };
    validate_driver(errors, &path.child("driver"), text(opaque, "driver"));
    validate_raw(errors, &path.child("parameters"), &opaque["parameters"], PARAMETERS_LENGTH_MAX);
}

/// What is wrong with an object of no known type.
pub fn validate_raw(errors: &mut FieldErrors, path: &Path<'_>, value: &Value, most: usize) {
    if value.is_null() {
        errors.required(path, "");
    } else if value.to_string().len() > most {
        errors.too_long(path, most);
    } else if !value.is_object() {
        errors.invalid(path, "<value omitted>", "must be a valid JSON object");
    }
}

/// The devices of an allocation: driver, pool, device and share.
pub fn device_id(device: &Value) -> String {
    let parts = ["driver", "pool", "device", "shareID"].map(|field| text(device, field));
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}
