//! `cargo xtask mutants`: breaks one rule at a time, and shows that the simulation finds each.
//!
//! A mutant is a row of `testing/sim/mutants.toml`: the rule, the text that keeps it and what it is replaced by, and the
//! scenario whose seeds are to find it. Each is built in a copy of the working tree with a target folder of its own;
//! what a mutant did not touch is not built again. `cargo xtask tidy` checks that every mutant still fits the code.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;

use crate::{test, tidy::Repository};

/// Where they are.
pub const PATH: &str = "testing/sim/mutants.toml";
/// How the copy is built: seeds are to be played fast, but nobody waits for the linker.
const BUILD: &[&str] = &[
    "--quiet",
    "--release",
    "--package=xebec-sim",
    "--config=profile.release.lto=\"off\"",
    "--config=profile.release.opt-level=1",
    "--config=profile.release.codegen-units=64",
    "--config=profile.release.incremental=true",
];

/// All of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutants {
    /// In the order in which they are tried.
    pub mutant: Vec<Mutant>,
}

/// A rule that is broken on purpose.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// Its name.
    pub name: String,
    /// The rule that it breaks.
    pub rule: String,
    /// The scenarios that are to find it; one of them must.
    pub scenarios: Vec<String>,
    /// Within so many seeds of each.
    pub seeds: u64,
    /// What is replaced.
    pub change: Vec<Change>,
}

/// A text that stands once in a file, and what is there instead.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The file.
    pub file: String,
    /// What stands there.
    pub from: String,
    /// What is put in its place.
    pub to: String,
}

impl Mutants {
    /// Reads them.
    pub fn parse(text: &str) -> Result<Self> {
        let mutants: Self = toml::from_str(text).context("parse the mutants")?;
        for (number, mutant) in mutants.mutant.iter().enumerate() {
            let twice = mutants.mutant[..number].iter().any(|other| other.name == mutant.name);
            ensure!(!twice, "two mutants are called {}", mutant.name);
            ensure!(
                !mutant.change.is_empty() && !mutant.scenarios.is_empty(),
                "{} changes nothing",
                mutant.name
            );
        }
        Ok(mutants)
    }
}

impl Mutant {
    /// The files that it changes, as they are with it; `read` yields them as they are.
    ///
    /// # Errors
    /// What stands nowhere, or more than once: the code has moved on, and the mutant must follow.
    pub fn apply(&self, read: impl Fn(&str) -> Option<String>) -> Result<Vec<(&str, String)>> {
        let mut files: Vec<(&str, String)> = Vec::new();
        for Change { file, from, to } in &self.change {
            let known = files.iter().position(|(path, _)| path == file);
            let text = match known {
                Some(at) => files.swap_remove(at).1,
                None => read(file).with_context(|| format!("{}: there is no {file}", self.name))?,
            };
            let count = text.matches(from.as_str()).count();
            ensure!(count == 1, "{}: stands {count} times in {file}, not once: {from:?}", self.name);
            ensure!(from != to, "{}: changes nothing in {file}", self.name);
            files.push((file, text.replace(from.as_str(), to)));
        }
        Ok(files)
    }
}

