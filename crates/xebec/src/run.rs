//! `xebec run`: the observers, on a cluster that is there already.

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use xebec_coordinator::{Coordinator, Election};

use crate::{
    cli::RunArguments,
    crew::{self, say},
    signals,
};

/// Runs observers until a signal ends them.
pub async fn run(arguments: RunArguments) -> Result<()> {
    let shutdown = signals::shutdown()?;
    let config = config(&arguments).await?;
    let url = config.cluster_url.to_string();
    let client = kube::Client::try_from(config).with_context(|| format!("connect to {url}"))?;
    let version = client.apiserver_version().await.with_context(|| format!("reach the cluster at {url}"))?;
    let mut builder = Coordinator::builder(client);
    if let Some((namespace, name)) = arguments.leader_elect {
        builder = builder.election(Election::new(namespace, name));
    }
    let coordinator = builder.build();
    let observers = crew::add_observers(&coordinator, arguments.observers.observers.as_deref())?;
    let names = if observers.is_empty() { "no observers".to_owned() } else { observers.join(", ") };
    say(&format!("xebec runs {names} on {url} (Kubernetes {})", version.git_version));
    coordinator.run(shutdown).await.context("the coordinator")
}

async fn config(arguments: &RunArguments) -> Result<kube::Config> {
    let options = KubeConfigOptions { context: arguments.context.clone(), ..KubeConfigOptions::default() };
    match &arguments.kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path)
                .with_context(|| format!("read --kubeconfig {}", path.display()))?;
            kube::Config::from_custom_kubeconfig(file, &options)
                .await
                .with_context(|| format!("in {}", path.display()))
        }
        None if arguments.context.is_some() => {
            kube::Config::from_kubeconfig(&options).await.context("read the kubeconfig")
        }
        None => kube::Config::infer().await.context("find a cluster: give --kubeconfig, or run within a pod"),
    }
}
