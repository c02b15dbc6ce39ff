//! `xebec reference`: the page of all observers, `docs/observers.md`, made from their specs.

use crate::chosen::Chosen;

const OPENING: &str = "\
# Observers

What each observer of xebec does, may do, and shows. `xebec up` and `xebec run` run all of them, or those of `--observers`; an
option is a flag, as in `--reload.selector=tier=web`. `xebec NAME plan` prints what one would do, `xebec NAME list` what it
serves, `xebec NAME why KIND/NAMESPACE/NAME` why it does what it does. `xebec manifests` prints the rights as RBAC rules.

This page is made from the observers' specs: `cargo run -p xebec -- reference > docs/observers.md`.
";

/// The page as Markdown.
pub fn page() -> String {
    let observers = Chosen::all().map(|observer| observer.spec().reference());
    std::iter::once(OPENING.to_owned()).chain(observers).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_committed_page_says_what_the_specs_say() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/observers.md");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        let command = "cargo run -p xebec -- reference > docs/observers.md";
        assert!(committed == super::page(), "the specs have changed: {command}");
    }
}
