//! PersistentVolumeClaim: what a namespace asks for in storage.

use serde_json::{Map, Value, json};

use super::volume::{self, OLD_CLASS, OLD_CLASS_WARNING};
use crate::{
    kinds::{
        Strategy,
        workloads::{
            pod_spec::{
                aggregate::quantity,
                claim::{fill_spec, validate_spec},
                resources, rules,
            },
            pod_warnings,
        },
    },
    machinery::{
        FieldErrors, Path,
        fields::{entries, list, present, text},
        format, metadata, object,
    },
};

/// The behaviour of PersistentVolumeClaims.
pub static STRATEGY: Strategy = Strategy {
    default: |claim| fill_spec(object::child_mut(claim, "spec")),
    prepare_create,
    prepare_update,
    validate_create: |new, errors| validate_spec(errors, &SPEC, &new["spec"]),
    validate_update,
    validate_status,
    warnings,
    status: true,
    returns_deleted: true,
    ..Strategy::PLAIN
};

const SPEC: Path<'static> = Path::new("spec");
const ATTRIBUTES_CLASS: &str = "volumeAttributesClassName";
const CLASS: &str = "storageClassName";

fn prepare_create(new: &mut Value) {
    new["status"] = json!({"phase": "Pending"});
    prepare_sources(object::child_mut(new, "spec"), None);
}

fn prepare_update(new: &mut Value, old: &Value) {
    prepare_sources(object::child_mut(new, "spec"), Some(&old["spec"]));
}

