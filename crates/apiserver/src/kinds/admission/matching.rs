//! Which requests a webhook or a policy is about: rules over groups, versions, resources and operations.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use crate::{
    kinds::workloads::pod_spec::rules,
    machinery::{
        FieldErrors, Path,
        fields::{fill, list, objects_mut, present, text, texts},
        format, selector,
    },
};

const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
/// What can be mutated.
const MUTATING_OPERATIONS: [&str; 4] = ["*", "CONNECT", "CREATE", "UPDATE"];
const MATCH_POLICIES: [&str; 2] = ["Equivalent", "Exact"];
/// What happens when a webhook or a policy fails.
pub const FAILURE_POLICIES: [&str; 2] = ["Fail", "Ignore"];

/// What rules mean by leaving their scope out.
pub fn fill_rules(owner: &mut Map<String, Value>, field: &str) {
    for rule in objects_mut(owner, field) {
        fill(rule, "scope", "*");
    }
}

/// What a `MatchResources` means by leaving fields out.
pub fn fill_match(resources: &mut Map<String, Value>) {
    fill(resources, "matchPolicy", "Equivalent");
    fill_selectors(resources);
    fill_rules(resources, "resourceRules");
    fill_rules(resources, "excludeResourceRules");
}

/// All namespaces and all objects match where no selector says otherwise.
pub fn fill_selectors(owner: &mut Map<String, Value>) {
    fill(owner, "namespaceSelector", json!({}));
    fill(owner, "objectSelector", json!({}));
}

/// What is wrong with a `MatchResources`.
pub fn validate_match(errors: &mut FieldErrors, path: &Path<'_>, resources: &Value) {
    validate_policy(errors, &path.child("matchPolicy"), text(resources, "matchPolicy"));
    for field in ["namespaceSelector", "objectSelector"] {
        match present(resources, field) {
            Some(own) => selector::validate(errors, &path.child(field), own, selector::Leniency::default()),
            None => errors.required(&path.child(field), ""),
        }
    }
    for field in ["resourceRules", "excludeResourceRules"] {
        let path = path.child(field);
        for (index, rule) in list(resources, field).iter().enumerate() {
            let path = path.index(index);
            validate_names(errors, &path.child("resourceNames"), rule);
            validate_rule(errors, &path, rule);
        }
    }
}

/// What is wrong with what a policy is about, of which there must be something.
pub fn validate_constraints(errors: &mut FieldErrors, spec: &Value, mutating: bool) {
    let path = Path::new("spec");
    let path = path.child("matchConstraints");
    let Some(constraints) = present(spec, "matchConstraints") else { return errors.required(&path, "") };
    validate_match(errors, &path, constraints);
    if list(constraints, "resourceRules").is_empty() {
        errors.required(&path.child("resourceRules"), "");
    }
    if mutating {
        validate_mutating(errors, &path, constraints);
    }
}

/// Only some operations can be mutated.
pub fn validate_mutating(errors: &mut FieldErrors, path: &Path<'_>, resources: &Value) {
    let path = path.child("resourceRules");
    for operation in list(resources, "resourceRules").iter().flat_map(|rule| texts(rule, "operations")) {
        rules::one_of(errors, &path.child("operations"), operation, &MUTATING_OPERATIONS);
    }
}

fn validate_names(errors: &mut FieldErrors, path: &Path<'_>, rule: &Value) {
    let mut seen = HashSet::new();
    for (index, name) in texts(rule, "resourceNames").enumerate() {
        let path = path.index(index);
        format::report(errors, &path, name, format::is_path_segment_name(name));
        if !seen.insert(name) {
            errors.duplicate(&path, name);
        }
    }
}

/// What is wrong with how exactly a rule matches.
pub fn validate_policy(errors: &mut FieldErrors, path: &Path<'_>, policy: &str) {
    rules::required_one_of(errors, path, policy, &MATCH_POLICIES);
}

/// What is wrong with a rule.
pub fn validate_rule(errors: &mut FieldErrors, path: &Path<'_>, rule: &Value) {
    validate_list(errors, path, rule, "operations", "operations");
    for (index, operation) in texts(rule, "operations").enumerate() {
        rules::one_of(errors, &path.child("operations").index(index), operation, &OPERATIONS);
    }
    validate_list(errors, path, rule, "apiGroups", "API groups");
    validate_list(errors, path, rule, "apiVersions", "API versions");
    for (index, _) in texts(rule, "apiVersions").enumerate().filter(|(_, version)| version.is_empty()) {
        errors.required(&path.child("apiVersions").index(index), "");
    }
    validate_resources(errors, &path.child("resources"), rule);
    if let Some(scope) = present(rule, "scope").and_then(Value::as_str) {
        rules::one_of(errors, &path.child("scope"), scope, &["*", "Cluster", "Namespaced"]);
    }
}

/// A list must have something, and nothing besides `*`.
fn validate_list(errors: &mut FieldErrors, path: &Path<'_>, rule: &Value, field: &str, what: &str) {
    let values = list(rule, field);
    if values.is_empty() {
        errors.required(&path.child(field), "");
    }
    if values.len() > 1 && values.iter().any(|value| value == "*") {
        let detail = format!("if '*' is present, must not specify other {what}");
        errors.invalid(&path.child(field), values.to_vec(), &detail);
    }
}

fn validate_resources(errors: &mut FieldErrors, path: &Path<'_>, rule: &Value) {
    let values = list(rule, "resources");
    if values.is_empty() {
        errors.required(path, "");
    }
    let (mut with_all_parts, mut parts_of_all) = (HashSet::new(), HashSet::new());
    let (mut everything, mut all_whole, mut ends_whole) = (false, false, false);
    for (index, resource) in texts(rule, "resources").enumerate() {
        let path = path.index(index);
        if resource.is_empty() {
            errors.required(&path, "");
            continue;
        }
        everything |= resource == "*/*";
        all_whole |= resource == "*";
        let Some((name, part)) = resource.split_once('/') else {
            // Kubernetes remembers only the last.
            ends_whole = resource != "*";
            continue;
        };
        if with_all_parts.contains(name) {
            let detail = format!("if '{name}/*' is present, must not specify {resource}");
            errors.invalid(&path, resource, &detail);
        }
        if parts_of_all.contains(part) {
            let detail = format!("if '*/{part}' is present, must not specify {resource}");
            errors.invalid(&path, resource, &detail);
        }
        if part == "*" {
            with_all_parts.insert(name);
        }
        if name == "*" {
            parts_of_all.insert(part);
        }
    }
    if values.len() > 1 && everything {
        errors.invalid(path, values.to_vec(), "if '*/*' is present, must not specify other resources");
    }
    if all_whole && ends_whole {
        let detail = "if '*' is present, must not specify other resources without subresources";
        errors.invalid(path, values.to_vec(), detail);
    }
}
