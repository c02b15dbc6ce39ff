//! `xebec bench`: figures of a Kubernetes API, any, beside the bars that xebec holds itself to.
//!
//! The load generator runs on one thread, so that it leaves the server the rest of a small machine; its connections
//! are written by hand, so that the figures are those of the server. Everything is bounded in count and in time.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Result;

mod arguments;
mod clock;
mod connection;
mod fan_out;
pub mod first_cluster;
mod load;
mod measures;
mod objects;
mod report;
mod server;
mod target;
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
    let text = if arguments.json {
        format!("{:#}\n", report::json(&server, &measures))
    } else {
        report::table(&measures)
    };
    io::stdout().write_all(text.as_bytes())?;
    let held = measures.iter().all(report::Measure::holds);
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
