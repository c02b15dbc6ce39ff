//! The parts of a URL, and why a text is none, as Go's `net/url` sees it.

use std::fmt::Write;

use crate::machinery::go_quoted;

/// The parts of a URL that Kubernetes asks about.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Url<'a> {
    /// In lower case; empty where there is none.
    pub scheme: String,
    /// User information, where there is an `@`.
    pub user: Option<&'a str>,
    /// Host and port.
    pub host: &'a str,
    /// What follows `?`.
    pub query: &'a str,
    /// What follows `#`.
    pub fragment: &'a str,
}

/// Takes a URL apart.
///
/// # Errors
///
/// Why it is none, in the words of Go.
pub fn parse(text: &str) -> Result<Url<'_>, String> {
    let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
    parse_rest(rest, fragment).map_err(|problem| {
        let quoted =
            go_quoted(if problem.starts_with("invalid URL escape") && unescaped(fragment).is_err() {
                text
            } else {
                rest
            });
        format!("parse {quoted}: {problem}")
    })
}

fn parse_rest<'a>(rest: &'a str, fragment: &'a str) -> Result<Url<'a>, String> {
    if rest.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err("net/url: invalid control character in URL".into());
    }
    let (scheme, rest) = split_scheme(rest)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut url = Url { scheme: scheme.to_lowercase(), query, fragment, ..Url::default() };
    if !rest.starts_with('/') {
        if !url.scheme.is_empty() {
            // Opaque, such as `mailto:x`.
            return Ok(url);
        }
        if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
            return Err("first path segment in URL cannot contain colon".into());
        }
    }
    let mut path = rest;
    if let Some(after) =
        rest.strip_prefix("//").filter(|after| !url.scheme.is_empty() || !after.starts_with('/'))
    {
        let end = after.find('/').unwrap_or(after.len());
        let (authority, rest) = after.split_at(end);
        path = rest;
        (url.user, url.host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        validate_host(url.host)?;
        if let Some(user) = url.user {
            if !user.bytes().all(is_user_byte) {
                return Err("net/url: invalid userinfo".into());
            }
            unescaped(user)?;
        }
    }
    unescaped(path)?;
    unescaped(fragment)?;
    Ok(url)
}

/// The scheme before the first colon, if it has the form of one, and what follows.
fn split_scheme(text: &str) -> Result<(&str, &str), String> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".into()),
            b':' => return Ok((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

fn validate_host(host: &str) -> Result<(), String> {
    let after = match host.strip_prefix('[') {
        Some(inside) => {
            let end = inside.rfind(']').ok_or("missing ']' in host")?;
            &inside[end + 1..]
        }
        None => host.rfind(':').map_or("", |colon| &host[colon..]),
    };
    let is_port = after.is_empty()
        || after.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    if !is_port {
        return Err(format!("invalid port {} after host", go_quoted(after)));
    }
    let bad = |byte: &u8| byte.is_ascii() && !is_host_byte(*byte) && *byte != b'%';
    if let Some(byte) = host.bytes().find(bad) {
        let mut message = String::from("invalid character ");
        let _ = write!(message, "{} in host name", go_quoted(&char::from(byte).to_string()));
        return Err(message);
    }
    unescaped(host)
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"".contains(&byte)
}

fn is_user_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte)
}

/// Whether every `%` begins an escape.
fn unescaped(text: &str) -> Result<(), String> {
    let bytes = text.as_bytes();
    for (at, _) in text.match_indices('%') {
        let is_escape = bytes.get(at + 1..at + 3).is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit));
        if !is_escape {
            let end = (at + 3).min(bytes.len());
            let escape = String::from_utf8_lossy(&bytes[at..end]);
            return Err(format!("invalid URL escape {}", go_quoted(&escape)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_urls() {
        let url = parse("HTTPS://u:p@h.example.com:8443/a/b?q=1#f").unwrap();
        assert_eq!(
            url,
            Url {
                scheme: "https".into(),
                user: Some("u:p"),
                host: "h.example.com:8443",
                query: "q=1",
                fragment: "f",
            }
        );
        assert_eq!(parse("https://[::1]:443/").unwrap().host, "[::1]:443");
        assert_eq!(parse("example.com/x").unwrap(), Url::default());
        assert_eq!(parse("mailto:x").unwrap().scheme, "mailto");
        assert_eq!(parse("https://").unwrap().host, "");
    }

    #[test]
    fn what_is_no_url() {
        for (text, want) in [
            ("https://a\u{1}", "parse \"https://a\\x01\": net/url: invalid control character in URL"),
            (":x", "parse \":x\": missing protocol scheme"),
            ("1:x/y", "parse \"1:x/y\": first path segment in URL cannot contain colon"),
            ("https://h:x/", "parse \"https://h:x/\": invalid port \":x\" after host"),
            ("https://[::1/", "parse \"https://[::1/\": missing ']' in host"),
            ("https://a b/", "parse \"https://a b/\": invalid character \" \" in host name"),
            ("https://h/%zz", "parse \"https://h/%zz\": invalid URL escape \"%zz\""),
            ("https://h/%e", "parse \"https://h/%e\": invalid URL escape \"%e\""),
        ] {
            assert_eq!(parse(text).unwrap_err(), want);
        }
    }
}
