//! Manifests that are applied at the start (`-f FILE|DIR`): server-side, in the order of kinds that need each other.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use http::Request;
use serde_json::Value;
use xebec_apiserver::Cluster;

/// The kinds that others live in or need, first.
const FIRST: [&str; 4] = ["CustomResourceDefinition", "Namespace", "ServiceAccount", "ConfigMap"];
const MANAGER: &str = "xebec-up";

/// Applies every document of the files.
///
/// # Errors
/// The first file or document that is wrong, with its place.
pub async fn apply(cluster: &Cluster, paths: &[PathBuf]) -> Result<()> {
    let mut documents = Vec::new();
    for path in paths {
        for file in files(path)? {
            let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
            for (number, document) in split(&text).into_iter().enumerate() {
                let place = format!("{} document {}", file.display(), number + 1);
                let sent = xebec_apiserver::machinery::decode::yaml(document.as_bytes())
                    .map_err(|why| anyhow::anyhow!("{place}: {why}"))?;
                if !sent.value.is_null() {
                    documents.push((place, sent.value));
                }
            }
        }
    }
    let rank = |value: &Value| FIRST.iter().position(|kind| value["kind"] == *kind).unwrap_or(FIRST.len());
    documents.sort_by_key(|(_, value)| rank(value));
    let client = cluster.client();
    for (place, value) in documents {
        apply_one(&client, &value).await.with_context(|| place)?;
    }
    Ok(())
}

async fn apply_one(client: &kube::Client, value: &Value) -> Result<()> {
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text(value, "apiVersion"), text(value, "kind"));
    let name = text(&value["metadata"], "name");
    if api_version.is_empty() || kind.is_empty() || name.is_empty() {
        bail!("it needs apiVersion, kind and metadata.name");
    }
    let prefix = if api_version.contains('/') {
        format!("/apis/{api_version}")
    } else {
        format!("/api/{api_version}")
    };
    let resources: Value = client
        .request(Request::get(&prefix).body(Vec::new())?)
        .await
        .with_context(|| format!("{api_version} is not served"))?;
    let resource = resources["resources"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|resource| resource["kind"] == kind.as_str() && !text(resource, "name").contains('/'))
        .with_context(|| format!("{api_version} has no kind {kind}"))?;
    let plural = text(resource, "name");
    let path = if resource["namespaced"] == true {
        let namespace = Some(text(&value["metadata"], "namespace")).filter(|namespace| !namespace.is_empty());
        format!("{prefix}/namespaces/{}/{plural}/{name}", namespace.as_deref().unwrap_or("default"))
    } else {
        format!("{prefix}/{plural}/{name}")
    };
    let request = Request::patch(format!("{path}?fieldManager={MANAGER}&force=true"))
        .header("Content-Type", "application/apply-patch+yaml")
        .body(serde_json::to_vec(value)?)?;
    client.request::<Value>(request).await.with_context(|| format!("apply {kind} {name}"))?;
    Ok(())
}

/// A file, or the manifests of a directory in the order of their names.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    let metadata = fs::metadata(path).with_context(|| format!("read -f {}", path.display()))?;
    if !metadata.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).with_context(|| format!("read -f {}", path.display()))? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if matches!(extension, "yaml" | "yml" | "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The documents of a YAML stream.
fn split(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        if line == "---" || line.starts_with("--- ") {
            documents.push(String::new());
        } else if let Some(document) = documents.last_mut() {
            document.push_str(line);
            document.push('\n');
        }
    }
    documents.retain(|document| {
        document.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
    });
    documents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_split_into_documents() {
        assert_eq!(split("# only a comment\n---\na: 1\n--- # next\nb: |\n  ---x\n---\n\n").len(), 2);
        assert_eq!(split("{\"a\": 1}").len(), 1);
    }
}
