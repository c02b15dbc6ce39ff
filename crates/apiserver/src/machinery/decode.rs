//! From the bytes of a request to a JSON value: JSON and YAML, with what a strict decoder has to say of their fields.

use std::{collections::BTreeSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{
    go_quoted,
    schema::{ObjectShape, Schema, Shape},
};

/// A value as it was sent (of fields that were sent more than once, the last one).
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// The value.
    pub value: Value,
    /// What a strict decoder says: `duplicate field "data.a"`, `unknown field "spec.bogus"`, in the order of the body.
    pub strict_errors: Vec<String>,
    /// Of YAML, where Kubernetes does not tell paths: its own sentence (of several lines) on the keys given twice, which
    /// is the strict decoding error as it stands.
    pub yaml_duplicates: Option<String>,
}

/// Reads JSON of no schema: every name that is given twice in one object is told. Nesting deeper than 128 is an error,
/// so that no body can exhaust the stack.
///
/// # Errors
/// What is wrong and where (line and column).
pub fn json(bytes: &[u8]) -> Result<Sent, String> {
    read(bytes, Reading::Free)
}

/// Reads JSON as an object of a built-in kind: fields that the schema does not have are told too, and nothing that
/// stands inside of them or of a field that holds anything.
///
/// # Errors
/// What is wrong and where (line and column).
pub fn json_of(schema: &Schema, bytes: &[u8]) -> Result<Sent, String> {
    read(bytes, Reading::Typed(schema))
}

fn read(bytes: &[u8], reading: Reading<'_>) -> Result<Sent, String> {
    let mut told = Told::default();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let seed = Node { path: None, reading, told: &mut told };
    let value = seed.deserialize(&mut deserializer).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    Ok(Sent { value, strict_errors: told.sentences, yaml_duplicates: None })
}

/// Reads the first YAML document, as Kubernetes reads it (`on` is `true`, also as a key).
///
/// # Errors
/// What is wrong and where, such as `yaml: line 3: did not find expected key`.
pub fn yaml(bytes: &[u8]) -> Result<Sent, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "yaml: invalid leading UTF-8 octet".to_owned())?;
    let super::yaml::Document { value, duplicates } = super::yaml::read(text)?;
    Ok(Sent { value, strict_errors: Vec::new(), yaml_duplicates: duplicates })
}

/// What is known of the fields below a value.
#[derive(Clone, Copy)]
enum Reading<'a> {
    /// Those that the schema has.
    Typed(&'a Schema),
    /// Nothing: each may be there, once.
    Free,
    /// They are not decoded, so that nothing is said of them.
    Skipped,
}

impl<'a> Reading<'a> {
    /// The struct or map that is read, if it is one of a schema.
    fn object(self) -> Option<&'a ObjectShape> {
        match self {
            Self::Typed(schema) => schema.object(),
            Self::Free | Self::Skipped => None,
        }
    }

    /// The same of an item of the list that is read.
    fn item(self) -> Self {
        match self {
            Self::Typed(schema) => match schema.shape() {
                Shape::Array(array) => Self::Typed(&array.items),
                _ => Self::Skipped,
            },
            other => other,
        }
    }
}

/// What is said of the fields of one body: no sentence twice, and no more than Kubernetes says.
#[derive(Default)]
struct Told {
    sentences: Vec<String>,
    known: BTreeSet<String>,
    bytes: usize,
}

/// How much is told of one body, in sentences.
const TOLD_MAX: usize = 100;
/// And in bytes: many fields below one long name say much with few bytes.
const TOLD_BYTES_MAX: usize = 1 << 20;

impl Told {
    fn tell(&mut self, what: &str, place: &Location<'_>) {
        if self.sentences.len() >= TOLD_MAX || self.bytes >= TOLD_BYTES_MAX {
            return;
        }
        let sentence = format!("{what} {}", go_quoted(&place.to_string()));
        if self.known.insert(sentence.clone()) {
            self.bytes += sentence.len();
            self.sentences.push(sentence);
        }
    }
}

/// Where a field stands, while it is being read.
struct Location<'a> {
    parent: Option<&'a Location<'a>>,
    name: &'a str,
    index: Option<usize>,
}

impl fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.index {
            Some(index) => write!(f, "[{index}]"),
            None if self.parent.is_some() => write!(f, ".{}", self.name),
            None => f.write_str(self.name),
        }
    }
}

struct Node<'a> {
    path: Option<&'a Location<'a>>,
    reading: Reading<'a>,
    told: &'a mut Told,
}

