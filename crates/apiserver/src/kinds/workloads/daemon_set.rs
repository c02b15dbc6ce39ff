//! DaemonSet: a Pod on every node.

use serde_json::{Map, Value};

use super::{counts, pod_spec::gates, pod_template, pod_warnings, rollout, selection, twice};
use crate::{
    kinds::strategy::{Generation, Strategy},
    machinery::{
        FieldErrors, Path,
        fields::{fill, object_mut, present, text},
        metadata, object,
        selector::{self, LabelSelector, Leniency},
    },
};

/// Where the number of templates that there were is kept: a field once, and only read by old clients.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// The behaviour of DaemonSet.
pub static STRATEGY: Strategy = Strategy {
    default: fill_set,
    prepare_create: |new| {
        gates::drop_disabled_in_template(new);
        let generation = template_generation(new).max(1);
        set_template_generation(new, generation);
    },
    prepare_update: |new, old| {
        gates::drop_disabled_in_template(new);
        let changed = new["spec"]["template"] != old["spec"]["template"];
        set_template_generation(new, template_generation(old).saturating_add(changed.into()));
    },
    validate_create: |new, errors| validate(errors, &new["spec"]),
    validate_update: |new, old, errors| {
        let (new, old) = (&new["spec"], &old["spec"]);
        twice(errors, |errors| validate(errors, new));
        let path = Path::new("spec");
        metadata::immutable(errors, &path.child("selector"), &new["selector"], &old["selector"]);
    },
    validate_status,
    warnings: |new, old| pod_warnings::of_controller(new, old),
    generation: Generation::Spec,
    status: true,
    ..Strategy::PLAIN
};