/// Gives both fields for where the data comes from the same value, as far as clients of either may know it.
fn prepare_sources(spec: &mut Map<String, Value>, old: Option<&Value>) {
    let had = |field: &str| old.is_some_and(|old| present(old, field).is_some());
    let in_other_namespace = |reference: &Value| !text(reference, "namespace").is_empty();
    if !had("dataSourceRef") && spec.get("dataSourceRef").is_some_and(in_other_namespace) {
        spec.remove("dataSourceRef");
    }
    let known = |source: &Value| {
        matches!(
            (text(source, "apiGroup"), text(source, "kind")),
            ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot")
        )
    };
    let had_any = had("dataSource") || had("dataSourceRef");
    if !had_any && !spec.contains_key("dataSourceRef") && !spec.get("dataSource").is_some_and(known) {
        spec.remove("dataSource");
    }
    match (spec.get("dataSource").cloned(), spec.get("dataSourceRef").cloned()) {
        (Some(source), None) => {
            spec.insert("dataSourceRef".to_owned(), source);
        }
        (None, Some(reference)) if !in_other_namespace(&reference) => {
            let mut source = reference;
            object::map_mut(&mut source).remove("namespace");
            spec.insert("dataSource".to_owned(), source);
        }
        _ => {}
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    let validate = |errors: &mut FieldErrors| {
        metadata::validate(new, true, STRATEGY.name_rule, errors);
        validate_spec(errors, &SPEC, &new["spec"]);
    };
    // Kubernetes looks at it twice.
    validate(errors);
    metadata::validate_update(new, old, errors);
    validate(errors);
    let (spec, old_spec) = (&new["spec"], &old["spec"]);
    let may_change = validate_class(errors, new, old);
    let requests = |spec: &Value| spec["resources"]["requests"].clone();
    let bound = new["status"]["phase"] == "Bound";
    let mut comparable = spec.clone();
    if bound && requests(spec).is_object() {
        comparable["resources"]["requests"]["storage"] = requests(old_spec)["storage"].clone();
    }
    let changed = fields_of(spec, old_spec).filter(|field| match *field {
        ATTRIBUTES_CLASS => false,
        CLASS if may_change => false,
        // A volume can be named once.
        "volumeName" if text(old_spec, "volumeName").is_empty() => false,
        field => comparable[field] != old_spec[field],
    });
    let changed = changes(&comparable, old_spec, changed);
    if !changed.is_empty() {
        let detail = format!(
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound \
             claims\n{changed}"
        );
        errors.forbidden(&SPEC, &detail);
    }
    let size = |spec: &Value| quantity(&requests(spec)["storage"]);
    if size(spec) < size(old_spec) && size(spec) <= quantity(&old["status"]["capacity"]["storage"]) {
        let path = SPEC.child("resources");
        let path = path.child("requests");
        errors.forbidden(&path.child("storage"), "field can not be less than status.capacity");
    }
    metadata::immutable(errors, &Path::new("volumeMode"), &spec["volumeMode"], &old_spec["volumeMode"]);
    if present(old_spec, ATTRIBUTES_CLASS).is_some() && spec[ATTRIBUTES_CLASS] != old_spec[ATTRIBUTES_CLASS] {
        let path = SPEC.child(ATTRIBUTES_CLASS);
        if present(spec, ATTRIBUTES_CLASS).is_none() {
            errors.forbidden(&path, "update from non-nil value to nil is forbidden");
        } else if text(spec, ATTRIBUTES_CLASS).is_empty() {
            errors.forbidden(&path, "update from non-nil value to an empty string is forbidden");
        }
    }
}

/// The annotation that had the class before there was a field stays, unless its class becomes that of the field.
/// Gives whether the field may change.
fn validate_class(errors: &mut FieldErrors, new: &Value, old: &Value) -> bool {
    let annotation = |claim: &Value| object::annotations(claim)?.get(OLD_CLASS)?.as_str().map(str::to_owned);
    let (own, before) = (annotation(new), annotation(old));
    let class = present(&new["spec"], CLASS).and_then(Value::as_str);
    let had_class = present(&old["spec"], CLASS).is_some();
    if had_class
        || class.is_none()
        || before.as_deref() != class
        || own.is_some_and(|own| Some(&own) != before.as_ref())
    {
        let path = Path::new("metadata");
        let path = path.child("annotations");
        let (own, before) = (annotation(new).unwrap_or_default(), before.as_deref());
        if own != before.unwrap_or_default() {
            errors.invalid(&path.child(OLD_CLASS), own, metadata::IMMUTABLE);
        }
        return !had_class && class.is_some() && before.is_none_or(|before| Some(before) == class);
    }
    true
}

/// The fields that either has.
fn fields_of<'a>(new: &'a Value, old: &'a Value) -> impl Iterator<Item = &'a str> {
    let names = |value: &'a Value| value.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    names(old).chain(names(new).filter(|name| old.get(*name).is_none()))
}

/// The old and the new values of the fields that changed, line by line.
pub fn changes<'a>(new: &Value, old: &Value, fields: impl Iterator<Item = &'a str>) -> String {
    let mut lines = String::new();
    for field in fields {
        for (sign, value) in [('-', &old[field]), ('+', &new[field])] {
            if !value.is_null() {
                lines.push(sign);
                lines.extend([" ", field, ": ", &value.to_string(), "\n"]);
            }
        }
    }
    lines
}

fn validate_status(new: &Value, old: &Value, errors: &mut FieldErrors) {
    const RESIZING: [&str; 5] = [
        "ControllerResizeInProgress",
        "ControllerResizeInfeasible",
        "NodeResizePending",
        "NodeResizeInProgress",
        "NodeResizeInfeasible",
    ];
    metadata::validate_update(new, old, errors);
    if object::resource_version(new).is_empty() {
        errors.required(&Path::new("resourceVersion"), "");
    }
    if list(&new["spec"], "accessModes").is_empty() {
        let path = Path::new("Spec");
        errors.required(&path.child("accessModes"), "");
    }
    let path = Path::new("status");
    let status = &new["status"];
    let capacity = path.child("capacity");
    for (name, amount) in entries(status, "capacity") {
        volume::validate_basic_amount(errors, &capacity.key(name), amount);
    }
    let resizing = path.child("allocatedResourceStatus");
    for (name, state) in entries(status, "allocatedResourceStatuses") {
        validate_resource_name(errors, &resizing, name);
        if !state.as_str().is_some_and(|state| RESIZING.contains(&state)) {
            let mut supported = RESIZING;
            supported.sort_unstable();
            errors.not_supported(&resizing, name, &supported);
        }
    }
    let allocated = path.child("allocatedResources");
    for (name, amount) in entries(status, "allocatedResources") {
        let before = errors.len();
        validate_resource_name(errors, &allocated, name);
        if errors.len() == before {
            volume::validate_basic_amount(errors, &allocated.key(name), amount);
        }
        if errors.len() == before {
            resources::validate_amount(errors, &allocated.key(name), "storage", amount);
        }
    }
}

