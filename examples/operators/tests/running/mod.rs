//! A coordinator at work on a new cluster of the real API server, in process.
#![allow(dead_code, clippy::unwrap_used)]

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, PostParams};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use xebec_apiserver::{Clock, Cluster};
use xebec_coordinator::Coordinator;

/// A cluster and a coordinator whose time stands still until it is advanced.
pub struct Running {
    pub cluster: Cluster,
    pub coordinator: Coordinator,
}

impl Running {
    pub fn client(&self) -> Client {
        self.cluster.client()
    }

    pub fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client(), namespace)
    }

    /// Lets time pass, and waits for what follows from it.
    pub async fn advance(&self, by: Duration) {
        self.cluster.clock().advance(by);
        self.coordinator.idle().await;
    }
}

/// A typed object from JSON.
pub fn of<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

/// Runs what `add` adds while `test` goes on, on a cluster that knows the custom resources of `definitions`.
pub async fn with(
    definitions: impl IntoIterator<Item = Value>,
    add: impl FnOnce(&Coordinator),
    test: impl AsyncFnOnce(&Running),
) {
    let start = "2026-01-01T00:00:00Z".parse().unwrap();
    let cluster = Cluster::with_clock(Clock::still(start));
    for definition in definitions {
        let api: Api<CustomResourceDefinition> = Api::all(cluster.client());
        api.create(&PostParams::default(), &of(definition)).await.unwrap();
    }
    let coordinator = Coordinator::builder(cluster.client()).clock(xebec_simulated::clock(&cluster)).build();
    add(&coordinator);
    let shutdown = CancellationToken::new();
    let task = tokio::spawn({
        let (coordinator, shutdown) = (coordinator.clone(), shutdown.clone());
        async move { coordinator.run(shutdown).await }
    });
    let running = Running { cluster, coordinator };
    tokio::time::timeout(Duration::from_mins(1), test(&running)).await.unwrap();
    shutdown.cancel();
    task.await.unwrap().unwrap();
}
