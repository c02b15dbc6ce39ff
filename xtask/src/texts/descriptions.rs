//! What types and their fields mean, by the name of the type and then of the field: the type itself has the empty
//! name. What nearly all types say of `apiVersion` and `kind` is written once, under the empty name.

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};

/// Fields that nearly all types have, with texts that nearly always are the same.
const SHARED: [&str; 2] = ["apiVersion", "kind"];

/// The type whose texts of those fields are the shared ones.
const USUAL: &str = "io.k8s.api.core.v1.Pod";

/// The texts of the types and fields of `schema`; what the facts say of others is left out.
pub fn of(schema: &Value, facts: &Value) -> Result<Value> {
    let schema = schema.as_object().context("the schema is a map of types")?;
    let unknown: Vec<&String> =
        schema.keys().filter(|name| facts[name.as_str()][""]["text"].is_null()).collect();
    ensure!(unknown.is_empty(), "the facts do not say what these types mean: {unknown:?}");
    let shared: Map<String, Value> =
        SHARED.iter().map(|field| ((*field).to_owned(), text(facts, USUAL, field).into())).collect();
    let mut out = Map::new();
    for (name, shape) in schema {
        let fields = shape["fields"].as_object();
        let names = std::iter::once("").chain(fields.into_iter().flatten().map(|(field, _)| field.as_str()));
        let texts: Map<String, Value> = names
            .map(|field| (field.to_owned(), Value::from(text(facts, name, field))))
            // A field without a text has to say so only where it would be given the shared one.
            .filter(|(field, text)| match shared.get(field) {
                Some(shared) => shared != text,
                None => text != "",
            })
            .collect();
        out.insert(name.clone(), texts.into());
    }
    out.insert(String::new(), shared.into());
    Ok(out.into())
}

fn text<'a>(facts: &'a Value, name: &str, field: &str) -> &'a str {
    facts[name][field]["text"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn facts() -> Value {
        json!({
            "io.k8s.api.core.v1.Pod": {
                "": {"text": "A pod."}, "apiVersion": {"text": "usual"}, "kind": {"text": "usual kind"},
            },
            "a.Reference": {
                "": {"text": "A reference."}, "apiVersion": {"text": "unusual"}, "kind": {},
                "name": {"text": "Its name."}, "silent": {}, "internal": {"text": "not served"},
            },
            "a.Unserved": {"": {"text": "Not served."}},
        })
    }

    #[test]
    fn texts_that_types_share_are_written_once() {
        let schema = json!({
            "io.k8s.api.core.v1.Pod": {"fields": {"apiVersion": {}, "kind": {}}},
            "a.Reference": {"fields": {"apiVersion": {}, "kind": {}, "name": {}, "silent": {}}},
        });
        let texts = of(&schema, &facts()).unwrap();
        assert_eq!(
            texts,
            json!({
                "": {"apiVersion": "usual", "kind": "usual kind"},
                "io.k8s.api.core.v1.Pod": {"": "A pod."},
                "a.Reference": {"": "A reference.", "apiVersion": "unusual", "kind": "", "name": "Its name."},
            })
        );
    }

    #[test]
    fn a_type_without_a_text_is_an_error() {
        let error = of(&json!({"a.Reference": {}, "a.New": {}}), &facts()).unwrap_err();
        assert!(error.to_string().contains(r#"["a.New"]"#), "{error}");
    }
}
