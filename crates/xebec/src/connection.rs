//! The way to a cluster that is there already, as kubectl finds it.

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::cli::ClusterArguments;

/// A client for the cluster, and its address.
///
/// # Errors
/// No cluster is named, or what names it is wrong.
pub async fn client(arguments: &ClusterArguments) -> Result<(kube::Client, String)> {
    let config = config(arguments).await?;
    let url = config.cluster_url.to_string();
    let client = kube::Client::try_from(config).with_context(|| format!("connect to {url}"))?;
    Ok((client, url))
}

async fn config(arguments: &ClusterArguments) -> Result<kube::Config> {
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
