//! ValidatingAdmissionPolicy and its bindings: what requests must be like, in CEL.

use std::collections::HashSet;

use serde_json::Value;

use super::{conditions, matching};
use crate::{
    kinds::{Strategy, go, strategy::Generation, workloads::pod_spec::rules},
    machinery::{
        FieldErrors, Path,
        fields::{fill, list, object_mut, present, text, texts},
        metadata, object,
    },
};

/// The behaviour of ValidatingAdmissionPolicies.
pub static POLICY: Strategy = Strategy {
    default: fill_policy,
    validate_create: validate,
    validate_update: |new, _, errors| {
        metadata::validate(new, false, POLICY.name_rule, errors);
        validate(new, errors);
    },
    validate_status: |new, _, errors| validate_status(new, errors),
    generation: Generation::Spec,
    status: true,
    unconditional_update: false,
    ..Strategy::PLAIN
};

/// The behaviour of ValidatingAdmissionPolicyBindings.
pub static BINDING: Strategy = Strategy {
    default: fill_binding,
    validate_create: validate_binding,
    validate_update: |new, _, errors| {
        metadata::validate(new, false, BINDING.name_rule, errors);
        validate_binding(new, errors);
    },
    generation: Generation::Spec,
    unconditional_update: false,
    ..Strategy::PLAIN
};

const SPEC: Path<'static> = Path::new("spec");
const NOTES_MAX: usize = 20;
const NOTE_LENGTH_MAX: usize = 5 * 1024;
const REASONS: [&str; 3] = ["Forbidden", "Invalid", "RequestEntityTooLarge"];

/// What a policy means by leaving fields out.
pub fn fill_policy(policy: &mut Value) {
    let spec = object::child_mut(policy, "spec");
    fill(spec, "failurePolicy", "Fail");
    if let Some(constraints) = object_mut(spec, "matchConstraints") {
        matching::fill_match(constraints);
    }
}

/// What a binding means by leaving fields out.
pub fn fill_binding(binding: &mut Value) {
    if let Some(resources) = object_mut(object::child_mut(binding, "spec"), "matchResources") {
        matching::fill_match(resources);
    }
}

/// What is wrong with what comes first in a policy of either sort.
pub fn validate_beginning(errors: &mut FieldErrors, spec: &Value, mutating: bool) {
    let policy = text(spec, "failurePolicy");
    let path = SPEC.child("failurePolicy");
    match present(spec, "failurePolicy") {
        None => errors.required(&path, ""),
        Some(_) => rules::one_of(errors, &path, policy, &matching::FAILURE_POLICIES),
    }
    conditions::validate_kind(errors, spec);
    matching::validate_constraints(errors, spec, mutating);
    conditions::validate(errors, &SPEC.child("matchConditions"), list(spec, "matchConditions"));
    conditions::validate_variables(errors, spec);
}

fn validate(new: &Value, errors: &mut FieldErrors) {
    const NOTHING: &str = "validations or auditAnnotations must contain at least one item";
    let spec = &new["spec"];
    validate_beginning(errors, spec, false);
    let (validations, notes) = (list(spec, "validations"), list(spec, "auditAnnotations"));
    let (path, notes_path) = (SPEC.child("validations"), SPEC.child("auditAnnotations"));
    if validations.is_empty() && notes.is_empty() {
        errors.required(&path, NOTHING);
        errors.required(&notes_path, NOTHING);
    }
    for (index, validation) in validations.iter().enumerate() {
        validate_validation(errors, &path.index(index), validation);
    }
    if notes.len() > NOTES_MAX {
        let detail = format!("must not have more than {NOTES_MAX} auditAnnotations");
        go::invalid(errors, &notes_path, &written(notes), &detail);
    }
    let mut keys = HashSet::new();
    for (index, note) in notes.iter().enumerate() {
        let path = notes_path.index(index);
        validate_note(errors, &path, note, object::name(new));
        if !keys.insert(text(note, "key")) {
            errors.duplicate(&path.child("key"), text(note, "key"));
        }
    }
}

