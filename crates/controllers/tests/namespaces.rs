//! Namespaces that come and go on a real API server.

#![allow(clippy::unwrap_used, reason = "tests")]

mod cluster;

use cluster::Running;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, ServiceAccount};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::json;

async fn create(client: &Client, name: &str) -> Api<Namespace> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    namespaces
}

#[tokio::test]
async fn a_namespace_is_furnished_and_emptied() {
    let cluster = Running::start();
    let namespaces = create(&cluster.client, "town").await;
    cluster.idle().await;
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), "town");
    assert_eq!(accounts.get("default").await.unwrap().name_any(), "default");
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "town");
    let certificates = maps.get("kube-root-ca.crt").await.unwrap().data.unwrap();
    assert_eq!(certificates["ca.crt"], "the certificates");
    accounts.delete("default", &DeleteParams::default()).await.unwrap();
    cluster.idle().await;
    assert_eq!(accounts.get("default").await.unwrap().name_any(), "default");

    namespaces.delete("town", &DeleteParams::default()).await.unwrap();
    cluster.idle().await;
    assert!(namespaces.get_opt("town").await.unwrap().is_none());
    assert!(maps.get_opt("kube-root-ca.crt").await.unwrap().is_none());
}

#[tokio::test]
async fn a_namespace_waits_for_its_pods() {
    let cluster = Running::start();
    let namespaces = create(&cluster.client, "town").await;
    cluster.idle().await;
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), "town");
    let pod = json!({"metadata": {"name": "p", "finalizers": ["example.com/keep"]}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    namespaces.delete("town", &DeleteParams::default()).await.unwrap();
    cluster.idle().await;
    let town = namespaces.get("town").await.unwrap();
    let conditions = town.status.unwrap().conditions.unwrap();
    let messages: Vec<&str> =
        conditions.iter().filter_map(|condition| condition.message.as_deref()).collect();
    assert!(
        messages.contains(&"Some resources are remaining: pods. has 1 resource instances"),
        "{messages:?}"
    );
    assert!(
        messages.contains(&"Some finalizers are remaining: example.com/keep in 1 resource instances"),
        "{messages:?}"
    );
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "town");
    assert!(maps.get_opt("kube-root-ca.crt").await.unwrap().is_some(), "Pods go first");

    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    pods.patch("p", &PatchParams::default(), &free).await.unwrap();
    cluster.idle().await;
    assert!(namespaces.get_opt("town").await.unwrap().is_none());
}
