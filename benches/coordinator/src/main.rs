//! `make bench-coordinator`: the coordinator beside kube-rs' runtime, on the same server in the same run.
//!
//! The server is a process of its own, and so is everything that is measured; this process writes the load, takes the
//! figures, prints them, and fails where a bar is missed.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use xebec_bench_load::report;

mod child;
mod dispatch;
mod latency;
mod measured;
mod memory;
mod objects;
mod plan;
mod watches;

/// What to measure, and where.
#[derive(Debug, Parser)]
#[command(name = "xebec-bench-coordinator")]
struct Arguments {
    #[command(subcommand)]
    measured: Option<Measured>,
    #[command(flatten)]
    plan: plan::PlanArguments,
}

#[derive(Debug, Subcommand)]
enum Measured {
    /// Be a process that is measured; started by the benchmark itself.
    #[command(hide = true)]
    Measured(measured::MeasuredArguments),
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(Measured::Measured(arguments)) = arguments.measured {
        // As many threads as the bars are for, whatever the machine has.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(measured::run(&arguments))?;
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (server, measures) = runtime.block_on(plan::measure(&arguments.plan))?;
    Ok(report::print(&server, &measures, arguments.plan.json)?)
}
