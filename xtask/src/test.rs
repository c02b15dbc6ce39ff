//! `cargo xtask test`: runs every test runner to its end, and closes with one line that sums them up.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
}

/// Runs `cargo test` on the workspace with `arguments` (a filter, a package, …), and prints `N passed, N failed` last.
///
/// # Errors
/// Where a test failed, the build did, or nothing ran.
pub fn run(root: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = cargo(root, "test");
    command.arg("--no-fail-fast");
    if !arguments.iter().any(|argument| matches!(*argument, "-p" | "--package")) {
        command.arg("--workspace");
    }
    let total = watch(command.args(arguments), &mut io::stdout().lock())?;
    println!("\n{} passed, {} failed", total.passed, total.failed);
    if total.failed > 0 {
        bail!("{} tests failed", total.failed);
    }
    if total.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}

/// `cargo test`, or another of its commands, as if it were not we who start it.
pub fn cargo(root: &Path, what: &str) -> Command {
    let mut command = Command::new("cargo");
    command.args([what, "--locked"]).current_dir(root);
    // What cargo has told us of ourselves is not for the cargo that we start: build scripts that watch these variables
    // (ring's does) would run again, and all that depends on them.
    for (name, _) in env::vars_os().filter(|(name, _)| is_of_this_package(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command
}

/// Whether cargo sets a variable for the program that it runs, and says something of that program's package.
fn is_of_this_package(name: &str) -> bool {
    ["CARGO_MANIFEST_", "CARGO_PKG_"].iter().any(|prefix| name.starts_with(prefix))
}

/// Runs one runner, passing its output on to `screen`, and counts its tests. One that ends badly without a test that failed (a
/// build that broke, a crash) counts as a failure.
fn watch(command: &mut Command, screen: &mut dyn Write) -> Result<Count> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("start cargo")?;
    let output = child.stdout.take().context("its output is piped")?;
    let mut total = Count::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        screen.write_all(&line)?;
        screen.write_all(b"\n")?;
        let count = closing(&String::from_utf8_lossy(&line));
        total.passed += count.passed;
        total.failed += count.failed;
    }
    let status = child.wait()?;
    if !status.success() && total.failed == 0 {
        total.failed = 1;
    }
    Ok(total)
}

/// What a test binary says at its end: `test result: ok. 12 passed; 0 failed; …`. Any other line counts nothing.
fn closing(line: &str) -> Count {
    let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) else {
        return Count::default();
    };
    let of = |what: &str| {
        counts.split(';').find_map(|part| part.trim().strip_suffix(what)?.trim().parse().ok()).unwrap_or(0)
    };
    Count { passed: of("passed"), failed: of("failed") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_closing_lines_count() {
        for (line, passed, failed) in [
            (
                "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.1s",
                12,
                0,
            ),
            ("test result: FAILED. 7 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out", 7, 2),
            ("test kinds::test ... ok", 0, 0),
            ("running 12 tests", 0, 0),
            ("it said: test result: ok. 12 passed; 0 failed", 0, 0),
        ] {
            assert_eq!(closing(line), Count { passed, failed }, "{line}");
        }
    }

    #[test]
    fn a_runner_that_breaks_counts_as_a_failure() {
        let ran = |script: &str| watch(Command::new("sh").args(["-c", script]), &mut io::sink()).unwrap();
        assert_eq!(ran("echo 'test result: ok. 2 passed; 0 failed;'"), Count { passed: 2, failed: 0 });
        assert_eq!(
            ran("echo 'test result: ok. 2 passed; 0 failed;'; exit 3"),
            Count { passed: 2, failed: 1 }
        );
        assert_eq!(
            ran("echo 'test result: FAILED. 2 passed; 1 failed;'; exit 3"),
            Count { passed: 2, failed: 1 }
        );
        assert_eq!(ran("exit 1"), Count { passed: 0, failed: 1 });
    }
}
