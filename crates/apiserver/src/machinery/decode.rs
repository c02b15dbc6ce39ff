//! From the bytes of a request to a JSON value: JSON and YAML, with the names that were given twice.

use std::{collections::BTreeMap, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A value as it was sent, and which of its fields were sent more than once (the last one counts).
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// The value.
    pub value: Value,
    /// Paths such as `data.a`, in the order in which they were met.
    pub duplicates: Vec<String>,
    /// Of YAML, where Kubernetes does not tell paths: its own sentence (of several lines) on the keys given twice, which
    /// is the strict decoding error as it stands.
    pub yaml_duplicates: Option<String>,
}

/// Reads JSON. Nesting deeper than 128 is an error, so that no body can exhaust the stack.
///
/// # Errors
/// What is wrong and where (line and column).
pub fn json(bytes: &[u8]) -> Result<Sent, String> {
    let mut duplicates = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let seed = Node { path: None, duplicates: &mut duplicates };
    let value = seed.deserialize(&mut deserializer).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    Ok(Sent { value, duplicates, yaml_duplicates: None })
}

/// Reads the first YAML document, as Kubernetes reads it (`on` is `true`, also as a key).
///
/// # Errors
/// What is wrong and where, such as `yaml: line 3: did not find expected key`.
pub fn yaml(bytes: &[u8]) -> Result<Sent, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "yaml: invalid leading UTF-8 octet".to_owned())?;
    let super::yaml::Document { value, duplicates } = super::yaml::read(text)?;
    Ok(Sent { value, duplicates: Vec::new(), yaml_duplicates: duplicates })
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
    duplicates: &'a mut Vec<String>,
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
            let node = Node { path: Some(&here), duplicates: self.duplicates };
            let Some(item) = items.next_element_seed(node)? else { return Ok(Value::Array(list)) };
            list.push(item);
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        let mut repeated = BTreeMap::new();
        while let Some(name) = entries.next_key::<String>()? {
            let here = Location { parent: self.path, name: &name, index: None };
            let node = Node { path: Some(&here), duplicates: self.duplicates };
            let value = entries.next_value_seed(node)?;
            if map.contains_key(&name) && repeated.insert(name.clone(), ()).is_none() {
                let place = here.to_string();
                let told_bytes = self.duplicates.iter().map(String::len).sum::<usize>();
                if self.duplicates.len() >= DUPLICATES_MAX || told_bytes + place.len() > DUPLICATES_BYTES_MAX
                {
                    return Err(A::Error::custom("too many duplicate fields"));
                }
                self.duplicates.push(place);
            }
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

/// More fields given twice than this are an attack, not a mistake.
const DUPLICATES_MAX: usize = 1000;
/// How long their paths may be together: many in one field of a long name say much with few bytes.
const DUPLICATES_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_given_twice_are_told_once_each_and_the_last_counts() {
        let sent = json(br#"{"a":{"b":1,"b":2,"b":3},"c":[{"d":1,"d":2}],"a2":0}"#).unwrap();
        assert_eq!(sent.duplicates, ["a.b", "c[0].d"]);
        assert_eq!(sent.value["a"]["b"], 3);
    }

    #[test]
    fn what_is_told_of_names_given_twice_is_bounded() {
        let twice: Vec<String> = (0..100).map(|n| format!("\"{n}\":1,\"{n}\":2")).collect();
        let within = |name: &str| json(format!("{{\"{name}\":{{{}}}}}", twice.join(",")).as_bytes());
        assert_eq!(within("a").unwrap().duplicates.len(), 100);
        assert!(within(&"a".repeat(20_000)).unwrap_err().contains("too many duplicate fields"));
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
