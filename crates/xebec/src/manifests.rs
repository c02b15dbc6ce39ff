//! `xebec manifests`: what to apply to a cluster so that xebec runs there, derived from the observers' specs.

use anyhow::Result;
use serde_json::Value;
use xebec_coordinator::operator::Manifests;

use crate::{chosen::Chosen, cli::ManifestsArguments, output::yaml};

/// The manifests as a stream of YAML documents.
///
/// # Errors
/// They cannot be encoded; an option is set of an observer that is not to run.
pub fn text(arguments: &ManifestsArguments) -> Result<String> {
    let chosen = arguments.observers.chosen()?;
    let documents: Vec<String> = documents(arguments, &chosen).iter().map(yaml).collect::<Result<_>>()?;
    Ok(documents.join("---\n"))
}

fn documents(arguments: &ManifestsArguments, chosen: &[Chosen]) -> Vec<Value> {
    let ManifestsArguments { namespace, name, image, observers } = arguments;
    Manifests::new("xebec", namespace, name, image)
        .arguments(std::iter::once("run".to_owned()).chain(observers.flags()))
        .documents(chosen.iter().flat_map(|observer| observer.spec().rights()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;
    use crate::chosen::{ObserversArgument, OptionArguments};
    use crate::cli::{Arguments, Command};

    fn arguments(namespace: &str, observers: Option<&str>) -> ManifestsArguments {
        ManifestsArguments {
            namespace: namespace.to_owned(),
            name: "xebec".to_owned(),
            image: "xebec:1".to_owned(),
            observers: ObserversArgument {
                observers: observers.map(|name| vec![name.to_owned()]),
                options: OptionArguments::default(),
            },
        }
    }

    #[test]
    fn only_chosen_observers_get_rights() {
        let rules = |observers| {
            let arguments = arguments("xebec", observers);
            documents(&arguments, &arguments.observers.chosen().unwrap())[2]["rules"].clone()
        };
        assert_eq!(rules(Some("")), json!([]));
        assert!(rules(None).to_string().contains("secrets"));
        assert_eq!(rules(None), rules(Some("reload")));
    }

    #[test]
    fn what_is_installed_runs_as_was_asked() {
        let line = ["xebec", "manifests", "--observers=reload", "--reload.selector", "tier in (a, b)"];
        let Ok(Arguments { command: Command::Manifests(arguments), .. }) = Arguments::try_parse_from(line)
        else {
            panic!("{line:?}")
        };
        let documents = documents(&arguments, &arguments.observers.chosen().unwrap());
        let container = &documents.last().unwrap()["spec"]["template"]["spec"]["containers"][0];
        let again = container["args"].as_array().unwrap().iter().map(|flag| flag.as_str().unwrap());
        let again = Arguments::try_parse_from(["xebec"].into_iter().chain(again));
        let Ok(Arguments { command: Command::Run(run), .. }) = again else { panic!("{container}") };
        let chosen = run.observers.chosen().unwrap();
        assert_eq!(chosen[0].spec().options[0].value().to_string(), "tier in (a,b)");
    }
}
