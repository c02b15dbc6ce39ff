//! FlowSchema: which requests belong together, and which priority level they have.

use std::collections::HashSet;

use serde_json::Value;

use crate::{
    kinds::{Strategy, go, strategy::Generation},
    machinery::{
        FieldErrors, Path,
        fields::{fill_zero, flag, list, number, present, text, texts},
        format,
        invalid::Cause,
        metadata, object,
    },
};

/// The behaviour of FlowSchemas.
pub static STRATEGY: Strategy = Strategy {
    default: |schema| {
        fill_zero(object::child_mut(schema, "spec"), "matchingPrecedence", PRECEDENCE_UNASKED);
    },
    validate_create: validate,
    validate_update: |new, _, errors| {
        metadata::validate(new, false, STRATEGY.name_rule, errors);
        validate(new, errors);
    },
    validate_status: |new, _, errors| validate_conditions(new, errors),
    generation: Generation::Spec,
    status: true,
    ..Strategy::PLAIN
};

const PRECEDENCE_UNASKED: i64 = 1000;
const PRECEDENCE_MAX: i64 = 10_000;
const SPEC: Path<'static> = Path::new("spec");
const VERBS: [&str; 9] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];

fn validate(new: &Value, errors: &mut FieldErrors) {
    let spec = &new["spec"];
    let precedence = number(spec, "matchingPrecedence");
    let path = SPEC.child("matchingPrecedence");
    if precedence <= 0 {
        errors.invalid(&path, precedence, "must be a positive value");
    }
    if precedence > PRECEDENCE_MAX {
        errors.invalid(&path, precedence, &format!("must not be greater than {PRECEDENCE_MAX}"));
    }
    if precedence == 1 && object::name(new) != "exempt" {
        errors.invalid(&path, precedence, "only the schema named 'exempt' may have matchingPrecedence 1");
    }
    if let Some(method) = present(spec, "distinguisherMethod")
        && !matches!(text(method, "type"), "ByNamespace" | "ByUser")
    {
        let path = SPEC.child("distinguisherMethod");
        let written = go::structure(&[("Type", go::text(method, "type"))]);
        let message = format!("Unsupported value: {written}: supported values: \"ByNamespace\", \"ByUser\"");
        errors.push(Cause::FieldValueNotSupported, &path.child("type"), message);
    }
    let path = SPEC.child("priorityLevelConfiguration");
    match text(&spec["priorityLevelConfiguration"], "name") {
        "" => errors.required(&path.child("name"), "must reference a priority level"),
        name => format::report(errors, &path.child("name"), name, format::is_dns1123_subdomain(name)),
    }
    let path = SPEC.child("rules");
    for (index, rule) in list(spec, "rules").iter().enumerate() {
        validate_rule(errors, &path.index(index), rule);
    }
    validate_conditions(new, errors);
}

fn validate_rule(errors: &mut FieldErrors, path: &Path<'_>, rule: &Value) {
    let subjects_path = path.child("subjects");
    let subjects = list(rule, "subjects");
    if subjects.is_empty() {
        errors.required(&subjects_path, "subjects must contain at least one value");
    }
    for (index, subject) in subjects.iter().enumerate() {
        validate_subject(errors, &subjects_path.index(index), subject);
    }
    let (resources, others) = (list(rule, "resourceRules"), list(rule, "nonResourceRules"));
    if resources.is_empty() && others.is_empty() {
        let detail = "at least one of resourceRules and nonResourceRules has to be non-empty";
        errors.required(path, detail);
    }
    let at = path.child("resourceRules");
    for (index, rule) in resources.iter().enumerate() {
        validate_resource_rule(errors, &at.index(index), rule);
    }
    let at = path.child("nonResourceRules");
    for (index, rule) in others.iter().enumerate() {
        validate_url_rule(errors, &at.index(index), rule);
    }
}

