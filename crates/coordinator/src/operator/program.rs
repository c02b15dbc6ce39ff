//! An operator as a program: its command line, and what it prints.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use kube::Client;
use serde_json::{Value, json};

use super::{Flags, LogFormat, Manifests, OperatorError, label, start_logs};
use crate::{BoxError, Coordinator, Observer, ObserverSpec};

/// A program that is nothing but an operator.
#[derive(Clone, Debug)]
pub struct Program {
    name: &'static str,
    definitions: Vec<Value>,
    /// With which arguments it is installed.
    arguments: Vec<String>,
}

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
    /// What is logged on standard error: a level (error, warn, info, debug, trace), or a level a module
    /// (`warn,xebec_coordinator=debug`).
    #[arg(long, env = "RUST_LOG", default_value = "info", value_name = "FILTER")]
    log: String,
    /// How log lines look.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print what to apply to a cluster so that it runs there, with the rights that it needs and no more: pipe it into
    /// `kubectl apply -f -`. Two replicas, of which one leads.
    Manifests {
        /// The image, with this program as its entry point.
        #[arg(long, value_name = "IMAGE")]
        image: String,
        /// The namespace in which it runs; it is among what is printed, unless it is Kubernetes' own. [default: the name
        /// of the program]
        #[arg(long, value_name = "NAME", value_parser = label)]
        namespace: Option<String>,
    },
}

/// The whole main of an operator: reads the command line, and runs what `add` adds until SIGINT or SIGTERM. See
/// [`Program`] for one with custom resources.
///
/// What fails is said on standard error. Exit codes: 0 done, 1 failed, 2 wrong usage.
pub async fn run<E: Into<BoxError>>(
    name: &'static str,
    add: impl FnOnce(&Coordinator) -> Result<(), E>,
) -> ExitCode {
    Program::new(name).run(add).await
}

/// The whole main of an operator that is a list of observers, as [`run`]: with a flag for each of their options.
pub async fn run_observers(name: &'static str, observers: &[&'static dyn Observer]) -> ExitCode {
    Program::new(name).run_observers(observers).await
}

impl Program {
    /// A program of this name: so it is called in its help, in Kubernetes Events and Leases, and in the cluster.
    pub fn new(name: &'static str) -> Self {
        Self { name, definitions: Vec::new(), arguments: Vec::new() }
    }

    /// Installs these objects first, such as the definitions of custom resources that it serves.
    #[must_use]
    pub fn definitions(mut self, definitions: impl IntoIterator<Item = Value>) -> Self {
        self.definitions.extend(definitions);
        self
    }

    /// Does what the command line says, as [`run`].
    pub async fn run<E: Into<BoxError>>(self, add: impl FnOnce(&Coordinator) -> Result<(), E>) -> ExitCode {
        let matches = CommandLine::command().name(self.name).get_matches();
        self.end(&matches, add).await
    }

    /// Does what the command line says with a list of observers, as [`run_observers`].
    pub async fn run_observers(mut self, observers: &[&'static dyn Observer]) -> ExitCode {
        let specs = || observers.iter().map(Observer::spec);
        let command = CommandLine::command().name(self.name);
        let flags = specs().flat_map(|spec| spec.flags()).map(|flag| flag.global(true));
        let matches = command.args(flags).get_matches();
        let given: Vec<_> = specs().flat_map(|spec| spec.flags_given(&matches)).collect();
        self.arguments = given.iter().map(|(flag, text)| format!("--{flag}={text}")).collect();
        let add = |coordinator: &Coordinator| {
            observers.iter().try_for_each(|observer| {
                let given = given.iter().map(|(flag, text)| (&**flag, &**text));
                coordinator.observe_as(observer.spec().set_by_flags(given)?, *observer)
            })
        };
        self.end(&matches, add).await
    }

    async fn end<E: Into<BoxError>>(
        self,
        matches: &ArgMatches,
        add: impl FnOnce(&Coordinator) -> Result<(), E>,
    ) -> ExitCode {
        let end = match CommandLine::from_arg_matches(matches) {
            Ok(arguments) => self.act(arguments, add).await,
            Err(error) => error.exit(),
        };
        let Err(error) = end else { return ExitCode::SUCCESS };
        // Where standard error is closed there is nobody left to tell.
        let _ = writeln!(io::stderr(), "error: {}", chain(&*error));
        ExitCode::FAILURE
    }

    async fn act<E: Into<BoxError>>(
        self,
        arguments: CommandLine,
        add: impl FnOnce(&Coordinator) -> Result<(), E>,
    ) -> Result<(), BoxError> {
        let name = self.name;
        if let Some(Command::Manifests { image, namespace }) = arguments.command {
            let namespace = namespace.unwrap_or_else(|| name.to_owned());
            let manifests = Manifests::new(name, namespace, name, image).arguments(self.arguments.clone());
            let manifests = self.manifests(&manifests, add)?;
            writeln!(io::stdout(), "{manifests:#}")?;
            return Ok(());
        }
        start_logs(&arguments.log, arguments.log_format)?;
        let operator = arguments.flags.prepare(name).await?;
        add(operator.coordinator()).map_err(|error| OperatorError::Add(error.into()))?;
        let metrics = operator.metrics_url().unwrap_or_else(|| "nowhere".to_owned());
        let (cluster, version) = (operator.url(), operator.version());
        tracing::info!(cluster, version, metrics, "{name} runs");
        Ok(operator.run().await?)
    }

    /// What to apply so that it runs, as one List: the definitions first.
    ///
    /// # Errors
    /// An observer cannot be added.
    pub fn manifests<E: Into<BoxError>>(
        self,
        manifests: &Manifests,
        add: impl FnOnce(&Coordinator) -> Result<(), E>,
    ) -> Result<Value, BoxError> {
        // Only what is added is asked: nobody is connected to.
        let nowhere = kube::Config::new(http::Uri::from_static("http://localhost"));
        let coordinator = Coordinator::new(Client::try_from(nowhere)?);
        add(&coordinator).map_err(|error| OperatorError::Add(error.into()))?;
        let mut items = self.definitions;
        items.extend(manifests.documents(coordinator.specs().iter().flat_map(ObserverSpec::rights)));
        Ok(json!({"apiVersion": "v1", "kind": "List", "items": items}))
    }
}

/// An error and what caused it, each once: some errors say their cause, too.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        CommandLine::command().debug_assert();
        let parse = |line: &str| CommandLine::try_parse_from(line.split_whitespace());
        assert!(parse("exposer").is_ok_and(|line| line.flags.leader_elect.is_none()));
        assert!(parse("exposer --leader-elect --metrics-address none").is_ok());
        assert!(parse("exposer manifests --image exposer:1").is_ok_and(|line| line.command.is_some()));
        for wrong in
            ["exposer manifests", "exposer --leader-elect --shard-by key", "exposer --shard-group a/b"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn causes_are_said_once() {
        let source = io::Error::other("no room");
        let address = ([127, 0, 0, 1], 1).into();
        let text = chain(&OperatorError::Listen { address, source });
        assert!(text.starts_with("listen on 127.0.0.1:1") && text.ends_with(": no room"), "{text}");
        assert_eq!(
            chain(&OperatorError::Run(crate::RunError::RunsAlready)),
            "the coordinator: the coordinator runs already"
        );
    }
}
