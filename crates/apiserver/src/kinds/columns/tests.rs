//! Rows that the recordings do not show.

use serde_json::json;

use super::*;
use crate::kinds::table::RESOURCES;

const NOW: &str = "2026-01-02T00:00:00Z";
const CREATED: &str = "2026-01-01T23:55:00Z";

fn resource(group: &str, version: &str, kind: &str) -> &'static Resource {
    let is = |r: &&std::sync::Arc<Resource>| &*r.group == group && &*r.version == version && &*r.kind == kind;
    RESOURCES.iter().find(is).unwrap()
}

fn options() -> TableOptions {
    TableOptions {
        version: MetaVersion::V1,
        include: IncludeObject::None,
        headers: false,
        now: NOW.parse().unwrap(),
    }
}

/// The cells after the name and without the age, which all objects here have in common.
fn cells(group: &str, kind: &str, mut object: Value) -> Value {
    let metadata = object::metadata_mut(&mut object);
    metadata.insert("name".to_owned(), "n".into());
    metadata.entry("creationTimestamp").or_insert_with(|| CREATED.into());
    let resource = resource(group, "v1", kind);
    let cells = Printer::of(resource).cells(&object, options().now);
    let rows = cells.len();
    let shown: Vec<Value> = cells.into_iter().filter(|cell| cell != "n" && cell != "5m").collect();
    assert!(rows - shown.len() <= 2 && rows > shown.len(), "{kind}: {shown:?}");
    Value::Array(shown)
}

#[test]
fn every_row_has_a_cell_for_each_column_and_any_object_can_be_shown() {
    for resource in RESOURCES.iter() {
        let printer = Printer::of(resource);
        for object in [json!({}), json!({"metadata": null, "spec": [], "status": "x"})] {
            let cells = printer.cells(&object, options().now).len();
            // Kubernetes shows an age that has no column.
            let extra = usize::from(&*resource.kind == "IPAddress");
            assert_eq!(cells, printer.columns.len() + extra, "{}", resource.kind);
        }
    }
    for row in ROWS {
        let known = RESOURCES.iter().any(|r| &*r.group == row.group && &*r.kind == row.kind);
        assert!(known, "{}/{}", row.group, row.kind);
    }
}

#[test]
fn the_status_of_a_pod_is_one_word() {
    let status = |container: Value| {
        json!({"status": {"phase": "Running", "containerStatuses": [container]},
            "spec": {"containers": [{"name": "c"}]}})
    };
    let sidecar = |state: Value| {
        json!({
            "spec": {"containers": [{"name": "c"}], "initContainers": [
                {"name": "once"}, {"name": "side", "restartPolicy": "Always"}]},
            "status": {"phase": "Running", "initContainerStatuses": [
                {"name": "once", "restartCount": 7, "state": {"terminated": {"exitCode": 0}}}, state],
                "containerStatuses": [{"name": "c", "ready": true, "state": {"running": {}}}]},
        })
    };
    let deleted = |reason: &str, phase: &str| json!({"metadata": {"deletionTimestamp": NOW}, "status": {"phase": phase, "reason": reason}});
    for (pod, ready, word, restarts) in [
        (status(json!({"ready": true, "state": {"running": {}}})), "1/1", "Running", "0"),
        (
            status(json!({"ready": true, "restartCount": 3, "state": {"running": {}},
                "lastState": {"terminated": {"finishedAt": "2026-01-01T22:00:00Z"}}})),
            "1/1",
            "Running",
            "3 (120m ago)",
        ),
        (status(json!({"state": {"terminated": {"exitCode": 3}}})), "0/1", "ExitCode:3", "0"),
        (status(json!({"state": {"terminated": {"exitCode": 137, "signal": 9}}})), "0/1", "Signal:9", "0"),
        (status(json!({"state": {"waiting": {}}})), "0/1", "Running", "0"),
        (
            sidecar(json!({"name": "side", "restartCount": 2, "started": true, "ready": true})),
            "2/2",
            "Running",
            "2",
        ),
        (sidecar(json!({"name": "side", "started": false})), "0/2", "Init:1/2", "7"),
        (
            sidecar(json!({"name": "side", "state": {"waiting": {"reason": "PodInitializing"}}})),
            "0/2",
            "Init:1/2",
            "7",
        ),
        (
            sidecar(json!({"name": "side", "state": {"terminated": {"exitCode": 1, "signal": 15}}})),
            "0/2",
            "Init:Signal:15",
            "7",
        ),
        (
            json!({"spec": {"containers": [{}, {}]}, "status": {"phase": "Running", "containerStatuses": [
                {"state": {"terminated": {"reason": "Completed"}}}, {"ready": true, "state": {"running": {}}}]}}),
            "1/2",
            "NotReady",
            "0",
        ),
        (
            json!({"spec": {"containers": [{}, {}]}, "status": {"phase": "Running",
                "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [
                {"state": {"terminated": {"reason": "Completed"}}}, {"ready": true, "state": {"running": {}}}]}}),
            "1/2",
            "Running",
            "0",
        ),
        (
            json!({"spec": {"containers": [{}, {}]}, "status": {"phase": "Running", "containerStatuses": [
                {"state": {"terminated": {"reason": "Completed"}}},
                {"state": {"terminated": {"reason": "Error", "exitCode": 1}}}]}}),
            "0/2",
            "Error",
            "0",
        ),
        (deleted("", "Running"), "0/0", "Terminating", "0"),
        (deleted("NodeLost", "Running"), "0/0", "Unknown", "0"),
        (deleted("", "Succeeded"), "0/0", "Succeeded", "0"),
    ] {
        let shown = cells("", "Pod", pod.clone());
        assert_eq!(shown, json!([ready, word, restarts, "<none>", "<none>", "<none>", "<none>"]), "{pod}");
    }
}

