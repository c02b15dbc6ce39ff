//! Simulated nodes on the real API server, in the cluster's time.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, ContainerState, Node, Pod, PodStatus, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use xebec_apiserver::{Clock, Cluster};
use xebec_coordinator::Coordinator;
use xebec_node::simulated::{self, Options};

#[derive(Debug)]
struct Time(Clock);

impl xebec_coordinator::Clock for Time {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn sleep_until(&self, deadline: Timestamp) -> BoxFuture<'static, ()> {
        let clock = self.0.clone();
        async move { clock.sleep_until(deadline).await }.boxed()
    }
}

/// A cluster with simulated nodes whose time stands still.
struct World {
    cluster: Cluster,
    coordinator: Coordinator,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), xebec_coordinator::RunError>>,
}

impl World {
    fn new(nodes: usize) -> Self {
        let cluster = Cluster::with_clock(Clock::still("2026-01-01T00:00:00Z".parse().unwrap()));
        Self::on(cluster, nodes)
    }

    fn on(cluster: Cluster, nodes: usize) -> Self {
        let clock = Time(cluster.clock().clone());
        let coordinator = Coordinator::builder(cluster.client()).clock(clock).seed(1).build();
        simulated::observe(&coordinator, &Options { nodes, ..Options::default() }).unwrap();
        let shutdown = CancellationToken::new();
        let (running, token) = (coordinator.clone(), shutdown.clone());
        let task = tokio::spawn(async move { running.run(token).await });
        Self { cluster, coordinator, shutdown, task }
    }

    fn client(&self) -> Client {
        self.cluster.client()
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client(), "default")
    }

    async fn create<K>(&self, object: Value) -> K
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + DeserializeOwned
            + Serialize
            + Clone
            + Debug,
    {
        let object = serde_json::from_value(object).unwrap();
        self.api::<K>().create(&PostParams::default(), &object).await.unwrap()
    }

    /// Moves time on, and waits until what is asked for is so. Timers fire a moment after the clock shows their time.
    async fn after(&self, seconds: u64, what: &str, is: impl AsyncFn() -> bool) {
        self.cluster.clock().advance(Duration::from_secs(seconds));
        let wait = async {
            loop {
                self.coordinator.idle().await;
                if is().await {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect(what);
    }

    async fn status(&self, pod: &str) -> PodStatus {
        self.api::<Pod>().get(pod).await.unwrap().status.unwrap_or_default()
    }

    async fn phase(&self, pod: &str) -> String {
        self.status(pod).await.phase.unwrap_or_default()
    }

    /// Reasons and notes of the Events about an object, in the order of the reasons.
    async fn events(&self, name: &str) -> BTreeSet<String> {
        let events = self.api::<Event>().list(&ListParams::default()).await.unwrap();
        let about = events.items.into_iter();
        let about =
            about.filter(|event| event.regarding.as_ref().and_then(|to| to.name.as_deref()) == Some(name));
        about
            .map(|event| {
                assert_eq!(event.reporting_controller.as_deref(), Some("kubelet"));
                format!("{}: {}", event.reason.unwrap_or_default(), event.note.unwrap_or_default())
            })
            .collect()
    }

    async fn end(self) -> Cluster {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
        self.cluster
    }
}

fn pod(name: &str, policy: &str, containers: Value) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "nodeName": "node-1",
            "restartPolicy": policy,
            "automountServiceAccountToken": false,
            "containers": containers,
        },
    })
}

fn main() -> Value {
    json!([{"name": "main", "image": "nginx:1.29"}])
}

fn conditions(status: &PodStatus) -> Vec<String> {
    let conditions = status.conditions.iter().flatten();
    let mut shown: Vec<String> =
        conditions.map(|condition| format!("{}={}", condition.type_, condition.status)).collect();
    shown.sort();
    shown
}

fn state(status: &PodStatus) -> ContainerState {
    status.container_statuses.as_ref().unwrap()[0].state.clone().unwrap_or_default()
}

