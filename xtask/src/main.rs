//! The rules of the code base as tests, and the generation of tables.

use std::{env, path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};

mod columns;
mod mutants;
mod tables;
mod test;
mod texts;
mod tidy;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let embedded = root().join("crates/apiserver/data");
    match words.as_slice() {
        ["mutants", names @ ..] => mutants::run(&root(), names),
        ["tables"] => tables::write_rust(&root()),
        ["tables", facts, data] => {
            tables::generate(&PathBuf::from(facts), &PathBuf::from(data), &embedded)?;
            tables::write_rust(&root())
        }
        ["texts", facts] => texts::generate(&PathBuf::from(facts), &embedded),
        ["columns"] => columns::generate(&root().join("tests/recordings"), &embedded),
        ["tidy"] => tidy::run(&root()),
        ["tidy", "--explain"] => {
            tidy::explain();
            Ok(())
        }
        ["test", arguments @ ..] => test::run(&root(), arguments),
        _ => bail!(
            "usage: cargo xtask tidy [--explain]\n       cargo xtask test [CARGO TEST ARGUMENTS]\n       \
             cargo xtask mutants [NAMES]\n       \
             cargo xtask tables [FACTS.json DATA_DIR]\n       \
             cargo xtask texts FACTS.json\n       cargo xtask columns"
        ),
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}
