//! The JSONPath of Kubernetes (`k8s.io/client-go/util/jsonpath`), as far as columns of custom resources go: fields,
//! indices and slices, unions, wildcards, recursive descent and filters. There are no ranges and no templates.

use std::borrow::Cow;

use serde_json::Value;

/// A path that has been read.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPath(Vec<Node>);

/// Why a text is no path, or why a path does not fit a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonPathError(String);

type Result<T> = std::result::Result<T, JsonPathError>;
type Results<'a> = Vec<Cow<'a, Value>>;

/// No column needs more; without a limit, a path of many `..` multiplies what it finds.
const RESULTS_MAX: usize = 10_000;

#[derive(Debug, Clone, PartialEq)]
enum Node {
    /// A text, number or flag that stands for itself.
    Literal(Value),
    Field(String),
    Slice(Slice),
    Union(Vec<Vec<Node>>),
    Wildcard,
    Recursive,
    Filter(Box<Filter>),
}

#[derive(Debug, Clone, PartialEq)]
struct Slice {
    start: Option<i64>,
    /// `None`: to the end.
    end: Option<i64>,
    /// Whether the end follows from the start, as an index is a slice of one.
    single: bool,
    step: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
struct Filter {
    left: Vec<Node>,
    /// Operator and right side; without them the left side need only exist.
    compared: Option<(String, Vec<Node>)>,
}

fn error<T>(message: impl Into<String>) -> Result<T> {
    Err(JsonPathError(message.into()))
}

impl JsonPath {
    /// Reads a path such as `.status.conditions[?(@.type=="Ready")].status`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self> {
        nodes(text).map(Self)
    }

    /// What the path finds in `value`, nothing where fields are missing.
    ///
    /// # Errors
    /// Where an index is out of bounds, or the path does not fit the value's type.
    pub fn find<'a>(&'a self, value: &'a Value) -> Result<Results<'a>> {
        walk(vec![Cow::Borrowed(value)], &self.0)
    }
}

fn is_end(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}')
}

fn is_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

fn nodes(text: &str) -> Result<Vec<Node>> {
    let mut nodes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(filter) = rest.strip_prefix("[?(") {
            let (node, after) = filter_node(filter)?;
            nodes.push(node);
            rest = after;
            continue;
        }
        if let Some(after) = rest.strip_prefix("..") {
            if nodes.last() == Some(&Node::Recursive) {
                return error("invalid multiple recursive descent");
            }
            nodes.push(Node::Recursive);
            rest = after;
            if rest.starts_with(is_word) {
                rest = field(rest, &mut nodes);
            }
            continue;
        }
        let after = &rest[first.len_utf8()..];
        rest = match first {
            '\n' | '\r' => return error("unclosed action"),
            ' ' | '@' | '$' => after,
            '[' => array(after, &mut nodes)?,
            '"' | '\'' => quoted(first, after, &mut nodes)?,
            '.' => field(after, &mut nodes),
            '+' | '-' | '0'..='9' => number(rest, &mut nodes)?,
            _ if is_word(first) => {
                let (word, after) = rest.split_at(rest.find(is_end).unwrap_or(rest.len()));
                match word {
                    "true" | "false" => nodes.push(Node::Literal((word == "true").into())),
                    word => return error(format!("unrecognized identifier {word}")),
                }
                after
            }
            other => return error(format!("unrecognized character in action: {other:?}")),
        };
    }
    Ok(nodes)
}

fn field<'a>(text: &'a str, nodes: &mut Vec<Node>) -> &'a str {
    let mut name = String::new();
    let mut end = text.len();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        if character == '\\' {
            name.extend(characters.next().map(|(_, escaped)| escaped));
        } else if is_end(character) {
            end = index;
            break;
        } else {
            name.push(character);
        }
    }
    nodes.push(if &text[..end] == "*" { Node::Wildcard } else { Node::Field(name) });
    &text[end..]
}

