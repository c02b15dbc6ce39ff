//! Objects as they are kept: encoded once, with what selectors ask for beside the bytes.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use serde_json::Value;

/// An object that has no revision yet. Its bytes are written around the place where the revision will stand.
#[derive(Debug, Clone)]
pub struct Draft {
    head: Vec<u8>,
    tail: Vec<u8>,
    body: u32,
    terms: Terms,
}

/// An object of a revision, as it is kept and shared by everyone who reads it.
pub struct Object {
    /// `NAMESPACE/NAME`, or `NAME`.
    pub key: Arc<str>,
    /// The revision that wrote it: its resourceVersion.
    pub revision: u64,
    /// Its labels and selectable fields.
    pub terms: Terms,
    bytes: Bytes,
    /// Where the fields after `kind` and `apiVersion` begin.
    body: u32,
}

/// What stands before the metadata.
const OPENING_OF_METADATA: &[u8] = b"\"metadata\":";
/// How these fields begin: the revision stands behind it.
const OPENING: &[u8] = b"\"metadata\":{\"resourceVersion\":\"";

impl Draft {
    /// Encodes `object`, which has a kind, an apiVersion and metadata; `terms` are what selectors may ask for.
    pub fn new(object: &Value, terms: Terms) -> Self {
        let mut head = Vec::with_capacity(128);
        head.extend_from_slice(b"{\"kind\":");
        write(&mut head, &object["kind"]);
        head.extend_from_slice(b",\"apiVersion\":");
        write(&mut head, &object["apiVersion"]);
        head.push(b',');
        let body = head.len() as u32;
        head.extend_from_slice(OPENING);
        let mut tail = Vec::with_capacity(512);
        tail.push(b'"');
        for (name, value) in object["metadata"].as_object().into_iter().flatten() {
            if name != "resourceVersion" {
                member(&mut tail, name, value);
            }
        }
        tail.push(b'}');
        for (name, value) in object.as_object().into_iter().flatten() {
            if !matches!(name.as_str(), "kind" | "apiVersion" | "metadata") {
                member(&mut tail, name, value);
            }
        }
        tail.push(b'}');
        Self { head, tail, body, terms }
    }

    /// The object at `revision`.
    pub fn at(self, key: Arc<str>, revision: u64) -> Object {
        let mut digits = DigitBuffer::new();
        let digits = digits.write(revision);
        let mut bytes = Vec::with_capacity(self.head.len() + digits.len() + self.tail.len());
        bytes.extend_from_slice(&self.head);
        bytes.extend_from_slice(digits);
        bytes.extend_from_slice(&self.tail);
        Object { key, revision, terms: self.terms, bytes: bytes.into(), body: self.body }
    }
}

impl Object {
    /// An object that was encoded before: `bytes` are what [`Draft`] writes, and its metadata begins at `body`.
    pub fn encoded(key: Arc<str>, revision: u64, terms: Terms, bytes: Bytes, body: usize) -> Self {
        Self { key, revision, terms, bytes, body: body as u32 }
    }

    /// The whole object as JSON.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The object without its opening brace, kind and apiVersion, as items of built-in lists are written: the caller
    /// puts the brace.
    pub fn body(&self) -> &[u8] {
        &self.bytes[self.body as usize..]
    }

