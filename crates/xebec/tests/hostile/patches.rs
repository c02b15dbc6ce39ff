//! Patches that are small and do much.

use serde_json::{Value, json};

use super::server::{Outcome, Server, request};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn patch(server: &Server, media_type: &str, body: &[u8]) -> Outcome {
    server.send(&request("PATCH", &format!("{MAPS}/target"), media_type, body))
}

fn with_target() -> Server {
    let server = Server::start();
    let map = json!({"metadata": {"name": "target"}, "data": {"a": "b"}}).to_string();
    assert_eq!(server.send(&request("POST", MAPS, "application/json", map.as_bytes())).code(), 201);
    server
}

#[test]
fn json_patches_are_bounded() {
    let mut server = with_target();
    let add = |path: &str| json!({"op": "add", "path": path, "value": "b"});
    let copy = |from: &str, path: String| json!({"op": "copy", "from": from, "path": path});
    let copies = |count: usize| -> Vec<Value> {
        let first = json!({"op": "add", "path": "/data/0", "value": "x".repeat(1000)});
        // Each copies all that is there into itself.
        std::iter::once(first).chain((0..count).map(|n| copy("/data", format!("/data/{}", n + 1)))).collect()
    };
    let grow = |count: usize| -> Vec<Value> {
        let first = json!({"op": "add", "path": "/x", "value": []});
        std::iter::once(first)
            .chain((0..count).map(|_| json!({"op": "add", "path": "/x/0", "value": 0})))
            .collect()
    };
    let deep = "/a".repeat(100_000);
    for (attack, operations, codes) in [
        ("many operations", vec![add("/data/a"); 9_000], &[200][..]),
        ("too many operations", vec![add("/data/a"); 10_001], &[400, 413, 422]),
        ("operations of nothing", vec![json!({}); 10_000], &[400, 422]),
        ("copies of copies", copies(40), &[400, 413, 422]),
        ("copies of little", (0..9_000).map(|n| copy("/data/a", format!("/data/c{n}"))).collect(), &[200]),
        ("before all others", grow(9_999), &[200, 400, 422]),
        ("a deep path", vec![add(&deep)], &[400, 422]),
        ("deep tests", vec![json!({"op": "test", "path": deep, "value": 1}); 5], &[400, 422]),
        ("tests of much", vec![json!({"op": "test", "path": "", "value": {}}); 9_000], &[400, 422]),
        (
            "an index beyond numbers",
            vec![add(&format!("/metadata/finalizers/{}", "9".repeat(100)))],
            &[400, 422],
        ),
        ("the whole", vec![json!({"op": "replace", "path": "", "value": null})], &[400, 422]),
        ("removal of the whole", vec![json!({"op": "remove", "path": ""})], &[400, 422]),
        (
            "a move into itself",
            vec![json!({"op": "move", "from": "/data", "path": "/data/a/b"})],
            &[400, 422],
        ),
        ("tildes", vec![add(&format!("/data/{}", "~".repeat(10_000)))], &[200, 400, 422]),
    ] {
        let body = Value::Array(operations).to_string();
        let outcome = patch(&server, "application/json-patch+json", body.as_bytes());
        assert!(codes.contains(&outcome.code()), "{attack}: {:.300}", format!("{outcome:?}"));
        server.is_unharmed_within(128 << 20, attack);
    }
}

#[test]
fn what_is_no_patch_is_refused() {
    let mut server = with_target();
    let nested = "{\"a\":".repeat(100_000);
    let directives: Vec<Value> =
        (0..20_000).map(|n| json!({"$patch": "delete", "name": n.to_string()})).collect();
    let directives =
        json!({"metadata": {"ownerReferences": directives}, "$retainKeys": vec!["a"; 20_000]}).to_string();
    for media_type in [
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
    ] {
        for (attack, body) in [
            ("nothing", ""),
            ("garbage", "\u{0}\u{1}garbage"),
            ("truncated", "{\"data\":{\"a"),
            ("null", "null"),
            ("a number", "1"),
            ("a text", "\"a\""),
            ("nested", &nested),
            ("lists", &"[".repeat(100_000)),
            ("directives", &directives),
        ] {
            let outcome = patch(&server, media_type, body.as_bytes());
            let codes: &[u16] = if attack == "null" { &[200, 400, 422] } else { &[400, 422] };
            // What another sort of patch makes of directives is its own.
            let codes = if attack == "directives" { &[200, 400, 422] } else { codes };
            assert!(
                codes.contains(&outcome.code()),
                "{media_type}, {attack}: {:.300}",
                format!("{outcome:?}")
            );
            server.is_unharmed_within(128 << 20, attack);
        }
    }
    assert_eq!(patch(&server, "application/x", b"{}").code(), 415);
}
