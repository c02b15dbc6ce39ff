//! The forms that names have to have: DNS labels and subdomains, label keys and values, keys of ConfigMaps, names of
//! environment variables and ports (`k8s.io/apimachinery/pkg/util/validation`). Each function tells what is wrong, in
//! Kubernetes' words; nothing, if nothing is. IP addresses and CIDRs are in [`address`](super::address).

use super::{FieldErrors, Path};

/// What is wrong with a name, if anything; `true` asks about a `generateName` prefix.
pub type NameRule = fn(name: &str, prefix: bool) -> Vec<String>;

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const LABEL_KEY: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LABEL_KEY_MESSAGE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
/// The longest DNS label.
pub const LABEL_LENGTH_MAX: usize = 63;
/// The longest DNS subdomain.
pub const SUBDOMAIN_LENGTH_MAX: usize = 253;

/// Adds each of `problems` as an `Invalid value` of `path`.
pub fn report(errors: &mut FieldErrors, path: &Path<'_>, value: &str, problems: Vec<String>) {
    for problem in problems {
        errors.invalid(path, value, &problem);
    }
}

/// The name of an object that must be a DNS subdomain; a prefix (`generateName`) may end in a dash.
pub fn dns1123_subdomain_name(name: &str, prefix: bool) -> Vec<String> {
    is_dns1123_subdomain(&mask_trailing_dash(name, prefix))
}

/// The name of an object that must be a DNS label, such as a Namespace.
pub fn dns1123_label_name(name: &str, prefix: bool) -> Vec<String> {
    is_dns1123_label(&mask_trailing_dash(name, prefix))
}

/// The name of an object that must be a DNS label that starts with a letter.
pub fn dns1035_label_name(name: &str, prefix: bool) -> Vec<String> {
    is_dns1035_label(&mask_trailing_dash(name, prefix))
}

/// The name of an object that may be anything a path can hold, such as a Role.
pub fn path_segment_name(name: &str, prefix: bool) -> Vec<String> {
    if prefix { is_path_segment_prefix(name) } else { is_path_segment_name(name) }
}

/// A DNS label (RFC 1123).
pub fn is_dns1123_label(value: &str) -> Vec<String> {
    let mut problems = longer_than(value, LABEL_LENGTH_MAX);
    if !is_label(value) {
        problems.push(if value.split('.').all(is_label) {
            "must not contain dots".to_owned()
        } else {
            regex_problem(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
                LABEL,
                &["my-name", "123-abc"],
            )
        });
    }
    problems
}

/// A DNS subdomain (RFC 1123).
pub fn is_dns1123_subdomain(value: &str) -> Vec<String> {
    let mut problems = longer_than(value, SUBDOMAIN_LENGTH_MAX);
    if !value.split('.').all(is_label) {
        problems.push(regex_problem(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
            SUBDOMAIN,
            &["example.com"],
        ));
    }
    problems
}

/// A DNS subdomain whose labels may have upper case letters (DRA's driver names).
pub fn is_dns1123_subdomain_caseless(value: &str) -> Vec<String> {
    let mut problems: Vec<String> = Vec::new();
    if value.len() > SUBDOMAIN_LENGTH_MAX {
        problems.push(max_bytes(SUBDOMAIN_LENGTH_MAX));
    }
    if !value.to_ascii_lowercase().split('.').all(is_label) {
        problems.push(regex_problem(
            "an RFC 1123 subdomain must consist of alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
            SUBDOMAIN,
            &["Example.com"],
        ));
    }
    problems
}

/// A DNS subdomain whose labels may have underscores (search domains of a Pod).
pub fn is_dns1123_subdomain_with_underscore(value: &str) -> Vec<String> {
    let label = |label: &str| {
        let label = label.strip_prefix('_').unwrap_or(label).as_bytes();
        label.first().copied().is_some_and(is_lower_alphanumeric)
            && label.last().copied().is_some_and(is_lower_alphanumeric)
            && label.iter().all(|b| is_lower_alphanumeric(*b) || matches!(b, b'-' | b'_'))
    };
    let mut problems = longer_than(value, SUBDOMAIN_LENGTH_MAX);
    if !value.split('.').all(label) {
        problems.push(regex_problem(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character",
            "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*",
            &["example.com"],
        ));
    }
    problems
}

/// A DNS label that starts with a letter (RFC 1035).
pub fn is_dns1035_label(value: &str) -> Vec<String> {
    let mut problems = longer_than(value, LABEL_LENGTH_MAX);
    if !(is_label(value) && value.as_bytes()[0].is_ascii_lowercase()) {
        problems.push(regex_problem(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
            "[a-z]([-a-z0-9]*[a-z0-9])?",
            &["my-name", "abc-123"],
        ));
    }
    problems
}

