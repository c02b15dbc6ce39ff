//! MutatingAdmissionPolicy and its bindings: what becomes of requests, in CEL.

use serde_json::Value;

use super::{
    conditions, matching,
    validating_policy::{fill_binding, fill_policy, validate_beginning},
};
use crate::{
    kinds::{Strategy, strategy::Generation, workloads::pod_spec::rules},
    machinery::{
        FieldErrors, Path,
        fields::{list, present, text},
        metadata,
    },
};

/// The behaviour of MutatingAdmissionPolicies.
pub static POLICY: Strategy = Strategy {
    default: fill_policy,
    validate_create: validate,
    validate_update: |new, _, errors| {
        metadata::validate(new, false, POLICY.name_rule, errors);
        validate(new, errors);
    },
    generation: Generation::Spec,
    unconditional_update: false,
    ..Strategy::PLAIN
};

/// The behaviour of MutatingAdmissionPolicyBindings.
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
/// The sorts of patches, and the field that each has.
const PATCHES: [(&str, &str); 2] = [("ApplyConfiguration", "applyConfiguration"), ("JSONPatch", "jsonPatch")];

fn validate(new: &Value, errors: &mut FieldErrors) {
    let spec = &new["spec"];
    validate_beginning(errors, spec, true);
    let mutations = list(spec, "mutations");
    let path = SPEC.child("mutations");
    if mutations.is_empty() {
        errors.required(&path, "mutations must contain at least one item");
    }
    for (index, mutation) in mutations.iter().enumerate() {
        validate_mutation(errors, &path.index(index), mutation);
    }
    let policy = text(spec, "reinvocationPolicy");
    rules::required_one_of(errors, &SPEC.child("reinvocationPolicy"), policy, &["IfNeeded", "Never"]);
}

fn validate_mutation(errors: &mut FieldErrors, path: &Path<'_>, mutation: &Value) {
    let sort = text(mutation, "patchType");
    rules::required_one_of(errors, &path.child("patchType"), sort, &PATCHES.map(|(sort, _)| sort));
    let Some((_, field)) = PATCHES.iter().find(|(own, _)| *own == sort) else { return };
    match present(mutation, field) {
        None => errors.required(&path.child(field), &format!("must be specified when patchType is {sort}")),
        Some(patch) => conditions::validate_expression(errors, &path.child(field), patch, ""),
    }
    for (_, other) in PATCHES.iter().filter(|(own, _)| *own != sort) {
        if present(mutation, other).is_some() {
            let detail = format!("must not be specified when patchType is {sort}");
            errors.invalid(&path.child(other), format!("{{{other}}}"), &detail);
        }
    }
}

fn validate_binding(new: &Value, errors: &mut FieldErrors) {
    let spec = &new["spec"];
    conditions::validate_binding(errors, spec);
    if let Some(resources) = present(spec, "matchResources") {
        let path = SPEC.child("matchResources");
        matching::validate_match(errors, &path, resources);
        matching::validate_mutating(errors, &path, resources);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::cases;

    #[test]
    fn what_is_wrong_with_a_policy() {
        let rule = json!({
            "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "DELETE"], "resources": ["configmaps"],
        });
        let base = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy",
            "spec": {
                "matchConstraints": {"resourceRules": [cases::merged(rule.clone(), &json!({"operations": ["CREATE"]}))]},
                "reinvocationPolicy": "Never",
                "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}}],
            },
        });
        let mutations = |mutation: serde_json::Value| json!({"spec": {"mutations": [mutation]}});
        cases::check_wrong(
            &base,
            &[
                (json!({}), &[]),
                (
                    json!({"spec": {"mutations": [], "reinvocationPolicy": null}}),
                    &[
                        "spec.mutations: Required value: mutations must contain at least one item",
                        "spec.reinvocationPolicy: Required value",
                    ],
                ),
                (
                    json!({"spec": {"matchConstraints": {"resourceRules": [rule]}}}),
                    &[
                        "spec.matchConstraints.resourceRules.operations: Unsupported value: \"DELETE\": supported \
                       values: \"*\", \"CONNECT\", \"CREATE\", \"UPDATE\"",
                    ],
                ),
                (mutations(json!({})), &["spec.mutations[0].patchType: Required value"]),
                (
                    mutations(json!({"patchType": "Merge"})),
                    &["spec.mutations[0].patchType: Unsupported value: \"Merge\": supported values: \
                       \"ApplyConfiguration\", \"JSONPatch\""],
                ),
                (
                    mutations(
                        json!({"patchType": "JSONPatch", "applyConfiguration": {"expression": "Object{}"}}),
                    ),
                    &[
                        "spec.mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch",
                        "spec.mutations[0].applyConfiguration: Invalid value: \"{applyConfiguration}\": must not be \
                         specified when patchType is JSONPatch",
                    ],
                ),
                (
                    mutations(
                        json!({"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": ""}}),
                    ),
                    &["spec.mutations[0].applyConfiguration.expression: Required value"],
                ),
            ],
        );
    }

    #[test]
    fn a_binding_needs_a_policy() {
        let base = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
            "spec": {"policyName": "p"},
        });
        cases::check_wrong(
            &base,
            &[
                (json!({}), &[]),
                (
                    json!({"spec": {"policyName": "P_"}}),
                    &[
                        "spec.policyName: Invalid value: \"P_\": a lowercase RFC 1123 subdomain must consist of lower case \
                 alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
                    ],
                ),
            ],
        );
    }
}
