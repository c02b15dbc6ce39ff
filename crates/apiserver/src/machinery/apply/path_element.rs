//! One step from a value to a part of it, as `managedFields` names it: `f:spec`, `k:{"name":"web"}`, `v:"blue"`,
//! `i:0` (`fieldpath.PathElement` in Kubernetes).

use std::{
    cmp::Ordering,
    fmt::{self, Display, Write},
};

use serde_json::{Map, Number, Value};

use crate::machinery::go_quoted;

/// A step from a value to a part of it. Steps are ordered as Kubernetes orders them: fields, keys, values, indices;
/// numbers by size.
#[derive(Debug, Clone)]
pub enum PathElement {
    /// A field of a struct or an entry of a map.
    Field(Box<str>),
    /// The item of a list that has these values in its key fields; sorted by the fields' names.
    Key(Box<[(Box<str>, Value)]>),
    /// The item of a set.
    Value(Box<Value>),
    /// The item of a list at this position.
    Index(i64),
}

/// A name in `fieldsV1` that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidElement(pub String);

impl PathElement {
    /// The field or entry `name`.
    pub fn field(name: &str) -> Self {
        Self::Field(name.into())
    }

    /// The list item with these key fields, in any order.
    pub fn key(mut fields: Vec<(Box<str>, Value)>) -> Self {
        fields.sort_by(|left, right| left.0.cmp(&right.0));
        Self::Key(fields.into())
    }

    /// Reads an element as it stands in `fieldsV1`; `None` for a sort of element that is not known (it is to be
    /// ignored with all that is below it).
    ///
    /// # Errors
    /// What is no element at all.
    pub fn parse(text: &str) -> Result<Option<Self>, InvalidElement> {
        let invalid = |why: &dyn Display| Err(InvalidElement(why.to_string()));
        let Some((sort, content)) = text.split_at_checked(2) else {
            return invalid(&"key must be 2 characters long:");
        };
        match sort {
            "f:" => Ok(Some(Self::field(content))),
            "v:" => match serde_json::from_str::<Value>(content) {
                Ok(value) => Ok(Some(Self::Value(Box::new(as_go_reads(value))))),
                Err(error) => invalid(&error),
            },
            "k:" => match serde_json::from_str::<Map<String, Value>>(content) {
                Ok(fields) => {
                    let fields = fields.into_iter().map(|(name, value)| (name.into(), as_go_reads(value)));
                    Ok(Some(Self::key(fields.collect())))
                }
                Err(error) => invalid(&error),
            },
            "i:" => match content.parse() {
                Ok(index) => Ok(Some(Self::Index(index))),
                Err(error) => invalid(&error),
            },
            _ if sort.ends_with(':') => Ok(None),
            _ => invalid(&format_args!("missing colon: {text}")),
        }
    }

    /// Writes the element as it stands in `fieldsV1`.
    pub fn to_name(&self) -> String {
        match self {
            Self::Field(name) => field_name(name),
            Self::Key(fields) => key_name(fields.iter().map(|(name, value)| (&**name, value))),
            Self::Value(value) => value_name(value),
            Self::Index(index) => format!("i:{index}"),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Value(_) => 2,
            Self::Index(_) => 3,
        }
    }
}

/// A field as it stands in `fieldsV1`.
pub fn field_name(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 2);
    text.push_str("f:");
    text.push_str(name);
    text
}

/// A list item as it stands in `fieldsV1`, by its key fields, which are sorted.
pub fn key_name<'k>(fields: impl Iterator<Item = (&'k str, &'k Value)>) -> String {
    let mut text = String::with_capacity(32);
    text.push_str("k:{");
    for (position, (name, value)) in fields.enumerate() {
        if position > 0 {
            text.push(',');
        }
        write_text(name, &mut text);
        text.push(':');
        write_json(value, &mut text);
    }
    text.push('}');
    text
}

/// An item of a set as it stands in `fieldsV1`.
pub fn value_name(value: &Value) -> String {
    let mut text = String::from("v:");
    write_json(value, &mut text);
    text
}

/// As it stands in a path that people read: `.spec.containers[name="web"]`.
impl Display for PathElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(fields) => {
                f.write_char('[')?;
                for (position, (name, value)) in fields.iter().enumerate() {
                    if position > 0 {
                        f.write_char(',')?;
                    }
                    write!(f, "{name}={}", readable(value))?;
                }
                f.write_char(']')
            }
            Self::Value(value) => write!(f, "[={}]", readable(value)),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

