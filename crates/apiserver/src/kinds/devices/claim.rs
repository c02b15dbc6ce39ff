//! ResourceClaim: devices that are asked for and given out; and ResourceClaimTemplate, which claims are made from.

use serde_json::Value;

use super::{claim_status, request};
use crate::{
    kinds::{
        Strategy, go, strategy::keep_all_but_status_and_metadata,
        workloads::pod_spec::claim::validate_template_metadata,
    },
    machinery::{FieldErrors, Path, metadata, object},
};

/// The behaviour of ResourceClaims.
pub static STRATEGY: Strategy = Strategy {
    default: |claim| fill(object::child_mut(claim, "spec")),
    validate_create: |new, errors| validate_spec(errors, &SPEC, &new["spec"]),
    validate_update,
    prepare_status: |new, old| {
        keep_all_but_status_and_metadata(new, old);
        claim_status::drop_what_was_given_back(new, old);
    },
    validate_status: claim_status::validate,
    status: true,
    status_resets: &[&["metadata"]],
    returns_deleted: true,
    ..Strategy::PLAIN
};

/// The behaviour of ResourceClaimTemplates.
pub static TEMPLATE: Strategy = Strategy {
    default: |template| {
        if let Some(spec) = object::child_mut(template, "spec").get_mut("spec") {
            fill(object::map_mut(spec));
        }
    },
    validate_create: |new, errors| {
        let spec = &new["spec"];
        validate_template_metadata(errors, &SPEC.child("metadata"), &spec["metadata"]);
        validate_spec(errors, &SPEC.child("spec"), &spec["spec"]);
    },
    validate_update: |new, old, errors| {
        metadata::validate_update(new, old, errors);
        validate_immutable(errors, "io.k8s.api.resource.v1.ResourceClaimTemplateSpec", new, old);
    },
    returns_deleted: true,
    ..Strategy::PLAIN
};

const SPEC: Path<'static> = Path::new("spec");

fn fill(spec: &mut serde_json::Map<String, Value>) {
    if let Some(devices) = spec.get_mut("devices") {
        request::fill(devices);
    }
}

fn validate_spec(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value) {
    request::validate(errors, &path.child("devices"), &spec["devices"]);
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate(new, true, STRATEGY.name_rule, errors);
    metadata::validate_update(new, old, errors);
    validate_immutable(errors, "io.k8s.api.resource.v1.ResourceClaimSpec", new, old);
}

