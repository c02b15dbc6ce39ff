//! What is written: Pods of the size and the variety of a real cluster's, and small ones for the load.

use std::fmt::Write;

use serde_json::{Value, json};

/// How many workloads the Pods are of: each with its own names, images, environment and owner.
const WORKLOADS: u64 = 250;

/// A source of numbers that look like chance and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn hex(&mut self, digits: usize) -> String {
        let mut text = String::new();
        while text.len() < digits {
            let _ = write!(text, "{:016x}", self.next()); // to a string: it can't fail
        }
        text.truncate(digits);
        text
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[(self.next() % words.len() as u64) as usize]
    }
}

const WORDS: &[&str] = &[
    "account", "billing", "cart", "catalog", "checkout", "delivery", "email", "fraud", "gateway", "history",
    "index", "journal", "ledger", "mailer", "notify", "order", "payment", "quota", "report", "search",
    "session", "shipping", "stock", "tax", "user", "voucher", "wallet",
];

/// The namespace of a Pod; Pods are spread over ten.
pub fn namespace(number: u64) -> String {
    format!("team-{}", number % WORKLOADS % 10)
}

/// The name of a Pod of [`pod`].
pub fn pod_name(number: u64) -> String {
    let workload = number % WORKLOADS;
    let mut its = Numbers(workload);
    let app = format!("{}-{}", its.pick(WORDS), its.pick(WORDS));
    format!("{app}-{}-{}", its.hex(10), Numbers(number ^ 0xabcd_0000).hex(8))
}

/// A Pod that the server stores as some 6.5 kB of JSON, field ownership included. `value` makes each write a change.
pub fn pod(number: u64, value: u64) -> Value {
    let workload = number % WORKLOADS;
    let mut its = Numbers(workload);
    let (one, two) = (its.pick(WORDS), its.pick(WORDS));
    let app = format!("{one}-{two}");
    let template_hash = its.hex(10);
    let owner = format!("{}-{}-{}-{}-{}", its.hex(8), its.hex(4), its.hex(4), its.hex(4), its.hex(12));
    let mut own = Numbers(number);
    let address = format!("10.{}.{}.{}", own.next() % 256, own.next() % 256, own.next() % 256);
    let environment = |its: &mut Numbers, count: usize| -> Vec<Value> {
        let mut environment: Vec<Value> = (0..count)
            .map(|place| {
                let name = format!("{}_{}_{place}", its.pick(WORDS), its.pick(WORDS)).to_uppercase();
                json!({"name": name, "value": format!("{}://{}.{}.svc/{}", its.pick(&["http", "redis", "amqp"]), its.pick(WORDS), its.pick(WORDS), its.hex(6))})
            })
            .collect();
        environment
            .push(json!({"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}));
        environment
    };
    let container = |its: &mut Numbers, name: &str, count: usize| {
        let image = format!("registry.example.com/{}/{name}@sha256:{}", its.pick(WORDS), its.hex(64));
        json!({
            "name": name,
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "args": [format!("--port={}", 8000 + its.next() % 1000), "--log-format=json", format!("--zone={}", its.pick(WORDS))],
            "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
            "env": environment(its, count),
            "resources": {
                "requests": {"cpu": format!("{}m", 50 + its.next() % 500), "memory": format!("{}Mi", 64 + its.next() % 512)},
                "limits": {"memory": format!("{}Mi", 600 + its.next() % 1024)},
            },
            "livenessProbe": {"httpGet": {"path": "/livez", "port": "http", "scheme": "HTTP"}, "periodSeconds": 10, "timeoutSeconds": 1},
            "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http", "scheme": "HTTP"}, "periodSeconds": 5, "timeoutSeconds": 1},
            "volumeMounts": [
                {"name": "config", "mountPath": "/etc/app", "readOnly": true},
                {"name": "cache", "mountPath": "/var/cache"},
            ],
            "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},
        })
    };
    let containers = vec![container(&mut its, &app, 11)];
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name(number),
            "labels": {
                "app.kubernetes.io/name": app, "app.kubernetes.io/component": one, "app.kubernetes.io/part-of": two,
                "pod-template-hash": template_hash,
            },
            "annotations": {
                "prometheus.io/scrape": "true", "prometheus.io/port": "8080",
                "checksum/config": its.hex(64), "network.example.com/address": address, "bench/value": value.to_string(),
            },
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{app}-{template_hash}"), "uid": owner,
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": {
            "nodeName": format!("node-{:03}", own.next() % 200),
            "automountServiceAccountToken": false,
            "serviceAccountName": "default",
            // What the server would set: an update must say the same.
            "priority": 0,
            "preemptionPolicy": "PreemptLowerPriority",
            "containers": containers,
            "volumes": [
                {"name": "config", "configMap": {"name": format!("{app}-config")}},
                {"name": "cache", "emptyDir": {"sizeLimit": "1Gi"}},
            ],
            "tolerations": [
                {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
                {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
            ],
        },
    })
}

/// The label that says when a small object was sent, in nanoseconds of the system's clock.
pub const SENT: &str = "sent";

/// A ConfigMap of some 200 bytes that says when it was sent.
pub fn config_map(name: &str, sent_ns: u128) -> Vec<u8> {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"app": "bench", SENT: sent_ns.to_string()}},
        "data": {"key": "value", "mode": "benchmark"},
    })
    .to_string()
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_the_same_in_every_run_and_differ_from_each_other() {
        assert_eq!(pod(7, 1), pod(7, 1));
        assert_eq!(pod(7, 1)["metadata"]["name"], pod_name(7));
        let names: std::collections::BTreeSet<String> = (0..1000).map(pod_name).collect();
        assert_eq!(names.len(), 1000);
        let bytes = pod(7, 1).to_string().len();
        assert!((2500..5500).contains(&bytes), "{bytes}");
    }
}
