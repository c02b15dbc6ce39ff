//! From the nodes of a document to a JSON value: aliases and merges resolved, keys made texts.

use std::collections::HashSet;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};

use super::{
    float,
    scalar::{Scalar, resolve},
    tree::{Content, DEPTH_MAX, NodeId, ScalarNode, Tree, too_deep},
};
use crate::machinery::go_quoted;

/// Aliases may make a document grow, but not beyond this many bytes of texts.
const EXPANDED_BYTES_MAX: usize = 32 << 20;
/// More keys given twice than this are not told one by one.
const DUPLICATES_MAX: usize = 1000;

/// A document that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its value.
    pub value: Value,
    /// What a strict reader has to say of keys that are given twice (the last one counts).
    pub duplicates: Option<String>,
}

/// Reads the first document of `text`; nothing is `null`.
///
/// # Errors
/// What is wrong, and on which line.
pub fn read(text: &str) -> Result<Document, String> {
    if let Some(character) = text.chars().find(|character| !is_allowed(*character)) {
        debug_assert!(character.is_control() || u32::from(character) >= 0xfffe, "{character:?}");
        return Err("yaml: control characters are not allowed".to_owned());
    }
    let Some((tree, root)) = Tree::parse(text)? else {
        return Ok(Document { value: Value::Null, duplicates: None });
    };
    // The document itself counts as the first node.
    let mut reader =
        Reader { tree: &tree, expansion: Expansion { nodes: 1, ..Expansion::default() }, twice: Vec::new() };
    let value = reader.value(root, 0)?;
    let twice = reader.twice;
    let duplicates =
        (!twice.is_empty()).then(|| format!("yaml: unmarshal errors:\n  {}", twice.join("\n  ")));
    Ok(Document { value, duplicates })
}

/// The characters that may stand in YAML.
fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}

struct Reader<'a> {
    tree: &'a Tree<'a>,
    expansion: Expansion,
    twice: Vec<String>,
}

/// How much of what was read comes from aliases.
#[derive(Default)]
struct Expansion {
    nodes: usize,
    nodes_of_aliases: usize,
    bytes: usize,
    /// The aliases around this node.
    open: Vec<NodeId>,
}

/// A key as YAML has it: `1` and `"1"` are different keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Bool(bool),
    Int(i64),
    Float(u64),
    Text(String),
}

impl Reader<'_> {
    fn value(&mut self, id: NodeId, depth: usize) -> Result<Value, String> {
        self.expansion.count()?;
        let node = self.tree.node(id);
        match &node.content {
            Content::Alias(target) => {
                self.enter(*target)?;
                let value = self.value(*target, depth);
                self.expansion.open.pop();
                value
            }
            Content::Scalar(scalar) => {
                self.expansion.add_bytes(scalar.text.len())?;
                json(tagged(scalar)?)
            }
            _ if depth >= DEPTH_MAX => Err(too_deep()),
            Content::Sequence(items) => items
                .iter()
                .map(|item| self.value(*item, depth + 1))
                .collect::<Result<_, _>>()
                .map(Value::Array),
            Content::Mapping(entries) => {
                let (mut map, mut known) = (Map::new(), HashSet::new());
                self.entries(entries, &mut map, &mut known, depth + 1)?;
                Ok(Value::Object(map))
            }
        }
    }

    /// Adds keys and values to a map.
    fn entries(
        &mut self,
        entries: &[NodeId],
        map: &mut Map<String, Value>,
        known: &mut HashSet<Key>,
        depth: usize,
    ) -> Result<(), String> {
        for entry in entries.chunks_exact(2) {
            let (key, value) = (entry[0], entry[1]);
            if self.is_merge(key) {
                self.merge(value, map, known, depth)?;
                continue;
            }
            // A block is said to start where its `|` is.
            let line = match &self.tree.node(value).content {
                Content::Scalar(ScalarNode { is_block: true, .. }) => self.tree.node(key).line,
                _ => self.tree.node(value).line,
            };
            let key = self.key(key)?;
            let value = self.value(value, depth)?;
            map.insert(key.to_text(), value);
            // No number that is none equals another.
            let is_new = key == Key::Float(f64::NAN.to_bits()) || known.insert(key.clone());
            if !is_new && self.twice.len() < DUPLICATES_MAX {
                self.twice.push(format!("line {line}: key {} already set in map", key.in_go()));
            }
        }
        Ok(())
    }

    fn is_merge(&self, key: NodeId) -> bool {
        match &self.tree.node(key).content {
            Content::Scalar(ScalarNode { text, is_plain, tag, .. }) => {
                text == "<<" && ((*is_plain && tag.is_empty()) || tag == "!!merge" || tag == "!")
            }
            _ => false,
        }
    }

    /// Adds the entries of a map, or of several of which the first counts, that `<<` refers to.
    fn merge(
        &mut self,
        value: NodeId,
        map: &mut Map<String, Value>,
        known: &mut HashSet<Key>,
        depth: usize,
    ) -> Result<(), String> {
        let refused = || "yaml: map merge requires map or sequence of maps as the value".to_owned();
        if depth >= DEPTH_MAX {
            return Err(too_deep());
        }
        let merged = match &self.tree.node(value).content {
            Content::Sequence(items) => items.iter().rev().copied().collect(),
            _ => vec![value],
        };
        for id in merged {
            self.expansion.count()?;
            let target = self.tree.target(id);
            let Content::Mapping(entries) = &self.tree.node(target).content else { return Err(refused()) };
            if target == id {
                self.entries(entries, map, known, depth + 1)?;
            } else {
                self.enter(target)?;
                self.expansion.count()?;
                self.entries(entries, map, known, depth + 1)?;
                self.expansion.open.pop();
            }
        }
        Ok(())
    }

    fn enter(&mut self, target: NodeId) -> Result<(), String> {
        // An alias that stands inside of its own anchor is met again below itself.
        if self.expansion.open.contains(&target) {
            return Err(format!("yaml: anchor '{}' value contains itself", self.tree.name(target)));
        }
        self.expansion.open.push(target);
        Ok(())
    }

    fn key(&mut self, id: NodeId) -> Result<Key, String> {
        self.expansion.count()?;
        let target = self.tree.target(id);
        if target != id {
            self.expansion.count()?;
        }
        let Content::Scalar(scalar) = &self.tree.node(target).content else {
            let value = self.value(target, 0)?;
            return Err(format!("yaml: invalid map key: {}", in_go(&value)));
        };
        self.expansion.add_bytes(scalar.text.len())?;
        match tagged(scalar)? {
            Read::Text(text) => Ok(Key::Text(text)),
            Read::Bool(value) => Ok(Key::Bool(value)),
            Read::Int(value) => Ok(Key::Int(value)),
            Read::Float(value) => Ok(Key::Float(value.to_bits())),
            Read::Uint(value) => Err(unsupported_key("uint64", &format!("{value:#x}"))),
            Read::Null => Err(unsupported_key("%!s(<nil>)", "<nil>")),
        }
    }
}

