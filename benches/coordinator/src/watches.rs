//! How many watches ten observers cost, counted at the server's door.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use xebec_apiserver::Cluster;
use xebec_bench_load::report::{Bar, Figure, Measure};
use xebec_coordinator::{Context, Coordinator, Event, ObserverSpec, Watch};

const OBSERVERS: usize = 10;

pub async fn measure() -> Result<Measure> {
    let cluster = Cluster::new();
    let watches = Arc::new(Mutex::new(0_u64));
    let counted = Arc::clone(&watches);
    let server = cluster.client();
    let door = tower::service_fn(move |request: http::Request<Body>| {
        if request.uri().query().unwrap_or_default().contains("watch=true") {
            *counted.lock() += 1;
        }
        let server = server.clone();
        async move { server.send(request).await }
    });
    let client = Client::new(door, "default");
    let coordinator = Coordinator::new(client);
    let told = Arc::new(Mutex::new(BTreeSet::new()));
    for number in 0..OBSERVERS {
        let told = Arc::clone(&told);
        let spec = ObserverSpec::new(format!("observer-{number}"), "").watch(Watch::of::<Pod>());
        coordinator.callback(spec, move |_event: Event, _cx: Context| {
            told.lock().insert(number);
            async {}
        })?;
    }
    let shutdown = CancellationToken::new();
    let work = async {
        let pods: kube::Api<Pod> = kube::Api::namespaced(cluster.client(), "default");
        coordinator.idle().await;
        let pod: Pod = serde_json::from_value(crate::objects::pod(0, 0))?;
        pods.create(&kube::api::PostParams::default(), &pod).await.context("create a Pod")?;
        coordinator.idle().await;
        if told.lock().len() != OBSERVERS {
            bail!("{} of {OBSERVERS} observers were told of a Pod", told.lock().len());
        }
        shutdown.cancel();
        Ok(())
    };
    let (run, work) = tokio::join!(coordinator.run(shutdown.clone()), work);
    run?;
    work?;
    let count = *watches.lock();
    Ok(Measure {
        name: "watches",
        figure: Figure::Count(count),
        bar: Some(Bar::AtMost(Figure::Count(1))),
        p50: None,
        p99: None,
        note: format!("watches that {OBSERVERS} observers of Pods opened, counted at the server"),
    })
}
