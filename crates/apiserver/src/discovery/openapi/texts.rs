//! What types, fields and query parameters mean, as `kubectl explain` shows it: read from the embedded tables when a
//! document is first asked for, each type by itself.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use serde_json::value::RawValue;

static DESCRIPTIONS: &str = include_str!("../../../data/descriptions.json");
static PARAMETERS: &str = include_str!("../../../data/parameters.json");

// The tables are part of the program: tests say that they parse.
static TYPES: LazyLock<HashMap<&'static str, &'static RawValue>> =
    LazyLock::new(|| serde_json::from_str(DESCRIPTIONS).unwrap_or_default());

/// Parameters by name: their type, and what they mean.
type Parameters = BTreeMap<&'static str, (String, String)>;

/// Parameters by the type of options that they make up.
static OPTIONS: LazyLock<HashMap<&'static str, Parameters>> =
    LazyLock::new(|| serde_json::from_str(PARAMETERS).unwrap_or_default());

/// What a type and its fields mean; the type itself under the empty name.
pub struct Texts(HashMap<String, String>);

impl Texts {
    /// The texts of a built-in type.
    pub fn of(type_name: &str) -> Self {
        let parse = |name: &str| {
            TYPES.get(name).and_then(|texts| serde_json::from_str(texts.get()).ok()).unwrap_or_default()
        };
        // What nearly all types say of apiVersion and kind stands under the empty name.
        let mut texts: HashMap<String, String> = parse("");
        texts.extend::<HashMap<_, _>>(parse(type_name));
        Self(texts)
    }

    /// What the field means, or the type where `field` is empty; `None` where nothing is said.
    pub fn get(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str).filter(|text| !text.is_empty())
    }
}

/// A query parameter: its name, its OpenAPI type, and what it means.
pub type Parameter = (&'static str, &'static str, &'static str);

/// The query parameters that options of that kind are sent as, by name.
pub fn parameters(options: &str) -> impl Iterator<Item = Parameter> {
    let of_kind = OPTIONS.get(options).into_iter().flatten();
    of_kind.map(|(name, (type_, text))| (*name, type_.as_str(), text.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machinery::builtin;

    #[test]
    fn every_type_has_a_text() {
        for name in builtin::names() {
            assert!(Texts::of(name).get("").is_some(), "{name}");
        }
        let pod = Texts::of("io.k8s.api.core.v1.Pod");
        assert!(pod.get("kind").unwrap().starts_with("Kind is a string value"));
        assert_eq!(pod.get("nope"), None);
    }

    #[test]
    fn parameters_have_a_type_and_a_text() {
        for options in [
            "",
            "ListOptions",
            "DeleteOptions",
            "CreateOptions",
            "UpdateOptions",
            "PatchOptions",
            "PodExecOptions",
        ] {
            assert!(parameters(options).count() > 0, "{options}");
        }
        assert_eq!(parameters("PatchOptions").map(|(name, ..)| name).last(), Some("force"));
    }
}
