//! How a type is laid out in protobuf.

use std::{
    collections::HashMap,
    sync::{LazyLock, OnceLock},
};

use crate::machinery::{
    builtin,
    schema::{Field, Format, Presence, Schema, Shape, Width},
};

/// The layout of a struct.
#[derive(Debug, Default)]
pub struct Message {
    /// The type's name as Go has it, for errors.
    pub(super) name: String,
    /// By ascending number.
    pub(super) entries: Vec<Entry>,
}

/// A number of a message and what stands under it.
#[derive(Debug)]
pub(super) struct Entry {
    pub number: u32,
    pub part: Part,
}

/// What stands under a number.
#[derive(Debug)]
pub(super) enum Part {
    /// A field of the struct.
    Field(MessageField),
    /// Fields of the same struct that Go keeps in a struct embedded in it.
    Embedded(Message),
}

/// A field of a struct.
#[derive(Debug)]
pub(super) struct MessageField {
    /// Its JSON name.
    pub name: Box<str>,
    /// Its Go name, for errors.
    pub go: &'static str,
    pub kind: Kind,
    /// Whether it is left out when absent; if not, its zero value is written.
    pub optional: bool,
}

/// How a value is encoded.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Bool,
    Integer(Width),
    Double,
    Text,
    Bytes,
    Time(Format),
    Quantity,
    IntOrString,
    /// Any JSON, as bytes in a message.
    Json,
    /// `JSONSchemaPropsOrBool`.
    SchemaOrBool,
    /// `JSONSchemaPropsOrArray`.
    SchemaOrSchemas,
    /// `JSONSchemaPropsOrStringArray`.
    SchemaOrTexts,
    Message(Link),
    List(Box<Kind>),
    /// A list that is a message of its own.
    WrappedList(Box<Kind>),
    /// A map from texts.
    Map(Box<Kind>),
}

/// A type that is followed when it is needed, since types refer to each other in circles.
#[derive(Debug, Clone)]
pub(super) struct Link(&'static str);

impl Link {
    pub fn message(&self) -> &'static Message {
        static NONE: Message = Message { name: String::new(), entries: Vec::new() };
        Message::of(self.0).unwrap_or(&NONE)
    }

    pub fn schema(&self) -> Option<&'static Schema> {
        builtin::schema(self.0)
    }
}

/// The type that `JSONSchemaPropsOr…` are about.
pub(super) const JSON_SCHEMA: Link =
    Link("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps");

const OBJECT_META: Link = Link("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");

static MESSAGES: LazyLock<HashMap<&'static str, OnceLock<Message>>> =
    LazyLock::new(|| builtin::names().into_iter().map(|name| (name, OnceLock::new())).collect());

impl Message {
    /// The layout of the built-in type of this OpenAPI name, if it is a struct.
    pub fn of(type_name: &str) -> Option<&'static Self> {
        let (&name, message) = MESSAGES.get_key_value(type_name)?;
        let object = builtin::schema(name)?.object()?;
        Some(message.get_or_init(|| {
            let short = name.rsplit('.').next().unwrap_or(name);
            let mut message = Self { name: short.to_owned(), entries: Vec::new() };
            for (name, field) in &object.fields {
                message.add(&field.proto, name, field);
            }
            message.sort();
            message
        }))
    }

    /// The layout of `PartialObjectMetadata`.
    pub fn of_metadata() -> &'static Self {
        static MESSAGE: LazyLock<Message> = LazyLock::new(|| {
            let kind = Kind::Message(OBJECT_META);
            let field = MessageField { name: "metadata".into(), go: "ObjectMeta", kind, optional: false };
            let entries = vec![Entry { number: 1, part: Part::Field(field) }];
            Message { name: "PartialObjectMetadata".to_owned(), entries }
        });
        &MESSAGE
    }

    pub(super) fn entry(&self, number: u32) -> Option<&Entry> {
        let found = self.entries.binary_search_by_key(&number, |entry| entry.number);
        found.ok().and_then(|index| self.entries.get(index))
    }

    fn add(&mut self, place: &[u16], name: &str, field: &Field) {
        match *place {
            [] => {}
            [number] => {
                let field = MessageField {
                    name: name.into(),
                    go: field.go.map_or("", |(name, _)| name),
                    kind: Kind::of(&field.schema),
                    optional: matches!(field.presence, Presence::OmitAbsent | Presence::NullAbsent),
                };
                self.entries.push(Entry { number: number.into(), part: Part::Field(field) });
            }
            [number, ref inner @ ..] => {
                let number = u32::from(number);
                let at = self.entries.iter().position(|entry| entry.number == number).unwrap_or_else(|| {
                    let embedded = Self { name: self.name.clone(), entries: Vec::new() };
                    self.entries.push(Entry { number, part: Part::Embedded(embedded) });
                    self.entries.len() - 1
                });
                if let Part::Embedded(embedded) = &mut self.entries[at].part {
                    embedded.add(inner, name, field);
                }
            }
        }
    }

    fn sort(&mut self) {
        self.entries.sort_by_key(|entry| entry.number);
        for entry in &mut self.entries {
            if let Part::Embedded(embedded) = &mut entry.part {
                embedded.sort();
            }
        }
    }
}

impl Kind {
    fn of(schema: &Schema) -> Self {
        if let Shape::Named(reference) = &schema.shape {
            return Self::of_type(reference.name());
        }
        match &schema.shape {
            Shape::Array(array) if array.wrapped => Self::WrappedList(Box::new(Self::of(&array.items))),
            Shape::Array(array) => Self::List(Box::new(Self::of(&array.items))),
            Shape::Object(object) => {
                Self::Map(Box::new(object.additional.as_ref().map_or(Self::Json, Self::of)))
            }
            shape => Self::of_scalar(shape),
        }
    }

    fn of_type(name: &'static str) -> Self {
        match name.rsplit('.').next().unwrap_or(name) {
            "JSONSchemaPropsOrBool" => Self::SchemaOrBool,
            "JSONSchemaPropsOrArray" => Self::SchemaOrSchemas,
            "JSONSchemaPropsOrStringArray" => Self::SchemaOrTexts,
            _ => match builtin::schema(name).map(Schema::shape) {
                Some(Shape::Object(_)) => Self::Message(Link(name)),
                Some(shape) => Self::of_scalar(shape),
                None => Self::Json,
            },
        }
    }

    fn of_scalar(shape: &Shape) -> Self {
        match shape {
            Shape::Boolean => Self::Bool,
            Shape::Integer(width) => Self::Integer(*width),
            Shape::Number => Self::Double,
            Shape::String(Format::Plain) => Self::Text,
            Shape::String(Format::Bytes) => Self::Bytes,
            Shape::String(Format::Quantity) => Self::Quantity,
            Shape::String(format @ (Format::Time | Format::MicroTime)) => Self::Time(*format),
            Shape::IntOrString => Self::IntOrString,
            _ => Self::Json,
        }
    }
}
