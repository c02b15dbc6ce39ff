//! `cargo xtask columns`: what the columns of `kubectl get` mean, from the tables in `tests/recordings`, into
//! `crates/apiserver/data/columns.json`.
//!
//! The recordings do not show every kind. What they do not say stays as it is: that part of the file is kept by hand,
//! and the command says which it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::tables::{lines, read};

/// What columns mean, by `GROUP/KIND` and then by heading; under the empty name what most kinds say.
type Texts = BTreeMap<String, BTreeMap<String, String>>;

/// The kind of each resource, by the start of its path: `/api/v1/` or `/apis/GROUP/VERSION/`, and the resource.
type Kinds = BTreeMap<(String, String), String>;

/// Puts what the tables below `recordings` say into `columns.json` in `data`.
pub fn generate(recordings: &Path, data: &Path) -> Result<()> {
    let path = data.join("columns.json");
    let mut texts: Texts = serde_json::from_value(read(&path)?).context("parse columns.json")?;
    let kinds = kinds(&read(&data.join("discovery.json"))?);
    let mut recorded = BTreeSet::new();
    for file in files(recordings)? {
        for scenario in read(&file)?.as_array().context("a recording is a list of scenarios")? {
            for step in scenario["steps"].as_array().into_iter().flatten() {
                take(step, &kinds, &mut texts, &mut recorded);
            }
        }
    }
    lines(&path, &serde_json::to_value(&texts)?)?;
    for (kind, headings) in texts.iter().filter(|(kind, _)| !kind.is_empty() && !recorded.contains(*kind)) {
        println!("kept by hand: {kind}: {}", headings.keys().cloned().collect::<Vec<_>>().join(", "));
    }
    Ok(())
}

fn files(recordings: &Path) -> Result<BTreeSet<PathBuf>> {
    let entries = |folder: &Path| fs::read_dir(folder).with_context(|| format!("read {}", folder.display()));
    let mut files = BTreeSet::new();
    for folder in entries(recordings)? {
        let folder = folder?.path();
        if folder.is_dir() {
            let below = entries(&folder)?.collect::<Result<Vec<_>, _>>()?;
            files.extend(below.into_iter().map(|entry| entry.path()));
        }
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    Ok(files)
}

fn kinds(discovery: &Value) -> Kinds {
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let entry = |entry: &Value| {
        let (group, version) = (text(entry, "group"), text(entry, "version"));
        let root =
            if group.is_empty() { format!("/api/{version}/") } else { format!("/apis/{group}/{version}/") };
        ((root, text(entry, "resource")), format!("{group}/{}", text(entry, "kind")))
    };
    discovery.as_array().into_iter().flatten().map(entry).collect()
}

/// The kind that a path is about; `None` where it is no built-in one.
fn kind<'a>(path: &str, kinds: &'a Kinds) -> Option<&'a str> {
    let path = path.split('?').next().unwrap_or_default();
    kinds.iter().find_map(|((root, resource), kind)| {
        let words: Vec<&str> = path.strip_prefix(root.as_str())?.split('/').collect();
        let (["namespaces", _, named, ..] | [named, ..]) = words.as_slice() else { return None };
        (named == resource).then_some(kind.as_str())
    })
}

fn take(step: &Value, kinds: &Kinds, texts: &mut Texts, recorded: &mut BTreeSet<String>) {
    let Some(kind) = step["path"].as_str().and_then(|path| kind(path, kinds)) else { return };
    let answer = &step["answer"];
    let events = answer["events"].as_array().into_iter().flatten().map(|event| &event["object"]);
    for table in std::iter::once(&answer["body"]).chain(events) {
        for column in table["columnDefinitions"].as_array().into_iter().flatten() {
            let (Some(heading), Some(text)) = (column["name"].as_str(), column["description"].as_str())
            else {
                continue;
            };
            recorded.insert(kind.to_owned());
            let usual = texts.get("").and_then(|usual| usual.get(heading));
            if usual.is_some_and(|usual| usual == text) {
                if let Some(own) = texts.get_mut(kind) {
                    own.remove(heading);
                }
            } else {
                texts.entry(kind.to_owned()).or_default().insert(heading.to_owned(), text.to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn served() -> Kinds {
        kinds(&json!([
            {"group": "", "version": "v1", "resource": "pods", "kind": "Pod"},
            {"group": "", "version": "v1", "resource": "namespaces", "kind": "Namespace"},
            {"group": "apps", "version": "v1", "resource": "deployments", "kind": "Deployment"},
        ]))
    }

    #[test]
    fn paths_are_about_kinds() {
        let kinds = served();
        for (path, expected) in [
            ("/api/v1/pods", Some("/Pod")),
            ("/api/v1/namespaces/{ns}/pods/p?watch=1", Some("/Pod")),
            ("/api/v1/namespaces/{ns}", Some("/Namespace")),
            ("/api/v1/namespaces?limit=1", Some("/Namespace")),
            ("/apis/apps/v1/namespaces/{ns}/deployments", Some("apps/Deployment")),
            ("/apis/example.com/v1/deployments", None),
            ("/version", None),
        ] {
            assert_eq!(kind(path, &kinds), expected, "{path}");
        }
    }

    #[test]
    fn recorded_tables_win_over_what_is_there() {
        let columns = |text: &str| {
            json!({"kind": "Table", "columnDefinitions": [
                {"name": "Name", "description": "usual"}, {"name": "Ready", "description": text},
            ]})
        };
        let old =
            json!({"": {"Name": "usual"}, "/Pod": {"Ready": "old", "IP": "kept"}, "/Other": {"A": "kept"}});
        let mut texts: Texts = serde_json::from_value(old).unwrap();
        let mut recorded = BTreeSet::new();
        let get = json!({"path": "/api/v1/pods", "answer": {"body": columns("new")}});
        let watch = json!({
            "path": "/apis/apps/v1/deployments",
            "answer": {"events": [{"type": "ADDED", "object": columns("")}]},
        });
        for step in [get, watch] {
            take(&step, &served(), &mut texts, &mut recorded);
        }
        let expected = json!({
            "": {"Name": "usual"},
            "/Pod": {"Ready": "new", "IP": "kept"},
            "/Other": {"A": "kept"},
            "apps/Deployment": {"Ready": ""},
        });
        assert_eq!(serde_json::to_value(&texts).unwrap(), expected);
        assert_eq!(recorded, BTreeSet::from(["/Pod".into(), "apps/Deployment".into()]));
    }
}
