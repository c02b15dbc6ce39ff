//! Services, their endpoints, and disruption budgets on a real API server.

mod cluster;

use cluster::Running;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Endpoints, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::DeleteParams;
use serde_json::json;

#[tokio::test]
async fn a_service_knows_its_pods() {
    let cluster = Running::start();
    cluster
        .create::<Deployment>(json!({"metadata": {"name": "web"}, "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}))
        .await;
    cluster
        .create::<Service>(json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}))
        .await;
    let budget = json!({"metadata": {"name": "web"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}});
    cluster.create::<PodDisruptionBudget>(budget).await;
    cluster.settle().await;

    let slices = cluster.list::<EndpointSlice>().await;
    let slices: Vec<_> = slices
        .iter()
        .filter(|slice| {
            slice.metadata.labels.as_ref().is_some_and(|labels| labels["kubernetes.io/service-name"] == "web")
        })
        .collect();
    assert_eq!(slices.len(), 1);
    assert_eq!(slices[0].endpoints.as_ref().unwrap().len(), 2);
    let endpoints = cluster.get::<Endpoints>("web").await;
    assert_eq!(endpoints["subsets"][0]["addresses"].as_array().unwrap().len(), 2);
    let status = cluster.get::<PodDisruptionBudget>("web").await["status"].clone();
    assert_eq!((&status["currentHealthy"], &status["disruptionsAllowed"]), (&json!(2), &json!(1)));

    cluster.delete::<Service>("web", DeleteParams::default()).await;
    cluster.idle().await;
    assert!(!cluster.names::<Endpoints>().await.contains(&"web".to_owned()));
    assert!(cluster.names::<EndpointSlice>().await.iter().all(|name| !name.starts_with("web-")));
}
