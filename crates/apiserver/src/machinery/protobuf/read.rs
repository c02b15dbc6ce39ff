//! From protobuf to a value.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Number, Value};

use super::{
    message::{JSON_SCHEMA, Kind, Message, MessageField, Part},
    time,
    wire::{Malformed, Payload, Reader, WireField, expect, wrong},
};
use crate::machinery::{conform, decode, schema::Width};

/// How deep messages may be in one another.
const DEPTH_MAX: usize = 100;

impl Message {
    /// The value that `bytes` hold: its fields as they were sent, empty ones too; `conform` brings it to its normal
    /// form. Unknown fields are left out.
    ///
    /// # Errors
    /// What is malformed.
    pub fn decode(&self, bytes: &[u8]) -> Result<Value, Malformed> {
        let mut map = Map::new();
        Walk { depth: 0 }.fields(self, bytes, &mut map)?;
        Ok(Value::Object(map))
    }
}

struct Walk {
    depth: usize,
}

impl Walk {
    fn fields(
        &mut self,
        message: &Message,
        bytes: &[u8],
        map: &mut Map<String, Value>,
    ) -> Result<(), Malformed> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Malformed::Depth(DEPTH_MAX));
        }
        let mut reader = Reader::new(bytes, &message.name);
        while let Some(WireField { number, payload }) = reader.next()? {
            match message.entry(number).map(|entry| &entry.part) {
                None => {}
                Some(Part::Field(field)) => {
                    // Cheaper than an entry for fields that come more than once.
                    if let Some(value) = map.get_mut(&*field.name) {
                        self.field(field, payload, value)?;
                    } else {
                        let mut value = Value::Null;
                        self.field(field, payload, &mut value)?;
                        map.insert(field.name.as_ref().into(), value);
                    }
                }
                Some(Part::Embedded(embedded)) => {
                    self.fields(embedded, expect(payload, &message.name)?, map)?;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Reads what a field holds into its value so far: lists and maps grow, messages merge.
    fn field(
        &mut self,
        field: &MessageField,
        payload: Payload<'_>,
        value: &mut Value,
    ) -> Result<(), Malformed> {
        match &field.kind {
            Kind::List(kind) => {
                if value.is_null() {
                    *value = Value::Array(Vec::new());
                }
                let Value::Array(items) = value else { return Ok(()) };
                if let (Payload::Bytes(bytes), Some(wire)) = (payload, kind.packed()) {
                    let mut reader = Reader::new(bytes, field.go);
                    while let Some(payload) = reader.next_packed(wire)? {
                        items.push(self.expected(kind, payload, field.go)?);
                    }
                    return Ok(());
                }
                items.push(self.expected(kind, payload, field.go)?);
            }
            Kind::Map(kind) => {
                if value.is_null() {
                    *value = Value::Object(Map::new());
                }
                let bytes = expect(payload, field.go)?;
                let (name, entry) = self.map_entry(kind, bytes, field.go)?;
                if let Value::Object(map) = value {
                    map.insert(name, entry);
                }
            }
            Kind::Message(link) => {
                if value.is_null() {
                    *value = Value::Object(Map::new());
                }
                let bytes = expect(payload, field.go)?;
                if let Value::Object(map) = value {
                    self.fields(link.message(), bytes, map)?;
                }
            }
            kind => *value = self.expected(kind, payload, field.go)?,
        }
        Ok(())
    }

    /// A key and its value; what is absent is zero.
    fn map_entry(&mut self, kind: &Kind, bytes: &[u8], go: &str) -> Result<(String, Value), Malformed> {
        let (mut name, mut value) = (String::new(), kind.nothing());
        let mut reader = Reader::new(bytes, go);
        while let Some(WireField { number, payload }) = reader.next()? {
            match number {
                1 => name = text(expect(payload, go)?),
                2 => value = payload,
                _ => {}
            }
        }
        Ok((name, self.expected(kind, value, go)?))
    }

    /// One value. `None` where the wire type is wrong.
    fn value(&mut self, kind: &Kind, payload: Payload<'_>) -> Result<Option<Value>, Malformed> {
        Ok(Some(match (kind, payload) {
            (Kind::Bool, Payload::Varint(number)) => Value::Bool(number != 0),
            (Kind::Integer(Width::Int32), Payload::Varint(number)) => Value::from(number as i32),
            (Kind::Integer(Width::Int64), Payload::Varint(number)) => Value::from(number.cast_signed()),
            (Kind::Double, Payload::Fixed64(bits)) => double(f64::from_bits(bits))?,
            (Kind::Text, Payload::Bytes(bytes)) => text(bytes).into(),
            (Kind::Bytes, Payload::Bytes(bytes)) => BASE64_STANDARD.encode(bytes).into(),
            (Kind::Time(format), Payload::Bytes(bytes)) => {
                time::read(*format, bytes)?.map_or(Value::Null, Value::String)
            }
            (Kind::Quantity, Payload::Bytes(bytes)) => {
                self.single("Quantity", bytes, &Kind::Text)?.unwrap_or_else(|| "0".into())
            }
            (Kind::IntOrString, Payload::Bytes(bytes)) => int_or_string(bytes)?,
            (Kind::Json, Payload::Bytes(bytes)) => self.json(bytes)?,
            (Kind::SchemaOrBool, Payload::Bytes(bytes)) => {
                let (allows, schema) = self.either("JSONSchemaPropsOrBool", bytes, &Kind::Bool, [1, 2])?;
                schema.unwrap_or_else(|| allows.into_iter().next_back().unwrap_or(Value::Bool(false)))
            }
            (Kind::SchemaOrSchemas, Payload::Bytes(bytes)) => {
                let schemas = Kind::Message(JSON_SCHEMA);
                let (mut schemas, schema) = self.either("JSONSchemaPropsOrArray", bytes, &schemas, [2, 1])?;
                schemas.iter_mut().try_for_each(normal)?;
                if schemas.is_empty() { schema.unwrap_or_default() } else { Value::Array(schemas) }
            }
            (Kind::SchemaOrTexts, Payload::Bytes(bytes)) => {
                let (texts, schema) =
                    self.either("JSONSchemaPropsOrStringArray", bytes, &Kind::Text, [2, 1])?;
                if texts.is_empty() { schema.unwrap_or_default() } else { Value::Array(texts) }
            }
            (Kind::Message(link), Payload::Bytes(bytes)) => {
                let mut map = Map::new();
                self.fields(link.message(), bytes, &mut map)?;
                Value::Object(map)
            }
            (Kind::WrappedList(kind), Payload::Bytes(bytes)) => {
                let mut items = Vec::new();
                let mut reader = Reader::new(bytes, "Items");
                while let Some(field) = reader.next()? {
                    if field.number == 1 {
                        items.push(self.expected(kind, field.payload, "Items")?);
                    }
                }
                Value::Array(items)
            }
            _ => return Ok(None),
        }))
    }

    fn expected(&mut self, kind: &Kind, payload: Payload<'_>, field: &str) -> Result<Value, Malformed> {
        self.value(kind, payload)?.ok_or_else(|| wrong(payload, field))
    }

    /// What stands under the number 1 of a message that has nothing else.
    fn single(&mut self, message: &str, bytes: &[u8], kind: &Kind) -> Result<Option<Value>, Malformed> {
        let mut value = None;
        let mut reader = Reader::new(bytes, message);
        while let Some(field) = reader.next()? {
            if field.number == 1 {
                value = Some(self.expected(kind, field.payload, message)?);
            }
        }
        Ok(value)
    }

    /// The two ways of a `JSONSchemaPropsOr…`: what stands under the first number, all of it, and the schema under
    /// the second.
    fn either(
        &mut self,
        message: &str,
        bytes: &[u8],
        kind: &Kind,
        numbers: [u32; 2],
    ) -> Result<(Vec<Value>, Option<Value>), Malformed> {
        let (mut others, mut schema) = (Vec::new(), None);
        let mut reader = Reader::new(bytes, message);
        while let Some(field) = reader.next()? {
            if field.number == numbers[0] {
                others.push(self.expected(kind, field.payload, message)?);
            } else if field.number == numbers[1] {
                let mut value = self.expected(&Kind::Message(JSON_SCHEMA), field.payload, message)?;
                normal(&mut value)?;
                schema = Some(value);
            }
        }
        Ok((others, schema))
    }

    /// JSON as bytes in a message.
    fn json(&self, bytes: &[u8]) -> Result<Value, Malformed> {
        let mut json: &[u8] = &[];
        let mut reader = Reader::new(bytes, "RawExtension");
        while let Some(field) = reader.next()? {
            if field.number == 1 {
                json = expect(field.payload, "Raw")?;
            }
        }
        if json.is_empty() {
            return Ok(Value::Null);
        }
        // The whole value must not be deeper than what JSON alone may be.
        if nesting(json) + self.depth > DEPTH_MAX {
            return Err(Malformed::Depth(DEPTH_MAX));
        }
        decode::json(json).map(|sent| sent.value).map_err(Malformed::Value)
    }
}

impl Kind {
    /// The wire type of a number that lists may have packed.
    fn packed(&self) -> Option<u8> {
        match self {
            Self::Bool | Self::Integer(_) => Some(0),
            Self::Double => Some(1),
            _ => None,
        }
    }

    /// What reads as the zero value.
    fn nothing(&self) -> Payload<'static> {
        match self.packed() {
            Some(0) => Payload::Varint(0),
            Some(_) => Payload::Fixed64(0),
            None => Payload::Bytes(&[]),
        }
    }
}

/// Strings that are no UTF-8 are what Go's JSON makes of them.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn double(number: f64) -> Result<Value, Malformed> {
    // Go writes whole numbers without a point.
    if number.fract() == 0.0 && number.abs() < 9e15 {
        return Ok((number as i64).into());
    }
    let number = Number::from_f64(number)
        .ok_or_else(|| Malformed::Value(format!("json: unsupported value: {number}")));
    number.map(Value::Number)
}

