//! StatefulSet: Pods with names and storage of their own.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{
    counts,
    pod_spec::{claim, gates, rules},
    pod_template, pod_warnings, rollout, selection,
};
use crate::{
    kinds::strategy::{Generation, Strategy},
    machinery::{
        FieldErrors, Path,
        fields::{fill, integer, list, object_mut, objects_mut, present, text},
        format, object,
        selector::LabelSelector,
    },
};

/// The fields of the spec that an update may change.
const MUTABLE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

/// The behaviour of StatefulSet.
pub static STRATEGY: Strategy = Strategy {
    name_rule: format::dns1123_label_name,
    default: fill_set,
    prepare_create: drop_disabled,
    prepare_update: |new, _| drop_disabled(new),
    validate_create: |new, errors| validate(errors, &new["spec"], true),
    validate_update: |new, old, errors| {
        let (new, old) = (&new["spec"], &old["spec"]);
        validate(errors, new, false);
        let fixed = |spec| -> Vec<(&String, &Value)> {
            let fields = Value::as_object(spec).into_iter().flatten();
            fields.filter(|(field, _)| !MUTABLE.contains(&field.as_str())).collect()
        };
        if fixed(new) != fixed(old) {
            let detail = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                          'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                          'minReadySeconds' are forbidden";
            errors.forbidden(&Path::new("spec"), detail);
        }
    },
    validate_status,
    warnings,
    generation: Generation::Spec,
    status: true,
    ..Strategy::PLAIN
};

fn fill_set(object: &mut Value) {
    let Some(spec) = object_mut(object::map_mut(object), "spec") else { return };
    fill(spec, "podManagementPolicy", "OrderedReady");
    fill(spec, "replicas", 1);
    fill(spec, "revisionHistoryLimit", 10);
    fill(spec, "updateStrategy", Map::new());
    if let Some(strategy) = object_mut(spec, "updateStrategy") {
        if !strategy.contains_key("type") {
            fill(strategy, "type", "RollingUpdate");
            fill(strategy, "rollingUpdate", Map::new());
        }
        if strategy["type"] == "RollingUpdate"
            && let Some(update) = object_mut(strategy, "rollingUpdate")
        {
            fill(update, "partition", 0);
        }
    }
    fill(spec, "persistentVolumeClaimRetentionPolicy", Map::new());
    if let Some(policy) = object_mut(spec, "persistentVolumeClaimRetentionPolicy") {
        fill(policy, "whenDeleted", "Retain");
        fill(policy, "whenScaled", "Retain");
    }
    pod_template::fill(spec);
    for template in objects_mut(spec, "volumeClaimTemplates") {
        fill(template, "apiVersion", "v1");
        fill(template, "kind", "PersistentVolumeClaim");
        if let Some(spec) = object_mut(template, "spec") {
            claim::fill_spec(spec);
        }
        fill(template, "status", Map::new());
        if let Some(status) = object_mut(template, "status") {
            fill(status, "phase", "Pending");
        }
    }
}

/// How many Pods may be missing in an update is behind a feature gate.
fn drop_disabled(object: &mut Value) {
    gates::drop_disabled_in_template(object);
    let spec = object::child_mut(object, "spec");
    if let Some(strategy) = object_mut(spec, "updateStrategy")
        && let Some(update) = object_mut(strategy, "rollingUpdate")
    {
        update.remove("maxUnavailable");
    }
}

fn validate(errors: &mut FieldErrors, spec: &Value, created: bool) {
    let path = Path::new("spec");
    let policy_path = path.child("podManagementPolicy");
    match text(spec, "podManagementPolicy") {
        "" => errors.required(&policy_path, ""),
        "OrderedReady" | "Parallel" => {}
        other => errors.invalid(&policy_path, other, "must be 'OrderedReady' or 'Parallel'"),
    }
    validate_strategy(errors, &path.child("updateStrategy"), &spec["updateStrategy"]);
    if let Some(policy) = present(spec, "persistentVolumeClaimRetentionPolicy") {
        let path = path.child("persistentVolumeClaimRetentionPolicy");
        for field in ["whenDeleted", "whenScaled"] {
            rules::one_of(errors, &path.child(field), text(policy, field), &["Retain", "Delete"]);
        }
    }
    let claims = list(spec, "volumeClaimTemplates");
    if created {
        let path = path.child("volumeClaimTemplates");
        for (index, template) in claims.iter().enumerate() {
            claim::validate_spec(errors, &path.index(index).child("spec"), &template["spec"]);
        }
    }
    counts::validate_all(errors, &path, spec, &["replicas", "minReadySeconds"]);
    if let Some(ordinals) = present(spec, "ordinals") {
        let path = path.child("ordinals");
        counts::validate_all(errors, &path, ordinals, &["start"]);
    }
    let service = text(spec, "serviceName");
    if created && !service.is_empty() {
        rules::label(errors, &path.child("serviceName"), service);
    }
    selection::validate_required(errors, &path, spec, "statefulset");
    let template_path = path.child("template");
    match LabelSelector::of(&spec["selector"]) {
        Err(_) => errors.invalid(&path.child("selector"), spec["selector"].clone(), ""),
        Ok(selector) => {
            let template = &spec["template"];
            pod_template::validate_selected(errors, &template_path, template, &selector);
            if claims.is_empty() {
                pod_template::validate(errors, &template_path, template);
            } else {
                pod_template::validate(errors, &template_path, &with_claims(template, claims));
            }
        }
    }
    pod_template::validate_running(errors, &template_path, &spec["template"], "StatefulSet");
}

