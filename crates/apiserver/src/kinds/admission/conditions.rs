//! What policies and webhooks share besides rules: parameters, conditions and variables.

use std::collections::HashSet;

use serde_json::Value;

use crate::{
    kinds::workloads::pod_spec::rules,
    machinery::{
        FieldErrors, Path,
        fields::{list, present, text},
        format, selector,
    },
};

const CONDITIONS_MAX: usize = 64;
/// Words that CEL keeps for itself.
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// What is wrong with the conditions under which a webhook or a policy is asked.
pub fn validate(errors: &mut FieldErrors, path: &Path<'_>, conditions: &[Value]) {
    if conditions.len() > CONDITIONS_MAX {
        errors.too_many(path, conditions.len(), CONDITIONS_MAX);
    }
    let mut names = HashSet::new();
    for (index, condition) in conditions.iter().enumerate() {
        let path = path.index(index);
        validate_expression(errors, &path, condition, "");
        let name = text(condition, "name");
        if name.is_empty() {
            errors.required(&path.child("name"), "");
            continue;
        }
        rules::qualified_name(errors, &path.child("name"), name);
        if !names.insert(name) {
            errors.duplicate(&path.child("name"), name);
        }
    }
}

/// An expression must say something.
pub fn validate_expression(errors: &mut FieldErrors, path: &Path<'_>, owner: &Value, detail: &str) {
    if text(owner, "expression").trim().is_empty() {
        errors.required(&path.child("expression"), detail);
    }
}

/// What is wrong with variables that expressions share.
pub fn validate_variables(errors: &mut FieldErrors, spec: &Value) {
    let path = Path::new("spec");
    let path = path.child("variables");
    for (index, variable) in list(spec, "variables").iter().enumerate() {
        let path = path.index(index);
        let name = text(variable, "name");
        if name.trim().is_empty() {
            errors.required(&path.child("name"), "name is not specified");
        } else if !is_identifier(name) {
            errors.invalid(&path.child("name"), name, "must be a valid CEL identifier");
        }
        validate_expression(errors, &path, variable, "expression is not specified");
    }
}

fn is_identifier(name: &str) -> bool {
    let is_letter = |c: char| c == '_' || c.is_ascii_alphabetic();
    name.starts_with(is_letter)
        && name.chars().all(|c| is_letter(c) || c.is_ascii_digit())
        && !RESERVED.contains(&name)
}

/// What is wrong with the kind of a policy's parameters.
pub fn validate_kind(errors: &mut FieldErrors, spec: &Value) {
    let Some(kind) = present(spec, "paramKind") else { return };
    let path = Path::new("spec");
    let path = path.child("paramKind");
    let version_path = path.child("apiVersion");
    let api_version = text(kind, "apiVersion");
    let (group, version) = match api_version {
        "/" => ("", ""),
        _ => api_version.split_once('/').unwrap_or(("", api_version)),
    };
    if api_version.is_empty() {
        errors.required(&version_path, "");
    } else if version.contains('/') {
        let detail = format!("unexpected GroupVersion string: {api_version}");
        errors.invalid(&version_path, api_version, &detail);
    } else {
        let problems = format::is_dns1123_subdomain(group);
        if !group.is_empty() && !problems.is_empty() {
            errors.invalid(&version_path, group, &problems.join(","));
        }
        let problems = format::is_dns1035_label(version);
        if version.is_empty() {
            errors.invalid(&version_path, api_version, "version must be specified");
        } else if !problems.is_empty() {
            errors.invalid(&version_path, version, &problems.join(","));
        }
    }
    let name = text(kind, "kind");
    let problems = format::is_dns1035_label(&name.to_lowercase());
    if name.is_empty() {
        errors.required(&path.child("kind"), "");
    } else if !problems.is_empty() {
        let detail = format!("may have mixed case, but should otherwise match: {}", problems.join(","));
        errors.invalid(&path.child("kind"), name, &detail);
    }
}

/// What is wrong with the policy and the parameters that a binding brings together.
pub fn validate_binding(errors: &mut FieldErrors, spec: &Value) {
    let path = Path::new("spec");
    match text(spec, "policyName") {
        "" => errors.required(&path.child("policyName"), ""),
        name => rules::object_name(errors, &path.child("policyName"), name),
    }
    if let Some(reference) = present(spec, "paramRef") {
        validate_reference(errors, &path.child("paramRef"), reference);
    }
}

fn validate_reference(errors: &mut FieldErrors, path: &Path<'_>, reference: &Value) {
    const EXCLUSIVE: &str = "name and selector are mutually exclusive";
    let (name, own) = (text(reference, "name"), present(reference, "selector"));
    if !name.is_empty() {
        format::report(errors, &path.child("name"), name, format::is_path_segment_name(name));
        if own.is_some() {
            errors.forbidden(&path.child("name"), EXCLUSIVE);
        }
    }
    if let Some(own) = own {
        selector::validate(errors, &path.child("selector"), own, selector::Leniency::default());
        if !name.is_empty() {
            errors.forbidden(&path.child("selector"), EXCLUSIVE);
        }
    }
    if name.is_empty() && own.is_none() {
        errors.required(path, "one of name or selector must be specified");
    }
    let action = text(reference, "parameterNotFoundAction");
    rules::required_one_of(errors, &path.child("parameterNotFoundAction"), action, &["Deny", "Allow"]);
}
