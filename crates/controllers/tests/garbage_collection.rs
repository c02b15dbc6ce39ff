//! Owners and dependents on a real API server.

mod cluster;

use cluster::Running;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

async fn map(cluster: &Running, name: &str, owner: Option<&ConfigMap>) -> ConfigMap {
    let owners = owner.map(|owner| {
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": owner.name_any(), "uid": owner.uid(), "blockOwnerDeletion": true}])
    });
    cluster.create(json!({"metadata": {"name": name, "ownerReferences": owners}})).await
}

async fn maps(cluster: &Running) -> Vec<String> {
    cluster.idle().await;
    let mut names = cluster.names::<ConfigMap>().await;
    names.retain(|name| name != "kube-root-ca.crt");
    names
}

#[tokio::test]
async fn dependents_go_with_their_owner() {
    let cluster = Running::start();
    let owner = map(&cluster, "owner", None).await;
    let child = map(&cluster, "child", Some(&owner)).await;
    map(&cluster, "grandchild", Some(&child)).await;
    map(&cluster, "stranger", None).await;
    assert_eq!(maps(&cluster).await.len(), 4);
    cluster.delete::<ConfigMap>("owner", DeleteParams::background()).await;
    assert_eq!(maps(&cluster).await, ["stranger"]);
    // Its owner is gone already.
    map(&cluster, "late", Some(&owner)).await;
    assert_eq!(maps(&cluster).await, ["stranger"]);
}

#[tokio::test]
async fn an_owner_in_the_foreground_goes_last() {
    let cluster = Running::start();
    let owner = map(&cluster, "owner", None).await;
    let child = map(&cluster, "child", Some(&owner)).await;
    map(&cluster, "grandchild", Some(&child)).await;
    cluster.patch::<ConfigMap>("grandchild", json!({"metadata": {"finalizers": ["example.com/keep"]}})).await;
    cluster.idle().await;
    cluster.delete::<ConfigMap>("owner", DeleteParams::foreground()).await;
    assert_eq!(maps(&cluster).await, ["child", "grandchild", "owner"]);
    cluster.patch::<ConfigMap>("grandchild", json!({"metadata": {"finalizers": null}})).await;
    assert!(maps(&cluster).await.is_empty());
}

#[tokio::test]
async fn orphans_stay() {
    let cluster = Running::start();
    let owner = map(&cluster, "owner", None).await;
    map(&cluster, "child", Some(&owner)).await;
    cluster.idle().await;
    cluster.delete::<ConfigMap>("owner", DeleteParams::orphan()).await;
    assert_eq!(maps(&cluster).await, ["child"]);
    assert_eq!(cluster.get::<ConfigMap>("child").await["metadata"].get("ownerReferences"), None);
}

#[tokio::test]
async fn circles_do_not_hold() {
    let cluster = Running::start();
    let one = map(&cluster, "one", None).await;
    let two = map(&cluster, "two", Some(&one)).await;
    let owners = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "two", "uid": two.uid(), "blockOwnerDeletion": true}]);
    cluster.patch::<ConfigMap>("one", json!({"metadata": {"ownerReferences": owners}})).await;
    cluster.idle().await;
    cluster.delete::<ConfigMap>("one", DeleteParams::foreground()).await;
    assert!(maps(&cluster).await.is_empty());
}

#[tokio::test]
async fn a_deployment_goes_with_all_it_made() {
    let cluster = Running::start();
    cluster
        .create::<Deployment>(json!({"metadata": {"name": "web"}, "spec": {"replicas": 2, "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}))
        .await;
    cluster.settle().await;
    cluster.delete::<Deployment>("web", DeleteParams::default()).await;
    cluster.idle().await;
    assert!(cluster.names::<ReplicaSet>().await.is_empty());
    assert!(cluster.names::<Pod>().await.is_empty());
}

fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "ships.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Ship", "plural": "ships"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]},
    })
}

#[tokio::test]
async fn custom_resources_are_collected_as_they_come() {
    let cluster = Running::start();
    cluster.idle().await;
    let kind = |group: &str, version: &str, kind: &str| {
        ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
    };
    let definitions = kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let definitions: Api<DynamicObject> = Api::all_with(cluster.client.clone(), &definitions);
    definitions.create(&PostParams::default(), &serde_json::from_value(definition()).unwrap()).await.unwrap();
    cluster.idle().await;
    let ships: Api<DynamicObject> =
        Api::namespaced_with(cluster.client.clone(), "default", &kind("example.com", "v1", "Ship"));
    let ship = json!({"apiVersion": "example.com/v1", "kind": "Ship", "metadata": {"name": "ship"}});
    let ship = ships.create(&PostParams::default(), &serde_json::from_value(ship).unwrap()).await.unwrap();
    let owners = json!([{"apiVersion": "example.com/v1", "kind": "Ship", "name": "ship", "uid": ship.uid()}]);
    cluster.create::<ConfigMap>(json!({"metadata": {"name": "log", "ownerReferences": owners}})).await;
    assert_eq!(maps(&cluster).await, ["log"]);
    ships.delete("ship", &DeleteParams::default()).await.unwrap();
    assert!(maps(&cluster).await.is_empty());
}
