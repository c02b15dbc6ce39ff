//! What comes from the list of observers: manifests with their rights, and what they would do, without doing it.

use std::fs;

use serde_json::{Value, json};

use super::{
    cluster::{Cluster, Running, xebec},
    kubectl::Kubectl,
    program::ran,
};

const CONFIG_HASH: &str = "{.spec.template.metadata.annotations.reload\\.xebec\\.dev/config-hash}";
const OBSERVED: &str = "{.metadata.annotations.reload\\.xebec\\.dev/observed-hashes}";

/// Runs xebec against a cluster, to a good end.
fn asked(kubectl: &Kubectl, arguments: &[&str]) -> String {
    let output = kubectl.prepare(&mut xebec(arguments)).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", text(output.stderr));
    text(output.stdout)
}

/// A kubeconfig by which the admin acts as another user.
fn acting_as(cluster: &Cluster, user: &str) -> Kubectl {
    let text = fs::read_to_string(cluster.scratch().join("kubeconfig")).unwrap();
    let mut config: Value = serde_saphyr::from_str(&text).unwrap();
    config["users"][0]["user"]["as"] = json!(user);
    let path = cluster.scratch().join("acting");
    fs::write(&path, config.to_string()).unwrap();
    Kubectl::new(&path, cluster.scratch())
}

#[test]
fn the_manifests_apply_and_their_rights_suffice_for_a_reload() {
    let cluster = Cluster::up_with(&["--observers", ""]);
    let kubectl = &cluster.kubectl;
    let (code, manifests, err) = ran(&["manifests", "--namespace", "crew", "--name", "xebec"]);
    assert_eq!((code, err.as_str()), (0, ""));
    // kubectl fails the test on a warning, such as that of an unknown field.
    kubectl.run_on("apply -f -", &manifests);
    kubectl.run("rollout status deployment/xebec -n crew --timeout 60s");
    kubectl.run("apply -f examples/webapp");
    kubectl.run("rollout status deployment/webapp --timeout 60s");
    // The Lease of the simulated replicas would be held by nobody, as nothing runs in them.
    let account = acting_as(&cluster, "system:serviceaccount:crew:xebec");
    let mut command =
        xebec(&["run", "--leader-elect=crew/xebec", "--metrics-address", "none", "--log", "warn"]);
    let mut observers = Running::start(account.prepare(&mut command));
    observers.line("word that they run", |line| line.contains("xebec runs reload"));
    kubectl.run(&format!("wait --for=jsonpath='{OBSERVED}' deployment/webapp --timeout 60s"));
    kubectl.run("patch configmap webapp-config -p '{\"data\":{\"greeting.txt\":\"new\"}}'");
    kubectl.run(&format!("wait --for=jsonpath='{CONFIG_HASH}' deployment/webapp --timeout 60s"));
    observers.line("word of the reload", |line| line.contains("default/webapp rolled out"));
    let mut told = kubectl.start("get events --watch --field-selector reason=Reloaded");
    told.line("the Event", |line| line.contains("deployment/webapp"));
    // By the API of Events, to which alone there are rights.
    let events =
        "get events.events.k8s.io -o 'jsonpath={.items[?(@.reason==\"Reloaded\")].reportingController}'";
    assert_eq!(kubectl.run(events), "xebec-reload");
    let rules = kubectl.run("get clusterrole crew:xebec -o 'jsonpath={.rules[*].resources}'");
    assert!(rules.contains("events"), "{rules}");
    assert!(!observers.said().contains("orbidden"), "{}", observers.said());
    let rows = asked(&account, &["reload", "list"]);
    let row: Vec<&str> = rows.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(row[..4], ["default", "webapp", "rolled", "out"], "{rows}");
    assert!(row[4].ends_with('s'), "not how long ago that was: {rows}");
    // The rights are no more than those.
    for refused in
        ["delete deployment webapp", "create configmap mine", "get leases", "get pods", "get events"]
    {
        let said = account.said(refused);
        assert!(said.code != 0 && said.err.contains("orbidden"), "{refused}: {said:?}");
    }
    let holder = kubectl.run("get lease xebec -n crew -o 'jsonpath={.spec.holderIdentity}'");
    assert!(!holder.is_empty());
}

#[test]
fn plans_and_reasons_are_printed_and_nothing_is_written() {
    let cluster = Cluster::up_with(&["--observers", ""]);
    let kubectl = &cluster.kubectl;
    kubectl.run("apply -f examples/webapp");
    kubectl.run("rollout status deployment/webapp --timeout 60s");
    let versions = || {
        kubectl.run("get deployments,configmaps,secrets,leases,events -A -o 'jsonpath={range .items[*]}{.metadata.uid}{.metadata.resourceVersion}{\"\\n\"}{end}'")
    };
    let before = versions();
    let text = asked(kubectl, &["reload", "plan"]);
    assert!(text.contains("apply Deployment.apps default/webapp"), "{text}");
    assert!(text.ends_with("Nothing was written.\n"), "{text}");
    assert_eq!(asked(kubectl, &["run", "--dry-run"]), text);
    let plans: Value = serde_json::from_str(&asked(kubectl, &["run", "--dry-run", "-o", "json"])).unwrap();
    assert_eq!(plans["plans"].as_array().unwrap().len(), 1, "{plans:#}");
    let write = &plans["plans"][0]["steps"][0]["write"];
    assert_eq!((&write["verb"], &write["fieldManager"]), (&json!("patch"), &json!("xebec-reload")));
    assert!(
        write["body"]["metadata"]["annotations"]["reload.xebec.dev/observed-hashes"].is_string(),
        "{write:#}"
    );
    let yaml = asked(kubectl, &["reload", "plan", "-o", "yaml"]);
    assert_eq!(serde_saphyr::from_str::<Value>(&yaml).unwrap(), plans);

    let why = asked(kubectl, &["reload", "why", "deployment/default/webapp"]);
    for part in ["woken by:", "ConfigMap default/webapp-config", "Secret default/webapp-database", "apply "] {
        assert!(why.contains(part), "no {part} in {why}");
    }
    let rows = asked(kubectl, &["reload", "list"]);
    let heading: Vec<&str> = rows.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(heading, ["NAMESPACE", "NAME", "STATE", "WAITS", "FOR", "LAST"]);
    assert!(rows.contains("default     webapp   new"), "{rows}");
    let rows: Value = serde_json::from_str(&asked(kubectl, &["reload", "list", "-o", "json"])).unwrap();
    assert_eq!(rows["items"][0]["columns"]["STATE"], "new");
    assert_eq!(
        asked(kubectl, &["reload", "list", "--reload.selector", "tier"]),
        "reload serves nothing here.\n"
    );
    let none = asked(kubectl, &["reload", "plan", "--reload.selector", "tier=none"]);
    assert!(none.starts_with("0 of "), "{none}");
    let some = ["run", "--dry-run", "--reload.selector", "app.kubernetes.io/name in (webapp), !tier"];
    assert_eq!(asked(kubectl, &some).lines().count(), text.lines().count());
    let absent = asked(kubectl, &["reload", "why", "deployment/default/absent", "-o", "json"]);
    let absent: Value = serde_json::from_str(&absent).unwrap();
    assert_eq!(
        (&absent["resourceVersion"], &absent["wokenBy"], &absent["steps"]),
        (&Value::Null, &json!([]), &json!([]))
    );
    assert_eq!(versions(), before, "something was written");
}