fn number<'a>(text: &'a str, nodes: &mut Vec<Node>) -> Result<&'a str> {
    let signs = usize::from(text.starts_with(['+', '-']));
    let end =
        text[signs..].find(|c: char| c != '.' && !c.is_ascii_digit()).map_or(text.len(), |at| at + signs);
    let (digits, rest) = text.split_at(end);
    let value = match (digits.parse::<i64>(), digits.parse::<f64>()) {
        (Ok(whole), _) => Value::from(whole),
        (_, Ok(number)) => Value::from(number),
        _ => return error(format!("cannot parse number {digits}")),
    };
    nodes.push(Node::Literal(value));
    Ok(rest)
}

/// Reads a quoted text behind its opening quote.
fn quoted<'a>(quote: char, text: &'a str, nodes: &mut Vec<Node>) -> Result<&'a str> {
    let mut literal = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '\n' => break,
            '\\' => match characters.next() {
                Some((_, 'n')) => literal.push('\n'),
                Some((_, 't')) => literal.push('\t'),
                Some((_, escaped @ ('\\' | '"' | '\''))) => literal.push(escaped),
                _ => return error("unquote string: invalid syntax"),
            },
            character if character == quote => {
                nodes.push(Node::Literal(literal.into()));
                return Ok(&text[index + quote.len_utf8()..]);
            }
            character => literal.push(character),
        }
    }
    error("unterminated quoted string")
}

/// Reads an index, slice, key or union behind its `[`.
fn array<'a>(text: &'a str, found: &mut Vec<Node>) -> Result<&'a str> {
    let Some((inner, rest)) = text.split_once(']').filter(|(inner, _)| !inner.contains('\n')) else {
        return error("unterminated array");
    };
    if inner.contains(',') {
        let members: Result<Vec<Vec<Node>>> = inner
            .split(',')
            .map(|member| {
                let mut nodes = Vec::new();
                array_member(member.trim_matches(' '), &mut nodes)?;
                Ok(nodes)
            })
            .collect();
        found.push(Node::Union(members?));
    } else {
        array_member(inner, found)?;
    }
    Ok(rest)
}

fn array_member(text: &str, found: &mut Vec<Node>) -> Result<()> {
    let key = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
    if let Some(key) = key.filter(|key| !key.contains('\'')) {
        // A key is read as a path of its own, so that dots in it must be escaped.
        found.extend(nodes(&format!(".{key}"))?);
        return Ok(());
    }
    let parts: Vec<&str> = if text == "*" { vec!["", ""] } else { text.split(':').collect() };
    let index = |part: &str| -> Result<Option<i64>> {
        match part {
            "" => Ok(None),
            part => part.parse().map(Some).map_err(|_| JsonPathError(format!("invalid array index {text}"))),
        }
    };
    let start = index(parts[0])?;
    let slice = match parts.as_slice() {
        [_] => Slice { start, end: Some(start.unwrap_or(0).saturating_add(1)), single: true, step: None },
        [_, end] => Slice { start, end: index(end)?, single: false, step: None },
        [_, end, step] => Slice { start, end: index(end)?, single: false, step: index(step)? },
        _ => return error(format!("invalid array index {text}")),
    };
    found.push(Node::Slice(slice));
    Ok(())
}

/// Reads a filter behind its `[?(`.
fn filter_node(text: &str) -> Result<(Node, &str)> {
    let end = filter_end(text)?;
    let (inner, rest) = text.split_at(end);
    let Some(rest) = rest[1..].strip_prefix(']') else { return error("unclosed array expect ]") };
    let is_operator = |c: char| "!<>=".contains(c);
    let compared = inner.find(is_operator).filter(|at| *at > 0).and_then(|at| {
        let (left, rest) = inner.split_at(at);
        let end = rest.find(|c| !is_operator(c))?;
        Some((left, rest.split_at(end)))
    });
    let filter = match compared {
        None => Filter { left: nodes(inner)?, compared: None },
        Some((left, (operator, right))) => {
            Filter { left: nodes(left)?, compared: Some((operator.to_owned(), nodes(right)?)) }
        }
    };
    Ok((Node::Filter(Box::new(filter)), rest))
}