fn validate_subject(errors: &mut FieldErrors, path: &Path<'_>, subject: &Value) {
    let kind = text(subject, "kind");
    let members = [("ServiceAccount", "serviceAccount"), ("User", "user"), ("Group", "group")];
    let Some((_, own)) = members.iter().find(|(known, _)| *known == kind) else {
        return errors.not_supported(&path.child("kind"), kind, &["Group", "ServiceAccount", "User"]);
    };
    let at = path.child(own);
    match present(subject, own) {
        None => errors.required(&at, &format!("{own} is required when subject kind is '{kind}'")),
        Some(member) => validate_member(errors, &at, member, kind == "ServiceAccount"),
    }
    for (other_kind, other) in members {
        if other != *own && present(subject, other).is_some() {
            let detail = format!("{other} is forbidden when subject kind is not '{other_kind}'");
            errors.forbidden(&path.child(other), &detail);
        }
    }
}

fn validate_member(errors: &mut FieldErrors, path: &Path<'_>, member: &Value, is_account: bool) {
    match text(member, "name") {
        "" => errors.required(&path.child("name"), ""),
        name if is_account && name != "*" => {
            format::report(errors, &path.child("name"), name, format::is_dns1123_subdomain(name));
        }
        _ => {}
    }
    let at = path.child("namespace");
    match text(member, "namespace") {
        _ if !is_account => {}
        "" => errors.required(&at, "must specify namespace for service account"),
        namespace => format::report(errors, &at, namespace, format::is_dns1123_label(namespace)),
    }
}

fn has_wildcard(rule: &Value, field: &str) -> bool {
    texts(rule, field).any(|item| item == "*")
}

/// Refuses more beside `*`; whether there is one.
fn validate_wildcard(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    rule: &Value,
    field: &str,
    what: &str,
) -> bool {
    let has = has_wildcard(rule, field);
    if has && list(rule, field).len() > 1 {
        let detail = format!("if '*' is present, must not specify other {what}");
        errors.invalid(&path.child(field), rule[field].clone(), &detail);
    }
    has
}

fn validate_verbs(errors: &mut FieldErrors, path: &Path<'_>, rule: &Value) {
    let at = path.child("verbs");
    if list(rule, "verbs").is_empty() {
        errors.required(&at, "verbs must contain at least one value");
    } else if !validate_wildcard(errors, path, rule, "verbs", "verbs")
        && !texts(rule, "verbs").all(|verb| VERBS.contains(&verb))
    {
        errors.not_supported(&at, rule["verbs"].clone(), &VERBS);
    }
}

fn validate_resource_rule(errors: &mut FieldErrors, path: &Path<'_>, rule: &Value) {
    validate_verbs(errors, path, rule);
    for (field, one, many) in
        [("apiGroups", "api group", "api groups"), ("resources", "resource", "resources")]
    {
        if list(rule, field).is_empty() {
            errors.required(&path.child(field), &format!("resource rules must supply at least one {one}"));
        } else {
            validate_wildcard(errors, path, rule, field, many);
        }
    }
    let at = path.child("namespaces");
    if list(rule, "namespaces").is_empty() && !flag(rule, "clusterScope") {
        let detail = "resource rules that are not cluster scoped must supply at least one namespace";
        errors.required(&at, detail);
    } else if !validate_wildcard(errors, path, rule, "namespaces", "namespaces") {
        for (index, namespace) in texts(rule, "namespaces").enumerate() {
            for problem in format::is_dns1123_label(namespace) {
                let detail = format!("each member of this list must be '*' or a DNS-1123 label; {problem}");
                errors.invalid(&at.index(index), namespace, &detail);
            }
        }
    }
}