impl Node<'_> {
    /// How the value of a field is read; tells if there should be no such field, or no second one.
    fn field<'s>(reading: Reading<'s>, told: &mut Told, here: &Location<'_>, is_second: bool) -> Reading<'s> {
        let of = match (reading, reading.object()) {
            (Reading::Skipped, _) | (Reading::Typed(_), None) => return Reading::Skipped,
            (Reading::Free, _) => Reading::Free,
            // Every object may say what it is.
            _ if here.parent.is_none() && matches!(here.name, "apiVersion" | "kind") => Reading::Skipped,
            (Reading::Typed(_), Some(object)) => match (object.fields.get(here.name), &object.additional) {
                (Some(field), _) => Reading::Typed(&field.schema),
                (None, Some(values)) => Reading::Typed(values),
                (None, None) if object.preserve_unknown => Reading::Skipped,
                (None, None) => {
                    told.tell("unknown field", here);
                    return Reading::Skipped;
                }
            },
        };
        if is_second {
            told.tell("duplicate field", here);
        }
        of
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let here = Location { parent: self.path, name: "", index: Some(list.len()) };
            let node = Node { path: Some(&here), reading: self.reading.item(), told: self.told };
            let Some(item) = items.next_element_seed(node)? else { return Ok(Value::Array(list)) };
            list.push(item);
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let here = Location { parent: self.path, name: &name, index: None };
            let reading = Self::field(self.reading, self.told, &here, map.contains_key(&name));
            let node = Node { path: Some(&here), reading, told: self.told };
            let value = entries.next_value_seed(node)?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machinery::builtin;

    #[test]
    fn names_given_twice_are_told_once_each_and_the_last_counts() {
        let sent =
            json(br#"{"a":{"b":1,"b":2,"b":3},"c":[{"d":1,"d":2}],"a2":0,"a":{"b":4,"b":5}}"#).unwrap();
        let told = ["a.b", "c[0].d", "a"].map(|path| format!("duplicate field \"{path}\""));
        assert_eq!(sent.strict_errors, told);
        assert_eq!(sent.value["a"]["b"], 5);
    }

    #[test]
    fn fields_of_a_built_in_kind_are_told_in_the_order_of_the_body() {
        let pod = builtin::schema("io.k8s.api.core.v1.Pod").unwrap();
        for (sent, told) in [
            (r#"{"kind":"Pod","apiVersion":"v1","status":{}}"#, vec![]),
            // A field is told where its name stands: before what is inside of it, and nothing inside of an unknown one.
            (
                r#"{"zzz":{"a":1,"a":2},"spec":{"nope":1,"containers":[{"name":"a","Image":1,"name":"b"}]},"aaa":1,"zzz":2}"#,
                vec![
                    "unknown field \"zzz\"",
                    "unknown field \"spec.nope\"",
                    "unknown field \"spec.containers[0].Image\"",
                    "duplicate field \"spec.containers[0].name\"",
                    "unknown field \"aaa\"",
                ],
            ),
            (
                r#"{"spec":{},"kind":"Pod","spec":{"x":1},"kind":"Pod","metadata":{"labels":{"l":"1","l":"2"}}}"#,
                vec![
                    "duplicate field \"spec\"",
                    "unknown field \"spec.x\"",
                    "duplicate field \"kind\"",
                    "duplicate field \"metadata.labels.l\"",
                ],
            ),
            // Fields that hold anything are not decoded.
            (r#"{"metadata":{"managedFields":[{"fieldsV1":{"f:a":{},"f:a":{}}}]}}"#, vec![]),
            // Nor is what has the wrong type.
            (r#"{"spec":[{"a":1,"a":2}]}"#, vec![]),
        ] {
            assert_eq!(json_of(pod, sent.as_bytes()).unwrap().strict_errors, told, "{sent}");
        }
    }

    #[test]
    fn what_is_told_of_fields_is_bounded() {
        let twice: Vec<String> = (0..500).map(|n| format!("\"{n}\":1,\"{n}\":2")).collect();
        let told = |name: &str| {
            let sent = json(format!("{{\"{name}\":{{{}}}}}", twice.join(",")).as_bytes()).unwrap();
            (sent.strict_errors.len(), sent.strict_errors.iter().map(String::len).sum::<usize>())
        };
        assert_eq!(told("a").0, TOLD_MAX);
        assert!(told(&"a".repeat(200_000)).1 < 2 * TOLD_BYTES_MAX);
    }

    #[test]
    fn what_is_not_json_is_told_with_its_place() {
        assert!(json(b"{\"kind\":").unwrap_err().contains("line 1"));
        assert!(json(b"{} x").is_err());
        assert!(json("[".repeat(100_000).as_bytes()).unwrap_err().contains("recursion limit"));
        assert!(json(b"").is_err());
    }

    #[test]
    fn numbers_keep_their_kind() {
        let sent = json(b"[1, -2, 1.5, 9007199254740993, 18446744073709551615]").unwrap();
        assert_eq!(sent.value.to_string(), "[1,-2,1.5,9007199254740993,18446744073709551615]");
    }

    #[test]
    fn yaml_reads_as_kubernetes_reads_it() {
        let sent = yaml(b"data:\n  multi: |\n    a\n    b\n  num: \"5\"\n  on: 5\n").unwrap();
        assert_eq!(sent.value, serde_json::json!({"data": {"multi": "a\nb\n", "num": "5", "true": 5}}));
        assert!(yaml(b"a: 1\na: 2").unwrap().yaml_duplicates.is_some());
        assert_eq!(yaml(b"a: \xff").unwrap_err(), "yaml: invalid leading UTF-8 octet");
    }
}
