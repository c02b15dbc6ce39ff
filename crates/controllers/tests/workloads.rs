//! Deployments, ReplicaSets and Jobs on a real API server.

mod cluster;

use std::time::Duration;

use cluster::Running;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod, ReplicationController};
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::{Value, json};

fn template(image: &str) -> Value {
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}]}})
}

fn deployment(replicas: i32) -> Value {
    json!({
        "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template("one")},
    })
}

fn conditions(status: &Value) -> Vec<String> {
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let text = |condition: &Value| {
        ["type", "status", "reason"]
            .map(|field| condition[field].as_str().unwrap_or_default().to_owned())
            .join(" ")
    };
    let mut conditions: Vec<String> = conditions.iter().map(text).collect();
    conditions.sort();
    conditions
}

#[tokio::test]
async fn a_deployment_rolls_out_scales_and_rolls_back() {
    let cluster = Running::start();
    cluster.create::<Deployment>(deployment(3)).await;
    cluster.settle().await;
    let status = cluster.get::<Deployment>("web").await["status"].clone();
    for field in ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"] {
        assert_eq!(status[field], 3, "{field} of {status}");
    }
    assert_eq!(
        conditions(&status),
        ["Available True MinimumReplicasAvailable", "Progressing True NewReplicaSetAvailable"]
    );
    let first = cluster.names::<ReplicaSet>().await.remove(0);

    cluster.patch::<Deployment>("web", json!({"spec": {"template": template("two")}})).await;
    cluster.settle().await;
    let sets = cluster.list::<ReplicaSet>().await;
    assert_eq!(sets.len(), 2);
    let sizes: Vec<_> =
        sets.iter().map(|set| (set.name_any() == first, set.spec.as_ref().unwrap().replicas)).collect();
    assert!(sizes.contains(&(true, Some(0))) && sizes.contains(&(false, Some(3))), "{sizes:?}");
    let annotations = cluster.get::<Deployment>("web").await["metadata"]["annotations"].clone();
    assert_eq!(annotations["deployment.kubernetes.io/revision"], "2");

    cluster.patch::<Deployment>("web", json!({"spec": {"replicas": 5}})).await;
    cluster.settle().await;
    assert_eq!(cluster.list::<Pod>().await.len(), 5);

    cluster.patch::<Deployment>("web", json!({"spec": {"template": template("one")}})).await;
    cluster.settle().await;
    let set = cluster.get::<ReplicaSet>(&first).await;
    assert_eq!(set["status"]["availableReplicas"], 5);
    assert_eq!(set["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "3");
    assert_eq!(set["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"], "1");

    let notes: Vec<String> =
        cluster.list::<Event>().await.into_iter().filter_map(|event| event.message).collect();
    assert!(notes.contains(&format!("Scaled up replica set {first} from 0 to 3")), "{notes:?}");
}

#[tokio::test]
async fn pods_are_replaced_and_writers_are_named() {
    let cluster = Running::start();
    let controller = json!({"metadata": {"name": "rc"}, "spec": {"replicas": 2, "selector": {"app": "web"}, "template": template("one")}});
    cluster.create::<ReplicationController>(controller).await;
    cluster.settle().await;
    let pods = cluster.names::<Pod>().await;
    cluster.delete::<Pod>(&pods[0], DeleteParams::default()).await;
    cluster.settle().await;
    let now = cluster.names::<Pod>().await;
    assert_eq!(now.len(), 2);
    assert!(!now.contains(&pods[0]) && now.contains(&pods[1]));
    assert_eq!(cluster.get::<ReplicationController>("rc").await["status"]["readyReplicas"], 2);
    let managers = cluster.get::<ReplicationController>("rc").await["metadata"]["managedFields"].clone();
    assert!(
        managers.as_array().unwrap().iter().any(|entry| {
            entry["manager"] == "kube-controller-manager" && entry["subresource"] == "status"
        })
    );
}

#[tokio::test]
async fn a_job_runs_to_its_end() {
    let cluster = Running::start();
    let job = json!({"metadata": {"name": "sum"}, "spec": {"completions": 3, "parallelism": 2, "completionMode": "Indexed",
        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}});
    cluster.create::<Job>(job).await;
    cluster.idle().await;
    assert_eq!(cluster.list::<Pod>().await.len(), 2);
    while cluster.set_pods("Pending", json!({"status": {"phase": "Succeeded"}})).await > 0 {
        cluster.idle().await;
    }
    let status = cluster.get::<Job>("sum").await["status"].clone();
    assert_eq!((&status["succeeded"], &status["completedIndexes"]), (&json!(3), &json!("0-2")));
    assert_eq!(
        conditions(&status),
        ["Complete True CompletionsReached", "SuccessCriteriaMet True CompletionsReached"]
    );
    for pod in cluster.list::<Pod>().await {
        assert_eq!(pod.metadata.finalizers, None, "{}", pod.name_any());
    }
}

#[tokio::test]
async fn time_is_the_clusters() {
    let cluster = Running::still();
    let job = json!({"metadata": {"name": "sum"}, "spec": {"ttlSecondsAfterFinished": 60,
        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}});
    cluster.create::<Job>(job).await;
    let mut stuck = deployment(1);
    stuck["spec"]["progressDeadlineSeconds"] = json!(30);
    cluster.create::<Deployment>(stuck).await;
    cluster.idle().await;
    for pod in cluster.list::<Pod>().await.iter().filter(|pod| pod.name_any().starts_with("sum-")) {
        cluster.set_pod(&pod.name_any(), &json!({"status": {"phase": "Succeeded"}})).await;
    }
    cluster.idle().await;
    assert_eq!(cluster.get::<Job>("sum").await["status"]["succeeded"], 1);
    assert!(conditions(&cluster.get::<Deployment>("web").await["status"])[1].starts_with("Progressing True"));

    cluster.advance(Duration::from_secs(45)).await;
    let status = cluster.get::<Deployment>("web").await["status"].clone();
    assert_eq!(conditions(&status)[1], "Progressing False ProgressDeadlineExceeded");
    assert_eq!(cluster.names::<Job>().await, ["sum"]);

    cluster.advance(Duration::from_secs(45)).await;
    assert!(cluster.names::<Job>().await.is_empty());
}
