//! The session of the README: a web application, a changed ConfigMap, one rollout.

use std::{env, process::Command};

use serde_json::Value;

use super::{
    cluster::{Cluster, repository},
    kubectl::Kubectl,
};

const STATUS: &str = "rollout status deployment/webapp --timeout 60s";

fn generation(kubectl: &Kubectl) -> String {
    kubectl.run("get deployment webapp -o 'jsonpath={.metadata.generation}'")
}

fn revisions(kubectl: &Kubectl) -> usize {
    kubectl
        .run("rollout history deployment/webapp")
        .lines()
        .filter(|line| line.starts_with(char::is_numeric))
        .count()
}

/// The events that the reload observer wrote about the Deployment.
fn told(kubectl: &Kubectl) -> Vec<Value> {
    let events =
        kubectl.json("get events --field-selector involvedObject.kind=Deployment,involvedObject.name=webapp");
    let by_reload = |event: &Value| {
        let reporter = event["reportingComponent"].as_str().or(event["source"]["component"].as_str());
        reporter.is_some_and(|name| name.contains("reload"))
    };
    let events = events["items"].as_array().unwrap().iter();
    // That it waits for a Secret which is applied after the Deployment is another reason.
    events.filter(|event| by_reload(event) && event["reason"] == "Reloaded").cloned().collect()
}

#[test]
fn a_changed_config_rolls_the_application_out_once_and_says_so() {
    let mut cluster = Cluster::up();
    let kubectl = cluster.kubectl.clone();
    kubectl.run("apply -f examples/webapp");
    kubectl.run(STATUS);
    assert_eq!(kubectl.run("get deployment webapp -o 'jsonpath={.status.availableReplicas}'"), "3");
    let (generation_before, revisions_before) = (generation(&kubectl), revisions(&kubectl));

    let mut script = Command::new(repository().join("examples/change-config.sh"));
    script.arg("Good morning.").env("KUBECTL", Kubectl::program());
    let ran = kubectl.prepare(&mut script).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(ran.status.success(), "{}{}", text(&ran.stdout), text(&ran.stderr));
    assert_eq!(text(&ran.stderr), "");

    let greeting = kubectl.run("get configmap webapp-config -o 'jsonpath={.data.greeting\\.txt}'");
    assert_eq!(greeting, "Good morning.\n");
    assert_eq!(revisions(&kubectl), revisions_before + 1);
    let before: u64 = generation_before.parse().unwrap();
    assert_eq!(generation(&kubectl), (before + 1).to_string());
    let told = told(&kubectl);
    assert_eq!(told.len(), 1, "{told:#?}");
    let message = told[0]["message"].as_str().unwrap();
    assert!(message.contains("webapp-config"), "{message}");
    cluster
        .process
        .line("word of the reload", |line| line.contains("webapp-config") && line.contains("webapp"));
}

#[test]
fn a_changed_secret_counts_too_and_what_is_not_used_does_not() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    kubectl.run("apply -f examples/webapp");
    kubectl.run(STATUS);
    let before: u64 = generation(kubectl).parse().unwrap();
    kubectl.run("create configmap unused --from-literal a=1");
    kubectl.run("patch configmap unused -p '{\"data\":{\"a\":\"2\"}}'");
    kubectl.run("annotate configmap webapp-config example.com/note=only-metadata");
    // Were one of these a reason, its rollout would come before the next.
    kubectl.run("patch secret webapp-database -p '{\"stringData\":{\"password\":\"another\"}}'");
    kubectl.run(&format!(
        "wait --for=jsonpath='{{.metadata.generation}}'={} deployment/webapp --timeout 60s",
        before + 1
    ));
    kubectl.run(STATUS);
    let told = told(kubectl);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0]["message"].as_str().unwrap().contains("webapp-database"), "{told:#?}");
    assert!(!kubectl.run("get events -o yaml").contains("another"), "a secret's value is in no event");
}

#[test]
fn without_the_annotation_nothing_rolls_out() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    kubectl.run("apply -f examples/webapp");
    kubectl.run(STATUS);
    let plain = kubectl.json("get deployment webapp");
    let mut other = serde_json::json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": plain["spec"]});
    other["metadata"] = serde_json::json!({"name": "plain"});
    for field in ["selector", "template"] {
        let labels = if field == "selector" { "/matchLabels" } else { "/metadata/labels" };
        *other["spec"][field].pointer_mut(labels).unwrap() = serde_json::json!({"app": "plain"});
    }
    kubectl.run_on("create -f -", &other.to_string());
    kubectl.run("rollout status deployment/plain --timeout 60s");
    let before: u64 = generation(kubectl).parse().unwrap();
    kubectl.run("patch configmap webapp-config -p '{\"data\":{\"greeting.txt\":\"new\"}}'");
    // The one that asked for it rolls out: by then the other would have begun, too.
    kubectl.run(&format!(
        "wait --for=jsonpath='{{.metadata.generation}}'={} deployment/webapp --timeout 60s",
        before + 1
    ));
    kubectl.run(STATUS);
    assert_eq!(kubectl.run("get deployment plain -o 'jsonpath={.metadata.generation}'"), "1");
}

#[test]
fn the_script_refuses_what_it_can_not_quote() {
    let script = repository().join("examples/change-config.sh");
    let refused =
        Command::new(script).arg("a \"quote\"").env("PATH", env::var_os("PATH").unwrap()).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
}
