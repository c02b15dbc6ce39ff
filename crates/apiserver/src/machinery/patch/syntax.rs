//! What is wrong with a document that is not JSON, in the words of Go's decoder, which Kubernetes passes on.

/// What Go's decoder says of `document`; `None` if it is well-formed (or nested too deep for us to tell).
///
/// ```
/// # use xebec_apiserver::machinery::patch::syntax_error;
/// let error = syntax_error(b"{bad").unwrap();
/// assert_eq!(error, "invalid character 'b' looking for beginning of object key string");
/// ```
pub fn syntax_error(document: &[u8]) -> Option<String> {
    let mut scanner = Scanner { rest: document };
    let scanned = scanner.value("looking for beginning of value", 0).and_then(|()| {
        scanner.space();
        match scanner.rest.first() {
            None => Ok(()),
            Some(byte) => Err(Wrong::Character(*byte, "after top-level value".to_owned())),
        }
    });
    match scanned {
        Ok(()) | Err(Wrong::TooDeep) => None,
        Err(Wrong::End) => Some("unexpected end of JSON input".to_owned()),
        Err(Wrong::Character(byte, context)) => Some(format!("invalid character {} {context}", quoted(byte))),
    }
}

enum Wrong {
    End,
    Character(u8, String),
    TooDeep,
}

struct Scanner<'d> {
    rest: &'d [u8],
}

/// As deep as our own decoder goes.
const DEPTH_MAX: usize = 128;