impl PartialEq for PathElement {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for PathElement {}

impl PartialOrd for PathElement {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PathElement {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(left), Self::Field(right)) => left.cmp(right),
            (Self::Key(left), Self::Key(right)) => {
                let pairs = left.iter().zip(right.iter());
                for ((left_name, left_value), (right_name, right_value)) in pairs {
                    let order = left_name.cmp(right_name).then_with(|| compare(left_value, right_value));
                    if order.is_ne() {
                        return order;
                    }
                }
                left.len().cmp(&right.len())
            }
            (Self::Value(left), Self::Value(right)) => compare(left, right),
            (Self::Index(left), Self::Index(right)) => left.cmp(right),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

/// The order of any two JSON values: numbers by size, before texts, before truth values, before lists, before
/// objects, before `null`.
pub fn compare(left: &Value, right: &Value) -> Ordering {
    fn rank(value: &Value) -> u8 {
        match value {
            Value::Number(_) => 0,
            Value::String(_) => 1,
            Value::Bool(_) => 2,
            Value::Array(_) => 3,
            Value::Object(_) => 4,
            Value::Null => 5,
        }
    }
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => compare_numbers(left, right),
        (Value::String(left), Value::String(right)) => left.cmp(right),
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Array(left), Value::Array(right)) => {
            let unequal = left.iter().zip(right).map(|(left, right)| compare(left, right));
            unequal.into_iter().find(|order| order.is_ne()).unwrap_or_else(|| left.len().cmp(&right.len()))
        }
        (Value::Object(left), Value::Object(right)) => {
            let unequal = left.iter().zip(right).map(|((left_name, left), (right_name, right))| {
                left_name.cmp(right_name).then_with(|| compare(left, right))
            });
            unequal.into_iter().find(|order| order.is_ne()).unwrap_or_else(|| left.len().cmp(&right.len()))
        }
        _ => rank(left).cmp(&rank(right)),
    }
}

fn compare_numbers(left: &Number, right: &Number) -> Ordering {
    if let (Some(left), Some(right)) = (left.as_i64(), right.as_i64()) {
        return left.cmp(&right);
    }
    let (left, right) = (left.as_f64().unwrap_or_default(), right.as_f64().unwrap_or_default());
    left.partial_cmp(&right).unwrap_or(Ordering::Equal)
}

/// Whether two values are the same to Kubernetes, to which `1` and `1.0` are one number.
pub fn equal(left: &Value, right: &Value) -> bool {
    left == right || equal_but_for_numbers(left, right)
}

fn equal_but_for_numbers(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(_), Value::Number(_)) => compare(left, right).is_eq(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| equal_but_for_numbers(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let same = |(name, left): (&String, &Value)| {
                right.get(name).is_some_and(|right| equal_but_for_numbers(left, right))
            };
            left.len() == right.len() && left.iter().all(same)
        }
        _ => left == right,
    }
}

/// Numbers in the names of `fieldsV1` are read as floating point, and whole ones written without a fraction.
fn as_go_reads(value: Value) -> Value {
    match value.as_f64() {
        Some(number) if value.is_f64() && number.fract() == 0.0 && number.abs() < 9e15 => {
            (number as i64).into()
        }
        _ => value,
    }
}

/// A value as a path that people read has it: texts quoted.
fn readable(value: &Value) -> String {
    match value {
        Value::String(text) => go_quoted(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(readable).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(map) => {
            let entries: Vec<String> =
                map.iter().map(|(name, value)| format!("{name}={}", readable(value))).collect();
            entries.concat()
        }
        scalar => scalar.to_string(),
    }
}

/// Writes JSON as Go does: compact, names sorted, and `<`, `>`, `&` and the two line separators of Unicode escaped.
pub fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                write_json(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (position, (name, value)) in map.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                write_text(name, out);
                out.push(':');
                write_json(value, out);
            }
            out.push('}');
        }
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => {
                let _ = write!(out, "{}", float as i64);
            }
            _ => {
                let _ = write!(out, "{number}");
            }
        },
        scalar => {
            let _ = write!(out, "{scalar}");
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                let _ = write!(out, "\\u{:04x}", character as u32);
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_and_written_in_one_form() {
        for (sent, want) in [
            ("f:spec", "f:spec"),
            ("f:", "f:"),
            ("f:a.b/c:d", "f:a.b/c:d"),
            (r#"k:{"protocol":"TCP", "containerPort":80.0}"#, r#"k:{"containerPort":80,"protocol":"TCP"}"#),
            (r#"v:"a<b""#, r#"v:"a\u003cb""#),
            ("v:1.5", "v:1.5"),
            ("v:true", "v:true"),
            ("v:null", "v:null"),
            ("i:-3", "i:-3"),
        ] {
            assert_eq!(PathElement::parse(sent).unwrap().unwrap().to_name(), want, "{sent}");
        }
        for unknown in ["x:a", "z:"] {
            assert_eq!(PathElement::parse(unknown), Ok(None), "{unknown}");
        }
        for wrong in ["", "f", "spec", "k:[]", "k:{", "v:", "v:x", "i:", "i:a", "é"] {
            assert!(PathElement::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn elements_sort_by_sort_and_then_by_value() {
        let sorted = [
            "f:a",
            "f:b",
            r#"k:{"port":80}"#,
            r#"k:{"port":443}"#,
            r#"k:{"port":443,"z":1}"#,
            "v:2",
            "v:10.5",
            "v:11",
            r#"v:"a""#,
            "v:false",
            "v:true",
            "v:null",
            "i:2",
            "i:10",
        ];
        let mut elements: Vec<PathElement> =
            sorted.iter().rev().map(|text| PathElement::parse(text).unwrap().unwrap()).collect();
        elements.sort();
        let names: Vec<String> = elements.iter().map(PathElement::to_name).collect();
        assert_eq!(names, sorted);
    }

    #[test]
    fn paths_read_as_kubernetes_writes_them() {
        let text = |name: &str| PathElement::parse(name).unwrap().unwrap().to_string();
        assert_eq!(text("f:spec"), ".spec");
        assert_eq!(text(r#"k:{"port":80,"proto":"TCP"}"#), r#"[port=80,proto="TCP"]"#);
        assert_eq!(text(r#"v:"a""#), r#"[="a"]"#);
        assert_eq!(text("i:4"), "[4]");
    }
}
