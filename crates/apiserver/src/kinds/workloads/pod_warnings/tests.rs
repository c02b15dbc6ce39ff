//! One case for each sort of warning.

use serde_json::json;

use super::*;
use crate::kinds::workloads::testing::{assert_lines, container, spec};

/// What a template with this spec is warned of, and with these annotations.
fn check(more: &Value, annotations: &Value, want: &[&str]) {
    let template = json!({"metadata": {"annotations": annotations}, "spec": spec(more)});
    assert_lines(&of_template(&Path::new("t"), &template), want, more);
}

#[test]
fn old_names_are_warned_of() {
    for (more, want) in [
        (json!({}), vec![]),
        (
            json!({"nodeSelector": {"beta.kubernetes.io/os": "x"}}),
            vec![
                "t.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead",
            ],
        ),
        (
            json!({"topologySpreadConstraints": [{"topologyKey": "failure-domain.beta.kubernetes.io/zone"}]}),
            vec![
                "t.spec.topologySpreadConstraints[0].topologyKey: failure-domain.beta.kubernetes.io/zone is deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead",
                "t.spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
            ],
        ),
        (
            json!({"affinity": {"nodeAffinity": {PREFERRED: [{"preference": {"matchExpressions": [{"key": "beta.kubernetes.io/arch", "operator": "In", "values": ["-"]}]}}]}}}),
            vec![
                "t.spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].key: beta.kubernetes.io/arch is deprecated since v1.14; use \"kubernetes.io/arch\" instead",
                "t.spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].values[0]: - is invalid, a valid label must be…",
            ],
        ),
        (
            json!({"affinity": {"podAffinity": {REQUIRED: [{"topologyKey": "t"}]}}}),
            vec![
                "t.spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector: a null labelSelector results in matching no pod",
            ],
        ),
        (
            json!({"volumes": [{"name": "v", "gitRepo": {"repository": "r"}}]}),
            vec!["t.spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+"],
        ),
    ] {
        check(&more, &Value::Null, &want);
    }
}

#[test]
fn annotations_that_do_nothing_are_warned_of() {
    const ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/c";
    for (annotations, want) in [
        (
            json!({"scheduler.alpha.kubernetes.io/critical-pod": ""}),
            vec![
                "t.metadata.annotations[scheduler.alpha.kubernetes.io/critical-pod]: non-functional in v1.16+; use the \"priorityClassName\" field instead",
            ],
        ),
        (
            json!({"seccomp.security.alpha.kubernetes.io/pod": "unconfined"}),
            vec![
                "t.metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; use the \"seccompProfile\" field instead",
            ],
        ),
        (
            json!({ARMOR: "unconfined"}),
            vec![
                "t.metadata.annotations[container.apparmor.security.beta.kubernetes.io/c]: deprecated since v1.30; use the \"appArmorProfile\" field instead",
            ],
        ),
    ] {
        check(&json!({}), &annotations, &want);
    }
    let set = json!({"securityContext": {"appArmorProfile": {"type": "Unconfined"}}});
    check(&set, &json!({ARMOR: "unconfined"}), &[]);
}

#[test]
fn lists_with_duplicates_are_warned_of() {
    for (more, want) in [
        (
            json!({"imagePullSecrets": [{"name": "a"}, {"name": "a"}, {}]}),
            vec![
                "t.spec.imagePullSecrets[1].name: duplicate name \"a\"",
                "t.spec.imagePullSecrets[2].name: invalid empty name \"\"",
            ],
        ),
        (
            json!({"hostAliases": [{"ip": "1.1.1.1"}, {"ip": "1.1.1.1"}]}),
            vec!["t.spec.hostAliases[1].ip: duplicate ip \"1.1.1.1\""],
        ),
        (
            json!({"containers": [container(&json!({"env": [
            {"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}, {"name": "A", "value": "3"}]}))]}),
            vec![
                "t.spec.containers[0].env[2]: hides previous definition of \"A\", which may be dropped when using apply",
            ],
        ),
        (
            json!({"containers": [container(&json!({"ports": [
                {"containerPort": 80, "protocol": "TCP"},
                {"containerPort": 80, "protocol": "TCP"},
                {"containerPort": 80, "protocol": "TCP", "hostPort": 1},
                {"containerPort": 80, "protocol": "UDP", "hostIP": "1.1.1.1"},
            ]}))]}),
            vec![
                "t.spec.containers[0].ports[1]: duplicate port definition with t.spec.containers[0].ports[0]",
                "t.spec.containers[0].ports[2]: overlapping port definition with t.spec.containers[0].ports[0]",
                "t.spec.containers[0].ports[2]: overlapping port definition with t.spec.containers[0].ports[1]",
                "t.spec.containers[0].ports[3]: hostIP set without hostPort: {Name: HostPort:0 ContainerPort:80 Protocol:UDP HostIP:1.1.1.1}",
            ],
        ),
    ] {
        check(&more, &Value::Null, &want);
    }
}

#[test]
fn amounts_and_times_are_warned_of() {
    check(
        &json!({
            "terminationGracePeriodSeconds": -1,
            "overhead": {"memory": "500m"},
            "containers": [container(&json!({"resources": {"limits": {"ephemeral-storage": "1500m"}, "requests": {"cpu": "100m"}}}))],
        }),
        &Value::Null,
        &[
            "t.spec.overhead[memory]: fractional byte value \"500m\" is invalid, must be an integer",
            "t.spec.containers[0].resources.limits[ephemeral-storage]: fractional byte value \"1500m\" is invalid, must be an integer",
            "t.spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
        ],
    );
}

#[test]
fn files_in_each_others_way_are_warned_of() {
    let files =
        |paths: &[&str]| -> Value { paths.iter().map(|path| json!({"key": "k", "path": path})).collect() };
    for (volume, want) in [
        (json!({"configMap": {"name": "m", "items": files(&["a/b", "c"])}}), vec![]),
        (
            json!({"configMap": {"name": "m", "items": files(&["a", "a/b"])}}),
            vec!["volume \"v\" (ConfigMap \"m\"): overlapping paths: \"a/b\" with \"a\""],
        ),
        (
            json!({"projected": {"sources": [
                {"secret": {"name": "s", "items": files(&["a"])}},
                {"serviceAccountToken": {"path": "a/token"}},
                {},
            ]}}),
            vec![
                "volume \"v\" (Projected ServiceAccountToken): overlapping paths: \"a/token\" with \"a\"",
                "volume \"v\" (Projected) has no sources provided",
            ],
        ),
    ] {
        let mut volume = volume;
        volume["name"] = "v".into();
        check(&json!({ "volumes": [volume] }), &Value::Null, &want);
    }
}
