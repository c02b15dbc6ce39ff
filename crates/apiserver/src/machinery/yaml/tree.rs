//! The nodes of a document as they stand in it: aliases not yet resolved, scalars not yet read.

use std::{borrow::Cow, collections::HashMap};

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, StructureStyle, Tag};

/// Collections nested deeper than this are refused.
pub(super) const DEPTH_MAX: usize = 128;

/// All nodes of a document.
pub(super) struct Tree<'a> {
    nodes: Vec<Node<'a>>,
    /// The names by which nodes are referred to.
    names: HashMap<NodeId, Cow<'a, str>>,
}

/// The position of a node in its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct NodeId(usize);

pub(super) struct Node<'a> {
    /// The line on which it starts, from 1.
    pub(super) line: usize,
    pub(super) content: Content<'a>,
}

pub(super) enum Content<'a> {
    Scalar(ScalarNode<'a>),
    Sequence(Vec<NodeId>),
    /// Keys and values by turns.
    Mapping(Vec<NodeId>),
    Alias(NodeId),
}

pub(super) struct ScalarNode<'a> {
    pub(super) text: Cow<'a, str>,
    /// Whether it has no quotes.
    pub(super) is_plain: bool,
    /// Whether it is a block behind `|` or `>`.
    pub(super) is_block: bool,
    /// The tag, such as `!!str`; empty if there is none.
    pub(super) tag: String,
}

impl<'a> Tree<'a> {
    /// Reads the first document of `text`, and nothing behind it. `None` if there is none.
    pub(super) fn parse(text: &'a str) -> Result<Option<(Self, NodeId)>, String> {
        let mut options = granit_parser::options! {
            bom_inside_document_as_content: true,
            emit_anchor_events: true,
            block_scalar_eof_without_line_feed: true,
            flow_nesting_limit: DEPTH_MAX,
            block_nesting_limit: DEPTH_MAX,
        };
        options.set_emit_comments(false);
        let mut builder = Builder {
            tree: Tree { nodes: Vec::new(), names: HashMap::new() },
            open: Vec::new(),
            flow: 0,
            anchors: HashMap::new(),
            root: None,
        };
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|error| sentence(&error, text))?;
            let is_node = event.is_node() && !matches!(event, Event::Alias(_));
            if is_node && builder.flow == 0 && is_behind_tab(text, span.start.byte_offset()) {
                return Err(characters(span.start.line(), NO_TOKEN));
            }
            if builder.add(event, span.start.line())? {
                break;
            }
        }
        Ok(builder.root.map(|root| (builder.tree, root)))
    }

    /// A node.
    pub(super) fn node(&self, id: NodeId) -> &Node<'a> {
        &self.nodes[id.0]
    }

    /// The name of a node's anchor.
    pub(super) fn name(&self, id: NodeId) -> &str {
        self.names.get(&id).map_or("", AsRef::as_ref)
    }

    /// The node itself, or what it is an alias of.
    pub(super) fn target(&self, id: NodeId) -> NodeId {
        match self.node(id).content {
            Content::Alias(target) => target,
            _ => id,
        }
    }
}

struct Builder<'a> {
    tree: Tree<'a>,
    /// The collections around the next node.
    open: Vec<NodeId>,
    /// How many of them are written in brackets.
    flow: usize,
    anchors: HashMap<usize, NodeId>,
    root: Option<NodeId>,
}

impl<'a> Builder<'a> {
    /// Counts a collection in brackets, and all that is inside of it.
    fn enter(&mut self, style: StructureStyle) {
        if style == StructureStyle::Flow || self.flow > 0 {
            self.flow += 1;
        }
    }

    /// Adds what an event tells; `true` at the end of the document.
    fn add(&mut self, event: Event<'a>, line: usize) -> Result<bool, String> {
        let (content, anchor) = match event {
            Event::DocumentEnd => return Ok(true),
            Event::DocumentStart(_, Some(version)) if (version.major, version.minor) != (1, 1) => {
                return Err("yaml: found incompatible YAML document".to_owned());
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
                self.flow = self.flow.saturating_sub(1);
                return Ok(false);
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain;
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let tag = tag.as_deref().map(short_tag).unwrap_or_default();
                (Content::Scalar(ScalarNode { text, is_plain, is_block, tag }), anchor)
            }
            Event::SequenceStart(style, anchor, _) => {
                self.enter(style);
                (Content::Sequence(Vec::new()), anchor)
            }
            Event::MappingStart(style, anchor, _) => {
                self.enter(style);
                (Content::Mapping(Vec::new()), anchor)
            }
            Event::Anchor(anchor, name) => {
                if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)) {
                    return Err(characters(line, "did not find expected alphabetic or numeric character"));
                }
                if let Some(id) = self.anchors.get(&anchor) {
                    self.tree.names.insert(*id, name);
                }
                return Ok(false);
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(target) => (Content::Alias(*target), 0),
                None => return Err("yaml: unknown anchor referenced".to_owned()),
            },
            _ => return Ok(false),
        };
        let id = NodeId(self.tree.nodes.len());
        let is_collection = matches!(content, Content::Sequence(_) | Content::Mapping(_));
        self.tree.nodes.push(Node { line, content });
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        match self.open.last() {
            None => self.root = Some(id),
            Some(parent) => match &mut self.tree.nodes[parent.0].content {
                Content::Sequence(items) | Content::Mapping(items) => items.push(id),
                // Nothing else is ever opened.
                Content::Scalar(_) | Content::Alias(_) => {}
            },
        }
        if is_collection {
            if self.open.len() >= DEPTH_MAX {
                return Err(too_deep());
            }
            self.open.push(id);
        }
        Ok(false)
    }
}

