//! More than the server does at once, and clients that do not take what they asked for.

use serde_json::json;

use super::server::{Server, get, request, wait};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// The same request, of a user that administers nothing.
fn of_bob(request: Vec<u8>) -> Vec<u8> {
    String::from_utf8(request).unwrap().replace("Bearer admin", "Bearer bob").into_bytes()
}

fn post(path: &str, body: &serde_json::Value) -> Vec<u8> {
    request("POST", path, "application/json", body.to_string().as_bytes())
}

fn config_map(name: &str) -> Vec<u8> {
    post(MAPS, &json!({"metadata": {"name": name}}))
}

fn let_bob_in(server: &Server) {
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}]);
    let role = json!({"metadata": {"name": "bob"}, "rules": rules});
    let binding = json!({
        "metadata": {"name": "bob"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "bob"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "bob"}],
    });
    let group = "/apis/rbac.authorization.k8s.io/v1";
    assert_eq!(server.send(&post(&format!("{group}/clusterroles"), &role)).code(), 201);
    assert_eq!(server.send(&post(&format!("{group}/clusterrolebindings"), &binding)).code(), 201);
}

#[test]
fn more_requests_than_are_worked_on_at_once_are_told_to_come_again() {
    let mut server = Server::start_with("", &["--max-mutating-requests-inflight", "2"]);
    let_bob_in(&server);
    let whole = of_bob(config_map("a"));
    let half: Vec<_> = (0..2)
        .map(|_| {
            let mut client = server.connect();
            client.write(&whole[..whole.len() - 1]);
            client
        })
        .collect();
    wait("both slots to be taken", || {
        server.send(&of_bob(request("DELETE", &format!("{MAPS}/none"), "", b""))).code() == 429
    });
    let mut client = server.connect();
    client.write(&whole);
    let refusal = client.read_to("HTTP/1.1");
    assert!(refusal.contains("429"), "{refusal}");
    client.read_to("retry-after: 1");
    client.read_to("Too many requests, please try again later.");
    // Reads have slots of their own, watches have none, and administrators need none.
    assert_eq!(server.send(&of_bob(get(MAPS))).code(), 200);
    let mut watch = server.connect();
    watch.write(&of_bob(get(&format!("{MAPS}?watch=1"))));
    assert_eq!(server.send(&config_map("b")).code(), 201);
    watch.read_to("\"name\":\"b\"");
    drop(half);
    wait("a slot to be free", || server.send(&whole).code() == 201);
    server.is_unharmed("too many requests");
    server.end();
}

#[test]
fn a_client_that_never_reads_its_answer_is_let_go() {
    // More than the kernel holds of a connection.
    const OBJECTS: usize = 16;
    let mut server = Server::start_with("", &["--write-ms-max", "300", "--max-requests-inflight", "4"]);
    let_bob_in(&server);
    let pad = "x".repeat(900_000);
    for n in 0..OBJECTS {
        let body = json!({"metadata": {"name": format!("big-{n}")}, "data": {"pad": pad}});
        assert_eq!(server.send(&post(MAPS, &body)).code(), 201);
    }
    let before = server.descriptors();
    let list = of_bob(get(MAPS));
    let stalled: Vec<_> = (0..4)
        .map(|_| {
            let mut client = server.connect();
            client.write(&list);
            client
        })
        .collect();
    let small = of_bob(get(&format!("{MAPS}/none")));
    wait("all slots to be taken", || server.send(&small).code() == 429);
    wait("all connections to be closed", || server.descriptors() <= before);
    assert_eq!(server.send(&small).code(), 404);
    for mut client in stalled {
        // What was sent is read, and then there is an end to it, within the answer.
        while client.more().is_ok() {}
        assert!(client.bytes().len() < OBJECTS * pad.len(), "{} bytes", client.bytes().len());
    }
    server.is_unharmed("clients that do not read");
    server.end();
}

#[test]
fn as_many_files_are_open_as_the_system_allows() {
    let mut server = Server::start_with("ulimit -S -n 64;", &[]);
    let clients: Vec<_> = (0..100).map(|_| server.plain()).collect();
    wait("more connections than the lower limit", || server.descriptors() > clients.len());
    server.is_unharmed("a low limit of open files");
    server.end();
}