fn validate_url_rule(errors: &mut FieldErrors, path: &Path<'_>, rule: &Value) {
    validate_verbs(errors, path, rule);
    let at = path.child("nonResourceURLs");
    if list(rule, "nonResourceURLs").is_empty() {
        errors.required(&at, "nonResourceURLs must contain at least one value");
    } else if !validate_wildcard(errors, path, rule, "nonResourceURLs", "non-resource URLs") {
        for (index, url) in texts(rule, "nonResourceURLs").enumerate() {
            if let Some(problem) = url_problem(url) {
                errors.invalid(&at.index(index), url, problem);
            }
        }
    }
}

fn url_problem(url: &str) -> Option<&'static str> {
    let wildcards = url.matches('*').count();
    match url {
        "" => Some("must not be empty"),
        "/" => None,
        _ if !url.starts_with('/') => Some("must start with slash"),
        _ if url.contains(' ') => Some("must not contain white-space"),
        _ if url.contains("//") => Some("must not contain double slash"),
        _ if wildcards > 1 || (wildcards == 1 && !url.ends_with("/*")) => {
            Some("wildcard can only do suffix matching")
        }
        _ => None,
    }
}

/// Conditions of flow control: each type once.
pub(super) fn validate_conditions(new: &Value, errors: &mut FieldErrors) {
    let path = Path::new("status");
    let path = path.child("conditions");
    let mut seen = HashSet::new();
    for (index, condition) in list(&new["status"], "conditions").iter().enumerate() {
        let path = path.index(index);
        let type_ = text(condition, "type");
        if !seen.insert(type_) {
            errors.duplicate(&path.child("type"), type_);
        }
        if type_.is_empty() {
            errors.required(&path.child("type"), "must not be empty");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::cases;

    fn schema() -> Value {
        json!({"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema",
            "spec": {"priorityLevelConfiguration": {"name": "pl"}}})
    }

    #[test]
    fn precedence_and_rules_are_validated() {
        assert_eq!(cases::created(schema()).0["spec"]["matchingPrecedence"], 1000);
        let rule = |rule: Value| json!({"spec": {"rules": [rule]}});
        cases::check_wrong(
            &schema(),
            &[
                (json!({}), &[]),
                (
                    json!({"spec": {"matchingPrecedence": 1, "priorityLevelConfiguration": {"name": ""}, "distinguisherMethod": {"type": "x"}}}),
                    &[
                        "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1",
                        "spec.distinguisherMethod.type: Unsupported value: {\"Type\":\"x\"}: supported values: \"ByNamespace\", \"ByUser\"",
                        "spec.priorityLevelConfiguration.name: Required value: must reference a priority level",
                    ],
                ),
                (
                    rule(json!({})),
                    &[
                        "spec.rules[0].subjects: Required value: subjects must contain at least one value",
                        "spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty",
                    ],
                ),
                (
                    rule(json!({
                        "subjects": [{"kind": "User", "group": {"name": "g"}}, {"kind": "ServiceAccount", "serviceAccount": {"name": "*"}}],
                        "resourceRules": [{"verbs": ["*", "get"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["a.b"]}],
                        "nonResourceRules": [{"verbs": ["fly"], "nonResourceURLs": ["/a*", "/b/*"]}],
                    })),
                    &[
                        "spec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'",
                        "spec.rules[0].subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'",
                        "spec.rules[0].subjects[1].serviceAccount.namespace: Required value: must specify namespace for service account",
                        "spec.rules[0].resourceRules[0].verbs: Invalid value: [\"*\",\"get\"]: if '*' is present, must not specify other verbs",
                        "spec.rules[0].resourceRules[0].namespaces[0]: Invalid value: \"a.b\": each member of this list must be '*' or a DNS-1123 label; must not contain dots",
                        "spec.rules[0].nonResourceRules[0].verbs: Unsupported value: [\"fly\"]: supported values: \"create\", \"delete\", \"deletecollection\", \"get\", \"list\", \"patch\", \"proxy\", \"update\", \"watch\"",
                        "spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: \"/a*\": wildcard can only do suffix matching",
                    ],
                ),
            ],
        );
    }
}