/// `*.` and a DNS subdomain.
pub fn is_wildcard_dns1123_subdomain(value: &str) -> Vec<String> {
    let mut problems = longer_than(value, SUBDOMAIN_LENGTH_MAX);
    if !value.strip_prefix("*.").is_some_and(|rest| rest.split('.').all(is_label)) {
        problems.push(regex_problem(
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
            "\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
            &["*.example.com"],
        ));
    }
    problems
}

/// A label key, which is also the form of finalizers, annotation keys and condition types: a name with an optional
/// DNS subdomain and slash before it.
pub fn is_qualified_name(value: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let examples = ["MyName", "my.name", "123-abc"];
    let name = match value.split_once('/') {
        None => value,
        Some((_, name)) if name.contains('/') => {
            return vec![
                format!("a valid label key {}", regex_problem(LABEL_KEY_MESSAGE, LABEL_KEY, &examples))
                    + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
            ];
        }
        Some((prefix, name)) => {
            if prefix.is_empty() {
                problems.push("prefix part must be non-empty".to_owned());
            } else {
                if prefix.len() > SUBDOMAIN_LENGTH_MAX {
                    problems.push(format!("prefix part {}", max_bytes(SUBDOMAIN_LENGTH_MAX)));
                }
                let form = is_dns1123_subdomain(prefix).into_iter().filter(|p| !p.contains("no more than"));
                problems.extend(form.map(|problem| format!("prefix part {problem}")));
            }
            name
        }
    };
    if name.is_empty() {
        problems.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_LENGTH_MAX {
        problems.push(format!("name part {}", max_bytes(LABEL_LENGTH_MAX)));
    }
    if !is_label_text(name) {
        problems.push(format!("name part {}", regex_problem(LABEL_KEY_MESSAGE, LABEL_KEY, &examples)));
    }
    problems
}

/// The value of a label.
pub fn is_label_value(value: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if value.len() > LABEL_LENGTH_MAX {
        problems.push(max_bytes(LABEL_LENGTH_MAX));
    }
    if !value.is_empty() && !is_label_text(value) {
        problems.push(regex_problem(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
            &format!("({LABEL_KEY})?"),
            &["MyValue", "my_value", "12345"],
        ));
    }
    problems
}

/// An identifier of C.
pub fn is_c_identifier(value: &str) -> Vec<String> {
    let starts = value.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if starts && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Vec::new();
    }
    vec![regex_problem(
        "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'",
        "[A-Za-z_][A-Za-z0-9_]*",
        &["my_name", "MY_NAME", "MyName"],
    )]
}

/// The number of a port.
pub fn is_port_number(port: i64) -> Vec<String> {
    in_range(port, 1, 65535)
}

/// A number between two, inclusive.
pub fn in_range(value: i64, low: i64, high: i64) -> Vec<String> {
    if (low..=high).contains(&value) {
        return Vec::new();
    }
    vec![format!("must be between {low} and {high}, inclusive")]
}

/// The name of a port (IANA).
pub fn is_port_name(port: &str) -> Vec<String> {
    let mut problems = longer_than(port, 15);
    let charset = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if port.is_empty() || !port.bytes().all(charset) {
        problems.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !port.bytes().any(|b| b.is_ascii_lowercase()) {
        problems.push("must contain at least one letter (a-z)".to_owned());
    }
    if port.contains("--") {
        problems.push("must not contain consecutive hyphens".to_owned());
    }
    if port.starts_with('-') || port.ends_with('-') {
        problems.push("must not begin or end with a hyphen".to_owned());
    }
    problems
}

/// A percentage, such as `25%`.
pub fn is_percent(value: &str) -> Vec<String> {
    let digits = value.strip_suffix('%').unwrap_or_default();
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Vec::new();
    }
    vec![regex_problem(
        "a valid percent string must be a numeric string followed by an ending '%'",
        "[0-9]+%",
        &["1%", "93%"],
    )]
}

/// The name of an HTTP header.
pub fn is_http_header_name(value: &str) -> Vec<String> {
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Vec::new();
    }
    vec![regex_problem(
        "a valid HTTP header must consist of alphanumeric characters or '-'",
        "[-A-Za-z0-9]+",
        &["X-Header-Name"],
    )]
}

/// The name of an environment variable, by the strict rule (keys of a source named by `envFrom`).
pub fn is_environment_variable_name(value: &str) -> Vec<String> {
    let charset = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let starts = value.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    let mut problems = Vec::new();
    if !starts || !value.bytes().all(charset) {
        problems.push(regex_problem(
            "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit",
            "[-._a-zA-Z][-._a-zA-Z0-9]*",
            &["my.env-name", "MY_ENV.NAME", "MyEnvName1"],
        ));
    }
    problems.extend(leads_out(value));
    problems
}