fn validate_validation(errors: &mut FieldErrors, path: &Path<'_>, validation: &Value) {
    const EMPTY: &str = "must be non-empty if specified";
    conditions::validate_expression(errors, path, validation, "expression is not specified");
    let expression = text(validation, "messageExpression");
    if !expression.is_empty() && expression.trim().is_empty() {
        errors.invalid(&path.child("messageExpression"), expression, EMPTY);
    }
    let message = text(validation, "message");
    if !message.is_empty() && message.trim().is_empty() {
        errors.invalid(&path.child("message"), message, EMPTY);
    } else if message.trim().contains(['\n', '\r']) {
        errors.invalid(&path.child("message"), message, "must not contain line breaks");
    }
    if let Some(reason) = present(validation, "reason").and_then(Value::as_str) {
        rules::one_of(errors, &path.child("reason"), reason, &REASONS);
    }
}

fn validate_note(errors: &mut FieldErrors, path: &Path<'_>, note: &Value, policy: &str) {
    let key = text(note, "key");
    if policy.is_empty() {
        errors.invalid(&path.child("key"), key, "requires metadata.name be non-empty");
    } else {
        rules::qualified_name(errors, &path.child("key"), &format!("{policy}/{key}"));
    }
    let expression = text(note, "valueExpression").trim();
    let path = path.child("valueExpression");
    if expression.is_empty() {
        errors.required(&path, "valueExpression is not specified");
    } else if expression.len() > NOTE_LENGTH_MAX {
        errors.required(&path, &format!("must not exceed {NOTE_LENGTH_MAX} bytes in length"));
    }
}

/// Audit annotations as the server's own structs.
fn written(notes: &[Value]) -> String {
    let notes: Vec<String> = notes
        .iter()
        .map(|note| {
            go::structure(&[
                ("Key", go::text(note, "key")),
                ("ValueExpression", go::text(note, "valueExpression")),
            ])
        })
        .collect();
    format!("[{}]", notes.join(","))
}

fn validate_status(new: &Value, errors: &mut FieldErrors) {
    let path = Path::new("status");
    let status = &new["status"];
    let checking = path.child("typeChecking");
    let warnings = checking.child("expressionWarnings");
    for (index, warning) in list(&status["typeChecking"], "expressionWarnings").iter().enumerate() {
        let path = warnings.index(index);
        rules::required(errors, &path, warning, &["warning"]);
        if text(warning, "fieldRef").trim().is_empty() {
            errors.required(&path.child("fieldRef"), "");
        }
    }
    metadata::validate_conditions(errors, &path.child("conditions"), list(status, "conditions"));
}

fn validate_binding(new: &Value, errors: &mut FieldErrors) {
    let spec = &new["spec"];
    conditions::validate_binding(errors, spec);
    if let Some(resources) = present(spec, "matchResources") {
        matching::validate_match(errors, &SPEC.child("matchResources"), resources);
    }
    validate_actions(errors, &SPEC.child("validationActions"), spec);
}

