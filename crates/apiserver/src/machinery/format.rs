//! The forms that names have to have: DNS labels and subdomains, qualified names, path segments, IPs
//! (`k8s.io/apimachinery/pkg/util/validation`). Each function tells what is wrong, in Kubernetes' words.

/// What is wrong with `name` as the name of an object that must be a DNS subdomain; a prefix (`generateName`) may
/// end in a dash.
pub fn dns1123_subdomain_name(name: &str, prefix: bool) -> Vec<String> {
    let masked = if prefix { mask_trailing_dash(name) } else { name.to_owned() };
    is_dns1123_subdomain(&masked)
}

/// What is wrong with `value` as a DNS subdomain (RFC 1123).
pub fn is_dns1123_subdomain(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > 253 {
        errors.push(max_length(253));
    }
    if !value.split('.').all(is_label) {
        errors.push(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
             start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
                .to_owned(),
        );
    }
    errors
}

fn max_length(length: usize) -> String {
    format!("must be no more than {length} characters")
}

/// A generated name goes on after the prefix, so that a dash at its end is none at the end of the name.
fn mask_trailing_dash(name: &str) -> String {
    match name.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => format!("{rest}a"),
        _ => name.to_owned(),
    }
}

fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let edge = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    bytes.first().is_some_and(edge)
        && bytes.last().is_some_and(edge)
        && bytes.iter().all(|b| edge(b) || *b == b'-')
}
