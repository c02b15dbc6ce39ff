//! Rule cases: objects in, a plan out, as text.

use jiff::Timestamp;
use serde_json::Value;
use xebec_coordinator::{Key, Kind, Object, Observer, Operation, Patch, Plan, Step, View};

/// The time of all rule cases.
pub(crate) fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

/// The kind of an object, from its type.
pub(crate) fn kind_of(object: &Value) -> Kind {
    let api_version = object["apiVersion"].as_str().unwrap();
    let kind = object["kind"].as_str().unwrap();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let plural = match kind {
        "Endpoints" => "endpoints".to_owned(),
        _ => format!("{}s", kind.to_lowercase()),
    };
    Kind::named(group, version, kind, &plural)
}

/// An object from JSON; without a unique id it gets `<name>-uid`.
pub(crate) fn object(mut value: Value) -> Object {
    let name = value["metadata"]["name"].as_str().unwrap().to_owned();
    let metadata = value["metadata"].as_object_mut().unwrap();
    metadata.entry("uid").or_insert_with(|| format!("{name}-uid").into());
    metadata.entry("resourceVersion").or_insert_with(|| "1".into());
    if !matches!(value["kind"].as_str().unwrap(), "Namespace" | "Node") {
        value["metadata"].as_object_mut().unwrap().entry("namespace").or_insert_with(|| "ns".into());
    }
    Object::from_value(&kind_of(&value), &value).unwrap()
}

/// A view of these objects.
pub(crate) fn view(observer: &impl Observer, objects: impl IntoIterator<Item = Value>) -> View {
    view_at(observer, now(), objects)
}

/// A view of these objects at some time.
pub(crate) fn view_at(
    observer: &impl Observer,
    now: Timestamp,
    objects: impl IntoIterator<Item = Value>,
) -> View {
    View::of(&observer.spec(), now, objects.into_iter().map(object))
}

/// What an observer plans for the first of these objects.
pub(crate) fn plan(observer: &impl Observer, objects: impl IntoIterator<Item = Value>) -> Plan {
    let objects: Vec<Value> = objects.into_iter().collect();
    let key = object(objects[0].clone()).key().clone();
    plan_at(observer, now(), &key, objects)
}

/// What an observer plans for a key at some time.
pub(crate) fn plan_at(observer: &impl Observer, now: Timestamp, key: &Key, objects: Vec<Value>) -> Plan {
    observer.plan(key, &view_at(observer, now, objects)).unwrap()
}

/// The steps of a plan: writes with the field of their body that `show` selects, and Events.
pub(crate) fn lines(plan: &Plan, show: &str) -> Vec<String> {
    plan.steps()
        .iter()
        .map(|step| match step {
            Step::Write(write) => {
                let shown = body(&write.operation).and_then(|body| body.pointer(show).cloned());
                match shown {
                    Some(shown) if write.subresource.is_none() => format!("{write} {shown}"),
                    _ => write.to_string(),
                }
            }
            Step::Record(record) => format!("{}: {}", record.reason, record.note),
            Step::Emit(event) => event.type_name().to_owned(),
        })
        .collect()
}

/// The body of a write.
pub(crate) fn body(operation: &Operation) -> Option<&Value> {
    match operation {
        Operation::Create(body)
        | Operation::Update(body)
        | Operation::Patch(
            Patch::Json(body)
            | Patch::Merge(body)
            | Patch::Strategic(body)
            | Patch::Apply { fields: body, .. },
        ) => Some(body),
        Operation::Delete(_) => None,
    }
}

/// The body of the only write whose text begins so.
#[track_caller]
pub(crate) fn written(plan: &Plan, start: &str) -> Value {
    let found = plan.writes().find(|write| write.to_string().starts_with(start));
    let write = found.unwrap_or_else(|| panic!("no {start} in {plan:?}"));
    body(&write.operation).unwrap().clone()
}

/// The status that a plan writes.
#[track_caller]
pub(crate) fn status(plan: &Plan) -> Value {
    let found = plan.writes().find(|write| write.subresource == Some("status"));
    let write = found.unwrap_or_else(|| panic!("no status in {plan:?}"));
    body(&write.operation).unwrap()["status"].clone()
}

/// The object with another value at a JSON pointer.
pub(crate) fn with(mut object: Value, pointer: &str, value: impl Into<Value>) -> Value {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[field] = value.into();
    object
}
