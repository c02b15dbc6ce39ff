//! Event, of the core group and of `events.k8s.io`: one kind of object, kept as core, under two sets of names.

use serde_json::Value;

use crate::{
    kinds::{Conversion, Strategy},
    machinery::{
        FieldErrors, Path, builtin, conform,
        fields::{is_set, number, present, text},
        format, metadata, object,
    },
};

/// The behaviour of `v1` Events: as lenient as it ever was.
pub static CORE: Strategy = Strategy {
    name_rule: format::path_segment_name,
    validate_create: |new, errors| validate_leniently(new, "reportingComponent", errors),
    validate_update: |new, _, errors| validate_leniently(new, "reportingComponent", errors),
    create_on_update: true,
    ..Strategy::PLAIN
};

/// The behaviour of `events.k8s.io/v1` Events. Errors name the fields of the core group, as Kubernetes' do.
pub static EVENTS: Strategy = Strategy {
    validate_create: |new, errors| validate_strictly(&to_core(new.clone()), errors),
    validate_update: |new, old, errors| {
        validate_strict_update(&to_core(new.clone()), &to_core(old.clone()), errors);
    },
    create_on_update: true,
    ..Strategy::PLAIN
};

/// Between `events.k8s.io/v1` and `v1`.
pub static CONVERSION: Conversion = Conversion { to_storage: to_core, from_storage: from_core };

/// The names of a field in `events.k8s.io` and in the core group.
const NAMES: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
    ("reportingController", "reportingComponent"),
];
const LENGTH_MAX: usize = 128;
const NOTE_LENGTH_MAX: usize = 1024;

fn to_core(event: Value) -> Value {
    renamed(event, NAMES.map(|(own, core)| (own, core)), "v1", "io.k8s.api.core.v1.Event")
}

fn from_core(event: Value) -> Value {
    renamed(event, NAMES.map(|(own, core)| (core, own)), "events.k8s.io/v1", "io.k8s.api.events.v1.Event")
}

fn renamed(mut event: Value, names: [(&str, &str); 7], version: &str, type_name: &str) -> Value {
    let map = object::map_mut(&mut event);
    for (from, to) in names {
        if let Some(value) = map.remove(from) {
            map.insert(to.to_owned(), value);
        }
    }
    map.insert("apiVersion".to_owned(), version.into());
    map.insert("kind".to_owned(), "Event".into());
    if let Some(schema) = builtin::schema(type_name) {
        // The fields have the same types under either name, so that nothing can mismatch.
        let _ = conform::conform(schema, &mut event);
    }
    event
}

fn validate_leniently(event: &Value, controller_field: &str, errors: &mut FieldErrors) {
    let namespace = object::namespace(event);
    let involved = text(&event["involvedObject"], "namespace");
    let involved_path = Path::new("involvedObject");
    let mismatch = "does not match event.namespace";
    let refuse = |errors: &mut FieldErrors| {
        errors.invalid(&involved_path.child("namespace"), involved, mismatch);
    };
    if present(event, "eventTime").is_none() {
        if involved.is_empty() && !matches!(namespace, "" | "default")
            || !involved.is_empty() && namespace != involved
        {
            refuse(errors);
        }
    } else {
        if involved.is_empty() && !matches!(namespace, "default" | "kube-system") {
            refuse(errors);
        }
        let controller = text(event, "reportingComponent");
        let path = Path::new(controller_field);
        if controller.is_empty() {
            errors.required(&path, "");
        }
        format::report(errors, &path, controller, format::is_qualified_name(controller));
        for field in ["reportingInstance", "action", "reason"] {
            let length = text(event, field).len();
            if length == 0 {
                errors.required(&Path::new(field), "");
            }
            if length > LENGTH_MAX {
                errors.invalid(&Path::new(field), "", &format!("can have at most {LENGTH_MAX} characters"));
            }
        }
        if text(event, "message").len() > NOTE_LENGTH_MAX {
            let detail = format!("can have at most {NOTE_LENGTH_MAX} characters");
            errors.invalid(&Path::new("message"), "", &detail);
        }
    }
    format::report(errors, &Path::new("namespace"), namespace, format::is_dns1123_subdomain(namespace));
}

