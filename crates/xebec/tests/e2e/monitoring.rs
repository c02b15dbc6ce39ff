//! How a running xebec tells how it fares: metrics, probes, `xebec status`, and clients that mean no good.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use serde_json::Value;

use super::{
    cluster::{Cluster, Running, xebec},
    process::DEADLINE,
    program::ran,
};

/// A cluster with observers of its own that serve metrics, and where.
fn monitored() -> (Cluster, SocketAddr) {
    let mut cluster = Cluster::up_with(&["--metrics-address", "127.0.0.1:0"]);
    let address = address(&mut cluster.process);
    (cluster, address)
}

fn address(process: &mut Running) -> SocketAddr {
    let line = process.line("the address of its metrics", |line| line.contains("metrics: http://"));
    let url = line.trim().trim_start_matches("metrics: http://");
    url.trim_end_matches("/metrics").parse().unwrap()
}

/// What comes back for these bytes until the other end closes.
fn sent(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    // Whoever is refused early need not have been listened to.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(address: SocketAddr, path: &str) -> String {
    sent(address, format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
}

#[test]
fn metrics_probes_and_status_are_served() {
    let (cluster, address) = monitored();
    cluster.kubectl.run("apply -f examples/webapp");
    cluster.kubectl.run("rollout status deployment/webapp --timeout 60s");
    let metrics = get(address, "/metrics");
    assert!(metrics.starts_with("HTTP/1.1 200"), "{metrics}");
    assert!(metrics.contains("xebec_coordinator_observer_state{observer=\"reload\",state=\"running\"} 1"));
    assert!(get(address, "/healthz").ends_with("\r\n\r\nok\n"));
    assert!(get(address, "/readyz").ends_with("\r\n\r\nok\n"));
    let (code, text, err) = ran(&["status", "--address", &address.to_string()]);
    assert_eq!((code, err.as_str()), (0, ""));
    for part in ["OBSERVER", "reload", "running", "Deployment.apps", "synced"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    let (_, json, _) = ran(&["status", "--address", &address.to_string(), "-o", "json"]);
    let status: Value = serde_json::from_str(&json).unwrap();
    let reload = status["observers"].as_array().unwrap().iter().find(|one| one["name"] == "reload").unwrap();
    assert_eq!(reload["health"], "running");
    assert!(status["leadership"].is_null());
}

#[test]
fn why_asks_the_running_process_too() {
    let (cluster, address) = monitored();
    cluster.kubectl.run("apply -f examples/webapp");
    let observed = "{.metadata.annotations.reload\\.xebec\\.dev/observed-hashes}";
    cluster.kubectl.run(&format!("wait --for=jsonpath='{observed}' deployment/webapp --timeout 60s"));
    let path = "/why?observer=reload&object=deployments.apps%2Fdefault/webapp";
    // Its write is seen before it has noted that it is done.
    let noted = (0..10_000).map(|_| get(address, path)).find(|answer| answer.contains("\"writes\":"));
    let answer = noted.expect("it was served");
    assert!(answer.contains("application/json") && answer.contains("\"failures\":0"), "{answer}");
    let asked = |more: &[&str]| {
        let address = address.to_string();
        let arguments = ["reload", "why", "deployment/default/webapp", "--address", &address];
        let arguments: Vec<&str> = arguments.iter().chain(more).copied().collect();
        let output = cluster.kubectl.prepare(&mut xebec(&arguments)).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let text = asked(&[]);
    for part in ["would:", "running:", &format!("running, as {address} tells"), "served last:", "waits:"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    let value: Value = serde_json::from_str(&asked(&["-o", "json"])).unwrap();
    assert_eq!(value["running"]["object"], "Deployment.apps default/webapp");
    assert!(value["running"]["woken"]["by"].is_string() && value["running"]["served"]["error"].is_null());

    for (path, code, reason) in [
        ("/why", 400, "ask for /why?observer=NAME"),
        ("/why?observer=reload&object=pod/default/web", 400, "reload watches no"),
        ("/why?observer=sail&object=deployment/a/b", 404, "no observer named sail runs here"),
    ] {
        let answer = get(address, path);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {code}")) && answer.contains(reason),
            "{path}: {answer}"
        );
    }
    let elsewhere = ["reload", "why", "deployment/default/webapp", "--address", "127.0.0.1:1"];
    let output = cluster.kubectl.prepare(&mut xebec(&elsewhere)).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("unknown: 127.0.0.1:1 does not tell"), "{text}");
}

#[test]
fn the_port_of_metrics_takes_no_more_than_it_must() {
    let (_cluster, address) = monitored();
    let head = sent(address, b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(get(address, "/").starts_with("HTTP/1.1 404"));
    assert!(get(address, "/metrics/../status").starts_with("HTTP/1.1 404"));
    let posted = b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n";
    assert!(sent(address, posted).starts_with("HTTP/1.1 405"), "a body is not waited for");
    let large = format!("GET /metrics HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(1 << 20));
    assert!(!sent(address, large.as_bytes()).starts_with("HTTP/1.1 200"));
    assert!(!sent(address, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n").starts_with("HTTP/1.1 200"));
    // More than there are places for, all silent: the oldest are ended, and others are served.
    let mut silent: Vec<_> = (0..80).map(|_| TcpStream::connect(address).unwrap()).collect();
    assert!(get(address, "/healthz").ends_with("ok\n"));
    silent[0].set_read_timeout(Some(DEADLINE)).unwrap();
    assert!(matches!(silent[0].read(&mut [0]), Ok(0) | Err(_)), "it has said nothing, and is told nothing");
}

#[test]
fn status_says_where_nobody_answers() {
    let (code, _, err) = ran(&["status", "--address", "127.0.0.1:1"]);
    assert_eq!(code, 1);
    assert!(err.contains("127.0.0.1:1") && err.contains("--metrics-address"), "{err}");
    let mut process = Running::start(&mut xebec(&["apiserver", "--port", "0"]));
    let line = process.line("its announcement", |line| line.starts_with('{'));
    let url = serde_json::from_str::<Value>(&line).unwrap()["url"].as_str().unwrap().to_owned();
    let (code, _, err) = ran(&["status", "--address", url.trim_start_matches("https://")]);
    assert_eq!(code, 1, "{err}");
}
