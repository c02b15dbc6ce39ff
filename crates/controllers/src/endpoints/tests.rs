//! Rule cases of endpoints: a Service and its Pods in, slices and Endpoints out.

use serde_json::{Value, json};
use xebec_coordinator::{Event, Observer};

use super::*;
use crate::testing::{lines, object, plan, view, with, written};

fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "labels": {"tier": "front"}},
        "spec": {"clusterIP": "10.0.0.9", "ipFamilies": ["IPv4"], "selector": {"app": "web"},
            "ports": [{"name": "http", "port": 80, "targetPort": "http", "appProtocol": "h2c"}]},
    })
}

fn pod(name: &str, ip: &str, ready: bool) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "ports": [{"name": "http", "containerPort": 8080}]}]},
        "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": [
            {"type": "Ready", "status": if ready { "True" } else { "False" }, "lastTransitionTime": "2026-01-01T11:00:00Z"}]},
    })
}

fn terminating(pod: Value) -> Value {
    with(pod, "/metadata/deletionTimestamp", "2026-01-01T11:59:00Z")
}

fn node() -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "west"}}})
}

/// The slice that is created for a Service and its Pods.
fn slice(objects: impl IntoIterator<Item = Value>) -> Value {
    written(&plan(&EndpointSliceController, objects), "create EndpointSlice")
}

/// Whether an address is ready, serving and terminating, for each.
fn states(slice: &Value) -> Vec<String> {
    let endpoints = slice["endpoints"].as_array().unwrap().iter();
    endpoints
        .map(|endpoint| {
            let conditions = &endpoint["conditions"];
            let set = ["ready", "serving", "terminating"].into_iter().filter(|name| conditions[name] == true);
            format!("{} {}", endpoint["addresses"][0].as_str().unwrap(), set.collect::<Vec<_>>().join(","))
        })
        .collect()
}

#[test]
fn a_service_gets_a_slice() {
    let created = slice([service(), pod("a", "10.1.0.1", true), node()]);
    let name = created["metadata"]["name"].as_str().unwrap();
    assert_eq!(
        created["metadata"],
        json!({
            "name": name, "generateName": "web-", "namespace": "ns",
            "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T11:00:00Z"},
            "labels": {"tier": "front", "kubernetes.io/service-name": "web",
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Service", "name": "web", "uid": "web-uid",
                "controller": true, "blockOwnerDeletion": true}],
        })
    );
    assert_eq!(created["addressType"], "IPv4");
    assert_eq!(
        created["ports"],
        json!([{"name": "http", "port": 8080, "protocol": "TCP", "appProtocol": "h2c"}])
    );
    assert_eq!(
        created["endpoints"],
        json!([{"addresses": ["10.1.0.1"], "nodeName": "n1", "zone": "west",
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "targetRef": {"kind": "Pod", "namespace": "ns", "name": "a", "uid": "a-uid"}}])
    );
}

#[test]
fn pods_are_ready_serving_or_terminating() {
    let pods = || {
        [
            pod("a", "10.1.0.1", true),
            pod("b", "10.1.0.2", false),
            terminating(pod("c", "10.1.0.3", true)),
            with(pod("d", "10.1.0.4", true), "/status/phase", "Failed"),
            with(pod("e", "", true), "/status/podIPs", json!([])),
        ]
    };
    let created = slice(std::iter::once(service()).chain(pods()));
    assert_eq!(states(&created), ["10.1.0.1 ready,serving", "10.1.0.2 ", "10.1.0.3 serving,terminating"]);
    let eager = with(service(), "/spec/publishNotReadyAddresses", true);
    let created = slice(std::iter::once(eager).chain(pods()));
    assert_eq!(
        states(&created),
        ["10.1.0.1 ready,serving", "10.1.0.2 ready", "10.1.0.3 ready,serving,terminating"]
    );
}

#[test]
fn a_service_without_pods_gets_an_empty_slice() {
    let created = slice([with(service(), "/spec/clusterIP", "None")]);
    assert_eq!((&created["endpoints"], &created["ports"]), (&json!([]), &json!([])));
    assert_eq!(created["metadata"]["labels"]["service.kubernetes.io/headless"], "");
    let mut kept = created.clone();
    kept["metadata"].as_object_mut().unwrap().remove("annotations");
    assert!(
        plan(&EndpointSliceController, [with(service(), "/spec/clusterIP", "None"), kept.clone()]).is_empty()
    );
    // It is used as soon as there is a Pod.
    let filled = plan(
        &EndpointSliceController,
        [with(service(), "/spec/clusterIP", "None"), kept, pod("a", "10.1.0.1", true)],
    );
    assert_eq!(filled.writes().map(xebec_coordinator::Write::verb).collect::<Vec<_>>(), ["update"]);
}

