//! The annotation in which `kubectl apply`, on the client's side, keeps what it applied. Server-side applies by
//! `kubectl` go on from it, and keep it up to date.

use serde_json::{Map, Value};

use crate::machinery::object;

use super::{
    Version, compare::compare, field_set::FieldSet, path_element::write_json, set_of::set_of,
    validate::validate,
};

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// An object's annotations have no more bytes than this together.
const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;

/// What `kubectl` applied last on the client's side, as far as it is still so in `live`; `None` if there is no such
/// annotation, or it is of another version.
pub fn unchanged_since(version: &Version, api_version: &str, live: &Value) -> Option<FieldSet> {
    let text = annotation(live)?;
    let applied: Value = serde_json::from_str(text).ok()?;
    let text = |field: &str| applied.get(field).and_then(Value::as_str).unwrap_or_default();
    if text("apiVersion") != api_version || text("kind").is_empty() {
        return None;
    }
    let of = version.of();
    validate(of, live, false).ok()?;
    validate(of, &applied, false).ok()?;
    let since = compare(of, &applied, live).ok()?;
    Some(set_of(of, &applied).difference(&since.changed).difference(&since.removed))
}

fn annotation(object: &Value) -> Option<&str> {
    object::annotations(object)?.get(ANNOTATION)?.as_str().filter(|text| !text.is_empty())
}

/// Writes `config` into the annotation, if the object has it.
pub fn update(object: &mut Value, config: &Value) {
    if annotation(object).is_none() {
        return;
    }
    let mut config = config.clone();
    if let Some(annotations) = config.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(ANNOTATION);
        for value in annotations.values_mut().filter(|value| value.is_null()) {
            *value = "".into();
        }
    }
    let mut text = String::new();
    write_json(&config, &mut text);
    text.push('\n');
    let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) else {
        return;
    };
    annotations.insert(ANNOTATION.to_owned(), text.into());
    if bytes(annotations) > ANNOTATIONS_BYTES_MAX {
        annotations.remove(ANNOTATION);
    }
}

fn bytes(annotations: &Map<String, Value>) -> usize {
    annotations.iter().map(|(name, value)| name.len() + value.as_str().map_or(0, str::len)).sum()
}
