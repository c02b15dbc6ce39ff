//! One [`Schema`] serves every kind. That of a built-in kind is read from the facts of a real server
//! (`data/schema.json`, through [`builtin`]), that of a custom resource from its definition. Decoding, pruning,
//! defaults, patches, apply, OpenAPI and protobuf all go by it; there is no second way for either sort of kind.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use serde_json::Value;

use super::builtin;

/// The shape of a value, its default, and the rules it must obey.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// What sort of value it is.
    pub shape: Shape,
    /// What a missing value becomes, where the default is plain data (computed defaults belong to kinds).
    pub default: Option<Value>,
    /// Whether an explicit `null` is kept (custom resources only).
    pub nullable: bool,
    /// What a custom resource's definition demands beyond the shape; `None` for built-in kinds, whose rules are
    /// code (see `kinds`).
    pub rules: Option<Arc<Value>>,
    /// Whether server-side apply takes it as a whole, where a field says otherwise than its type does.
    pub atomic: Option<bool>,
    /// What it means, where the schema comes from a custom resource's definition.
    pub description: Option<Box<str>>,
}

/// What sort of value a schema describes.
#[derive(Debug, Clone, Default)]
pub enum Shape {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer(Width),
    /// A number.
    Number,
    /// A text.
    String(Format),
    /// A whole number or a text: a port by number or name, an amount or a percentage.
    IntOrString,
    /// A struct, a map, or (in custom resources) both.
    Object(Arc<ObjectShape>),
    /// A list.
    Array(Arc<ArrayShape>),
    /// Anything at all, kept as it was sent.
    #[default]
    Any,
    /// A built-in type by its OpenAPI name.
    Named(Reference),
}

/// How wide an integer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// -2³¹ … 2³¹-1.
    Int32,
    /// -2⁶³ … 2⁶³-1.
    Int64,
}

/// What a text holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Any text.
    Plain,
    /// Base64 (RFC 4648, padded).
    Bytes,
    /// RFC 3339, whole seconds.
    Time,
    /// RFC 3339, microseconds.
    MicroTime,
    /// `resource.Quantity`: `500m`, `1Gi`; kept in its canonical form.
    Quantity,
}

/// The fields of a struct, or the values of a map.
#[derive(Debug, Clone, Default)]
pub struct ObjectShape {
    /// Declared fields, by their JSON name.
    pub fields: BTreeMap<Box<str>, Field>,
    /// The schema of values under undeclared names; `None` where there may be none.
    pub additional: Option<Schema>,
    /// Whether server-side apply takes it as a whole (`x-kubernetes-map-type: atomic`).
    pub atomic: bool,
    /// Whether undeclared fields are kept (`x-kubernetes-preserve-unknown-fields`).
    pub preserve_unknown: bool,
    /// Whether it is itself an object with apiVersion, kind and metadata (`x-kubernetes-embedded-resource`).
    pub embedded_resource: bool,
    /// The OpenAPI name, where it is a built-in type.
    pub name: Option<&'static str>,
}

/// A declared field of a struct.
#[derive(Debug, Clone, Default)]
pub struct Field {
    /// What it holds.
    pub schema: Schema,
    /// Whether OpenAPI calls it required.
    pub required: bool,
    /// What becomes of it when it is empty.
    pub presence: Presence,
    /// Its protobuf number, after the numbers of the messages that are embedded around it, outermost first; empty
    /// where it has none.
    pub proto: Box<[u16]>,
    /// The name and type of the Go field it stands for, in a built-in type (decoding errors name them).
    pub go: Option<(&'static str, &'static str)>,
    /// `patch-strategy` of a strategic merge patch.
    pub patch: PatchStrategy,
    /// `patch-merge-key` of a strategic merge patch.
    pub patch_merge_key: Option<Box<str>>,
}

