//! What the benchmark writes: small ConfigMaps, and Pods of a usual size.

use serde_json::json;

/// A ConfigMap of some 200 bytes. `value` makes each write of it a change.
pub fn config_map(name: &str, value: u64) -> Vec<u8> {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": name, "labels": { "app": "bench" } },
        "data": { "key": format!("value {value}"), "mode": "benchmark" },
    })
    .to_string()
    .into_bytes()
}

/// A Pod of one container, of some 900 bytes: probes, resources, environment, as a Deployment's template has them.
pub fn pod(name: &str) -> Vec<u8> {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": { "app": "bench", "app.kubernetes.io/component": "web", "pod-template-hash": "7c5ddbdf54" },
            "annotations": { "prometheus.io/scrape": "true", "prometheus.io/port": "8080" },
        },
        "spec": {
            "automountServiceAccountToken": false,
            "containers": [{
                "name": "web",
                "image": "registry.example.com/bench/web:1.0.0",
                "args": ["--port=8080", "--log-format=json"],
                "ports": [{ "name": "http", "containerPort": 8080 }],
                "env": [
                    { "name": "MODE", "value": "benchmark" },
                    { "name": "POD_NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
                ],
                "resources": {
                    "requests": { "cpu": "100m", "memory": "64Mi" },
                    "limits": { "memory": "128Mi" },
                },
                "readinessProbe": { "httpGet": { "path": "/healthz", "port": "http" } },
            }],
        },
    })
    .to_string()
    .into_bytes()
}
