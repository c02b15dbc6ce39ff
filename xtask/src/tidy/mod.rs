//! `cargo xtask tidy`: the rules of ARCHITECTURE.md and CONTRIBUTING.md as tests.
//!
//! One slice, [`RULES`], feeds the check, its output and `--explain`. A rule sees the whole [`Repository`] and does no
//! I/O of its own, so that its tests are files in memory. To add one: a function, a row, and a test.

use std::path::Path;

use anyhow::{Result, bail};

mod arrows;
mod dependencies;
mod licence;
mod repository;
mod text;

pub use repository::Repository;

/// A rule of the code base.
struct Rule {
    name: &'static str,
    reason: &'static str,
    check: fn(&Repository) -> Vec<Complaint>,
}

/// Every rule, in the order in which they are checked.
const RULES: &[Rule] = &[
    Rule {
        name: "arrows",
        reason: "Crates know each other only as ARCHITECTURE.md draws it: a circle of knowledge cannot be undone later.",
        check: arrows::arrows,
    },
    Rule {
        name: "lints",
        reason: "Every crate inherits the workspace's lints: a rule that one crate leaves out is no rule.",
        check: arrows::lints,
    },
    Rule {
        name: "length",
        reason: "A file is one idea, of 500 lines of code (700 with its tests); a table is longer, and in xtask/tidy.toml.",
        check: text::length,
    },
    Rule {
        name: "opening",
        reason: "A file opens by saying what it holds, so that a reader can decide not to read it.",
        check: text::opening,
    },
    Rule {
        name: "paths",
        reason: "No path of one machine: the clone next door must build, too. Tests make temporary directories.",
        check: text::machine_paths,
    },
    Rule {
        name: "hosts",
        reason: "No host of a package registry: the package managers know theirs, and mirrors differ by machine.",
        check: text::registry_hosts,
    },
    Rule {
        name: "todo",
        reason: "What is left to do has an issue, named as TODO(#12), or is done now.",
        check: text::todo,
    },
    Rule {
        name: "ignored",
        reason: "An ignored test is a test that nobody runs: mend it, or delete it.",
        check: text::ignored,
    },
    Rule {
        name: "sleep",
        reason: "A test waits for the event: one that sleeps is slow on a fast machine and flaky on a slow one.",
        check: text::sleeps,
    },
    Rule {
        name: "changelog",
        reason: "Users read CHANGELOG.md: what is not released yet stands under [Unreleased].",
        check: text::changelog,
    },
    Rule {
        name: "mutants",
        reason: "What a mutant replaces stands once in its file: one that fits no more breaks no rule, and proves nothing.",
        check: text::mutants,
    },
    Rule {
        name: "licences",
        reason: "What is in the binary has a licence that deny.toml allows.",
        check: dependencies::licences,
    },
    Rule {
        name: "duplicates",
        reason: "A crate is in the binary once; deny.toml says why another is there twice.",
        check: dependencies::duplicates,
    },
    Rule {
        name: "sources",
        reason: "Dependencies come from the registry: a git dependency is a version that nobody can name.",
        check: dependencies::sources,
    },
];

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
struct Complaint {
    path: String,
    /// Counted from 1; 0 for the file as a whole.
    line: usize,
    text: String,
}

impl Complaint {
    fn file(path: &str, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: 0, text: text.into() }
    }

    fn line(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, text: text.into() }
    }
}

/// Checks the repository at `root`, and prints what breaks a rule.
///
/// # Errors
/// Where a rule is broken, or the repository can't be read.
pub fn run(root: &Path) -> Result<()> {
    let repository = Repository::read(root)?;
    let mut complaints = 0;
    for rule in RULES {
        for Complaint { path, line, text } in (rule.check)(&repository) {
            complaints += 1;
            if line == 0 {
                println!("{path}: {text} [{}]", rule.name);
            } else {
                println!("{path}:{line}: {text} [{}]", rule.name);
            }
        }
    }
    if complaints > 0 {
        bail!("{complaints} complaints; `cargo xtask tidy --explain` says why each rule is one");
    }
    println!("tidy: {} rules hold for {} files", RULES.len(), repository.files.len());
    Ok(())
}

/// Prints the rules and their reasons.
pub fn explain() {
    for rule in RULES {
        println!("{:<11} {}", rule.name, rule.reason);
    }
}
