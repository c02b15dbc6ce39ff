//! ResourceQuota: how much a namespace may have, of all objects or of those in some scopes.

use std::collections::HashSet;

use serde_json::Value;

use crate::{
    kinds::{
        Strategy, go,
        workloads::pod_spec::{defaults::round_amounts, resources},
    },
    machinery::{
        FieldErrors, Path,
        fields::{entries, list, present, text, texts},
        metadata, object,
    },
};

/// The behaviour of ResourceQuotas.
pub static STRATEGY: Strategy = Strategy {
    default,
    validate_create: validate,
    validate_update,
    validate_status,
    status: true,
    returns_deleted: true,
    ..Strategy::PLAIN
};

const SCOPES: [&str; 7] = [
    "Terminating",
    "NotTerminating",
    BEST_EFFORT,
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    VOLUME_ATTRIBUTES_CLASS,
];
const BEST_EFFORT: &str = "BestEffort";
const VOLUME_ATTRIBUTES_CLASS: &str = "VolumeAttributesClass";
const CONFLICTING: [[&str; 2]; 2] = [[BEST_EFFORT, "NotBestEffort"], ["Terminating", "NotTerminating"]];
/// What a quota can count without a domain in its name, besides huge pages.
const COUNTED: [&str; 19] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
];
/// What Pods compute with, which most scopes are about.
const COMPUTE: [&str; 6] =
    ["cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];
const SPEC: Path<'static> = Path::new("spec");
const STATUS: Path<'static> = Path::new("status");

fn default(quota: &mut Value) {
    for (part, fields) in [("spec", &["hard"][..]), ("status", &["hard", "used"])] {
        let part = object::child_mut(quota, part);
        for field in fields {
            round_amounts(part, field);
        }
    }
}

fn is_counted(name: &str) -> bool {
    COUNTED.contains(&name) || resources::is_huge_page(name.strip_prefix("requests.").unwrap_or(name))
}

fn is_for(scope: &str, name: &str) -> bool {
    match scope {
        BEST_EFFORT => name == "pods",
        VOLUME_ATTRIBUTES_CLASS => matches!(name, "persistentvolumeclaims" | "requests.storage"),
        scope => !SCOPES.contains(&scope) || name == "pods" || COMPUTE.contains(&name),
    }
}

fn validate(new: &Value, errors: &mut FieldErrors) {
    validate_spec(new, errors);
    validate_counts(errors, &STATUS.child("hard"), &new["status"], "hard");
    validate_counts(errors, &STATUS.child("used"), &new["status"], "used");
}

fn validate_spec(new: &Value, errors: &mut FieldErrors) {
    let spec = &new["spec"];
    validate_counts(errors, &SPEC.child("hard"), spec, "hard");
    validate_scopes(errors, spec);
    if let Some(selector) = present(spec, "scopeSelector") {
        validate_selector(errors, spec, selector);
    }
}

fn validate_counts(errors: &mut FieldErrors, path: &Path<'_>, owner: &Value, field: &str) {
    for (name, amount) in entries(owner, field) {
        let path = path.key(name);
        resources::validate_name(errors, &path, name);
        if !name.contains('/') && !is_counted(name) {
            errors.invalid(&path, name, "must be a standard resource for quota");
        }
        resources::validate_amount(errors, &path, name, amount);
    }
}

/// How many resources of the quota a scope has nothing to do with.
fn unfit(spec: &Value, scope: &str) -> usize {
    entries(spec, "hard").filter(|(name, _)| is_counted(name) && !is_for(scope, name)).count()
}

/// How many errors may quote a value of this length: each of many scopes has some, and quotes them all.
fn most_errors(written: &str) -> usize {
    1 + (1 << 20) / written.len()
}

fn validate_scopes(errors: &mut FieldErrors, spec: &Value) {
    let path = SPEC.child("scopes");
    let scopes: Vec<&str> = texts(spec, "scopes").collect();
    let written = spec["scopes"].to_string();
    let mut left = most_errors(&written);
    for scope in &scopes {
        let unknown = usize::from(!SCOPES.contains(scope));
        for (times, detail) in
            [(unknown, "unsupported scope"), (unfit(spec, scope), "unsupported scope applied to resource")]
        {
            for _ in 0..times.min(left) {
                go::invalid(errors, &path, &written, detail);
                left -= 1;
            }
        }
        if left == 0 {
            break;
        }
    }
    for pair in CONFLICTING {
        if pair.iter().all(|scope| scopes.contains(scope)) {
            go::invalid(errors, &path, &written, "conflicting scopes");
        }
    }
}

fn validate_selector(errors: &mut FieldErrors, spec: &Value, selector: &Value) {
    const ONLY_EXISTS: &str = "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, \
                               ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, \
                               ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
    let path = SPEC.child("scopeSelector");
    let path = path.child("matchExpressions");
    let written = written(selector);
    let mut left = most_errors(&written);
    let mut scopes = HashSet::new();
    for expression in list(selector, "matchExpressions") {
        let (scope, operator) = (text(expression, "scopeName"), text(expression, "operator"));
        if !SCOPES.contains(&scope) {
            errors.invalid(&path.child("scopeName"), scope, "unsupported scope");
        }
        for _ in 0..unfit(spec, scope).min(left) {
            go::invalid(errors, &path, &written, "unsupported scope applied to resource");
            left -= 1;
        }
        let has_values =
            matches!(scope, "PriorityClass" | VOLUME_ATTRIBUTES_CLASS) || !SCOPES.contains(&scope);
        if !has_values && operator != "Exists" {
            errors.invalid(&path.child("operator"), operator, ONLY_EXISTS);
        }
        let values = list(expression, "values");
        match operator {
            "In" | "NotIn" if values.is_empty() => {
                let detail =
                    "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
                errors.required(&path.child("values"), detail);
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let detail =
                    "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
                errors.invalid(&path.child("values"), values.to_vec(), detail);
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => errors.invalid(&path.child("operator"), other, "not a valid selector operator"),
        }
        scopes.insert(scope);
    }
    for pair in CONFLICTING {
        if pair.iter().all(|scope| scopes.contains(scope)) {
            errors.invalid(&path, spec["scopes"].clone(), "conflicting scopes");
        }
    }
}

/// A selector as the server's own struct.
fn written(selector: &Value) -> String {
    let expressions: Vec<String> = list(selector, "matchExpressions")
        .iter()
        .map(|expression| {
            go::structure(&[
                ("ScopeName", go::text(expression, "scopeName")),
                ("Operator", go::text(expression, "operator")),
                ("Values", expression["values"].clone()),
            ])
        })
        .collect();
    format!("{{\"MatchExpressions\":[{}]}}", expressions.join(","))
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate_update(new, old, errors);
    validate_spec(new, errors);
    let scopes = |quota: &Value| texts(&quota["spec"], "scopes").map(str::to_owned).collect::<HashSet<_>>();
    if scopes(new) != scopes(old) {
        errors.invalid(&SPEC.child("scopes"), new["spec"]["scopes"].clone(), metadata::IMMUTABLE);
    }
}

fn validate_status(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate_update(new, old, errors);
    if object::resource_version(new).is_empty() {
        errors.required(&Path::new("resourceVersion"), "");
    }
    validate_counts(errors, &STATUS.child("hard"), &new["status"], "hard");
    validate_counts(errors, &STATUS.child("used"), &new["status"], "used");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::cases;

    fn quota(spec: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ResourceQuota", "spec": spec})
    }

    #[test]
    fn what_can_be_counted() {
        for name in ["pods", "count/configmaps", "requests.example.com/gpu", "hugepages-2Mi", "limits.cpu"] {
            assert_eq!(cases::wrong(quota(json!({"hard": {name: "2"}}))), [""; 0], "{name}");
        }
        assert_eq!(
            cases::wrong(quota(json!({"hard": {"storage": "2", "pods": "500m", "what": "-1"}}))),
            [
                "spec.hard[pods]: Invalid value: \"500m\": must be an integer",
                "spec.hard[storage]: Invalid value: \"storage\": must be a standard resource for quota",
                "spec.hard[what]: Invalid value: \"what\": must be a standard resource type or fully qualified",
                "spec.hard[what]: Invalid value: \"what\": must be a standard resource for quota",
                "spec.hard[what]: Invalid value: \"-1\": must be greater than or equal to 0",
            ]
        );
    }

    #[test]
    fn which_scopes_go_with_what() {
        assert_eq!(cases::wrong(quota(json!({"hard": {"pods": "1"}, "scopes": ["BestEffort"]}))), [""; 0]);
        assert_eq!(
            cases::wrong(quota(json!({"scopes": ["Bogus", "BestEffort", "NotBestEffort"]}))),
            [
                "spec.scopes: Invalid value: [\"Bogus\",\"BestEffort\",\"NotBestEffort\"]: unsupported scope",
                "spec.scopes: Invalid value: [\"Bogus\",\"BestEffort\",\"NotBestEffort\"]: conflicting scopes",
            ]
        );
        assert_eq!(
            cases::wrong(quota(json!({"hard": {"cpu": "1", "services": "1"}, "scopes": ["BestEffort"]}))),
            ["spec.scopes: Invalid value: [\"BestEffort\"]: unsupported scope applied to resource"; 2]
        );
    }

    #[test]
    fn what_is_wrong_with_a_selector() {
        let selector = |hard: Value, expression: Value| {
            cases::wrong(quota(json!({"hard": hard, "scopeSelector": {"matchExpressions": [expression]}})))
        };
        let class = json!({"scopeName": "PriorityClass", "operator": "In", "values": ["high"]});
        assert_eq!(selector(json!({"pods": "1"}), class.clone()), [""; 0]);
        assert_eq!(
            selector(json!({"secrets": "1"}), class),
            ["spec.scopeSelector.matchExpressions: Invalid value: {\"MatchExpressions\":[{\"ScopeName\":\
              \"PriorityClass\",\"Operator\":\"In\",\"Values\":[\"high\"]}]}: unsupported scope applied to resource"]
        );
        assert_eq!(
            selector(json!({}), json!({"scopeName": "Terminating", "operator": "In"})),
            [
                "spec.scopeSelector.matchExpressions.operator: Invalid value: \"In\": must be 'Exist' when scope is \
                 any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, \
                 ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
                "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when \
                 `operator` is 'In' or 'NotIn' for scope selector",
            ]
        );
        assert_eq!(
            selector(json!({}), json!({"scopeName": "Some", "operator": "Is", "values": ["a"]})),
            [
                "spec.scopeSelector.matchExpressions.scopeName: Invalid value: \"Some\": unsupported scope",
                "spec.scopeSelector.matchExpressions.operator: Invalid value: \"Is\": not a valid selector operator",
            ]
        );
    }

    #[test]
    fn scopes_stay() {
        let old = quota(json!({"hard": {"pods": "1"}, "scopes": ["BestEffort"]}));
        assert_eq!(
            cases::updated(old.clone(), &json!({"spec": {"scopes": ["NotBestEffort"]}})).1,
            ["spec.scopes: Invalid value: [\"NotBestEffort\"]: field is immutable"]
        );
        assert_eq!(
            cases::status_updated(old, &json!({"status": {"used": {"pods": "500m"}}})).1,
            ["status.used[pods]: Invalid value: \"500m\": must be an integer"]
        );
    }
}
