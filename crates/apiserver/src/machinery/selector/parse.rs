//! The grammar of label selectors in requests.

use super::{Operator, Requirement};
use crate::machinery::{format, go_quoted};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    End,
    ClosedParenthesis,
    Comma,
    Not,
    DoubleEquals,
    Equals,
    GreaterThan,
    Identifier,
    In,
    LessThan,
    NotEquals,
    NotIn,
    OpenParenthesis,
}

/// The words and signs of the language; everything else is an identifier.
const TOKENS: [(&str, Token); 11] = [
    (")", Token::ClosedParenthesis),
    (",", Token::Comma),
    ("!", Token::Not),
    ("==", Token::DoubleEquals),
    ("=", Token::Equals),
    (">", Token::GreaterThan),
    ("in", Token::In),
    ("<", Token::LessThan),
    ("!=", Token::NotEquals),
    ("notin", Token::NotIn),
    ("(", Token::OpenParenthesis),
];

fn token_of(text: &str) -> Option<Token> {
    TOKENS.iter().find(|(known, _)| *known == text).map(|(_, token)| *token)
}

/// Reads a selector into its requirements.
pub(super) fn requirements(text: &str) -> Result<Vec<Requirement>, String> {
    let mut parser = Parser { tokens: scan(text), position: 0 };
    let mut requirements = Vec::new();
    loop {
        match parser.lookahead() {
            (Token::Identifier | Token::Not, _) => {
                let requirement =
                    parser.requirement().map_err(|error| format!("unable to parse requirement: {error}"))?;
                requirements.push(requirement);
                match parser.consume() {
                    (Token::End, _) => return Ok(requirements),
                    (Token::Comma, _) => {
                        let (token, literal) = parser.lookahead();
                        if !matches!(token, Token::Identifier | Token::Not) {
                            return Err(format!("found '{literal}', expected: identifier after ','"));
                        }
                    }
                    (_, literal) => {
                        return Err(format!("found '{literal}', expected: ',' or 'end of string'"));
                    }
                }
            }
            (Token::End, _) => return Ok(requirements),
            (_, literal) => {
                return Err(format!("found '{literal}', expected: !, identifier, or 'end of string'"));
            }
        }
    }
}

struct Parser<'a> {
    tokens: Vec<(Token, &'a str)>,
    position: usize,
}

impl<'a> Parser<'a> {
    fn current(&self) -> (Token, &'a str) {
        self.tokens.get(self.position).copied().unwrap_or((Token::End, ""))
    }

    /// The token here, where `in` and `notin` are identifiers like others.
    fn lookahead(&self) -> (Token, &'a str) {
        match self.current() {
            (Token::In | Token::NotIn, literal) => (Token::Identifier, literal),
            other => other,
        }
    }

    fn consume(&mut self) -> (Token, &'a str) {
        let token = self.lookahead();
        self.position += 1;
        token
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let mut negated = false;
        let (mut token, mut key) = self.consume();
        if token == Token::Not {
            negated = true;
            (token, key) = self.consume();
        }
        if token != Token::Identifier {
            return Err(format!("found '{key}', expected: identifier"));
        }
        let problems = format::is_qualified_name(key);
        if !problems.is_empty() {
            return Err(format!("<nil>: Invalid value: {}: {}", go_quoted(key), problems.join("; ")));
        }
        let ends = matches!(self.lookahead().0, Token::End | Token::Comma);
        let (operator, values) = match (negated, ends) {
            (true, _) => (Operator::DoesNotExist, Vec::new()),
            (false, true) => (Operator::Exists, Vec::new()),
            (false, false) => {
                let operator = self.operator()?;
                let values = match operator {
                    Operator::In | Operator::NotIn => self.values()?,
                    _ => vec![self.exact_value()?.to_owned()],
                };
                (operator, values)
            }
        };
        Requirement::new(key, operator, values).map_err(|error| error.0)
    }

    fn operator(&mut self) -> Result<Operator, String> {
        let (token, literal) = self.current();
        self.position += 1;
        Ok(match token {
            Token::In => Operator::In,
            Token::Equals => Operator::Equals,
            Token::DoubleEquals => Operator::DoubleEquals,
            Token::GreaterThan => Operator::GreaterThan,
            Token::LessThan => Operator::LessThan,
            Token::NotIn => Operator::NotIn,
            Token::NotEquals => Operator::NotEquals,
            _ => return Err(format!("found '{literal}', expected: in, notin, =, ==, !=, gt, lt")),
        })
    }

    fn values(&mut self) -> Result<Vec<String>, String> {
        let (token, literal) = self.consume();
        if token != Token::OpenParenthesis {
            return Err(format!("found '{literal}' expected: '('"));
        }
        let mut values: Vec<&str> = match self.lookahead() {
            (Token::Identifier | Token::Comma, _) => self.identifiers()?,
            (Token::ClosedParenthesis, _) => vec![""],
            (_, literal) => return Err(format!("found '{literal}', expected: ',', ')' or identifier")),
        };
        self.position += 1; // the closing parenthesis, which both branches stop before
        values.sort_unstable();
        values.dedup();
        Ok(values.into_iter().map(str::to_owned).collect())
    }

