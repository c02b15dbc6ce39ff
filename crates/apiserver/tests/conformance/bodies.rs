//! The bodies of a recording's steps as they were sent: with the fields in their order, which a strict decoder tells
//! errors by, and with the spaces that Python puts between them, which errors quote.

use std::fmt::{self, Write};

use serde::{
    Deserialize,
    de::{Deserializer, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

/// A scenario, as far as its bodies go.
#[derive(Deserialize)]
pub struct Scenario {
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    body: Option<Written>,
}

impl Scenario {
    /// The text of the body of a step, if it has one.
    pub fn body(&self, step: usize) -> Option<&str> {
        self.steps[step].body.as_ref().map(|Written(text)| text.as_str())
    }
}

/// A value as Python's `json.dumps` writes it.
struct Written(String);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Writer).map(Written)
    }
}

struct Writer;

impl<'de> Visitor<'de> for Writer {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_u64<E>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<String, E> {
        Ok(Value::from(value).to_string())
    }

    fn visit_str<E>(self, value: &str) -> Result<String, E> {
        Ok(text(value))
    }

    fn visit_unit<E>(self) -> Result<String, E> {
        Ok("null".to_owned())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<String, A::Error> {
        let mut all = Vec::new();
        while let Some(Written(item)) = items.next_element()? {
            all.push(item);
        }
        Ok(format!("[{}]", all.join(", ")))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<String, A::Error> {
        let mut all = Vec::new();
        while let Some((name, Written(value))) = entries.next_entry::<String, Written>()? {
            all.push(format!("{}: {value}", text(&name)));
        }
        Ok(format!("{{{}}}", all.join(", ")))
    }
}

/// Python writes all that is not ASCII as escapes.
fn text(text: &str) -> String {
    let mut quoted = String::new();
    for character in Value::from(text).to_string().chars() {
        if character.is_ascii() {
            quoted.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                write!(quoted, "\\u{unit:04x}").unwrap();
            }
        }
    }
    quoted
}
