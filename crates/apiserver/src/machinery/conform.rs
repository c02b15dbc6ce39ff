//! Brings a value that was sent into the form that its [`Schema`] has: drops and names unknown fields, refuses
//! values of the wrong type, and writes what is empty as Go would (see [`Presence`]), since clients compare and own
//! fields by that form.

use std::cmp::Ordering;

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Map, Value};

use super::{
    quantity::Quantity,
    schema::{Field, Format, ObjectShape, Presence, Schema, Shape, Width},
};

/// What did not fit, beside what was refused.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unknown {
    /// Paths of fields that the schema does not have, such as `spec.bogus`. Those of a built-in kind stand in the order
    /// in which Go meets them in an object of sorted names; those of a custom resource begin with what its own metadata
    /// does not have, and end with what the metadata of embedded resources does not have.
    pub fields: Vec<String>,
}

/// How much is told of unknown fields, in bytes: many below one long name say much with few bytes.
const UNKNOWN_BYTES_MAX: usize = 1 << 20;

/// A value of the wrong type, in the words of Go's JSON decoder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TypeMismatch {
    /// Such as `json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`.
    pub message: String,
}

/// Conforms `value` in place and tells which fields were dropped. In a custom resource, whose rules are checked by
/// its definition, values of the wrong type are left for that check.
///
/// # Errors
/// The first value of a built-in type that cannot be what the schema says.
pub fn conform(schema: &Schema, value: &mut Value) -> Result<Unknown, TypeMismatch> {
    let mut walk = Walk { unknown: Vec::new(), unknown_bytes: 0, owner: None };
    walk.value(schema, value, None)?;
    let mut unknown = walk.unknown;
    if schema.object().is_none_or(|object| object.name.is_none()) {
        unknown.sort_by(|(a, one), (b, other)| match a.cmp(b) {
            Ordering::Equal if *a != Part::Metadata => one.cmp(other),
            order => order,
        });
    }
    Ok(Unknown { fields: unknown.into_iter().map(|(_, field)| field).collect() })
}

/// Where an unknown field of a custom resource stands, in the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// Its metadata.
    Metadata,
    /// What its definition describes.
    Described,
    /// The metadata of an object inside of it.
    EmbeddedMetadata,
}

/// The zero value of a struct of this schema, as it would be written: `{}` with the fields that are never left out.
pub fn zero(schema: &Schema) -> Value {
    let mut value = Value::Object(Map::new());
    // An empty object has nothing that could mismatch.
    let _ = conform(schema, &mut value);
    value
}

/// Where the walk is: a chain on the stack, read only to say what is wrong.
#[derive(Clone, Copy)]
struct Place<'a> {
    within: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Field(&'a str),
    Index(usize),
}

impl<'a> Place<'a> {
    /// The steps to a place, the first one first.
    fn steps(place: Option<&'a Self>) -> Vec<Step<'a>> {
        let mut steps: Vec<Step<'a>> =
            std::iter::successors(place, |place| place.within).map(|place| place.step).collect();
        steps.reverse();
        steps
    }
}

/// Walks deeper than any real object are cut by the decoder's own limit of 128.
struct Walk {
    unknown: Vec<(Part, String)>,
    unknown_bytes: usize,
    /// The struct and field that is being read, for error messages.
    owner: Option<(&'static str, &'static str)>,
}

impl Walk {
    fn value(
        &mut self,
        schema: &Schema,
        value: &mut Value,
        place: Option<&Place<'_>>,
    ) -> Result<(), TypeMismatch> {
        match schema.shape() {
            Shape::Any => Ok(()),
            Shape::Boolean if value.is_boolean() => Ok(()),
            Shape::Number if value.is_number() => Ok(()),
            Shape::Integer(width) => self.integer(*width, value, place),
            Shape::String(format) => self.text(*format, value, place),
            Shape::IntOrString if value.is_string() => Ok(()),
            Shape::IntOrString => self.integer(Width::Int32, value, place),
            Shape::Array(array) => match value {
                Value::Array(items) => {
                    for (index, item) in items.iter_mut().enumerate() {
                        let place = Place { within: place, step: Step::Index(index) };
                        self.item(&array.items, item, &place)?;
                    }
                    Ok(())
                }
                _ => self.mismatch(value, place),
            },
            Shape::Object(object) => match value {
                Value::Object(map) => self.object(object, map, place),
                _ => self.mismatch(value, place),
            },
            _ => self.mismatch(value, place),
        }
    }

    /// An item of a list or a value of a map: `null` is the zero value of its type.
    fn item(&mut self, schema: &Schema, item: &mut Value, place: &Place<'_>) -> Result<(), TypeMismatch> {
        if item.is_null() && self.owner.is_some() {
            *item = zero_of(schema);
        }
        if item.is_null() { Ok(()) } else { self.value(schema, item, Some(place)) }
    }

