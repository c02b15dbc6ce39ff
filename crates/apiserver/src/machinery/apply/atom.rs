//! What a [`Schema`] says to apply about a value: whether it is owned as a whole or by its parts, and what a part
//! is known by. Values without a schema are maps by their entries, and lists as a whole.

use std::{borrow::Cow, sync::LazyLock};

use serde_json::Value;

use crate::machinery::{
    builtin,
    schema::{ArrayShape, Format, ListType, ObjectShape, Presence, Schema, Shape},
};

use super::path_element::{self, PathElement};

/// How values at some place are owned.
#[derive(Debug, Clone, Copy)]
pub enum Type<'s> {
    /// As a schema says.
    Schema {
        /// The schema.
        schema: &'s Schema,
        /// Whether a value around it keeps fields that its schema does not have: then it does so too.
        open: bool,
        /// Whether it is a whole object, with apiVersion, kind and metadata.
        object: bool,
    },
    /// As it turns out: no schema, maps by their entries.
    Deduced,
    /// As it turns out, and as a whole.
    Opaque,
}

/// A sort of value and how it is owned.
#[derive(Debug, Clone, Copy)]
pub enum Atom<'s> {
    /// One value.
    Scalar(Scalar),
    /// A list.
    List(List<'s>),
    /// A struct or a map.
    Map(Fields<'s>),
}

/// The sort of a single value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// A number.
    Numeric,
    /// A text.
    Text,
    /// `true` or `false`.
    Boolean,
    /// Any of them.
    Untyped,
}

/// A list.
#[derive(Debug, Clone, Copy)]
pub struct List<'s> {
    /// How its items are owned.
    pub items: Type<'s>,
    /// What an item is known by.
    pub list_type: &'s ListType,
}

/// A struct or a map.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'s> {
    /// Its declared fields; `None` where there is no schema.
    shape: Option<&'s ObjectShape>,
    /// Whether it is owned as a whole.
    pub atomic: bool,
    /// How what stands under undeclared names is owned; `None` where there may be none.
    pub rest: Option<Type<'s>>,
    open: bool,
    object: bool,
}

static ATOMIC: ListType = ListType::Atomic;
static TEXT: Schema = Schema {
    shape: Shape::String(Format::Plain),
    default: None,
    nullable: false,
    rules: None,
    atomic: None,
    description: None,
};
static OBJECT_META: LazyLock<&'static Schema> =
    LazyLock::new(|| builtin::schema("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta").unwrap_or(&TEXT));

impl<'s> Type<'s> {
    /// The type of a whole object.
    pub fn object(schema: &'s Schema) -> Self {
        Self::Schema { schema, open: false, object: true }
    }

    fn below(schema: &'s Schema, open: bool) -> Self {
        Self::Schema { schema, open, object: false }
    }

    /// The sort of `value` at this place. What fits no sort that may stand here (and `null`) is taken for the first
    /// that may.
    pub fn atom(self, value: &Value) -> Atom<'s> {
        match self {
            Self::Deduced => untyped(value, self, false),
            Self::Opaque => untyped(value, self, true),
            // A custom resource's definition gives it no type, so that anything may stand there until it is validated.
            Self::Schema { schema: Schema { shape: Shape::IntOrString, .. }, .. } => {
                untyped(value, Self::Deduced, false)
            }
            Self::Schema { schema, open, object } => match schema.shape() {
                Shape::Boolean => Atom::Scalar(Scalar::Boolean),
                Shape::Integer(_) | Shape::Number => Atom::Scalar(Scalar::Numeric),
                Shape::String(Format::Plain | Format::Bytes) => Atom::Scalar(Scalar::Text),
                Shape::String(_) | Shape::IntOrString => Atom::Scalar(Scalar::Untyped),
                Shape::Array(array) => Atom::List(list(array, open, schema.atomic)),
                Shape::Object(shape) => Atom::Map(fields(shape, schema, open, object)),
                Shape::Any | Shape::Named(_) if is_raw(schema) => untyped(value, Self::Opaque, true),
                Shape::Any | Shape::Named(_) => untyped(value, Self::Deduced, schema.atomic == Some(true)),
            },
        }
    }
}

/// Objects of a kind that the server does not know (`runtime.RawExtension`) are owned as a whole.
fn is_raw(schema: &Schema) -> bool {
    matches!(&schema.shape, Shape::Named(reference) if reference.name().ends_with(".runtime.RawExtension"))
}

