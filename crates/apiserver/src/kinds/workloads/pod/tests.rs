//! How Pods are made.

use serde_json::json;

use super::*;
use crate::kinds::workloads::testing::{assert_lines, container, created, pod, with};

#[test]
fn a_pod_is_filled_in() {
    let mut pod = json!({
        "metadata": {"annotations": {"pod.beta.kubernetes.io/init-containers": "[]"}},
        "spec": {
            "containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "1"}}}],
            "serviceAccount": "a",
            "terminationGracePeriodSeconds": -5,
        },
        "status": {"podIP": "1.2.3.4"},
    });
    fill_pod(&mut pod);
    assert_eq!(
        pod,
        json!({
            "metadata": {},
            "spec": {
                "containers": [{"name": "c", "image": "i", "imagePullPolicy": "Always",
                    "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}},
                    "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}],
                "serviceAccount": "a", "serviceAccountName": "a",
                "dnsPolicy": "ClusterFirst", "enableServiceLinks": true, "restartPolicy": "Always",
                "schedulerName": "default-scheduler", "securityContext": {}, "terminationGracePeriodSeconds": 1,
            },
            "status": {"podIP": "1.2.3.4", "podIPs": [{"ip": "1.2.3.4"}]},
        })
    );
    let again = pod.clone();
    fill_pod(&mut pod);
    assert_eq!(pod, again);
}

#[test]
fn the_address_is_the_first_of_the_addresses() {
    for (status, want) in [
        (json!({}), json!({})),
        (json!({"podIPs": [{"ip": "a"}]}), json!({"podIP": "a", "podIPs": [{"ip": "a"}]})),
        (
            json!({"podIP": "b", "podIPs": [{"ip": "a"}, {"ip": "c"}]}),
            json!({"podIP": "b", "podIPs": [{"ip": "b"}]}),
        ),
        (
            json!({"podIP": "a", "podIPs": [{"ip": "a"}, {"ip": "c"}]}),
            json!({"podIP": "a", "podIPs": [{"ip": "a"}, {"ip": "c"}]}),
        ),
    ] {
        let mut got = status.clone();
        fill_addresses(got.as_object_mut().unwrap());
        assert_eq!(got, want);
    }
}

#[test]
fn a_new_pod_waits() {
    let mut pod = json!({
        "metadata": {"creationTimestamp": "2020-01-01T00:00:00Z"},
        "spec": {"schedulingGates": [{"name": "a/b"}], "containers": [{"resources": {"requests": {"cpu": "1"}}}]},
        "status": {"phase": "Running"},
    });
    prepare_create(&mut pod);
    assert_eq!(
        pod["status"],
        json!({"phase": "Pending", "qosClass": "Burstable", "conditions": [{
            "type": "PodScheduled", "status": "False", "lastProbeTime": null, "lastTransitionTime": "2020-01-01T00:00:00Z",
            "reason": "SchedulingGated", "message": "Scheduling is blocked due to non-empty scheduling gates"}]})
    );
}

#[test]
fn annotations_of_app_armor_become_fields() {
    const OLD: &str = "deprecated since v1.30; use the \"appArmorProfile\" field instead";
    for (annotation, own, pods, want, warns) in [
        ("unconfined", json!(null), json!(null), json!({"type": "Unconfined"}), true),
        (
            "localhost/p",
            json!(null),
            json!(null),
            json!({"type": "Localhost", "localhostProfile": "p"}),
            true,
        ),
        ("unconfined", json!(null), json!({"type": "Unconfined"}), json!(null), false),
        (
            "unconfined",
            json!({"type": "RuntimeDefault"}),
            json!(null),
            json!({"type": "RuntimeDefault"}),
            false,
        ),
        ("x", json!(null), json!(null), json!(null), true),
    ] {
        let mut container = container(&json!({}));
        if !own.is_null() {
            container["securityContext"] = json!({ "appArmorProfile": own });
        }
        let mut pod = json!({
            "metadata": {"name": "p", "annotations": {format!("{APP_ARMOR}c"): annotation}},
            "spec": {"containers": [container], "securityContext": {"appArmorProfile": pods}},
        });
        apply_app_armor(&mut pod);
        assert_eq!(pod["spec"]["containers"][0]["securityContext"]["appArmorProfile"], want, "{annotation}");
        let want: Vec<String> =
            if warns { vec![format!("metadata.annotations[{APP_ARMOR}c]: {OLD}")] } else { vec![] };
        assert_eq!(warnings(&pod, None), want, "{annotation}");
    }
}

#[test]
fn some_things_are_not_for_new_pods() {
    for (more, want) in [
        (json!({}), vec![]),
        (
            json!({"ephemeralContainers": [container(&json!({"name": "e"}))]}),
            vec!["spec.ephemeralContainers: Forbidden: cannot be set on create"],
        ),
        (
            json!({"nodeName": "n", "schedulingGates": [{"name": "a/b"}]}),
            vec!["spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"],
        ),
        (
            json!({"initContainers": [container(&json!({"name": "i", "image": " x"}))]}),
            vec![
                "spec.initContainers[0].image: Invalid value: \" x\": must not have leading or trailing whitespace",
            ],
        ),
        (
            json!({"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]}),
            vec![
                "spec.volumes[0].projected.sources[0].serviceAccountToken: Forbidden: must not be specified when serviceAccountName is not set",
            ],
        ),
    ] {
        assert_lines(&created(&STRATEGY, &pod(&more)), &want, &more);
    }
}

#[test]
fn a_pod_is_warned_of_when_it_is_new() {
    let named = with(pod(&json!({})), &json!({"metadata": {"name": "a.b"}}));
    assert_lines(
        &warnings(&named, None),
        &[
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is \
           recommended: [must not contain dots]",
        ],
        &named,
    );
    assert!(warnings(&named, Some(&named)).is_empty());
}

#[test]
fn a_pod_has_time_to_end_where_it_runs() {
    let running = json!({"spec": {"nodeName": "n", "terminationGracePeriodSeconds": 30}, "status": {"phase": "Running"}});
    for (pod, asked, want) in [
        (running.clone(), None, 30),
        (running.clone(), Some(5), 5),
        (running.clone(), Some(-1), 1),
        (running.clone(), Some(0), 0),
        (with(running.clone(), &json!({"status": {"phase": "Failed"}})), Some(5), 0),
        (with(running, &json!({"spec": {"terminationGracePeriodSeconds": 30}})), Some(5), 0),
        (json!({"spec": {"nodeName": "n"}}), None, 0),
    ] {
        assert_eq!((STRATEGY.grace_period)(&pod, asked), Some(want), "{pod}");
    }
}
