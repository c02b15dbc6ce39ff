//! Clients that connect and then do nothing, or little, or leave.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::json;

use super::server::{Outcome, Server, get, request, wait};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const LIMITS: [&str; 6] = ["--handshake-ms-max", "300", "--head-ms-max", "300", "--body-ms-max", "300"];

/// Reads until the server has closed.
fn is_closed(mut stream: &TcpStream) -> bool {
    let mut piece = [0; 1024];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

#[test]
fn a_half_open_connection_is_closed() {
    let mut server = Server::start_with("", &LIMITS);
    // Without a byte; within the first; within the handshake.
    let silent = server.plain();
    let mut one = server.plain();
    one.write_all(b"\x16").unwrap();
    let mut hello = server.plain();
    hello.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").unwrap();
    for (what, stream) in [("silent", &silent), ("one byte", &one), ("half a hello", &hello)] {
        assert!(is_closed(stream), "{what}");
    }
    // After the handshake: without a byte; within the line; within the headers; within the preface of HTTP/2.
    for begun in
        ["", "P", "GET /readyz HT", "GET /readyz HTTP/1.1\r\nHost: x\r\nA:", "PRI * HTTP/2.0\r\n\r\nSM"]
    {
        let mut client = server.connect();
        client.write(begun.as_bytes());
        let outcome = client.outcome();
        assert!(matches!(outcome.code(), 0 | 408), "{begun:?}: {outcome:?}");
    }
    let mut client = server.connect_http2();
    assert!(client.write(b"PRI * HTTP/2.0\r\n"));
    while client.more().is_ok() {}
    assert!(is_closed(&client.stream.sock), "half a preface");
    // After an answer.
    let mut idle = server.connect();
    idle.write(&get("/readyz"));
    assert_eq!(idle.outcome().code(), 200);
    assert_eq!(idle.outcome(), Outcome::Closed);
    server.is_unharmed("half-open connections");
    server.end();
}

#[test]
fn a_body_that_trickles_in_is_not_waited_for() {
    let mut server = Server::start_with("", &LIMITS);
    let whole = request("POST", MAPS, "application/json", &vec![b' '; 100_000]);
    let chunked = request("POST", MAPS, "application/json", b"");
    let chunked =
        String::from_utf8(chunked).unwrap().replace("Content-Length: 0", "Transfer-Encoding: chunked");
    // It stops; or it goes on, a byte at a time.
    for head in [&whole[..300], chunked.as_bytes()] {
        let mut client = server.connect();
        client.write(head);
        let outcome = client.outcome();
        assert_eq!(outcome.code(), 408, "{outcome:?}");
        assert_eq!(client.outcome(), Outcome::Closed);
    }
    let mut client = server.connect();
    client.write(&whole[..300]);
    client.stream.sock.set_read_timeout(Some(std::time::Duration::from_millis(5))).unwrap();
    wait("an answer to a body that trickles in", || {
        client.write(b" ");
        matches!(client.outcome(), Outcome::Answer { code: 408, .. } | Outcome::Closed)
    });
    // A head that trickles in.
    let mut client = server.connect();
    client.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\n");
    client.stream.sock.set_read_timeout(Some(std::time::Duration::from_millis(5))).unwrap();
    wait("the end of a head that trickles in", || {
        client.write(b"A: b\r\n");
        client.outcome() == Outcome::Closed
    });
    server.is_unharmed("slow bodies");
}

#[test]
fn thousands_of_idle_connections_cost_little() {
    const CONNECTIONS: usize = 2_000;
    let mut server = Server::start();
    let mut plain = Vec::new();
    for n in 0..CONNECTIONS {
        plain.push(server.plain());
        // No more at once than the kernel queues.
        if n % 50 == 0 {
            server.is_unharmed("idle connections without TLS");
        }
    }
    let mut idle: Vec<_> = (0..CONNECTIONS / 8).map(|_| server.connect()).collect();
    // Some 100 kB each at most, the handshake's peak included.
    server.is_unharmed_within(100 << 20, "idle connections");
    for client in idle.iter_mut().step_by(50) {
        client.write(&get("/readyz"));
        assert_eq!(client.outcome().code(), 200);
    }
    drop(plain);
    server.is_unharmed_within(100 << 20, "idle connections");
    server.end();
}

/// Out of file descriptors, others wait: the server neither ends nor spins, and goes on when there are some again.
#[test]
fn more_connections_than_the_process_may_have_only_wait() {
    let mut server = Server::start_with("ulimit -n 64;", &["--handshake-ms-max", "1000"]);
    let many: Vec<_> = (0..200).map(|_| server.plain()).collect();
    // One more where another test was starting its server: that one has a higher number.
    wait("no more file descriptors", || server.descriptors() >= 64);
    let before = server.processor_ms();
    assert!(is_closed(&many[0]));
    // Within a second of waiting.
    let spent = server.processor_ms() - before;
    assert!(spent < 300, "{spent} ms of processor time");
    drop(many);
    server.is_unharmed("no file descriptors");
}

#[test]
fn a_client_that_leaves_within_an_answer_is_forgotten() {
    let mut server = Server::start();
    let pad = "x".repeat(900_000);
    for n in 0..8 {
        let body = json!({"metadata": {"name": format!("big-{n}")}, "data": {"pad": pad}}).to_string();
        assert_eq!(server.send(&request("POST", MAPS, "application/json", body.as_bytes())).code(), 201);
    }
    for _ in 0..50 {
        let mut client = server.connect();
        client.write(&get(MAPS));
        client.more().unwrap();
    }
    for path in [MAPS.to_owned(), format!("{MAPS}?watch=1"), "/openapi/v2".to_owned()] {
        for _ in 0..20 {
            server.connect().write(&get(&path));
        }
    }
    // The eight objects, and pieces of them for clients that read nothing.
    let unread: Vec<_> = (0..100)
        .map(|_| {
            let mut client = server.connect();
            client.write(&get(MAPS).repeat(20));
            client
        })
        .collect();
    server.is_unharmed_within(200 << 20, "clients that leave");
    drop(unread);
    server.end();
}