fn untyped<'s>(value: &Value, rest: Type<'s>, atomic: bool) -> Atom<'s> {
    match value {
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Atom::Scalar(Scalar::Untyped),
        Value::Array(_) => Atom::List(List { items: Type::Opaque, list_type: &ATOMIC }),
        Value::Object(_) | Value::Null => {
            Atom::Map(Fields { shape: None, atomic, rest: Some(rest), open: true, object: false })
        }
    }
}

fn list(array: &ArrayShape, open: bool, atomic: Option<bool>) -> List<'_> {
    let list_type = if atomic == Some(true) { &ATOMIC } else { &array.list_type };
    List { items: Type::below(&array.items, open), list_type }
}

fn fields<'s>(shape: &'s ObjectShape, schema: &Schema, open: bool, object: bool) -> Fields<'s> {
    let open = open || shape.preserve_unknown;
    let rest = match &shape.additional {
        Some(values) => Some(Type::below(values, open)),
        None if open || shape.fields.is_empty() => Some(Type::Deduced),
        None => None,
    };
    Fields {
        shape: Some(shape),
        atomic: schema.atomic.unwrap_or(shape.atomic),
        rest,
        open,
        object: object || shape.embedded_resource,
    }
}

impl<'s> Fields<'s> {
    /// How the value under `name` is owned, if `name` is declared.
    pub fn declared(&self, name: &str) -> Option<Type<'s>> {
        if self.object {
            match name {
                "metadata" => return Some(Type::below(*OBJECT_META, false)),
                "apiVersion" | "kind" => return Some(Type::below(&TEXT, self.open)),
                _ => {}
            }
        }
        self.shape?.fields.get(name).map(|field| Type::below(&field.schema, self.open))
    }

    /// How the value under `name` is owned; `None` if no value may stand there.
    pub fn child(&self, name: &str) -> Option<Type<'s>> {
        self.declared(name).or(self.rest)
    }

    /// Whether nothing at all is declared, and what stands in it is owned as it turns out.
    pub fn is_free_form(&self) -> bool {
        !self.object
            && matches!(self.rest, Some(Type::Deduced))
            && self.shape.is_none_or(|shape| shape.fields.is_empty())
    }
}

/// Why an item of a list is known by nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unidentified {
    /// An item of a list with keys is `null`.
    #[error("associative list with keys may not have a null element")]
    NullItem,
    /// An item of a list with keys is no object.
    #[error("associative list with keys may not have non-map elements")]
    NoObject,
    /// An item has none of the keys.
    #[error(
        "associative list with keys has an element that omits all key fields [{0}] (and doesn't have default values \
         for any key fields)"
    )]
    NoKeys(String),
    /// An item of a set is an object.
    #[error("associative list without keys has an element that's a map type")]
    Object,
    /// An item of a set is a list.
    #[error("not supported: associative list with lists as elements")]
    List,
    /// An item of a set is `null`.
    #[error("associative list without keys has an element that's an explicit null")]
    Null,
}

/// What an item of a list is known by.
#[derive(Debug)]
pub enum Identity<'s, 'v> {
    /// The values of these fields; sorted by name.
    Key(Vec<(&'s str, Cow<'v, Value>)>),
    /// Its value.
    Value(&'v Value),
}

impl Identity<'_, '_> {
    /// As it stands in `fieldsV1`.
    pub fn to_name(&self) -> String {
        match self {
            Self::Key(fields) => path_element::key_name(fields.iter().map(|(name, value)| (*name, &**value))),
            Self::Value(value) => path_element::value_name(value),
        }
    }
}

impl<'s> List<'s> {
    /// Whether the list is owned as a whole.
    pub fn is_atomic(&self) -> bool {
        *self.list_type == ListType::Atomic
    }

    /// What `item` is known by within the list, which must not be atomic.
    ///
    /// # Errors
    /// Why it cannot be told from others.
    pub fn identity<'v>(&self, item: &'v Value) -> Result<Identity<'s, 'v>, Unidentified> {
        match self.list_type {
            ListType::Map(keys) => self.key(keys, item),
            ListType::Set | ListType::Atomic => match item {
                Value::Object(_) => Err(Unidentified::Object),
                Value::Array(_) => Err(Unidentified::List),
                Value::Null => Err(Unidentified::Null),
                scalar => Ok(Identity::Value(scalar)),
            },
        }
    }

