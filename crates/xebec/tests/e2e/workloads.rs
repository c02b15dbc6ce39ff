//! What controllers and nodes do of their own accord: pods of Deployments and Jobs, namespaces, deletions.

use super::cluster::Cluster;

#[test]
fn a_deployment_becomes_pods_on_nodes() {
    let cluster = Cluster::up_with(&["--nodes", "3"]);
    let kubectl = &cluster.kubectl;
    assert_eq!(kubectl.run("get nodes -o name").lines().count(), 3);
    kubectl.run("wait --for=condition=Ready node --all --timeout 60s");
    kubectl.run("apply -f examples/webapp");
    kubectl.run("rollout status deployment/webapp --timeout 60s");
    let pods = kubectl.json("get pods -l app.kubernetes.io/name=webapp");
    let pods = pods["items"].as_array().unwrap();
    assert_eq!(pods.len(), 3);
    let replica_set = kubectl
        .run("get replicasets -l app.kubernetes.io/name=webapp -o 'jsonpath={.items[*].metadata.name}'");
    for pod in pods {
        assert_eq!(pod["status"]["phase"], "Running");
        assert!(pod["spec"]["nodeName"].is_string() && pod["status"]["podIP"].is_string(), "{pod:#}");
        assert_eq!(pod["metadata"]["ownerReferences"][0]["name"], replica_set);
        assert_eq!(pod["status"]["containerStatuses"][0]["ready"], true);
    }
    let node = kubectl
        .run("get deployment webapp -o 'jsonpath={.status.conditions[?(@.type==\"Available\")].status}'");
    assert_eq!(node, "True");
}

#[test]
fn a_pod_that_is_deleted_is_replaced() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    kubectl.run("create deployment web --image web:1 --replicas 2");
    kubectl.run("rollout status deployment/web --timeout 60s");
    let pods = kubectl.run("get pods -l app=web -o name");
    let first = pods.lines().next().unwrap();
    kubectl.run(&format!("delete {first}"));
    kubectl.run("wait --for=jsonpath='{.status.readyReplicas}'=2 deployment/web --timeout 60s");
    kubectl.run("rollout status deployment/web --timeout 60s");
    let after = kubectl.run("get pods -l app=web -o name");
    assert!(after.lines().count() == 2 && !after.contains(first), "{first} in {after}");
}

#[test]
fn a_pod_that_fits_no_node_waits_and_says_why() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    kubectl.run_on(
        "create -f -",
        "\
apiVersion: v1
kind: Pod
metadata: {name: far}
spec: {nodeSelector: {zone: far}, containers: [{name: a, image: 'a:1'}]}
",
    );
    kubectl.run("wait --for=jsonpath='{.status.conditions[?(@.type==\"PodScheduled\")].reason}'=Unschedulable pod/far --timeout 60s");
    assert!(kubectl.run("get pod far").contains("Pending"));
    let node = kubectl.run("get nodes -o 'jsonpath={.items[0].metadata.name}'");
    kubectl.run(&format!("label node {node} zone=far"));
    kubectl.run("wait --for=condition=Ready pod/far --timeout 60s");
}

#[test]
fn a_job_runs_and_completes() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    assert_eq!(kubectl.run("apply -f examples/job.yaml"), "job.batch/report created\n");
    let complete = kubectl.run("wait --for=condition=complete job/report --timeout 60s");
    assert_eq!(complete, "job.batch/report condition met\n");
    assert_eq!(kubectl.run("get job report -o 'jsonpath={.status.succeeded}'"), "3");
    assert!(kubectl.run("get job report").contains("Complete   3/3"));
    let pods = kubectl.run("get pods -l batch.kubernetes.io/job-name=report --no-headers");
    assert_eq!(pods.lines().filter(|line| line.contains("Completed")).count(), 3, "{pods}");
    kubectl.run("delete job report");
    kubectl.run("wait --for=delete pod -l batch.kubernetes.io/job-name=report --timeout 60s");
}

#[test]
fn a_namespace_has_what_pods_need() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    kubectl.run("create namespace shop");
    kubectl.run("wait --for=create serviceaccount/default --namespace shop --timeout 60s");
    kubectl.run("wait --for=create configmap/kube-root-ca.crt --namespace shop --timeout 60s");
    let authority =
        kubectl.run("get configmap kube-root-ca.crt --namespace shop -o 'jsonpath={.data.ca\\.crt}'");
    assert!(authority.starts_with("-----BEGIN CERTIFICATE-----"), "{authority}");
    for namespace in ["default", "kube-node-lease", "kube-public", "kube-system"] {
        assert!(kubectl.run(&format!("get namespace {namespace}")).contains("Active"));
    }
}

#[test]
fn custom_resources_are_served_like_others() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    kubectl.run_on(
        "apply -f -",
        "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ships.example.com}
spec:
  group: example.com
  names: {kind: Ship, plural: ships, singular: ship, shortNames: [sh]}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.masts, statusReplicasPath: .status.masts}}
    additionalPrinterColumns:
    - {name: Masts, type: integer, jsonPath: .spec.masts}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              masts: {type: integer, default: 3, minimum: 1, description: How many masts it has.}
          status: {type: object, properties: {masts: {type: integer}}}
",
    );
    kubectl.run("wait --for=condition=Established crd/ships.example.com --timeout 60s");
    // Not in braces: kubectl 1.32 takes those for JSON.
    let ship = "\
apiVersion: example.com/v1
kind: Ship
metadata: {name: small}
spec: {}
";
    assert_eq!(kubectl.run_on("apply -f -", ship), "ship.example.com/small created\n");
    assert_eq!(kubectl.columns("get sh"), ["NAME", "MASTS"]);
    assert_eq!(kubectl.run("get sh small -o 'jsonpath={.spec.masts}'"), "3");
    assert_eq!(kubectl.run("scale ship/small --replicas 2"), "ship.example.com/small scaled\n");
    assert!(kubectl.run("explain ship.spec.masts").contains("How many masts it has."));
    let wrong = kubectl.said_of("apply -f -", &ship.replace("spec: {}", "spec: {masts: 0}"));
    assert!(wrong.err.contains("spec.masts in body should be greater than or equal to 1"), "{}", wrong.err);
    kubectl.run("delete crd ships.example.com");
    assert_eq!(kubectl.said("get ships").code, 1);
    assert_eq!(kubectl.run("api-resources --api-group example.com --no-headers"), "");
}
