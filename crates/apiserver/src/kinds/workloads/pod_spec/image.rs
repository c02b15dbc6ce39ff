//! Names of images, as far as the server reads them: whether a name means the newest image (`latest`).

use std::sync::LazyLock;

use regex::Regex;

/// `[DOMAIN/]PATH[:TAG][@DIGEST]` after Docker's normal form, which writes the domain out.
static REFERENCE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let label = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
    let domain = format!(r"(?:{label}(?:\.{label})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?");
    let component = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
    let tag = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}";
    let digest = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}";
    Regex::new(&format!(
        "^(?<name>(?:{domain}/)?{component}(?:/{component})*)(?::(?<tag>{tag}))?(?:@(?<digest>{digest}))?$"
    ))
    .ok()
});

/// How long the name of a repository may be.
const NAME_LENGTH_MAX: usize = 255;

/// Whether an image has the tag `latest`, said or meant; a name that is none of an image has not.
pub fn is_latest(image: &str) -> bool {
    if image.len() == 64 && image.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
        return false; // could be an image's id
    }
    let (domain, rest) = split_domain(image);
    let rest_has_path = rest.contains('/');
    let path = rest.split_once(':').map_or(rest, |(path, _)| path);
    if path.to_lowercase() != path {
        return false;
    }
    let full = match domain {
        Some(domain) => format!("{domain}/{rest}"),
        None if rest_has_path => format!("docker.io/{rest}"),
        None => format!("docker.io/library/{rest}"),
    };
    let Some(parts) = REFERENCE.as_ref().and_then(|reference| reference.captures(&full)) else {
        return false;
    };
    if parts.name("name").is_some_and(|name| name.len() > NAME_LENGTH_MAX) {
        return false;
    }
    match (parts.name("tag"), parts.name("digest")) {
        (tag, Some(digest)) => is_digest(digest.as_str()) && tag.is_some_and(|tag| tag.as_str() == "latest"),
        (Some(tag), None) => tag.as_str() == "latest",
        (None, None) => true,
    }
}

/// What stands before the first slash is a domain if it looks like one.
fn split_domain(image: &str) -> (Option<&str>, &str) {
    match image.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':']) || first == "localhost" || first.to_lowercase() != first =>
        {
            match first {
                "docker.io" | "index.docker.io" => (None, rest),
                _ => (Some(first), rest),
            }
        }
        _ => (None, image),
    }
}

fn is_digest(digest: &str) -> bool {
    let (algorithm, hex) = digest.split_once(':').unwrap_or_default();
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    hex.len() == length && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_a_tag_is_the_latest() {
        assert!(REFERENCE.is_some());
        let digest = format!("@sha256:{}", "a".repeat(64));
        for (image, latest) in [
            ("nginx", true),
            ("nginx:latest", true),
            ("nginx:1.27", false),
            ("registry.example.com:5000/team/app", true),
            ("registry.example.com:5000/team/app:v1", false),
            ("localhost/app", true),
            ("docker.io/library/nginx", true),
            ("a__b/c-d.e", true),
            (&format!("nginx{digest}"), false),
            (&format!("nginx:latest{digest}"), true),
            ("nginx@sha256:abc", false),
            ("", false),
            (" nginx", false),
            ("Nginx", false),
            ("nginx:", false),
            ("UPPER/app", true),
            (&"a".repeat(64), false),
            (&"a".repeat(300), false),
        ] {
            assert_eq!(is_latest(image), latest, "{image}");
        }
    }
}
