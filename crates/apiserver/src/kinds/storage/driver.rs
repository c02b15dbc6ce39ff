//! CSIDriver: what the cluster does for a storage driver.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::{
    kinds::{Strategy, strategy::Generation, workloads::pod_spec::rules},
    machinery::{
        FieldErrors, Path,
        fields::{fill, integer, is_set, list, present, text, texts},
        metadata, object,
    },
};

/// The behaviour of CSIDrivers.
pub static STRATEGY: Strategy = Strategy {
    default,
    validate_create: validate,
    validate_update,
    warnings,
    generation: Generation::SpecOnUpdate,
    unconditional_update: false,
    returns_deleted: true,
    ..Strategy::PLAIN
};

const SPEC: Path<'static> = Path::new("spec");
const LOGGED_TOKENS: &str = "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true \
                             to prevent possible logging of tokens in volume attributes";
const PERSISTENT: &str = "Persistent";

fn default(driver: &mut Value) {
    let spec = object::child_mut(driver, "spec");
    fill(spec, "attachRequired", true);
    fill(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    for flag in ["podInfoOnMount", "requiresRepublish", "seLinuxMount", "storageCapacity"] {
        fill(spec, flag, false);
    }
    let modes = spec.entry("volumeLifecycleModes").or_insert(Value::Null);
    if modes.as_array().is_none_or(Vec::is_empty) {
        *modes = json!([PERSISTENT]);
    }
}

fn validate(new: &Value, errors: &mut FieldErrors) {
    let spec = &new["spec"];
    let policy = text(spec, "fsGroupPolicy");
    let policies = ["File", "None", "ReadWriteOnceWithFSType"];
    rules::one_of(errors, &SPEC.child("fsGroupPolicy"), policy, &policies);
    validate_token_requests(errors, list(spec, "tokenRequests"));
    for mode in texts(spec, "volumeLifecycleModes") {
        rules::one_of(errors, &SPEC.child("volumeLifecycleModes"), mode, &[PERSISTENT, "Ephemeral"]);
    }
    if let Some(period) = integer(spec, "nodeAllocatableUpdatePeriodSeconds").filter(|period| *period < 10) {
        let path = SPEC.child("nodeAllocatableUpdatePeriodSeconds");
        errors.invalid(&path, period, "must be greater than or equal to 10 seconds");
    }
    if let Some(in_secrets) = present(spec, "serviceAccountTokenInSecrets")
        && !is_set(spec, "tokenRequests")
    {
        let detail = "serviceAccountTokenInSecrets is set but no tokenRequests are specified";
        errors.invalid(&SPEC.child("serviceAccountTokenInSecrets"), in_secrets.clone(), detail);
    }
}

fn validate_token_requests(errors: &mut FieldErrors, requests: &[Value]) {
    let path = SPEC.child("tokenRequests");
    let mut audiences = HashSet::new();
    for (index, request) in requests.iter().enumerate() {
        let path = path.index(index);
        let audience = text(request, "audience");
        if !audiences.insert(audience) {
            errors.duplicate(&path.child("audience"), audience);
            continue;
        }
        let Some(seconds) = integer(request, "expirationSeconds") else { continue };
        let path = path.child("expirationSeconds");
        if seconds < 600 {
            errors.invalid(&path, seconds, "may not specify a duration less than 10 minutes");
        }
        if seconds > 1 << 32 {
            errors.invalid(&path, seconds, "may not specify a duration larger than 2^32 seconds");
        }
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate_update(new, old, errors);
    validate(new, errors);
    let immutable = |errors: &mut FieldErrors, field: &str, named: &str| {
        metadata::immutable(errors, &SPEC.child(named), &new["spec"][field], &old["spec"][field]);
    };
    // Kubernetes misspells the first.
    immutable(errors, "attachRequired", "attachedRequired");
    immutable(errors, "volumeLifecycleModes", "volumeLifecycleModes");
}

fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let spec = &new["spec"];
    let is_new = old.is_none_or(|old| old["spec"]["tokenRequests"] != spec["tokenRequests"]);
    let warned =
        is_new && is_set(spec, "tokenRequests") && present(spec, "serviceAccountTokenInSecrets").is_none();
    Vec::from_iter(warned.then(|| LOGGED_TOKENS.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::LOGGED_TOKENS;
    use crate::kinds::cases;

    fn base() -> serde_json::Value {
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "spec": {}})
    }

    #[test]
    fn what_a_driver_does_not_say_is_filled_in() {
        assert_eq!(
            cases::created(base()).0["spec"],
            json!({
                "attachRequired": true, "podInfoOnMount": false, "volumeLifecycleModes": ["Persistent"],
                "storageCapacity": false, "fsGroupPolicy": "ReadWriteOnceWithFSType", "requiresRepublish": false,
                "seLinuxMount": false,
            })
        );
    }

    #[test]
    fn what_is_wrong_with_a_driver() {
        cases::check_wrong(
            &base(),
            &[
                (
                    json!({"spec": {"fsGroupPolicy": "Some", "volumeLifecycleModes": ["Never"]}}),
                    &[
                        "spec.fsGroupPolicy: Unsupported value: \"Some\": supported values: \"File\", \"None\", \
                         \"ReadWriteOnceWithFSType\"",
                        "spec.volumeLifecycleModes: Unsupported value: \"Never\": supported values: \"Persistent\", \
                         \"Ephemeral\"",
                    ],
                ),
                (
                    json!({"spec": {
                        "tokenRequests": [
                            {"audience": "", "expirationSeconds": 599}, {"audience": ""},
                            {"audience": "x", "expirationSeconds": 4_294_967_297_i64},
                        ],
                        "nodeAllocatableUpdatePeriodSeconds": 9,
                    }}),
                    &[
                        "spec.tokenRequests[0].expirationSeconds: Invalid value: 599: may not specify a duration less \
                         than 10 minutes",
                        "spec.tokenRequests[1].audience: Duplicate value: \"\"",
                        "spec.tokenRequests[2].expirationSeconds: Invalid value: 4294967297: may not specify a \
                         duration larger than 2^32 seconds",
                        "spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 9: must be greater than or equal to \
                         10 seconds",
                    ],
                ),
                (
                    json!({"spec": {"serviceAccountTokenInSecrets": true}}),
                    &[
                        "spec.serviceAccountTokenInSecrets: Invalid value: true: serviceAccountTokenInSecrets is set \
                       but no tokenRequests are specified",
                    ],
                ),
            ],
        );
    }

    #[test]
    fn how_volumes_live_cannot_change() {
        let patch = json!({"spec": {"attachRequired": false, "volumeLifecycleModes": ["Ephemeral"]}});
        assert_eq!(
            cases::updated(base(), &patch).1,
            [
                "spec.attachedRequired: Invalid value: false: field is immutable",
                "spec.volumeLifecycleModes: Invalid value: [\"Ephemeral\"]: field is immutable",
            ]
        );
    }

    #[test]
    fn tokens_that_may_be_logged_are_warned_of() {
        let tokens = json!({"spec": {"tokenRequests": [{"audience": "vault"}]}});
        assert_eq!(cases::warnings(cases::merged(base(), &tokens)), [LOGGED_TOKENS]);
        assert_eq!(cases::warnings(base()), [""; 0]);
    }
}