fn exit_code(status: &PodStatus) -> Option<i32> {
    state(status).terminated.map(|end| end.exit_code)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_register_and_stay_ready() {
    let world = World::new(2);
    world.coordinator.idle().await;
    let nodes: Api<Node> = Api::all(world.client());
    let leases: Api<Lease> = Api::namespaced(world.client(), "kube-node-lease");
    let list = nodes.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(list.len(), 2);
    for node in &list {
        let (status, spec) = (node.status.clone().unwrap(), node.spec.clone().unwrap_or_default());
        let ready = status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready").unwrap();
        assert_eq!(ready.status, "True");
        assert_eq!(spec.taints, None, "nothing keeps Pods away");
        assert_eq!(status.node_info.unwrap().kubelet_version, "v1.36.0");
    }
    let renewed = async || leases.get("node-2").await.unwrap().spec.unwrap().renew_time.unwrap().0;
    let before = renewed().await;
    world.after(9, "not yet", async || renewed().await == before).await;
    world.after(1, "renewed after ten seconds", async || renewed().await > before).await;

    nodes.delete("node-2", &DeleteParams::default()).await.unwrap();
    leases.delete("node-2", &DeleteParams::default()).await.unwrap();
    world
        .after(60, "the other goes on", async || {
            leases.get("node-1").await.unwrap().spec.unwrap().renew_time.unwrap().0
                == world.cluster.clock().now()
        })
        .await;
    assert!(nodes.get_opt("node-2").await.unwrap().is_none(), "what somebody deleted stays away");
    let world = World::on(world.end().await, 2);
    world.coordinator.idle().await;
    assert!(nodes.get_opt("node-2").await.unwrap().is_some(), "until the next start");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_run_and_are_ready_with_addresses_of_their_own() {
    let world = World::new(1);
    for number in 0..20 {
        world.create::<Pod>(pod(&format!("web-{number}"), "Always", main())).await;
    }
    let mut elsewhere = pod("elsewhere", "Always", main());
    elsewhere["spec"]["nodeName"] = "other-1".into();
    world.create::<Pod>(elsewhere).await;
    world.coordinator.idle().await;
    let mut addresses = BTreeSet::new();
    for number in 0..20 {
        let pod = world.api::<Pod>().get(&format!("web-{number}")).await.unwrap();
        let status = pod.status.unwrap();
        assert_eq!(status.phase.as_deref(), Some("Running"));
        let wanted = ["ContainersReady", "Initialized", "PodReadyToStartContainers", "PodScheduled", "Ready"];
        assert_eq!(conditions(&status), wanted.map(|condition| format!("{condition}=True")));
        assert_eq!(status.host_ip.as_deref(), Some("172.18.0.2"));
        assert_eq!(status.start_time.as_ref().unwrap().0, world.cluster.clock().now());
        assert_eq!(status.observed_generation, pod.metadata.generation);
        let container = &status.container_statuses.as_ref().unwrap()[0];
        assert!(container.ready && container.started == Some(true), "{container:?}");
        assert_eq!(container.image, "docker.io/library/nginx:1.29");
        assert!(container.image_id.starts_with("docker.io/library/nginx@sha256:"));
        assert!(container.container_id.as_ref().unwrap().starts_with("containerd://"));
        assert!(state(&status).running.is_some());
        addresses.insert(status.pod_ip.unwrap());
    }
    assert_eq!(addresses.len(), 20, "{addresses:?}");
    assert!(addresses.iter().all(|address| address.starts_with("10.244.0.")), "{addresses:?}");
    assert_eq!(world.status("elsewhere").await.container_statuses, None, "not of a simulated node");
    let events = world.events("web-7").await;
    let wanted = [
        "Created: Container created",
        "Pulled: Container image \"nginx:1.29\" already present on machine and can be accessed by the pod",
        "Started: Container started",
    ];
    assert_eq!(events, wanted.map(str::to_owned).into());

    let before = world.api::<Pod>().get("web-7").await.unwrap();
    let world = World::on(world.end().await, 1);
    world.create::<Pod>(pod("late", "Always", main())).await;
    world.coordinator.idle().await;
    assert_eq!(world.api::<Pod>().get("web-7").await.unwrap(), before, "a restart changes nothing");
    assert!(!addresses.contains(&world.status("late").await.pod_ip.unwrap()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_of_jobs_end_after_a_second_and_scripts_decide_otherwise() {
    let world = World::new(1);
    let owned = |name: &str, script: &str| {
        let mut pod = pod(name, "Never", main());
        pod["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "batch/v1", "kind": "Job", "name": "job", "uid": "u", "controller": true}]);
        if !script.is_empty() {
            pod["metadata"]["annotations"] = json!({"simulation.xebec.dev/main": script});
        }
        pod
    };
    world.create::<Pod>(owned("short", "")).await;
    world.create::<Pod>(owned("long", "{runFor: 1m, readyAfter: 10s, exitCode: 3}")).await;
    world.create::<Pod>(owned("wrong", "{runFor: ever}")).await;
    world.coordinator.idle().await;
    assert_eq!(world.phase("short").await, "Running");
    assert!(conditions(&world.status("long").await).contains(&"Ready=False".to_owned()));
    world.after(1, "ends", async || world.phase("short").await == "Succeeded").await;
    let short = world.status("short").await;
    assert_eq!(exit_code(&short), Some(0));
    assert_eq!(state(&short).terminated.unwrap().reason.as_deref(), Some("Completed"));
    assert!(conditions(&short).contains(&"Ready=False".to_owned()));
    world.after(0, "by default", async || world.phase("wrong").await == "Succeeded").await;
    assert!(world.events("wrong").await.iter().any(|event| event.starts_with("InvalidSimulation: ")));
    assert_eq!(world.phase("long").await, "Running");
    world
        .after(9, "ready", async || {
            conditions(&world.status("long").await).contains(&"Ready=True".to_owned())
        })
        .await;
    world.after(50, "fails", async || world.phase("long").await == "Failed").await;
    assert_eq!(exit_code(&world.status("long").await), Some(3));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_that_end_are_restarted_with_back_off() {
    let world = World::new(1);
    let mut crashing = pod("crashing", "Always", main());
    crashing["metadata"]["annotations"] = json!({"simulation.xebec.dev/main": "{runFor: 5s, exitCode: 1}"});
    world.create::<Pod>(crashing).await;
    world.coordinator.idle().await;
    let restarts = async || world.status("crashing").await.container_statuses.unwrap()[0].restart_count;
    world.after(5, "restarts at once", async || restarts().await == 1).await;
    let waits = async || state(&world.status("crashing").await).waiting;
    world.after(5, "backs off", async || waits().await.is_some()).await;
    let waiting = waits().await.unwrap();
    assert_eq!(waiting.reason.as_deref(), Some("CrashLoopBackOff"));
    let message = waiting.message.unwrap();
    assert!(
        message.starts_with("back-off 10s restarting failed container=main pod=crashing_default("),
        "{message}"
    );
    assert_eq!(world.phase("crashing").await, "Running");
    world.after(10, "starts again", async || restarts().await == 2).await;
    let last = world.status("crashing").await.container_statuses.unwrap()[0].last_state.clone();
    assert_eq!(last.unwrap().terminated.unwrap().exit_code, 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn init_containers_run_first_and_sidecars_beside() {
    let world = World::new(1);
    let mut slow = pod("slow", "Never", main());
    slow["metadata"]["annotations"] = json!({
        "simulation.xebec.dev/first": "{runFor: 2s}",
        "simulation.xebec.dev/main": "{runFor: 3s}",
    });
    slow["spec"]["initContainers"] = json!([
        {"name": "first", "image": "busybox"},
        {"name": "proxy", "image": "envoy", "restartPolicy": "Always"},
        {"name": "last", "image": "busybox"},
    ]);
    world.create::<Pod>(slow).await;
    world.coordinator.idle().await;
    let status = world.status("slow").await;
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    assert_eq!(state(&status).waiting.unwrap().reason.as_deref(), Some("PodInitializing"));
    assert!(conditions(&status).contains(&"Initialized=False".to_owned()));
    world.after(2, "runs", async || world.phase("slow").await == "Running").await;
    let status = world.status("slow").await;
    let inits = status.init_container_statuses.clone().unwrap();
    assert_eq!(inits.iter().map(|status| status.ready).collect::<Vec<_>>(), [true, true, true]);
    assert!(inits[1].state.as_ref().unwrap().running.is_some());
    assert!(conditions(&status).contains(&"Ready=True".to_owned()));
    world.after(3, "ends with its main container", async || world.phase("slow").await == "Succeeded").await;
    let inits = world.status("slow").await.init_container_statuses.unwrap();
    assert!(inits[1].state.as_ref().unwrap().terminated.is_some());

    let mut failing = pod("failing", "Never", main());
    failing["metadata"]["annotations"] = json!({"simulation.xebec.dev/first": "{exitCode: 1, runFor: 0s}"});
    failing["spec"]["initContainers"] = json!([{"name": "first", "image": "busybox"}]);
    world.create::<Pod>(failing).await;
    world.after(0, "fails", async || world.phase("failing").await == "Failed").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_wait_for_their_configuration() {
    let world = World::new(1);
    let mut mounting = pod("mounting", "Always", main());
    mounting["spec"]["volumes"] = json!([{"name": "config", "configMap": {"name": "config"}}]);
    world.create::<Pod>(mounting).await;
    let env = json!([{"name": "V", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "a"}}}]);
    world
        .create::<Pod>(pod("reading", "Always", json!([{"name": "main", "image": "nginx", "env": env}])))
        .await;
    world.coordinator.idle().await;
    let reason = async |pod: &str| state(&world.status(pod).await).waiting.and_then(|waiting| waiting.reason);
    assert_eq!(reason("mounting").await.as_deref(), Some("ContainerCreating"));
    assert_eq!(reason("reading").await.as_deref(), Some("CreateContainerConfigError"));
    let missing =
        "FailedMount: MountVolume.SetUp failed for volume \"config\" : configmap \"config\" not found";
    assert!(world.events("mounting").await.contains(missing));
    assert!(world.events("reading").await.contains("Failed: Error: secret \"keys\" not found"));

    world.create::<ConfigMap>(json!({"metadata": {"name": "config"}})).await;
    world.create::<Secret>(json!({"metadata": {"name": "keys"}, "stringData": {"b": "x"}})).await;
    world.coordinator.idle().await;
    assert_eq!(world.phase("mounting").await, "Running");
    let message = state(&world.status("reading").await).waiting.unwrap().message;
    assert_eq!(message.as_deref(), Some("couldn't find key a in Secret default/keys"));
    let patch = Patch::Merge(json!({"stringData": {"a": "x"}}));
    world.api::<Secret>().patch("keys", &PatchParams::default(), &patch).await.unwrap();
    world.coordinator.idle().await;
    assert_eq!(world.phase("reading").await, "Running");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_end_when_deleted_and_wait_for_finalizers() {
    let world = World::new(1);
    world.create::<Pod>(pod("web", "Always", main())).await;
    let mut held = pod("held", "Always", main());
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    world.create::<Pod>(held).await;
    world.coordinator.idle().await;
    let pods = world.api::<Pod>();
    for name in ["web", "held"] {
        pods.delete(name, &DeleteParams::default()).await.unwrap();
    }
    world.coordinator.idle().await;
    assert!(pods.get_opt("web").await.unwrap().is_none());
    assert!(world.events("web").await.contains("Killing: Stopping container main"));
    let status = world.status("held").await;
    assert_eq!(exit_code(&status), Some(143));
    assert!(conditions(&status).contains(&"Ready=False".to_owned()));
    let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    pods.patch("held", &PatchParams::default(), &patch).await.unwrap();
    assert!(pods.get_opt("held").await.unwrap().is_none());
    world.end().await;
}
