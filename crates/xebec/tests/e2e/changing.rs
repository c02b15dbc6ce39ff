//! How kubectl changes objects: `edit`, `label`, `annotate`, `patch`, `replace`, `scale`, `set`, `delete`, `wait`.

use serde_json::json;

use super::cluster::Cluster;

const CONFIG: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: blue}
";

#[test]
fn edit_stores_what_the_editor_leaves() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    kubectl.run_on("create -f -", CONFIG);
    let edited = kubectl.run_editing("edit configmap settings", "sed -i s/blue/red/");
    assert_eq!(edited, "configmap/settings edited\n");
    assert_eq!(kubectl.run("get configmap settings -o 'jsonpath={.data.color}'"), "red");
    let same = kubectl.said_editing("edit configmap settings", "true");
    assert_eq!((same.code, same.err.as_str()), (0, "Edit cancelled, no changes made.\n"));
}

#[test]
fn labels_and_annotations_come_and_go() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    kubectl.run_on("create -f -", CONFIG);
    assert_eq!(kubectl.run("label configmap settings tier=front"), "configmap/settings labeled\n");
    let refused = kubectl.said("label configmap settings tier=back");
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("'tier' already has a value (front)"), "{}", refused.err);
    kubectl.run("label configmap settings tier=back --overwrite");
    assert_eq!(
        kubectl.run("annotate configmap settings example.com/note='two words'"),
        "configmap/settings annotated\n"
    );
    let metadata = &kubectl.json("get configmap settings")["metadata"];
    assert_eq!(metadata["labels"], json!({"tier": "back"}));
    assert_eq!(metadata["annotations"], json!({"example.com/note": "two words"}));
    assert_eq!(kubectl.run("label configmap settings tier-"), "configmap/settings unlabeled\n");
    kubectl.run("annotate configmap settings example.com/note-");
    let metadata = &kubectl.json("get configmap settings")["metadata"];
    assert!(metadata.get("labels").is_none() && metadata.get("annotations").is_none(), "{metadata}");
}

#[test]
fn patches_of_every_sort() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    kubectl.run("create deployment web --image web:1 --replicas 0");
    let image = "get deployment web -o 'jsonpath={.spec.template.spec.containers[*].image}'";
    let patched = "deployment.apps/web patched\n";
    let strategic = r#"{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"side:1"}]}}}}"#;
    assert_eq!(kubectl.run(&format!("patch deployment web -p '{strategic}'")), patched);
    let mut images: Vec<String> = kubectl.run(image).split(' ').map(str::to_owned).collect();
    images.sort();
    assert_eq!(images, ["side:1", "web:1"]);
    let merge = r#"{"spec":{"template":{"spec":{"containers":[{"name":"only","image":"only:1"}]}}}}"#;
    assert_eq!(kubectl.run(&format!("patch deployment web --type merge -p '{merge}'")), patched);
    assert_eq!(kubectl.run(image), "only:1");
    let json = r#"[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"only:2"}]"#;
    assert_eq!(kubectl.run(&format!("patch deployment web --type json -p '{json}'")), patched);
    assert_eq!(kubectl.run(image), "only:2");
    assert_eq!(
        kubectl.run(&format!("patch deployment web --type json -p '{json}'")),
        "deployment.apps/web patched (no change)\n"
    );
    assert_eq!(
        kubectl
            .run("patch deployment web --subresource scale --type merge -p '{\"spec\":{\"replicas\":2}}'")
            .trim(),
        "scale.autoscaling/web patched"
    );
}

#[test]
fn replace_needs_the_version_that_it_was_read_at() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    kubectl.run_on("create -f -", CONFIG);
    let read = kubectl.run("get configmap settings -o yaml");
    kubectl.run("label configmap settings tier=front");
    let stale = kubectl.said_of("replace -f -", &read);
    assert_eq!(stale.code, 1);
    assert!(
        stale.err.contains("the object has been modified; please apply your changes to the latest version"),
        "{}",
        stale.err
    );
    assert_eq!(kubectl.run_on("replace -f -", CONFIG), "configmap/settings replaced\n");
}