/// Tries those named, or all.
///
/// # Errors
/// Where one is found by no seed, does not fit the code, or cannot be built.
pub fn run(root: &Path, names: &[&str]) -> Result<()> {
    let text = fs::read_to_string(root.join(PATH)).with_context(|| format!("read {PATH}"))?;
    let mutants = Mutants::parse(&text)?.mutant;
    if let Some(unknown) = names.iter().find(|name| mutants.iter().all(|mutant| mutant.name != **name)) {
        bail!("there is no mutant {unknown}");
    }
    let chosen = mutants.iter().filter(|mutant| names.is_empty() || names.contains(&mutant.name.as_str()));
    let folder = root.join("target/mutants");
    let copy = Copy { root, tree: folder.join("tree"), target: folder.join("target") };
    let mut survivors = 0;
    for mutant in chosen {
        copy.renew()?;
        for (file, text) in mutant.apply(|file| fs::read_to_string(copy.tree.join(file)).ok())? {
            fs::write(copy.tree.join(file), text).with_context(|| format!("write {file}"))?;
        }
        copy.build().with_context(|| format!("build {}", mutant.name))?;
        let mut found = None;
        for scenario in &mutant.scenarios {
            found = copy.play(scenario, mutant.seeds)?;
            if found.is_some() {
                break;
            }
        }
        let scenarios = mutant.scenarios.join(" and ");
        if let Some(how) = found {
            println!("found     {:<32} {how}\n          {}", mutant.name, mutant.rule);
        } else {
            survivors += 1;
            println!(
                "SURVIVES  {:<32} {} seeds of {scenarios}\n          {}",
                mutant.name, mutant.seeds, mutant.rule
            );
        }
    }
    copy.renew()?;
    ensure!(survivors == 0, "{survivors} mutants survive: the simulation does not see these rules broken");
    Ok(())
}

/// A copy of the working tree.
struct Copy<'a> {
    root: &'a Path,
    tree: PathBuf,
    target: PathBuf,
}

impl Copy<'_> {
    /// Makes it equal to the working tree. What is equal is not written, so that it need not be built again.
    fn renew(&self) -> Result<()> {
        let files = Repository::listing(self.root)?;
        for file in &files {
            let Ok(content) = fs::read(self.root.join(file)) else { continue }; // deleted, and not committed
            let path = self.tree.join(file);
            if fs::read(&path).is_ok_and(|there| there == content) {
                continue;
            }
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
        }
        self.prune(&self.tree, &files)
    }

    /// Removes what is not in the working tree (any more).
    fn prune(&self, folder: &Path, files: &[String]) -> Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                self.prune(&path, files)?;
                continue;
            }
            let relative = path.strip_prefix(&self.tree)?.to_string_lossy().replace('\\', "/");
            let is_there = files.contains(&relative) && self.root.join(&relative).exists();
            if !is_there {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    fn build(&self) -> Result<()> {
        let mut cargo = test::cargo(&self.tree, "build");
        let built =
            cargo.args(BUILD).env("CARGO_TARGET_DIR", &self.target).output().context("start cargo")?;
        // What a mutant leaves unused is warned of, and nobody's concern.
        ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Ok(())
    }

    /// Plays seeds; says how what is broken was found, if it was.
    fn play(&self, scenario: &str, seeds: u64) -> Result<Option<String>> {
        let mut child = Command::new(self.target.join("release/xebec-sim"))
            .args(["--brief", "--scenario", scenario, "--seeds", &seeds.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("start the simulation")?;
        let errors = child.stderr.take().ok_or_else(|| anyhow!("its errors are piped"))?;
        let lines: Vec<String> = BufReader::new(errors).lines().collect::<Result<_, _>>()?;
        let status = child.wait()?;
        if status.success() {
            return Ok(None);
        }
        let how = lines.iter().find(|line| line.starts_with("seed "));
        let how = how.with_context(|| format!("the simulation failed: {}", lines.join("\n")))?;
        Ok(Some(format!("{scenario}, {how}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutants(from: &str) -> Mutants {
        let text = format!(
            "[[mutant]]\nname = \"a\"\nrule = \"b\"\nscenarios = [\"c\"]\nseeds = 1\n[[mutant.change]]\nfile = \"f\"\n\
             from = \"{from}\"\nto = \"x\"\n"
        );
        Mutants::parse(&text).unwrap()
    }

    #[test]
    fn a_mutant_fits_where_its_text_stands_once() {
        let applied = |from: &str| {
            let mutants = mutants(from);
            let read = |file: &str| (file == "f").then(|| "one two two".to_owned());
            mutants.mutant[0].apply(read).map(|files| files[0].1.clone()).map_err(|error| error.to_string())
        };
        assert_eq!(applied("one"), Ok("x two two".to_owned()));
        assert!(applied("two").unwrap_err().contains("2 times"));
        assert!(applied("three").unwrap_err().contains("0 times"));
    }
}
