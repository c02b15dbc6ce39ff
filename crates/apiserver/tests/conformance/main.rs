//! Replays what a real kube-apiserver 1.36 answered (`tests/recordings`, see its README) in process, and compares word
//! for word, after masking what cannot be equal. Steps that are not yet equal stand in `open.txt`: a step that is
//! there and has become equal must be taken out, one that is not there must be equal.

#![allow(clippy::unwrap_used, reason = "a test's panic is its failure")]

mod bodies;
mod mask;
mod replay;

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;

fn recordings() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings")
}

fn open_steps() -> BTreeSet<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/open.txt");
    let text = fs::read_to_string(path).unwrap();
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// Replays all files of a folder, in order, and checks them against `open.txt`.
async fn check(folder: &str) {
    let mut files: Vec<PathBuf> =
        fs::read_dir(recordings().join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no recordings in {folder}");
    let open = open_steps();
    let (mut equal, mut wrong, mut stale) = (0, Vec::new(), Vec::new());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let scenarios: Vec<Value> = serde_json::from_str(&text).unwrap();
        let bodies: Vec<bodies::Scenario> = serde_json::from_str(&text).unwrap();
        let name = format!("{folder}/{}", file.file_stem().unwrap().to_string_lossy());
        for (scenario, bodies) in scenarios.iter().zip(&bodies) {
            for (place, difference) in replay::run(&name, scenario, bodies).await {
                match (difference, open.contains(&place)) {
                    (None, false) => equal += 1,
                    (None, true) => stale.push(place),
                    (Some(_), true) => {}
                    (Some(difference), false) => wrong.push(format!("{place}\n{difference}")),
                }
            }
        }
    }
    if let Ok(path) = std::env::var("XEBEC_CONFORMANCE_OPEN") {
        // For whoever brings `open.txt` up to date: the steps that are not equal, one a line.
        let places: Vec<&str> = wrong.iter().filter_map(|text| text.lines().next()).collect();
        fs::write(format!("{path}.{folder}"), places.join("\n") + "\n").unwrap();
        return;
    }
    assert!(stale.is_empty(), "equal now, take them out of open.txt:\n{}", stale.join("\n"));
    assert!(wrong.is_empty(), "{} steps differ ({equal} are equal):\n{}", wrong.len(), wrong.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn core() {
    check("core").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ext() {
    check("ext").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests() {
    check("manifests").await;
}