impl Scanner<'_> {
    fn space(&mut self) {
        while let Some((b' ' | b'\t' | b'\r' | b'\n', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
    }

    fn next(&mut self) -> Result<u8, Wrong> {
        let (byte, rest) = self.rest.split_first().ok_or(Wrong::End)?;
        self.rest = rest;
        Ok(*byte)
    }

    fn value(&mut self, context: &str, depth: usize) -> Result<(), Wrong> {
        if depth > DEPTH_MAX {
            return Err(Wrong::TooDeep);
        }
        self.space();
        match self.next()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.text(),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            b'-' => match self.next()? {
                digit @ b'0'..=b'9' => self.number(digit),
                other => Err(Wrong::Character(other, "in numeric literal".to_owned())),
            },
            digit @ b'0'..=b'9' => self.number(digit),
            other => Err(Wrong::Character(other, context.to_owned())),
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Wrong> {
        let mut first = true;
        loop {
            self.space();
            match self.next()? {
                b'"' => self.text()?,
                b'}' if first => return Ok(()),
                other => {
                    return Err(Wrong::Character(
                        other,
                        "looking for beginning of object key string".to_owned(),
                    ));
                }
            }
            self.space();
            match self.next()? {
                b':' => {}
                other => return Err(Wrong::Character(other, "after object key".to_owned())),
            }
            self.value("looking for beginning of value", depth + 1)?;
            self.space();
            match self.next()? {
                b',' => first = false,
                b'}' => return Ok(()),
                other => return Err(Wrong::Character(other, "after object key:value pair".to_owned())),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Wrong> {
        self.space();
        if let Some((b']', rest)) = self.rest.split_first() {
            self.rest = rest;
            return Ok(());
        }
        loop {
            self.value("looking for beginning of value", depth + 1)?;
            self.space();
            match self.next()? {
                b',' => {}
                b']' => return Ok(()),
                other => return Err(Wrong::Character(other, "after array element".to_owned())),
            }
        }
    }

    fn text(&mut self) -> Result<(), Wrong> {
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => match self.next()? {
                    b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                    b'u' => {
                        for _ in 0..4 {
                            let digit = self.next()?;
                            if !digit.is_ascii_hexdigit() {
                                let context = "in \\u hexadecimal character escape";
                                return Err(Wrong::Character(digit, context.to_owned()));
                            }
                        }
                    }
                    other => return Err(Wrong::Character(other, "in string escape code".to_owned())),
                },
                control @ 0..0x20 => {
                    return Err(Wrong::Character(control, "in string literal".to_owned()));
                }
                _ => {}
            }
        }
    }

    /// The rest of a word whose first letter was read.
    fn literal(&mut self, word: &str) -> Result<(), Wrong> {
        for want in word.bytes().skip(1) {
            let byte = self.next()?;
            if byte != want {
                let context = format!("in literal {word} (expecting {})", quoted(want));
                return Err(Wrong::Character(byte, context));
            }
        }
        Ok(())
    }

    fn number(&mut self, first: u8) -> Result<(), Wrong> {
        if first != b'0' {
            self.digits();
        }
        if let Some((b'.', rest)) = self.rest.split_first() {
            self.rest = rest;
            match self.next()? {
                b'0'..=b'9' => self.digits(),
                other => {
                    let context = "after decimal point in numeric literal";
                    return Err(Wrong::Character(other, context.to_owned()));
                }
            }
        }
        if let Some((b'e' | b'E', rest)) = self.rest.split_first() {
            self.rest = rest;
            let mut digit = self.next()?;
            if matches!(digit, b'+' | b'-') {
                digit = self.next()?;
            }
            if !digit.is_ascii_digit() {
                return Err(Wrong::Character(digit, "in exponent of numeric literal".to_owned()));
            }
            self.digits();
        }
        Ok(())
    }

    fn digits(&mut self) {
        while let Some((b'0'..=b'9', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
    }
}

/// A byte as Go quotes it.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        0x07 => r"'\a'".to_owned(),
        0x08 => r"'\b'".to_owned(),
        0x0b => r"'\v'".to_owned(),
        0x0c => r"'\f'".to_owned(),
        0..0x20 | 0x7f => format!("'\\x{byte:02x}'"),
        0x80..0xa0 | 0xad => format!("'\\u{:04x}'", u32::from(byte)),
        printable => format!("'{}'", char::from(printable)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_in_gos_words() {
        for (document, want) in [
            ("", "unexpected end of JSON input"),
            ("[{", "unexpected end of JSON input"),
            ("{", "unexpected end of JSON input"),
            ("{bad", "invalid character 'b' looking for beginning of object key string"),
            ("bad", "invalid character 'b' looking for beginning of value"),
            (r#"{"a" 1}"#, "invalid character '1' after object key"),
            (r#"{"a":1 "b"}"#, "invalid character '\"' after object key:value pair"),
            (r#"{"a":1,}"#, "invalid character '}' looking for beginning of object key string"),
            ("[1 2]", "invalid character '2' after array element"),
            ("[1,]", "invalid character ']' looking for beginning of value"),
            ("{} x", "invalid character 'x' after top-level value"),
            ("tru3", "invalid character '3' in literal true (expecting 'e')"),
            ("-x", "invalid character 'x' in numeric literal"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal"),
            ("1ex", "invalid character 'x' in exponent of numeric literal"),
            ("01", "invalid character '1' after top-level value"),
            ("\"a\n\"", "invalid character '\\n' in string literal"),
            (r#""\x""#, "invalid character 'x' in string escape code"),
            (r#""\u00g0""#, "invalid character 'g' in \\u hexadecimal character escape"),
        ] {
            assert_eq!(syntax_error(document.as_bytes()).as_deref(), Some(want), "{document}");
        }
        for well_formed in ["{}", " [1, -2.5e+3, \"a\\u00e9\", null, true, {\"b\": []}] ", "0", "\"é\""] {
            assert_eq!(syntax_error(well_formed.as_bytes()), None, "{well_formed}");
        }
        assert_eq!(syntax_error("[".repeat(1_000_000).as_bytes()), None);
    }

    proptest::proptest! {
        #[test]
        fn a_mistake_is_found_where_the_decoder_finds_one(document in r#"[\[\]{}:,"a1.e\\ -]{0,12}"#) {
            let decoded: Result<serde_json::Value, _> = serde_json::from_str(&document);
            // The decoder also refuses numbers that it cannot hold.
            if !matches!(&decoded, Err(error) if error.to_string().contains("out of range")) {
                proptest::prop_assert_eq!(syntax_error(document.as_bytes()).is_some(), decoded.is_err());
            }
        }
    }
}
