//! Role and ClusterRole: rules about resources and URLs.

use serde_json::Value;

use crate::{
    kinds::Strategy,
    machinery::{
        FieldErrors, Path,
        fields::{is_set, list, present},
        format, metadata,
        selector::{self, LabelSelector, Leniency},
    },
};

/// The behaviour of Roles.
pub static ROLE: Strategy = Strategy {
    name_rule: format::path_segment_name,
    validate_create: |new, errors| validate_rules(new, true, errors),
    validate_update: |new, old, errors| {
        metadata::validate(new, true, ROLE.name_rule, errors);
        validate_rules(new, true, errors);
        metadata::validate_update(new, old, errors);
    },
    create_on_update: true,
    ..Strategy::PLAIN
};

/// The behaviour of ClusterRoles.
pub static CLUSTER_ROLE: Strategy = Strategy {
    name_rule: format::path_segment_name,
    validate_create: |new, errors| validate_cluster_role(new, Leniency::default(), errors),
    validate_update: |new, old, errors| {
        metadata::validate(new, false, CLUSTER_ROLE.name_rule, errors);
        let values =
            list(&old["aggregationRule"], "clusterRoleSelectors").iter().any(selector::has_invalid_value);
        validate_cluster_role(new, Leniency { values, operators: false }, errors);
        metadata::validate_update(new, old, errors);
    },
    create_on_update: true,
    ..Strategy::PLAIN
};

fn validate_rules(role: &Value, namespaced: bool, errors: &mut FieldErrors) {
    let path = Path::new("rules");
    for (index, rule) in list(role, "rules").iter().enumerate() {
        validate_rule(errors, &path.index(index), rule, namespaced);
    }
}

/// What is wrong with a rule (`ValidatePolicyRule`).
pub fn validate_rule(errors: &mut FieldErrors, path: &Path<'_>, rule: &Value, namespaced: bool) {
    if list(rule, "verbs").is_empty() {
        errors.required(&path.child("verbs"), "verbs must contain at least one value");
    }
    if is_set(rule, "nonResourceURLs") {
        let urls = || rule["nonResourceURLs"].clone();
        let path = path.child("nonResourceURLs");
        if namespaced {
            errors.invalid(&path, urls(), "namespaced rules cannot apply to non-resource URLs");
        }
        if ["apiGroups", "resources", "resourceNames"].iter().any(|field| is_set(rule, field)) {
            let detail = "rules cannot apply to both regular resources and non-resource URLs";
            errors.invalid(&path, urls(), detail);
        }
        return;
    }
    if list(rule, "apiGroups").is_empty() {
        errors.required(&path.child("apiGroups"), "resource rules must supply at least one api group");
    }
    if list(rule, "resources").is_empty() {
        errors.required(&path.child("resources"), "resource rules must supply at least one resource");
    }
}

fn validate_cluster_role(role: &Value, leniency: Leniency, errors: &mut FieldErrors) {
    validate_rules(role, false, errors);
    let Some(aggregation) = present(role, "aggregationRule") else { return };
    let path = Path::new("aggregationRule");
    let path = path.child("clusterRoleSelectors");
    let selectors = list(aggregation, "clusterRoleSelectors");
    if selectors.is_empty() {
        let detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        errors.required(&path, detail);
    }
    for (index, selector) in selectors.iter().enumerate() {
        let path = path.index(index);
        selector::validate(errors, &path, selector, leniency);
        if LabelSelector::of(selector).is_err() {
            errors.invalid(&path, Value::Null, "invalid label selector.");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::cases;

    #[test]
    fn rules_name_resources_or_urls() {
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "any:thing_Goes"}});
        cases::check_wrong(
            &role,
            &[
                (json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}), &[]),
                (
                    json!({"metadata": {"name": "sl/ash"}}),
                    &["metadata.name: Invalid value: \"sl/ash\": may not contain '/'"],
                ),
                (
                    json!({"rules": [{}]}),
                    &[
                        "rules[0].verbs: Required value: verbs must contain at least one value",
                        "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
                        "rules[0].resources: Required value: resource rules must supply at least one resource",
                    ],
                ),
                (
                    json!({"rules": [{"nonResourceURLs": ["/x"], "verbs": ["get"]}]}),
                    &[
                        "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource URLs",
                    ],
                ),
            ],
        );
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": []});
        cases::check_wrong(
            &role,
            &[
                (json!({"rules": [{"nonResourceURLs": ["/x"], "verbs": ["get"]}]}), &[]),
                (
                    json!({"rules": [{"nonResourceURLs": ["/x"], "resources": ["x"], "verbs": ["get"]}]}),
                    &[
                        "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: rules cannot apply to both regular resources and non-resource URLs",
                    ],
                ),
                (
                    json!({"aggregationRule": {}}),
                    &[
                        "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil",
                    ],
                ),
            ],
        );
    }
}
