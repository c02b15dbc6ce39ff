//! What kubectl shows: `get` in every output and by every selection, `--watch`, `describe`, `explain`, discovery.

use super::cluster::Cluster;

const CONFIG_MAPS: &str = "\
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {tier: front}}, data: {x: '1'}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: b, labels: {tier: back}}, data: {x: '2', y: '3'}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: c, labels: {tier: back}}}
";

#[test]
fn get_in_every_output() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    kubectl.run_on("create -f -", CONFIG_MAPS);
    let back = "get configmaps --selector tier=back";
    assert_eq!(kubectl.run(&format!("{back} -o name")), "configmap/b\nconfigmap/c\n");
    assert_eq!(kubectl.run(&format!("{back} -o 'jsonpath={{.items[*].metadata.name}}'")), "b c");
    assert_eq!(
        kubectl.run(&format!("{back} -o 'custom-columns=NAME:.metadata.name,X:.data.x'")),
        "NAME   X\nb      2\nc      <none>\n"
    );
    assert_eq!(kubectl.run(&format!("{back} -o 'go-template={{{{len .items}}}}'")), "2");
    assert_eq!(kubectl.json(back)["items"].as_array().unwrap().len(), 2);
    // kubectl itself reads `y` as YAML 1.1 does.
    let yaml = kubectl.run("get configmap b -o yaml");
    assert!(yaml.starts_with("apiVersion: v1\ndata:\n  \"true\": \"3\"\n  x: \"2\"\n"), "{yaml}");
    assert_eq!(kubectl.columns(&format!("{back} --show-labels")), ["NAME", "DATA", "AGE", "LABELS"]);
    assert_eq!(kubectl.columns(&format!("{back} -L tier")), ["NAME", "DATA", "AGE", "TIER"]);
    assert_eq!(kubectl.columns("get configmaps --all-namespaces"), ["NAMESPACE", "NAME", "DATA", "AGE"]);
    assert!(!kubectl.run(&format!("{back} --no-headers")).contains("NAME"));
    let sorted = kubectl.run(&format!("{back} --sort-by '{{.metadata.labels.tier}}' -o name"));
    assert_eq!(sorted.lines().count(), 2);
}

#[test]
fn get_by_every_selection() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    kubectl.run_on("create -f -", CONFIG_MAPS);
    for (selection, names) in [
        ("a c", "configmap/a\nconfigmap/c\n"),
        ("-l tier!=back,tier", "configmap/a\n"),
        ("-l 'tier in (front,back)'", "configmap/a\nconfigmap/b\nconfigmap/c\n"),
        ("-l '!tier' --field-selector metadata.name=a", ""),
        ("--field-selector metadata.name=b", "configmap/b\n"),
        ("-l tier --chunk-size 1", "configmap/a\nconfigmap/b\nconfigmap/c\n"),
    ] {
        assert_eq!(kubectl.run(&format!("get configmaps {selection} -o name")), names, "{selection}");
    }
    assert_eq!(kubectl.run("get --raw /readyz"), "ok");
    let none = kubectl.said("get configmaps --namespace nowhere");
    assert_eq!((none.code, none.err.as_str()), (0, "No resources found in nowhere namespace.\n"));
    let unknown = kubectl.said("get sails");
    assert_eq!(unknown.err, "error: the server doesn't have a resource type \"sails\"\n");
    let absent = kubectl.said("get configmap z");
    assert_eq!(absent.err, "Error from server (NotFound): configmaps \"z\" not found\n");
}

#[test]
fn the_columns_are_those_of_kubernetes() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    kubectl.run("apply -f examples/webapp -f examples/job.yaml");
    kubectl.run("rollout status deployment/webapp");
    kubectl.run("wait --for=condition=complete job/report --timeout=60s");
    for (line, columns) in [
        ("deployments", "NAME|READY|UP-TO-DATE|AVAILABLE|AGE"),
        ("deployments -o wide", "NAME|READY|UP-TO-DATE|AVAILABLE|AGE|CONTAINERS|IMAGES|SELECTOR"),
        ("replicasets", "NAME|DESIRED|CURRENT|READY|AGE"),
        ("pods", "NAME|READY|STATUS|RESTARTS|AGE"),
        ("pods -o wide", "NAME|READY|STATUS|RESTARTS|AGE|IP|NODE|NOMINATED NODE|READINESS GATES"),
        ("services", "NAME|TYPE|CLUSTER-IP|EXTERNAL-IP|PORT(S)|AGE"),
        ("endpointslices", "NAME|ADDRESSTYPE|PORTS|ENDPOINTS|AGE"),
        ("configmaps", "NAME|DATA|AGE"),
        ("secrets", "NAME|TYPE|DATA|AGE"),
        ("jobs", "NAME|STATUS|COMPLETIONS|DURATION|AGE"),
        ("events", "LAST SEEN|TYPE|REASON|OBJECT|MESSAGE"),
        ("namespaces", "NAME|STATUS|AGE"),
        ("nodes", "NAME|STATUS|ROLES|AGE|VERSION"),
    ] {
        assert_eq!(kubectl.columns(&format!("get {line}")).join("|"), columns, "{line}");
    }
    // Short names, categories, and several kinds at once.
    assert_eq!(kubectl.run("get deploy,svc webapp -o name"), "deployment.apps/webapp\nservice/webapp\n");
    let all = kubectl.run("get all -o name");
    assert!(all.contains("deployment.apps/webapp") && all.contains("job.batch/report"), "{all}");
}

