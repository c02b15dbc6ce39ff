//! The five operators against the API server in process.
#![allow(clippy::unwrap_used)]

mod running;

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::CustomResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use running::{Running, of, with};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use xebec_coordinator::Kind;
use xebec_examples::audit::{self, Change};
use xebec_examples::dns::{DnsRecord, DnsRecords, NameServer};
use xebec_examples::janitor::{Janitor, TTL};
use xebec_examples::tls::{MISSING, TlsSecrets};
use xebec_examples::website::{self, Website, Websites};

fn merge() -> PatchParams {
    PatchParams::default()
}

#[tokio::test]
async fn a_website_comes_tells_how_it_fares_and_goes() {
    let add = |coordinator: &xebec_coordinator::Coordinator| {
        coordinator.observe(Websites::new("gateway")).unwrap();
    };
    with([json!(Website::crd())], add, async |running: &Running| {
        let namespace: Namespace = of(json!({"metadata": {"name": "gateway"}}));
        Api::all(running.client()).create(&PostParams::default(), &namespace).await.unwrap();
        let websites: Api<Website> = running.api("default");
        let routes: Api<ConfigMap> = running.api("gateway");
        let deployments: Api<Deployment> = running.api("default");
        let site = of(json!({
            "metadata": {"name": "shop"},
            "spec": {"host": "shop.example.com", "image": "nginx", "replicas": 2},
        }));
        websites.create(&PostParams::default(), &site).await.unwrap();
        running.coordinator.idle().await;

        let site = websites.get("shop").await.unwrap();
        assert_eq!(site.metadata.finalizers.unwrap(), [website::FINALIZER]);
        let status = site.status.unwrap();
        assert_eq!(status.observed_generation, site.metadata.generation);
        assert_eq!((&*status.conditions[0].status, status.ready_replicas), ("False", 0));
        let owner = &deployments.get("shop").await.unwrap().metadata.owner_references.unwrap()[0];
        assert_eq!((&*owner.name, owner.controller), ("shop", Some(true)));
        let route = routes.get("default.shop").await.unwrap().data.unwrap();
        assert_eq!(route["host"], "shop.example.com");

        let ready = json!({"status": {"readyReplicas": 2, "replicas": 2}});
        deployments.patch_status("shop", &merge(), &Patch::Merge(ready)).await.unwrap();
        running.coordinator.idle().await;
        let status = websites.get("shop").await.unwrap().status.unwrap();
        assert_eq!((&*status.conditions[0].status, status.ready_replicas), ("True", 2));

        // Whoever takes the route away is answered.
        routes.delete("default.shop", &DeleteParams::default()).await.unwrap();
        running.coordinator.idle().await;
        assert!(routes.get_opt("default.shop").await.unwrap().is_some());

        websites.delete("shop", &DeleteParams::default()).await.unwrap();
        running.coordinator.idle().await;
        assert!(routes.get_opt("default.shop").await.unwrap().is_none());
        assert!(websites.get_opt("shop").await.unwrap().is_none());
        let fares = &running.coordinator.status().observers[0];
        assert_eq!(fares.retries, 0, "{:?}", fares.last_error);
    })
    .await;
}

#[tokio::test]
async fn what_is_over_is_deleted_in_time() {
    let kinds =
        [Kind::named("", "v1", "ConfigMap", "configmaps"), Kind::named("", "v1", "Secret", "secrets")];
    with(
        [],
        |coordinator| coordinator.observe(Janitor::new(kinds)).unwrap(),
        async |running: &Running| {
            let maps: Api<ConfigMap> = running.api("default");
            let secrets: Api<Secret> = running.api("default");
            for (name, annotations) in [
                ("short", json!({TTL: "1h"})),
                ("long", json!({TTL: "48h"})),
                ("wrong", json!({TTL: "soon"})),
                ("without", json!({})),
            ] {
                let object = json!({"metadata": {"name": name, "annotations": annotations}});
                maps.create(&PostParams::default(), &of(object.clone())).await.unwrap();
                secrets.create(&PostParams::default(), &of(object)).await.unwrap();
            }
            let names = async || {
                let maps = maps.list(&ListParams::default()).await.unwrap();
                let secrets = secrets.list(&ListParams::default()).await.unwrap();
                let names = maps.items.into_iter().map(|map| map.metadata.name.unwrap());
                let mut names: Vec<_> = names.filter(|name| !name.starts_with("kube-")).collect();
                names.extend(secrets.items.into_iter().map(|secret| secret.metadata.name.unwrap()));
                names
            };
            running.coordinator.idle().await;
            running.advance(Duration::from_mins(59)).await;
            let all = ["long", "short", "without", "wrong"].repeat(2);
            assert_eq!(names().await, all);
            running.advance(Duration::from_mins(1)).await;
            assert_eq!(names().await, ["long", "without", "wrong"].repeat(2));
            running.advance(Duration::from_hours(48)).await;
            assert_eq!(names().await, ["without", "wrong"].repeat(2));
        },
    )
    .await;
}

#[tokio::test]
async fn a_secret_wakes_the_ingresses_that_name_it() {
    with(
        [],
        |coordinator| coordinator.observe(TlsSecrets).unwrap(),
        async |running: &Running| {
            let ingresses: Api<Ingress> = running.api("default");
            let secrets: Api<Secret> = running.api("default");
            let ingress = of(json!({
                "metadata": {"name": "shop"},
                "spec": {
                    "defaultBackend": {"service": {"name": "shop", "port": {"number": 80}}},
                    "tls": [{"secretName": "one"}, {"secretName": "two"}],
                },
            }));
            ingresses.create(&PostParams::default(), &ingress).await.unwrap();
            let said = async || {
                running.coordinator.idle().await;
                let annotations = ingresses.get("shop").await.unwrap().metadata.annotations;
                annotations.unwrap_or_default().get(MISSING).cloned()
            };
            assert_eq!(said().await.as_deref(), Some("one,two"));
            for name in ["one", "two"] {
                let secret = of(json!({"metadata": {"name": name}}));
                secrets.create(&PostParams::default(), &secret).await.unwrap();
            }
            assert_eq!(said().await, None);
            secrets.delete("two", &DeleteParams::default()).await.unwrap();
            assert_eq!(said().await.as_deref(), Some("two"));
        },
    )
    .await;
}

