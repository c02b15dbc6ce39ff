//! What is wrong with a case, in words.

use std::fmt;
use std::path::PathBuf;

/// What failed of a folder of cases. Print it.
pub struct Failures(Vec<Failure>);

/// A case that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The file of the case, or the folder if that is what is wrong.
    pub file: PathBuf,
    /// The line on which the step begins that failed, or where something is wrong with the file; none if all of it is.
    pub line: Option<u64>,
    /// What is wrong.
    pub reason: String,
}

impl Failures {
    pub(super) fn of(failures: Vec<Failure>) -> Result<(), Self> {
        if failures.is_empty() { Ok(()) } else { Err(Self(failures)) }
    }

    /// All that failed, by file.
    pub fn failures(&self) -> &[Failure] {
        &self.0
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        writeln!(f, "{count} of the cases {}:", if count == 1 { "fails" } else { "fail" })?;
        self.0.iter().try_for_each(|failure| writeln!(f, "\n{failure}"))
    }
}

/// As a test prints it that returns it: for people.
impl fmt::Debug for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failures {}

/// What has to be taken from `expected` (`-`) and added (`+`) to have `found`.
pub(super) fn diff(expected: &[String], found: &[String]) -> Vec<String> {
    // How many lines two ends of the lists have in common, in order.
    let mut common = vec![vec![0_usize; found.len() + 1]; expected.len() + 1];
    for (one, expected) in expected.iter().enumerate().rev() {
        for (other, found) in found.iter().enumerate().rev() {
            common[one][other] = if expected == found {
                common[one + 1][other + 1] + 1
            } else {
                common[one + 1][other].max(common[one][other + 1])
            };
        }
    }
    let (mut one, mut other, mut lines) = (0, 0, Vec::new());
    while one < expected.len() || other < found.len() {
        let (left, right) = (expected.get(one), found.get(other));
        if let Some(line) = left.filter(|_| left == right) {
            lines.push(format!("  {line}"));
            (one, other) = (one + 1, other + 1);
        } else if let Some(line) =
            left.filter(|_| right.is_none() || common[one + 1][other] >= common[one][other + 1])
        {
            lines.push(format!("- {line}"));
            one += 1;
        } else if let Some(line) = right {
            lines.push(format!("+ {line}"));
            other += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_keeps_what_is_common() {
        let lines = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        for (expected, found, diffed) in [
            ("", "", ""),
            ("ab", "ab", "  a,  b"),
            ("ab", "", "- a,- b"),
            ("", "ab", "+ a,+ b"),
            ("abc", "axc", "  a,- b,+ x,  c"),
            ("abcd", "bcde", "- a,  b,  c,  d,+ e"),
        ] {
            assert_eq!(diff(&lines(expected), &lines(found)).join(","), diffed, "{expected} {found}");
        }
    }
}
