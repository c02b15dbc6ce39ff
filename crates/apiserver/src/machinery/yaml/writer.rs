//! Writes JSON values as YAML, byte for byte as Kubernetes does: keys sorted, lists not indented below their key, texts
//! plain where they can be, long ones broken at spaces.

use serde_json::{Map, Number, Value};

use super::{
    float, merge_sort,
    scalar::{Scalar, is_base_60, resolve},
};

/// By so much a level is indented.
const INDENT: usize = 2;
/// A text is broken at the first space behind this column.
const WIDTH: usize = 80;
/// A key that has more bytes than this stands on a line of its own, after `?`.
const SIMPLE_KEY_MAX: usize = 128;

/// The value as a document.
pub fn write(value: &Value) -> String {
    let mut writer =
        Writer { out: String::new(), column: 0, indent: None, after_space: true, only_indention: true };
    writer.node(value, false);
    writer.start_line();
    writer.out
}

struct Writer {
    out: String,
    /// Characters on the line so far.
    column: usize,
    /// Where lines start; none outside of the document's value.
    indent: Option<usize>,
    /// Whether the last character was a space that separates.
    after_space: bool,
    /// Whether there is nothing but indention and indicators on the line.
    only_indention: bool,
}

/// How a text is written.
enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
}

impl Writer {
    fn node(&mut self, value: &Value, in_mapping: bool) {
        match value {
            Value::Null => self.plain("null", true),
            Value::Bool(value) => self.plain(if *value { "true" } else { "false" }, true),
            Value::Number(number) => self.plain(&number_text(number), true),
            Value::String(text) => self.text(text, false),
            Value::Array(items) => self.sequence(items, in_mapping),
            Value::Object(map) => self.mapping(map),
        }
    }

    fn sequence(&mut self, items: &[Value], in_mapping: bool) {
        if items.is_empty() {
            self.indicator("[", true, true, false);
            self.indicator("]", false, false, false);
            return;
        }
        let outer = self.indent;
        // A list that belongs to a key starts where the key does.
        if !in_mapping || self.only_indention || outer.is_none() {
            self.indent = Some(outer.map_or(0, |indent| indent + INDENT));
        }
        for item in items {
            self.start_line();
            self.indicator("-", true, false, true);
            self.node(item, false);
        }
        self.indent = outer;
    }

    fn mapping(&mut self, map: &Map<String, Value>) {
        if map.is_empty() {
            self.indicator("{", true, true, false);
            self.indicator("}", false, false, false);
            return;
        }
        let outer = self.indent;
        self.indent = Some(outer.map_or(0, |indent| indent + INDENT));
        let mut entries: Vec<(&String, &Value)> = map.iter().collect();
        merge_sort::sort(&mut entries, &|a, b| is_before(a.0, b.0));
        for (key, value) in entries {
            self.start_line();
            if key.len() <= SIMPLE_KEY_MAX && !key.contains(is_break) {
                self.text(key, true);
                self.indicator(":", false, false, false);
            } else {
                self.indicator("?", true, false, true);
                self.text(key, false);
                self.start_line();
                self.indicator(":", true, false, true);
            }
            self.node(value, true);
        }
        self.indent = outer;
    }

    fn text(&mut self, text: &str, is_simple_key: bool) {
        let outer = self.indent;
        self.indent = Some(outer.map_or(INDENT, |indent| indent + INDENT));
        match style(text, is_simple_key) {
            Style::Plain => self.plain(text, !is_simple_key),
            Style::SingleQuoted => self.single_quoted(text, !is_simple_key),
            Style::DoubleQuoted => self.double_quoted(text, !is_simple_key),
            Style::Literal => self.literal(text),
        }
        self.indent = outer;
    }

    fn plain(&mut self, text: &str, may_break: bool) {
        if !self.after_space {
            self.put(' ');
        }
        self.folded(text, may_break, |_| false);
        self.after_space = false;
        self.only_indention = false;
    }

    fn single_quoted(&mut self, text: &str, may_break: bool) {
        self.indicator("'", true, false, false);
        // A text of this style has no break before a space, so that it is on one line but for what is broken here.
        self.folded(text, may_break, |character| character == '\'');
        self.indicator("'", false, false, false);
    }

    /// Writes a text that may be broken at single spaces behind [`WIDTH`]; the characters that `is_doubled` tells stand
    /// twice.
    fn folded(&mut self, text: &str, may_break: bool, is_doubled: impl Fn(char) -> bool) {
        let (mut after_space, mut after_break) = (false, false);
        let mut characters = text.char_indices().peekable();
        while let Some((position, character)) = characters.next() {
            if character == ' ' {
                let is_single = !after_space && characters.peek().is_some_and(|(_, next)| *next != ' ');
                if may_break && is_single && self.column > WIDTH && position > 0 {
                    self.start_line();
                } else {
                    self.put(character);
                }
                after_space = true;
                continue;
            }
            if is_break(character) {
                if !after_break && character == '\n' {
                    self.put_break();
                }
                self.put_text_break(character);
                after_break = true;
                continue;
            }
            if after_break {
                self.start_line();
            }
            if is_doubled(character) {
                self.put(character);
            }
            self.put(character);
            self.only_indention = false;
            (after_space, after_break) = (false, false);
        }
    }

    fn double_quoted(&mut self, text: &str, may_break: bool) {
        self.indicator("\"", true, false, false);
        let mut after_space = false;
        let mut characters = text.char_indices().peekable();
        while let Some((position, character)) = characters.next() {
            let is_last = characters.peek().is_none();
            if character == ' '
                && may_break
                && !after_space
                && self.column > WIDTH
                && position > 0
                && !is_last
            {
                self.start_line();
                if characters.peek().is_some_and(|(_, next)| *next == ' ') {
                    self.put('\\');
                }
                after_space = true;
                continue;
            }
            after_space = character == ' ';
            if is_printable(character) && !is_break(character) && character != '"' && character != '\\' {
                self.put(character);
            } else {
                for escaped in escape(character).chars() {
                    self.put(escaped);
                }
            }
        }
        self.indicator("\"", false, false, false);
    }

