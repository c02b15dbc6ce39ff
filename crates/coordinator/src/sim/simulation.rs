//! Playing seeds: with faults beside without, many of them, and the shortest way to a failure.

use std::collections::BTreeMap;
use std::ops::{AddAssign, Range};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::normal::State;
use super::play::{Faults, Run, Script, play};
use super::shrink::shrink;
use super::{Failure, Fault, Scenario, Step};
use crate::Random;

/// How many runs shrinking may take.
const SHRINK_RUNS_MAX: usize = 400;

/// Plays a scenario by seeds.
pub struct Simulation<S> {
    scenario: S,
    shrink_runs_max: usize,
}

/// What came of a seed that did not fail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many requests there were in the disturbed run.
    pub requests: u64,
    /// How many faults there were.
    pub faults: u64,
    /// How many there were of each [sort](Fault::sort).
    pub faults_by_sort: BTreeMap<String, u64>,
}

/// What came of many seeds.
#[derive(Debug, Default)]
pub struct Exploration {
    /// How many seeds were played.
    pub seeds: u64,
    /// What came of all that did not fail, together.
    pub total: Report,
    /// The first failure that was found, if there was one.
    pub failure: Option<Box<Failure>>,
}

/// What a script must end with, and the script.
struct Judged {
    reasons: Vec<String>,
    run: Run,
}

impl Report {
    fn of(run: &Run) -> Self {
        let mut faults_by_sort = BTreeMap::new();
        for fault in &run.faults {
            *faults_by_sort.entry(fault.sort().to_owned()).or_default() += 1;
        }
        Self { requests: run.requests, faults: run.faults.len() as u64, faults_by_sort }
    }
}

impl AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.faults += other.faults;
        for (sort, count) in other.faults_by_sort {
            *self.faults_by_sort.entry(sort).or_default() += count;
        }
    }
}

impl<S: Scenario> Simulation<S> {
    /// Simulates this scenario.
    pub fn new(scenario: S) -> Self {
        Self { scenario, shrink_runs_max: SHRINK_RUNS_MAX }
    }

    /// Sets how many runs looking for the shortest way to a failure may take; with none, it is told as it was found.
    #[must_use]
    pub fn shrink_runs_max(mut self, runs: usize) -> Self {
        self.shrink_runs_max = runs;
        self
    }

    /// Plays one seed.
    ///
    /// # Errors
    /// The shortest way that was found to what is wrong.
    pub fn check(&self, seed: u64) -> Result<Report, Box<Failure>> {
        let steps = self.steps(seed);
        let judged = self.judge(seed, &steps, Faults::Seeded, false)?;
        if judged.reasons.is_empty() {
            return Ok(Report::of(&judged.run));
        }
        Err(self.shrunk(seed, steps, judged.run.faults))
    }

    /// Whether a seed fails, without looking for the shortest way there; what is wrong, if anything is.
    pub fn reasons(&self, seed: u64) -> Vec<String> {
        match self.judge(seed, &self.steps(seed), Faults::Seeded, false) {
            Ok(judged) => judged.reasons,
            Err(failure) => failure.reasons,
        }
    }

    /// What happens in the disturbed run of a seed, line by line: the same each time.
    pub fn journal(&self, seed: u64) -> Vec<String> {
        match self.judge(seed, &self.steps(seed), Faults::Seeded, true) {
            Ok(judged) => judged.run.lines,
            Err(failure) => failure.reasons,
        }
    }

    /// Plays seeds on as many threads, until one fails. `progress` is told after each how many have been played.
    pub fn explore(&self, seeds: Range<u64>, threads: usize, progress: impl Fn(u64) + Sync) -> Exploration {
        let next = AtomicU64::new(seeds.start);
        let (failed, result) = (AtomicBool::new(false), Mutex::new(Exploration::default()));
        std::thread::scope(|scope| {
            for _ in 0..threads.max(1) {
                scope.spawn(|| {
                    while !failed.load(Ordering::Relaxed) {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= seeds.end {
                            return;
                        }
                        let checked = self.check(seed);
                        let mut result = result.lock();
                        result.seeds += 1;
                        match checked {
                            Ok(report) => result.total += report,
                            Err(failure) => {
                                failed.store(true, Ordering::Relaxed);
                                result.failure.get_or_insert(failure);
                            }
                        }
                        let played = result.seeds;
                        drop(result);
                        progress(played);
                    }
                });
            }
        });
        result.into_inner()
    }

