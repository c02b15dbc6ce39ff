//! A cluster in memory with all controllers at work, and somebody who plays the nodes.

#![allow(clippy::unwrap_used, dead_code, reason = "tests, each of which uses a part of it")]

use std::fmt::Debug;
use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use xebec_apiserver::{Clock, Cluster};
use xebec_controllers::{CONTROLLERS, Options};
use xebec_coordinator::Coordinator;

/// A cluster, and its controllers at work until this is dropped.
pub struct Running {
    cluster: Cluster,
    pub client: Client,
    pub coordinator: Coordinator,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// The cluster's clock as the coordinator's.
#[derive(Debug)]
struct ClusterClock(Clock);

impl xebec_coordinator::Clock for ClusterClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn sleep_until(&self, deadline: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let clock = self.0.clone();
        Box::pin(async move { clock.sleep_until(deadline).await })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        self.task.abort();
    }
}

impl Running {
    /// On a cluster by the system's clock.
    pub fn start() -> Self {
        Self::on(Cluster::new())
    }

    /// On a cluster whose time stands still until it is [advanced](Self::advance).
    pub fn still() -> Self {
        Self::on(Cluster::with_clock(Clock::still("2026-01-01T12:00:00Z".parse().unwrap())))
    }

    fn on(cluster: Cluster) -> Self {
        let client = cluster.client();
        let clock = ClusterClock(cluster.clock().clone());
        let coordinator = Coordinator::builder(client.clone()).clock(clock).seed(1).build();
        let options = Options { root_certificates: "the certificates".to_owned() };
        for controller in CONTROLLERS {
            controller.observe(&coordinator, &options).unwrap();
        }
        let stop = CancellationToken::new();
        let task = tokio::spawn({
            let (coordinator, stop) = (coordinator.clone(), stop.clone());
            async move { coordinator.run(stop).await.unwrap() }
        });
        Self { cluster, client, coordinator, stop, task }
    }

    /// Lets time pass, until the controllers have nothing to do.
    pub async fn advance(&self, duration: Duration) {
        self.cluster.clock().advance(duration);
        tokio::task::yield_now().await;
        self.idle().await;
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), "default")
    }

    pub async fn create<K>(&self, object: Value) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + DeserializeOwned
            + Serialize
            + Clone
            + Debug,
    {
        let object: K = serde_json::from_value(object).unwrap();
        self.api().create(&PostParams::default(), &object).await.unwrap()
    }

    pub async fn patch<K>(&self, name: &str, patch: Value)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + DeserializeOwned
            + Serialize
            + Clone
            + Debug,
    {
        self.api::<K>().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    pub async fn delete<K>(&self, name: &str, params: DeleteParams)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + Debug,
    {
        self.api::<K>().delete(name, &params).await.unwrap();
    }

    pub async fn get<K>(&self, name: &str) -> Value
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + DeserializeOwned
            + Serialize
            + Clone
            + Debug,
    {
        serde_json::to_value(self.api::<K>().get(name).await.unwrap()).unwrap()
    }

    pub async fn list<K>(&self) -> Vec<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + Debug,
    {
        self.api::<K>().list(&ListParams::default()).await.unwrap().items
    }

    pub async fn names<K>(&self) -> Vec<String>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + Debug,
    {
        self.list::<K>().await.iter().map(ResourceExt::name_any).collect()
    }

    /// Until the controllers have nothing to do.
    pub async fn idle(&self) {
        self.coordinator.idle().await;
    }

    /// Plays the nodes for one round: Pods that wait are made to run; how many there were.
    pub async fn run_pods(&self) -> usize {
        let ready = json!({"status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}], "conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}]}});
        self.set_pods("Pending", ready).await
    }

    /// Merges a patch into the status of all Pods of a phase; how many there were.
    pub async fn set_pods(&self, phase: &str, patch: Value) -> usize {
        let pods = self.list::<Pod>().await;
        let of_phase = |pod: &&Pod| {
            let known = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            known.unwrap_or("Pending") == phase
        };
        let pods: Vec<&Pod> = pods.iter().filter(of_phase).collect();
        for pod in &pods {
            self.set_pod(&pod.name_any(), &patch).await;
        }
        pods.len()
    }

    /// Merges a patch into the status of a Pod.
    pub async fn set_pod(&self, name: &str, patch: &Value) {
        let params = PatchParams::default();
        self.api::<Pod>().patch_status(name, &params, &Patch::Merge(patch)).await.unwrap();
    }

    /// Plays the nodes until nothing happens any more.
    pub async fn settle(&self) {
        self.idle().await;
        while self.run_pods().await > 0 {
            self.idle().await;
        }
    }
}