    fn object(
        &mut self,
        object: &ObjectShape,
        map: &mut Map<String, Value>,
        within: Option<&Place<'_>>,
    ) -> Result<(), TypeMismatch> {
        let is_struct = object.name.is_some();
        let mut dropped: Vec<String> = Vec::new();
        if map.values().any(Value::is_null) {
            // In a custom resource, a null where none is allowed is as good as nothing (its default takes the place).
            map.retain(|name, value| {
                let field = object.fields.get(name.as_str()).filter(|_| value.is_null());
                field.is_none_or(|field| field.presence != Presence::AsSent || field.schema.nullable)
            });
        }
        for (name, value) in map.iter_mut() {
            let place = Place { within, step: Step::Field(name) };
            if let Some(field) = object.fields.get(name.as_str()) {
                self.field(object, field, value, &place)?;
                if is_struct && !stays(field, value) {
                    dropped.push(name.clone());
                }
            } else if let Some(schema) = &object.additional {
                self.item(schema, value, &place)?;
            } else if !object.preserve_unknown {
                // apiVersion and kind may stand in any object that embeds one whole.
                let type_meta = object.embedded_resource && matches!(name.as_str(), "apiVersion" | "kind");
                if !type_meta {
                    self.tell(object, name, within);
                    dropped.push(name.clone());
                }
            }
        }
        for name in dropped {
            map.remove(&name);
        }
        if is_struct {
            for (name, field) in &object.fields {
                if let Some(absent) = Absent::of(field)
                    && !map.contains_key(&**name)
                {
                    map.insert(name.to_string(), absent.value(&field.schema));
                }
            }
        }
        Ok(())
    }

    fn field(
        &mut self,
        object: &ObjectShape,
        field: &Field,
        value: &mut Value,
        place: &Place<'_>,
    ) -> Result<(), TypeMismatch> {
        if value.is_null() && (field.presence != Presence::AsSent || field.schema.nullable) {
            return Ok(()); // the same as absent (`stays` says what becomes of it), or kept
        }
        let owner = self.owner;
        if let (Some(type_name), Some((_, go_type))) = (object.name, field.go) {
            self.owner = Some((type_name, go_type));
        }
        self.value(&field.schema, value, Some(place))?;
        self.owner = owner;
        Ok(())
    }

    fn integer(
        &self,
        width: Width,
        value: &mut Value,
        place: Option<&Place<'_>>,
    ) -> Result<(), TypeMismatch> {
        let in_range = |number: i64| width == Width::Int64 || i32::try_from(number).is_ok();
        if let Some(number) = value.as_i64() {
            return if in_range(number) { Ok(()) } else { self.mismatch(value, place) };
        }
        // 1.0 and 1e3 are whole numbers to a custom resource only.
        match value.as_f64() {
            Some(number) if self.owner.is_none() && number.fract() == 0.0 && number.abs() < 9e15 => {
                *value = (number as i64).into();
                Ok(())
            }
            _ => self.mismatch(value, place),
        }
    }

    fn text(&self, format: Format, value: &mut Value, place: Option<&Place<'_>>) -> Result<(), TypeMismatch> {
        if format == Format::Quantity && value.is_number() {
            *value = value.to_string().into();
        }
        let Value::String(text) = value else { return self.mismatch(value, place) };
        let refuse = |message: String| Err(TypeMismatch { message });
        match format {
            Format::Plain => Ok(()),
            Format::Bytes => match BASE64_STANDARD.decode(text.as_bytes()) {
                Ok(_) => Ok(()),
                Err(error) => refuse(format!("illegal base64 data at input byte {}", offset(&error))),
            },
            Format::Quantity => match Quantity::canonical(text) {
                Ok(canonical) => {
                    *text = canonical;
                    Ok(())
                }
                Err(error) => refuse(error.to_string()),
            },
            Format::Time | Format::MicroTime => match text.parse::<Timestamp>() {
                Ok(_) if format == Format::Time && is_whole_seconds(text) => Ok(()),
                Ok(time) if text.contains('T') => {
                    *text = if format == Format::Time { seconds(time) } else { microseconds(time) };
                    Ok(())
                }
                _ => {
                    let quoted = Value::from(text.as_str());
                    refuse(format!(
                        "parsing time {quoted} as \"2006-01-02T15:04:05Z07:00\": cannot parse {quoted} as \"2006\""
                    ))
                }
            },
        }
    }

