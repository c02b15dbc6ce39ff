//! Plays seeds: `xebec-sim --seeds 10000`. Exits non-zero with the shortest trace found where one fails.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use xebec_coordinator::sim::Simulation;
use xebec_sim::scenarios::SCENARIOS;

/// Plays seeds of all scenarios.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds are played, by turns over the scenarios.
    #[arg(long, default_value_t = 500)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// One scenario alone, by its name.
    #[arg(long)]
    scenario: Option<String>,
    /// How many threads play. [default: as many as there are processors]
    #[arg(long)]
    threads: Option<usize>,
    /// Only say which seed fails, and why: do not look for the shortest way there.
    #[arg(long)]
    brief: bool,
    /// Print all that happens in the disturbed run of the first seed instead.
    #[arg(long)]
    journal: bool,
}

#[expect(clippy::disallowed_methods, reason = "how long it took is real time")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let chosen: Vec<_> = SCENARIOS
        .iter()
        .map(|scenario| scenario())
        .filter(|scenario| arguments.scenario.as_deref().is_none_or(|name| name == scenario.name()))
        .collect();
    if chosen.is_empty() {
        eprintln!("no scenario of that name");
        return ExitCode::from(2);
    }
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = arguments.threads.unwrap_or(processors);
    let count = chosen.len() as u64;
    let began = Instant::now();
    let (mut played, mut failed) = (0, Vec::new());
    for (number, scenario) in chosen.into_iter().enumerate() {
        let seeds = arguments.seeds / count + u64::from((number as u64) < arguments.seeds % count);
        let name = scenario.name().to_owned();
        let mut simulation = Simulation::new(scenario);
        if arguments.brief {
            simulation = simulation.shrink_runs_max(0);
        }
        if arguments.journal {
            simulation.journal(arguments.from).iter().for_each(|line| println!("{line}"));
            continue;
        }
        let start = Instant::now();
        let explored = simulation.explore(arguments.from..arguments.from + seeds, threads, |_| {});
        let took = start.elapsed();
        played += explored.seeds;
        println!(
            "{name:<12} {:>6} seeds, {:>8} faults, {:>9} requests, {:>7.1} seeds/s",
            explored.seeds,
            explored.total.faults,
            explored.total.requests,
            rate(explored.seeds, took)
        );
        let sorts = explored.total.faults_by_sort.iter();
        sorts.for_each(|(sort, count)| println!("{:<12} {count:>9} times {sort}", ""));
        // Nobody reads on where this fails.
        let _ = std::io::stdout().flush();
        if let Some(failure) = explored.failure {
            if arguments.brief {
                eprintln!("seed {} fails: {}", failure.seed, failure.reasons.join("; "));
            } else {
                eprintln!("\n{failure}");
            }
            failed.push(name); // the others are played all the same
        }
    }
    if !arguments.journal {
        let took = began.elapsed();
        println!("{played} seeds in {took:.1?}: {:.1} seeds/s", rate(played, took));
        if let Some(memory) = memory_most() {
            println!("never more than {memory} of memory");
        }
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("failed: {}", failed.join(", "));
    ExitCode::FAILURE
}

/// The most memory that this process has ever had, where the system says so.
fn memory_most() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().to_owned())
}

fn rate(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(f64::EPSILON)
}
