//! A Kubernetes cluster in one binary, and the crew that keeps a cluster in order.
//!
//! Glue only: flags ([`cli`]), and which part runs for them. Exit codes: 0 done, 1 failed, 2 wrong usage.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser};

mod bench;
mod cli;
mod version;

use cli::{Arguments, Command};

fn main() -> ExitCode {
    match dispatch(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            // Where standard error is closed there is nobody left to tell.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Up(_) | Command::Apiserver(_) | Command::Run(_) => anyhow::bail!("not built yet"),
        Command::Bench(bench) => return bench::run(&bench),
        Command::Version(version) => io::stdout().write_all(version::text(version.output).as_bytes())?,
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "xebec", &mut script);
            io::stdout().write_all(&script)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
