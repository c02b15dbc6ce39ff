//! Field selectors: `metadata.name=x,status.phase!=Running`.

use std::fmt::{self, Display};

use super::SelectorError;

/// Which objects are meant, by some of their fields: all terms must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldSelector {
    terms: Vec<FieldTerm>,
}

/// One demand on one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldTerm {
    /// The field, such as `spec.nodeName`.
    pub field: String,
    /// Whether the field must not have the value.
    pub negated: bool,
    /// The value, unescaped.
    pub value: String,
}

impl FieldSelector {
    /// Reads the text of a list request.
    ///
    /// # Errors
    /// A term without an operator, or a value that is not escaped as it must be.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut parts = split_terms(text);
        parts.sort_unstable();
        let mut terms = Vec::new();
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let Some((field, negated, value)) = split_term(part) else {
                let message = format!("invalid selector: '{text}'; can't understand '{part}'");
                return Err(SelectorError(message));
            };
            terms.push(FieldTerm { field: field.to_owned(), negated, value: unescape(value)? });
        }
        Ok(Self { terms })
    }

    /// The terms, sorted.
    pub fn terms(&self) -> &[FieldTerm] {
        &self.terms
    }

    /// Whether it matches everything.
    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// The value that the field must have, if it must have one (a list of one name needs no search).
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.terms.iter().find(|term| !term.negated && term.field == field).map(|term| term.value.as_str())
    }

    /// Whether an object whose fields can be looked up by `field` is meant; a field that it does not have is empty.
    pub fn matches<'a>(&self, field: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.terms.iter().all(|term| (field(&term.field).unwrap_or_default() == term.value) != term.negated)
    }
}

impl Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, term) in self.terms.iter().enumerate() {
            let comma = if position > 0 { "," } else { "" };
            let operator = if term.negated { "!=" } else { "=" };
            write!(f, "{comma}{}{operator}{}", term.field, escape(&term.value))?;
        }
        Ok(())
    }
}

/// A value as it can stand in a field selector.
pub fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        if matches!(character, '\\' | ',' | '=') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

fn split_terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (index, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    let at =
        term.char_indices().find(|(at, _)| term[*at..].starts_with('=') || term[*at..].starts_with("!="))?.0;
    let (field, rest) = term.split_at(at);
    let value =
        rest.strip_prefix("!=").or_else(|| rest.strip_prefix("==")).or_else(|| rest.strip_prefix('='));
    Some((field, rest.starts_with('!'), value?))
}

fn unescape(text: &str) -> Result<String, SelectorError> {
    let mut value = String::with_capacity(text.len());
    let mut characters = text.chars();
    let refuse = |sequence: String| {
        Err(SelectorError(format!("invalid field selector: invalid escape sequence: {sequence}")))
    };
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => value.push(escaped),
                Some(other) => return refuse(format!("\\{other}")),
                None => return refuse("\\".to_owned()),
            },
            // Kubernetes writes the character's number.
            ',' | '=' => {
                let number = character as u32;
                let message = format!("invalid field selector: unescaped character in value: {number}");
                return Err(SelectorError(message));
            }
            other => value.push(other),
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_read_and_match() {
        let selector = FieldSelector::parse(r"b!=x,,a=1\,2\=3\\,c==").unwrap();
        assert_eq!(selector.to_string(), r"a=1\,2\=3\\,b!=x,c=");
        assert_eq!(selector.exact("a"), Some(r"1,2=3\"));
        assert_eq!(selector.exact("b"), None);
        let fields = |a: &'static str, b: &'static str| {
            move |field: &str| match field {
                "a" => Some(a),
                "b" => Some(b),
                _ => None,
            }
        };
        assert!(selector.matches(fields(r"1,2=3\", "y")));
        assert!(!selector.matches(fields(r"1,2=3\", "x")));
        assert!(!selector.matches(fields("", "y")));
        assert!(FieldSelector::parse("").unwrap().is_everything());
    }

    #[test]
    fn what_is_no_selector_is_told_in_kubernetes_words() {
        for (text, want) in [
            ("metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
            ("a>x,b=c", "invalid selector: 'a>x,b=c'; can't understand 'a>x'"),
            ("a=b=c", "invalid field selector: unescaped character in value: 61"),
            (r"a=\x", r"invalid field selector: invalid escape sequence: \x"),
            (r"a=b\", r"invalid field selector: invalid escape sequence: \"),
        ] {
            assert_eq!(FieldSelector::parse(text), Err(SelectorError(want.to_owned())), "{text}");
        }
    }
}
