//! RoleBinding and ClusterRoleBinding: a role, and who has it.

use serde_json::Value;

use super::RBAC;
use crate::{
    kinds::{Strategy, go},
    machinery::{
        FieldErrors, Path,
        fields::{list, objects_mut, text},
        format, metadata, object,
    },
};

/// The behaviour of RoleBindings.
pub static ROLE_BINDING: Strategy = Strategy {
    validate_create: |new, errors| validate(new, true, errors),
    validate_update: |new, old, errors| validate_update(new, old, true, errors),
    ..BINDING
};

/// The behaviour of ClusterRoleBindings.
pub static CLUSTER_ROLE_BINDING: Strategy = Strategy {
    validate_create: |new, errors| validate(new, false, errors),
    validate_update: |new, old, errors| validate_update(new, old, false, errors),
    ..BINDING
};

const BINDING: Strategy =
    Strategy { name_rule: format::path_segment_name, default, create_on_update: true, ..Strategy::PLAIN };

fn default(binding: &mut Value) {
    let role = object::child_mut(binding, "roleRef");
    if role.get("apiGroup").and_then(Value::as_str).unwrap_or_default().is_empty() {
        role.insert("apiGroup".to_owned(), RBAC.into());
    }
    for subject in objects_mut(object::map_mut(binding), "subjects") {
        let is_person = matches!(subject.get("kind").and_then(Value::as_str), Some("User" | "Group"));
        if is_person && subject.get("apiGroup").and_then(Value::as_str).unwrap_or_default().is_empty() {
            subject.insert("apiGroup".to_owned(), RBAC.into());
        }
    }
}

fn validate(new: &Value, namespaced: bool, errors: &mut FieldErrors) {
    let path = Path::new("roleRef");
    let role = &new["roleRef"];
    let (group, kind, name) = (text(role, "apiGroup"), text(role, "kind"), text(role, "name"));
    if group != RBAC {
        errors.not_supported(&path.child("apiGroup"), group, &[RBAC]);
    }
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !kinds.contains(&kind) {
        errors.not_supported(&path.child("kind"), kind, kinds);
    }
    match name {
        "" => errors.required(&path.child("name"), ""),
        name => format::report(errors, &path.child("name"), name, format::is_path_segment_name(name)),
    }
    let path = Path::new("subjects");
    for (index, subject) in list(new, "subjects").iter().enumerate() {
        validate_subject(errors, &path.index(index), subject, namespaced);
    }
}

fn validate_subject(errors: &mut FieldErrors, path: &Path<'_>, subject: &Value, namespaced: bool) {
    let (group, name) = (text(subject, "apiGroup"), text(subject, "name"));
    if name.is_empty() {
        errors.required(&path.child("name"), "");
    }
    match text(subject, "kind") {
        "ServiceAccount" => {
            if !name.is_empty() {
                format::report(errors, &path.child("name"), name, format::is_dns1123_subdomain(name));
            }
            if !group.is_empty() {
                errors.not_supported(&path.child("apiGroup"), group, &[""]);
            }
            if !namespaced && text(subject, "namespace").is_empty() {
                errors.required(&path.child("namespace"), "");
            }
        }
        "User" | "Group" => {
            if group != RBAC {
                errors.not_supported(&path.child("apiGroup"), group, &[RBAC]);
            }
        }
        kind => errors.not_supported(&path.child("kind"), kind, &["ServiceAccount", "User", "Group"]),
    }
}

fn validate_update(new: &Value, old: &Value, namespaced: bool, errors: &mut FieldErrors) {
    metadata::validate(new, namespaced, BINDING.name_rule, errors);
    validate(new, namespaced, errors);
    metadata::validate_update(new, old, errors);
    if new["roleRef"] != old["roleRef"] {
        let fields = [("APIGroup", "apiGroup"), ("Kind", "kind"), ("Name", "name")];
        let written = go::structure(&fields.map(|(name, field)| (name, go::text(&new["roleRef"], field))));
        go::invalid(errors, &Path::new("roleRef"), &written, "cannot change roleRef");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::cases;

    fn binding(kind: &str) -> Value {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "roleRef": {"kind": "ClusterRole", "name": "r"}})
    }

    #[test]
    fn groups_are_filled_in() {
        let sent = cases::merged(
            binding("RoleBinding"),
            &json!({"subjects": [{"kind": "User", "name": "bob"}, {"kind": "ServiceAccount", "name": "sa"}]}),
        );
        let (stored, errors) = cases::created(sent);
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(stored["roleRef"]["apiGroup"], RBAC);
        assert_eq!(
            stored["subjects"],
            json!([{"kind": "User", "apiGroup": RBAC, "name": "bob"}, {"kind": "ServiceAccount", "name": "sa"}])
        );
    }

    #[test]
    fn roles_and_subjects_are_validated() {
        cases::check_wrong(
            &binding("RoleBinding"),
            &[
                (
                    json!({"roleRef": {"kind": "Thing", "name": ""}}),
                    &[
                        "roleRef.kind: Unsupported value: \"Thing\": supported values: \"Role\", \"ClusterRole\"",
                        "roleRef.name: Required value",
                    ],
                ),
                (
                    json!({"subjects": [{"kind": "Robot", "name": "r"}, {"kind": "User", "name": ""}, {"kind": "Group", "name": "g", "apiGroup": "x"}]}),
                    &[
                        "subjects[0].kind: Unsupported value: \"Robot\": supported values: \"ServiceAccount\", \"User\", \"Group\"",
                        "subjects[1].name: Required value",
                        "subjects[2].apiGroup: Unsupported value: \"x\": supported values: \"rbac.authorization.k8s.io\"",
                    ],
                ),
            ],
        );
        cases::check_wrong(
            &binding("ClusterRoleBinding"),
            &[(
                json!({"roleRef": {"kind": "Role"}, "subjects": [{"kind": "ServiceAccount", "name": "a"}]}),
                &[
                    "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\"",
                    "subjects[0].namespace: Required value",
                ],
            )],
        );
        assert_eq!(
            cases::updated(binding("RoleBinding"), &json!({"roleRef": {"name": "s"}})).1,
            [
                "roleRef: Invalid value: {\"APIGroup\":\"rbac.authorization.k8s.io\",\"Kind\":\"ClusterRole\",\"Name\":\"s\"}: cannot change roleRef"
            ]
        );
    }
}
