//! ResourceSlice: some of the devices that a driver has.

use std::{collections::HashMap, sync::LazyLock};

use regex::Regex;
use serde_json::Value;

use super::{
    binding, capacity,
    names::{
        QUALIFIED_LENGTH_MAX, validate_items, validate_map, validate_pool, validate_qualified, validate_set,
    },
    taint,
};
use crate::{
    kinds::{
        Strategy, go,
        strategy::Generation,
        workloads::pod_spec::{rules, scheduling::validate_node_selector, volumes::validate_driver},
    },
    machinery::{
        FieldErrors, Path,
        fields::{entries, flag, list, number, objects_mut, present, text},
        metadata, object,
    },
};

/// The behaviour of ResourceSlices.
pub static STRATEGY: Strategy = Strategy {
    prepare_create: drop_what_is_off,
    prepare_update: |new, _| drop_what_is_off(new),
    validate_create: |new, errors| validate(errors, new, None),
    validate_update: |new, old, errors| {
        metadata::validate_update(new, old, errors);
        validate(errors, new, Some(old));
    },
    stamp: |new, _, now| stamp(new, now),
    generation: Generation::Spec,
    returns_deleted: true,
    ..Strategy::PLAIN
};

const SPEC: Path<'static> = Path::new("spec");
const DEVICES_MAX: usize = 128;
/// With taints or shared counters.
const ADVANCED_DEVICES_MAX: usize = 64;
const COUNTER_SETS_MAX: usize = 8;
const COUNTERS_MAX: usize = 32;
const CONSUMPTIONS_MAX: usize = 2;
const PROPERTIES_MAX: usize = 32;
const TAINTS_MAX: usize = 16;
const TEXT_LENGTH_MAX: usize = 64;
const LABEL_LENGTH_MAX: usize = 63;

/// Takes away the fields of features that are off.
fn drop_what_is_off(slice: &mut Value) {
    for device in objects_mut(object::child_mut(slice, "spec"), "devices") {
        device.remove("nodeAllocatableResourceMappings");
        let attributes = device.get_mut("attributes").and_then(Value::as_object_mut);
        for attribute in attributes.into_iter().flatten().filter_map(|(_, value)| value.as_object_mut()) {
            attribute.retain(|field, _| !matches!(field.as_str(), "bools" | "ints" | "strings" | "versions"));
        }
    }
}

/// Notes when taints were added.
fn stamp(slice: &mut Value, now: &str) {
    for device in objects_mut(object::child_mut(slice, "spec"), "devices") {
        for taint in objects_mut(device, "taints") {
            crate::machinery::fields::fill(taint, "timeAdded", now);
        }
    }
}

fn validate(errors: &mut FieldErrors, new: &Value, old: Option<&Value>) {
    let spec = &new["spec"];
    validate_driver(errors, &SPEC.child("driver"), text(spec, "driver"));
    let pool = SPEC.child("pool");
    validate_pool(errors, &pool.child("name"), text(&spec["pool"], "name"));
    rules::positive(errors, &pool.child("resourceSliceCount"), number(&spec["pool"], "resourceSliceCount"));
    let generation = number(&spec["pool"], "generation");
    if generation < 0 {
        errors.invalid(&pool.child("generation"), generation, "must be greater than or equal to zero");
    }
    if let Some(old) = old.map(|old| &old["spec"]) {
        metadata::immutable(errors, &pool.child("name"), &spec["pool"]["name"], &old["pool"]["name"]);
        for field in ["driver", "nodeName"] {
            metadata::immutable(errors, &SPEC.child(field), &spec[field], &old[field]);
        }
    }
    validate_nodes(errors, spec);
    let (devices, counters) = (list(spec, "devices"), list(spec, "sharedCounters"));
    if !devices.is_empty() && !counters.is_empty() {
        errors.invalid(&SPEC, "", "only one of `sharedCounters` or `devices` is allowed");
    }
    let advanced =
        |device: &Value| ["taints", "consumesCounters"].iter().any(|field| !list(device, field).is_empty());
    let most = if devices.iter().any(advanced) { ADVANCED_DEVICES_MAX } else { DEVICES_MAX };
    let old_devices: HashMap<&str, &Value> = old
        .map_or(&[][..], |old| list(&old["spec"], "devices"))
        .iter()
        .map(|own| (text(own, "name"), own))
        .collect();
    let a_node_each = flag(spec, "perDeviceNodeSelection");
    let check = |errors: &mut FieldErrors, path: &Path<'_>, device: &Value| {
        let old = old_devices.get(text(device, "name")).copied();
        validate_device(errors, path, device, old, a_node_each);
    };
    validate_set(errors, &SPEC.child("devices"), devices, most, check, |own| text(own, "name").to_owned());
    let check = |errors: &mut FieldErrors, path: &Path<'_>, set: &Value| {
        rules::required_label(errors, &path.child("name"), text(set, "name"));
        validate_counters(errors, path, set);
    };
    let name = |set: &Value| text(set, "name").to_owned();
    validate_set(errors, &SPEC.child("sharedCounters"), counters, COUNTER_SETS_MAX, check, name);
}

