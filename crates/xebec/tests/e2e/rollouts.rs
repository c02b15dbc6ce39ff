//! `kubectl rollout status|restart|history|undo|pause|resume` on a Deployment.

use super::{cluster::Cluster, kubectl::Kubectl};

const STATUS: &str = "rollout status deployment/web --timeout 60s";

fn image(kubectl: &Kubectl) -> String {
    kubectl.run("get deployment web -o 'jsonpath={.spec.template.spec.containers[0].image}'")
}

/// The revisions that `rollout history` lists.
fn revisions(kubectl: &Kubectl) -> Vec<String> {
    let history = kubectl.run("rollout history deployment/web");
    let mut lines = history.lines();
    assert_eq!(lines.next(), Some("deployment.apps/web "));
    assert_eq!(lines.next(), Some("REVISION  CHANGE-CAUSE"));
    lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn a_rollout_goes_forward_and_back() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    kubectl.run("create deployment web --image web:1 --replicas 3");
    assert!(kubectl.run(STATUS).ends_with("deployment \"web\" successfully rolled out\n"));
    assert_eq!(revisions(kubectl), ["1"]);

    kubectl.run("set image deployment/web web=web:2");
    kubectl.run(STATUS);
    assert_eq!(revisions(kubectl), ["1", "2"]);
    let running = kubectl.run("get pods -l app=web --field-selector status.phase=Running -o 'jsonpath={.items[*].spec.containers[0].image}'");
    assert!(running.contains("web:2"), "{running}");
    assert!(kubectl.run("rollout history deployment/web --revision 1").contains("web:1"));

    assert_eq!(kubectl.run("rollout undo deployment/web"), "deployment.apps/web rolled back\n");
    kubectl.run(STATUS);
    assert_eq!(image(kubectl), "web:1");
    assert_eq!(revisions(kubectl), ["2", "3"]);
    kubectl.run("rollout undo deployment/web --to-revision 2");
    kubectl.run(STATUS);
    assert_eq!(image(kubectl), "web:2");
    assert_eq!(revisions(kubectl), ["3", "4"]);
}

#[test]
fn restart_makes_every_pod_anew() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    kubectl.run("create deployment web --image web:1 --replicas 2");
    kubectl.run(STATUS);
    let before = kubectl.run("get pods -l app=web -o name");
    assert_eq!(kubectl.run("rollout restart deployment/web"), "deployment.apps/web restarted\n");
    kubectl.run(STATUS);
    for pod in before.lines() {
        kubectl.run(&format!("wait --for=delete {pod} --timeout 60s"));
    }
    let ready =
        kubectl.run("get deployment web -o 'jsonpath={.status.readyReplicas} {.status.updatedReplicas}'");
    assert_eq!(ready, "2 2");
}

#[test]
fn a_paused_rollout_waits() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    kubectl.run("create deployment web --image web:1 --replicas 1");
    kubectl.run(STATUS);
    assert_eq!(kubectl.run("rollout pause deployment/web"), "deployment.apps/web paused\n");
    kubectl.run("set image deployment/web web=web:2");
    kubectl.run("wait --for=jsonpath='{.status.observedGeneration}'=3 deployment/web --timeout 60s");
    assert_eq!(kubectl.run("get replicasets -l app=web -o name").lines().count(), 1);
    assert_eq!(kubectl.run("rollout resume deployment/web"), "deployment.apps/web resumed\n");
    kubectl.run(STATUS);
    assert_eq!(kubectl.run("get replicasets -l app=web -o name").lines().count(), 2);
}
