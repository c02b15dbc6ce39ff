//! `Warning` headers: as many as Kubernetes sends.

use http::HeaderValue;

/// Once the warnings of an answer have more characters than this, each is cut to [`ITEM_MAX`].
const TOTAL_MAX: usize = 4 << 10;
/// How many characters a warning keeps when they are many.
const ITEM_MAX: usize = 256;
/// How many there are at most: clients take no answer of more than a hundred headers (hyper's and Python's among them).
const HEADERS_MAX: usize = 90;

/// The headers of the warnings, in order. More than fit are cut short, and the last are left out; so is what has
/// control characters in it.
pub fn headers(warnings: &[String]) -> Vec<HeaderValue> {
    let sendable = || warnings.iter().filter(|text| !text.chars().any(char::is_control));
    let length: usize = sendable().map(|text| text.chars().count()).sum();
    let cut = if length > TOTAL_MAX { ITEM_MAX } else { TOTAL_MAX };
    let mut written = 0;
    let mut values = Vec::new();
    for text in sendable() {
        if written >= TOTAL_MAX || values.len() == HEADERS_MAX {
            break;
        }
        let text: String = text.chars().take(cut).collect();
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            written += text.chars().count();
            values.push(value);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(warnings: &[String]) -> Vec<String> {
        headers(warnings).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    }

    #[test]
    fn warnings_are_quoted_and_have_no_control_characters() {
        let warnings = ["a \"b\" \\".to_owned(), "line\r\nInjected: x".to_owned(), "ü".to_owned()];
        let want = [r#"299 - "a \"b\" \\""#, r#"299 - "ü""#];
        assert_eq!(texts(&warnings), want);
    }

    #[test]
    fn many_warnings_are_cut_short_and_end() {
        let fits = vec!["x".repeat(1024); 4];
        assert!(texts(&fits).iter().all(|text| text.len() == 1024 + "299 - \"\"".len()));
        let too_many = vec!["x".repeat(1024); 5];
        assert!(texts(&too_many).iter().all(|text| text.len() == ITEM_MAX + "299 - \"\"".len()));
        assert_eq!(texts(&vec!["x".repeat(1000); 100]).len(), TOTAL_MAX / ITEM_MAX);
        assert_eq!(texts(&vec!["x".to_owned(); 1000]).len(), HEADERS_MAX);
    }
}
