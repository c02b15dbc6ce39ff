//! The whole benchmark against a small API of its own: a map behind hyper and rustls.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

use bytes::Bytes;
use clap::Parser;
use futures::stream;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use parking_lot::Mutex;
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::broadcast};
use tokio_rustls::TlsAcceptor;
use xebec_bench_load::report::Measure;

use super::{BenchArguments, measures};

/// An API that knows ConfigMaps well enough.
struct Api {
    objects: Mutex<BTreeMap<String, Value>>,
    changes: broadcast::Sender<Bytes>,
    token: &'static str,
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

fn answer(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(http_body_util::Full::from(body.to_string()).boxed_unsync());
    *response.status_mut() = status;
    response
}

impl Api {
    async fn serve(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let method = request.method().clone();
        let wanted = format!("Bearer {}", self.token);
        if request.headers().get("authorization").is_none_or(|given| given != wanted.as_str()) {
            return answer(StatusCode::UNAUTHORIZED, &json!({"kind": "Status", "reason": "Unauthorized"}));
        }
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let mut objects = self.objects.lock();
        match method {
            Method::POST => {
                let mut object: Value = serde_json::from_slice(&body).unwrap();
                object["metadata"]["resourceVersion"] = "1".into();
                let key = format!("{path}/{}", object["metadata"]["name"].as_str().unwrap());
                objects.insert(key, object.clone());
                answer(StatusCode::CREATED, &object)
            }
            Method::PUT => {
                objects.insert(path, serde_json::from_slice(&body).unwrap());
                let event = json!({"type": "MODIFIED"}).to_string() + "\n";
                self.changes.send(Bytes::from(event)).unwrap();
                answer(StatusCode::OK, &json!({}))
            }
            Method::DELETE => {
                objects.retain(|key, _| !key.starts_with(&path));
                answer(StatusCode::OK, &json!({}))
            }
            _ if query.contains("watch=true") => {
                let changes = stream::unfold(self.changes.subscribe(), async |mut changes| {
                    let event = changes.recv().await.ok()?;
                    Some((Ok(Frame::data(event)), changes))
                });
                Response::new(StreamBody::new(changes).boxed_unsync())
            }
            _ => match objects.get(&path) {
                Some(object) => answer(StatusCode::OK, object),
                None if path.ends_with("/configmaps") => {
                    let below = format!("{path}/");
                    let items: Vec<&Value> = objects
                        .iter()
                        .filter(|(key, _)| key.starts_with(&below))
                        .map(|(_, item)| item)
                        .collect();
                    answer(StatusCode::OK, &json!({"kind": "ConfigMapList", "items": items}))
                }
                None if path == "/readyz" => answer(StatusCode::OK, &json!("ok")),
                None => answer(StatusCode::NOT_FOUND, &json!({"kind": "Status", "reason": "NotFound"})),
            },
        }
    }
}

/// Starts the API on a free port; gives its URL and its certificate in PEM.
async fn start(token: &'static str) -> (String, String, Arc<Api>) {
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let api = Arc::new(Api { objects: Mutex::default(), changes: broadcast::channel(1024).0, token });
    let served = api.clone();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (api, acceptor) = (served.clone(), acceptor.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(tcp).await else { return };
                let service = service_fn(move |request| {
                    let api = api.clone();
                    async move { Ok::<_, Infallible>(api.serve(request).await) }
                });
                // A client that goes away is no failure of the test.
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    (url, certified.cert.pem(), api)
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    bench: BenchArguments,
}

async fn bench(words: &[&str]) -> anyhow::Result<Vec<Measure>> {
    let line = Line::try_parse_from(["bench", "--smoke"].iter().chain(words))?;
    Ok(measures::measure(&line.bench).await?.1)
}

#[tokio::test]
async fn everything_is_measured_of_any_api() {
    let (url, pem, api) = start("secret").await;
    let scratch = tempfile::tempdir().unwrap();
    let authority = scratch.path().join("ca.crt");
    std::fs::write(&authority, pem).unwrap();
    let pid = std::process::id().to_string();
    let authority = authority.to_str().unwrap();
    let flags = ["--server", &url, "--token", "secret", "--certificate-authority", authority, "--pid", &pid];
    let measures = bench(&flags).await.unwrap();
    let names: Vec<&str> = measures.iter().map(|measure| measure.name).collect();
    let expected = ["idle-memory", "configmaps-memory", "list", "gets", "creates", "fan-out", "pods-memory"];
    assert_eq!(names, expected);
    assert!(measures.iter().all(Measure::holds), "a smoke test misses no bar");
    assert!(measures[2].note.starts_with("one list of 100 ConfigMaps"), "{}", measures[2].note);
    assert!(measures[3].note.starts_with("200 reads"), "{}", measures[3].note);
    assert!(measures[5].note.contains("the last of 150 watches"), "{}", measures[5].note);
    assert!(api.objects.lock().is_empty(), "what a run made is gone after it");
}

#[tokio::test]
async fn a_server_that_is_spawned_is_measured_from_its_start() {
    let (url, pem, _) = start("secret").await;
    let scratch = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = scratch.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    file("ca.crt", &pem);
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"server": url, "certificate-authority": "ca.crt"}}],
        "users": [{"name": "me", "user": {"token": "secret"}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "me"}}],
    });
    let announcement = json!({"url": url, "kubeconfig": file("kubeconfig", &kubeconfig.to_string())});
    let ended = scratch.path().join("ended");
    // A server as far as the benchmark can tell: it says where it is, and ends on Ctrl-C.
    let script = format!(
        "tail -f /dev/null > /dev/null & trap 'kill $!; echo ended >> {}; exit 0' INT\necho '{announcement}'\nwait\n",
        ended.display()
    );
    let command = format!("bash {}", file("server.sh", &script));
    let measures = bench(&["--spawn", &command, "--only", "ready,idle-memory,pods-memory"]).await.unwrap();
    let names: Vec<&str> = measures.iter().map(|measure| measure.name).collect();
    assert_eq!(names, ["ready", "idle-memory", "pods-memory"]);
    assert_eq!(std::fs::read_to_string(ended).unwrap(), "ended\nended\n", "one a server that was started");
}

#[tokio::test]
async fn a_part_can_be_asked_for() {
    let (url, _, _) = start("secret").await;
    let measures =
        bench(&["--server", &url, "--token", "secret", "--insecure", "--only", "gets"]).await.unwrap();
    assert_eq!(measures.len(), 1);
    assert!(measures[0].p50.unwrap() <= measures[0].p99.unwrap());
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let (url, _, _) = start("secret").await;
    let unknown = bench(&["--server", &url, "--token", "secret"]).await.unwrap_err();
    assert!(format!("{unknown:#}").contains("TLS"), "{unknown:#}");
    let refused = bench(&["--server", &url, "--token", "wrong", "--insecure"]).await.unwrap_err();
    assert!(format!("{refused:#}").contains("401"), "{refused:#}");
    assert!(bench(&[]).await.is_err());
    assert!(bench(&["--server", &url, "--spawn", "true"]).await.is_err());
}
