//! Deployment: brings a new version of Pods out step by step.

use serde_json::{Map, Value};

use super::{counts, pod_spec::gates, pod_template, pod_warnings, rollout, selection};
use crate::{
    kinds::strategy::{Generation, Strategy, keep_all_but_status_and_labels},
    machinery::{
        FieldErrors, Path,
        fields::{fill, integer, number, object_mut, present, text},
        metadata, object,
    },
};

/// The behaviour of Deployment.
pub static STRATEGY: Strategy = Strategy {
    status_resets: &[&["metadata", "labels"]],
    default: fill_deployment,
    prepare_create: gates::drop_disabled_in_template,
    prepare_update: |new, _| gates::drop_disabled_in_template(new),
    validate_create: |new, errors| validate(errors, &new["spec"]),
    validate_update: |new, old, errors| {
        let (new, old) = (&new["spec"], &old["spec"]);
        validate(errors, new);
        let path = Path::new("spec");
        metadata::immutable(errors, &path.child("selector"), &new["selector"], &old["selector"]);
    },
    prepare_status: keep_all_but_status_and_labels,
    validate_status,
    warnings: |new, old| match old {
        Some(old) if object::meta(new, "annotations") != object::meta(old, "annotations") => {
            pod_warnings::of_controller(new, None)
        }
        old => pod_warnings::of_controller(new, old),
    },
    generation: Generation::SpecAndAnnotations,
    status: true,
    ..Strategy::PLAIN
};

fn fill_deployment(object: &mut Value) {
    let Some(spec) = object_mut(object::map_mut(object), "spec") else { return };
    fill(spec, "replicas", 1);
    fill(spec, "revisionHistoryLimit", 10);
    fill(spec, "progressDeadlineSeconds", 600);
    fill(spec, "strategy", Map::new());
    if let Some(strategy) = object_mut(spec, "strategy") {
        fill(strategy, "type", "RollingUpdate");
        if strategy["type"] == "RollingUpdate" {
            fill(strategy, "rollingUpdate", Map::new());
            if let Some(update) = object_mut(strategy, "rollingUpdate") {
                fill(update, "maxUnavailable", "25%");
                fill(update, "maxSurge", "25%");
            }
        }
    }
    pod_template::fill(spec);
}

fn validate(errors: &mut FieldErrors, spec: &Value) {
    let path = Path::new("spec");
    counts::validate_all(errors, &path, spec, &["replicas"]);
    selection::validate_replicated(errors, &path, spec);
    validate_strategy(errors, &path.child("strategy"), &spec["strategy"]);
    counts::validate_all(errors, &path, spec, &["minReadySeconds", "revisionHistoryLimit"]);
    if let Some(seconds) = integer(spec, "progressDeadlineSeconds") {
        let path = path.child("progressDeadlineSeconds");
        metadata::non_negative(errors, &path, seconds);
        if seconds <= number(spec, "minReadySeconds") {
            errors.invalid(&path, seconds, "must be greater than minReadySeconds");
        }
    }
}

fn validate_strategy(errors: &mut FieldErrors, path: &Path<'_>, strategy: &Value) {
    let update = present(strategy, "rollingUpdate");
    let update_path = path.child("rollingUpdate");
    match (text(strategy, "type"), update) {
        ("Recreate", None) => {}
        ("Recreate", Some(_)) => {
            errors.forbidden(&update_path, "may not be specified when strategy `type` is 'Recreate'");
        }
        ("RollingUpdate", None) => {
            errors.required(&update_path, "this should be defaulted and never be nil");
        }
        ("RollingUpdate", Some(update)) => {
            let (unavailable, surge) = (&update["maxUnavailable"], &update["maxSurge"]);
            let unavailable_path = update_path.child("maxUnavailable");
            rollout::validate_amount(errors, &unavailable_path, unavailable);
            rollout::validate_amount(errors, &update_path.child("maxSurge"), surge);
            if rollout::number_of(unavailable) == 0 && rollout::number_of(surge) == 0 {
                let detail = "may not be 0 when `maxSurge` is 0";
                errors.invalid(&unavailable_path, unavailable.clone(), detail);
            }
            rollout::validate_at_most_all(errors, &unavailable_path, unavailable);
        }
        _ => errors.not_supported(path, strategy.clone(), &["Recreate", "RollingUpdate"]),
    }
}