#[test]
fn a_wide_row_of_a_pod_says_where_it_is_and_which_gates_are_open() {
    let pod = json!({
        "spec": {"containers": [{}], "nodeName": "n1", "readinessGates": [
            {"conditionType": "a"}, {"conditionType": "b"}]},
        "status": {"phase": "Pending", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
            "nominatedNodeName": "n2", "conditions": [
            {"type": "a", "status": "True"}, {"type": "b", "status": "False"}]},
    });
    assert_eq!(cells("", "Pod", pod), json!(["0/1", "Pending", "0", "10.0.0.1", "n1", "n2", "1/2"]));
}

#[test]
fn what_scales_says_what_it_measures() {
    let scaler = |metrics: Value, current: Value| {
        json!({"spec": {"scaleTargetRef": {"kind": "D", "name": "x"}, "maxReplicas": 3, "metrics": metrics},
            "status": {"currentReplicas": 2, "currentMetrics": current}})
    };
    let utilization = |kind: &str, name: &str| {
        let part = kind[..1].to_lowercase() + &kind[1..];
        json!({"type": kind, part: {"name": name, "target": {"type": "Utilization", "averageUtilization": 60}}})
    };
    let printer = Printer::of(resource("autoscaling", "v2", "HorizontalPodAutoscaler"));
    for (metrics, current, said) in [
        (json!([]), json!([]), "<none>"),
        (
            json!([utilization("Resource", "cpu")]),
            json!([{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 40}}}]),
            "cpu: 40%/60%",
        ),
        (
            json!([utilization("ContainerResource", "cpu"), {"type": "Pods", "pods": {"target": {"averageValue": "1k"}}},
                utilization("Resource", "memory")]),
            json!([{}, {"pods": {"current": {"averageValue": "500"}}}]),
            "cpu: <unknown>/60%, 500/1k + 1 more...",
        ),
        (
            json!([{"type": "External", "external": {"target": {"averageValue": "2"}}},
                {"type": "Object", "object": {"target": {"value": "9"}}}]),
            json!([{"external": {"current": {"averageValue": "1"}}}, {"object": {"current": {"value": "4"}}}]),
            "1/2 (avg), 4/9",
        ),
        (json!([{"type": "Odd"}]), json!([]), "<unknown type>"),
    ] {
        let cells = printer.cells(&scaler(metrics, current), options().now);
        assert_eq!(cells[1..6], [json!("D/x"), json!(said), json!("<unset>"), json!(3), json!(2)]);
    }
}

