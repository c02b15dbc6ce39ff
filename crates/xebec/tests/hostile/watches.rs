//! Watchers that never read.

use serde_json::json;

use super::server::{Client, Server, get, request};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// Writes `count` objects of `bytes` each, one after the other on one connection.
fn write(server: &Server, count: usize, bytes: usize) {
    let mut client = server.connect();
    let pad = "x".repeat(bytes);
    let put = |client: &mut Client, n: usize| {
        let body =
            json!({"metadata": {"name": "busy"}, "data": {"n": n.to_string(), "pad": pad}}).to_string();
        client.write(&request("PUT", &format!("{MAPS}/busy"), "application/json", body.as_bytes()));
    };
    // A few under way, so that neither side waits for the other.
    for n in 0..count {
        put(&mut client, n);
        if n >= 8 {
            assert_eq!(client.outcome().code(), 200);
        }
    }
    for _ in 0..count.min(8) {
        assert_eq!(client.outcome().code(), 200);
    }
}

#[test]
fn a_watcher_that_never_reads_costs_what_the_log_keeps() {
    let mut server = Server::start();
    let body = json!({"metadata": {"name": "busy"}}).to_string();
    assert_eq!(server.send(&request("POST", MAPS, "application/json", body.as_bytes())).code(), 201);
    let watch = get(&format!("{MAPS}?watch=1"));
    let mut silent: Vec<_> = (0..50)
        .map(|_| {
            let mut client = server.connect();
            client.write(&watch);
            client
        })
        .collect();
    let mut reader = server.connect();
    reader.write(&watch);
    reader.read_to("ADDED");
    write(&server, 10_000, 1_000);
    // The log keeps 20,000 events of at most 64 MB; 10,000 of 1 kB are far less.
    server.is_unharmed_within(160 << 20, "watchers that never read");
    // Who reads is not held up by who does not, and who begins to read at last finds everything.
    reader.read_to("\"n\":\"9999\"");
    silent[0].read_to("\"n\":\"9999\"");
    drop(silent);
    server.end();
}

/// When the log no longer reaches back to where a watcher stands, it is told.
#[test]
fn a_watcher_that_is_too_late_is_told() {
    let mut server = Server::start();
    let body = json!({"metadata": {"name": "busy"}}).to_string();
    assert_eq!(server.send(&request("POST", MAPS, "application/json", body.as_bytes())).code(), 201);
    let mut late = server.connect();
    late.write(&get(&format!("{MAPS}?watch=1")));
    late.read_to("ADDED");
    write(&server, 200, 1_000_000);
    server.is_unharmed_within(300 << 20, "a log of big objects");
    let told = late.read_to("\"type\":\"ERROR\"");
    assert!(
        told.contains("too old resource version") && told.contains("\"code\":410"),
        "{}",
        &told[told.len() - 400..]
    );
}
