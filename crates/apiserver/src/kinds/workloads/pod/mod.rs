//! Pod: how one is made, and how long it takes to go. What may change later is with the subject of the change:
//! `update`, `status`, [`resize`], [`ephemeral_containers`], [`binding`].

pub mod binding;
mod diff;
pub mod ephemeral_containers;
mod label_keys;
pub mod qos;
pub mod resize;
mod status;
mod update;

use serde_json::{Map, Value, json};

use super::{
    pod_spec::{
        self,
        annotations::{self, APP_ARMOR},
        containers,
        defaults::{self, CONTAINER_LISTS},
        gates,
    },
    pod_warnings,
};
use crate::{
    kinds::{
        Part,
        strategy::{Generation, Strategy},
    },
    machinery::{
        FieldErrors, Path,
        fields::{fill, integer, list, object_mut, objects_mut, present, text},
        format, object,
    },
};

pub use ephemeral_containers::EPHEMERAL_CONTAINERS;
pub use resize::RESIZE;

/// The behaviour of Pod.
pub static STRATEGY: Strategy =
    Strategy { parts: &[(Part::EphemeralContainers, &EPHEMERAL_CONTAINERS), (Part::Resize, &RESIZE)], ..POD };

/// The same, to be varied for the subresources that change a Pod's spec.
const POD: Strategy = Strategy {
    default: fill_pod,
    prepare_create,
    prepare_update: |new, _| gates::drop_disabled(new.get_mut("spec").unwrap_or(&mut Value::Null)),
    validate_create: |new, errors| validate_create(errors, new),
    validate_update: |new, old, errors| update::validate(errors, new, old),
    prepare_status: status::prepare,
    validate_status: |new, old, errors| status::validate(errors, new, old),
    warnings,
    generation: Generation::Spec,
    status: true,
    returns_deleted: true,
    grace_period: |pod, asked| Some(grace_period(pod, asked)),
    ..Strategy::PLAIN
};

fn fill_pod(pod: &mut Value) {
    if let Some(spec) = pod.get_mut("spec") {
        defaults::fill_pod_spec(spec);
    }
    let pod = object::map_mut(pod);
    defaults::fill_template(pod);
    // Templates may say so: their Pods will not.
    if let Some(seconds) =
        object_mut(pod, "spec").and_then(|spec| spec.get_mut("terminationGracePeriodSeconds"))
        && seconds.as_i64().is_some_and(|seconds| seconds < 0)
    {
        *seconds = 1.into();
    }
    if let Some(status) = object_mut(pod, "status") {
        fill_addresses(status);
    }
}

/// The address and the first of the addresses are the same; where they differ the one is right.
fn fill_addresses(status: &mut Map<String, Value>) {
    let own = status.get("podIP").and_then(Value::as_str).unwrap_or_default();
    let first = status.get("podIPs").and_then(|all| all[0]["ip"].as_str()).unwrap_or_default();
    if own == first {
        return;
    }
    if own.is_empty() {
        let first = Value::from(first);
        status.insert("podIP".to_owned(), first);
    } else {
        let all = json!([{"ip": own}]);
        status.insert("podIPs".to_owned(), all);
    }
}

fn prepare_create(pod: &mut Value) {
    if let Some(spec) = pod.get_mut("spec") {
        gates::drop_disabled(spec);
    }
    let mut status = json!({"phase": "Pending", "qosClass": qos::class_of(&pod["spec"])});
    if !list(&pod["spec"], "schedulingGates").is_empty() {
        status["conditions"] = json!([{
            "type": "PodScheduled",
            "status": "False",
            "lastProbeTime": null,
            "lastTransitionTime": pod["metadata"]["creationTimestamp"],
            "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
        }]);
    }
    object::map_mut(pod).insert("status".to_owned(), status);
    label_keys::apply(pod);
    apply_app_armor(pod);
}

/// Makes AppArmor's annotations the fields that replaced them, in containers that have none.
fn apply_app_armor(pod: &mut Value) {
    let spec = &pod["spec"];
    let has_annotations =
        object::annotations(pod).is_some_and(|all| all.keys().any(|key| key.starts_with(APP_ARMOR)));
    if !has_annotations || spec["os"]["name"] == "windows" {
        return;
    }
    let own = spec["securityContext"]["appArmorProfile"].clone();
    let annotations = pod["metadata"]["annotations"].clone();
    let spec = object::child_mut(pod, "spec");
    for field in CONTAINER_LISTS {
        for container in objects_mut(spec, field) {
            let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
            let annotation = annotations[format!("{APP_ARMOR}{name}")].as_str();
            let profile = annotation.and_then(annotations::app_armor_field);
            if let Some(profile) = profile.filter(|profile| *profile != own) {
                fill(container, "securityContext", Map::new());
                if let Some(context) = object_mut(container, "securityContext") {
                    fill(context, "appArmorProfile", profile);
                }
            }
        }
    }
}