    /// The metadata alone, `{…}`: its bytes are found, not decoded.
    pub fn metadata(&self) -> &[u8] {
        let from = &self.body()[OPENING_OF_METADATA.len().min(self.body().len())..];
        let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
        let ends = |byte: &u8| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_text => escaped = true,
                b'"' => in_text = !in_text,
                _ if in_text => {}
                b'{' => depth += 1,
                b'}' => depth -= 1,
                _ => {}
            }
            depth == 0
        };
        let end = from.iter().position(ends).map_or(from.len(), |last| last + 1);
        &from[..end]
    }

    /// How much memory it takes, roughly.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.terms.0.len() + self.key.len() + 96
    }

    /// The object as a value.
    pub fn decode(&self) -> Value {
        // What was written by `Draft` parses; `null` would be refused by whoever reads it.
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    /// The same state at another revision: what a deletion leaves.
    #[must_use]
    pub fn at(&self, revision: u64) -> Object {
        let start = self.body as usize + OPENING.len();
        let digits = self.bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut buffer = DigitBuffer::new();
        let new = buffer.write(revision);
        let mut bytes = Vec::with_capacity(self.bytes.len() + 4);
        bytes.extend_from_slice(&self.bytes[..start]);
        bytes.extend_from_slice(new);
        bytes.extend_from_slice(&self.bytes[start + digits..]);
        Object {
            key: self.key.clone(),
            revision,
            terms: self.terms.clone(),
            bytes: bytes.into(),
            body: self.body,
        }
    }

    /// The namespace; empty where there is none.
    pub fn namespace(&self) -> &str {
        self.key.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.key.split_once('/').map_or(&self.key, |(_, name)| name)
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the contents: secrets reach logs by such ways.
        f.debug_struct("Object")
            .field("key", &self.key)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

/// Labels and selectable fields of an object, in little memory: names and values one after the other, a NUL behind
/// each (neither can hold one; a field's value that does is cut there).
#[derive(Debug, Clone, Default)]
pub struct Terms(Box<str>);

impl Terms {
    /// Labels first, then fields, parted by an empty name.
    pub fn new<'a>(
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let mut text = String::new();
        let mut push = |(name, value): (&str, &str)| {
            for part in [name, value] {
                text.push_str(part.split('\0').next().unwrap_or_default());
                text.push('\0');
            }
        };
        labels.into_iter().for_each(&mut push);
        push(("", ""));
        fields.into_iter().for_each(&mut push);
        Self(text.into())
    }

    /// Terms that were encoded before.
    pub fn encoded(text: &str) -> Self {
        Self(text.into())
    }

    /// Them encoded, as [`Terms::encoded`] takes them.
    pub fn as_encoded(&self) -> &str {
        &self.0
    }

    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.pairs()
            .take_while(|(name, _)| !name.is_empty())
            .find(|(own, _)| *own == name)
            .map(|(_, value)| value)
    }

    /// The value of a selectable field.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.pairs().skip_while(|(name, _)| !name.is_empty()).skip(1);
        fields.find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut parts = self.0.split_terminator('\0');
        std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
    }
}

fn member(out: &mut Vec<u8>, name: &str, value: &Value) {
    out.push(b',');
    write(out, name);
    out.push(b':');
    write(out, value);
}

fn write(out: &mut Vec<u8>, value: &(impl serde::Serialize + ?Sized)) {
    // Writing JSON values to memory cannot fail.
    let _ = serde_json::to_writer(out, value);
}

/// Room for the digits of a revision, so that writing one allocates nothing.
struct DigitBuffer([u8; 20]);

impl DigitBuffer {
    fn new() -> Self {
        Self([0; 20])
    }

    fn write(&mut self, mut number: u64) -> &[u8] {
        let mut at = self.0.len();
        loop {
            at -= 1;
            self.0[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return &self.0[at..];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_carries_its_revision_and_can_take_another() {
        let object = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "c", "resourceVersion": "x"},
            "data": {"a": "1"}});
        let stored = Draft::new(&object, Terms::default()).at("n/c".into(), 7);
        assert_eq!(stored.decode()["metadata"], json!({"name": "c", "resourceVersion": "7"}));
        assert!(stored.bytes().starts_with(b"{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\""));
        assert!(stored.body().starts_with(b"\"metadata\":{"));
        assert_eq!(stored.metadata(), b"{\"resourceVersion\":\"7\",\"name\":\"c\"}");
        let later = stored.at(12345);
        assert_eq!(later.decode()["metadata"]["resourceVersion"], "12345");
        assert_eq!(later.decode()["data"], object["data"]);
        assert_eq!((later.namespace(), later.name()), ("n", "c"));
    }

    #[test]
    fn metadata_is_found_whatever_is_in_it() {
        let annotations = json!({"a": "}{\"\\", "b\\": "\\\"}", "c": ""});
        let metadata = json!({"resourceVersion": "3", "name": "n", "annotations": annotations, "ownerReferences": [{"uid": "u"}]});
        let object = json!({"kind": "T", "apiVersion": "v1", "metadata": metadata, "spec": {"metadata": {}}});
        let stored = Draft::new(&object, Terms::default()).at("n".into(), 3);
        let found: serde_json::Value = serde_json::from_slice(stored.metadata()).unwrap();
        assert_eq!(found, metadata);
    }

    #[test]
    fn terms_tell_labels_from_fields() {
        let terms = Terms::new([("app", "web"), ("empty", "")], [("metadata.name", "p"), ("app", "no")]);
        assert_eq!(terms.label("app"), Some("web"));
        assert_eq!(terms.label("empty"), Some(""));
        assert_eq!(terms.label("metadata.name"), None);
        assert_eq!(terms.field("metadata.name"), Some("p"));
        assert_eq!(terms.field("app"), Some("no"));
        assert_eq!(terms.field("empty"), None);
        assert_eq!(Terms::default().label("app"), None);
    }
}
