//! ReplicationController: what ReplicaSets were before there were Deployments.

use serde_json::{Map, Value};

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
    let labels = object["spec"]["template"]["metadata"]["labels"].as_object().cloned();
    let object = object::map_mut(object);
    if let Some(labels) = labels.filter(|labels| !labels.is_empty()) {
        if let Some(spec) = object_mut(object, "spec") {
            fill_map(spec, "selector", &labels);
        }
        if let Some(meta) = object_mut(object, "metadata") {
            fill_map(meta, "labels", &labels);
        }
    }
    if let Some(spec) = object_mut(object, "spec") {
        fill(spec, "replicas", 1);
        pod_template::fill(spec);
    }
}

/// Gives a map where there is none, or an empty one.
pub fn fill_map(owner: &mut Map<String, Value>, field: &str, map: &Map<String, Value>) {
    if owner.get(field).and_then(Value::as_object).is_none_or(Map::is_empty) {
        owner.insert(field.to_owned(), Value::Object(map.clone()));
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
