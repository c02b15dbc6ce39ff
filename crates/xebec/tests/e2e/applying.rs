//! `kubectl apply`, by the client and by the server, and `kubectl diff`.

use super::cluster::Cluster;

const CONFIG: &str = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  labels: {app: shop, tier: front}
data:
  color: blue
  size: small
";

#[test]
fn apply_by_the_client_merges_three_ways() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    assert_eq!(kubectl.run_on("apply -f -", CONFIG), "configmap/settings created\n");
    assert_eq!(kubectl.run_on("apply -f -", CONFIG), "configmap/settings unchanged\n");
    // What others set stays; what was applied before and is gone goes.
    kubectl.run("label configmap settings owner=someone");
    let changed = CONFIG.replace("  size: small\n", "").replace("blue", "red");
    assert_eq!(kubectl.run_on("apply -f -", &changed), "configmap/settings configured\n");
    let settings = kubectl.json("get configmap settings");
    assert_eq!(settings["data"], serde_json::json!({"color": "red"}));
    assert_eq!(
        settings["metadata"]["labels"],
        serde_json::json!({"app": "shop", "owner": "someone", "tier": "front"})
    );
    assert!(
        settings["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"].is_string()
    );
}

#[test]
fn apply_by_the_client_merges_lists_by_their_keys() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    let deployment = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: two}
spec:
  replicas: 0
  selector: {matchLabels: {app: two}}
  template:
    metadata: {labels: {app: two}}
    spec:
      containers:
      - {name: one, image: 'one:1'}
      - {name: two, image: 'two:1'}
";
    kubectl.run_on("apply -f -", deployment);
    kubectl.run("set image deployment/two two=two:2");
    let changed = deployment.replace("'one:1'", "'one:9'");
    kubectl.run_on("apply -f -", &changed.replace("      - {name: two, image: 'two:1'}\n", ""));
    let containers =
        kubectl.run("get deployment two -o 'jsonpath={.spec.template.spec.containers[*].image}'");
    assert_eq!(containers, "one:9");
}

#[test]
fn apply_by_the_server_knows_who_owns_what() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    let applied = "configmap/settings serverside-applied\n";
    assert_eq!(kubectl.run_on("apply --server-side -f -", CONFIG), applied);
    assert_eq!(kubectl.run_on("apply --server-side -f -", CONFIG), applied);

    let other = CONFIG.replace("blue", "red");
    let conflict = kubectl.said_of("apply --server-side --field-manager other -f -", &other);
    assert_eq!(conflict.code, 1);
    assert!(conflict.err.contains("conflict with \"kubectl\": .data.color"), "{}", conflict.err);

    assert_eq!(
        kubectl.run_on("apply --server-side --field-manager other --force-conflicts -f -", &other),
        applied
    );
    assert_eq!(kubectl.run("get configmap settings -o 'jsonpath={.data.color}'"), "red");
    let fields = kubectl.json("get configmap settings --show-managed-fields");
    let managers: Vec<&str> = fields["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| entry["manager"].as_str())
        .collect();
    assert_eq!(managers, ["kubectl", "other"]);
}

#[test]
fn a_mistake_is_said_before_anything_is_stored() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    let unknown = kubectl.said_of("apply -f -", &format!("{CONFIG}colour: red\n"));
    assert_eq!(unknown.code, 1);
    assert!(unknown.err.contains("unknown field \"colour\""), "{}", unknown.err);
    let invalid = kubectl.said_of("apply -f -", &CONFIG.replace("name: settings", "name: Settings"));
    assert_eq!(invalid.code, 1);
    assert!(invalid.err.contains("metadata.name: Invalid value: \"Settings\""), "{}", invalid.err);
    let dry = kubectl.run_on("apply --dry-run=server -f -", CONFIG);
    assert_eq!(dry, "configmap/settings created (server dry run)\n");
    let absent = kubectl.said("get configmap settings");
    assert_eq!(absent.err, "Error from server (NotFound): configmaps \"settings\" not found\n");
}

#[test]
fn diff_shows_what_apply_would_change() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    let new = kubectl.said_of("diff -f -", CONFIG);
    assert_eq!(new.code, 1, "{}", new.err);
    assert!(new.out.contains("+  color: blue"), "{}", new.out);

    kubectl.run_on("apply -f -", CONFIG);
    assert_eq!(kubectl.run_on("diff -f -", CONFIG), "");

    let changed = kubectl.said_of("diff -f -", &CONFIG.replace("blue", "red"));
    assert_eq!(changed.code, 1, "{}", changed.err);
    assert!(changed.out.contains("-  color: blue\n+  color: red"), "{}", changed.out);
    let by_server =
        kubectl.said_of("diff --server-side --force-conflicts -f -", &CONFIG.replace("blue", "red"));
    assert_eq!(by_server.code, 1, "{}", by_server.err);
    assert!(by_server.out.contains("-  color: blue\n+  color: red"), "{}", by_server.out);
    assert_eq!(kubectl.run("get configmap settings -o 'jsonpath={.data.color}'"), "blue");
}

#[test]
fn prune_removes_what_is_no_longer_applied() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    let second = CONFIG.replace("name: settings", "name: second");
    kubectl.run_on("apply -f -", &format!("{CONFIG}---\n{second}"));
    let pruned =
        kubectl.run_on("apply --prune --selector app=shop --prune-allowlist core/v1/ConfigMap -f -", CONFIG);
    assert_eq!(pruned, "configmap/settings unchanged\nconfigmap/second pruned\n");
    assert_eq!(kubectl.run("get configmaps --selector app=shop --output name"), "configmap/settings\n");
}