#[test]
fn watch_shows_changes_as_they_come() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    kubectl.run_on("create -f -", CONFIG_MAPS);
    let mut watch = kubectl.start("get configmaps --watch --output-watch-events --selector tier=back");
    watch.line("the second of the list", |line| line.starts_with("ADDED") && line.contains(" c "));
    kubectl.run("label configmap a tier=back --overwrite");
    watch.line("one that matches now", |line| line.starts_with("ADDED") && line.contains(" a "));
    kubectl.run("patch configmap b -p '{\"data\":{\"z\":\"4\"}}'");
    watch.line("a change", |line| {
        line.starts_with("MODIFIED") && line.contains(" b ") && line.contains(" 3 ")
    });
    kubectl.run("label configmap a tier=front --overwrite");
    watch.line("one that matches no more", |line| line.starts_with("DELETED") && line.contains(" a "));
    kubectl.run("delete configmap c");
    watch.line("a deletion", |line| line.starts_with("DELETED") && line.contains(" c "));
    let mut pods = kubectl.start("get pods --watch");
    kubectl.run("run one --image one:1 --restart Never --labels tier=front");
    pods.line("a pod that runs", |line| line.starts_with("one ") && line.contains("Running"));
}

#[test]
fn describe_tells_an_object_whole() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    kubectl.run("apply -f examples/webapp");
    kubectl.run("rollout status deployment/webapp");
    for (what, parts) in [
        (
            "deployment webapp",
            &[
                "Name:",
                "Replicas:               3 desired | 3 updated | 3 total | 3 available",
                "ScalingReplicaSet",
            ][..],
        ),
        (
            "pods -l app.kubernetes.io/name=webapp",
            &["Running", "Node:", "ConfigMap (a volume populated by a ConfigMap)", "webapp-config"],
        ),
        ("service webapp", &["Selector:", "Endpoints:"]),
        ("configmap webapp-config", &["greeting.txt:", "Hello from the first configuration."]),
        ("secret webapp-database", &["password:", "bytes"]),
        ("nodes", &["Capacity:", "Conditions:", "Non-terminated Pods:"]),
        ("namespace default", &["Status:       Active"]),
    ] {
        let text = kubectl.run(&format!("describe {what}"));
        for part in parts {
            assert!(text.contains(part), "{what} has no {part:?}:\n{text}");
        }
    }
    assert!(!kubectl.run("describe secret webapp-database").contains("only-an-example"));
}

#[test]
fn explain_documents_fields() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    let deployment = kubectl.run("explain deployment");
    assert!(
        deployment.starts_with("GROUP:      apps\nKIND:       Deployment\nVERSION:    v1\n"),
        "{deployment}"
    );
    assert!(deployment.contains("DESCRIPTION:\n    Deployment enables declarative updates"), "{deployment}");
    let image = kubectl.run("explain pod.spec.containers.image");
    assert!(image.contains("FIELD: image <string>"), "{image}");
    let policy = kubectl.run("explain pods.spec.restartPolicy");
    assert!(policy.contains("ENUM:") && policy.contains("OnFailure"), "{policy}");
    assert!(kubectl.run("explain job.spec --recursive").contains("backoffLimit\t<integer>"));
    let wrong = kubectl.said("explain pod.spec.sails");
    assert_eq!((wrong.code, wrong.err.as_str()), (1, "error: field \"sails\" does not exist\n"));
}

#[test]
fn discovery_lists_what_is_served() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    let versions = kubectl.run("api-versions");
    for version in ["v1", "apps/v1", "batch/v1", "rbac.authorization.k8s.io/v1", "apiextensions.k8s.io/v1"] {
        assert!(versions.lines().any(|line| line == version), "{version}: {versions}");
    }
    assert_eq!(kubectl.columns("api-resources"), ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"]);
    let resources = kubectl.run("api-resources --namespaced --verbs=list -o name");
    assert!(resources.contains("deployments.apps\n") && !resources.contains("namespaces\n"), "{resources}");
    let version = kubectl.json("version");
    assert_eq!(version["serverVersion"]["minor"], "36");
}