#[test]
fn services_say_how_they_are_reached() {
    let service = |spec: Value, ingress: Value| {
        cells("", "Service", json!({"spec": spec, "status": {"loadBalancer": {"ingress": ingress}}}))[2]
            .clone()
    };
    let balanced = |ips: Value| json!({"type": "LoadBalancer", "externalIPs": ips});
    let ingress = json!([{"hostname": "lb.example.com"}, {"ip": "192.0.2.9"}, {"ip": "192.0.2.10"}]);
    assert_eq!(service(balanced(json!([])), json!([])), "<pending>");
    assert_eq!(service(balanced(json!([])), ingress.clone()), "192.0.2.10,192.0.2.9,lb.example.com");
    assert_eq!(service(balanced(json!(["1.1.1.1"])), json!([{"ip": "2.2.2.2"}])), "2.2.2.2,1.1.1.1");
    assert_eq!(
        service(json!({"type": "NodePort", "externalIPs": ["1.1.1.1", "3.3.3.3"]}), json!([])),
        "1.1.1.1,3.3.3.3"
    );
    assert_eq!(service(json!({"type": ""}), json!([])), "<unknown>");
}

#[test]
fn network_rows_shorten_what_is_long() {
    let rules: Vec<Value> = ["a", "b", "", "c", "d", "e"].iter().map(|host| json!({"host": host})).collect();
    assert_eq!(
        cells("networking.k8s.io", "Ingress", json!({"spec": {"rules": rules}})),
        json!(["<none>", "a,b,c + 3 more...", "", "80"])
    );
    assert_eq!(cells("networking.k8s.io", "Ingress", json!({"spec": {}})), json!(["<none>", "*", "", "80"]));
    let addresses = json!([{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]);
    let subsets = |ports: Value| json!({"subsets": [{"addresses": addresses, "ports": ports}]});
    let endpoints = |object| cells("", "Endpoints", object)[0].clone();
    assert_eq!(endpoints(subsets(json!([]))), "10.0.0.1,fd00::1");
    assert_eq!(
        endpoints(subsets(json!([{"port": 80}, {"port": 443}]))),
        "10.0.0.1:80,[fd00::1]:80,10.0.0.1:443 + 1 more..."
    );
    assert_eq!(endpoints(json!({"subsets": null})), "<none>");
    assert_eq!(
        cells(
            "discovery.k8s.io",
            "EndpointSlice",
            json!({"addressType": "IPv4", "endpoints": null,
            "ports": [{"port": 1}, {"name": "x"}, {"name": ""}, {}]})
        ),
        json!(["IPv4", "1,x, + 1 more...", "<unset>"])
    );
    let address = json!({"spec": {"parentRef": {"resource": "services", "namespace": "a", "name": "b"}}});
    assert_eq!(cells("networking.k8s.io", "IPAddress", address), json!(["services/a/b"]));
    let gateway = json!({"spec": {"parentRef": {"group": "g.io", "resource": "gateways", "name": "b"}}});
    assert_eq!(cells("networking.k8s.io", "IPAddress", gateway), json!(["gateways.g.io/b"]));
    let cidr = json!({"spec": {"cidrs": ["10.0.0.0/16", "fd00::/108"]}});
    assert_eq!(cells("networking.k8s.io", "ServiceCIDR", cidr), json!(["10.0.0.0/16,fd00::/108"]));
}

#[test]
fn storage_rows() {
    let volume = json!({"metadata": {"annotations": {"volume.beta.kubernetes.io/storage-class": "old"}},
        "spec": {"accessModes": ["ReadWriteOncePod", "ReadWriteMany", "ReadWriteMany"], "storageClassName": "new",
            "persistentVolumeReclaimPolicy": "Retain", "volumeAttributesClassName": "gold"},
        "status": {"phase": "Failed", "reason": "why"}});
    assert_eq!(
        cells("", "PersistentVolume", volume),
        json!(["0", "RWX,RWOP", "Retain", "Failed", "", "old", "gold", "why", "<unset>"])
    );
    let claim = json!({"metadata": {"deletionTimestamp": NOW}, "spec": {"volumeName": "v", "volumeMode": "Block"},
        "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}});
    assert_eq!(
        cells("", "PersistentVolumeClaim", claim),
        json!(["Terminating", "v", "1Gi", "RWO", "", "<unset>", "Block"])
    );
    let class = json!({"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "p"});
    assert_eq!(
        cells("storage.k8s.io", "StorageClass", class),
        json!(["n (default)", "p", "Delete", "Immediate", false])
    );
    let attachment = json!({"spec": {"attacher": "a", "nodeName": "m", "source": {"persistentVolumeName": "v"}},
        "status": {"attached": true}});
    assert_eq!(cells("storage.k8s.io", "VolumeAttachment", attachment), json!(["a", "v", "m", true]));
    let claim = |metadata: Value, status: Value| {
        cells("resource.k8s.io", "ResourceClaim", json!({"metadata": metadata, "status": status}))[0].clone()
    };
    assert_eq!(claim(json!({}), json!({})), "pending");
    assert_eq!(claim(json!({}), json!({"allocation": {}, "reservedFor": [{}]})), "allocated,reserved");
    assert_eq!(claim(json!({"deletionTimestamp": NOW}), json!({})), "deleted");
}

#[test]
fn access_rows() {
    let binding = json!({"roleRef": {"kind": "ClusterRole", "name": "view"}, "subjects": [
        {"kind": "User", "name": "ann"}, {"kind": "User", "name": "bob"}, {"kind": "Odd", "name": "x"},
        {"kind": "ServiceAccount", "namespace": "a", "name": "b"}]});
    assert_eq!(
        cells("rbac.authorization.k8s.io", "ClusterRoleBinding", binding),
        json!(["ClusterRole/view", "ann, bob", "", "a/b"])
    );
    let policy = json!({"spec": {"mutations": [{}, {}]}});
    assert_eq!(cells(ADMISSION, "MutatingAdmissionPolicy", policy), json!([2, "<unset>"]));
    let parameters = |reference: Value| {
        let binding = json!({"spec": {"policyName": "p", "paramRef": reference}});
        cells(ADMISSION, "MutatingAdmissionPolicyBinding", binding)[1].clone()
    };
    assert_eq!(parameters(json!({"name": "x"})), "*/x");
    assert_eq!(
        parameters(json!({"selector": {"matchLabels": {"a": "b"}}})),
        "&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{},}"
    );
    assert_eq!(parameters(json!(null)), "<unset>");
}

#[test]
fn cluster_rows() {
    let service = |conditions: Value| json!({"spec": {"service": {"namespace": "a", "name": "b"}}, "status": {"conditions": conditions}});
    let conditions = json!([{"type": "Available", "status": "False", "reason": "Gone"}]);
    assert_eq!(
        cells("apiregistration.k8s.io", "APIService", service(conditions)),
        json!(["a/b", "False (Gone)"])
    );
    assert_eq!(cells("apiregistration.k8s.io", "APIService", json!({})), json!(["Local", "Unknown"]));
    let request = json!({"spec": {"username": "u"}, "status": {"certificate": "eA==", "conditions": [
        {"type": "Approved"}, {"type": "Failed"}]}});
    assert_eq!(
        cells("certificates.k8s.io", "CertificateSigningRequest", request),
        json!(["<none>", "u", "<none>", "Approved,Failed,Issued"])
    );
    let level = json!({"spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 30,
        "limitResponse": {"queuing": {"queues": 64, "handSize": 6, "queueLengthLimit": 50}}}}});
    assert_eq!(cells(FLOW_CONTROL, "PriorityLevelConfiguration", level), json!(["Limited", 30, 64, 6, 50]));
    let exempt = json!({"spec": {"type": "Exempt", "exempt": {}}});
    assert_eq!(
        cells(FLOW_CONTROL, "PriorityLevelConfiguration", exempt),
        json!(["Exempt", "<none>", "<none>", "<none>", "<none>"])
    );
    let revision = json!({"revision": 4, "metadata": {"ownerReferences": [
        {"kind": "Odd", "name": "no"}, {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "controller": true}]}});
    assert_eq!(cells("apps", "ControllerRevision", revision), json!(["daemonset.apps/d", 4]));
    let component =
        json!({"conditions": [{"type": "Healthy", "status": "False", "message": "m", "error": "e"}]});
    assert_eq!(cells("", "ComponentStatus", component), json!(["Unhealthy", "m", "e"]));
    let node = json!({"metadata": {"labels": {"kubernetes.io/role": "old", "node-role.kubernetes.io/": ""}},
        "spec": {}, "status": {"nodeInfo": {"kernelVersion": "", "architecture": "arm64"},
        "conditions": [{"type": "Ready", "status": "Unknown"}]}});
    assert_eq!(
        cells("", "Node", node),
        json!(["NotReady", "old", "", "<none>", "<none>", "<unknown>", "<unknown> (arm64)", "<unknown>"])
    );
}

#[test]
fn an_event_of_a_series_says_when_it_was_last_seen() {
    let event = json!({"metadata": {"name": "n"}, "eventTime": "2026-01-01T23:00:00.000000Z", "type": "Normal",
        "reason": "R", "involvedObject": {"kind": "Pod"}, "reportingComponent": "c", "reportingInstance": "i",
        "series": {"count": 7, "lastObservedTime": "2026-01-01T23:59:00.000000Z"}});
    let cells = Printer::of(resource("", "v1", "Event")).cells(&event, options().now);
    assert_eq!(Value::Array(cells), json!(["60s", "Normal", "R", "pod", "", "c, i", "", "60m", 7, "n"]));
}

#[test]
fn jobs_say_how_far_they_are() {
    let job = |spec: Value, status: Value| cells("batch", "Job", json!({"spec": spec, "status": status}));
    let started = "2026-01-01T23:50:00Z";
    let shown = job(json!({"parallelism": 3}), json!({"startTime": started, "succeeded": 1}));
    assert_eq!(shown, json!(["Running", "1/1 of 3", "10m", "", "", "<none>"]));
    let suspended = json!([{"type": "Complete", "status": "False"}, {"type": "Suspended", "status": "True"}]);
    let shown = job(json!({}), json!({"conditions": suspended}));
    assert_eq!(shown, json!(["Suspended", "0/1", "", "", "", "<none>"]));
}

#[test]
fn lists_of_flow_schemas_are_in_the_order_of_their_precedence() {
    let schema = |name: &str, precedence: i64| json!({"metadata": {"name": name}, "spec": {"matchingPrecedence": precedence}});
    let objects = [schema("c", 9), schema("b", 2), schema("a", 9)];
    let printer = Printer::of(resource(FLOW_CONTROL, "v1", "FlowSchema"));
    let table = table_of_list(&printer, &objects, &json!({"resourceVersion": "5"}), &options());
    let names: Vec<&Value> = table["rows"].as_array().unwrap().iter().map(|row| &row["cells"][0]).collect();
    assert_eq!(names, ["b", "a", "c"]);
    assert_eq!(table["metadata"], json!({"resourceVersion": "5"}));
    assert_eq!(table["columnDefinitions"], Value::Null);
}

#[test]
fn an_empty_list_has_no_rows_where_nothing_of_its_own_is_shown() {
    for (group, kind, rows) in [("", "Pod", json!([])), ("rbac.authorization.k8s.io", "Role", json!(null))] {
        let table = table_of_list(&Printer::of(resource(group, "v1", kind)), [], &json!({}), &options());
        assert_eq!(table["rows"], rows, "{kind}");
    }
}

#[test]
fn the_mark_at_the_end_of_initial_events_is_always_seen() {
    let mark =
        json!({"metadata": {"annotations": {"k8s.io/initial-events-end": "true"}, "resourceVersion": "7"}});
    let printer = Printer::of(resource("rbac.authorization.k8s.io", "v1", "Role"));
    let table = table_of_object(&printer, &mark, &options());
    assert_eq!(table["rows"][0]["cells"], json!(["", "0001-01-01T00:00:00Z"]));
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let table = table_of_object(&printer, &json!({"metadata": {"name": "r"}}), &options());
    assert_eq!(table["rows"][0]["object"], Value::Null);
}

#[test]
fn custom_resources_show_what_their_definition_says() {
    let version = json!({"additionalPrinterColumns": [
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size", "description": "How large."},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]});
    let base = resource("", "v1", "ConfigMap").clone();
    let custom = Resource { type_name: None, columns: custom_columns(&version).into(), ..base };
    let object = json!({"metadata": {"name": "w", "creationTimestamp": CREATED}, "spec": {"size": 3}});
    let options = TableOptions { headers: true, ..options() };
    let table = table_of_object(&Printer::of(&custom), &object, &options);
    assert_eq!(table["rows"][0]["cells"], json!(["w", 3, "5m"]));
    let descriptions: Vec<&str> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["description"].as_str().unwrap())
        .collect();
    assert!(descriptions[0].starts_with("Name must be unique"));
    assert_eq!(descriptions[1], "How large.");
    assert_eq!(
        descriptions[2],
        "Custom resource definition column (in JSONPath format): .metadata.creationTimestamp"
    );
}

#[test]
fn a_scale_has_columns_of_its_own() {
    let scale = json!({"metadata": {"name": "web", "creationTimestamp": CREATED}, "spec": {"replicas": 3},
        "status": {"replicas": 2}});
    let table = table_of_object(&Printer::of_scale(), &scale, &TableOptions { headers: true, ..options() });
    assert_eq!(table["rows"][0]["cells"], json!(["web", 3, 2, "5m"]));
    assert_eq!(table["columnDefinitions"][0]["format"], "");
}
