//! Requests that are none, or two, or too much: the head, and how the body is framed.

use super::server::{Outcome, Server, get};

const HOST: &str = "Host: x\r\nAuthorization: Bearer admin\r\n";
const POST: &str = "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\n\
                    Content-Type: application/json\r\n";

#[test]
fn what_is_no_request_is_refused() {
    let line = |line: &str| format!("{line}\r\n{HOST}\r\n").into_bytes();
    let header = |header: &[u8]| [b"GET /readyz HTTP/1.1\r\nHost: x\r\n", header, b"\r\n\r\n"].concat();
    let noise: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    Server::start().refuses(&[
        ("noise", noise, &[0, 400, 431]),
        ("zeros", vec![0; 100_000], &[0, 400, 431]),
        ("another protocol", b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(), &[0, 400]),
        ("a line without a version", line("GET /readyz"), &[400]),
        ("a version that there is not", line("GET /readyz HTTP/9.9"), &[400]),
        ("an empty method", line(" /readyz HTTP/1.1"), &[0, 400]),
        ("an empty target", line("GET  HTTP/1.1"), &[400]),
        ("a space in the target", line("GET /a b HTTP/1.1"), &[400]),
        (
            "invalid UTF-8 in the target",
            [b"GET /\xff\xfe HTTP/1.1\r\n", HOST.as_bytes(), b"\r\n"].concat(),
            &[400, 404],
        ),
        ("NUL in the target", line("GET /\0 HTTP/1.1"), &[400]),
        ("NUL in a header", header(b"A: b\0c"), &[400]),
        ("a header without a name", header(b": b"), &[400]),
        ("a space in a header's name", header(b"A b: c"), &[400]),
        ("a header on two lines", header(b"A: b\r\n c"), &[400]),
        ("a header that is no UTF-8", header(b"Accept: \xff\xfe"), &[200, 406]),
        ("no host", b"GET /readyz HTTP/1.1\r\n\r\n".to_vec(), &[400]),
        ("two hosts", header(b"Host: y"), &[400]),
        ("an invalid host", b"GET /readyz HTTP/1.1\r\nHost: a b/c\r\n\r\n".to_vec(), &[400]),
        ("an unknown method", line("BREW /api/v1/configmaps HTTP/1.1"), &[405]),
        ("an unknown method on a document", line("BREW /version HTTP/1.1"), &[405]),
        ("a method in lower case", line("get /api/v1/configmaps HTTP/1.1"), &[405]),
        ("TRACE", line("TRACE /api/v1/configmaps HTTP/1.1"), &[405]),
        ("CONNECT", line("CONNECT example.org:443 HTTP/1.1"), &[400, 404, 405]),
        ("a very long method", line(&format!("{} / HTTP/1.1", "A".repeat(60_000))), &[400, 404, 405]),
        ("the target *", line("OPTIONS * HTTP/1.1"), &[400, 404, 405]),
        (
            "an upgrade to HTTP/2",
            header(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk"),
            &[200],
        ),
        ("credentials that are none", header(b"Authorization: Bearer \x80\xff"), &[401]),
        (
            "the credentials of two",
            header(b"Authorization: Bearer nobody\r\nAuthorization: Bearer admin"),
            &[401],
        ),
    ]);
}

#[test]
fn too_much_is_refused() {
    let header =
        |header: String| format!("GET /api/v1/configmaps HTTP/1.1\r\n{HOST}{header}\r\n\r\n").into_bytes();
    let query = |query: String| get(&format!("/api/v1/configmaps?{query}"));
    Server::start().refuses(&[
        ("a header of a megabyte", header(format!("A: {}", "b".repeat(1 << 20))), &[431]),
        (
            "a header that never ends",
            format!("GET / HTTP/1.1\r\nA: {}", "b".repeat(4 << 20)).into_bytes(),
            &[431],
        ),
        ("ten thousand headers", header("A: b\r\n".repeat(10_000)), &[431]),
        ("empty lines", b"\r\n".repeat(500_000), &[0, 400, 431]),
        ("a target of a megabyte", get(&format!("/{}", "a".repeat(1 << 20))), &[414, 431]),
        ("a target of 60 kB", get(&format!("/api/v1/{}", "a/".repeat(30_000))), &[404]),
        ("ten thousand media types", header(format!("Accept: {}", "a/b,".repeat(10_000))), &[406]),
        ("a media type of many parameters", header(format!("Accept: a/b{}", ";a=b".repeat(10_000))), &[406]),
        (
            "many tables",
            header(format!("Accept: {}", "application/json;as=Table;v=v1;g=x,".repeat(1_500))),
            &[406],
        ),
        ("a selector of many labels", query(format!("labelSelector={}", "a%3Db,".repeat(8_000))), &[400]),
        ("a selector of good labels", query(format!("labelSelector=a{}", ",a".repeat(15_000))), &[200]),
        (
            "a selector of many values",
            query(format!("labelSelector=a+in+(a{})", ",b".repeat(15_000))),
            &[200],
        ),
        ("a selector that opens", query(format!("labelSelector={}", "(".repeat(30_000))), &[400]),
        ("a selector that negates", query(format!("labelSelector={}", "!".repeat(30_000))), &[400]),
        (
            "a selector of many fields",
            query(format!("fieldSelector=metadata.name%3Da{}", ",metadata.name%3Da".repeat(2_500))),
            &[200],
        ),
        (
            "a selector of an unknown field",
            query(format!("fieldSelector={}%3Da", "a.".repeat(15_000))),
            &[400],
        ),
        ("many parameters", query("a=b&".repeat(12_000)), &[200]),
        ("parameters without a name", query("&=".repeat(25_000)), &[200]),
        ("a limit beyond numbers", query(format!("limit={}", "9".repeat(50_000))), &[400]),
        ("a negative limit", query("limit=-1".into()), &[200, 400]),
        ("a page that is not ours", query(format!("limit=1&continue={}", "A".repeat(50_000))), &[400, 410]),
        (
            "a revision beyond numbers",
            query(format!("watch=1&resourceVersion={}", "9".repeat(50_000))),
            &[400],
        ),
        ("a time beyond numbers", query("watch=1&timeoutSeconds=99999999999999999999".into()), &[400]),
    ]);
}

#[test]
fn a_body_that_is_framed_wrongly_is_refused() {
    let post = |framing: &str, body: &str| format!("{POST}{framing}\r\n\r\n{body}").into_bytes();
    let chunked = |chunks: &str| post("Transfer-Encoding: chunked", chunks);
    Server::start().refuses(&[
        ("two lengths", post("Content-Length: 2\r\nContent-Length: 3", "{}"), &[400]),
        ("a list of lengths", post("Content-Length: 2, 3", "{}"), &[400]),
        ("a negative length", post("Content-Length: -1", "{}"), &[400]),
        ("a length with a sign", post("Content-Length: +2", "{}"), &[400]),
        ("a length beyond numbers", post("Content-Length: 99999999999999999999", "{}"), &[400]),
        ("a length beyond all memory", post("Content-Length: 18446744073709551000", "{}"), &[413]),
        ("a length that is no number", post("Content-Length: two", "{}"), &[400]),
        ("an unknown coding", post("Transfer-Encoding: gzip", "{}"), &[400, 501]),
        (
            "chunked before another coding",
            post("Transfer-Encoding: chunked, gzip", "2\r\n{}\r\n0\r\n\r\n"),
            &[400, 501],
        ),
        ("a chunk beyond numbers", chunked("fffffffffffffffff\r\n{}"), &[0, 400]),
        (
            "a chunk of all memory",
            chunked(&format!("ffffffffffffffff\r\n{}", "{".repeat(4 << 20))),
            &[0, 400, 413],
        ),
        ("a chunk of no size", chunked("\r\n{}\r\n0\r\n\r\n"), &[0, 400]),
        ("a chunk of no number", chunked("zz\r\n{}\r\n0\r\n\r\n"), &[0, 400]),
        ("a negative chunk", chunked("-2\r\n{}\r\n0\r\n\r\n"), &[0, 400]),
        ("a chunk longer than it says", chunked("1\r\n{}\r\n0\r\n\r\n"), &[0, 400]),
        ("a chunk extension that never ends", chunked(&format!("2;{}", "a".repeat(1 << 20))), &[0, 400]),
        (
            "extensions of chunks",
            chunked(&format!("{}0\r\n\r\n", "1;aaaaaaaaaaaaaaaa\r\n \r\n".repeat(20_000))),
            &[0, 400],
        ),
        ("chunks of one byte", chunked(&format!("{}0\r\n\r\n", "1\r\n{\r\n".repeat(50_000))), &[400]),
        (
            "trailers without end",
            chunked(&format!("2\r\n{{}}\r\n0\r\n{}", "A: b\r\n".repeat(100_000))),
            &[0, 400, 422, 431],
        ),
        (
            "expecting an unknown thing",
            post("Content-Length: 2\r\nExpect: 200-everything", "{}"),
            &[400, 417, 422],
        ),
    ]);
}

/// Where the length and the chunks disagree, what follows must not be taken for a request.
#[test]
fn a_request_cannot_hide_in_another() {
    let mut server = Server::start();
    let hidden = "GET /version HTTP/1.1\r\nHost: x\r\n\r\n";
    for (attack, framing, body) in [
        (
            "length and chunks",
            "Content-Length: 4\r\nTransfer-Encoding: chunked",
            format!("0\r\n\r\n{hidden}"),
        ),
        (
            "chunks twice",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            format!("0\r\n\r\n{hidden}"),
        ),
        (
            "chunks in disguise",
            "Transfer-Encoding: \tchunked\r\nContent-Length: 0",
            format!("0\r\n\r\n{hidden}"),
        ),
        ("lengths", "Content-Length: 0\r\nContent-Length: 38", hidden.to_owned()),
    ] {
        let mut client = server.connect();
        client.write(format!("{POST}{framing}\r\n\r\n{body}").as_bytes());
        let first = client.outcome();
        assert!(matches!(first.code(), 0 | 400 | 422 | 501), "{attack}: {first:?}");
        // Closed, or at least not answered as the version.
        assert_ne!(client.outcome().code(), 200, "{attack}");
        server.is_unharmed(attack);
    }
}

#[test]
fn plain_http_is_told_that_this_is_https() {
    use std::io::{Read, Write};
    let mut server = Server::start();
    for request in ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "x", "\0\0\0\0"]
    {
        let mut stream = server.plain();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        // What is sent and not read resets the connection, once the answer has come.
        let _ = stream.read_to_string(&mut answer);
        assert!(
            answer.ends_with("Client sent an HTTP request to an HTTPS server.\n"),
            "{request:?}: {answer:?}"
        );
    }
    // TLS that is none.
    for hello in
        [&b"\x16\x03\x01\xff\xff"[..], b"\x16\x03\x01\x00\x05hello", b"\x16\x16\x16\x16\x16\x16\x16\x16"]
    {
        let mut stream = server.plain();
        stream.write_all(hello).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        // An alert, at most.
        assert!(answer.len() < 64, "{hello:?}: {answer:?}");
    }
    server.is_unharmed("plain HTTP");
}

#[test]
fn requests_in_a_row_are_answered_in_order() {
    let mut server = Server::start();
    let mut client = server.connect();
    client.write(
        &[get("/readyz"), get("/api/v1/nowhere"), get("/livez"), b"GARBAGE\r\n\r\n".to_vec()].concat(),
    );
    let codes: Vec<u16> = (0..4).map(|_| client.outcome().code()).collect();
    assert_eq!(codes, [200, 404, 200, 400]);
    assert_eq!(client.outcome(), Outcome::Closed);
    server.is_unharmed("requests in a row");
}
