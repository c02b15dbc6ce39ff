//! MutatingWebhookConfiguration and ValidatingWebhookConfiguration: who is asked about requests, and which.

use std::collections::HashSet;

use serde_json::Value;

use super::{conditions, matching, target};
use crate::{
    kinds::{Strategy, strategy::Generation, workloads::pod_spec::rules},
    machinery::{
        FieldErrors, Path,
        fields::{fill, integer, list, object_mut, objects_mut, present, text, texts},
        format, metadata, object, selector,
    },
};

/// The behaviour of ValidatingWebhookConfigurations.
pub static VALIDATING: Strategy = Strategy {
    default: |configuration| fill_webhooks(configuration, false),
    validate_create: |new, errors| validate(errors, new, false),
    validate_update: |new, _, errors| {
        metadata::validate(new, false, VALIDATING.name_rule, errors);
        validate(errors, new, false);
    },
    ..BOTH
};

/// The behaviour of MutatingWebhookConfigurations.
pub static MUTATING: Strategy = Strategy {
    default: |configuration| fill_webhooks(configuration, true),
    validate_create: |new, errors| validate(errors, new, true),
    validate_update: |new, _, errors| {
        metadata::validate(new, false, MUTATING.name_rule, errors);
        validate(errors, new, true);
    },
    ..BOTH
};

const BOTH: Strategy =
    Strategy { generation: Generation::Content, unconditional_update: false, ..Strategy::PLAIN };
/// The versions of the question that are still asked.
const REVIEW_VERSIONS: [&str; 2] = ["v1", "v1beta1"];
const SIDE_EFFECTS: [&str; 2] = ["None", "NoneOnDryRun"];

fn fill_webhooks(configuration: &mut Value, mutating: bool) {
    for webhook in objects_mut(object::map_mut(configuration), "webhooks") {
        fill(webhook, "failurePolicy", "Fail");
        fill(webhook, "matchPolicy", "Equivalent");
        matching::fill_selectors(webhook);
        fill(webhook, "timeoutSeconds", 10);
        if mutating {
            fill(webhook, "reinvocationPolicy", "Never");
        }
        if let Some(client) = object_mut(webhook, "clientConfig") {
            target::fill_port(client);
        }
        matching::fill_rules(webhook, "rules");
    }
}

fn validate(errors: &mut FieldErrors, new: &Value, mutating: bool) {
    let path = Path::new("webhooks");
    let mut names = HashSet::new();
    for (index, webhook) in list(new, "webhooks").iter().enumerate() {
        let path = path.index(index);
        validate_webhook(errors, &path, webhook, mutating);
        validate_versions(errors, &path.child("admissionReviewVersions"), webhook);
        let name = text(webhook, "name");
        if !name.is_empty() && !names.insert(name) {
            errors.duplicate(&path.child("name"), name);
        }
    }
}

fn validate_webhook(errors: &mut FieldErrors, path: &Path<'_>, webhook: &Value, mutating: bool) {
    format::fully_qualified_name(errors, &path.child("name"), text(webhook, "name"));
    let rules_path = path.child("rules");
    for (index, rule) in list(webhook, "rules").iter().enumerate() {
        matching::validate_rule(errors, &rules_path.index(index), rule);
    }
    let policy = text(webhook, "failurePolicy");
    rules::one_of(errors, &path.child("failurePolicy"), policy, &matching::FAILURE_POLICIES);
    matching::validate_policy(errors, &path.child("matchPolicy"), text(webhook, "matchPolicy"));
    match present(webhook, "sideEffects").and_then(Value::as_str) {
        None => {
            let detail = format!("must specify one of {}", SIDE_EFFECTS.join(", "));
            errors.required(&path.child("sideEffects"), &detail);
        }
        Some(effects) => rules::one_of(errors, &path.child("sideEffects"), effects, &SIDE_EFFECTS),
    }
    if let Some(seconds) = integer(webhook, "timeoutSeconds").filter(|seconds| !(1..=30).contains(seconds)) {
        let detail = "the timeout value must be between 1 and 30 seconds";
        errors.invalid(&path.child("timeoutSeconds"), seconds, detail);
    }
    for field in ["namespaceSelector", "objectSelector"] {
        if let Some(own) = present(webhook, field) {
            selector::validate(errors, &path.child(field), own, selector::Leniency::default());
        }
    }
    if mutating {
        let policy = text(webhook, "reinvocationPolicy");
        rules::one_of(errors, &path.child("reinvocationPolicy"), policy, &["IfNeeded", "Never"]);
    }
    target::validate(errors, &path.child("clientConfig"), &webhook["clientConfig"]);
    conditions::validate(errors, &path.child("matchConditions"), list(webhook, "matchConditions"));
}

