//! The query parameters of requests, by the options that they make up and then by name: the OpenAPI type, and what the
//! parameter means.

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

/// What kube-apiserver says of the parameter that belongs to no options: the words are its own, no type has them.
const PRETTY: &str = "If 'true', then the output is pretty printed. Defaults to 'false' unless the user-agent \
                      indicates a browser or command-line HTTP tool (curl and wget).";

/// The parameters of all options that `facts` have; those of every request stand under the empty name.
pub fn of(facts: &Value) -> Result<Value> {
    let mut out = Map::new();
    out.insert(String::new(), json!({"pretty": ["string", PRETTY]}));
    for (type_name, fields) in facts.as_object().context("the facts are a map of types")? {
        let fields = fields.as_object().context("a type is a map of fields")?;
        let parameters: Map<String, Value> = fields
            .iter()
            .filter_map(|(name, fact)| Some((name.clone(), fact.get("parameter")?.clone())))
            .collect();
        if !parameters.is_empty() {
            let options = type_name.rsplit('.').next().unwrap_or_default();
            ensure!(
                out.insert(options.to_owned(), parameters.into()).is_none(),
                "two types are named {options}"
            );
        }
    }
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_named_without_their_package() {
        let facts = json!({
            "a.v1.GetOptions": {"": {"text": "x"}, "kind": {}, "watch": {"parameter": ["boolean", "Watch."]}},
            "a.v1.Pod": {"": {"text": "x"}, "spec": {}},
        });
        let parameters = of(&facts).unwrap();
        assert_eq!(parameters["GetOptions"], json!({"watch": ["boolean", "Watch."]}));
        assert_eq!(parameters[""]["pretty"][0], "string");
        assert_eq!(parameters.as_object().unwrap().len(), 2);
    }

    #[test]
    fn options_of_one_name_are_an_error() {
        let options = json!({"watch": {"parameter": ["boolean", "Watch."]}});
        let error = of(&json!({"a.v1.GetOptions": options, "a.v2.GetOptions": options})).unwrap_err();
        assert_eq!(error.to_string(), "two types are named GetOptions");
    }
}