    /// The same as a step of a path.
    ///
    /// # Errors
    /// Why it cannot be told from others.
    pub fn element(&self, item: &Value) -> Result<PathElement, Unidentified> {
        Ok(match self.identity(item)? {
            Identity::Value(value) => PathElement::Value(Box::new(value.clone())),
            Identity::Key(fields) => {
                let fields = fields.into_iter().map(|(name, value)| (name.into(), value.into_owned()));
                PathElement::Key(fields.collect())
            }
        })
    }

    fn key<'v>(&self, keys: &'s [Box<str>], item: &'v Value) -> Result<Identity<'s, 'v>, Unidentified> {
        let map = match item {
            Value::Object(map) => map,
            Value::Null => return Err(Unidentified::NullItem),
            _ => return Err(Unidentified::NoObject),
        };
        let mut fields = Vec::with_capacity(keys.len());
        for key in keys {
            let value =
                map.get(key.as_ref()).map(Cow::Borrowed).or_else(|| self.default(key).map(Cow::Owned));
            fields.extend(value.map(|value| (key.as_ref(), value)));
        }
        if fields.is_empty() {
            let names: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
            return Err(Unidentified::NoKeys(names.join(" ")));
        }
        fields.sort_unstable_by_key(|(name, _)| *name);
        Ok(Identity::Key(fields))
    }

    /// What a key that is not there is taken for. The zero values that OpenAPI gives as defaults of built-in types
    /// are not among the schema's defaults, so they are read from the facts.
    fn default(&self, key: &str) -> Option<Value> {
        let Type::Schema { schema, .. } = self.items else { return None };
        let field = schema.field(key)?;
        if field.schema.default.is_some() || field.presence == Presence::AsSent {
            return field.schema.default.clone();
        }
        builtin::facts(schema.object()?.name?)?.get("fields")?.get(key)?.get("default").cloned()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn list_of(kind: &str, field: &str) -> List<'static> {
        let schema = builtin::schema(&format!("io.k8s.api.core.v1.{kind}")).unwrap();
        list(schema.child(field).unwrap().array().unwrap(), false, None)
    }

    #[test]
    fn items_are_known_by_their_keys_with_defaults() {
        for (kind, field, item, want) in [
            (
                "Container",
                "ports",
                json!({"containerPort": 80, "name": "x"}),
                Ok(r#"k:{"containerPort":80,"protocol":"TCP"}"#),
            ),
            ("Container", "ports", json!({}), Ok(r#"k:{"containerPort":0,"protocol":"TCP"}"#)),
            ("Container", "ports", json!(null), Err(Unidentified::NullItem)),
            ("Container", "env", json!({}), Ok(r#"k:{"name":""}"#)),
            ("Container", "env", json!("x"), Err(Unidentified::NoObject)),
            ("PodSpec", "imagePullSecrets", json!({}), Ok(r#"k:{"name":""}"#)),
            ("ServiceAccount", "secrets", json!({}), Err(Unidentified::NoKeys("\"name\"".into()))),
        ] {
            let element = list_of(kind, field).element(&item).map(|element| element.to_name());
            assert_eq!(element, want.map(str::to_owned), "{kind}.{field} {item}");
        }
    }

    #[test]
    fn what_keeps_unknown_fields_keeps_them_below_too_but_not_in_metadata() {
        let inner = ObjectShape {
            fields: [("known".into(), crate::machinery::schema::Field::default())].into(),
            ..ObjectShape::default()
        };
        let root = |preserve_unknown| {
            let field = crate::machinery::schema::Field {
                schema: Schema::of(Shape::Object(Arc::new(inner.clone()))),
                ..Default::default()
            };
            let fields = [("inner".into(), field)].into();
            Schema::of(Shape::Object(Arc::new(ObjectShape {
                fields,
                preserve_unknown,
                ..ObjectShape::default()
            })))
        };
        let may_hold = |schema: &Schema, path: &[&str]| {
            let mut of = Some(Type::object(schema));
            for name in path {
                of = of.and_then(|of| match of.atom(&Value::Null) {
                    Atom::Map(fields) => fields.child(name),
                    _ => None,
                });
            }
            of.is_some()
        };
        for (path, open, closed) in [
            (&["bogus"][..], true, false),
            (&["inner", "known"], true, true),
            (&["inner", "bogus"], true, false),
            (&["metadata", "labels", "any"], true, true),
            (&["metadata", "bogus"], false, false),
        ] {
            assert_eq!(may_hold(&root(true), path), open, "{path:?}");
            assert_eq!(may_hold(&root(false), path), closed, "{path:?}");
        }
    }
}
