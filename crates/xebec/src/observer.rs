//! `xebec NAME plan|why|release`: the commands that every observer of the list has.

use anyhow::{Context, Result};
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand, error::ErrorKind};
use serde_json::json;
use xebec_coordinator::operator::ClusterFlags;
use xebec_coordinator::{Coordinator, Key, ObserverSpec};

use crate::{
    chosen::{Chosen, OptionArguments},
    cli::WrongUsage,
    output::{self, OutputFormat, printable, render},
    plans,
};

/// A command of one observer.
#[derive(Debug)]
pub struct ObserverCommand {
    /// The observer.
    pub observer: Chosen,
    /// What it is asked.
    pub action: ObserverAction,
}

/// What an observer is asked.
#[derive(Debug, Subcommand)]
pub enum ObserverAction {
    /// Print what it would do about the cluster as it is now. Nothing is written.
    Plan(LookArguments),
    /// Print what makes it look at an object, and what it would do about it. Nothing is written.
    Why {
        /// The object: KIND/NAMESPACE/NAME, or KIND/NAME where the kind has no namespaces.
        #[arg(value_name = "KIND/NAMESPACE/NAME")]
        object: String,
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
        Ok(Self { observer, action: ObserverAction::from_arg_matches(matches)? })
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
        _ => Some(action.args(observer.flags())),
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
        ObserverAction::Why { object, look } => {
            let key = key(observer.spec(), &object)?;
            let (client, _) = look.cluster.connect().await?;
            let (planned, version) = plans::one(&client, &observer, &key).await?;
            let mut value = planned.value();
            value["resourceVersion"] = json!(version);
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
                    );
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

/// The key that is meant by `kind/namespace/name`. The kind may be in the plural, and with its group, as for kubectl.
fn key(spec: &ObserverSpec, text: &str) -> Result<Key, WrongUsage> {
    let parts: Vec<&str> = text.split('/').collect();
    let (kind, namespace, name) = match *parts.as_slice() {
        [kind, name] => (kind, None, name),
        [kind, namespace, name] => (kind, Some(namespace), name),
        _ => return Err(WrongUsage(format!("{text:?} is not KIND/NAMESPACE/NAME or KIND/NAME"))),
    };
    if name.is_empty() || namespace == Some("") {
        return Err(WrongUsage(format!("{text:?} has an empty part")));
    }
    let kinds = || spec.watches.iter().map(|watch| &watch.kind);
    let (wanted, group) = kind.split_once('.').map_or((kind, None), |(kind, group)| (kind, Some(group)));
    let found = kinds().find(|kind| {
        let names = [kind.name(), kind.plural()];
        names.iter().any(|name| name.eq_ignore_ascii_case(wanted))
            && group.is_none_or(|group| group == kind.group())
    });
    let found = found.ok_or_else(|| {
        let kinds: Vec<String> = kinds().map(|kind| kind.name().to_lowercase()).collect();
        WrongUsage(format!("{} watches no {kind:?}: choose from {}", spec.name, kinds.join(", ")))
    })?;
    Ok(Key::of_kind(found.clone(), namespace, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_named_as_for_kubectl() {
        let spec = Chosen::named("reload").unwrap().spec().clone();
        for text in ["deployment/default/web", "Deployments/default/web", "deployments.apps/default/web"] {
            assert_eq!(key(&spec, text).unwrap().to_string(), "Deployment.apps default/web", "{text}");
        }
        for (text, expected) in [
            ("deployment", "KIND/NAMESPACE/NAME"),
            ("deployment/a/b/c", "KIND/NAMESPACE/NAME"),
            ("deployment//web", "empty"),
            ("deployment/default/", "empty"),
            ("pod/default/web", "choose from deployment, configmap, secret"),
            ("deployments.extensions/default/web", "choose from"),
        ] {
            let error = key(&spec, text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