/// What becomes of a field's empty value (zero, empty text, empty list or map, absent struct) when an object is
/// written. Built-in kinds come out as Go's JSON encoder writes them, since clients compare and own fields by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Presence {
    /// Kept as sent (custom resources).
    #[default]
    AsSent,
    /// A Go pointer with `omitempty`: absent unless sent; an empty value that was sent stays.
    OmitAbsent,
    /// A Go value with `omitempty`: an empty value is left out (a struct never is).
    OmitEmpty,
    /// A Go value with `omitzero`: an empty value is left out, structs included.
    OmitZero,
    /// A Go pointer with neither: `null` when absent.
    NullAbsent,
    /// A Go value with neither: always written, as its zero value when absent (`null` for lists and maps).
    Always,
}

/// How a strategic merge patch treats a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PatchStrategy {
    /// `merge`: lists are merged by key, not replaced.
    pub merge: bool,
    /// `retainKeys`: fields that the patch does not name go away.
    pub retain_keys: bool,
    /// `replace`: structs are replaced, not merged.
    pub replace: bool,
}

/// The items of a list and how lists of it merge.
#[derive(Debug, Clone, Default)]
pub struct ArrayShape {
    /// What each item is.
    pub items: Schema,
    /// What an item is known by.
    pub list_type: ListType,
    /// Whether protobuf has it as a message of its own, with the items under the number 1.
    pub wrapped: bool,
}

/// What an item of a list is known by when lists are merged (`x-kubernetes-list-type`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ListType {
    /// The list is one value.
    #[default]
    Atomic,
    /// An item is its value.
    Set,
    /// An item is known by these fields.
    Map(Vec<Box<str>>),
}

/// A built-in type by name, resolved when first asked, since types refer to each other in circles.
#[derive(Debug, Clone)]
pub struct Reference {
    name: &'static str,
    resolved: OnceLock<&'static Schema>,
}

impl Reference {
    /// A reference to the built-in type of this OpenAPI name.
    pub fn new(name: &'static str) -> Self {
        Self { name, resolved: OnceLock::new() }
    }

    /// The OpenAPI name, such as `io.k8s.api.core.v1.Container`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The type it names; one that accepts anything if the tables do not have it (a test says that they do).
    pub fn schema(&self) -> &'static Schema {
        static ANY: Schema = Schema {
            shape: Shape::Any,
            default: None,
            nullable: false,
            rules: None,
            atomic: None,
            description: None,
        };
        self.resolved.get_or_init(|| builtin::schema(self.name).unwrap_or(&ANY))
    }
}

impl Schema {
    /// A schema of this shape, with no default and no rules.
    pub fn of(shape: Shape) -> Self {
        Self { shape, ..Self::default() }
    }

    /// The shape, with a reference followed to what it names.
    pub fn shape(&self) -> &Shape {
        match &self.shape {
            Shape::Named(reference) => reference.schema().shape(),
            shape => shape,
        }
    }

    /// The fields or values, if it describes an object.
    pub fn object(&self) -> Option<&ObjectShape> {
        match self.shape() {
            Shape::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The items, if it describes a list.
    pub fn array(&self) -> Option<&ArrayShape> {
        match self.shape() {
            Shape::Array(array) => Some(array),
            _ => None,
        }
    }

    /// The schema of the value under `name`: a declared field, else the schema of a map's values.
    pub fn child(&self, name: &str) -> Option<&Schema> {
        let object = self.object()?;
        object.fields.get(name).map(|field| &field.schema).or(object.additional.as_ref())
    }

    /// The declared field `name`.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.object()?.fields.get(name)
    }

    /// The schema of a list's items.
    pub fn items(&self) -> Option<&Schema> {
        self.array().map(|array| &array.items)
    }

    /// Whether server-side apply owns it as one value: scalars, atomic lists and maps, and what has no schema.
    pub fn is_atomic(&self) -> bool {
        if let Some(atomic) = self.atomic {
            return atomic;
        }
        match self.shape() {
            Shape::Object(object) => object.atomic,
            Shape::Array(array) => array.list_type == ListType::Atomic,
            Shape::Any => false,
            _ => true,
        }
    }
}