/// Exactly one field says where the devices are.
fn validate_nodes(errors: &mut FieldErrors, spec: &Value) {
    const ONE: &str =
        "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    let mut said = Vec::new();
    if let Some(name) = present(spec, "nodeName").and_then(Value::as_str) {
        let path = SPEC.child("nodeName");
        if name.is_empty() {
            errors.invalid(&path, name, "must be either unset or set to a non-empty string");
        } else {
            said.push("`nodeName`");
            rules::object_name(errors, &path, name);
        }
    }
    if let Some(selector) = present(spec, "nodeSelector") {
        said.push("`nodeSelector`");
        let path = SPEC.child("nodeSelector");
        validate_node_selector(errors, &path, selector);
        let terms = list(selector, "nodeSelectorTerms");
        if terms.len() != 1 {
            let written: Vec<String> =
                terms.iter().map(|term| go::written("io.k8s.api.core.v1.NodeSelectorTerm", term)).collect();
            let written = if terms.is_empty() { "null".into() } else { format!("[{}]", written.join(",")) };
            let path = path.child("nodeSelectorTerms");
            go::invalid(errors, &path, &written, "must have exactly one node selector term");
        }
    }
    for (field, quoted) in
        [("allNodes", "`allNodes`"), ("perDeviceNodeSelection", "`perDeviceNodeSelection`")]
    {
        match present(spec, field) {
            Some(Value::Bool(true)) => said.push(quoted),
            Some(other) => {
                errors.invalid(&SPEC.child(field), other.clone(), "must be either unset or set to true");
            }
            None => {}
        }
    }
    match said.len() {
        0 => errors.required(&SPEC, ONE),
        1 => {}
        _ => {
            let detail = format!("{ONE}, but multiple fields are set");
            errors.invalid(&SPEC, format!("{{{}}}", said.join(", ")), &detail);
        }
    }
}

fn validate_counters(errors: &mut FieldErrors, path: &Path<'_>, owner: &Value) {
    match entries(owner, "counters").count() {
        0 => errors.required(&path.child("counters"), ""),
        count if count > COUNTERS_MAX => errors.too_many(&path.child("counters"), count, COUNTERS_MAX),
        _ => validate_map(errors, path, owner, "counters", LABEL_LENGTH_MAX, |errors, path, name, _| {
            rules::label(errors, path, name);
        }),
    }
}

