//! Bodies that are none, or too much: what the decoders of JSON, YAML and protobuf make of them.

use super::server::{Outcome, Server, request};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

fn post(server: &Server, media_type: &str, body: &[u8]) -> Outcome {
    server.send(&request("POST", MAPS, media_type, body))
}

#[test]
fn what_cannot_be_read_is_said() {
    let protobuf = |rest: &[u8]| [b"k8s\0", rest].concat();
    let nested =
        |open: &str, close: &str| [open.repeat(100_000), close.repeat(100_000)].concat().into_bytes();
    let cases = [
        ("nothing", JSON, Vec::new()),
        ("garbage", JSON, b"\x00\x01\xff garbage".to_vec()),
        ("truncated", JSON, br#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"na"#.to_vec()),
        ("invalid UTF-8 in a string", JSON, b"{\"data\":{\"a\":\"\xff\xfe\"}}".to_vec()),
        ("half a surrogate", JSON, br#"{"metadata":{"name":"a"},"data":{"a":"\ud800"}}"#.to_vec()),
        ("lists in lists", JSON, nested("[", "]")),
        ("maps in maps", JSON, nested("{\"a\":", "}")),
        ("lists never closed", JSON, "[".repeat(3_000_000).into_bytes()),
        (
            "deep in a field",
            JSON,
            format!("{{\"metadata\":{{\"annotations\":{}1", "{\"a\":".repeat(100_000)).into_bytes(),
        ),
        (
            "a number beyond numbers",
            JSON,
            format!("{{\"metadata\":{{\"name\":\"a\",\"generation\":{}}}}}", "9".repeat(1_000_000))
                .into_bytes(),
        ),
        (
            "an exponent beyond numbers",
            JSON,
            br#"{"metadata":{"name":"a","generation":1e999999999}}"#.to_vec(),
        ),
        ("two values", JSON, br#"{"metadata":{"name":"a"}}{"metadata":{"name":"b"}}"#.to_vec()),
        ("a list instead", JSON, b"[]".to_vec()),
        ("a byte order mark", JSON, b"\xef\xbb\xbf{}".to_vec()),
        ("UTF-16", JSON, b"\xff\xfe{\0}\0".to_vec()),
        ("YAML that is none", YAML, b"a: [b\nc: }".to_vec()),
        ("YAML of NUL bytes", YAML, vec![0; 1_000_000]),
        ("YAML of invalid UTF-8", YAML, b"a: \xff".to_vec()),
        ("YAML of flows in flows", YAML, nested("[", "]")),
        ("YAML of lists in lists", YAML, "- ".repeat(100_000).into_bytes()),
        ("YAML of keys in keys", YAML, "? ".repeat(100_000).into_bytes()),
        ("YAML that aliases nothing", YAML, b"a: *b".to_vec()),
        ("YAML that aliases itself", YAML, b"a: &a [*a]".to_vec()),
        ("YAML of tags", YAML, "!a ".repeat(100_000).into_bytes()),
        ("YAML of directives", YAML, "%A b\n".repeat(100_000).into_bytes()),
        ("YAML of anchors", YAML, "&".repeat(100_000).into_bytes()),
        ("protobuf without its magic", PROTOBUF, b"\x0a\x02v1".to_vec()),
        ("protobuf of nothing", PROTOBUF, b"k8s\0".to_vec()),
        ("protobuf of noise", PROTOBUF, protobuf(&vec![0xff; 1_000_000])),
        ("protobuf longer than it is", PROTOBUF, protobuf(b"\x12\xff\xff\xff\xff\x0f")),
        (
            "protobuf of a length beyond numbers",
            PROTOBUF,
            protobuf(b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        ),
        ("an unknown media type", "application/x-www-form-urlencoded", b"a=b".to_vec()),
        ("a media type of noise", "\x7f", b"a=b".to_vec()),
    ];
    let cases = cases.map(|(attack, media_type, body)| {
        (attack, request("POST", MAPS, media_type, &body), &[400, 415][..])
    });
    Server::start().refuses(&cases);
}

#[test]
fn four_megabytes_are_too_many() {
    let mut server = Server::start();
    let padded = |bytes: usize| {
        format!("{{\"metadata\":{{\"name\":\"a\"}},\"pad\":\"{}\"}}", "a".repeat(bytes)).into_bytes()
    };
    for (attack, media_type) in [("JSON", JSON), ("YAML", YAML), ("protobuf", PROTOBUF)] {
        let outcome = post(&server, media_type, &padded(4 << 20));
        assert_eq!(outcome.code(), 413, "{attack}: {outcome:?}");
    }
    // In chunks nobody says beforehand how long it is.
    let head = request("POST", MAPS, JSON, b"");
    let head = String::from_utf8(head).unwrap().replace("Content-Length: 0", "Transfer-Encoding: chunked");
    let chunk = format!("{:x}\r\n{}\r\n", 64 << 10, " ".repeat(64 << 10));
    let outcome =
        server.send([head.as_bytes(), chunk.repeat(64).as_bytes(), b"0\r\n\r\n"].concat().as_slice());
    assert_eq!(outcome.code(), 413, "{outcome:?}");
    // One that just fits is read, and told to be too much for a ConfigMap's field is its unknown field alone.
    let outcome = post(&server, JSON, &padded(3_000_000));
    assert_eq!(outcome.code(), 201, "{outcome:?}");
    server.is_unharmed("four megabytes");
}

#[test]
fn a_body_shorter_than_it_says_ends_with_its_connection() {
    let mut server = Server::start();
    let whole = request("POST", MAPS, JSON, br#"{"metadata":{"name":"truncated"}}"#);
    for cut in [1, 10, 30] {
        let mut client = server.connect();
        client.write(&whole[..whole.len() - cut]);
        client.stream.sock.shutdown(std::net::Shutdown::Write).unwrap();
        let outcome = client.outcome();
        assert!(matches!(outcome.code(), 0 | 400), "{outcome:?}");
    }
    assert_eq!(server.send(&super::server::get(&format!("{MAPS}/truncated"))).code(), 404);
    server.is_unharmed("a truncated body");
}

#[test]
fn fields_given_twice_are_told_and_counted() {
    let mut server = Server::start();
    let strict = format!("{MAPS}?fieldValidation=Strict");
    let twice =
        br#"{"metadata":{"name":"a"},"data":{"a":"1","a":"2"},"kind":"ConfigMap","kind":"ConfigMap"}"#;
    let outcome = server.send(&request("POST", &strict, JSON, twice));
    assert_eq!(outcome.code(), 400);
    assert!(outcome.message().contains("duplicate field \"data.a\""), "{outcome:?}");
    for (attack, field) in
        [("one key", "\"a\":\"b\",".repeat(100_000)), ("many keys", twice_each(10_000, ""))]
    {
        for path in [MAPS, &strict] {
            let body =
                format!("{{\"metadata\":{{\"name\":\"b\"}},\"data\":{{{}}}}}", field.trim_end_matches(','));
            let outcome = server.send(&request("POST", path, JSON, body.as_bytes()));
            assert!(matches!(outcome.code(), 201 | 400 | 409), "{attack}: {outcome:?}");
            assert!(outcome.body().len() < 4 << 20, "{attack}: {} bytes", outcome.body().len());
            server.is_unharmed(attack);
        }
    }
    // Long paths, many times.
    let schema = format!(
        "{{\"properties\":{{\"{}\":{{{}}}}}}}",
        "x".repeat(100_000),
        twice_each(900, "").trim_end_matches(',')
    );
    let versions = format!("[{{\"schema\":{{\"openAPIV3Schema\":{schema}}}}}]");
    let long = format!("{{\"metadata\":{{\"name\":\"c\"}},\"spec\":{{\"versions\":{versions}}}}}");
    for (validation, code) in [("Strict", 400), ("Warn", 422)] {
        let path =
            format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions?fieldValidation={validation}");
        let outcome = server.send(&request("POST", &path, JSON, long.as_bytes()));
        assert_eq!(outcome.code(), code);
        assert!(outcome.body().len() < 4 << 20, "{} bytes", outcome.body().len());
        server.is_unharmed("long paths of fields given twice");
    }
    // Unknown fields, many and long.
    for (count, length) in [(20_000, 1), (20, 50_000)] {
        let pad = "y".repeat(length);
        let fields: String = (0..count).map(|n| format!("\"{n}{pad}\":0,")).collect();
        let body = format!("{{{fields}\"metadata\":{{\"name\":\"d{count}\"}}}}");
        for path in [&strict, MAPS] {
            let outcome = server.send(&request("POST", path, JSON, body.as_bytes()));
            assert!(matches!(outcome.code(), 201 | 400), "{}", outcome.code());
            server.is_unharmed_within(128 << 20, "unknown fields");
        }
    }
}

fn twice_each(count: usize, pad: &str) -> String {
    (0..count).map(|n| format!("\"{n}{pad}\":\"1\",\"{n}{pad}\":\"2\",")).collect()
}

#[test]
fn what_is_small_and_means_much_is_refused() {
    let mut server = Server::start();
    let laughs = |levels: usize, list: bool| {
        let mut text = "a0: &a0 lollollollollollollollol\n".to_owned();
        for n in 1..=levels {
            let last = n - 1;
            let uses = (0..10).map(|m| if list { format!("*a{last}") } else { format!("k{m}: *a{last}") });
            let uses = uses.collect::<Vec<_>>().join(", ");
            let (open, close) = if list { ('[', ']') } else { ('{', '}') };
            text.push_str(&format!("a{n}: &a{n} {open}{uses}{close}\n"));
        }
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: laughs}}\n{text}data: *a{levels}\n")
    };
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1_000_000), "*a,".repeat(600_000));
    let apply = format!("{MAPS}/laughs?fieldManager=m&force=true");
    for (attack, body) in [
        ("a billion lists", laughs(9, true)),
        ("a billion maps", laughs(9, false)),
        ("a long text, often", long),
        ("merges of merges", format!("a: &a {{b: 1}}\nc: {{{}d: 1}}", "<<: *a, ".repeat(20_000))),
    ] {
        for (method, path, media_type) in
            [("PATCH", &*apply, "application/apply-patch+yaml"), ("POST", MAPS, YAML)]
        {
            let outcome = server.send(&request(method, path, media_type, body.as_bytes()));
            assert!(matches!(outcome.code(), 400 | 404 | 422), "{attack}, {method}: {outcome:?}");
            server.is_unharmed_within(256 << 20, attack);
        }
    }
}
