//! Which crate may know which, and that all of them keep to the workspace's lints.

use serde_json::Value;

use super::{Complaint, Repository};

/// What each crate may depend on among ours; tests may wire more together (dev-dependencies).
const ARROWS: &[(&str, &[&str])] = &[
    ("xebec-apiserver", &[]),
    ("xebec-cache", &[]),
    ("xebec-traffic", &[]),
    ("xebec-coordinator", &[]),
    ("xebec-node", &["xebec-coordinator"]),
    ("xebec-controllers", &["xebec-coordinator"]),
    ("xebec-observers", &["xebec-coordinator", "xebec-cache"]),
    ("xebec-history", &["xebec-coordinator"]),
    ("xebec-dashboard", &["xebec-history"]),
    (
        "xebec",
        &[
            "xebec-apiserver",
            "xebec-bench-load",
            "xebec-cache",
            "xebec-controllers",
            "xebec-coordinator",
            "xebec-dashboard",
            "xebec-history",
            "xebec-node",
            "xebec-observers",
            "xebec-traffic",
        ],
    ),
    // The simulator sees all crates but the binary; the tasks see none.
    (
        "xebec-sim",
        &[
            "xebec-apiserver",
            "xebec-cache",
            "xebec-controllers",
            "xebec-coordinator",
            "xebec-history",
            "xebec-node",
            "xebec-observers",
            "xebec-simulated",
        ],
    ),
    // What operators' own simulations run against: no more than a server.
    ("xebec-simulated", &["xebec-apiserver", "xebec-coordinator"]),
    // Benchmarks measure what they name, and the server they run against; the load is for any server.
    ("xebec-bench-load", &[]),
    ("xebec-bench-coordinator", &["xebec-apiserver", "xebec-bench-load", "xebec-coordinator"]),
    // Operators as others write them: on any cluster, by what is public. Their tests wire in the API server.
    ("xebec-examples", &["xebec-coordinator"]),
    ("xtask", &[]),
];

/// Dependencies between our crates that [`ARROWS`] does not have.
pub(super) fn arrows(repository: &Repository) -> Vec<Complaint> {
    let ours = ours(&repository.metadata);
    let mut complaints = Vec::new();
    for package in &ours {
        let name = package["name"].as_str().unwrap_or_default();
        let path = manifest(repository, package);
        let Some((_, allowed)) = ARROWS.iter().find(|(of, _)| *of == name) else {
            complaints.push(Complaint::file(
                &path,
                format!("{name} has no place in the layout: add it to xtask/src/tidy/arrows.rs"),
            ));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let known = dependency["name"].as_str().unwrap_or_default();
            let of_ours = ours.iter().any(|other| other["name"] == known);
            if of_ours && dependency["kind"] != "dev" && !allowed.contains(&known) {
                complaints.push(Complaint::file(&path, format!("{name} must not know {known}")));
            }
        }
    }
    complaints
}

/// Crates whose manifest does not take the workspace's lints.
pub(super) fn lints(repository: &Repository) -> Vec<Complaint> {
    ours(&repository.metadata)
        .into_iter()
        .map(|package| manifest(repository, package))
        .filter(|path| {
            let text = repository.files.iter().find(|file| &file.path == path).map(|file| file.text.as_str());
            let manifest: Option<Value> = text.and_then(|text| toml::from_str(text).ok());
            manifest.is_none_or(|manifest| manifest["lints"]["workspace"] != true)
        })
        .map(|path| Complaint::file(&path, "say `[lints] workspace = true`"))
        .collect()
}

fn ours(metadata: &Value) -> Vec<&Value> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    packages.filter(|package| package["source"].is_null()).collect()
}

fn manifest(repository: &Repository, package: &Value) -> String {
    let root = repository.metadata["workspace_root"].as_str().unwrap_or_default();
    let path = package["manifest_path"].as_str().unwrap_or_default();
    path.strip_prefix(root).unwrap_or(path).trim_start_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::tidy::repository::SourceFile;

    fn package(name: &str, dependencies: Value) -> Value {
        json!({
            "name": name, "source": null, "manifest_path": format!("/there/{name}/Cargo.toml"),
            "dependencies": dependencies,
        })
    }

    fn check(packages: Value) -> Vec<String> {
        let metadata = json!({"workspace_root": "/there", "packages": packages});
        arrows(&Repository { metadata, ..Default::default() }).into_iter().map(|c| c.text).collect()
    }

    #[test]
    fn the_api_server_must_not_know_the_coordinator() {
        let coordinator = package("xebec-coordinator", json!([]));
        let normal = json!([{"name": "xebec-coordinator", "kind": null}]);
        let build = json!([{"name": "xebec-coordinator", "kind": "build"}]);
        let dev = json!([{"name": "xebec-coordinator", "kind": "dev"}]);
        let complaint = ["xebec-apiserver must not know xebec-coordinator"];
        assert_eq!(check(json!([coordinator, package("xebec-apiserver", normal.clone())])), complaint);
        assert_eq!(check(json!([coordinator, package("xebec-apiserver", build)])), complaint);
        assert_eq!(check(json!([coordinator, package("xebec-apiserver", dev)])), [""; 0]);
        assert_eq!(check(json!([coordinator, package("xebec-node", normal)])), [""; 0]);
    }

    #[test]
    fn a_crate_without_a_place_is_named() {
        assert_eq!(check(json!([package("xebec-utils", json!([]))])).len(), 1);
    }

    #[test]
    fn foreign_crates_are_not_judged() {
        let serde = json!({"name": "serde", "source": "registry+x", "dependencies": [{"name": "xtask"}]});
        assert_eq!(check(json!([serde, package("xtask", json!([]))])), [""; 0]);
    }

    #[test]
    fn a_crate_takes_the_lints_of_the_workspace() {
        let metadata = json!({"workspace_root": "/there", "packages": [package("xtask", json!([]))]});
        let with = |text: &str| {
            let files = vec![SourceFile::new("xtask/Cargo.toml", text)];
            lints(&Repository { files, metadata: metadata.clone(), ..Default::default() }).len()
        };
        assert_eq!(with("[lints]\nworkspace = true\n"), 0);
        assert_eq!(with("[package]\nname = \"xtask\"\n"), 1);
    }
}
