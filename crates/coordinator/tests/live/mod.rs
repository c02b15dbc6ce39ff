//! A coordinator at work against `xebec-apiserver`, in process.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use kube::Client;
use tokio_util::sync::CancellationToken;
use xebec_apiserver::Cluster;
use xebec_coordinator::Coordinator;

/// Runs what `add` adds against a new cluster while `test` goes on.
pub async fn with<F: Future<Output = ()>>(
    add: impl FnOnce(&Coordinator),
    test: impl FnOnce(Coordinator, Client) -> F,
) {
    let cluster = Cluster::new();
    let coordinator = Coordinator::new(cluster.client());
    add(&coordinator);
    let shutdown = CancellationToken::new();
    let (running, token) = (coordinator.clone(), shutdown.clone());
    let task = tokio::spawn(async move { running.run(token).await });
    let test = test(coordinator, cluster.client());
    tokio::time::timeout(Duration::from_mins(1), test).await.unwrap();
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(1), task).await.unwrap().unwrap().unwrap();
}
