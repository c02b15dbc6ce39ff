//! Rows of who may do what, and of what checks requests: bindings, webhooks, admission policies.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    format::{created, selector_struct},
    read::{at, count, items, text},
};
use crate::machinery::object;

/// The cells of a RoleBinding or ClusterRoleBinding.
pub fn binding(binding: &Value, now: Timestamp) -> Vec<Value> {
    let role = at(binding, "roleRef");
    let subjects = |kind: &str| {
        let names: Vec<String> = items(binding, "subjects")
            .iter()
            .filter(|subject| text(subject, "kind") == kind)
            .map(|subject| match kind {
                "ServiceAccount" => format!("{}/{}", text(subject, "namespace"), text(subject, "name")),
                _ => text(subject, "name").to_owned(),
            })
            .collect();
        names.join(", ")
    };
    vec![
        object::name(binding).into(),
        format!("{}/{}", text(role, "kind"), text(role, "name")).into(),
        created(binding, now),
        subjects("User").into(),
        subjects("Group").into(),
        subjects("ServiceAccount").into(),
    ]
}

/// The cells of a ValidatingWebhookConfiguration or MutatingWebhookConfiguration.
pub fn webhooks(configuration: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        object::name(configuration).into(),
        count(configuration, "webhooks").into(),
        created(configuration, now),
    ]
}

/// The cells of a ValidatingAdmissionPolicy.
pub fn validating_policy(policy: &Value, now: Timestamp) -> Vec<Value> {
    admission_policy(policy, "spec.validations", now)
}

/// The cells of a MutatingAdmissionPolicy.
pub fn mutating_policy(policy: &Value, now: Timestamp) -> Vec<Value> {
    admission_policy(policy, "spec.mutations", now)
}

fn admission_policy(policy: &Value, rules: &str, now: Timestamp) -> Vec<Value> {
    let parameters = match at(policy, "spec.paramKind") {
        Value::Null => "<unset>".to_owned(),
        kind => format!("{}/{}", text(kind, "apiVersion"), text(kind, "kind")),
    };
    vec![object::name(policy).into(), count(policy, rules).into(), parameters.into(), created(policy, now)]
}

/// The cells of a ValidatingAdmissionPolicyBinding or MutatingAdmissionPolicyBinding.
pub fn policy_binding(binding: &Value, now: Timestamp) -> Vec<Value> {
    let parameters = at(binding, "spec.paramRef");
    let parameters = match (text(parameters, "name"), text(parameters, "namespace")) {
        ("", _) => match at(parameters, "selector") {
            Value::Null => "<unset>".to_owned(),
            selector => selector_struct(selector),
        },
        (name, "") => format!("*/{name}"),
        (name, namespace) => format!("{namespace}/{name}"),
    };
    vec![
        object::name(binding).into(),
        text(binding, "spec.policyName").into(),
        parameters.into(),
        created(binding, now),
    ]
}