fn validate_versions(errors: &mut FieldErrors, path: &Path<'_>, webhook: &Value) {
    let versions = list(webhook, "admissionReviewVersions");
    let known = REVIEW_VERSIONS.join(", ");
    if versions.is_empty() {
        return errors.required(path, &format!("must specify one of {known}"));
    }
    let mut seen = HashSet::new();
    for (index, version) in texts(webhook, "admissionReviewVersions").enumerate() {
        let path = path.index(index);
        if seen.insert(version) {
            format::report(errors, &path, version, format::is_dns1035_label(version));
        } else {
            errors.invalid(&path, version, "duplicate version");
        }
    }
    if REVIEW_VERSIONS.iter().all(|known| !seen.contains(known)) {
        errors.invalid(path, versions.to_vec(), &format!("must include at least one of {known}"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::cases;

    fn hook() -> Value {
        json!({
            "name": "h.example.com", "clientConfig": {"url": "https://127.0.0.1:1/"}, "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        })
    }

    fn configuration(hooks: &[Value]) -> Value {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "webhooks": hooks,
        })
    }

    #[test]
    fn what_a_webhook_does_not_say_is_filled_in() {
        let hook = cases::merged(
            hook(),
            &json!({"clientConfig": {"url": null, "service": {"name": "s", "namespace": "n"}}}),
        );
        assert_eq!(
            cases::created(configuration(&[hook])).0["webhooks"][0],
            json!({
                "name": "h.example.com", "clientConfig": {"service": {"name": "s", "namespace": "n", "port": 443}},
                "rules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
                    "scope": "*",
                }],
                "sideEffects": "None", "admissionReviewVersions": ["v1"], "failurePolicy": "Fail",
                "matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}, "timeoutSeconds": 10,
                "reinvocationPolicy": "Never",
            })
        );
    }

    #[test]
    fn what_is_wrong_with_a_webhook() {
        const FORM: &str = "; desired format: https://host[/path]";
        let url = |url: &str| json!({"clientConfig": {"url": url}});
        let service = |service: Value| json!({"clientConfig": {"url": null, "service": service}});
        for (over, want) in [
            (json!({}), vec![]),
            (
                json!({"name": "short"}),
                vec!["name: Invalid value: \"short\": should be a domain with at least three segments separated by dots"
                    .to_owned()],
            ),
            (
                json!({"failurePolicy": "Maybe", "matchPolicy": "Some", "sideEffects": "Some", "timeoutSeconds": 31,
                       "reinvocationPolicy": "Often"}),
                vec![
                    "failurePolicy: Unsupported value: \"Maybe\": supported values: \"Fail\", \"Ignore\"".into(),
                    "matchPolicy: Unsupported value: \"Some\": supported values: \"Equivalent\", \"Exact\"".into(),
                    "sideEffects: Unsupported value: \"Some\": supported values: \"None\", \"NoneOnDryRun\"".into(),
                    "timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds".into(),
                    "reinvocationPolicy: Unsupported value: \"Often\": supported values: \"IfNeeded\", \"Never\"".into(),
                ],
            ),
            (
                json!({"sideEffects": null, "admissionReviewVersions": null}),
                vec![
                    "sideEffects: Required value: must specify one of None, NoneOnDryRun".into(),
                    "admissionReviewVersions: Required value: must specify one of v1, v1beta1".into(),
                ],
            ),
            (
                json!({"admissionReviewVersions": ["v9", "v9"]}),
                vec![
                    "admissionReviewVersions[1]: Invalid value: \"v9\": duplicate version".into(),
                    "admissionReviewVersions: Invalid value: [\"v9\",\"v9\"]: must include at least one of v1, v1beta1"
                        .into(),
                ],
            ),
            (
                url("http://u@h?q#f"),
                vec![
                    format!("clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme{FORM}"),
                    "clientConfig.url: Invalid value: \"u\": user information is not permitted in the URL".into(),
                    "clientConfig.url: Invalid value: \"f\": fragments are not permitted in the URL".into(),
                    "clientConfig.url: Invalid value: \"q\": query parameters are not permitted in the URL".into(),
                ],
            ),
            (
                url("https://%zz"),
                vec![format!(
                    "clientConfig.url: Required value: url must be a valid URL: parse \"https://%zz\": invalid URL \
                     escape \"%zz\"{FORM}"
                )],
            ),
            (
                json!({"clientConfig": {"service": {"name": "s", "namespace": "n"}}}),
                vec!["clientConfig: Required value: exactly one of url or service is required".into()],
            ),
            (
                service(json!({"name": "", "namespace": "n", "port": 70000, "path": "a//B/"})),
                vec![
                    "clientConfig.service.namespace: Required value".into(),
                    "clientConfig.service.port: Invalid value: 70000: port is not valid: must be between 1 and 65535, \
                     inclusive"
                        .into(),
                    "clientConfig.service.path: Invalid value: \"a//B/\": must start with a '/'".into(),
                    "clientConfig.service.path: Invalid value: \"a//B/\": segment[0] may not be empty".into(),
                    "clientConfig.service.path: Invalid value: \"a//B/\": segment[1] may not be empty".into(),
                    "clientConfig.service.path: Invalid value: \"a//B/\": segment[2]: a lowercase RFC 1123 subdomain \
                     must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an \
                     alphanumeric character"
                        .into(),
                ],
            ),
            (
                json!({"matchConditions": [{"name": "a", "expression": " "}, {"name": "a", "expression": "true"}]}),
                vec![
                    "matchConditions[0].expression: Required value".into(),
                    "matchConditions[1].name: Duplicate value: \"a\"".into(),
                ],
            ),
        ] {
            let want: Vec<String> = want.iter().map(|line| format!("webhooks[0].{line}")).collect();
            assert_eq!(cases::wrong(configuration(&[cases::merged(hook(), &over)])), want, "{over}");
        }
        assert_eq!(
            cases::wrong(configuration(&[hook(), hook()])),
            ["webhooks[1].name: Duplicate value: \"h.example.com\""]
        );
    }

    #[test]
    fn what_is_wrong_with_a_rule() {
        for (over, want) in [
            (
                json!({"operations": [], "apiGroups": null, "apiVersions": [""], "resources": []}),
                &[
                    "operations: Required value",
                    "apiGroups: Required value",
                    "apiVersions[0]: Required value",
                    "resources: Required value",
                ][..],
            ),
            (
                json!({"operations": ["*", "READ"], "apiGroups": ["*", "a"], "scope": "Some"}),
                &[
                    "operations: Invalid value: [\"*\",\"READ\"]: if '*' is present, must not specify other operations",
                    "operations[1]: Unsupported value: \"READ\": supported values: \"*\", \"CONNECT\", \"CREATE\", \
                     \"DELETE\", \"UPDATE\"",
                    "apiGroups: Invalid value: [\"*\",\"a\"]: if '*' is present, must not specify other API groups",
                    "scope: Unsupported value: \"Some\": supported values: \"*\", \"Cluster\", \"Namespaced\"",
                ],
            ),
            (
                json!({"resources": ["pods/*", "pods/exec", "*/scale", "jobs/scale", "*", "x"]}),
                &[
                    "resources[1]: Invalid value: \"pods/exec\": if 'pods/*' is present, must not specify pods/exec",
                    "resources[3]: Invalid value: \"jobs/scale\": if '*/scale' is present, must not specify jobs/scale",
                    "resources: Invalid value: [\"pods/*\",\"pods/exec\",\"*/scale\",\"jobs/scale\",\"*\",\"x\"]: if \
                     '*' is present, must not specify other resources without subresources",
                ],
            ),
            (
                json!({"resources": ["*/*", "a/b"]}),
                &[
                    "resources: Invalid value: [\"*/*\",\"a/b\"]: if '*/*' is present, must not specify other resources",
                ],
            ),
        ] {
            let mut hook = hook();
            hook["rules"][0] = cases::merged(hook["rules"][0].clone(), &over);
            let want: Vec<String> = want.iter().map(|line| format!("webhooks[0].rules[0].{line}")).collect();
            assert_eq!(cases::wrong(configuration(&[hook])), want, "{over}");
        }
    }
}
