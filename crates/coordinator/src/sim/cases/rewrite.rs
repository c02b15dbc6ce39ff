//! Writing into a case what the observers do, in the place of what it said; all else stays as it is, comments too.

use std::ops::Range;

use granit_parser::{Event, Parser, StructureStyle};
use serde_json::Value;

use super::file::Case;

/// A node, as it stands in the text.
struct Node {
    range: Range<usize>,
    /// How far to the right it begins.
    column: usize,
    /// Whether it is written in brackets.
    is_flow: bool,
    content: Content,
}

enum Content {
    Scalar(String),
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
    Alias,
    /// The value of a key behind which nothing has come yet.
    Missing,
}

/// The same text, but with these lines as `does` of the start and of each step.
pub(super) fn rewrite(text: &str, does: &[Vec<String>]) -> Result<String, String> {
    let root = parse(text)?;
    let mut edits = Vec::new();
    if let Some(lines) = does.first() {
        edits.extend(edit(text, &root, lines));
    }
    if let Some(Node { content: Content::Sequence(steps), .. }) = root.get("steps") {
        for (step, lines) in steps.iter().zip(does.iter().skip(1)) {
            edits.extend(edit(text, step, lines));
        }
    }
    edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    let mut text = text.to_owned();
    for (range, new) in edits {
        text.replace_range(range, &new);
    }
    // What cannot be read back as it was meant is not written.
    let read = Case::parse(&text).map_err(|mistake| mistake.message)?;
    let read: Vec<Vec<String>> = read.turns().into_iter().map(|(_, turn)| turn.does).collect();
    if read == does { Ok(text) } else { Err("`does` cannot be put there".to_owned()) }
}

/// What is to be written where, so that `does` of this step says these lines.
fn edit(text: &str, step: &Node, lines: &[String]) -> Option<(Range<usize>, String)> {
    let Content::Mapping(entries) = &step.content else { return None };
    let old = entries.iter().find(|(key, _)| key.is("does"));
    let says = old.is_some_and(|(_, value)| value.is_list_of(lines));
    if says || (old.is_none() && lines.is_empty()) {
        return None;
    }
    if let Some((key, value)) = old {
        let new = if step.is_flow { in_brackets(lines) } else { in_block(key.column, lines) };
        return Some((key.range.start..value.range.end, format!("does:{new}")));
    }
    let (first, last) = (entries.first()?, entries.last()?);
    if step.is_flow {
        return Some((last.1.range.end..last.1.range.end, format!(", does:{}", in_brackets(lines))));
    }
    let new = format!("does:{}", in_block(first.0.column, lines));
    let indent = " ".repeat(first.0.column);
    // Before what is asked of the end, and else behind everything.
    if let Some((key, _)) =
        entries.iter().find(|(key, _)| key.is("then") || key.is("gone") || key.is("steps"))
    {
        return Some((key.range.start..key.range.start, format!("{new}\n{indent}")));
    }
    let end = last.1.range.end;
    if text[..end].ends_with('\n') {
        return Some((end..end, format!("{indent}{new}\n")));
    }
    let end = text[end..].find('\n').map_or(text.len(), |length| end + length);
    Some((end..end, format!("\n{indent}{new}")))
}

fn in_block(column: usize, lines: &[String]) -> String {
    if lines.is_empty() {
        return " []".to_owned();
    }
    let indent = " ".repeat(column + 2);
    let items: Vec<String> =
        lines.iter().map(|line| format!("\n{indent}- {}", scalar(line, false))).collect();
    items.concat()
}

fn in_brackets(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| scalar(line, true)).collect();
    format!(" [{}]", lines.join(", "))
}

/// A line as YAML: as it is where that is read back as it is.
fn scalar(line: &str, in_brackets: bool) -> String {
    let plain = line.starts_with(|first: char| first.is_ascii_alphabetic())
        && line.contains(' ')
        && !line.ends_with([' ', ':'])
        && !line.contains(": ")
        && !line.contains(" #")
        && !line.chars().any(char::is_control)
        && !(in_brackets && line.contains(['[', ']', '{', '}', ',']));
    if plain { line.to_owned() } else { Value::from(line).to_string() }
}

