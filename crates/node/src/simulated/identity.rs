//! Names of what does not exist: image and container ids, machine ids. The same for the same things, always.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// A SHA-256 in hexadecimal.
pub(crate) fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An identifier in the form of a UUID.
pub(crate) fn uuid(parts: &[&str]) -> String {
    let hex = digest(parts);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32])
}

/// The full reference of an image, as container runtimes report it: with registry and tag.
pub(crate) fn image_reference(image: &str) -> String {
    let (host, _) = image.split_once('/').unwrap_or_default();
    let has_host = host.contains(['.', ':']) || host == "localhost";
    let registry = match (has_host, image.contains('/')) {
        (true, _) => "",
        (false, true) => "docker.io/",
        (false, false) => "docker.io/library/",
    };
    let name = image.rsplit('/').next().unwrap_or_default();
    let tag = if name.contains(':') || image.contains('@') { "" } else { ":latest" };
    format!("{registry}{image}{tag}")
}

/// The id of an image: its repository and the digest of its contents.
pub(crate) fn image_id(image: &str) -> String {
    let reference = image_reference(image);
    if reference.contains('@') {
        return reference;
    }
    let name = reference.rfind('/').map_or(0, |slash| slash + 1);
    let repository = reference[name..].split(':').next().unwrap_or_default();
    format!("{}{repository}@sha256:{}", &reference[..name], digest(&["image", &reference]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_named_in_full() {
        for (image, reference) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1.29", "docker.io/library/nginx:1.29"),
            ("bitnami/redis", "docker.io/bitnami/redis:latest"),
            ("localhost/a:1", "localhost/a:1"),
            ("localhost:5000/a", "localhost:5000/a:latest"),
            ("ghcr.io/a/b@sha256:00", "ghcr.io/a/b@sha256:00"),
            ("", "docker.io/library/:latest"),
        ] {
            assert_eq!(image_reference(image), reference);
        }
        assert!(image_id("localhost:5000/a").starts_with("localhost:5000/a@sha256:"));
        assert!(image_id("nginx:1.29").starts_with("docker.io/library/nginx@sha256:"));
        assert_eq!(image_id("nginx"), image_id("docker.io/library/nginx:latest"));
    }
}
