//! What the rules look at: the files that git knows, what cargo says of the crates, and the lists of exceptions.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A text file of the repository.
#[derive(Debug)]
pub struct SourceFile {
    /// Relative to the root, with `/`.
    pub path: String,
    pub text: String,
}

impl SourceFile {
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The part of the name behind its last dot, or the whole name.
    pub fn extension(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.rsplit('.').next().unwrap_or_default()
    }

    /// The lines, counted from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// All that the rules see.
#[derive(Debug)]
pub struct Repository {
    /// What git tracks, and what it neither tracks nor ignores.
    pub files: Vec<SourceFile>,
    /// `cargo metadata`.
    pub metadata: Value,
    /// `name@version` of every crate that the binary holds in more than one version.
    pub duplicates: Vec<String>,
    /// `xtask/tidy.toml`: what is let pass.
    pub allowed: Value,
    /// `deny.toml`.
    pub deny: Value,
}

impl Default for Repository {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            metadata: Value::Null,
            duplicates: Vec::new(),
            allowed: Value::Null,
            deny: Value::Null,
        }
    }
}

impl Repository {
    /// The paths of the working tree at `root`: what git tracks, and what it neither tracks nor ignores.
    pub fn listing(root: &Path) -> Result<Vec<String>> {
        let listing = output(root, "git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
        Ok(listing.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
    }

    /// Reads the working tree at `root`.
    pub fn read(root: &Path) -> Result<Self> {
        let files = Self::listing(root)?
            .iter()
            // A file that was deleted but not committed, or that is no text, has no lines to judge.
            .filter_map(|path| Some(SourceFile::new(path, &fs::read_to_string(root.join(path)).ok()?)))
            .collect();
        let deny = toml_file(&root.join("deny.toml"))?;
        let targets: Vec<&str> = strings(&deny["graph"]["targets"]).collect();
        let mut tree =
            vec!["tree", "--workspace", "--duplicates", "--locked", "--depth", "0", "--prefix", "none"];
        let mut metadata = vec!["metadata", "--format-version", "1", "--locked"];
        for target in &targets {
            tree.extend(["--target", target]);
            metadata.extend(["--filter-platform", target]);
        }
        let metadata =
            serde_json::from_str(&output(root, "cargo", &metadata)?).context("read the metadata")?;
        let mut duplicates: Vec<String> = output(root, "cargo", &tree)?
            .lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                Some(format!("{}@{}", words.next()?, words.next()?.strip_prefix('v')?))
            })
            .collect();
        duplicates.sort();
        duplicates.dedup();
        let allowed = toml_file(&root.join("xtask/tidy.toml"))?;
        Ok(Self { files, metadata, duplicates, allowed, deny })
    }

    /// The `path`s of a list of exceptions.
    pub fn allowed(&self, list: &str) -> impl Iterator<Item = &str> {
        self.allowed[list].as_array().into_iter().flatten().filter_map(|entry| entry["path"].as_str())
    }
}

/// The strings of an array.
pub fn strings(array: &Value) -> impl Iterator<Item = &str> {
    array.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn toml_file(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("parse {}", path.display()))
}

fn output(root: &Path, program: &str, arguments: &[&str]) -> Result<String> {
    let run = Command::new(program)
        .args(arguments)
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("run {program}"))?;
    if !run.status.success() {
        bail!("{program} {} failed ({})", arguments.join(" "), run.status);
    }
    String::from_utf8(run.stdout).with_context(|| format!("read the output of {program}"))
}