fn validate_resource_name(errors: &mut FieldErrors, path: &Path<'_>, name: &str) {
    let problems = format::is_qualified_name(name);
    if problems.is_empty() && resources::is_native(name) {
        rules::one_of(errors, path, name, &["storage"]);
    }
    format::report(errors, path, name, problems);
}

fn warnings(new: &Value, _: Option<&Value>) -> Vec<String> {
    let path = Path::new("metadata");
    let mut warnings = Vec::new();
    if object::annotations(new).is_some_and(|notes| notes.contains_key(OLD_CLASS)) {
        warnings.push(format!("{}: {OLD_CLASS_WARNING}", path.child("annotations").key(OLD_CLASS)));
    }
    pod_warnings::of_claim(&mut warnings, &SPEC, &new["spec"]);
    warnings
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::kinds::cases;

    fn base() -> Value {
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
        }})
    }

    #[test]
    fn a_new_claim_is_pending() {
        let (claim, errors) = cases::created(base());
        assert_eq!(errors, [""; 0]);
        assert_eq!(claim["status"], json!({"phase": "Pending"}));
        assert_eq!(claim["spec"]["volumeMode"], "Filesystem");
    }

    #[test]
    fn both_fields_say_where_data_comes_from() {
        let sources = |spec: Value| {
            let spec = cases::created(cases::merged(base(), &json!({"spec": spec}))).0["spec"].clone();
            (spec["dataSource"].clone(), spec["dataSourceRef"].clone())
        };
        let snapshot = json!({"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"});
        let other = json!({"apiGroup": "x.example.com", "kind": "Backup", "name": "s"});
        assert_eq!(sources(json!({"dataSource": snapshot})), (snapshot.clone(), snapshot));
        assert_eq!(sources(json!({"dataSource": other})), (Value::Null, Value::Null));
        assert_eq!(sources(json!({"dataSourceRef": other})), (other.clone(), other.clone()));
        let elsewhere = cases::merged(other, &json!({"namespace": "n"}));
        assert_eq!(sources(json!({"dataSourceRef": elsewhere})), (Value::Null, Value::Null));
    }

    #[test]
    fn what_is_wrong_with_a_claim() {
        cases::check_wrong(
            &base(),
            &[
                (
                    json!({"spec": {"accessModes": null, "resources": null}}),
                    &[
                        "spec.accessModes: Required value: at least 1 access mode is required",
                        "spec.resources[storage]: Required value",
                    ],
                ),
                (
                    json!({"spec": {"resources": {"requests": {"storage": "0"}}}}),
                    &["spec.resources[storage]: Invalid value: \"0\": must be greater than zero"],
                ),
                (
                    json!({"spec": {"dataSourceRef": {"kind": "Backup", "name": "b"}}}),
                    &[
                        "spec.dataSource: Invalid value: \"Backup\": must be 'PersistentVolumeClaim' when referencing \
                         the default apiGroup",
                        "spec.dataSourceRef: Invalid value: \"Backup\": must be 'PersistentVolumeClaim' when \
                         referencing the default apiGroup",
                    ],
                ),
            ],
        );
    }

    #[test]
    fn little_of_a_claim_can_change() {
        const IMMUTABLE: &str = "spec: Forbidden: spec is immutable after creation except resources.requests and \
                                 volumeAttributesClassName for bound claims\n";
        let changed = |spec: Value| cases::updated(base(), &json!({"spec": spec})).1;
        assert_eq!(changed(json!({"volumeName": "v", "storageClassName": "c"})), [""; 0]);
        assert_eq!(changed(json!({"volumeAttributesClassName": "gold"})), [""; 0]);
        assert_eq!(
            changed(json!({"accessModes": ["ReadOnlyMany"]})),
            [format!("{IMMUTABLE}- accessModes: [\"ReadWriteOnce\"]\n+ accessModes: [\"ReadOnlyMany\"]\n")]
        );
        // Only a bound claim can grow.
        assert_eq!(changed(json!({"resources": {"requests": {"storage": "2Gi"}}})).len(), 1);
        let named = cases::merged(base(), &json!({"spec": {"volumeName": "v", "storageClassName": "c"}}));
        for spec in
            [json!({"volumeName": "w"}), json!({"storageClassName": "d"}), json!({"storageClassName": null})]
        {
            assert_eq!(cases::updated(named.clone(), &json!({"spec": spec})).1.len(), 1, "{spec}");
        }
    }

    #[test]
    fn a_bound_claim_can_grow_and_shrink_to_what_it_has() {
        use super::STRATEGY;
        use crate::machinery::FieldErrors;
        let bound = |storage: &str| {
            let claim = json!({
                "metadata": {"name": "x", "namespace": "ns", "resourceVersion": "1"},
                "spec": {"resources": {"requests": {"storage": storage}}, "volumeMode": "Filesystem"},
                "status": {"phase": "Bound", "capacity": {"storage": "2Gi"}},
            });
            cases::decoded(cases::merged(base(), &claim))
        };
        let changed = |old: &str, new: &str| {
            let mut errors = FieldErrors::new();
            (STRATEGY.validate_update)(&bound(new), &bound(old), &mut errors);
            cases::lines(&errors)
        };
        assert_eq!(changed("2Gi", "5Gi"), [""; 0]);
        assert_eq!(changed("5Gi", "3Gi"), [""; 0]);
        assert_eq!(
            changed("5Gi", "2Gi"),
            ["spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"]
        );
    }

    #[test]
    fn the_old_annotation_may_become_the_field() {
        let annotated = |class: &str| json!({"metadata": {"annotations": {super::OLD_CLASS: class}}});
        let old = cases::merged(base(), &annotated("a"));
        assert_eq!(cases::updated(old.clone(), &json!({"spec": {"storageClassName": "a"}})).1, [""; 0]);
        assert_eq!(
            cases::updated(old.clone(), &annotated("b")).1,
            [
                "metadata.annotations.volume.beta.kubernetes.io/storage-class: Invalid value: \"b\": field is immutable"
            ]
        );
        assert_eq!(cases::updated(old.clone(), &json!({"spec": {"storageClassName": "b"}})).1.len(), 1);
        assert_eq!(
            cases::warnings(old),
            ["metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use \
              \"storageClassName\" attribute instead"]
        );
    }

    #[test]
    fn what_is_wrong_with_a_status() {
        let wrong = |status: Value| cases::status_updated(base(), &json!({"status": status})).1;
        assert_eq!(wrong(json!({"phase": "Bound", "capacity": {"storage": "1Gi"}})), [""; 0]);
        assert_eq!(
            wrong(json!({
                "capacity": {"storage": "-1"}, "allocatedResources": {"cpu": "1"},
                "allocatedResourceStatuses": {"storage": "Growing"},
            })),
            [
                "status.capacity[storage]: Invalid value: -1: must be a valid resource quantity",
                "status.allocatedResourceStatus: Unsupported value: \"storage\": supported values: \
                 \"ControllerResizeInProgress\", \"ControllerResizeInfeasible\", \"NodeResizeInProgress\", \
                 \"NodeResizeInfeasible\", \"NodeResizePending\"",
                "status.allocatedResources: Unsupported value: \"cpu\": supported values: \"storage\"",
            ]
        );
    }
}
