//! A Kubernetes cluster in one binary, and the crew that keeps a cluster in order.
//!
//! Glue only: flags ([`cli`]), and which part runs for them. Exit codes: 0 done, 1 failed, 2 wrong usage.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser};

mod apiserver;
mod asking;
mod bench;
mod chosen;
mod cli;
mod crew;
mod descriptors;
mod faults;
mod initial;
mod kubeconfig;
mod manifests;
mod observer;
mod output;
mod plans;
mod reference;
mod run;
mod server;
mod started;
mod status;
mod up;
mod version;

use cli::{Arguments, Command, WrongUsage};
use xebec_coordinator::operator::start_logs;

const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    started::now();
    let arguments = Arguments::parse();
    if let Err(error) = start_logs(&arguments.log, arguments.log_format) {
        // Where standard error is closed there is nobody left to tell.
        let _ = writeln!(io::stderr(), "error: {:#}", anyhow::Error::new(error));
        return ExitCode::from(WRONG_USAGE);
    }
    match dispatch(arguments) {
        Ok(code) => code,
        Err(error) => {
            // Where standard error is closed there is nobody left to tell.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            if error.is::<WrongUsage>() { ExitCode::from(WRONG_USAGE) } else { ExitCode::FAILURE }
        }
    }
}

fn dispatch(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Apiserver(arguments) => block_on(apiserver::run(arguments))?,
        Command::Up(arguments) => block_on(up::run(arguments))?,
        Command::Run(arguments) => block_on(run::run(arguments))?,
        Command::Manifests(arguments) => output::write(&manifests::text(&arguments)?)?,
        Command::Status(arguments) => block_on(status::run(arguments))?,
        Command::Observer(command) => block_on(observer::run(command))?,
        Command::Bench(bench) => return bench::run(&bench),
        Command::FirstCluster => bench::first_cluster::run()?,
        Command::Reference => output::write(&reference::page())?,
        Command::Version(version) => io::stdout().write_all(version::text(version.output).as_bytes())?,
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "xebec", &mut script);
            io::stdout().write_all(&script)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    // What is still running has had its time.
    runtime.shutdown_background();
    result
}
