//! Paths and names that mean to lead elsewhere.

use serde_json::json;

use super::server::{Server, get, request};

#[test]
fn no_path_leads_elsewhere() {
    let mut server = Server::start();
    let map = br#"{"metadata":{"name":"here"}}"#;
    let made =
        server.send(&request("POST", "/api/v1/namespaces/default/configmaps", "application/json", map));
    assert_eq!(made.code(), 201);
    let maps = "/api/v1/namespaces/default/configmaps";
    let mut others = Vec::new();
    for (path, codes) in [
        (format!("{maps}/here"), &[200][..]),
        (format!("{maps}/%68ere"), &[200]),
        // Slashes are slashes, however they are written: what is authorized is what is read.
        ("/api/v1/configmaps/default%2Fhere".into(), &[404]),
        (format!("{maps}%2Fhere"), &[200]),
        ("/api/v1/namespaces/default%2Fconfigmaps".into(), &[200]),
        (format!("{maps}/a%2Fb"), &[404]),
        (format!("{maps}/x%2F..%2Fhere"), &[404]),
        (format!("{maps}/."), &[400, 404]),
        (format!("{maps}/.."), &[400, 404]),
        (format!("{maps}/../configmaps/here"), &[404]),
        ("/../../../../etc/passwd".into(), &[404]),
        ("/api/../api/v1/configmaps".into(), &[404]),
        ("/%2e%2e/%2e%2e/etc/passwd".into(), &[404]),
        ("/openapi/v3/../../version".into(), &[404]),
        ("/openapi/v3/api%2Fv1".into(), &[200, 404]),
        (format!("{maps}/%00"), &[400, 404]),
        (format!("{maps}/here%00"), &[400, 404]),
        (format!("{maps}/%ff%fe"), &[400, 404]),
        (format!("{maps}/%"), &[400, 404]),
        (format!("{maps}/%zz"), &[400, 404]),
        (format!("{maps}/{}", "a".repeat(50_000)), &[400, 404]),
        (format!("/api/v1/namespaces/{}/configmaps", "a".repeat(50_000)), &[200, 404]),
        ("/api/v1/namespaces//configmaps".into(), &[200, 404]),
        ("//api//v1//configmaps//".into(), &[200, 404]),
        ("https://elsewhere.example/api/v1/configmaps".into(), &[200, 404]),
        ("/api/v1/watch/watch/watch".into(), &[404, 405]),
        ("/api/v1/namespaces/default/pods/p/proxy/../../secrets".into(), &[404, 405, 501]),
        (format!("/apis/{}/v1/{}", "a".repeat(20_000), "b".repeat(20_000)), &[404]),
    ] {
        let outcome = server.send(&get(&path));
        let shown = &path[..path.len().min(80)];
        if !codes.contains(&outcome.code()) {
            others.push(format!("{shown}: {outcome:?}"));
        }
        server.is_unharmed(shown);
    }
    assert!(others.is_empty(), "{others:#?}");
}

/// Whoever may read one name may not read another that is spelled into it.
#[test]
fn what_is_authorized_is_what_is_read() {
    let mut server = Server::start();
    let send = |method, path: &str, body: &serde_json::Value| {
        server.send(&request(method, path, "application/json", body.to_string().as_bytes())).code()
    };
    let secret = json!({"metadata": {"name": "secret"}});
    assert_eq!(send("POST", "/api/v1/namespaces/default/secrets", &secret), 201);
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let role = json!({"metadata": {"name": "one"}, "rules": [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["mine", "default/secret"]},
    ]});
    assert_eq!(send("POST", &format!("{rbac}/clusterroles"), &role), 201);
    let binding = json!({
        "metadata": {"name": "one"}, "subjects": [{"kind": "User", "name": "bob", "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"kind": "ClusterRole", "name": "one", "apiGroup": "rbac.authorization.k8s.io"},
    });
    assert_eq!(send("POST", &format!("{rbac}/clusterrolebindings"), &binding), 201);
    for (path, code) in [
        ("/api/v1/namespaces/default/secrets/mine", 404),
        ("/api/v1/namespaces/default/secrets/secret", 403),
        ("/api/v1/secrets/default%2Fsecret", 403),
        ("/api/v1/namespaces/default/secrets/secret?fieldSelector=metadata.name%3Dmine", 403),
        ("/api/v1/namespaces/default/secrets/mine/../secret", 403),
        ("/api/v1/namespaces/default/secrets/mine%2F..%2Fsecret", 403),
        ("/api/v1/namespaces/default/secrets?fieldSelector=metadata.name%3Dmine,metadata.name%3Dsecret", 403),
    ] {
        let bob = String::from_utf8(get(path)).unwrap().replace("Bearer admin", "Bearer bob");
        let outcome = server.send(bob.as_bytes());
        assert_eq!(outcome.code(), code, "{path}: {outcome:?}");
    }
    server.is_unharmed("names in names");
}

#[test]
fn a_name_that_is_none_is_refused() {
    let mut server = Server::start();
    for name in [
        "\0",
        "a\0b",
        "a/b",
        "..",
        ".",
        "",
        "A",
        "-a",
        "a\nb",
        "\u{202e}a",
        "é",
        "%2e",
        &"a".repeat(254),
        &"a".repeat(250_000),
    ] {
        let shown: String = name.chars().take(20).collect();
        for (path, kind) in [
            ("/api/v1/namespaces/default/configmaps", "ConfigMap"),
            ("/api/v1/namespaces", "Namespace"),
            ("/apis/apps/v1/namespaces/default/deployments", "Deployment"),
        ] {
            let body =
                json!({"metadata": {"name": name, "labels": {name: name}, "finalizers": [name]}}).to_string();
            let outcome = server.send(&request("POST", path, "application/json", body.as_bytes()));
            assert_eq!(outcome.code(), 422, "{kind} {shown:?}: {outcome:?}");
            assert!(outcome.message().contains("metadata.name") || name.is_empty(), "{shown:?}");
            assert!(outcome.body().len() < 16 << 20, "{shown:?}: {}", outcome.body().len());
        }
        server.is_unharmed(&shown);
    }
}