    fn mismatch(&self, value: &Value, place: Option<&Place<'_>>) -> Result<(), TypeMismatch> {
        let Some((type_name, go_type)) = self.owner else { return Ok(()) };
        let sort = match value {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(number) if number.is_f64() => &format!("number {number}"),
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let short = type_name.rsplit('.').next().unwrap_or(type_name);
        let names = Place::steps(place).into_iter().filter_map(|step| match step {
            Step::Field(name) => Some(name),
            Step::Index(_) => None,
        });
        let path = names.collect::<Vec<_>>().join(".");
        let go_type = go_type.trim_start_matches(['*', '[', ']']);
        Err(TypeMismatch {
            message: format!(
                "json: cannot unmarshal {sort} into Go struct field {short}.{path} of type {go_type}"
            ),
        })
    }

    fn tell(&mut self, object: &ObjectShape, name: &str, within: Option<&Place<'_>>) {
        if self.unknown_bytes < UNKNOWN_BYTES_MAX {
            let steps = Place::steps(within);
            let part = match steps.first() {
                _ if object.name.is_none() => Part::Described,
                Some(Step::Field("metadata")) => Part::Metadata,
                _ => Part::EmbeddedMetadata,
            };
            let path = path_of(&steps, name);
            self.unknown_bytes += path.len();
            self.unknown.push((part, path));
        }
    }
}

/// A path as it is told: `spec.containers[0].name`.
fn path_of(steps: &[Step<'_>], name: &str) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Field(field) if path.is_empty() => path.push_str(field),
            Step::Field(field) => path.extend([".", field]),
            Step::Index(index) => path.extend(["[", &index.to_string(), "]"]),
        }
    }
    if !path.is_empty() {
        path.push('.');
    }
    path + name
}

/// What an absent field of a Go struct is written as by Go's encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absent {
    Null,
    Zero,
}

impl Absent {
    /// None where it is left out.
    fn of(field: &Field) -> Option<Self> {
        match field.presence {
            Presence::AsSent | Presence::OmitAbsent | Presence::OmitZero => None,
            Presence::NullAbsent => Some(Self::Null),
            Presence::Always => Some(Self::Zero),
            Presence::OmitEmpty => match field.schema.shape() {
                // A Go struct is never empty; a list, a map and a scalar are.
                _ if is_struct(&field.schema) => Some(Self::Zero),
                Shape::String(Format::Time | Format::MicroTime) | Shape::Any => Some(Self::Null),
                Shape::String(Format::Quantity) | Shape::IntOrString => Some(Self::Zero),
                _ => None,
            },
        }
    }

    fn value(self, schema: &Schema) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Zero => zero_of(schema),
        }
    }
}

fn is_struct(schema: &Schema) -> bool {
    schema.object().is_some_and(|object| object.name.is_some())
}

/// Gives a field of a Go struct that was sent the presence that Go's encoder gives it; false where it is left out.
fn stays(field: &Field, value: &mut Value) -> bool {
    if value.is_null() {
        if field.presence == Presence::AsSent {
            return true;
        }
        // The same as absent.
        let Some(absent) = Absent::of(field) else { return false };
        *value = absent.value(&field.schema);
        return true;
    }
    match field.presence {
        Presence::AsSent | Presence::OmitAbsent | Presence::NullAbsent => true,
        _ if !is_empty(value) => true,
        Presence::OmitZero => false,
        Presence::OmitEmpty => {
            is_struct(&field.schema)
                || matches!(
                    field.schema.shape(),
                    Shape::String(Format::Quantity) | Shape::IntOrString | Shape::Any
                )
        }
        Presence::Always => {
            // An empty list or map comes back from storage as none.
            let collection = matches!(field.schema.shape(), Shape::Array(_))
                || (value.is_object() && !is_struct(&field.schema));
            if collection && !matches!(field.schema.shape(), Shape::Any) {
                *value = Value::Null;
            }
            true
        }
    }
}

fn zero_of(schema: &Schema) -> Value {
    match schema.shape() {
        Shape::Boolean => Value::Bool(false),
        Shape::Integer(_) | Shape::Number | Shape::IntOrString => 0.into(),
        Shape::String(Format::Plain) => "".into(),
        Shape::String(Format::Quantity) => "0".into(),
        Shape::Object(object) if object.name.is_some() => zero(schema),
        _ => Value::Null,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

fn offset(error: &base64::DecodeError) -> usize {
    match error {
        base64::DecodeError::InvalidByte(offset, _) | base64::DecodeError::InvalidLastSymbol(offset, _) => {
            *offset
        }
        _ => 0,
    }
}

/// Whether a text that is a time is written as `metav1.Time` is.
fn is_whole_seconds(text: &str) -> bool {
    const LIKE: &[u8] = b"0000-00-00T00:00:00Z";
    let digits = text.bytes().zip(LIKE).all(|(byte, like)| match like {
        b'0' => byte.is_ascii_digit(),
        _ => byte == *like,
    });
    // A leap second is not written.
    digits && text.len() == LIKE.len() && &text[17..19] != "60"
}

/// A time as `metav1.Time` is written: RFC 3339 in UTC, whole seconds.
pub fn seconds(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A time as `metav1.MicroTime` is written: RFC 3339 in UTC, microseconds.
pub fn microseconds(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

#[cfg(test)]
mod tests;