#[tokio::test]
async fn no_grant_is_missed_however_short() {
    // A reader who takes nothing for a while: more changes than fit anywhere.
    let (sender, mut lines) = mpsc::channel(1);
    with(
        [],
        |coordinator| audit::add(coordinator, sender).unwrap(),
        async |running: &Running| {
            let bindings: Api<RoleBinding> = running.api("default");
            let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"});
            let user = |name: String| json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}]);
            let binding = of(json!({"metadata": {"name": "b"}, "roleRef": role, "subjects": user("user-0".into())}));
            let mut next = async || {
                loop {
                    let change: Change = lines.recv().await.unwrap();
                    if change.subject.starts_with("User user-") {
                        return (change.granted, change.subject);
                    }
                }
            };
            bindings.create(&PostParams::default(), &binding).await.unwrap();
            assert_eq!(next().await, (true, "User user-0".to_owned()));
            for number in 1..50 {
                let subjects = json!({"subjects": user(format!("user-{number}"))});
                bindings.patch("b", &merge(), &Patch::Merge(subjects)).await.unwrap();
            }
            for number in 1..50 {
                assert_eq!(next().await, (false, format!("User user-{}", number - 1)));
                assert_eq!(next().await, (true, format!("User user-{number}")));
            }
        },
    )
    .await;
}

/// A name server: says what it is asked, and answers with what it is told.
async fn name_server() -> (NameServer, mpsc::Receiver<String>, Arc<std::sync::atomic::AtomicU16>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let (sender, asked) = mpsc::channel(100);
    let code = Arc::new(std::sync::atomic::AtomicU16::new(200));
    let answers = code.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(|request: Request<Incoming>| {
                let (sender, answers) = (sender.clone(), answers.clone());
                async move {
                    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
                    let body = request.into_body().collect().await?.to_bytes();
                    sender.send(format!("{method} {path} {}", String::from_utf8_lossy(&body))).await.unwrap();
                    let code =
                        StatusCode::from_u16(answers.load(std::sync::atomic::Ordering::Relaxed)).unwrap();
                    let mut answer = Response::new(Empty::<Bytes>::new());
                    *answer.status_mut() = code;
                    Ok::<_, hyper::Error>(answer)
                }
            });
            // Whoever hangs up has what they wanted.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        }
    });
    (NameServer::new(authority), asked, code)
}

#[tokio::test]
async fn a_record_is_put_moved_retried_and_taken_away() {
    let (server, mut asked, code) = name_server().await;
    with(
        [json!(DnsRecord::crd())],
        |coordinator| coordinator.reconcile(DnsRecords::new(server)).unwrap(),
        async |running: &Running| {
            let records: Api<DnsRecord> = running.api("default");
            let said = async || {
                let record = records.get("shop").await.unwrap();
                let status = record.status.unwrap();
                assert_eq!(status.observed_generation, record.metadata.generation);
                (status.host.unwrap(), status.conditions[0].status.clone())
            };
            let mut all = async || {
                running.coordinator.idle().await;
                let mut all: Vec<String> = std::iter::from_fn(|| asked.try_recv().ok()).collect();
                all.dedup(); // its own echo puts once more
                all
            };
            let record = json!({"metadata": {"name": "shop"}, "spec": {"host": "shop.example.com", "address": "10.0.0.1"}});
            records.create(&PostParams::default(), &of(record)).await.unwrap();
            assert_eq!(all().await, ["PUT /records/shop.example.com 10.0.0.1"]);
            assert_eq!(said().await, ("shop.example.com".into(), "True".into()));

            running.advance(Duration::from_mins(10)).await;
            assert_eq!(all().await, ["PUT /records/shop.example.com 10.0.0.1"], "whatever happened outside");

            code.store(503, std::sync::atomic::Ordering::Relaxed);
            let moved = json!({"spec": {"address": "10.0.0.2"}});
            records.patch("shop", &merge(), &Patch::Merge(moved)).await.unwrap();
            assert_eq!(all().await, ["PUT /records/shop.example.com 10.0.0.2"]);
            assert_eq!(said().await, ("shop.example.com".into(), "False".into()));
            code.store(200, std::sync::atomic::Ordering::Relaxed);
            running.advance(Duration::from_mins(10)).await;
            assert_eq!(all().await, ["PUT /records/shop.example.com 10.0.0.2"]);
            assert_eq!(said().await, ("shop.example.com".into(), "True".into()));

            let renamed = json!({"spec": {"host": "cart.example.com"}});
            records.patch("shop", &merge(), &Patch::Merge(renamed)).await.unwrap();
            assert_eq!(
                all().await,
                ["DELETE /records/shop.example.com ", "PUT /records/cart.example.com 10.0.0.2"]
            );

            code.store(404, std::sync::atomic::Ordering::Relaxed);
            records.delete("shop", &DeleteParams::default()).await.unwrap();
            assert_eq!(all().await, ["DELETE /records/cart.example.com "]);
            assert!(records.get_opt("shop").await.unwrap().is_none());
        },
    )
    .await;
}
