//! The table of built-in resources, as Rust.

use std::{fmt::Write, path::Path};

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use super::{CRATE, read};

const OPENING: &str =
    "//! The built-in resources, in the order of discovery. Written by `cargo xtask tables` from \
                       `data/discovery.json`.

use std::borrow::Cow::Borrowed;

use super::Row;
use crate::kinds::{Column, Subresource};

pub static ROWS: &[Row] = &[
";

/// The text of the file.
pub fn text(root: &Path) -> Result<String> {
    let data = root.join(CRATE).join("data");
    let (schema, resources) = (read(&data.join("schema.json"))?, read(&data.join("discovery.json"))?);
    let schema = schema.as_object().context("the schema is a map of types")?;
    let mut text = OPENING.to_owned();
    for resource in resources.as_array().context("the resources are a list")? {
        writeln!(text, "    {},", row(resource, schema)?)?;
    }
    text.push_str("];\n");
    Ok(text)
}

fn row(resource: &Value, schema: &Map<String, Value>) -> Result<String> {
    let field = |name: &str| resource[name].as_str().unwrap_or_default();
    let (group, version, kind) = (field("group"), field("version"), field("kind"));
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let gvk = format!("{api_version}/{kind}");
    let of_kind =
        |of_type: &Value| of_type["gvk"].as_array().is_some_and(|all| all.iter().any(|own| *own == *gvk));
    let (type_name, _) =
        schema.iter().find(|(_, of_type)| of_kind(of_type)).with_context(|| format!("no type is a {gvk}"))?;
    let list_kind = format!("{kind}List");
    let mut out = "Row { ".to_owned();
    for (name, value) in [
        ("group", group),
        ("version", version),
        ("plural", field("resource")),
        ("singular", field("singular")),
        ("kind", kind),
        ("list_kind", &list_kind),
        ("api_version", &api_version),
        ("type_name", type_name),
    ] {
        write!(out, "{name}: {value:?}, ")?;
    }
    write!(
        out,
        "namespaced: {}, preferred: {}, ",
        resource["namespaced"] == true,
        resource["preferred"] == true
    )?;
    for (name, field) in [
        ("verbs", "verbs"),
        ("short_names", "shortNames"),
        ("categories", "categories"),
        ("selectable_fields", "selectableFields"),
    ] {
        write!(out, "{name}: {}, ", texts(&resource[field]))?;
    }
    let columns: Vec<String> = list(&resource["columns"])
        .map(|column| format!("Column::new({}, {}, {}, {})", column[0], column[1], column[2], column[3]))
        .collect();
    let subresources: Vec<String> = list(&resource["subresources"]).map(subresource).collect();
    write!(out, "columns: &[{}], subresources: &[{}] }}", columns.join(", "), subresources.join(", "))?;
    Ok(out)
}

/// The kind of a subresource's bodies is that of a resource of the same version, or has its own before it.
fn subresource(facts: &Value) -> String {
    let mut parts = facts["kind"].as_str().unwrap_or_default().rsplitn(3, '/');
    let mut part = || parts.next().unwrap_or_default();
    let (kind, version, group) = (part(), part(), part());
    format!(
        "Subresource {{ name: Borrowed({}), group: Borrowed({group:?}), version: Borrowed({version:?}), kind: \
         Borrowed({kind:?}), verbs: \
         Borrowed({}) }}",
        facts["name"],
        texts(&facts["verbs"])
    )
}

fn texts(texts: &Value) -> String {
    let texts: Vec<String> = list(texts).map(|text| format!("Borrowed({text})")).collect();
    format!("&[{}]", texts.join(", "))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_rows_are_those_of_the_facts() {
        let root = crate::root();
        let written = fs::read_to_string(root.join(CRATE).join("src/kinds/table/rows.rs")).unwrap();
        assert!(written == text(&root).unwrap(), "run `cargo xtask tables`");
    }
}