fn validate_actions(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value) {
    let mut actions = HashSet::new();
    for (index, action) in texts(spec, "validationActions").enumerate() {
        rules::one_of(errors, &path.index(index), action, &["Audit", "Deny", "Warn"]);
        if !actions.insert(action) {
            errors.duplicate(&path.index(index), action);
        }
    }
    if actions.contains("Deny") && actions.contains("Warn") {
        let detail = "must not contain both Deny and Warn (repeating the same validation failure information in the \
                      API response and headers serves no purpose)";
        errors.invalid(path, spec["validationActions"].clone(), detail);
    }
    if actions.is_empty() {
        errors.required(path, "at least one validation action is required");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::cases;

    fn policy() -> Value {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
            "spec": {
                "matchConstraints": {"resourceRules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]},
                ]},
                "validations": [{"expression": "true"}],
            },
        })
    }

    #[test]
    fn what_a_policy_does_not_say_is_filled_in() {
        assert_eq!(
            cases::created(policy()).0["spec"],
            json!({
                "failurePolicy": "Fail",
                "matchConstraints": {
                    "matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {},
                    "resourceRules": [{
                        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"],
                        "scope": "*",
                    }],
                },
                "validations": [{"expression": "true"}],
            })
        );
    }

    #[test]
    fn what_is_wrong_with_a_policy() {
        cases::check_wrong(
            &policy(),
            &[
                (json!({}), &[]),
                (
                    json!({"spec": {"validations": [], "matchConstraints": null}}),
                    &[
                        "spec.matchConstraints: Required value",
                        "spec.validations: Required value: validations or auditAnnotations must contain at least one \
                         item",
                        "spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least \
                         one item",
                    ],
                ),
                (
                    json!({"spec": {
                        "failurePolicy": "Maybe", "paramKind": {"apiVersion": "a/b/c", "kind": "X_"},
                        "variables": [{"name": "for", "expression": "1"}, {"name": " ", "expression": ""}],
                        "validations": [
                            {"expression": " ", "message": "a\nb", "reason": "Odd", "messageExpression": " "},
                        ],
                    }}),
                    &[
                        "spec.failurePolicy: Unsupported value: \"Maybe\": supported values: \"Fail\", \"Ignore\"",
                        "spec.paramKind.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c",
                        "spec.paramKind.kind: Invalid value: \"X_\": may have mixed case, but should otherwise match: \
                         a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
                         alphabetic character, and end with an alphanumeric character",
                        "spec.variables[0].name: Invalid value: \"for\": must be a valid CEL identifier",
                        "spec.variables[1].name: Required value: name is not specified",
                        "spec.variables[1].expression: Required value: expression is not specified",
                        "spec.validations[0].expression: Required value: expression is not specified",
                        "spec.validations[0].messageExpression: Invalid value: \" \": must be non-empty if specified",
                        "spec.validations[0].message: Invalid value: \"a\\nb\": must not contain line breaks",
                        "spec.validations[0].reason: Unsupported value: \"Odd\": supported values: \"Forbidden\", \
                         \"Invalid\", \"RequestEntityTooLarge\"",
                    ],
                ),
                (
                    json!({"spec": {"auditAnnotations": [
                        {"key": "k", "valueExpression": ""}, {"key": "k", "valueExpression": "'x'"},
                    ]}}),
                    &[
                        "spec.auditAnnotations[0].valueExpression: Required value: valueExpression is not specified",
                        "spec.auditAnnotations[1].key: Duplicate value: \"k\"",
                    ],
                ),
                (
                    json!({"spec": {"matchConstraints": {"resourceRules": [{
                        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
                        "resourceNames": ["a", "a", "b/c"],
                    }]}}}),
                    &[
                        "spec.matchConstraints.resourceRules[0].resourceNames[1]: Duplicate value: \"a\"",
                        "spec.matchConstraints.resourceRules[0].resourceNames[2]: Invalid value: \"b/c\": may not \
                         contain '/'",
                    ],
                ),
            ],
        );
    }

    #[test]
    fn what_is_wrong_with_a_status() {
        let patch =
            json!({"status": {"typeChecking": {"expressionWarnings": [{"fieldRef": " ", "warning": ""}]}}});
        assert_eq!(
            cases::status_updated(policy(), &patch).1,
            [
                "status.typeChecking.expressionWarnings[0].warning: Required value",
                "status.typeChecking.expressionWarnings[0].fieldRef: Required value",
            ]
        );
    }

    #[test]
    fn what_is_wrong_with_a_binding() {
        let base = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
            "spec": {"policyName": "p", "validationActions": ["Deny"]},
        });
        cases::check_wrong(
            &base,
            &[
                (json!({}), &[]),
                (
                    json!({"spec": {"policyName": "", "validationActions": []}}),
                    &[
                        "spec.policyName: Required value",
                        "spec.validationActions: Required value: at least one validation action is required",
                    ],
                ),
                (
                    json!({"spec": {"validationActions": ["Deny", "Warn", "Warn", "Odd"]}}),
                    &[
                        "spec.validationActions[2]: Duplicate value: \"Warn\"",
                        "spec.validationActions[3]: Unsupported value: \"Odd\": supported values: \"Audit\", \"Deny\", \
                         \"Warn\"",
                        "spec.validationActions: Invalid value: [\"Deny\",\"Warn\",\"Warn\",\"Odd\"]: must not contain \
                         both Deny and Warn (repeating the same validation failure information in the API response and \
                         headers serves no purpose)",
                    ],
                ),
                (
                    json!({"spec": {"paramRef": {"name": "a", "selector": {}, "parameterNotFoundAction": "Ask"}}}),
                    &[
                        "spec.paramRef.name: Forbidden: name and selector are mutually exclusive",
                        "spec.paramRef.selector: Forbidden: name and selector are mutually exclusive",
                        "spec.paramRef.parameterNotFoundAction: Unsupported value: \"Ask\": supported values: \
                         \"Deny\", \"Allow\"",
                    ],
                ),
                (
                    json!({"spec": {"paramRef": {}}}),
                    &[
                        "spec.paramRef: Required value: one of name or selector must be specified",
                        "spec.paramRef.parameterNotFoundAction: Required value",
                    ],
                ),
            ],
        );
    }
}