/// Where the parenthesis of a filter closes; it may hold one quoted text with parentheses in it.
fn filter_end(text: &str) -> Result<usize> {
    let mut quote = None;
    let mut closed = false;
    let mut before = '(';
    for (index, character) in text.char_indices() {
        match character {
            '\n' => break,
            '"' | '\'' => match quote {
                None => quote = Some(character),
                Some(open) if open == character && before != '\\' => closed = true,
                Some(_) => {}
            },
            ')' if quote.is_some() == closed => return Ok(index),
            _ => {}
        }
        before = character;
    }
    error("unterminated filter")
}

fn walk<'a>(input: Results<'a>, nodes: &'a [Node]) -> Result<Results<'a>> {
    nodes.iter().try_fold(input, |input, node| {
        let found = step(input, node)?;
        if found.len() > RESULTS_MAX { error("too many results") } else { Ok(found) }
    })
}

fn step<'a>(input: Results<'a>, node: &'a Node) -> Result<Results<'a>> {
    let mut found = Vec::new();
    match node {
        Node::Literal(value) => found.push(Cow::Borrowed(value)),
        Node::Field(name) => {
            for value in input {
                found.extend(part(value, |value| value.get(name.as_str()).into_iter().collect()));
            }
        }
        Node::Wildcard => {
            for value in input {
                found.extend(part(value, children));
            }
        }
        Node::Recursive => {
            for value in input {
                found.extend(part(value, |value| {
                    let mut all = Vec::new();
                    containers(value, &mut all);
                    all
                }));
                if found.len() > RESULTS_MAX {
                    break;
                }
            }
        }
        Node::Slice(slice) => {
            for value in input {
                if value.is_null() {
                    continue;
                }
                let Some(list) = value.as_array() else { return error("not an array or slice") };
                let range = slice.range(list.len())?;
                let step = slice.step.map_or(1, |step| step as usize);
                found.extend(part(value, |value| {
                    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
                    list.get(range).unwrap_or_default().iter().step_by(step).collect()
                }));
            }
        }
        Node::Union(members) => {
            for member in members {
                found.extend(walk(input.clone(), member)?);
            }
        }
        Node::Filter(filter) => {
            for value in input {
                let Cow::Borrowed(value) = value else { return error("not an array or slice") };
                let Some(list) = value.as_array() else { return error("not an array or slice") };
                for item in list {
                    if filter.passes(item)? {
                        found.push(Cow::Borrowed(item));
                    }
                }
            }
        }
    }
    Ok(found)
}

/// Parts of a value, borrowed from where it is borrowed from.
fn part<'a>(value: Cow<'a, Value>, of: impl for<'b> FnOnce(&'b Value) -> Vec<&'b Value>) -> Results<'a> {
    match value {
        Cow::Borrowed(value) => of(value).into_iter().map(Cow::Borrowed).collect(),
        Cow::Owned(value) => of(&value).into_iter().cloned().map(Cow::Owned).collect(),
    }
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(list) => list.iter().collect(),
        Value::Object(map) => map.values().collect(),
        _ => Vec::new(),
    }
}

/// The value and all within it that hold something, outer before inner.
fn containers<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    let children = children(value);
    if children.is_empty() || found.len() > RESULTS_MAX {
        return;
    }
    found.push(value);
    for child in children {
        containers(child, found);
    }
}

impl Slice {
    fn range(&self, length: usize) -> Result<std::ops::Range<usize>> {
        let length = length as i64;
        let mut start = self.start.unwrap_or(0);
        if start < 0 {
            start = start.saturating_add(length);
        }
        let mut end = self.end.unwrap_or(length);
        if end < 0 || (end == 0 && self.single) {
            end = end.saturating_add(length);
        }
        if self.step.is_some_and(|step| step <= 0) {
            return error("step must be > 0");
        }
        if start == end {
            return Ok(0..0);
        }
        if start < 0 || start >= length || end < 0 || end > length {
            return error(format!("array index out of bounds: index {start}, length {length}"));
        }
        if start > end {
            return error(format!("starting index {start} is greater than ending index {end}"));
        }
        Ok(start as usize..end as usize)
    }
}

