//! Swagger 2.0 as protobuf (`openapi.v2.Document` of gnostic): what clients built before kubectl 1.29 read, and all
//! that use client-go's `OpenAPISchema`. The messages below are those of `OpenAPIv2.proto`, as far as documents go.

use serde_json::Value;

/// A message: its fields, and under which number it carries what begins with `x-`.
struct Message {
    fields: &'static [Field],
    extensions: Option<u32>,
}

/// The name of a field in JSON, its number, and what it holds.
type Field = (&'static str, u32, Kind);

/// How a JSON value is written.
enum Kind {
    Text,
    Flag,
    Whole,
    Double,
    /// Any value at all, as YAML.
    Any,
    /// An object as a message.
    Message(&'static Message),
    /// Each item of a list, or what is no list as its only item.
    Each(&'static Kind),
    /// An object as pairs of a name and a value, which are the fields of that number of a message.
    Pairs(u32, &'static Kind),
    /// A value within messages that hold but it, under these numbers, the outer first.
    Within(&'static [u32], &'static Kind),
    /// A schema, or whether there may be anything.
    SchemaOrFlag,
    /// A parameter, which is of another message for each place.
    Parameter,
}

use Kind::{Any, Double, Each, Flag, Pairs, Parameter, SchemaOrFlag, Text, Whole, Within};

static DOCUMENT: Message = Message {
    fields: &[
        ("swagger", 1, Text),
        ("info", 2, Kind::Message(&INFO)),
        ("paths", 8, Pairs(2, &Kind::Message(&PATH_ITEM))),
        ("definitions", 9, Pairs(1, &Kind::Message(&SCHEMA))),
        ("security", 12, Each(&Pairs(1, &Within(&[], &Each(&Text))))),
        ("securityDefinitions", 13, Pairs(1, &Within(&[2], &Kind::Message(&API_KEY)))),
    ],
    extensions: Some(16),
};

static INFO: Message = Message { fields: &[("title", 1, Text), ("version", 2, Text)], extensions: Some(7) };

static API_KEY: Message = Message {
    fields: &[("type", 1, Text), ("name", 2, Text), ("in", 3, Text), ("description", 4, Text)],
    extensions: Some(5),
};

static PATH_ITEM: Message = Message {
    fields: &[
        ("get", 2, Kind::Message(&OPERATION)),
        ("put", 3, Kind::Message(&OPERATION)),
        ("post", 4, Kind::Message(&OPERATION)),
        ("delete", 5, Kind::Message(&OPERATION)),
        ("options", 6, Kind::Message(&OPERATION)),
        ("head", 7, Kind::Message(&OPERATION)),
        ("patch", 8, Kind::Message(&OPERATION)),
        ("parameters", 9, Each(&Parameter)),
    ],
    extensions: Some(10),
};

static OPERATION: Message = Message {
    fields: &[
        ("tags", 1, Each(&Text)),
        ("description", 3, Text),
        ("operationId", 5, Text),
        ("produces", 6, Each(&Text)),
        ("consumes", 7, Each(&Text)),
        ("parameters", 8, Each(&Parameter)),
        ("responses", 9, Pairs(1, &Within(&[1], &Kind::Message(&RESPONSE)))),
        ("schemes", 10, Each(&Text)),
    ],
    extensions: Some(13),
};

static RESPONSE: Message = Message {
    fields: &[("description", 1, Text), ("schema", 2, Within(&[1], &Kind::Message(&SCHEMA)))],
    extensions: Some(5),
};

static BODY_PARAMETER: Message = Message {
    fields: &[
        ("description", 1, Text),
        ("name", 2, Text),
        ("in", 3, Text),
        ("required", 4, Flag),
        ("schema", 5, Kind::Message(&SCHEMA)),
    ],
    extensions: Some(6),
};

static QUERY_PARAMETER: Message = Message {
    fields: &[
        ("required", 1, Flag),
        ("in", 2, Text),
        ("description", 3, Text),
        ("name", 4, Text),
        ("type", 6, Text),
        ("uniqueItems", 20, Flag),
    ],
    extensions: Some(23),
};

static PATH_PARAMETER: Message = Message {
    fields: &[
        ("required", 1, Flag),
        ("in", 2, Text),
        ("description", 3, Text),
        ("name", 4, Text),
        ("type", 5, Text),
        ("uniqueItems", 19, Flag),
    ],
    extensions: Some(22),
};

/// A parameter that is no body is within a message that says where it stands.
static IN_QUERY: Kind = Within(&[3], &Kind::Message(&QUERY_PARAMETER));
static IN_PATH: Kind = Within(&[4], &Kind::Message(&PATH_PARAMETER));

static SCHEMA: Message = Message {
    fields: &[
        ("$ref", 1, Text),
        ("format", 2, Text),
        ("title", 3, Text),
        ("description", 4, Text),
        ("default", 5, Any),
        ("multipleOf", 6, Double),
        ("maximum", 7, Double),
        ("exclusiveMaximum", 8, Flag),
        ("minimum", 9, Double),
        ("exclusiveMinimum", 10, Flag),
        ("maxLength", 11, Whole),
        ("minLength", 12, Whole),
        ("pattern", 13, Text),
        ("maxItems", 14, Whole),
        ("minItems", 15, Whole),
        ("uniqueItems", 16, Flag),
        ("maxProperties", 17, Whole),
        ("minProperties", 18, Whole),
        ("required", 19, Each(&Text)),
        ("enum", 20, Each(&Any)),
        ("additionalProperties", 21, SchemaOrFlag),
        ("type", 22, Within(&[], &Each(&Text))),
        ("items", 23, Within(&[1], &Kind::Message(&SCHEMA))),
        ("properties", 25, Pairs(1, &Kind::Message(&SCHEMA))),
        ("example", 30, Any),
    ],
    extensions: Some(31),
};

/// The document in protobuf.
pub fn document(swagger: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    message(&DOCUMENT, swagger, &mut out);
    out
}

fn message(kind: &Message, value: &Value, out: &mut Vec<u8>) {
    for (name, number, kind) in kind.fields {
        if let Some(value) = value.get(name) {
            field(*number, kind, value, out);
        }
    }
    let Some(number) = kind.extensions else { return };
    for (name, value) in value.as_object().into_iter().flatten().filter(|(name, _)| name.starts_with("x-")) {
        delimited(number, out, |pair| {
            text(1, name, pair);
            field(2, &Any, value, pair);
        });
    }
}

fn field(number: u32, kind: &Kind, value: &Value, out: &mut Vec<u8>) {
    match kind {
        Text => text(number, value.as_str().unwrap_or_default(), out),
        Flag => {
            if value.as_bool().unwrap_or_default() {
                varint(u64::from(number) << 3, out);
                out.push(1);
            }
        }
        Whole => {
            varint(u64::from(number) << 3, out);
            varint(value.as_i64().unwrap_or_default() as u64, out);
        }
        Double => {
            varint(u64::from(number) << 3 | 1, out);
            out.extend(value.as_f64().unwrap_or_default().to_le_bytes());
        }
        // JSON is YAML.
        Any => delimited(number, out, |any| text(2, &value.to_string(), any)),
        Kind::Message(kind) => delimited(number, out, |inner| message(kind, value, inner)),
        Each(kind) => match value {
            Value::Array(items) => items.iter().for_each(|item| field(number, kind, item, out)),
            item => field(number, kind, item, out),
        },
        Pairs(inner, kind) => delimited(number, out, |list| {
            for (name, value) in value.as_object().into_iter().flatten() {
                delimited(*inner, list, |pair| {
                    text(1, name, pair);
                    field(2, kind, value, pair);
                });
            }
        }),
        // A list of texts is a message of its own with each under the number 1.
        Within([], kind) => delimited(number, out, |inner| field(1, kind, value, inner)),
        Within(numbers, kind) => delimited(number, out, |inner| within(numbers, kind, value, inner)),
        SchemaOrFlag => delimited(number, out, |inner| match value {
            Value::Bool(_) => field(2, &Flag, value, inner),
            schema => field(1, &Kind::Message(&SCHEMA), schema, inner),
        }),
        Parameter => delimited(number, out, |item| {
            delimited(1, item, |parameter| match value["in"].as_str() {
                Some("body") => field(1, &Kind::Message(&BODY_PARAMETER), value, parameter),
                Some("path") => field(2, &IN_PATH, value, parameter),
                _ => field(2, &IN_QUERY, value, parameter),
            });
        }),
    }
}

fn within(numbers: &[u32], kind: &Kind, value: &Value, out: &mut Vec<u8>) {
    match numbers {
        [] => {}
        [last] => field(*last, kind, value, out),
        [first, rest @ ..] => delimited(*first, out, |inner| within(rest, kind, value, inner)),
    }
}

fn text(number: u32, text: &str, out: &mut Vec<u8>) {
    varint(u64::from(number) << 3 | 2, out);
    varint(text.len() as u64, out);
    out.extend(text.as_bytes());
}

fn delimited(number: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    write(&mut inner);
    varint(u64::from(number) << 3 | 2, out);
    varint(inner.len() as u64, out);
    out.append(&mut inner);
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_written_under_their_numbers() {
        let written = |value: Value| {
            let mut out = Vec::new();
            message(&SCHEMA, &value, &mut out);
            out
        };
        assert_eq!(written(json!({"format": "a"})), [0x12, 1, b'a']);
        assert_eq!(written(json!({"type": "b"})), [0xb2, 0x01, 3, 0x0a, 1, b'b']);
        assert_eq!(written(json!({"required": ["a", "b"]})), [0x9a, 1, 1, b'a', 0x9a, 1, 1, b'b']);
        assert_eq!(written(json!({"uniqueItems": true, "exclusiveMaximum": false})), [0x80, 0x01, 1]);
        assert_eq!(written(json!({"maxLength": 300})), [0x58, 0xac, 0x02]);
        assert_eq!(written(json!({"minimum": 1})), [0x49, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
        assert_eq!(written(json!({"items": {"format": "a"}})), [0xba, 1, 5, 0x0a, 3, 0x12, 1, b'a']);
        assert_eq!(written(json!({"additionalProperties": true})), [0xaa, 1, 2, 0x10, 1]);
        assert_eq!(
            written(json!({"properties": {"p": {"format": "a"}}})),
            [0xca, 1, 10, 0x0a, 8, 0x0a, 1, b'p', 0x12, 3, 0x12, 1, b'a']
        );
        assert_eq!(
            written(json!({"x-a": [1]})),
            [0xfa, 1, 12, 0x0a, 3, b'x', b'-', b'a', 0x12, 5, 0x12, 3, b'[', b'1', b']']
        );
    }
}
