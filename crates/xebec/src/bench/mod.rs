//! `xebec bench`: figures of a Kubernetes API, any, beside the bars that xebec holds itself to.
//!
//! The load and the report are those of all our benchmarks (`xebec-bench-load`). Everything is bounded in count and in
//! time.

use std::process::ExitCode;

use anyhow::Result;
use xebec_bench_load::report;

mod arguments;
mod fan_out;
pub mod first_cluster;
mod measures;
mod objects;
#[cfg(test)]
mod tests;

pub use arguments::BenchArguments;

/// Measures, prints, and fails where a bar is missed (but not with `--smoke`).
///
/// # Errors
/// Where the server can't be reached, or answers otherwise than a Kubernetes API.
pub fn run(arguments: &BenchArguments) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (server, measures) = runtime.block_on(measures::measure(arguments))?;
    Ok(report::print(&server, &measures, arguments.json)?)
}