fn validate_status(new: &Value, old: &Value, errors: &mut FieldErrors) {
    const FIELDS: [&str; 8] = [
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "terminatingReplicas",
        "collisionCount",
    ];
    let (path, status) = (Path::new("status"), &new["status"]);
    counts::validate_all(errors, &path, status, &FIELDS);
    let parts = ["updatedReplicas", "readyReplicas", "availableReplicas"];
    counts::validate_at_most(errors, &path, status, &parts, "replicas", counts::MORE_THAN_ALL);
    let available = ["availableReplicas"];
    counts::validate_at_most(errors, &path, status, &available, "readyReplicas", counts::MORE_THAN_READY);
    counts::validate_collisions(errors, &path, status, &old["status"]);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::testing::{assert_lines, created, reported, template, updated, with},
        *,
    };

    fn deployment(more: &Value) -> Value {
        let spec = json!({"selector": {"matchLabels": {"app": "a"}}, "template": template(&json!({}))});
        let mut deployment = json!({"spec": with(spec, more)});
        (STRATEGY.default)(&mut deployment);
        deployment
    }

    #[test]
    fn a_deployment_is_filled_in() {
        let mut spec = deployment(&json!({}))["spec"].take();
        spec.as_object_mut().unwrap().retain(|field, _| !matches!(field.as_str(), "selector" | "template"));
        assert_eq!(
            spec,
            json!({"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}})
        );
        let recreate = deployment(&json!({"strategy": {"type": "Recreate"}, "replicas": 0}));
        assert_eq!(recreate["spec"]["strategy"], json!({"type": "Recreate"}));
        assert_eq!(recreate["spec"]["replicas"], 0);
    }

    #[test]
    fn a_deployment_is_validated() {
        let rolling = |update| json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": update}});
        for (more, want) in [
            (json!({}), vec![]),
            (
                json!({"replicas": -1, "minReadySeconds": -1, "revisionHistoryLimit": -1, "progressDeadlineSeconds": -1}),
                vec![
                    "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
                    "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
                    "spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
                    "spec.progressDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
                    "spec.progressDeadlineSeconds: Invalid value: -1: must be greater than minReadySeconds",
                ],
            ),
            (
                rolling(json!({"maxUnavailable": 0, "maxSurge": "0%"})),
                vec![
                    "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
                ],
            ),
            (
                rolling(json!({"maxUnavailable": "101%", "maxSurge": -1})),
                vec![
                    "spec.strategy.rollingUpdate.maxSurge: Invalid value: -1: must be greater than or equal to 0",
                    "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
                ],
            ),
            (
                json!({"strategy": {"type": "Recreate", "rollingUpdate": {}}}),
                vec![
                    "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
                ],
            ),
            (
                json!({"strategy": {"type": "x"}}),
                vec![
                    "spec.strategy: Unsupported value: {\"type\":\"x\"}: supported values: \"Recreate\", \"RollingUpdate\"",
                ],
            ),
        ] {
            assert_lines(&created(&STRATEGY, &deployment(&more)), &want, &more);
        }
    }

    #[test]
    fn what_a_deployment_selects_stays() {
        let other =
            deployment(&json!({"selector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}));
        assert_lines(
            &updated(&STRATEGY, &other, &deployment(&json!({}))),
            &[
                "spec.selector: Invalid value: {\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"Exists\"}]}: field is immutable",
            ],
            &other,
        );
    }

    #[test]
    fn numbers_of_a_deployment_add_up() {
        let status = json!({"status": {"replicas": 1, "updatedReplicas": 2, "readyReplicas": 0, "availableReplicas": 1, "unavailableReplicas": -1}});
        assert_lines(
            &reported(&STRATEGY, &status, &json!({"status": {"collisionCount": 1}})),
            &[
                "status.unavailableReplicas: Invalid value: -1: must be greater than or equal to 0",
                "status.updatedReplicas: Invalid value: 2: cannot be greater than status.replicas",
                "status.availableReplicas: Invalid value: 1: cannot be greater than readyReplicas",
                "status.collisionCount: Invalid value: 0: cannot be decremented",
            ],
            &status,
        );
    }

    #[test]
    fn a_changed_template_is_warned_of() {
        let old = deployment(
            &json!({"template": template(&json!({"nodeSelector": {"beta.kubernetes.io/os": "x"}}))}),
        );
        let warning = "spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead";
        assert_eq!((STRATEGY.warnings)(&old, None), [warning]);
        assert!((STRATEGY.warnings)(&old, Some(&old)).is_empty());
        let annotated = with(old.clone(), &json!({"metadata": {"annotations": {"a": "b"}}}));
        assert_eq!((STRATEGY.warnings)(&annotated, Some(&old)), [warning]);
    }
}