fn validate_device(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    device: &Value,
    old: Option<&Value>,
    a_node_each: bool,
) {
    rules::label(errors, &path.child("name"), text(device, "name"));
    let properties = entries(device, "attributes").count() + entries(device, "capacity").count();
    if properties > PROPERTIES_MAX {
        let detail =
            format!("the total number of attributes and capacities must not exceed {PROPERTIES_MAX}");
        errors.invalid(path, properties, &detail);
    }
    validate_map(
        errors,
        path,
        device,
        "attributes",
        QUALIFIED_LENGTH_MAX,
        |errors, path, name, attribute| {
            validate_qualified(errors, path, name);
            validate_attribute(errors, path, attribute);
        },
    );
    let many = flag(device, "allowMultipleAllocations");
    validate_map(errors, path, device, "capacity", QUALIFIED_LENGTH_MAX, |errors, path, name, own| {
        validate_qualified(errors, path, name);
        capacity::validate(errors, path, own, many);
    });
    if old.is_none_or(|old| old["taints"] != device["taints"]) {
        validate_items(errors, &path.child("taints"), list(device, "taints"), TAINTS_MAX, taint::validate);
    }
    let check = |errors: &mut FieldErrors, path: &Path<'_>, consumption: &Value| {
        rules::required_label(errors, &path.child("counterSet"), text(consumption, "counterSet"));
        validate_counters(errors, path, consumption);
    };
    let consumptions = list(device, "consumesCounters");
    let name = |own: &Value| text(own, "counterSet").to_owned();
    validate_set(errors, &path.child("consumesCounters"), consumptions, CONSUMPTIONS_MAX, check, name);
    validate_own_node(errors, path, device, a_node_each);
    binding::validate(errors, path, device);
}