fn template_generation(object: &Value) -> i64 {
    let annotation = object["metadata"]["annotations"][TEMPLATE_GENERATION].as_str();
    annotation.and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn set_template_generation(object: &mut Value, generation: i64) {
    let metadata = object::metadata_mut(object);
    fill(metadata, "annotations", Map::new());
    if let Some(annotations) = object_mut(metadata, "annotations") {
        annotations.insert(TEMPLATE_GENERATION.to_owned(), generation.to_string().into());
    }
}

fn fill_set(object: &mut Value) {
    let metadata = object::metadata_mut(object);
    fill(metadata, "annotations", Map::new());
    if let Some(annotations) = object_mut(metadata, "annotations") {
        fill(annotations, TEMPLATE_GENERATION, "0");
    }
    let Some(spec) = object_mut(object::map_mut(object), "spec") else { return };
    fill(spec, "revisionHistoryLimit", 10);
    fill(spec, "updateStrategy", Map::new());
    if let Some(strategy) = object_mut(spec, "updateStrategy") {
        fill(strategy, "type", "RollingUpdate");
        if strategy["type"] == "RollingUpdate" {
            fill(strategy, "rollingUpdate", Map::new());
            if let Some(update) = object_mut(strategy, "rollingUpdate") {
                fill(update, "maxUnavailable", 1);
                fill(update, "maxSurge", 0);
            }
        }
    }
    pod_template::fill(spec);
}

fn validate(errors: &mut FieldErrors, spec: &Value) {
    let path = Path::new("spec");
    let selector_path = path.child("selector");
    let template_path = path.child("template");
    let template = &spec["template"];
    if let Some(own) = present(spec, "selector") {
        selector::validate(errors, &selector_path, own, Leniency::default());
    }
    if let Ok(selector) = LabelSelector::of(&spec["selector"]) {
        pod_template::validate_selected(errors, &template_path, template, &selector);
    }
    selection::validate_not_empty(errors, &selector_path, &spec["selector"], "daemonset");
    pod_template::validate(errors, &template_path, template);
    pod_template::validate_running(errors, &template_path, template, "DaemonSet");
    counts::validate_all(errors, &path, spec, &["minReadySeconds"]);
    validate_strategy(errors, &path.child("updateStrategy"), &spec["updateStrategy"]);
    counts::validate_all(errors, &path, spec, &["revisionHistoryLimit"]);
}

fn validate_strategy(errors: &mut FieldErrors, path: &Path<'_>, strategy: &Value) {
    let update_path = path.child("rollingUpdate");
    match (text(strategy, "type"), present(strategy, "rollingUpdate")) {
        ("OnDelete", _) => {}
        ("RollingUpdate", None) => errors.required(&update_path, ""),
        ("RollingUpdate", Some(update)) => {
            let (unavailable, surge) = (&update["maxUnavailable"], &update["maxSurge"]);
            let (unavailable_path, surge_path) =
                (update_path.child("maxUnavailable"), update_path.child("maxSurge"));
            rollout::validate_amount(errors, &unavailable_path, unavailable);
            rollout::validate_amount(errors, &surge_path, surge);
            rollout::validate_at_most_all(errors, &unavailable_path, unavailable);
            rollout::validate_at_most_all(errors, &surge_path, surge);
            match (rollout::number_of(unavailable) != 0, rollout::number_of(surge) != 0) {
                (true, true) => {
                    let detail = "may not be set when maxUnavailable is non-zero";
                    errors.invalid(&surge_path, surge.clone(), detail);
                }
                (false, false) => errors.required(&unavailable_path, "cannot be 0 when maxSurge is 0"),
                _ => {}
            }
        }
        _ => errors.not_supported(path, strategy.clone(), &["RollingUpdate", "OnDelete"]),
    }
}

fn validate_status(new: &Value, old: &Value, errors: &mut FieldErrors) {
    const FIELDS: [&str; 9] = [
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "collisionCount",
    ];
    let path = Path::new("status");
    counts::validate_all(errors, &path, &new["status"], &FIELDS);
    counts::validate_collisions(errors, &path, &new["status"], &old["status"]);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::testing::{assert_lines, created, reported, template, updated, with},
        *,
    };

    fn set(more: &Value) -> Value {
        let spec = json!({"selector": {"matchLabels": {"app": "a"}}, "template": template(&json!({}))});
        let mut set = json!({"metadata": {"name": "s"}, "spec": with(spec, more)});
        (STRATEGY.default)(&mut set);
        set
    }

    #[test]
    fn a_set_is_filled_in() {
        let set = set(&json!({}));
        assert_eq!(
            set["spec"]["updateStrategy"],
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}})
        );
        assert_eq!(set["spec"]["revisionHistoryLimit"], 10);
        assert_eq!(set["metadata"]["annotations"], json!({TEMPLATE_GENERATION: "0"}));
    }

    #[test]
    fn templates_are_counted() {
        let mut first = set(&json!({}));
        (STRATEGY.prepare_create)(&mut first);
        assert_eq!(template_generation(&first), 1);
        let mut same = set(&json!({"minReadySeconds": 3}));
        (STRATEGY.prepare_update)(&mut same, &first);
        assert_eq!(template_generation(&same), 1);
        let mut other = set(&json!({"template": template(&json!({"hostname": "h"}))}));
        set_template_generation(&mut other, 9);
        (STRATEGY.prepare_update)(&mut other, &first);
        assert_eq!(template_generation(&other), 2);
    }

    #[test]
    fn a_set_is_validated() {
        let rolling = |update| json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": update}});
        for (more, want) in [
            (json!({}), vec![]),
            (
                json!({"selector": {}}),
                vec!["spec.selector: Invalid value: {}: empty selector is invalid for daemonset"],
            ),
            (
                json!({"selector": {"matchLabels": {"app": "b"}}, "minReadySeconds": -1, "revisionHistoryLimit": -1}),
                vec![
                    "spec.template.metadata.labels: Invalid value: {\"app\":\"a\"}: `selector` does not match template `labels`",
                    "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
                    "spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
                ],
            ),
            (
                rolling(json!({"maxUnavailable": 1, "maxSurge": "10%"})),
                vec![
                    "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: \"10%\": may not be set when maxUnavailable is non-zero",
                ],
            ),
            (
                rolling(json!({"maxUnavailable": 0, "maxSurge": 0})),
                vec![
                    "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
                ],
            ),
            (
                rolling(json!({"maxUnavailable": 0, "maxSurge": "200%"})),
                vec![
                    "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: \"200%\": must not be greater than 100%",
                ],
            ),
            (
                json!({"updateStrategy": {"type": "x"}}),
                vec![
                    "spec.updateStrategy: Unsupported value: {\"type\":\"x\"}: supported values: \"RollingUpdate\", \"OnDelete\"",
                ],
            ),
            (
                json!({"template": template(&json!({"restartPolicy": "OnFailure", "activeDeadlineSeconds": 1}))}),
                vec![
                    "spec.template.spec.restartPolicy: Unsupported value: \"OnFailure\": supported values: \"Always\"",
                    "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in DaemonSet is not Supported",
                ],
            ),
        ] {
            assert_lines(&created(&STRATEGY, &set(&more)), &want, &more);
        }
        let new = set(&json!({"minReadySeconds": -1}));
        let negative = "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0";
        assert_lines(&updated(&STRATEGY, &new, &set(&json!({}))), &[negative, negative], &new);
        let status = json!({"status": {"numberReady": -1}});
        assert_lines(
            &reported(&STRATEGY, &status, &json!({})),
            &["status.numberReady: Invalid value: -1: must be greater than or equal to 0"],
            &status,
        );
    }
}
