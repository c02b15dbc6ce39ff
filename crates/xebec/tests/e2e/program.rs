//! The program itself: its start, its words, its end.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, process::Command, time::Duration};

use serde_json::Value;

use super::{
    cluster::{Cluster, Running, xebec},
    kubectl::Kubectl,
};

/// Runs it to its end.
pub fn ran(arguments: &[&str]) -> (i32, String, String) {
    let output = xebec(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

#[test]
fn it_says_its_version_and_completes_shells() {
    let (code, text, _) = ran(&["version"]);
    assert_eq!(code, 0);
    assert!(text.starts_with("xebec ") && text.contains("Kubernetes 1.36"), "{text}");
    let (_, json, _) = ran(&["version", "-o", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["kubernetes"], "1.36");
    let (code, script, _) = ran(&["completion", "bash"]);
    assert!(code == 0 && script.contains("_xebec"));
}

#[test]
fn wrong_usage_ends_with_2_and_a_failure_with_1() {
    assert_eq!(ran(&["up", "--nodes", "many"]).0, 2);
    assert_eq!(ran(&["sail"]).0, 2);
    assert_eq!(ran(&["run", "--observers", "sail"]).0, 2);
    assert_eq!(ran(&["run", "--leader-elect", "--shard-by", "key"]).0, 2);
    assert_eq!(ran(&["reload", "why", "pod/default/web"]).0, 2, "it watches no pods");
    let scratch = tempfile::tempdir().unwrap();
    let absent = scratch.path().join("absent");
    let (code, _, err) = ran(&["run", "--kubeconfig", absent.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(err.contains("absent"), "{err}");
}

#[test]
fn the_api_alone_announces_itself_in_json() {
    let scratch = tempfile::tempdir().unwrap();
    let mut server = Running::start(&mut xebec(&["apiserver", "--port", "0"]));
    let line = server.line("its announcement", |line| line.starts_with('{'));
    let announcement: Value = serde_json::from_str(&line).unwrap();
    let kubeconfig = announcement["kubeconfig"].as_str().unwrap();
    assert!(announcement["url"].as_str().unwrap().starts_with("https://127.0.0.1:"), "{line}");
    let mode = fs::metadata(kubeconfig).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "a kubeconfig is its owner's alone");
    let kubectl = Kubectl::new(kubeconfig.as_ref(), scratch.path());
    assert_eq!(kubectl.run("get namespace default -o name"), "namespace/default\n");
    assert_eq!(kubectl.run("get nodes -o name"), "", "it has no nodes");
    server.interrupt();
    let ended = server.end(Duration::from_secs(1)).expect("Ctrl-C stops it within a second");
    assert!(ended.success(), "{ended}: {}", server.said());
}

#[test]
fn two_clusters_know_nothing_of_each_other() {
    let (one, other) = (Cluster::up(), Cluster::up());
    one.kubectl.run("create configmap here");
    assert_eq!(other.kubectl.said("get configmap here").code, 1);
}

#[test]
fn ctrl_c_stops_a_busy_cluster_within_a_second() {
    let mut cluster = Cluster::up();
    cluster.kubectl.run("create deployment web --image web:1 --replicas 50");
    let mut watch = cluster.kubectl.start("get pods --watch");
    watch.line("a pod", |line| line.starts_with("web-"));
    cluster.process.interrupt();
    let ended = cluster.process.end(Duration::from_secs(1)).expect("it stops within a second");
    assert!(ended.success(), "{ended}: {}", cluster.process.said());
}

#[test]
fn manifests_are_applied_at_the_start() {
    let cluster = Cluster::up_with(&["-f", "examples/webapp", "-f", "examples/job.yaml"]);
    cluster.kubectl.run("rollout status deployment/webapp --timeout 60s");
    cluster.kubectl.run("wait --for=condition=complete job/report --timeout 60s");
}

#[test]
fn a_port_that_is_taken_is_named_with_its_owner() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let scratch = tempfile::tempdir().unwrap();
    let kubeconfig = scratch.path().join("kubeconfig");
    let (code, _, err) = ran(&["up", "--port", &port, "--kubeconfig", kubeconfig.to_str().unwrap()]);
    assert_eq!(code, 1);
    let pid = std::process::id().to_string();
    assert!(err.contains(&port) && err.contains(&pid), "{err}");
    assert!(!kubeconfig.exists(), "a cluster that did not start leaves no kubeconfig");
}

#[test]
fn a_kubeconfig_of_others_is_left_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let kubeconfig = scratch.path().join("kubeconfig");
    let theirs = "apiVersion: v1\nkind: Config\nclusters: []\n";
    fs::write(&kubeconfig, theirs).unwrap();
    let (code, _, err) = ran(&["up", "--port", "0", "--kubeconfig", kubeconfig.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(err.contains(kubeconfig.to_str().unwrap()), "{err}");
    assert_eq!(fs::read_to_string(&kubeconfig).unwrap(), theirs);
}

#[test]
fn its_own_kubeconfig_is_written_anew() {
    let cluster = Cluster::up();
    let kubeconfig = cluster.scratch().join("kubeconfig");
    let before = fs::read_to_string(&kubeconfig).unwrap();
    drop(cluster.process);
    let mut again =
        Running::start(&mut xebec(&["up", "--port", "0", "--kubeconfig", kubeconfig.to_str().unwrap()]));
    again.line("word that it is ready", |line| line.contains("ready"));
    assert_ne!(fs::read_to_string(&kubeconfig).unwrap(), before);
}

#[test]
fn only_loopback_is_listened_on_unless_told() {
    let scratch = tempfile::tempdir().unwrap();
    let kubeconfig = scratch.path().join("kubeconfig");
    let (code, _, err) = ran(&[
        "apiserver",
        "--port",
        "0",
        "--bind-address",
        "0.0.0.0",
        "--kubeconfig",
        kubeconfig.to_str().unwrap(),
    ]);
    assert_eq!(code, 1);
    assert!(err.contains("--allow-remote"), "{err}");
}

#[test]
fn the_observers_run_on_a_cluster_that_is_there() {
    let cluster = Cluster::up_with(&["--observers", ""]);
    let kubectl = &cluster.kubectl;
    kubectl.run("apply -f examples/webapp");
    kubectl.run("rollout status deployment/webapp --timeout 60s");
    let mut command: Command = xebec(&["run", "--observers", "reload", "--metrics-address", "none"]);
    let mut observers = Running::start(kubectl.prepare(&mut command));
    observers.line("word that they run", |line| line.contains("reload"));
    // What it has seen is noted on the Deployment; what comes after is a change.
    kubectl.run(
        "wait --for=jsonpath='{.metadata.annotations.reload\\.xebec\\.dev/observed-hashes}' deployment/webapp \
         --timeout 60s",
    );
    kubectl.run("patch configmap webapp-config -p '{\"data\":{\"greeting.txt\":\"new\"}}'");
    kubectl.run(
        "wait --for=jsonpath='{.spec.template.metadata.annotations.reload\\.xebec\\.dev/config-hash}' \
         deployment/webapp --timeout 60s",
    );
    observers.interrupt();
    assert!(
        observers.end(Duration::from_secs(1)).is_some_and(|status| status.success()),
        "{}",
        observers.said()
    );
}
