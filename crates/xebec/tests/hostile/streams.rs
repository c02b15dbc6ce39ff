//! HTTP/2, frame by frame.

use super::server::{Client, Server};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header, written out.
fn header(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        assert!(text.len() < 127);
        bytes.push(text.len() as u8);
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

fn head(method: &str, path: &str) -> Vec<u8> {
    let fields = [
        (":method", method),
        (":scheme", "https"),
        (":path", path),
        (":authority", "x"),
        ("authorization", "Bearer admin"),
    ];
    fields.iter().flat_map(|(name, value)| header(name, value)).collect()
}

fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &head("GET", path))
}

/// A connection whose settings are exchanged; each stream may be sent `window` bytes.
fn open(server: &Server, window: u32) -> Client {
    let mut client = server.connect_http2();
    let settings = [&[0, 4][..], &window.to_be_bytes()].concat();
    client.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    client.write(&frame(SETTINGS, 0, 0, &settings));
    client
}

/// The streams (odd, from 1) of `frames`, one after the other.
fn streams(count: u32, frames: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    (0..count).flat_map(|n| frames(2 * n + 1)).collect()
}

/// Reads frames until one of `kind` on `stream` comes; whether it came before the end.
fn reads(client: &mut Client, kind: u8, stream: u32) -> bool {
    loop {
        let bytes = client.bytes();
        if bytes.len() >= 9 {
            let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
            if bytes.len() >= 9 + length {
                let found = (bytes[3], u32::from_be_bytes([bytes[5], bytes[6], bytes[7], bytes[8]]));
                bytes.drain(..9 + length);
                if found == (kind, stream) {
                    return true;
                }
                continue;
            }
        }
        if client.more().is_err() {
            return false;
        }
    }
}

#[test]
fn frames_that_break_the_rules_end_the_connection() {
    let mut server = Server::start();
    let head = |path: &str| head("GET", path);
    let bomb: Vec<u8> = [head("/readyz"), header("a", &"b".repeat(120)), [0xbe].repeat(60_000)].concat();
    let fragments = |count: usize| {
        let pieces = (0..count)
            .flat_map(|_| frame(CONTINUATION, 0, 1, &header("a", &"b".repeat(100))))
            .collect::<Vec<_>>();
        [frame(HEADERS, END_STREAM, 1, &head("/readyz")), pieces].concat()
    };
    for (attack, frames) in [
        ("noise", vec![0xff; 100_000]),
        (
            "a frame beyond its size",
            [&[0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1][..], &vec![0; 100_000][..]].concat(),
        ),
        ("data on no stream", frame(DATA, 0, 0, b"a")),
        ("data on a stream that is idle", frame(DATA, 0, 7, b"a")),
        ("headers that are none", frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0xff; 1000])),
        ("an even stream", get(2, "/readyz")),
        ("continuations without end", fragments(20_000)),
        ("empty continuations", [fragments(0), frame(CONTINUATION, 0, 1, b"").repeat(50_000)].concat()),
        ("a window beyond numbers", frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]).repeat(2)),
        ("settings of odd length", frame(SETTINGS, 0, 0, &[0; 5])),
        ("a ping of odd length", frame(PING, 0, 0, &[0; 5])),
    ] {
        let mut client = open(&server, 65_535);
        // It may be closed before all is written.
        client.write(&frames);
        let _ = reads(&mut client, GOAWAY, 0);
        while client.more().is_ok() {}
        server.is_unharmed(attack);
    }
    // A small block that stands for megabytes: refused, on its stream or with the connection.
    let mut client = open(&server, 65_535);
    let pieces: Vec<u8> =
        bomb[16_000..].chunks(16_000).flat_map(|piece| frame(CONTINUATION, 0, 1, piece)).collect();
    client.write(
        &[frame(HEADERS, END_STREAM, 1, &bomb[..16_000]), pieces, frame(CONTINUATION, END_HEADERS, 1, b"")]
            .concat(),
    );
    let _ = reads(&mut client, GOAWAY, 0);
    server.is_unharmed("a block that stands for megabytes");
    server.end();
}

#[test]
fn streams_that_are_reset_at_once_are_not_worked_off() {
    let mut server = Server::start();
    let path = "/api/v1/configmaps?watch=1";
    let mut client = open(&server, 65_535);
    let flood =
        streams(20_000, |stream| [get(stream, path), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat());
    client.write(&flood);
    // Told off, or everything forgotten: the connection still answers a ping, or is closed.
    client.write(&frame(PING, 0, 0, b"01234567"));
    let _ = reads(&mut client, PING, 0);
    server.is_unharmed("rapid reset");
    // Streams that the server has to reset itself.
    let mut client = open(&server, 65_535);
    client.write(&streams(20_000, |stream| {
        [get(stream, path), frame(WINDOW_UPDATE, 0, stream, &[0; 4])].concat()
    }));
    client.write(&frame(PING, 0, 0, b"01234567"));
    let _ = reads(&mut client, PING, 0);
    server.is_unharmed("resets made by the server");
}

#[test]
fn floods_of_small_frames_are_no_work() {
    let mut server = Server::start();
    for (attack, frames) in [
        ("pings", frame(PING, 0, 0, b"01234567").repeat(50_000)),
        ("settings", frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1]).repeat(50_000)),
        ("priorities", streams(50_000, |stream| frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 1]))),
        (
            "empty data",
            [
                frame(HEADERS, END_HEADERS, 1, &head("POST", "/api/v1/namespaces")),
                frame(DATA, 0, 1, b"").repeat(50_000),
            ]
            .concat(),
        ),
    ] {
        let mut client = open(&server, 65_535);
        // Answers are not read while it writes.
        client.write(&frames);
        server.is_unharmed(attack);
    }
    server.end();
}

#[test]
fn many_streams_that_are_never_read_are_bounded() {
    let mut server = Server::start();
    // Each may be sent one byte; each answer is a document of megabytes, or a list.
    for path in ["/openapi/v2", "/api/v1/namespaces", "/api/v1/configmaps?watch=1"] {
        for window in [0, 1] {
            let mut client = open(&server, window);
            client.write(&streams(3_000, |stream| get(stream, path)));
            client.write(&frame(PING, 0, 0, b"01234567"));
            assert!(reads(&mut client, PING, 0), "{path}");
            server.is_unharmed_within(160 << 20, path);
        }
    }
    server.end();
}

#[test]
fn a_body_that_is_not_as_long_as_it_says_is_refused() {
    let mut server = Server::start();
    for (length, data) in [("2", "{\"metadata\":{}}"), ("100", "{}"), ("99999999999999999999", "{}")] {
        let mut client = open(&server, 65_535);
        let head = [
            head("POST", "/api/v1/namespaces"),
            header("content-length", length),
            header("content-type", "application/json"),
        ]
        .concat();
        client.write(&frame(HEADERS, END_HEADERS, 1, &head));
        client.write(&frame(DATA, END_STREAM, 1, data.as_bytes()));
        assert!(reads(&mut client, RST_STREAM, 1), "{length}");
        server.is_unharmed(length);
    }
}
