//! The part of an object that dispatch and indexes ask for, read without decoding the rest.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::value::RawValue;

use crate::Owner;

/// What is read of `metadata`. Text is borrowed where it is written without escapes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Header<'a> {
    #[serde(borrow)]
    pub(crate) name: Text<'a>,
    #[serde(borrow)]
    pub(crate) namespace: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) uid: Text<'a>,
    #[serde(borrow, default)]
    pub(crate) resource_version: Text<'a>,
    #[serde(borrow, default)]
    pub(crate) labels: Option<BTreeMap<Text<'a>, Text<'a>>>,
    #[serde(default)]
    pub(crate) owner_references: Option<Vec<Owner>>,
    pub(crate) deletion_timestamp: Option<Timestamp>,
    #[serde(borrow, default)]
    managed_fields: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    metadata: Header<'a>,
}

impl<'a> Header<'a> {
    /// Reads the header of an object; that the rest is JSON is made sure of.
    pub(crate) fn read(json: &'a [u8]) -> Result<Self, serde_json::Error> {
        let Envelope { metadata } = serde_json::from_slice(json)?;
        Ok(metadata)
    }

    /// Where `managedFields`, with its name and a comma, is in the JSON that this was read from.
    pub(crate) fn managed_fields_in(&self, json: &[u8]) -> Option<Range<usize>> {
        const NAME: &[u8] = b"\"managedFields\"";
        let value = self.managed_fields?.get();
        let start = (value.as_ptr() as usize).checked_sub(json.as_ptr() as usize)?;
        let end = start + value.len();
        let before = json.get(..start)?.trim_ascii_end().strip_suffix(b":")?.trim_ascii_end();
        let before = before.strip_suffix(NAME)?.trim_ascii_end();
        if let Some(before) = before.strip_suffix(b",") {
            return Some(before.len()..end);
        }
        // It is the first field: the comma after it goes.
        let after = json.get(end..)?.trim_ascii_start();
        let after = after.strip_prefix(b",").unwrap_or(after);
        Some(before.len()..json.len() - after.len())
    }
}

/// Text that borrows where it can.
#[derive(Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor).map(Text)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_ownership_is_cut_out_wherever_it_is() {
        for (json, left) in [
            (
                r#"{"metadata":{"name":"a","managedFields":[{"f":1}],"uid":"u"}}"#,
                r#"{"metadata":{"name":"a","uid":"u"}}"#,
            ),
            (r#"{"metadata":{"managedFields":[],"name":"a"},"x":1}"#, r#"{"metadata":{"name":"a"},"x":1}"#),
            (r#"{"metadata":{"name":"a" , "managedFields" : [ 1 ] }}"#, r#"{"metadata":{"name":"a"  }}"#),
            (r#"{"metadata":{ "managedFields": [1] , "name":"a"}}"#, r#"{"metadata":{ "name":"a"}}"#),
        ] {
            let header = Header::read(json.as_bytes()).unwrap();
            let cut = header.managed_fields_in(json.as_bytes()).unwrap();
            let mut rest = json.to_owned();
            rest.replace_range(cut, "");
            assert_eq!(rest.replace("{ \"", "{\""), left.replace("{ \"", "{\""), "{json}");
            serde_json::from_str::<serde_json::Value>(&rest).unwrap();
        }
        for json in [r#"{"metadata":{"name":"a"}}"#, r#"{"metadata":{"name":"a","managedFields":null}}"#] {
            assert_eq!(Header::read(json.as_bytes()).unwrap().managed_fields_in(json.as_bytes()), None);
        }
        // Of a name that is written otherwise it is kept, which costs memory and nothing else.
        let escaped = r#"{"metadata":{"name":"a","managedField\u0073":[]}}"#;
        assert_eq!(Header::read(escaped.as_bytes()).unwrap().managed_fields_in(escaped.as_bytes()), None);
    }

    #[test]
    fn text_with_escapes_is_read() {
        let json = r#"{"metadata":{"name":"a\u0062","labels":{"k\n":"v"}}}"#;
        let header = Header::read(json.as_bytes()).unwrap();
        assert_eq!(header.name.0, "ab");
        assert_eq!(header.labels.unwrap().into_keys().next().unwrap().0, "k\n");
        assert!(Header::read(br#"{"metadata":{"name":"a"},"spec":{"#).is_err());
    }
}