impl Expansion {
    /// Counts a node, and refuses documents that consist of aliases: the same share of them as Kubernetes does.
    fn count(&mut self) -> Result<(), String> {
        self.nodes += 1;
        if !self.open.is_empty() {
            self.nodes_of_aliases += 1;
        }
        let share = self.nodes_of_aliases as f64 / self.nodes as f64;
        let is_excessive =
            self.nodes_of_aliases > 100 && self.nodes > 1000 && share > allowed_share(self.nodes);
        if is_excessive { Err(excessive()) } else { Ok(()) }
    }

    fn add_bytes(&mut self, bytes: usize) -> Result<(), String> {
        if !self.open.is_empty() {
            self.bytes += bytes;
        }
        if self.bytes > EXPANDED_BYTES_MAX { Err(excessive()) } else { Ok(()) }
    }
}

fn excessive() -> String {
    "yaml: document contains excessive aliasing".to_owned()
}

fn allowed_share(nodes: usize) -> f64 {
    const LOW: f64 = 400_000.0;
    const HIGH: f64 = 4_000_000.0;
    let nodes = (nodes as f64).clamp(LOW, HIGH);
    0.99 - 0.89 * ((nodes - LOW) / (HIGH - LOW))
}

fn unsupported_key(kind: &str, key: &str) -> String {
    format!("unsupported map key of type: {kind}, key: {key}")
}

impl Key {
    fn to_text(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(bits) => float::key(f64::from_bits(*bits)),
            Self::Text(text) => text.clone(),
        }
    }

    /// As Go writes it in a sentence.
    fn in_go(&self) -> String {
        match self {
            Self::Text(text) => go_quoted(text),
            other => other.to_text(),
        }
    }
}

/// A scalar that was read.
enum Read {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(String),
}

/// Reads a scalar by its tag, if it has one, or else by what it looks like.
fn tagged(scalar: &ScalarNode<'_>) -> Result<Read, String> {
    let ScalarNode { text, is_plain, tag, .. } = scalar;
    let as_text = || Read::Text(text.as_ref().to_owned());
    let read = match tag.as_str() {
        "" if !is_plain => return Ok(as_text()),
        "" | "!!bool" | "!!int" | "!!float" | "!!null" | "!!timestamp" => resolve(text),
        "!!binary" => {
            let bytes = BASE64_STANDARD
                .decode(text.as_bytes())
                .map_err(|_| "yaml: !!binary value contains invalid base64 data".to_owned())?;
            return Ok(Read::Text(String::from_utf8_lossy(&bytes).into_owned()));
        }
        _ => return Ok(as_text()),
    };
    let found = match read {
        Scalar::Null => "!!null",
        Scalar::Bool(_) => "!!bool",
        Scalar::Int(_) | Scalar::Uint(_) => "!!int",
        Scalar::Float(_) => "!!float",
        Scalar::Timestamp => "!!timestamp",
        Scalar::Text => "!!str",
    };
    match read {
        Scalar::Int(value) if tag == "!!float" => Ok(Read::Float(value as f64)),
        _ if !tag.is_empty() && tag != found => {
            Err(format!("yaml: cannot decode {found} `{text}` as a {tag}"))
        }
        Scalar::Null => Ok(Read::Null),
        Scalar::Bool(value) => Ok(Read::Bool(value)),
        Scalar::Int(value) => Ok(Read::Int(value)),
        Scalar::Uint(value) => Ok(Read::Uint(value)),
        Scalar::Float(value) => Ok(Read::Float(value)),
        Scalar::Timestamp | Scalar::Text => Ok(as_text()),
    }
}

fn json(read: Read) -> Result<Value, String> {
    Ok(match read {
        Read::Null => Value::Null,
        Read::Bool(value) => Value::Bool(value),
        Read::Int(value) => value.into(),
        Read::Uint(value) => value.into(),
        Read::Text(text) => Value::String(text),
        Read::Float(value) => Value::Number(float::number(value).ok_or_else(|| {
            let name = if value.is_nan() {
                "NaN"
            } else if value > 0.0 {
                "+Inf"
            } else {
                "-Inf"
            };
            format!("json: unsupported value: {name}")
        })?),
    })
}

/// A collection as Go prints it with `%#v`.
fn in_go(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => go_quoted(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(in_go).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(map) => {
            let entries: Vec<_> =
                map.iter().map(|(key, value)| format!("{}:{}", go_quoted(key), in_go(value))).collect();
            format!("map[interface {{}}]interface {{}}{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}
