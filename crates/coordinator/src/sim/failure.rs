//! A seed that failed, as short as it could be made.

use std::fmt;

use super::journal::VIOLATION;
use super::{Fault, Step};

/// How many lines of the journal are printed at most: the first and the last of them.
const LINES_MAX: usize = 1000;
/// How many lines are printed of what happened after the last violation: nobody reads on to find out why.
const LINES_AFTER: usize = 5;

/// Why a seed failed, and the shortest way there that was found. Print it.
#[derive(Debug)]
pub struct Failure {
    /// The scenario.
    pub scenario: String,
    /// The seed, which fails again whenever it is played.
    pub seed: u64,
    /// What is wrong: violated invariants, and what differs from what the undisturbed run ends with.
    pub reasons: Vec<String>,
    /// The steps that are left.
    pub steps: Vec<Step>,
    /// The faults that are left, of [`faults_drawn`](Self::faults_drawn).
    pub faults: Vec<Fault>,
    /// How many faults there were before shrinking.
    pub faults_drawn: usize,
    /// How many runs shrinking took.
    pub runs: usize,
    /// What happened in the shortest run.
    pub journal: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, seed {}:", self.scenario, self.seed)?;
        for reason in &self.reasons {
            writeln!(f, "  {reason}")?;
        }
        writeln!(f, "\nsteps ({} left):", self.steps.len())?;
        for step in &self.steps {
            writeln!(f, "  after {:?}: {}", step.after, step.write)?;
        }
        let (left, drawn, runs) = (self.faults.len(), self.faults_drawn, self.runs);
        writeln!(f, "\nfaults ({left} left of {drawn}, found in {runs} runs):")?;
        for fault in &self.faults {
            writeln!(f, "  {fault}")?;
        }
        writeln!(f, "\nwhat happened:")?;
        let violated = self.journal.iter().rposition(|line| line.contains(VIOLATION));
        let end = violated.map_or(self.journal.len(), |last| self.journal.len().min(last + 1 + LINES_AFTER));
        let half = LINES_MAX / 2;
        let left_out = end.saturating_sub(LINES_MAX);
        for (number, line) in self.journal[..end].iter().enumerate() {
            if left_out > 0 && (half..half + left_out).contains(&number) {
                if number == half {
                    writeln!(f, "  … {left_out} lines …")?;
                }
                continue;
            }
            writeln!(f, "{line}")?;
        }
        let after = self.journal.len() - end;
        if after > 0 { writeln!(f, "  … {after} lines after that …") } else { Ok(()) }
    }
}

impl std::error::Error for Failure {}