/// The name of an environment variable, by the rule in force since 1.34: printable ASCII without `=`.
pub fn is_relaxed_environment_variable_name(value: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if value.is_empty() {
        problems.push("environment variable name must be non-empty".to_owned());
    }
    if value.chars().any(|c| !matches!(c, ' '..='~') || c == '=') {
        problems.push(
            "a valid environment variable name must consist only of printable ASCII characters other than '='"
                .to_owned(),
        );
    }
    problems
}

/// A key of a ConfigMap or a Secret, which may become a file.
pub fn is_config_map_key(value: &str) -> Vec<String> {
    let mut problems = longer_than(value, SUBDOMAIN_LENGTH_MAX);
    let charset = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if value.is_empty() || !value.bytes().all(charset) {
        problems.push(regex_problem(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            "[-._a-zA-Z0-9]+",
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    problems.extend(leads_out(value));
    problems
}

/// A name that can be a segment of a path.
pub fn is_path_segment_name(value: &str) -> Vec<String> {
    if value == "." || value == ".." {
        return vec![format!("may not be '{value}'")];
    }
    is_path_segment_prefix(value)
}

/// The beginning of a name that can be a segment of a path.
pub fn is_path_segment_prefix(value: &str) -> Vec<String> {
    let illegal = ["/", "%"].into_iter().filter(|illegal| value.contains(illegal));
    illegal.map(|illegal| format!("may not contain '{illegal}'")).collect()
}

/// A whole number as JSON writes it.
pub fn is_decimal_integer(value: &str) -> Vec<String> {
    if value.is_empty() {
        return vec!["must be non-empty".to_owned()];
    }
    let digits = value.strip_prefix('-').unwrap_or(value);
    let starts = digits.bytes().next().is_some_and(|b| matches!(b, b'1'..=b'9'));
    if value == "0" || (starts && digits.bytes().all(|b| b.is_ascii_digit())) {
        return Vec::new();
    }
    vec!["must be a valid decimal integer in canonical form".to_owned()]
}

/// A name of three or more DNS labels (`IsFullyQualifiedName`), reported where it stands.
pub fn fully_qualified_name(errors: &mut FieldErrors, path: &Path<'_>, name: &str) {
    domain_of(errors, path, name, 3, "three");
}

/// A domain of two or more DNS labels, perhaps with a dot at its end (`IsFullyQualifiedDomainName`).
pub fn fully_qualified_domain_name(errors: &mut FieldErrors, path: &Path<'_>, name: &str) {
    let bare = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        return errors.required(path, "");
    }
    if !domain_of(errors, path, bare, 2, "two") {
        return;
    }
    if let Some(label) = bare.split('.').find(|label| !is_dns1123_label(label).is_empty()) {
        errors.invalid(path, label, &is_dns1123_label(label).join(","));
    }
}

fn domain_of(errors: &mut FieldErrors, path: &Path<'_>, name: &str, segments: usize, number: &str) -> bool {
    let problems = is_dns1123_subdomain(name);
    if name.is_empty() {
        errors.required(path, "");
    } else if !problems.is_empty() {
        errors.invalid(path, name, &problems.join(","));
    } else if name.split('.').count() < segments {
        let detail = format!("should be a domain with at least {number} segments separated by dots");
        errors.invalid(path, name, &detail);
    } else {
        return true;
    }
    false
}

/// A path behind a domain (`acme.io/foo`), as a signer's name is.
pub fn domain_prefixed_path(errors: &mut FieldErrors, path: &Path<'_>, value: &str) {
    if value.is_empty() {
        return errors.required(path, "");
    }
    let Some((host, rest)) =
        value.split_once('/').filter(|(host, rest)| !host.is_empty() && !rest.is_empty())
    else {
        return errors.invalid(path, value, "must be a domain-prefixed path (such as \"acme.io/foo\")");
    };
    report(errors, path, host, is_dns1123_subdomain(host));
    let charset = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b);
    if !rest.bytes().all(charset) {
        errors.invalid(path, rest, &regex_problem("Invalid path", r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+", &[]));
    }
}

/// A label key that has a domain (`acme.io/foo`).
pub fn domain_prefixed_key(errors: &mut FieldErrors, path: &Path<'_>, key: &str) {
    let problems = is_qualified_name(key);
    if key.is_empty() {
        errors.required(path, "");
    } else if !problems.is_empty() {
        report(errors, path, key, problems);
    } else if !key.contains('/') {
        errors.invalid(path, key, "must be a domain-prefixed key (such as \"acme.io/foo\")");
    }
}

/// What is said of a text that is too long.
pub fn max_length(length: usize) -> String {
    format!("must be no more than {length} characters")
}

/// What is said of a text that does not match an expression (`RegexError`).
pub fn regex_problem(message: &str, expression: &str, examples: &[&str]) -> String {
    if examples.is_empty() {
        return format!("{message} (regex used for validation is '{expression}')");
    }
    // The comma before each `or` is Kubernetes' own.
    let examples: Vec<String> = examples.iter().map(|example| format!("'{example}', ")).collect();
    format!("{message} (e.g. {}regex used for validation is '{expression}')", examples.join(" or "))
}

fn longer_than(value: &str, length: usize) -> Vec<String> {
    if value.len() > length { vec![max_length(length)] } else { Vec::new() }
}

fn max_bytes(length: usize) -> String {
    format!("must be no more than {length} bytes")
}

/// A generated name goes on after the prefix, so that a dash at its end is none at the end of the name. Kubernetes
/// replaces the character before the dash as well, which lets `a_-` pass; clients see that.
fn mask_trailing_dash(name: &str, prefix: bool) -> String {
    if prefix && name.len() > 1 && name.ends_with('-') {
        return String::from_utf8_lossy(&name.as_bytes()[..name.len() - 2]).into_owned() + "a";
    }
    name.to_owned()
}

fn leads_out(value: &str) -> Option<String> {
    match value {
        "." | ".." => Some(format!("must not be '{value}'")),
        _ if value.starts_with("..") => Some("must not start with '..'".to_owned()),
        _ => None,
    }
}

fn is_lower_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    bytes.first().copied().is_some_and(is_lower_alphanumeric)
        && bytes.last().copied().is_some_and(is_lower_alphanumeric)
        && bytes.iter().all(|b| is_lower_alphanumeric(*b) || *b == b'-')
}

fn is_label_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rule = fn(&str) -> Vec<String>;

    #[test]
    fn what_fits_and_what_does_not() {
        let long = "a".repeat(64);
        let rules: [(Rule, &[&str], &[&str]); 11] = [
            (is_dns1123_label, &["a", "1a-b", "0"], &["", "-a", "a-", "A", "a.b", "a_b", &long]),
            (is_dns1123_subdomain, &["a", "a.b-c.1"], &["", "a..b", ".a", "a.", "A.b", "a_b"]),
            (is_dns1035_label, &["a", "a-1"], &["", "1a", "a-", "a.b"]),
            (is_wildcard_dns1123_subdomain, &["*.a.b"], &["*", "*.", "a.b", "*a.b", "*.*.a"]),
            (is_qualified_name, &["a", "A_b.c", "a.b/C"], &["", "/a", "a/", "a/b/c", "-a", "A/b", &long]),
            (is_label_value, &["", "a", "A.b_c-1"], &["-", "a ", &long]),
            (is_c_identifier, &["_a1"], &["", "1a", "a-b"]),
            (is_port_name, &["http", "a-1"], &["", "1", "a--b", "-a", "Aa", "abcdefghijklmnop"]),
            (is_percent, &["1%", "093%"], &["", "%", "1", "-1%", "1.5%"]),
            (is_config_map_key, &["a", ".a", "a..b"], &["", ".", "..", "..a", "a/b"]),
            (is_relaxed_environment_variable_name, &["1 a", "~"], &["", "a=b", "é", "\n"]),
        ];
        for (row, (rule, fits, fails)) in rules.into_iter().enumerate() {
            for value in fits {
                assert!(rule(value).is_empty(), "{row} {value:?}: {:?}", rule(value));
            }
            for value in fails {
                assert!(!rule(value).is_empty(), "{row} {value:?}");
            }
        }
    }

    #[test]
    fn problems_are_told_as_kubernetes_tells_them() {
        assert_eq!(is_dns1123_label("dot.ted"), ["must not contain dots"]);
        assert_eq!(is_dns1123_subdomain(&"a".repeat(254)), ["must be no more than 253 characters"]);
        assert_eq!(is_label_value(&"v".repeat(64)), ["must be no more than 63 bytes"]);
        assert_eq!(
            is_qualified_name("/"),
            [
                "prefix part must be non-empty",
                "name part must be non-empty",
                "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                 alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
                 '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            ]
        );
        assert_eq!(
            is_port_name("1-"),
            ["must contain at least one letter (a-z)", "must not begin or end with a hyphen"]
        );
        assert_eq!(is_path_segment_name("a/%"), ["may not contain '/'", "may not contain '%'"]);
        assert_eq!(is_path_segment_name(".."), ["may not be '..'"]);
        assert!(path_segment_name("..", true).is_empty());
        assert_eq!(is_port_number(0), ["must be between 1 and 65535, inclusive"]);
    }

    #[test]
    fn a_prefix_may_end_in_a_dash() {
        assert!(dns1123_subdomain_name("gen-", true).is_empty());
        assert!(!dns1123_subdomain_name("gen-", false).is_empty());
        assert!(!dns1123_subdomain_name("Bad_", true).is_empty());
        assert!(!dns1123_label_name("é-", true).is_empty());
        assert!(!dns1035_label_name("-", true).is_empty());
    }
}
