//! `xebec NAME plan|list|why|release`: the commands that every observer of the list has.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand, error::ErrorKind};
use serde_json::{Value, json};
use xebec_coordinator::Coordinator;
use xebec_coordinator::operator::{ClusterFlags, METRICS_ADDRESS};

use crate::{
    asking,
    chosen::{Chosen, OptionArguments},
    cli::WrongUsage,
    output::{self, OutputFormat, printable, render},
    plans,
};

/// A command of one observer.
#[derive(Debug)]
pub struct ObserverCommand {
    /// The observer.
    pub observer: Box<Chosen>,
    /// What it is asked.
    pub action: ObserverAction,
}

/// What an observer is asked.
#[derive(Debug, Subcommand)]
pub enum ObserverAction {
    /// Print what it would do about the cluster as it is now. Nothing is written.
    Plan(LookArguments),
    /// Print the objects that it serves, and how they fare, a row each.
    List(LookArguments),
    /// Print what makes it look at an object, and what it would do about it. Nothing is written.
    ///
    /// Also asks the xebec that runs on this machine, if there is one, what it knows of the object: what woke it, what it
    /// waits for, and what came of it last.
    Why {
        /// The object: KIND/NAMESPACE/NAME, or KIND/NAME where the kind has no namespaces.
        #[arg(value_name = "KIND/NAMESPACE/NAME")]
        object: String,
        /// The --metrics-address of the process that is asked, too.
        #[arg(long, default_value = METRICS_ADDRESS, value_name = "ADDRESS")]
        address: SocketAddr,
        #[command(flatten)]
        look: LookArguments,
    },
    /// Take its finalizer off all objects, for an observer that goes for good. End it everywhere before.
    Release {
        #[command(flatten)]
        cluster: ClusterFlags,
    },
}

/// Where to look, and how to print what is found.
#[derive(Args, Debug)]
pub struct LookArguments {
    #[command(flatten)]
    pub cluster: ClusterFlags,
    /// The format: text for people, JSON or YAML with all that would be written for programs.
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT")]
    pub output: OutputFormat,
}

impl FromArgMatches for ObserverCommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let (name, matches) = matches.subcommand().unwrap_or(("", matches));
        let observer = Chosen::named(name).ok_or_else(|| clap::Error::new(ErrorKind::InvalidSubcommand))?;
        let options = matches.subcommand().map(|(_, matches)| OptionArguments::from_arg_matches(matches));
        let observer = observer.with(&options.transpose()?.unwrap_or_default());
        let observer = observer.map_err(|error| clap::Error::raw(ErrorKind::ValueValidation, error))?;
        Ok(Self { observer: Box::new(observer), action: ObserverAction::from_arg_matches(matches)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for ObserverCommand {
    fn augment_subcommands(command: Command) -> Command {
        Chosen::all().fold(command, |command, observer| command.subcommand(of(&observer)))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        Chosen::named(name).is_some()
    }
}

/// The commands of one observer: only one that has a finalizer has anything to release.
fn of(observer: &Chosen) -> Command {
    let (name, spec) = (observer.name().to_owned(), observer.spec());
    let actions = ObserverAction::augment_subcommands(Command::new(name.clone()));
    let actions = actions.get_subcommands().cloned().filter_map(|action| match action.get_name() {
        "release" => spec.finalizer.is_some().then_some(action),
        _ => Some(action.args(spec.flags())),
    });
    Command::new(name)
        .about(format!("Ask an observer: {} {}", spec.name, spec.description))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(actions)
}

/// Asks an observer.
///
/// # Errors
/// The cluster cannot be read, or the object is of no kind that the observer watches.
pub async fn run(command: ObserverCommand) -> Result<()> {
    let ObserverCommand { observer, action } = command;
    match action {
        ObserverAction::Plan(look) => {
            let (client, _) = look.cluster.connect().await?;
            let planned = plans::all(&client, &observer).await?;
            output::write(&plans::render(&planned, look.output)?)
        }
        ObserverAction::List(look) => {
            let (client, _) = look.cluster.connect().await?;
            output::write(&plans::list(&client, &observer, look.output).await?)
        }
        ObserverAction::Why { object, address, look } => {
            let key = observer.spec().key(&object).map_err(|error| WrongUsage(error.to_string()))?;
            let running = running(address, observer.name(), &object).await;
            let (client, _) = look.cluster.connect().await?;
            let (planned, version) = plans::one(&client, &observer, &key).await?;
            let mut value = planned.value();
            value["resourceVersion"] = json!(version);
            value["running"] = match &running {
                Ok(why) => why.clone(),
                Err(error) => json!({ "unknown": format!("{error:#}") }),
            };
            let text = || {
                let exists = version.map_or("no".to_owned(), |version| format!("yes, version {version}"));
                let causes: Vec<String> = planned.woken_by.iter().map(ToString::to_string).collect();
                let causes =
                    if causes.is_empty() { "nothing that is there".to_owned() } else { causes.join(", ") };
                let steps = planned.steps();
                let steps = if steps.is_empty() { vec!["nothing".to_owned()] } else { steps };
                let rows = [("observer:", observer.name().to_owned()), ("object:", key.to_string())]
                    .into_iter()
                    .chain([("there:", exists), ("woken by:", causes)])
                    .chain(
                        steps
                            .into_iter()
                            .enumerate()
                            .map(|(place, step)| (if place == 0 { "would:" } else { "" }, step)),
                    )
                    .chain(told(&running, address));
                let rows: Vec<_> = rows.map(|(title, text)| vec![title.to_owned(), text]).collect();
                output::table(&rows)
            };
            output::write(&render(look.output, &value, text)?)
        }
        ObserverAction::Release { cluster } => {
            let (client, _) = cluster.connect().await?;
            let coordinator = Coordinator::new(client);
            observer.observe(&coordinator)?;
            let released = coordinator.release(observer.name()).await.context("release")?;
            output::write(&format!("{}: released {released} objects\n", printable(observer.name())))
        }
    }
}

/// What the process at an address knows of an object.
async fn running(address: SocketAddr, observer: &str, object: &str) -> Result<Value> {
    let query: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("observer", observer)
        .append_pair("object", object)
        .finish();
    let body = asking::get(address, &format!("/why?{query}")).await?;
    let why: Value = serde_json::from_slice(&body).context("it is no xebec")?;
    if why["observer"] == observer { Ok(why) } else { bail!("it is no xebec") }
}

/// The same for people, in rows.
fn told(running: &Result<Value>, address: SocketAddr) -> Vec<(&'static str, String)> {
    let why = match running {
        Ok(why) => why,
        Err(error) => return vec![("running:", format!("unknown: {address} does not tell: {error:#}"))],
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (woken, served) = (&why["woken"], &why["served"]);
    let woken = match woken["by"].as_str() {
        Some(by) => format!("{by}, at {}", text(&woken["at"])),
        None => "by nothing that is remembered".to_owned(),
    };
    let ended = match (served["at"].as_str(), served["error"].as_str()) {
        (None, _) => "never, as far as is remembered".to_owned(),
        (Some(at), Some(error)) => format!("at {at}, and failed ({} in a row): {error}", why["failures"]),
        (Some(at), None) => format!("at {at}, with {} writes", served["writes"]),
    };
    let health = format!("{} {}, as {address} tells", text(&why["health"]), text(&why["detail"]));
    vec![
        ("running:", health.replace(" ,", ",")),
        ("woken last:", woken),
        ("served last:", ended),
        ("waits:", text(&why["waits"])),
    ]
}