/// The template as its Pods will have it: with a volume of each claim, where it has none of that name.
fn with_claims(template: &Value, claims: &[Value]) -> Value {
    let mut template = template.clone();
    let names: Vec<&str> = claims.iter().map(object::name).collect();
    let taken: HashSet<&str> = names.iter().copied().collect();
    let volumes = object::child_mut(&mut template, "spec").entry("volumes").or_insert_with(|| json!([]));
    if volumes.is_null() {
        *volumes = json!([]);
    }
    if let Value::Array(volumes) = volumes {
        volumes.retain(|volume| !taken.contains(text(volume, "name")));
        let of_claims =
            names.iter().map(|name| json!({"name": name, "persistentVolumeClaim": {"claimName": name}}));
        volumes.extend(of_claims);
    }
    template
}

fn validate_strategy(errors: &mut FieldErrors, path: &Path<'_>, strategy: &Value) {
    let update = present(strategy, "rollingUpdate");
    let update_path = path.child("rollingUpdate");
    match (text(strategy, "type"), update) {
        ("", _) => errors.required(path, ""),
        ("OnDelete" | "RollingUpdate", None) => {}
        ("OnDelete", Some(update)) => {
            let detail = "only allowed for updateStrategy 'RollingUpdate'";
            errors.invalid(&update_path, update.clone(), detail);
        }
        ("RollingUpdate", Some(update)) => {
            counts::validate_all(errors, &update_path, update, &["partition"]);
            if let Some(unavailable) = present(update, "maxUnavailable") {
                let path = update_path.child("maxUnavailable");
                rollout::validate_amount(errors, &path, unavailable);
                if rollout::number_of(unavailable) == 0 {
                    errors.invalid(&path, unavailable.clone(), "cannot be 0");
                }
                rollout::validate_at_most_all(errors, &path, unavailable);
            }
        }
        _ => errors.invalid(path, strategy.clone(), "must be 'RollingUpdate' or 'OnDelete'"),
    }
}

fn validate_status(new: &Value, old: &Value, errors: &mut FieldErrors) {
    const PARTS: [&str; 4] = ["readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"];
    let (path, status) = (Path::new("status"), &new["status"]);
    counts::validate_all(errors, &path, status, &["replicas"]);
    counts::validate_all(errors, &path, status, &PARTS);
    counts::validate_all(errors, &path, status, &["observedGeneration", "collisionCount"]);
    counts::validate_at_most(errors, &path, status, &PARTS, "replicas", counts::MORE_THAN_ALL);
    let detail = "cannot be greater than status.readyReplicas";
    counts::validate_at_most(errors, &path, status, &["availableReplicas"], "readyReplicas", detail);
    counts::validate_collisions(errors, &path, status, &old["status"]);
}

fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let mut warnings = pod_warnings::of_controller(new, old);
    let spec = &new["spec"];
    let path = Path::new("spec");
    let claims = path.child("volumeClaimTemplates");
    for (index, claim) in list(spec, "volumeClaimTemplates").iter().enumerate() {
        let path = claims.index(index);
        // Kubernetes says it in another way when it is an update.
        let path = if old.is_some() { path.child("Spec") } else { path };
        pod_warnings::of_claim(&mut warnings, &path, &claim["spec"]);
    }
    if integer(spec, "revisionHistoryLimit").is_some_and(|limit| limit < 0) {
        warnings.push(
            "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
                .to_owned(),
        );
    }
    warnings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::testing::{assert_lines, container, created, reported, template, updated, with},
        *,
    };

    fn set(more: &Value) -> Value {
        let spec = json!({"selector": {"matchLabels": {"app": "a"}}, "serviceName": "s", "template": template(&json!({}))});
        let mut set = json!({"metadata": {"name": "s"}, "spec": with(spec, more)});
        (STRATEGY.default)(&mut set);
        set
    }

    fn claim(name: &str) -> Value {
        json!({"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}})
    }

    #[test]
    fn a_set_is_filled_in() {
        let mut spec = set(&json!({"volumeClaimTemplates": [claim("v")]}))["spec"].take();
        spec.as_object_mut()
            .unwrap()
            .retain(|field, _| !matches!(field.as_str(), "selector" | "template" | "serviceName"));
        assert_eq!(
            spec,
            json!({
                "replicas": 1, "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady",
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
                "volumeClaimTemplates": [{
                    "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "v"},
                    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "volumeMode": "Filesystem"},
                    "status": {"phase": "Pending"},
                }],
            })
        );
        for (strategy, want) in [
            (json!({"type": "RollingUpdate"}), json!({"type": "RollingUpdate"})),
            (json!({"type": "OnDelete"}), json!({"type": "OnDelete"})),
            (
                json!({"rollingUpdate": {"partition": 2}}),
                json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}),
            ),
        ] {
            assert_eq!(set(&json!({"updateStrategy": strategy}))["spec"]["updateStrategy"], want);
        }
    }

    #[test]
    fn a_set_is_validated() {
        for (more, want) in [
            (json!({}), vec![]),
            (
                json!({"podManagementPolicy": "x", "updateStrategy": {"type": "y"}, "persistentVolumeClaimRetentionPolicy": {"whenScaled": "z"}}),
                vec![
                    "spec.podManagementPolicy: Invalid value: \"x\": must be 'OrderedReady' or 'Parallel'",
                    "spec.updateStrategy: Invalid value: {\"type\":\"y\"}: must be 'RollingUpdate' or 'OnDelete'",
                    "spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: \"z\": supported values: \"Retain\", \"Delete\"",
                ],
            ),
            (
                json!({"updateStrategy": {"type": "OnDelete", "rollingUpdate": {}}}),
                vec![
                    "spec.updateStrategy.rollingUpdate: Invalid value: {}: only allowed for updateStrategy 'RollingUpdate'",
                ],
            ),
            (
                json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": -1}}, "ordinals": {"start": -1}, "replicas": -1}),
                vec![
                    "spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0",
                    "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
                    "spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0",
                ],
            ),
            (
                json!({"serviceName": "S", "selector": {}}),
                vec![
                    "spec.serviceName: Invalid value: \"S\": a lowercase RFC 1123 label must…",
                    "spec.selector: Invalid value: {}: empty selector is invalid for statefulset",
                ],
            ),
            (
                json!({"volumeClaimTemplates": [{"metadata": {"name": "v"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]}),
                vec!["spec.volumeClaimTemplates[0].spec.resources[storage]: Required value"],
            ),
            (
                json!({"template": template(&json!({"restartPolicy": "Never"}))}),
                vec![
                    "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
                ],
            ),
        ] {
            assert_lines(&created(&STRATEGY, &set(&more)), &want, &more);
        }
    }

    #[test]
    fn claims_are_volumes() {
        let mounts = template(
            &json!({"containers": [container(&json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}))]}),
        );
        let with_claim = set(&json!({"template": mounts, "volumeClaimTemplates": [claim("v")]}));
        assert_lines(&created(&STRATEGY, &with_claim), &[], &with_claim);
        let without = set(&json!({"template": mounts}));
        assert_lines(
            &created(&STRATEGY, &without),
            &["spec.template.spec.containers[0].volumeMounts[0].name: Not found: \"v\""],
            &without,
        );
    }

    #[test]
    fn little_of_a_set_changes() {
        let old = set(&json!({}));
        for (more, want) in [
            (
                json!({"replicas": 3, "minReadySeconds": 1, "revisionHistoryLimit": 1, "updateStrategy": {"type": "OnDelete"}}),
                vec![],
            ),
            (
                json!({"serviceName": "t"}),
                vec![
                    "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
                ],
            ),
            (
                json!({"volumeClaimTemplates": [claim("v")]}),
                vec!["spec: Forbidden: updates to statefulset spec…"],
            ),
        ] {
            assert_lines(&updated(&STRATEGY, &set(&more), &old), &want, &more);
        }
    }

    #[test]
    fn numbers_of_a_set_add_up() {
        let status = json!({"status": {"replicas": 1, "currentReplicas": 2, "availableReplicas": 1, "updatedReplicas": -1}});
        assert_lines(
            &reported(&STRATEGY, &status, &json!({})),
            &[
                "status.updatedReplicas: Invalid value: -1: must be greater than or equal to 0",
                "status.currentReplicas: Invalid value: 2: cannot be greater than status.replicas",
                "status.availableReplicas: Invalid value: 1: cannot be greater than status.readyReplicas",
            ],
            &status,
        );
    }

    #[test]
    fn fractions_of_bytes_are_warned_of() {
        let mut odd = claim("v");
        odd["spec"]["resources"]["requests"]["storage"] = "1500m".into();
        let set = set(&json!({"volumeClaimTemplates": [odd], "revisionHistoryLimit": -1}));
        let history = "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended";
        let fraction = |path: &str| {
            format!(
                "{path}.resources.requests[storage]: fractional byte value \"1500m\" is invalid, must be an integer"
            )
        };
        assert_eq!(warnings(&set, None), [fraction("spec.volumeClaimTemplates[0]"), history.to_owned()]);
        assert_eq!(
            warnings(&set, Some(&set)),
            [fraction("spec.volumeClaimTemplates[0].Spec"), history.to_owned()]
        );
    }

    #[test]
    fn a_gated_field_is_dropped() {
        let mut set = set(
            &json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}}}),
        );
        (STRATEGY.prepare_create)(&mut set);
        assert_eq!(set["spec"]["updateStrategy"]["rollingUpdate"], json!({"partition": 0}));
    }
}
