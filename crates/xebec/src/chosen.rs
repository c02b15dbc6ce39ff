//! The observers that are asked for, and how: `--observers`, and a flag for each option of each, made from their specs.

use std::{collections::BTreeMap, fmt};

use clap::{ArgMatches, Args, Command, Error, FromArgMatches};
use xebec_coordinator::{AddError, Coordinator, Observer, ObserverSpec};
use xebec_observers::OBSERVERS;

use crate::cli::WrongUsage;

/// An observer of the list, with its options as they are set.
#[derive(Clone)]
pub struct Chosen {
    observer: &'static dyn Observer,
    spec: ObserverSpec,
}

/// Which observers run, and with which options.
#[derive(Args, Debug)]
pub struct ObserversArgument {
    /// The observers to run, by name and separated by commas; an empty list runs none. [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', num_args = 1, value_parser = name)]
    pub observers: Option<Vec<String>>,
    #[command(flatten)]
    pub options: OptionArguments,
}

/// The options of observers that are set, as the flags that set them: `reload.selector`, and the value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OptionArguments(BTreeMap<String, String>);

fn name(name: &str) -> Result<String, String> {
    if name.is_empty() || Chosen::named(name).is_some() {
        return Ok(name.to_owned());
    }
    let known: Vec<_> = OBSERVERS.iter().map(|observer| observer.spec().name).collect();
    Err(format!("there is no observer {name:?}: choose from {}", known.join(", ")))
}

impl Chosen {
    /// All observers of the list, with no options set.
    pub fn all() -> impl Iterator<Item = Self> {
        OBSERVERS.iter().map(|observer| Self { observer: *observer, spec: observer.spec() })
    }

    /// The observer of this name, with no options set.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|observer| observer.name() == name)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// What it is, as data, with its options as they are set.
    pub fn spec(&self) -> &ObserverSpec {
        &self.spec
    }

    /// Adds it to a coordinator.
    ///
    /// # Errors
    /// That has an observer of this name.
    pub fn observe(&self, coordinator: &Coordinator) -> Result<(), AddError> {
        coordinator.observe_as(self.spec.clone(), self.observer)
    }

    /// The same with those of these options that are its own.
    ///
    /// # Errors
    /// A value is not of its option's form.
    pub fn with(mut self, options: &OptionArguments) -> Result<Self, WrongUsage> {
        let flags = options.0.iter().map(|(flag, text)| (flag.as_str(), text.as_str()));
        self.spec = self.spec.set_by_flags(flags).map_err(|error| WrongUsage(error.to_string()))?;
        Ok(self)
    }
}

impl ObserversArgument {
    /// The observers that are asked for, with their options.
    ///
    /// # Errors
    /// An option is set of one that is not.
    pub fn chosen(&self) -> Result<Vec<Chosen>, WrongUsage> {
        let mut chosen = Vec::new();
        for observer in Chosen::all() {
            let observer = observer.with(&self.options)?;
            if self.includes(observer.name()) {
                chosen.push(observer);
            } else if let Some(option) = observer.spec.options.iter().find(|option| option.is_set()) {
                let flag = observer.spec.flag(option);
                let why = format!("--{flag} is of an observer that does not run: name it in --observers");
                return Err(WrongUsage(why));
            }
        }
        Ok(chosen)
    }

    /// The flags that ask for the same.
    pub fn flags(&self) -> Vec<String> {
        let observers = self.observers.as_ref().map(|names| format!("--observers={}", names.join(",")));
        let options = self.options.0.iter().map(|(flag, text)| format!("--{flag}={text}"));
        observers.into_iter().chain(options).collect()
    }

    fn includes(&self, name: &str) -> bool {
        self.observers.as_ref().is_none_or(|names| names.iter().any(|wanted| wanted == name))
    }
}

impl FromArgMatches for OptionArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Ok(Self(Chosen::all().flat_map(|observer| observer.spec.flags_given(matches)).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.extend(Self::from_arg_matches(matches)?.0);
        Ok(())
    }
}

impl Args for OptionArguments {
    fn augment_args(command: Command) -> Command {
        Chosen::all().fold(command, |command, observer| command.args(observer.spec.flags()))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl fmt::Debug for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
