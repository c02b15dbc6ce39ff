//! The forms of names that the API server accepts, where a wrong one is better refused before.

/// Whether this is a DNS subdomain, as most names of objects are.
pub(crate) fn is_subdomain(name: &str) -> bool {
    let ends_well = |end: Option<char>| end.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let is_label = |label: &str| {
        ends_well(label.chars().next())
            && ends_well(label.chars().next_back())
            && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// Whether this is the name in a qualified name, such as that of a finalizer, a label or a condition.
pub(crate) fn is_name(name: &str) -> bool {
    let ends_well = |end: Option<char>| end.is_some_and(|c| c.is_ascii_alphanumeric());
    name.len() <= 63
        && ends_well(name.chars().next())
        && ends_well(name.chars().next_back())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}