    fn steps(&self, seed: u64) -> Vec<Step> {
        self.scenario.steps(&Random::seeded(seed).fork("steps"))
    }

    /// Plays steps without faults and with them, and says what is wrong.
    fn judge(
        &self,
        seed: u64,
        steps: &[Step],
        faults: Faults<'_>,
        writes: bool,
    ) -> Result<Judged, Box<Failure>> {
        let calm = self.calm(seed, steps)?;
        self.judge_beside(&calm, seed, steps, faults, writes)
    }

    /// Plays steps without faults.
    fn calm(&self, seed: u64, steps: &[Step]) -> Result<Run, Box<Failure>> {
        self.play(Script { seed, steps, faults: Faults::None, expected: None, writes: false })
    }

    /// Plays steps with faults, and says what is wrong beside a run without.
    fn judge_beside(
        &self,
        calm: &Run,
        seed: u64,
        steps: &[Step],
        faults: Faults<'_>,
        writes: bool,
    ) -> Result<Judged, Box<Failure>> {
        if !calm.violations.is_empty() {
            let reasons = calm.violations.iter().map(|violation| format!("without any fault: {violation}"));
            return Ok(Judged { reasons: reasons.collect(), run: calm.clone() });
        }
        let expected: &State = &calm.state;
        let run = self.play(Script { seed, steps, faults, expected: Some(expected), writes })?;
        let mut reasons = run.violations.clone();
        reasons.extend(expected.differences(&run.state));
        Ok(Judged { reasons, run })
    }

    fn play(&self, script: Script<'_>) -> Result<Run, Box<Failure>> {
        play(&self.scenario, script).map_err(|error| {
            let reasons = vec![format!("no runtime: {error}")];
            Box::new(self.failure(script.seed, reasons, Vec::new(), Vec::new()))
        })
    }

    fn failure(&self, seed: u64, reasons: Vec<String>, steps: Vec<Step>, faults: Vec<Fault>) -> Failure {
        let scenario = self.scenario.name().to_owned();
        let faults_drawn = faults.len();
        Failure { scenario, seed, reasons, steps, faults, faults_drawn, runs: 0, journal: Vec::new() }
    }

    /// The shortest steps and faults found with which the seed still fails.
    fn shrunk(&self, seed: u64, steps: Vec<Step>, faults: Vec<Fault>) -> Box<Failure> {
        let drawn = faults.len();
        let mut budget = self.shrink_runs_max;
        let fails = |steps: &[Step], faults: &[Fault]| {
            let judged = self.judge(seed, steps, Faults::These(faults), false);
            judged.map_or(true, |judged| !judged.reasons.is_empty())
        };
        // The same steps end the same without faults: that is played once.
        let with_less = |steps: &[Step], faults: Vec<Fault>, budget: &mut usize| match self.calm(seed, steps)
        {
            Ok(calm) => shrink(faults, budget, |faults| {
                let judged = self.judge_beside(&calm, seed, steps, Faults::These(faults), false);
                judged.map_or(true, |judged| !judged.reasons.is_empty())
            }),
            Err(_) => faults,
        };
        let (mut steps, mut faults) = (steps, faults);
        // Only if the list of what went wrong brings it about, which it does unless the server forgets.
        if budget > 0 && fails(&steps, &faults) {
            faults = with_less(&steps, faults, &mut budget);
            steps = shrink(steps, &mut budget, |steps| fails(steps, &faults));
            faults = with_less(&steps, faults, &mut budget);
        }
        let last = self.judge(seed, &steps, Faults::These(&faults), true);
        let (reasons, journal) = match last {
            Ok(judged) if judged.reasons.is_empty() => {
                (vec!["it fails, but not again by the list of its faults".to_owned()], judged.run.lines)
            }
            Ok(judged) => (judged.reasons, judged.run.lines),
            Err(failure) => return failure,
        };
        let failure = self.failure(seed, reasons, steps, faults);
        let runs = self.shrink_runs_max - budget;
        Box::new(Failure { faults_drawn: drawn, runs, journal, ..failure })
    }
}