fn int_or_string(bytes: &[u8]) -> Result<Value, Malformed> {
    let (mut sort, mut number, mut string) = (0, 0, String::new());
    let mut reader = Reader::new(bytes, "IntOrString");
    while let Some(field) = reader.next()? {
        match (field.number, field.payload) {
            (1, Payload::Varint(value)) => sort = value.cast_signed(),
            (2, Payload::Varint(value)) => number = value as i32,
            (3, Payload::Bytes(bytes)) => string = text(bytes),
            (which @ 1..=3, payload) => {
                return Err(wrong(payload, ["Type", "IntVal", "StrVal"][which as usize - 1]));
            }
            _ => {}
        }
    }
    match sort {
        0 => Ok(number.into()),
        1 => Ok(string.into()),
        _ => Err(Malformed::Value("impossible IntOrString.Type".to_owned())),
    }
}

/// Nobody looks into a schema in a schema later on, so it takes its normal form here.
fn normal(value: &mut Value) -> Result<(), Malformed> {
    let Some(schema) = JSON_SCHEMA.schema() else { return Ok(()) };
    conform::conform(schema, value).map(|_| ()).map_err(|error| Malformed::Value(error.to_string()))
}

/// How many brackets of JSON are open at most.
fn nesting(json: &[u8]) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                open += 1;
                most = most.max(open);
            }
            b'}' | b']' if !quoted => open = open.saturating_sub(1),
            _ => {}
        }
    }
    most
}