/// What is wrong with a Pod, new or changed: its annotations and its spec.
fn validate(errors: &mut FieldErrors, pod: &Value) {
    let spec = &pod["spec"];
    let path = Path::new("metadata");
    annotations::validate(errors, &path.child("annotations"), &pod["metadata"]["annotations"], spec);
    let path = Path::new("spec");
    pod_spec::validate(errors, &path, spec, Some(pod));
    if text(spec, "serviceAccountName").is_empty() {
        let path = path.child("volumes");
        for (index, volume) in list(spec, "volumes").iter().enumerate() {
            let path = path.index(index);
            let path = path.child("projected");
            let path = path.child("sources");
            for (index, source) in list(&volume["projected"], "sources").iter().enumerate() {
                if present(source, "serviceAccountToken").is_some() {
                    let detail = "must not be specified when serviceAccountName is not set";
                    errors.forbidden(&path.index(index).child("serviceAccountToken"), detail);
                }
            }
        }
    }
    for field in ["containers", "initContainers"] {
        let path = path.child(field);
        for (index, container) in list(spec, field).iter().enumerate() {
            containers::validate_only_in_pod(errors, &path.index(index), container);
        }
    }
}

fn validate_create(errors: &mut FieldErrors, pod: &Value) {
    validate(errors, pod);
    let (path, spec) = (Path::new("spec"), &pod["spec"]);
    if !list(spec, "ephemeralContainers").is_empty() {
        errors.forbidden(&path.child("ephemeralContainers"), "cannot be set on create");
    }
    if !text(spec, "nodeName").is_empty() && !list(spec, "schedulingGates").is_empty() {
        let detail = "cannot be set until all schedulingGates have been cleared";
        errors.forbidden(&path.child("nodeName"), detail);
    }
    annotations::validate_agreement(errors, &path, &pod["metadata"]["annotations"], spec);
}

/// New Pods are warned of; people don't change Pods.
fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    if old.is_some() {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    warn_of_app_armor(&mut warnings, new);
    let problems = format::is_dns1123_label(object::name(new));
    if !problems.is_empty() {
        warnings.push(format!(
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label \
             is recommended: [{}]",
            problems.join(" ")
        ));
    }
    warnings.extend(pod_warnings::of_pod(new));
    warnings
}

/// Annotations of AppArmor that became fields, or could not.
fn warn_of_app_armor(warnings: &mut Vec<String>, pod: &Value) {
    let spec = &pod["spec"];
    if spec["os"]["name"] == "windows" {
        return;
    }
    let Some(annotations) = object::annotations(pod) else { return };
    let own = &spec["securityContext"]["appArmorProfile"];
    for container in CONTAINER_LISTS.iter().flat_map(|field| list(spec, field)) {
        let key = format!("{APP_ARMOR}{}", text(container, "name"));
        let Some(annotation) = annotations.get(&key).and_then(Value::as_str) else { continue };
        let profile = annotations::app_armor_field(annotation);
        let field = present(&container["securityContext"], "appArmorProfile");
        let deprecated = match profile {
            None => field.is_none(),
            // By now the field is there if it was made from the annotation.
            Some(profile) => profile != *own && field.is_none_or(|field| *field == profile),
        };
        if deprecated {
            warnings.push(format!("metadata.annotations[{key}]: {}", pod_warnings::APP_ARMOR_OLD));
        }
    }
}

/// How many seconds a Pod has to end when it is deleted.
fn grace_period(pod: &Value, asked: Option<i64>) -> i64 {
    let spec = &pod["spec"];
    let ended = matches!(text(&pod["status"], "phase"), "Failed" | "Succeeded");
    if ended || text(spec, "nodeName").is_empty() {
        return 0;
    }
    let own = || integer(spec, "terminationGracePeriodSeconds");
    match asked.or_else(own).unwrap_or_default() {
        negative if negative < 0 => 1,
        seconds => seconds,
    }
}

/// Makes the metadata what it was, but for what says which version of the Pod is meant and who changed what: a
/// subresource that is about the spec does not change the rest.
fn keep_metadata(new: &mut Value, old: &Value) {
    let metadata = object::metadata_mut(new);
    for field in ["deletionTimestamp", "generation", "labels", "annotations", "finalizers", "ownerReferences"]
    {
        match object::meta(old, field) {
            Some(value) => metadata.insert(field.to_owned(), value.clone()),
            None => metadata.remove(field),
        };
    }
}

/// Whether a Pod stands for one that a kubelet runs by itself.
fn is_static(pod: &Value) -> bool {
    object::annotations(pod).is_some_and(|annotations| annotations.contains_key(annotations::MIRROR_POD))
}

#[cfg(test)]
mod tests;