/// A device says where it is if the slice leaves that to its devices.
fn validate_own_node(errors: &mut FieldErrors, path: &Path<'_>, device: &Value, a_node_each: bool) {
    const ONE: &str = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when \
                       `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
    if !a_node_each {
        if ["nodeName", "nodeSelector", "allNodes"].iter().any(|field| present(device, field).is_some()) {
            let detail = "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set \
                          to true in the ResourceSlice spec";
            errors.invalid(path, Value::Null, detail);
        }
        return;
    }
    let mut said = Vec::new();
    if let Some(name) = present(device, "nodeName").and_then(Value::as_str) {
        if name.is_empty() {
            errors.invalid(&path.child("nodeName"), name, "must not be empty");
        } else {
            said.push("`nodeName`");
            rules::object_name(errors, &path.child("nodeName"), name);
        }
    }
    if let Some(selector) = present(device, "nodeSelector") {
        said.push("`nodeSelector`");
        validate_node_selector(errors, &path.child("nodeSelector"), selector);
    }
    match present(device, "allNodes") {
        Some(Value::Bool(true)) => said.push("`allNodes`"),
        Some(other) => {
            errors.invalid(&path.child("allNodes"), other.clone(), "must be either unset or set to true");
        }
        None => {}
    }
    match said.len() {
        0 => errors.required(path, ONE),
        1 => {}
        _ => errors.invalid(path, format!("{{{}}}", said.join(", ")), ONE),
    }
}

/// Versions as <https://semver.org> has them.
static VERSION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    const NUMBER: &str = r"(0|[1-9]\d*)";
    const BEFORE: &str = r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)";
    const BUILD: &str = r"[0-9a-zA-Z-]+";
    let numbers = format!(r"{NUMBER}\.{NUMBER}\.{NUMBER}");
    Regex::new(&format!(r"^(?-u:{numbers}(-{BEFORE}(\.{BEFORE})*)?(\+{BUILD}(\.{BUILD})*)?)$")).ok()
});

fn validate_attribute(errors: &mut FieldErrors, path: &Path<'_>, attribute: &Value) {
    const ONE: &str = "exactly one value must be specified";
    if text(attribute, "string").len() > TEXT_LENGTH_MAX {
        errors.too_long(&path.child("string"), TEXT_LENGTH_MAX);
    }
    if let Some(version) = present(attribute, "version").and_then(Value::as_str) {
        let path = path.child("version");
        if !VERSION.as_ref().is_some_and(|form| form.is_match(version)) {
            errors.invalid(&path, version, "must be a string compatible with semver.org spec 2.0.0");
        }
        if version.len() > TEXT_LENGTH_MAX {
            errors.too_long(&path, TEXT_LENGTH_MAX);
        }
    }
    match ["bool", "int", "string", "version"]
        .iter()
        .filter(|field| present(attribute, field).is_some())
        .count()
    {
        0 => errors.invalid(path, "", ONE),
        1 => {}
        _ => {
            go::invalid(errors, path, &go::written("io.k8s.api.resource.v1.DeviceAttribute", attribute), ONE);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::cases;

    use super::*;

    fn base() -> Value {
        json!({"apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "spec": {
            "driver": "d.example.com", "nodeName": "n1", "pool": {"name": "n1", "generation": 1, "resourceSliceCount": 1},
            "devices": [{"name": "gpu-0"}],
        }})
    }

    fn device(over: &Value) -> Value {
        json!({"spec": {"devices": [cases::merged(json!({"name": "gpu-0"}), over)]}})
    }

    #[test]
    fn what_is_wrong_with_a_slice() {
        cases::check_wrong(
            &base(),
            &[
                (json!({}), &[]),
                (
                    json!({"spec": {"driver": "", "pool": {"name": "", "resourceSliceCount": 0, "generation": -1},
                                    "nodeName": null}}),
                    &[
                        "spec.driver: Required value",
                        "spec.pool.name: Required value",
                        "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero",
                        "spec.pool.generation: Invalid value: -1: must be greater than or equal to zero",
                        "spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, \
                         `perDeviceNodeSelection` is required",
                    ],
                ),
                (
                    json!({"spec": {"allNodes": true, "perDeviceNodeSelection": false, "sharedCounters": [
                        {"name": "c", "counters": {}},
                    ]}}),
                    &[
                        "spec.perDeviceNodeSelection: Invalid value: false: must be either unset or set to true",
                        "spec: Invalid value: \"{`nodeName`, `allNodes`}\": exactly one of `nodeName`, `nodeSelector`, \
                         `allNodes`, `perDeviceNodeSelection` is required, but multiple fields are set",
                        "spec: Invalid value: \"\": only one of `sharedCounters` or `devices` is allowed",
                        "spec.sharedCounters[0].counters: Required value",
                    ],
                ),
                (
                    json!({"spec": {"nodeName": null, "nodeSelector": {"nodeSelectorTerms": []}}}),
                    &[
                        "spec.nodeSelector.nodeSelectorTerms: Required value: must have at least one node selector term",
                        "spec.nodeSelector.nodeSelectorTerms: Invalid value: null: must have exactly one node selector \
                         term",
                    ],
                ),
                (
                    json!({"spec": {"devices": [{"name": "a"}, {"name": "a"}]}}),
                    &["spec.devices[1]: Duplicate value: \"a\""],
                ),
            ],
        );
    }

    #[test]
    fn what_is_wrong_with_a_device() {
        cases::check_wrong(
            &base(),
            &[
                (
                    device(&json!({"attributes": {
                        "a": {"int": 1}, "b": {"version": "1.2.3-rc.1+x"}, "d.example.com/c": {"bool": false},
                    }, "capacity": {"memory": {"value": "1Gi"}}})),
                    &[],
                ),
                (
                    device(&json!({"attributes": {
                        "a b": {"version": "1.2"}, "c": {}, "d": {"string": "x", "int": 1}, "/e": {"bool": true},
                    }, "nodeName": "n"})),
                    &[
                        "spec.devices[0].attributes[/e]: Invalid value: \"\": the domain must not be empty",
                        "spec.devices[0].attributes[a b]: Invalid value: \"a b\": a valid C identifier must start with \
                         alphabetic character or '_', followed by a string of alphanumeric characters or '_'",
                        "spec.devices[0].attributes[a b].version: Invalid value: \"1.2\": must be a string compatible \
                         with semver.org spec 2.0.0",
                        "spec.devices[0].attributes[c]: Invalid value: \"\": exactly one value must be specified",
                        "spec.devices[0].attributes[d]: Invalid value: {\"IntValue\":1,\"BoolValue\":null,\
                         \"StringValue\":\"x\",\"VersionValue\":null,\"IntValues\":null,\"BoolValues\":null,\
                         \"StringValues\":null,\"VersionValues\":null}: exactly one value must be specified",
                        "spec.devices[0]: Invalid value: null: `nodeName`, `nodeSelector` and `allNodes` can only be \
                         set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec",
                    ],
                ),
                (
                    device(
                        &json!({"taints": [{"key": "", "effect": "Some"}], "consumesCounters": [{"counterSet": ""}]}),
                    ),
                    &[
                        "spec.devices[0].taints[0].key: Invalid value: \"\": name part must be non-empty",
                        "spec.devices[0].taints[0].key: Invalid value: \"\": name part must consist of alphanumeric \
                         characters, '-', '_' or '.', and must start and end with an alphanumeric character",
                        "spec.devices[0].taints[0].effect: Unsupported value: \"Some\": supported values: \
                         \"NoExecute\", \"NoSchedule\", \"None\"",
                        "spec.devices[0].consumesCounters[0].counterSet: Required value",
                        "spec.devices[0].consumesCounters[0].counters: Required value",
                    ],
                ),
                (
                    device(&json!({"bindingConditions": ["a", "a"], "bindingFailureConditions": ["a"]})),
                    &[
                        "spec.devices[0].bindingConditions[1]: Duplicate value: \"a\"",
                        "spec.devices[0].bindingFailureConditions[0]: Invalid value: \"a\": bindingFailureConditions \
                         must not overlap with bindingConditions",
                    ],
                ),
            ],
        );
    }

    #[test]
    fn what_is_wrong_with_capacity() {
        let capacity = |many: bool, policy: Value| {
            device(&json!({"allowMultipleAllocations": many, "capacity": {
                "m": {"value": "10Gi", "requestPolicy": policy},
            }}))
        };
        cases::check_wrong(
            &base(),
            &[
                (
                    capacity(false, json!({})),
                    &[
                        "spec.devices[0].capacity[m].requestPolicy: Forbidden: allowMultipleAllocations must be true",
                    ],
                ),
                (capacity(true, json!({"default": "1Gi", "validRange": {"min": "1Gi", "step": "1Gi"}})), &[]),
                (
                    capacity(true, json!({"validValues": ["1Gi"]})),
                    &[
                        "spec.devices[0].capacity[m].requestPolicy.default: Required value: required when validValues \
                       is defined",
                    ],
                ),
                (
                    capacity(true, json!({"default": "3Gi", "validValues": ["2Gi", "1Gi", "20Gi"]})),
                    &[
                        "spec.devices[0].capacity[m].requestPolicy.validValues[1]: Invalid value: \"1Gi\": values must \
                         be sorted in ascending order",
                        "spec.devices[0].capacity[m].requestPolicy.validValues[2]: Invalid value: \"20Gi\": option is \
                         larger than capacity value: 10Gi",
                        "spec.devices[0].capacity[m].requestPolicy.validValues: Invalid value: \"3Gi\": default value \
                         is not valid according to the requestPolicy",
                    ],
                ),
                (
                    capacity(
                        true,
                        json!({"default": "1Gi", "validRange": {"min": "2Gi", "max": "3Gi", "step": "0"}}),
                    ),
                    &[
                        "spec.devices[0].capacity[m].requestPolicy.validRange.min: Invalid value: \"1Gi\": default is \
                         less than min: 2Gi",
                        "spec.devices[0].capacity[m].requestPolicy.validRange.step: Invalid value: \"1Gi\": value is \
                         not a multiple of a given step (0) from (2Gi)",
                        "spec.devices[0].capacity[m].requestPolicy.validRange.step: Invalid value: \"3Gi\": value is \
                         not a multiple of a given step (0) from (2Gi)",
                    ],
                ),
            ],
        );
    }

    #[test]
    fn whose_devices_they_are_cannot_change() {
        assert_eq!(
            cases::updated(base(), &json!({"spec": {"driver": "e.example.com", "nodeName": "n2"}})).1,
            [
                "spec.driver: Invalid value: \"e.example.com\": field is immutable",
                "spec.nodeName: Invalid value: \"n2\": field is immutable",
            ]
        );
    }

    #[test]
    fn taints_are_dated_and_what_is_off_goes() {
        let slice = cases::merged(
            base(),
            &device(
                &json!({"taints": [{"key": "k", "effect": "NoSchedule"}], "attributes": {"a": {"ints": [1]}}}),
            ),
        );
        let (slice, errors) = cases::created(slice);
        let device = &slice["spec"]["devices"][0];
        assert_eq!(device["taints"][0]["timeAdded"], "2024-01-01T00:00:00Z");
        assert_eq!(device["attributes"], json!({"a": {}}));
        assert_eq!(errors.len(), 1);
    }
}