fn validate_strictly(event: &Value, errors: &mut FieldErrors) {
    validate_leniently(event, "reportingController", errors);
    metadata::validate(event, true, EVENTS.name_rule, errors);
    validate_series(event, errors);
    if present(event, "eventTime").is_none() {
        errors.required(&Path::new("eventTime"), "");
    }
    let type_ = text(event, "type");
    if !matches!(type_, "Normal" | "Warning") {
        errors.invalid(&Path::new("type"), "", &format!("has invalid value: {type_}"));
    }
    for field in ["firstTimestamp", "lastTimestamp", "count", "source"] {
        if is_set(event, field) {
            errors.invalid(&Path::new(field), "", "needs to be unset");
        }
    }
}

fn validate_strict_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    validate_leniently(new, "reportingController", errors);
    metadata::validate_update(new, old, errors);
    if new["series"] != old["series"] {
        validate_series(new, errors);
    }
    let before =
        ["involvedObject", "reason", "message", "source", "firstTimestamp", "lastTimestamp", "count"];
    let after = ["reason", "type", "eventTime", "action", "related"];
    for field in before.into_iter().chain(after) {
        metadata::immutable(errors, &Path::new(field), &new[field], &old[field]);
    }
    for (field, name) in
        [("reportingComponent", "reportingController"), ("reportingInstance", "reportingInstance")]
    {
        metadata::immutable(errors, &Path::new(name), &new[field], &old[field]);
    }
}

fn validate_series(event: &Value, errors: &mut FieldErrors) {
    let Some(series) = present(event, "series") else { return };
    if number(series, "count") < 2 {
        errors.invalid(&Path::new("series.count"), "", "should be at least 2");
    }
    if present(series, "lastObservedTime").is_none() {
        errors.required(&Path::new("series.lastObservedTime"), "");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::cases;

    #[test]
    fn one_event_has_two_sets_of_names() {
        let core = cases::decoded(json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e1"},
            "involvedObject": {"kind": "Pod", "namespace": "n", "name": "p"}, "reason": "Started", "message": "hi",
            "source": {"component": "kubelet"}, "firstTimestamp": "2024-05-01T10:00:00Z",
            "lastTimestamp": "2024-05-01T10:00:00Z", "count": 1, "type": "Normal",
        }));
        let event = from_core(core.clone());
        assert_eq!(
            event,
            json!({
                "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e1"}, "eventTime": null,
                "reason": "Started", "regarding": {"kind": "Pod", "namespace": "n", "name": "p"}, "note": "hi",
                "type": "Normal", "deprecatedSource": {"component": "kubelet"},
                "deprecatedFirstTimestamp": "2024-05-01T10:00:00Z",
                "deprecatedLastTimestamp": "2024-05-01T10:00:00Z", "deprecatedCount": 1,
            })
        );
        assert_eq!(to_core(event), core);
    }

    #[test]
    fn core_events_are_lenient_and_new_ones_strict() {
        cases::check_wrong(
            &json!({"apiVersion": "v1", "kind": "Event"}),
            &[
                (json!({"involvedObject": {"namespace": "ns"}}), &[]),
                (
                    json!({"involvedObject": {"namespace": "other"}}),
                    &["involvedObject.namespace: Invalid value: \"other\": does not match event.namespace"],
                ),
                (
                    json!({"involvedObject": {"namespace": "ns"}, "eventTime": "2024-01-01T00:00:00.000000Z",
                        "reportingComponent": "c", "action": "a", "reason": "r".repeat(129)}),
                    &[
                        "reportingInstance: Required value",
                        "reason: Invalid value: \"\": can have at most 128 characters",
                    ],
                ),
            ],
        );
        let strict = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "regarding": {"namespace": "ns"},
            "eventTime": "2024-01-01T00:00:00.000000Z", "reportingController": "a.b/c", "reportingInstance": "i",
            "action": "a", "reason": "r", "type": "Normal"});
        cases::check_wrong(
            &strict,
            &[
                (json!({}), &[]),
                (json!({"eventTime": null}), &["eventTime: Required value"]),
                (
                    json!({"type": "Odd", "deprecatedCount": 3, "series": {"count": 1}}),
                    &[
                        "series.count: Invalid value: \"\": should be at least 2",
                        "series.lastObservedTime: Required value",
                        "type: Invalid value: \"\": has invalid value: Odd",
                        "count: Invalid value: \"\": needs to be unset",
                    ],
                ),
            ],
        );
        assert_eq!(
            cases::updated(strict, &json!({"note": "new", "reason": "other"})).1,
            [
                "reason: Invalid value: \"other\": field is immutable",
                "message: Invalid value: \"new\": field is immutable",
                "reason: Invalid value: \"other\": field is immutable",
            ]
        );
    }
}
