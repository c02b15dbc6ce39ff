//! ReplicationController: what ReplicaSets were before there were Deployments.

use serde_json::Value;

use super::{counts, pod_spec::gates, pod_template, pod_warnings, twice};
use crate::{
    kinds::strategy::{Generation, Strategy},
    machinery::{
        FieldErrors, Path,
        fields::{fill, integer, is_set, object_mut, present},
        metadata, object,
        selector::LabelSelector,
    },
};

/// The behaviour of ReplicationController.
pub static STRATEGY: Strategy = Strategy {
    default: fill_controller,
    prepare_create: gates::drop_disabled_in_template,
    prepare_update: |new, _| gates::drop_disabled_in_template(new),
    validate_create: |new, errors| validate(errors, &new["spec"]),
    validate_update: |new, _, errors| twice(errors, |errors| validate(errors, &new["spec"])),
    validate_status: |new, _, errors| {
        counts::validate_replicas(errors, &Path::new("status"), &new["status"]);
    },
    warnings: |new, old| {
        let name = old.is_none().then(|| pod_warnings::of_name(object::name(new))).flatten();
        name.into_iter().chain(pod_warnings::of_controller(new, old)).collect()
    },
    generation: Generation::Spec,
    status: true,
    orphan_dependents: true,
    ..Strategy::PLAIN
};

/// Selector and labels are those of the template, where they are left out.
fn fill_controller(object: &mut Value) {
    if !is_set(&object["spec"], "selector")
        && let Some(labels) = pod_template::labels(object).cloned()
        && let Some(spec) = object_mut(object::map_mut(object), "spec")
    {
        spec.insert("selector".to_owned(), Value::Object(labels));
    }
    pod_template::fill_labels(object);
    if let Some(spec) = object_mut(object::map_mut(object), "spec") {
        fill(spec, "replicas", 1);
        pod_template::fill(spec);
    }
}

fn validate(errors: &mut FieldErrors, spec: &Value) {
    let path = Path::new("spec");
    counts::validate_all(errors, &path, spec, &["minReadySeconds"]);
    if !is_set(spec, "selector") {
        errors.required(&path.child("selector"), "");
    }
    match integer(spec, "replicas") {
        None => errors.required(&path.child("replicas"), ""),
        Some(replicas) => metadata::non_negative(errors, &path.child("replicas"), replicas),
    }
    let path = path.child("template");
    let Some(template) = present(spec, "template") else {
        errors.required(&path, "");
        return;
    };
    let selector = LabelSelector::of_map(&spec["selector"]);
    pod_template::validate_selected(errors, &path, template, &selector);
    pod_template::validate(errors, &path, template);
    pod_template::validate_running(errors, &path, template, "ReplicationController");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::testing::{assert_lines, created, template},
        *,
    };

    #[test]
    fn a_controller_has_the_labels_of_its_template() {
        let mut controller = json!({"metadata": {"name": "c"}, "spec": {"template": template(&json!({}))}});
        fill_controller(&mut controller);
        assert_eq!(controller["metadata"]["labels"], json!({"app": "a"}));
        assert_eq!(controller["spec"]["selector"], json!({"app": "a"}));
        assert_eq!(controller["spec"]["replicas"], 1);
        assert_lines(&created(&STRATEGY, &controller), &[], &controller);

        let mut own = json!({"metadata": {"labels": {"l": "m"}}, "spec": {"selector": {"app": "b"}, "replicas": 0, "template": template(&json!({"restartPolicy": "Never"}))}});
        fill_controller(&mut own);
        assert_eq!(own["metadata"]["labels"], json!({"l": "m"}));
        assert_lines(
            &created(&STRATEGY, &own),
            &[
                "spec.template.metadata.labels: Invalid value: {\"app\":\"a\"}: `selector` does not match template `labels`",
                "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
            ],
            &own,
        );

        let mut bare = json!({"metadata": {}, "spec": {"minReadySeconds": -1}});
        fill_controller(&mut bare);
        assert_lines(
            &created(&STRATEGY, &bare),
            &[
                "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
                "spec.selector: Required value",
                "spec.template: Required value",
            ],
            &bare,
        );
    }

    #[test]
    fn a_name_that_pods_cannot_have_is_warned_of() {
        let controller = json!({"metadata": {"name": "a.b"}, "spec": {"template": template(&json!({}))}});
        let warning = "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]";
        assert_eq!((STRATEGY.warnings)(&controller, None), [warning]);
        assert!((STRATEGY.warnings)(&controller, Some(&controller)).is_empty());
    }
}
