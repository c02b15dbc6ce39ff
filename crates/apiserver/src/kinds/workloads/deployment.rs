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
