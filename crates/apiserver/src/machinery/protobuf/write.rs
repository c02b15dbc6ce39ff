//! From a value to protobuf.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};

use super::{
    message::{JSON_SCHEMA, Kind, Message, MessageField, Part},
    time,
    wire::Writer,
};

impl Message {
    /// Writes `value`, which has its normal form; what has another type than it should is written as zero.
    pub(super) fn encode(&self, writer: &mut Writer, value: Option<&Value>) {
        self.encode_fields(writer, value.and_then(Value::as_object));
    }

    fn encode_fields(&self, writer: &mut Writer, map: Option<&Map<String, Value>>) {
        for entry in self.entries.iter().rev() {
            match &entry.part {
                Part::Field(field) => {
                    field.encode(writer, entry.number, map.and_then(|map| map.get(&*field.name)));
                }
                Part::Embedded(embedded) => {
                    writer.nested(entry.number, |writer| embedded.encode_fields(writer, map));
                }
            }
        }
    }
}

impl MessageField {
    fn encode(&self, writer: &mut Writer, number: u32, value: Option<&Value>) {
        let value = value.filter(|value| !value.is_null());
        match &self.kind {
            Kind::List(kind) => {
                for item in value.and_then(Value::as_array).into_iter().flatten().rev() {
                    kind.encode(writer, number, Some(item));
                }
            }
            Kind::Map(kind) => {
                for (name, value) in value.and_then(Value::as_object).into_iter().flatten().rev() {
                    writer.nested(number, |writer| {
                        kind.encode(writer, 2, Some(value));
                        writer.bytes(1, name.as_bytes());
                    });
                }
            }
            // A slice is nil when it is absent.
            Kind::Bytes | Kind::WrappedList(_) if value.is_none() => {}
            _ if value.is_none() && self.optional => {}
            kind => kind.encode(writer, number, value),
        }
    }
}

impl Kind {
    /// Writes one value; its zero value where there is none.
    fn encode(&self, writer: &mut Writer, number: u32, value: Option<&Value>) {
        match self {
            Self::Bool => writer.varint(number, u64::from(value.and_then(Value::as_bool).unwrap_or(false))),
            Self::Integer(_) => {
                writer.varint(number, value.and_then(Value::as_i64).unwrap_or(0).cast_unsigned());
            }
            Self::Double => {
                writer.fixed64(number, value.and_then(Value::as_f64).unwrap_or(0.0).to_bits());
            }
            Self::Text => writer.bytes(number, text(value).as_bytes()),
            Self::Bytes => {
                writer.bytes(number, &BASE64_STANDARD.decode(text(value)).unwrap_or_default());
            }
            Self::Time(format) => writer.nested(number, |writer| time::write(writer, *format, text(value))),
            Self::Quantity => writer.nested(number, |writer| {
                let text = text(value);
                writer.bytes(1, if text.is_empty() { b"0" } else { text.as_bytes() });
            }),
            Self::IntOrString => writer.nested(number, |writer| {
                writer.bytes(3, text(value).as_bytes());
                writer.varint(2, value.and_then(Value::as_i64).unwrap_or(0).cast_unsigned());
                writer.varint(1, u64::from(value.is_some_and(Value::is_string)));
            }),
            Self::Json => writer.nested(number, |writer| {
                if let Some(value) = value.filter(|value| !value.is_null()) {
                    writer.bytes(1, value.to_string().as_bytes());
                }
            }),
            Self::SchemaOrBool => writer.nested(number, |writer| {
                let schema = value.filter(|value| value.is_object());
                json_schema(writer, 2, schema);
                let allows = schema.is_some() || value.is_some_and(|value| *value == Value::Bool(true));
                writer.varint(1, u64::from(allows));
            }),
            Self::SchemaOrSchemas => writer.nested(number, |writer| {
                for schema in value.and_then(Value::as_array).into_iter().flatten().rev() {
                    json_schema(writer, 2, Some(schema));
                }
                json_schema(writer, 1, value.filter(|value| value.is_object()));
            }),
            Self::SchemaOrTexts => writer.nested(number, |writer| {
                for item in value.and_then(Value::as_array).into_iter().flatten().rev() {
                    writer.bytes(2, text(Some(item)).as_bytes());
                }
                json_schema(writer, 1, value.filter(|value| value.is_object()));
            }),
            Self::Message(link) => {
                writer.nested(number, |writer| link.message().encode(writer, value));
            }
            Self::WrappedList(kind) => writer.nested(number, |writer| {
                for item in value.and_then(Value::as_array).into_iter().flatten().rev() {
                    kind.encode(writer, 1, Some(item));
                }
            }),
            // No type of Kubernetes has a list of lists, a map of maps, or one of the other, but as above.
            Self::List(_) | Self::Map(_) => {}
        }
    }
}

fn json_schema(writer: &mut Writer, number: u32, schema: Option<&Value>) {
    if schema.is_some() {
        writer.nested(number, |writer| JSON_SCHEMA.message().encode(writer, schema));
    }
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}