#[test]
fn families_and_ports_have_slices_of_their_own() {
    let dual = with(service(), "/spec/ipFamilies", json!(["IPv4", "IPv6"]));
    let both =
        with(pod("a", "10.1.0.1", true), "/status/podIPs", json!([{"ip": "10.1.0.1"}, {"ip": "fd00::1"}]));
    let other = with(pod("b", "10.1.0.2", true), "/spec/containers/0/ports/0/containerPort", 9090);
    let plan = plan(&EndpointSliceController, [dual, both, other]);
    let slices: Vec<String> = plan
        .writes()
        .map(|write| {
            let slice = crate::testing::body(&write.operation).unwrap();
            format!("{} {} {}", slice["addressType"], slice["ports"][0]["port"], states(slice).join(" "))
        })
        .collect();
    assert_eq!(
        slices,
        [
            "\"IPv4\" 8080 10.1.0.1 ready,serving",
            "\"IPv4\" 9090 10.1.0.2 ready,serving",
            "\"IPv6\" 8080 fd00::1 ready,serving",
        ]
    );
}

#[test]
fn slices_are_filled_and_changed_in_place() {
    let pods = |range: std::ops::Range<i32>| {
        range
            .map(|n| pod(&format!("p{n:03}"), &format!("10.1.{}.{}", n / 100, n % 100), true))
            .collect::<Vec<_>>()
    };
    let all = |pods: Vec<Value>, slices: Vec<Value>| {
        std::iter::once(service()).chain(pods).chain(slices).collect::<Vec<_>>()
    };
    let first = plan(&EndpointSliceController, all(pods(0..150), vec![]));
    let slices: Vec<Value> =
        first.writes().map(|write| crate::testing::body(&write.operation).unwrap().clone()).collect();
    let counts = |slices: &[Value]| {
        slices.iter().map(|slice| slice["endpoints"].as_array().unwrap().len()).collect::<Vec<_>>()
    };
    assert_eq!(counts(&slices), [100, 50]);
    assert!(plan(&EndpointSliceController, all(pods(0..150), slices.clone())).is_empty());

    let changes = |pods: Vec<Value>| {
        let plan = plan(&EndpointSliceController, all(pods, slices.clone()));
        plan.writes()
            .map(|write| {
                let count = crate::testing::body(&write.operation)
                    .map(|slice| slice["endpoints"].as_array().unwrap().len());
                format!("{} {}", write.verb(), count.unwrap_or_default())
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(changes(pods(0..151)), ["update 51"]);
    assert_eq!(changes(pods(0..210)), ["create 60"]);
    assert_eq!(changes(pods(0..100)), ["delete 0"]);
    assert_eq!(changes(pods(1..151)), ["update 100"]);
    let mut unready = pods(0..150);
    unready[3] = pod("p003", "10.1.0.3", false);
    assert_eq!(changes(unready), ["update 100"]);
}

#[test]
fn services_without_selectors_are_left_alone() {
    for service in
        [with(service(), "/spec/selector", Value::Null), with(service(), "/spec/type", "ExternalName")]
    {
        assert!(plan(&EndpointSliceController, [service.clone(), pod("a", "10.1.0.1", true)]).is_empty());
        assert!(plan(&EndpointsController, [service, pod("a", "10.1.0.1", true)]).is_empty());
    }
}

#[test]
fn pods_wake_the_services_that_select_them() {
    let other = with(
        with(service(), "/metadata/name", "other"),
        "/spec/selector",
        json!({"app": "web", "tier": "back"}),
    );
    let controller = EndpointSliceController;
    let view = view(&controller, [service(), other]);
    let woken = |event: Event| format!("{:?}", controller.wake(&event, &view));
    let labelled = |labels: Value| object(with(pod("a", "10.1.0.1", true), "/metadata/labels", labels));
    assert_eq!(woken(Event::Added(labelled(json!({"app": "web"})))), "[Service ns/web]");
    assert_eq!(woken(Event::Deleted(labelled(json!({"app": "x"})))), "[]");
    let moved = Event::Modified {
        old: labelled(json!({"app": "web", "tier": "back"})),
        new: labelled(json!({"app": "none"})),
    };
    assert_eq!(woken(moved), "[Service ns/other, Service ns/web]");
}

#[test]
fn endpoints_list_what_is_ready_and_what_is_not() {
    let objects = [
        service(),
        pod("b", "10.1.0.10", true),
        pod("a", "10.1.0.2", true),
        pod("c", "10.1.0.3", false),
        terminating(pod("d", "10.1.0.4", true)),
    ];
    let created = written(&plan(&EndpointsController, objects.clone()), "create Endpoints ns/web");
    let address = |name: &str, ip: &str| json!({"ip": ip, "nodeName": "n1", "targetRef": {"kind": "Pod", "namespace": "ns", "name": name, "uid": format!("{name}-uid")}});
    assert_eq!(
        created["subsets"],
        json!([{
            "addresses": [address("a", "10.1.0.2"), address("b", "10.1.0.10")],
            "notReadyAddresses": [address("c", "10.1.0.3")],
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP", "appProtocol": "h2c"}],
        }])
    );
    assert_eq!(
        created["metadata"]["labels"],
        json!({"tier": "front", "endpoints.kubernetes.io/managed-by": "endpoint-controller"})
    );
    assert!(plan(&EndpointsController, objects.into_iter().chain([created.clone()])).is_empty());
    let emptied = plan(&EndpointsController, [service(), created.clone()]);
    assert_eq!(written(&emptied, "update Endpoints").get("subsets"), None);
    let key = object(service()).key().clone();
    let orphaned = crate::testing::plan_at(&EndpointsController, crate::testing::now(), &key, vec![created]);
    assert_eq!(lines(&orphaned, ""), ["delete Endpoints ns/web"]);
}

#[test]
fn too_many_endpoints_are_truncated() {
    let pods = (0..1001).map(|n| pod(&format!("p{n}"), &format!("10.1.{}.{}", n / 250, n % 250), n > 0));
    let created =
        written(&plan(&EndpointsController, std::iter::once(service()).chain(pods)), "create Endpoints");
    assert_eq!(created["metadata"]["annotations"]["endpoints.kubernetes.io/over-capacity"], "truncated");
    assert_eq!(created["subsets"][0]["addresses"].as_array().unwrap().len(), 1000);
    assert_eq!(created["subsets"][0].get("notReadyAddresses"), None);
}

#[test]
fn a_pod_is_named_below_a_headless_service() {
    let named = with(with(pod("a", "10.1.0.1", true), "/spec/hostname", "zero"), "/spec/subdomain", "web");
    assert_eq!(slice([service(), named.clone()])["endpoints"][0]["hostname"], "zero");
    assert_eq!(slice([service(), with(named, "/spec/subdomain", "x")])["endpoints"][0].get("hostname"), None);
}

#[test]
fn endpoints_of_people_are_mirrored() {
    let own = with(service(), "/spec/selector", Value::Null);
    let endpoints = json!({
        "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "web", "labels": {"x": "y"}},
        "subsets": [{"addresses": [{"ip": "10.2.0.1"}], "notReadyAddresses": [{"ip": "10.2.0.2"}, {"ip": "fd00::2"}],
            "ports": [{"port": 53, "protocol": "UDP"}]}],
    });
    let mirrored = plan(&EndpointSliceMirroringController, [endpoints.clone(), own.clone()]);
    let slices: Vec<Value> =
        mirrored.writes().map(|write| crate::testing::body(&write.operation).unwrap().clone()).collect();
    assert_eq!(
        slices.iter().map(states).collect::<Vec<_>>(),
        [vec!["10.2.0.1 ready", "10.2.0.2 "], vec!["fd00::2 "]]
    );
    assert_eq!(slices[0]["ports"], json!([{"name": "", "port": 53, "protocol": "UDP"}]));
    assert_eq!(slices[0]["metadata"]["ownerReferences"][0]["kind"], "Endpoints");
    assert_eq!(
        slices[0]["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"],
        "endpointslicemirroring-controller.k8s.io"
    );
    let skipped = with(
        endpoints.clone(),
        "/metadata/labels",
        json!({"endpointslice.kubernetes.io/skip-mirror": "true"}),
    );
    for (endpoints, service) in [(skipped, own), (endpoints, service())] {
        let objects = [endpoints, service].into_iter().chain(slices.clone());
        let plan = plan(&EndpointSliceMirroringController, objects);
        assert_eq!(
            plan.writes().map(xebec_coordinator::Write::verb).collect::<Vec<_>>(),
            ["delete", "delete"]
        );
    }
}