pub(super) fn too_deep() -> String {
    format!("yaml: exceeded max depth of {DEPTH_MAX}")
}

fn short_tag(tag: &Tag) -> String {
    let whole = format!("{}{}", tag.handle(), tag.suffix());
    match whole.strip_prefix("tag:yaml.org,2002:") {
        Some(name) => format!("!!{name}"),
        None => whole,
    }
}

/// What is wrong, in the words of Kubernetes' library where it has some for it.
fn sentence(error: &ScanError, text: &str) -> String {
    let (line, column) = (error.marker().line(), error.marker().col());
    match error.kind() {
        ErrorKind::RecursionLimitExceeded => too_deep(),
        ErrorKind::UnknownAnchor => {
            format!("yaml: unknown anchor '{}' referenced", alias_at(text, line, column))
        }
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::UnexpectedEofBlockMapping
        | ErrorKind::MisplacedFlowCollectionEnd
        | ErrorKind::InvalidTrailingSingleQuotedScalar
        | ErrorKind::InvalidTrailingDoubleQuotedScalar => grammar(line, "did not find expected key"),
        ErrorKind::ExpectedBlockSequenceEntry | ErrorKind::UnexpectedEofBlockSequence => {
            grammar(line, "did not find expected '-' indicator")
        }
        ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnclosedFlowCollection { open: '{' } => {
            grammar(line, "did not find expected ',' or '}'")
        }
        ErrorKind::ExpectedFlowSequenceSeparator | ErrorKind::UnexpectedEofFlowSequence => {
            grammar(line, "did not find expected ',' or ']'")
        }
        ErrorKind::UnclosedFlowCollection { .. } => {
            grammar(text.lines().count() + 1, "did not find expected ',' or ']'")
        }
        ErrorKind::ExpectedNodeContent => grammar(line, "did not find expected node content"),
        ErrorKind::ExpectedDocumentStart => grammar(line, "did not find expected <document start>"),
        ErrorKind::UndeclaredTagHandle => grammar(line, "found undefined tag handle"),
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::UnexpectedCharacter { .. } => characters(line, NO_TOKEN),
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            characters(line, "could not find expected ':'")
        }
        ErrorKind::BlockSequenceEntryNotAllowed => {
            characters(line, "block sequence entries are not allowed in this context")
        }
        ErrorKind::TabInPlainScalar => {
            characters(line + 1, "found a tab character that violates indentation")
        }
        ErrorKind::UnclosedQuotedScalar => characters(text.lines().count(), "found unexpected end of stream"),
        ErrorKind::DocumentIndicatorInQuotedScalar => characters(line, "found unexpected document indicator"),
        ErrorKind::UnknownQuotedScalarEscape => characters(line, "found unknown escape character"),
        _ => {
            let info = error.info();
            let what = info.strip_prefix("while ").and_then(|info| info.split_once(", "));
            characters(line, what.map_or(info.as_str(), |(_, what)| what))
        }
    }
}

const NO_TOKEN: &str = "found character that cannot start any token";

/// An error of the grammar. Kubernetes' library counts the lines of these from 0, and does not tell the first.
fn grammar(line: usize, what: &str) -> String {
    match line.saturating_sub(1) {
        0 => format!("yaml: {what}"),
        line => format!("yaml: line {line}: {what}"),
    }
}

/// An error of single characters, whose lines count from 1; the first is not told.
fn characters(line: usize, what: &str) -> String {
    if line <= 1 { format!("yaml: {what}") } else { format!("yaml: line {line}: {what}") }
}

/// Whether a tab stands before a place where nothing but indentation and `-` do: there YAML 1.1 does not allow it.
fn is_behind_tab(text: &str, place: Option<usize>) -> bool {
    let before = place.and_then(|place| text.get(..place)).unwrap_or_default().as_bytes();
    let mut has_tab = false;
    for byte in before.iter().rev() {
        match byte {
            b'\n' => break,
            b'\t' => has_tab = true,
            b' ' | b'-' | b'?' => {}
            _ => return false,
        }
    }
    has_tab
}

/// The name behind the `*` at a place.
fn alias_at(text: &str, line: usize, column: usize) -> &str {
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let start = line.char_indices().nth(column).map_or(line.len(), |(position, _)| position);
    let behind = line[start..].trim_start_matches('*');
    let end =
        behind.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').unwrap_or(behind.len());
    &behind[..end]
}