#[test]
fn scale_changes_the_number_of_pods() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    kubectl.run("create deployment web --image web:1");
    assert_eq!(kubectl.run("scale deployment/web --replicas 3"), "deployment.apps/web scaled\n");
    kubectl.run("rollout status deployment/web --timeout 60s");
    assert_eq!(kubectl.run("get pods -l app=web -o name").lines().count(), 3);
    let refused = kubectl.said("scale deployment/web --current-replicas 7 --replicas 1");
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("Expected replicas to be 7, was 3"), "{}", refused.err);
    kubectl.run("scale deployment/web --replicas 0");
    kubectl.run("wait --for=delete pod -l app=web --timeout 60s");
    assert_eq!(kubectl.run("get deployment web -o 'jsonpath={.status.replicas}'"), "");
}

#[test]
fn set_changes_a_part() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    kubectl.run("create deployment web --image web:1 --replicas 0");
    assert_eq!(kubectl.run("set image deployment/web web=web:2"), "deployment.apps/web image updated\n");
    assert_eq!(kubectl.run("set env deployment/web MODE=test"), "deployment.apps/web env updated\n");
    kubectl.run("set resources deployment web --limits cpu=200m,memory=64Mi");
    let container = &kubectl.json("get deployment web")["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "web:2");
    assert_eq!(container["env"], json!([{"name": "MODE", "value": "test"}]));
    assert_eq!(container["resources"]["limits"], json!({"cpu": "200m", "memory": "64Mi"}));
}

#[test]
fn delete_waits_until_it_is_gone() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    kubectl.run("create deployment web --image web:1 --replicas 2");
    kubectl.run("rollout status deployment/web --timeout 60s");
    let deleted = kubectl.run("delete deployment web");
    assert!(deleted.starts_with("deployment.apps \"web\" deleted"), "{deleted}");
    kubectl.run("wait --for=delete pod -l app=web --timeout 60s");
    kubectl.run("wait --for=delete replicaset -l app=web --timeout 60s");
    let absent = kubectl.said("delete deployment web");
    assert_eq!(absent.err, "Error from server (NotFound): deployments.apps \"web\" not found\n");
    assert_eq!(kubectl.run("delete deployment web --ignore-not-found"), "");
    kubectl.run_on("create -f -", CONFIG);
    kubectl.run("create namespace elsewhere");
    kubectl.run("create configmap there --namespace elsewhere");
    let namespace = kubectl.run("delete namespace elsewhere --timeout 60s");
    assert!(namespace.starts_with("namespace \"elsewhere\" deleted"), "{namespace}");
    assert_eq!(kubectl.run("get configmap settings -o name"), "configmap/settings\n");
    assert_eq!(kubectl.run("get configmaps --namespace elsewhere -o name"), "");
}

#[test]
fn orphans_stay_when_their_owner_goes() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    kubectl.run("create deployment web --image web:1 --replicas 1");
    kubectl.run("rollout status deployment/web --timeout 60s");
    kubectl.run("delete deployment web --cascade=orphan");
    let owners = kubectl.run("get replicasets -l app=web -o 'jsonpath={.items[*].metadata.ownerReferences}'");
    assert_eq!(owners, "");
    assert_eq!(kubectl.run("get replicasets -l app=web -o name").lines().count(), 1);
}

#[test]
fn wait_ends_with_what_it_waits_for() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    kubectl.run("create deployment web --image web:1 --replicas 1");
    let available = kubectl.run("wait --for=condition=Available deployment/web --timeout 60s");
    assert_eq!(available, "deployment.apps/web condition met\n");
    let ready = kubectl.run("wait --for=condition=Ready pod -l app=web --timeout 60s");
    assert!(ready.ends_with("condition met\n"), "{ready}");
    kubectl.run("wait --for=jsonpath='{.status.readyReplicas}'=1 deployment/web --timeout 60s");
    let late = kubectl.said("wait --for=condition=Sailing deployment/web --timeout 100ms");
    assert_eq!(late.code, 1);
    assert!(late.err.contains("timed out waiting for the condition"), "{}", late.err);
}