    /// Values between commas, empty ones included, up to the closing parenthesis.
    fn identifiers(&mut self) -> Result<Vec<&'a str>, String> {
        let mut values = Vec::new();
        loop {
            match self.consume() {
                (Token::Identifier, literal) => {
                    values.push(literal);
                    match self.lookahead() {
                        (Token::Comma, _) => {}
                        (Token::ClosedParenthesis, _) => return Ok(values),
                        (_, literal) => return Err(format!("found '{literal}', expected: ',' or ')'")),
                    }
                }
                (Token::Comma, _) => {
                    if values.is_empty() {
                        values.push("");
                    }
                    match self.lookahead().0 {
                        Token::ClosedParenthesis => {
                            values.push("");
                            return Ok(values);
                        }
                        Token::Comma => values.push(""),
                        _ => {}
                    }
                }
                (_, literal) => return Err(format!("found '{literal}', expected: ',', or identifier")),
            }
        }
    }

    fn exact_value(&mut self) -> Result<&'a str, String> {
        if matches!(self.lookahead().0, Token::End | Token::Comma) {
            return Ok("");
        }
        match self.consume() {
            (Token::Identifier, literal) => Ok(literal),
            (_, literal) => Err(format!("found '{literal}', expected: identifier")),
        }
    }
}

fn scan(text: &str) -> Vec<(Token, &str)> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        // Kubernetes reads a NUL as the end of the text.
        if rest.is_empty() || rest.starts_with('\0') {
            tokens.push((Token::End, ""));
            return tokens;
        }
        let (token, length) = if rest.starts_with(is_sign) { sign(rest) } else { word(rest) };
        tokens.push((token, &rest[..length]));
        rest = &rest[length..];
    }
}

fn is_sign(character: char) -> bool {
    matches!(character, '=' | '!' | '(' | ')' | ',' | '>' | '<')
}

/// The longest sign that the text starts with; every sign is a token by itself.
fn sign(text: &str) -> (Token, usize) {
    let two = text.get(..2).and_then(token_of).map(|token| (token, 2));
    two.or_else(|| token_of(&text[..1]).map(|token| (token, 1))).unwrap_or((Token::End, 1))
}

fn word(text: &str) -> (Token, usize) {
    let ends = |c: char| is_sign(c) || matches!(c, ' ' | '\t' | '\r' | '\n' | '\0');
    let length = text.find(ends).unwrap_or(text.len());
    (token_of(&text[..length]).unwrap_or(Token::Identifier), length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_selector_is_told_in_kubernetes_words() {
        let long = "x".repeat(64);
        let long_value = format!("a={long}");
        let key = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
        for (text, want) in [
            ("a=b=c", "found '=', expected: ',' or 'end of string'".to_owned()),
            ("a in b", "unable to parse requirement: found 'b' expected: '('".to_owned()),
            ("=x", "found '=', expected: !, identifier, or 'end of string'".to_owned()),
            (
                "bad key=x",
                "unable to parse requirement: found 'key', expected: in, notin, =, ==, !=, gt, lt".to_owned(),
            ),
            ("a=spa ce", "found 'ce', expected: ',' or 'end of string'".to_owned()),
            ("a notin", "unable to parse requirement: found '' expected: '('".to_owned()),
            ("-a=b", format!("unable to parse requirement: <nil>: Invalid value: \"-a\": name part {key}")),
            (
                long_value.as_str(),
                format!("unable to parse requirement: values[0][a]: Invalid value: \"{long}\": must be no more than 63 bytes"),
            ),
            ("a,,b", "found ',', expected: identifier after ','".to_owned()),
            ("a,", "found '', expected: identifier after ','".to_owned()),
            ("!", "unable to parse requirement: found '', expected: identifier".to_owned()),
            ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'".to_owned()),
            ("a in (", "unable to parse requirement: found '', expected: ',', ')' or identifier".to_owned()),
            ("a in (b,", "unable to parse requirement: found '', expected: ',', or identifier".to_owned()),
            ("a=(", "unable to parse requirement: found '(', expected: identifier".to_owned()),
            (
                "n>abc",
                "unable to parse requirement: values[0]: Invalid value: \"abc\": for 'Gt', 'Lt' operators, the value must be an integer".to_owned(),
            ),
        ] {
            assert_eq!(requirements(text), Err(want), "{text}");
        }
    }

    #[test]
    fn empty_values_are_values() {
        let values = |text: &str| requirements(text).unwrap()[0].values.clone();
        assert_eq!(values("a in ()"), [""]);
        assert_eq!(values("a in (,b)"), ["", "b"]);
        assert_eq!(values("a in (b,)"), ["", "b"]);
        assert_eq!(values("a in (b,,c)"), ["", "b", "c"]);
        assert_eq!(values("a="), [""]);
    }
}
