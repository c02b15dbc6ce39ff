//! Subresources, request by request: what the recordings do not show.

#![allow(clippy::unwrap_used, reason = "a test's panic is its failure")]

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use jiff::Timestamp;
use serde_json::{Value, json};
use xebec_apiserver::{Cluster, access::User, clock::Clock, http::Peer};

const PODS: &str = "/api/v1/namespaces/default/pods";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

struct Client(Cluster);

impl Client {
    fn new() -> Self {
        Self(Cluster::with_clock(Clock::still(Timestamp::UNIX_EPOCH)))
    }

    async fn send(&self, method: &str, path: &str, content_type: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type)
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let admin = User { name: "admin".into(), groups: vec!["system:masters".into()], ..User::default() };
        let answer = self.0.handle(request, Peer::User(admin.authenticated().into())).await;
        let (parts, body) = answer.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (parts.status.as_u16(), serde_json::from_slice(&bytes).unwrap())
    }

    async fn json(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.send(method, path, "application/json", &body).await
    }

    async fn merge(&self, path: &str, body: Value) -> (u16, Value) {
        self.send("PATCH", path, "application/merge-patch+json", &body).await
    }

    async fn created(&self, path: &str, body: Value) -> Value {
        let (code, object) = self.json("POST", path, body).await;
        assert_eq!(code, 201, "{object}");
        object
    }
}

fn pod_spec() -> Value {
    json!({"containers": [{"name": "c", "image": "i"}]})
}

fn refusal(answer: &(u16, Value)) -> (u16, &str, &Value) {
    (answer.0, answer.1["message"].as_str().unwrap_or_default(), &answer.1["details"])
}

#[tokio::test]
async fn a_binding_holds_the_pod_to_its_uid_and_version() {
    let client = Client::new();
    let pod = client.created(PODS, json!({"metadata": {"name": "p"}, "spec": pod_spec()})).await;
    let version = pod["metadata"]["resourceVersion"].as_str().unwrap();
    let binding = |metadata: Value| {
        let mut binding = json!({"metadata": metadata, "target": {"kind": "Node", "name": "n"}});
        binding["metadata"]["name"] = "p".into();
        binding
    };
    let path = format!("{PODS}/p/binding");
    let prefix = "Operation cannot be fulfilled on pods \"p\": StorageError: invalid object, Code: 4, Key: \
                  /registry/pods/default/p, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: ";
    let details = json!({"name": "p", "kind": "pods"});
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    let answer = client.json("POST", &path, binding(json!({"uid": "other"}))).await;
    let want = format!("{prefix}UID in precondition: other, UID in object meta: {uid}");
    assert_eq!(refusal(&answer), (409, want.as_str(), &details));
    let answer = client.json("POST", &path, binding(json!({"uid": uid, "resourceVersion": "1"}))).await;
    let want =
        format!("{prefix}ResourceVersion in precondition: 1, ResourceVersion in object meta: {version}");
    assert_eq!(refusal(&answer), (409, want.as_str(), &details));
    let answer =
        client.json("POST", &path, json!({"metadata": {"name": "p"}, "target": {"kind": "Pod"}})).await;
    let want = "[target.kind: Unsupported value: \"Pod\": supported values: \"Node\", \"<empty>\", target.name: Required value]";
    assert_eq!((answer.0, answer.1["message"].as_str().unwrap()), (500, want));
    // As an object of its own it has no uid to hold anybody to.
    let path = "/api/v1/namespaces/default/bindings";
    let answer =
        client.json("POST", path, binding(json!({"uid": "other", "resourceVersion": version}))).await;
    assert_eq!(answer.0, 201, "{}", answer.1);
    let (_, pod) = client.json("GET", &format!("{PODS}/p"), Value::Null).await;
    assert_eq!((&pod["spec"]["nodeName"], &pod["metadata"]["generation"]), (&json!("n"), &json!(1)));
}

#[tokio::test]
async fn a_scale_is_that_of_one_object() {
    let client = Client::new();
    let spec = json!({"replicas": 2, "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod_spec()}});
    let object = client.created(DEPLOYMENTS, json!({"metadata": {"name": "d"}, "spec": spec})).await;
    let uid = object["metadata"]["uid"].as_str().unwrap();
    let path = format!("{DEPLOYMENTS}/d/scale");
    let answer = client.merge(&path, json!({"metadata": {"uid": "other"}, "spec": {"replicas": 3}})).await;
    let want = format!(
        "Operation cannot be fulfilled on deployments/scale.apps \"d\": Precondition failed: UID in precondition: other, \
         UID in object meta: {uid}"
    );
    let details = json!({"name": "d", "group": "apps", "kind": "deployments/scale"});
    assert_eq!(refusal(&answer), (409, want.as_str(), &details));
    let scale = json!({"metadata": {"name": "d", "uid": "other"}, "spec": {"replicas": 3}});
    let answer = client.json("PUT", &path, scale).await;
    assert_eq!((answer.0, &answer.1["details"]["kind"]), (409, &json!("deployments")));
    let missing = format!("{DEPLOYMENTS}/none/scale");
    let answer = client.merge(&missing, json!({"spec": {"replicas": 3}})).await;
    assert_eq!(
        (answer.0, answer.1["message"].as_str().unwrap()),
        (404, "deployments/scale.apps \"none\" not found")
    );
    let (code, scale) = client.merge(&path, json!({"spec": {"replicas": 0}})).await;
    assert_eq!((code, &scale["spec"], scale["metadata"].get("managedFields")), (200, &json!({}), None));
    let (_, object) = client.json("GET", &format!("{DEPLOYMENTS}/d"), Value::Null).await;
    assert_eq!(object["spec"]["replicas"], 0);
}

#[tokio::test]
async fn the_replicas_of_a_custom_resource_must_be_there() {
    let client = Client::new();
    let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let scale = json!({"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"});
    let definition = json!({"metadata": {"name": "widgets.example.com"}, "spec": {
        "group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"scale": scale},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": any, "status": any}}}}]}});
    client.created("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition).await;
    let widgets = "/apis/example.com/v1/namespaces/default/widgets";
    let widget =
        json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {}});
    client.created(widgets, widget).await;
    let path = format!("{widgets}/w/scale");
    let answer = client.json("GET", &path, Value::Null).await;
    let want = "Internal error occurred: the spec replicas field \".spec.size\" does not exist";
    assert_eq!((answer.0, answer.1["message"].as_str().unwrap()), (500, want));
    let answer = client.merge(&path, json!({"metadata": {"labels": {"a": "b"}}})).await;
    let want = "the spec replicas field \".spec.size\" cannot be empty";
    assert_eq!((answer.0, answer.1["message"].as_str().unwrap()), (400, want));
    assert_eq!(client.merge(&path, json!({"spec": {"replicas": 4}})).await.1["spec"]["replicas"], 4);
    let answer = client.merge(&format!("{widgets}/w"), json!({"spec": {"size": "4"}})).await;
    let want = "Widget.example.com \"w\" is invalid: .spec.size: Invalid value: 0: .spec.size accessor error: 4 is of the \
                type string, expected int64";
    assert_eq!((answer.0, answer.1["message"].as_str().unwrap()), (422, want));
    let answer = client.merge(&format!("{widgets}/w"), json!({"kind": "Gadget"})).await;
    let want = "Widget.example.com \"w\" is invalid: kind: Invalid value: \"Gadget\": must be Widget";
    assert_eq!((answer.0, answer.1["message"].as_str().unwrap()), (422, want));
}