    fn literal(&mut self, text: &str) {
        self.indicator("|", true, false, false);
        if text.starts_with(' ') || text.starts_with(is_break) {
            self.indicator("2", false, false, false);
        }
        let mut from_end = text.chars().rev();
        match (from_end.next().is_some_and(is_break), from_end.next().is_none_or(is_break)) {
            (false, _) => self.indicator("-", false, false, false),
            (true, true) => self.indicator("+", false, false, false),
            (true, false) => {}
        }
        self.put_break();
        self.after_space = true;
        let mut after_break = true;
        for character in text.chars() {
            if is_break(character) {
                self.put_text_break(character);
                after_break = true;
                continue;
            }
            if after_break {
                self.start_line();
            }
            self.put(character);
            self.only_indention = false;
            after_break = false;
        }
    }

    /// Goes to the start of a line, which is this one if it holds nothing yet.
    fn start_line(&mut self) {
        let indent = self.indent.unwrap_or(0);
        let is_behind = self.column > indent || (self.column == indent && !self.after_space);
        if !self.only_indention || is_behind {
            self.put_break();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.after_space = true;
        self.only_indention = true;
    }

    fn indicator(&mut self, indicator: &str, needs_space: bool, is_space: bool, is_indention: bool) {
        if needs_space && !self.after_space {
            self.put(' ');
        }
        self.out.push_str(indicator);
        self.column += indicator.len();
        self.after_space = is_space;
        self.only_indention &= is_indention;
    }

    fn put(&mut self, character: char) {
        self.out.push(character);
        self.column += 1;
    }

    fn put_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
        self.only_indention = true;
    }

    fn put_text_break(&mut self, character: char) {
        self.out.push(character);
        self.column = 0;
        self.only_indention = true;
    }
}

/// How a text can be written and still be read as what it is.
fn style(text: &str, is_simple_key: bool) -> Style {
    let looks_like_text = matches!(resolve(text), Scalar::Text) && !is_base_60(text);
    let allowed = Allowed::of(text);
    if text.contains('\n') && !is_simple_key {
        return if allowed.literal { Style::Literal } else { Style::DoubleQuoted };
    }
    match (looks_like_text && !text.contains('\n'), allowed) {
        (true, Allowed { plain: true, .. }) => Style::Plain,
        (true, Allowed { single_quoted: true, .. }) => Style::SingleQuoted,
        _ => Style::DoubleQuoted,
    }
}

/// The styles that a text's characters allow.
struct Allowed {
    plain: bool,
    single_quoted: bool,
    literal: bool,
}

impl Allowed {
    fn of(text: &str) -> Self {
        let mut is_special = false;
        let mut is_indicated = text.starts_with("---") || text.starts_with("...");
        let (mut has_break, mut break_space, mut space_break) = (false, false, false);
        let mut previous = None;
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            let is_first = previous.is_none();
            let before_space = characters.peek().is_none_or(|next| is_blank(*next));
            let after_space = previous.is_none_or(|previous| is_blank(previous) || is_break(previous));
            is_indicated |= match character {
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => {
                    is_first
                }
                '?' | '-' => is_first && before_space,
                ':' => before_space,
                '#' => after_space,
                _ => false,
            };
            is_special |= !is_printable(character);
            if is_break(character) {
                has_break = true;
                space_break |= previous == Some(' ');
            }
            break_space |= character == ' ' && previous.is_some_and(is_break);
            previous = Some(character);
        }
        let edge = |character: char| character == ' ' || is_break(character);
        let is_bare = text.starts_with(edge) || text.ends_with(edge);
        let is_quotable = !break_space && !space_break && !is_special;
        Self {
            plain: is_quotable && !is_bare && !has_break && !is_indicated,
            single_quoted: is_quotable,
            literal: !text.is_empty() && !text.ends_with(' ') && !space_break && !is_special,
        }
    }
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

fn is_break(character: char) -> bool {
    matches!(character, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_printable(character: char) -> bool {
    matches!(
        character,
        '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}'
    )
}

fn escape(character: char) -> String {
    let short = match character {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => {
            return match u32::from(character) {
                code @ ..=0xff => format!("\\x{code:02X}"),
                code @ ..=0xffff => format!("\\u{code:04X}"),
                code => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{short}")
}

fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => float::written(float),
        _ => number.to_string(),
    }
}

/// Whether a key comes before another: letters after everything else, and numbers in keys by their value.
fn is_before(a: &str, b: &str) -> bool {
    let common = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    let ((shared, a), b) = (a.split_at(common), &b[common..]);
    let (Some(first), Some(second)) = (a.chars().next(), b.chars().next()) else { return a.len() < b.len() };
    match (first.is_alphabetic(), second.is_alphabetic()) {
        (true, true) => return first < second,
        (false, false) => {}
        (_, second_is_letter) => return second_is_letter,
    }
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    // A zero counts when digits stand before it.
    let is_inside = (first == '0' || second == '0')
        && shared.bytes().rev().take_while(u8::is_ascii_digit).any(|digit| digit != b'0');
    let value = |text: &str| {
        let start = i64::from(is_inside);
        text.bytes()
            .take(digits(text))
            .fold(start, |value, digit| value.wrapping_mul(10).wrapping_add(i64::from(digit - b'0')))
    };
    (value(a), digits(a), first) < (value(b), digits(b), second)
}
