//! The scheduler on the real API server.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::events::v1::Event;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use xebec_apiserver::Cluster;
use xebec_controllers::scheduler::Scheduler;
use xebec_coordinator::Coordinator;

struct World {
    coordinator: Coordinator,
    client: Client,
    shutdown: CancellationToken,
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl World {
    fn new() -> Self {
        let client = Cluster::new().client();
        let coordinator = Coordinator::new(client.clone());
        coordinator.observe(Scheduler::default()).unwrap();
        let shutdown = CancellationToken::new();
        let (running, token) = (coordinator.clone(), shutdown.clone());
        tokio::spawn(async move { running.run(token).await });
        Self { coordinator, client, shutdown }
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), "default")
    }

    fn nodes(&self) -> Api<Node> {
        Api::all(self.client.clone())
    }

    /// A node of 4 CPUs, 8 GiB and 10 Pods, in zone `a` or `b` by its number.
    async fn node(&self, number: usize, taints: Value) {
        let name = format!("node-{number}");
        let zone = ["a", "b"][number % 2];
        let resources = json!({"cpu": "4", "memory": "8Gi", "pods": "10"});
        let node = json!({
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "zone": zone}},
            "status": {"allocatable": resources, "capacity": resources},
        });
        let node = serde_json::from_value(node).unwrap();
        self.nodes().create(&PostParams::default(), &node).await.unwrap();
        // A node lifecycle controller would remove the taint that new nodes get.
        let taints = Patch::Merge(json!({"spec": {"taints": taints}}));
        self.nodes().patch(&name, &PatchParams::default(), &taints).await.unwrap();
    }

    async fn pod(&self, name: &str, cpu: &str, spec: Value) {
        let mut pod = json!({
            "metadata": {"name": name, "labels": {"app": name.split('-').next()}},
            "spec": {
                "automountServiceAccountToken": false,
                "containers": [{"name": "main", "image": "i", "resources": {"requests": {"cpu": cpu}}}],
            },
        });
        for (field, value) in spec.as_object().into_iter().flatten() {
            pod["spec"][field] = value.clone();
        }
        let pod = serde_json::from_value(pod).unwrap();
        self.pods().create(&PostParams::default(), &pod).await.unwrap();
    }

    async fn node_of(&self, name: &str) -> Option<String> {
        self.coordinator.idle().await;
        self.pods().get(name).await.unwrap().spec.unwrap().node_name
    }

    /// Why a Pod is not scheduled.
    async fn refusal(&self, name: &str) -> String {
        assert_eq!(self.node_of(name).await, None);
        let status = self.pods().get(name).await.unwrap().status.unwrap();
        let conditions = status.conditions.unwrap_or_default();
        let condition = conditions.into_iter().find(|condition| condition.type_ == "PodScheduled").unwrap();
        assert_eq!((&*condition.status, condition.reason.as_deref()), ("False", Some("Unschedulable")));
        condition.message.unwrap()
    }

    async fn pods_by_node(&self) -> BTreeMap<String, usize> {
        self.coordinator.idle().await;
        let mut counts = BTreeMap::new();
        for pod in self.pods().list(&ListParams::default()).await.unwrap() {
            *counts.entry(pod.spec.unwrap().node_name.unwrap_or_default()).or_default() += 1;
        }
        counts
    }

    async fn events(&self, name: &str) -> Vec<String> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), "default");
        let events = events.list(&ListParams::default()).await.unwrap().items.into_iter();
        let about =
            events.filter(|event| event.regarding.as_ref().and_then(|to| to.name.as_deref()) == Some(name));
        let shown = about.map(|event| {
            assert_eq!(event.reporting_controller.as_deref(), Some("default-scheduler"));
            format!("{}: {}", event.reason.unwrap_or_default(), event.note.unwrap_or_default())
        });
        shown.collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_are_spread_evenly_and_no_node_is_overcommitted() {
    let world = World::new();
    for number in 1..=3 {
        world.node(number, json!([])).await;
    }
    for number in 0..9 {
        world.pod(&format!("web-{number}"), "1", json!({})).await;
    }
    assert_eq!(
        world.pods_by_node().await,
        [("node-1", 3), ("node-2", 3), ("node-3", 3)].map(|(n, c)| (n.to_owned(), c)).into()
    );
    assert_eq!(world.events("web-0").await, ["Scheduled: Successfully assigned default/web-0 to node-1"]);
    for number in 0..6 {
        world.pod(&format!("more-{number}"), "1", json!({})).await;
    }
    let counts = world.pods_by_node().await;
    assert_eq!(
        counts,
        [("", 3), ("node-1", 4), ("node-2", 4), ("node-3", 4)].map(|(n, c)| (n.to_owned(), c)).into()
    );
    let list = world.pods().list(&ListParams::default()).await.unwrap();
    let waiting = list.iter().find(|pod| pod.spec.as_ref().unwrap().node_name.is_none()).unwrap();
    let name = waiting.metadata.name.clone().unwrap();
    let message = "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: \
                   3 No preemption victims found for incoming pod.";
    assert_eq!(world.refusal(&name).await, message);
    assert_eq!(world.events(&name).await, [format!("FailedScheduling: {message}")]);

    world.pods().delete("web-0", &DeleteParams::default().grace_period(0)).await.unwrap();
    assert_eq!(world.pods_by_node().await[""], 2, "what it left is taken");
    world.node(4, json!([])).await;
    assert_eq!(world.pods_by_node().await.get(""), None, "a new node is taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taints_selectors_and_sizes_are_respected() {
    let world = World::new();
    world.node(1, json!([{"key": "gpu", "value": "yes", "effect": "NoSchedule"}])).await;
    world.node(2, json!([])).await;
    world.node(3, json!([])).await;
    let cordon = Patch::Merge(json!({"spec": {"unschedulable": true}}));
    world.nodes().patch("node-3", &PatchParams::default(), &cordon).await.unwrap();
    let lasting = "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.";

    world.pod("tolerant", "1", json!({
        "tolerations": [{"key": "gpu", "operator": "Exists"}], "nodeSelector": {"kubernetes.io/hostname": "node-1"},
    })).await;
    assert_eq!(world.node_of("tolerant").await.as_deref(), Some("node-1"));
    world.pod("plain", "1", json!({})).await;
    assert_eq!(world.node_of("plain").await.as_deref(), Some("node-2"));
    world.pod("choosy", "1", json!({"nodeSelector": {"zone": "c"}})).await;
    assert_eq!(
        world.refusal("choosy").await,
        format!(
            "0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable. {lasting}"
        ),
    );
    world.pod("huge", "5", json!({})).await;
    assert_eq!(
        world.refusal("huge").await,
        format!(
            "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable. {lasting}"
        ),
    );
    world.pod("gated", "1", json!({"schedulingGates": [{"name": "example.com/wait"}]})).await;
    world.pod("foreign", "1", json!({"schedulerName": "other"})).await;
    assert_eq!(world.node_of("gated").await, None);
    assert_eq!(world.node_of("foreign").await, None);
    let open = Patch::Merge(json!({"spec": {"schedulingGates": null}}));
    world.pods().patch("gated", &PatchParams::default(), &open).await.unwrap();
    assert_eq!(world.node_of("gated").await.as_deref(), Some("node-2"));
    let port = json!({"containers": [{"name": "main", "image": "i", "ports": [{"containerPort": 80, "hostPort": 80}]}]});
    world.pod("port-1", "0", port.clone()).await;
    world.pod("port-2", "0", port).await;
    assert!(
        world
            .refusal("port-2")
            .await
            .contains("1 node(s) didn't have free ports for the requested pod ports")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_keep_company_or_their_distance() {
    let world = World::new();
    for number in 1..=4 {
        world.node(number, json!([])).await;
    }
    let term = |app: &str, topology: &str| json!([{"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": topology}]);
    let far = json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term("alone", "zone")}}});
    world.pod("alone-1", "1", far.clone()).await;
    world.pod("alone-2", "1", far.clone()).await;
    world.pod("alone-3", "1", far).await;
    let (one, other) = (world.node_of("alone-1").await.unwrap(), world.node_of("alone-2").await.unwrap());
    let zone = |node: &str| node.trim_start_matches("node-").parse::<usize>().unwrap() % 2;
    assert_ne!(zone(&one), zone(&other));
    assert!(
        world
            .refusal("alone-3")
            .await
            .starts_with("0/4 nodes are available: 4 node(s) didn't match pod anti-affinity rules.")
    );

    let near = |app: &str| json!({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term(app, "kubernetes.io/hostname")}}});
    world.pod("friend-1", "1", near("friend")).await;
    world.pod("friend-2", "1", near("friend")).await;
    let first = world.node_of("friend-1").await;
    assert!(first.is_some(), "the first has nobody to be near to");
    assert_eq!(world.node_of("friend-2").await, first);
    world.pod("lonely", "1", near("nobody")).await;
    assert!(
        world
            .refusal("lonely")
            .await
            .starts_with("0/4 nodes are available: 4 node(s) didn't match pod affinity rules.")
    );
    world.pod("nobody", "1", json!({})).await;
    assert_eq!(world.node_of("lonely").await, world.node_of("nobody").await, "woken by who has come");

    let spread = json!({"topologySpreadConstraints": [{
        "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "even"}},
    }]});
    let mut zones = [0, 0];
    for number in 0..4 {
        world.pod(&format!("even-{number}"), "100m", spread.clone()).await;
        zones[zone(&world.node_of(&format!("even-{number}")).await.unwrap())] += 1;
    }
    assert_eq!(zones, [2, 2]);
}