impl Filter {
    fn passes(&self, item: &Value) -> Result<bool> {
        let side = |nodes| walk(vec![Cow::Borrowed(item)], nodes);
        let Some((operator, right)) = &self.compared else {
            return Ok(side(&self.left).is_ok_and(|found| !found.is_empty()));
        };
        let (left, right) = (side(&self.left)?, side(right)?);
        match (left.as_slice(), right.as_slice()) {
            ([], _) | (_, []) => Ok(false),
            ([left], [right]) => compare(left, operator, right),
            _ => error("can only compare one element at a time"),
        }
    }
}

fn compare(left: &Value, operator: &str, right: &Value) -> Result<bool> {
    let order = match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) if matches!(operator, "==" | "!=") => Some(left.cmp(right)),
        // Whole numbers compare with whole ones only, as in Go.
        (Value::Number(left), Value::Number(right)) if left.is_f64() == right.is_f64() => {
            match (left.as_i64(), right.as_i64()) {
                (Some(left), Some(right)) => Some(left.cmp(&right)),
                _ => left.as_f64().partial_cmp(&right.as_f64()),
            }
        }
        _ => None,
    };
    let Some(order) = order else { return error("incompatible types for comparison") };
    match operator {
        "<" => Ok(order.is_lt()),
        ">" => Ok(order.is_gt()),
        "==" => Ok(order.is_eq()),
        "!=" => Ok(order.is_ne()),
        "<=" => Ok(order.is_le()),
        ">=" => Ok(order.is_ge()),
        operator => error(format!("unrecognized filter operator {operator}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn find(path: &str) -> Result<Value> {
        let object = json!({
            "spec": {"size": 3, "ratio": 0.5, "a.b": "dotted", "none": null, "list": [1, 2, 3, 4]},
            "status": {"conditions": [
                {"type": "Ready", "status": "True", "n": 1}, {"type": "Odd (1)", "status": "False", "n": 2},
            ]},
        });
        let path = JsonPath::parse(path)?;
        let found = path.find(&object)?;
        Ok(Value::Array(found.into_iter().map(Cow::into_owned).collect()))
    }

    #[test]
    fn paths_find_what_they_say() {
        for (path, found) in [
            (".spec.size", json!([3])),
            ("$.spec.size", json!([3])),
            (".spec['size']", json!([3])),
            (".spec.a\\.b", json!(["dotted"])),
            (".spec['a\\.b']", json!(["dotted"])),
            (".spec.none", json!([null])),
            (".spec.missing.deeper", json!([])),
            (".spec.list[0]", json!([1])),
            (".spec.list[-1]", json!([4])),
            (".spec.list[1:3]", json!([2, 3])),
            (".spec.list[:2]", json!([1, 2])),
            (".spec.list[::2]", json!([1, 3])),
            (".spec.list[*]", json!([1, 2, 3, 4])),
            (".spec.list[0,3]", json!([1, 4])),
            (".spec['size','ratio']", json!([3, 0.5])),
            (".status.conditions[?(@.type==\"Ready\")].status", json!(["True"])),
            (".status.conditions[?(@.type=='Odd (1)')].status", json!(["False"])),
            (".status.conditions[?(@.n > 1)].type", json!(["Odd (1)"])),
            (".status.conditions[?(@.n<=1)].type", json!(["Ready"])),
            (".status.conditions[?(@.type != 'Ready')].n", json!([2])),
            (".status.conditions[?(@.missing)].n", json!([])),
            (".status.conditions[?(@.n)].n", json!([1, 2])),
            (".status..n", json!([1, 2])),
            (".status.conditions[*].type", json!(["Ready", "Odd (1)"])),
        ] {
            assert_eq!(find(path), Ok(found), "{path}");
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for path in [".spec.list[9]", ".spec.size[0]", ".spec[?(@.x)]", ".status.conditions[?(@.n==\"1\")].n"]
        {
            assert!(find(path).is_err(), "{path}");
        }
        for path in [".a[", ".a[x]", ".a[?(@.b", "....", ".a[1:2:3:4]", ".a['b", "range", ".a}", "\"x"] {
            assert!(JsonPath::parse(path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_path_of_many_descents_ends() {
        let mut object = json!({"a": 1});
        for _ in 0..60 {
            object = json!({"a": object});
        }
        let path = JsonPath::parse(&"..a".repeat(8)).unwrap();
        assert_eq!(path.find(&object), error("too many results"));
    }
}
