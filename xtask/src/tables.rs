//! `cargo xtask tables`: the tables of built-in kinds.
//!
//! With `FACTS.json SHARED_DATA_DIR` it first merges what a kube-apiserver says of its types (OpenAPI, discovery) with
//! what Go says of them (`xtask/facts`: emptiness, pointers, places in protobuf) into the tables of
//! `crates/apiserver/data`. Then, and without arguments only that, it writes what the API server reads at its start as
//! Rust, so that no process parses it: the resources, and the objects of a new cluster as they are stored.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::test;

mod rows;

/// The crate whose tables these are, below the root of the repository.
const CRATE: &str = "crates/apiserver";

/// Writes the tables that are Rust from those in `data`.
pub fn write_rust(root: &Path) -> Result<()> {
    let path = root.join(CRATE).join("src/kinds/table/rows.rs");
    fs::write(&path, rows::text(root)?).with_context(|| format!("write {}", path.display()))?;
    // Only the API server itself knows how objects are stored: its test that compares them writes them when told to.
    let status = test::cargo(root, "test")
        .args(["--package", "xebec-apiserver", "--lib", "the_table_is_what_would_be_stored_of_the_facts"])
        .env("XEBEC_TABLES", "write")
        .status()
        .context("run cargo")?;
    if !status.success() {
        bail!("the objects of a new cluster could not be written: {status}");
    }
    Ok(())
}

/// Writes `schema.json`, `discovery.json` and `fresh-cluster.json` below `out`.
pub fn generate(facts: &Path, data: &Path, out: &Path) -> Result<()> {
    let facts = read(facts)?;
    let mut schema = read(&data.join("schema-1.36.json"))?;
    for (name, entry) in schema.as_object_mut().context("the schema is a map of types")? {
        if let Some(fields) = entry.get_mut("fields").and_then(Value::as_object_mut) {
            for (field, shape) in fields {
                merge(shape, &facts[name][field]);
            }
        }
    }
    lines(&out.join("schema.json"), &schema)?;
    lines(&out.join("discovery.json"), &read(&data.join("discovery-1.36.json"))?)?;
    let mut fresh = read(&data.join("fresh-cluster-1.36.json"))?;
    if let Some(objects) = fresh.as_array_mut() {
        // The recorder's own custom resource had left its APIService behind.
        objects.retain(|object| {
            object["metadata"]["labels"]["kube-aggregator.kubernetes.io/automanaged"] != "true"
        });
    }
    lines(&out.join("fresh-cluster.json"), &fresh)
}

fn merge(shape: &mut Value, fact: &Value) {
    let Some(shape) = shape.as_object_mut() else { return };
    let flag = |name: &str| fact[name] == Value::Bool(true);
    if flag("omitZero") {
        shape.insert("omit".into(), "zero".into());
    } else if flag("omitEmpty") {
        shape.insert("omit".into(), "empty".into());
    }
    if flag("pointer") {
        shape.insert("pointer".into(), true.into());
    }
    if flag("bytes") {
        shape.insert("bytes".into(), true.into());
    }
    for (from, to) in [("proto", "proto"), ("go", "go"), ("goType", "go-type")] {
        if let Some(value) = fact.get(from) {
            shape.insert(to.into(), value.clone());
        }
    }
    if flag("wrapped") {
        let list = match shape.get_mut("additionalProperties") {
            Some(Value::Object(values)) => values,
            _ => shape,
        };
        list.insert("wrapped".into(), true.into());
    }
}

/// Reads a file of JSON.
pub fn read(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("parse {}", path.display()))
}

/// One entry a line, so that a change of the tables reads as one.
pub fn lines(path: &Path, value: &Value) -> Result<()> {
    let rows = |rows: Vec<String>, open, close| format!("{open}\n{}\n{close}\n", rows.join(",\n"));
    let text = match value {
        Value::Object(map) => rows(
            map.iter().map(|(name, entry)| format!("{}: {entry}", Value::String(name.clone()))).collect(),
            '{',
            '}',
        ),
        Value::Array(list) => rows(list.iter().map(Value::to_string).collect(), '[', ']'),
        other => other.to_string(),
    };
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}