fn parse(text: &str) -> Result<Node, String> {
    let mut open: Vec<Node> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| error.to_string())?;
        let Some(range) = span.byte_range() else { return Err("it has no places".to_owned()) };
        let column = span.start.col();
        let node = |style, content| Node {
            range: range.clone(),
            column,
            is_flow: style == StructureStyle::Flow,
            content,
        };
        let done = match event {
            Event::Scalar(value, ..) => node(StructureStyle::Block, Content::Scalar(value.into_owned())),
            Event::Alias(_) => node(StructureStyle::Block, Content::Alias),
            Event::SequenceStart(style, ..) => {
                open.push(node(style, Content::Sequence(Vec::new())));
                continue;
            }
            Event::MappingStart(style, ..) => {
                open.push(node(style, Content::Mapping(Vec::new())));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(mut node) = open.pop() else { return Err("an end without a beginning".to_owned()) };
                node.end(range.end);
                node
            }
            _ => continue,
        };
        match open.last_mut() {
            Some(parent) => parent.add(done),
            None => return Ok(done),
        }
    }
    Err("it is empty".to_owned())
}

impl Node {
    fn is(&self, name: &str) -> bool {
        matches!(&self.content, Content::Scalar(text) if text == name)
    }

    fn is_list_of(&self, lines: &[String]) -> bool {
        let Content::Sequence(items) = &self.content else { return false };
        items.len() == lines.len() && items.iter().zip(lines).all(|(item, line)| item.is(line))
    }

    fn get(&self, name: &str) -> Option<&Node> {
        let Content::Mapping(entries) = &self.content else { return None };
        entries.iter().find(|(key, _)| key.is(name)).map(|(_, value)| value)
    }

    fn add(&mut self, node: Node) {
        match &mut self.content {
            Content::Sequence(items) => items.push(node),
            Content::Mapping(entries) => match entries.last_mut() {
                Some((_, value)) if matches!(value.content, Content::Missing) => *value = node,
                _ => {
                    let value = Node { range: 0..0, column: 0, is_flow: false, content: Content::Missing };
                    entries.push((node, value));
                }
            },
            Content::Scalar(_) | Content::Alias | Content::Missing => {}
        }
    }

    /// A collection ends with its bracket, or where its last node does.
    fn end(&mut self, end: usize) {
        let last = match &self.content {
            Content::Sequence(items) => items.last(),
            Content::Mapping(entries) => entries.last().map(|(_, value)| value),
            Content::Scalar(_) | Content::Alias | Content::Missing => None,
        };
        self.range.end = if self.is_flow { end } else { last.map_or(self.range.end, |last| last.range.end) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn becomes(text: &str, does: &[&[&str]], new: &str) {
        let does: Vec<Vec<String>> =
            does.iter().map(|lines| lines.iter().map(|line| (*line).to_owned()).collect()).collect();
        assert_eq!(rewrite(text, &does).unwrap(), new);
        assert_eq!(rewrite(new, &does).unwrap(), new, "what it says stays");
    }

    #[test]
    fn only_what_is_done_is_written_and_comments_stay() {
        becomes(
            "# why\nrule: it does\nobjects: [] # none\nsteps:\n  # first\n  - after: 1s # then\n\n  - after: 2s\n    \
             does: [old one, \"old: two\"] # said\n    then: []\n",
            &[&["apply A b"], &["delete A b", "Normal X A b: #1"], &["apply A c"]],
            "# why\nrule: it does\nobjects: [] # none\ndoes:\n  - apply A b\nsteps:\n  # first\n  - after: 1s # then\n    \
             does:\n      - delete A b\n      - \"Normal X A b: #1\"\n\n  - after: 2s\n    does:\n      - apply A c # said\n    \
             then: []\n",
        );
    }

    #[test]
    fn a_step_in_brackets_stays_in_brackets() {
        becomes(
            "rule: it does\nsteps: [{after: 1s}, {after: 2s, does: [a b]}]",
            &[&[], &["a b, c"], &[]],
            "rule: it does\nsteps: [{after: 1s, does: [\"a b, c\"]}, {after: 2s, does: []}]",
        );
    }

    #[test]
    fn lists_in_blocks_are_replaced_whole() {
        becomes(
            "rule: it does\nsteps:\n- does:\n  - a b\n  - c d\n  after: |\n    1s\n- after: >\n    2s\n",
            &[&[], &["e f"], &["g h"]],
            "rule: it does\nsteps:\n- does:\n    - e f\n  after: |\n    1s\n- after: >\n    2s\n  does:\n    - g h\n",
        );
    }
}
