//! `cargo xtask descriptions ZZ_GENERATED.OPENAPI.GO`: what Kubernetes' types and their fields mean, from the OpenAPI
//! definitions that a kube-apiserver is built with (`pkg/generated/openapi` of the module `k8s.io/kubernetes`), into
//! `crates/apiserver/data/descriptions.json`.
//!
//! The source is Go as `gofmt` leaves it, so that indentation says what belongs to what.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};

/// The texts of a type: its own under the empty name, those of its fields under theirs.
type Texts = BTreeMap<String, String>;

/// Fields that nearly all types have, with texts that nearly always are the same: those are written once.
const SHARED: [&str; 2] = ["apiVersion", "kind"];

/// Reads `source` and writes the descriptions of the types of `schema.json` in `data`.
pub fn generate(source: &Path, data: &Path) -> Result<()> {
    let source = fs::read_to_string(source).with_context(|| format!("read {}", source.display()))?;
    let schema = fs::read_to_string(data.join("schema.json")).context("read schema.json")?;
    let schema: Map<String, Value> = serde_json::from_str(&schema).context("parse schema.json")?;
    let functions = functions(&source)?;
    let mut out: BTreeMap<&str, Texts> = BTreeMap::new();
    let mut missing = Vec::new();
    for (name, facts) in &schema {
        let Some(texts) = functions.get(function_name(name).as_str()) else {
            missing.push(name);
            continue;
        };
        let fields = facts["fields"].as_object();
        let known = |field: &str| field.is_empty() || fields.is_some_and(|all| all.contains_key(field));
        let texts: Texts = texts.iter().filter(|(field, _)| known(field)).map(clone_entry).collect();
        out.insert(name, texts);
    }
    ensure!(missing.len() < 5, "no definitions of {missing:?}");
    let shared = share(&mut out, &schema);
    out.insert("", shared);
    let lines: Vec<String> = out
        .iter()
        .map(|(name, texts)| Ok(format!("{}: {}", Value::from(*name), serde_json::to_string(texts)?)))
        .collect::<Result<_>>()?;
    let path = data.join("descriptions.json");
    fs::write(&path, format!("{{\n{}\n}}\n", lines.join(",\n")))
        .with_context(|| format!("write {}", path.display()))
}

fn clone_entry((name, text): (&String, &String)) -> (String, String) {
    (name.clone(), text.clone())
}

/// Takes out the texts that types share. A field that really has none is written with an empty text.
fn share(out: &mut BTreeMap<&str, Texts>, schema: &Map<String, Value>) -> Texts {
    let pod = out.get("io.k8s.api.core.v1.Pod").cloned().unwrap_or_default();
    let shared: Texts = pod.into_iter().filter(|(field, _)| SHARED.contains(&field.as_str())).collect();
    for (name, texts) in out {
        for (field, text) in &shared {
            if schema[*name]["fields"].get(field).is_none() {
                continue;
            }
            match texts.get(field) {
                Some(own) if own == text => drop(texts.remove(field)),
                Some(_) => {}
                None => drop(texts.insert(field.clone(), String::new())),
            }
        }
    }
    shared
}

/// The name that openapi-gen gives the function of a type: the last four parts of the package's path, and the type.
fn function_name(type_name: &str) -> String {
    let parts: Vec<&str> = type_name.split('.').collect();
    // `io.k8s.api.core.v1.Pod` is `Pod` of `k8s.io/api/core/v1`.
    let mut package = vec!["k8sio"];
    package.extend(parts.get(2..parts.len() - 1).unwrap_or_default());
    let package = &package[package.len().saturating_sub(4)..];
    format!("{}_{}", package.join("_").replace('-', ""), parts[parts.len() - 1])
}

fn functions(source: &str) -> Result<BTreeMap<&str, Texts>> {
    let mut functions: BTreeMap<&str, Texts> = BTreeMap::new();
    let (mut function, mut field) = ("", "");
    for line in source.lines() {
        if let Some(rest) = line.strip_prefix("func schema_") {
            (function, field) = (rest.split('(').next().unwrap_or_default(), "");
            continue;
        }
        let trimmed = line.trim_start_matches('\t');
        let depth = line.len() - trimmed.len();
        if let Some(name) = trimmed.strip_suffix("\": {").filter(|_| depth == 5) {
            field = name.trim_start_matches('"');
        }
        let Some(literal) = trimmed.strip_prefix("Description: ") else { continue };
        // Descriptions that stand deeper are of items, which have none of their own in Kubernetes.
        let owner = match depth {
            4 => "",
            7 => field,
            _ => continue,
        };
        let text: String = serde_json::from_str(literal.trim().trim_end_matches(','))
            .with_context(|| format!("the description of {function}.{owner}"))?;
        functions.entry(function).or_default().entry(owner.to_owned()).or_insert(text);
    }
    Ok(functions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_named_for_package_and_type() {
        for (name, function) in [
            ("io.k8s.api.core.v1.Pod", "k8sio_api_core_v1_Pod"),
            ("io.k8s.apimachinery.pkg.apis.meta.v1.Time", "pkg_apis_meta_v1_Time"),
            ("io.k8s.apimachinery.pkg.api.resource.Quantity", "apimachinery_pkg_api_resource_Quantity"),
            ("io.k8s.apimachinery.pkg.runtime.RawExtension", "k8sio_apimachinery_pkg_runtime_RawExtension"),
        ] {
            assert_eq!(function_name(name), function);
        }
    }

    #[test]
    fn texts_are_read_by_their_place() {
        let source = "func schema_a_T(ref x) y {\n\t\t\t\tDescription: \"a \\\"T\\\"\",\n\t\t\t\tProperties: x{\n\
                      \t\t\t\t\t\"f\": {\n\t\t\t\t\t\t\tDescription: \"b\",\n\t\t\t\t\t\t\t\t\t\tDescription: \"no\",\n";
        let texts = &functions(source).unwrap()["a_T"];
        assert_eq!(texts[""], "a \"T\"");
        assert_eq!(texts["f"], "b");
        assert_eq!(texts.len(), 2);
    }
}