fn validate_immutable(errors: &mut FieldErrors, type_name: &str, new: &Value, old: &Value) {
    if new["spec"] != old["spec"] {
        go::invalid(errors, &SPEC, &go::written(type_name, &new["spec"]), metadata::IMMUTABLE);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::cases;

    fn base() -> Value {
        json!({"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "spec": {"devices": {"requests": [
            {"name": "r", "exactly": {"deviceClassName": "gpu"}},
        ]}}})
    }

    fn requests(requests: Value) -> Value {
        json!({"spec": {"devices": {"requests": requests}}})
    }

    #[test]
    fn one_device_is_asked_for_unless_a_claim_says() {
        assert_eq!(
            cases::created(base()).0["spec"]["devices"]["requests"],
            json!([{"name": "r", "exactly": {
                "deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 1,
            }}])
        );
        let all = requests(json!([
            {"name": "r", "firstAvailable": [
                {"name": "a", "deviceClassName": "gpu", "allocationMode": "All"},
                {"name": "b", "deviceClassName": "gpu", "tolerations": [{"key": "k"}]},
            ]},
        ]));
        assert_eq!(
            cases::created(cases::merged(base(), &all)).0["spec"]["devices"]["requests"][0]["firstAvailable"],
            json!([
                {"name": "a", "deviceClassName": "gpu", "allocationMode": "All"},
                {"name": "b", "deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 1,
                 "tolerations": [{"key": "k", "operator": "Equal"}]},
            ])
        );
    }

    #[test]
    fn what_is_wrong_with_requests() {
        cases::check_wrong(
            &base(),
            &[
                (
                    requests(json!([{"name": "r"}, {"name": "r", "exactly": {"deviceClassName": ""}}])),
                    &[
                        "spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is \
                         required",
                        "spec.devices.requests[1].exactly.deviceClassName: Required value",
                        "spec.devices.requests[1]: Duplicate value: \"r\"",
                    ],
                ),
                (
                    requests(json!([{"name": "r", "exactly": {"deviceClassName": "a"}, "firstAvailable": [
                        {"name": "a", "deviceClassName": "a"},
                    ]}])),
                    &[
                        "spec.devices.requests[0]: Invalid value: null: exactly one of `exactly` or `firstAvailable` is \
                       required, but multiple fields are set",
                    ],
                ),
                (
                    requests(json!([
                        {"name": "r", "exactly": {"deviceClassName": "a", "allocationMode": "All", "count": 2}},
                        {"name": "s", "exactly": {"deviceClassName": "a", "allocationMode": "Some"}},
                        {"name": "t", "exactly": {"deviceClassName": "a", "count": -1}},
                    ])),
                    &[
                        "spec.devices.requests[0].exactly.count: Invalid value: 2: must not be specified when \
                         allocationMode is 'All'",
                        "spec.devices.requests[1].exactly.allocationMode: Unsupported value: \"Some\": supported \
                         values: \"All\", \"ExactCount\"",
                        "spec.devices.requests[2].exactly.count: Invalid value: -1: must be greater than zero",
                    ],
                ),
                (
                    requests(json!([{"name": "r", "exactly": {"deviceClassName": "a", "tolerations": [
                        {"operator": "Exists", "value": "v"}, {"operator": "Is", "effect": "Some"},
                    ]}}])),
                    &[
                        "spec.devices.requests[0].exactly.tolerations[0].value: Invalid value: \"v\": must be empty \
                         for operator `Exists`",
                        "spec.devices.requests[0].exactly.tolerations[1].operator: Unsupported value: \"Is\": \
                         supported values: \"Equal\", \"Exists\"",
                        "spec.devices.requests[0].exactly.tolerations[1].effect: Unsupported value: \"Some\": \
                         supported values: \"NoExecute\", \"NoSchedule\", \"None\"",
                    ],
                ),
            ],
        );
    }

    #[test]
    fn what_is_wrong_with_constraints_and_configuration() {
        let constraints = |own: Value| json!({"spec": {"devices": {"constraints": [own]}}});
        cases::check_wrong(
            &base(),
            &[
                (constraints(json!({"requests": ["r"], "matchAttribute": "d.example.com/a"})), &[]),
                (
                    constraints(json!({"requests": ["x", "r/y", "r/y/z"], "matchAttribute": "a-b"})),
                    &[
                        "spec.devices.constraints[0].requests[0]: Invalid value: \"x\": must be the name of a request \
                         in the claim or the name of a request and a subrequest separated by '/'",
                        "spec.devices.constraints[0].requests[1]: Invalid value: \"r/y\": must be the name of a \
                         request in the claim or the name of a request and a subrequest separated by '/'",
                        "spec.devices.constraints[0].requests[2]: Invalid value: \"r/y/z\": must be the name of a \
                         request in the claim or the name of a request and a subrequest separated by '/'",
                        "spec.devices.constraints[0].matchAttribute: Invalid value: \"a-b\": a valid C identifier must \
                         start with alphabetic character or '_', followed by a string of alphanumeric characters or \
                         '_'",
                        "spec.devices.constraints[0].matchAttribute: Invalid value: \"a-b\": a fully qualified name \
                         must be a domain and a name separated by a slash",
                    ],
                ),
                (
                    constraints(json!({})),
                    &["spec.devices.constraints[0]: Required value: exactly one of \"matchAttribute\" or \
                       \"distinctAttribute\" is required, but multiple fields are set"],
                ),
                (
                    json!({"spec": {"devices": {"config": [{"requests": ["r", "r"]}]}}}),
                    &[
                        "spec.devices.config[0].requests[1]: Duplicate value: \"r\"",
                        "spec.devices.config[0].opaque: Required value",
                    ],
                ),
            ],
        );
    }

    #[test]
    fn the_spec_cannot_change() {
        let errors = cases::updated(base(), &json!({"spec": {"devices": {"requests": []}}})).1;
        assert_eq!(
            errors,
            [
                "spec: Invalid value: {\"Devices\":{\"Requests\":null,\"Constraints\":null,\"Config\":null}}: field is \
              immutable"
            ]
        );
    }

    #[test]
    fn templates_have_only_labels_and_annotations() {
        let template = json!({
            "apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaimTemplate",
            "spec": {"metadata": {"labels": {"a": "b"}, "name": "x"}, "spec": {"devices": {"requests": [
                {"name": "R", "exactly": {"deviceClassName": "gpu"}},
            ]}}},
        });
        let (template, errors) = cases::created(template);
        assert_eq!(template["spec"]["spec"]["devices"]["requests"][0]["exactly"]["count"], 1);
        assert_eq!(
            errors,
            [
                "spec.metadata.name: Forbidden: cannot be set",
                "spec.spec.devices.requests[0].name: Invalid value: \"R\": a lowercase RFC 1123 label must consist of \
                 lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
            ]
        );
    }
}
