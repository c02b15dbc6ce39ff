//! The processes that are measured: the coordinator, and what kube-rs offers for the same.

use std::future::Future;
use std::io::BufRead;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::PartialObjectMeta;
use kube::core::request::Request;
use kube::runtime::controller::Action as KubeAction;
use kube::runtime::reflector::{self, Lookup};
use kube::runtime::{Controller, WatchStreamExt, watcher};
use kube::{Client, Resource, ResourceExt};
use parking_lot::Mutex;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use xebec_coordinator::{
    BoxError, Context, Coordinator, Event, Key, Observer, ObserverSpec, Plan, View, Watch,
};

use crate::child::wall_ns;
use crate::objects::SENT;

/// What such a process is.
#[derive(Args, Debug)]
pub struct MeasuredArguments {
    #[arg(value_enum)]
    variant: Variant,
    /// The API.
    #[arg(long)]
    kubeconfig: PathBuf,
    /// How many objects there are, and how many calls are one round.
    #[arg(long, default_value_t = 0)]
    count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Variant {
    /// The coordinator with whole Pods.
    Whole,
    /// The coordinator with the metadata of Pods.
    Metadata,
    /// kube-rs' reflector.
    KubeTyped,
    /// kube-rs' reflector, field ownership taken off.
    KubeStripped,
    /// kube-rs' reflector of metadata, field ownership taken off.
    KubeMetadata,
    /// The JSON of each Pod, and nothing else.
    Raw,
    /// The coordinator, an observer of Pods that looks at headers.
    Dispatch,
    /// The coordinator, an observer of Pods that decodes each.
    DispatchDecoded,
    /// kube-rs' Controller of Pods.
    KubeDispatch,
    /// The coordinator, a callback for ConfigMaps.
    Latency,
    /// kube-rs' Controller of ConfigMaps.
    KubeLatency,
}

/// Runs until its input ends.
pub async fn run(arguments: &MeasuredArguments) -> Result<()> {
    let path = &arguments.kubeconfig;
    let kubeconfig = Kubeconfig::read_from(path).with_context(|| format!("read {}", path.display()))?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let client = Client::try_from(config)?;
    let mut commands = commands();
    let count = arguments.count;
    match arguments.variant {
        Variant::Whole | Variant::Dispatch => {
            observe_pods(client, Watch::of::<Pod>(), false, count, &mut commands).await
        }
        Variant::Metadata => {
            observe_pods(client, Watch::of::<Pod>().metadata_only(), false, count, &mut commands).await
        }
        Variant::DispatchDecoded => {
            observe_pods(client, Watch::of::<Pod>(), true, count, &mut commands).await
        }
        Variant::KubeTyped => {
            let pods = watcher(Api::<Pod>::all(client), watcher::Config::default()).default_backoff();
            reflect(pods, count, &mut commands).await
        }
        Variant::KubeStripped => {
            let pods = watcher(Api::<Pod>::all(client), watcher::Config::default())
                .default_backoff()
                .modify(|pod| pod.managed_fields_mut().clear());
            reflect(pods, count, &mut commands).await
        }
        Variant::KubeMetadata => {
            let pods = Api::<PartialObjectMeta<Pod>>::all(client);
            let pods = watcher(pods, watcher::Config::default())
                .default_backoff()
                .modify(|pod| pod.managed_fields_mut().clear());
            reflect(pods, count, &mut commands).await
        }
        Variant::Raw => {
            let pods = raw(client).await?;
            say(&json!({"calls": pods.len(), "at": wall_ns().to_string()}));
            while commands.recv().await.is_some() {}
            drop(pods);
            Ok(())
        }
        Variant::KubeDispatch => control_pods(client, count, &mut commands).await,
        Variant::Latency => observe_latency(client, &mut commands).await,
        Variant::KubeLatency => control_latency(client, &mut commands).await,
    }
}

/// The lines of the input.
fn commands() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(16);
    // Reading blocks; the process ends with the input.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn say(value: &serde_json::Value) {
    println!("{value}");
}

/// Says so each time another `round` of calls has come in.
struct Calls {
    count: AtomicU64,
    round: u64,
}

impl Calls {
    fn one(&self) {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_multiple_of(self.round.max(1)) {
            say(&json!({"calls": count, "at": wall_ns().to_string()}));
        }
    }
}

struct Counting {
    watch: Watch,
    decodes: bool,
    calls: Calls,
}

impl Observer for Counting {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("counting", "counts Pods").watch(self.watch.clone()).concurrency(16)
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        if self.decodes {
            view.get_key::<Pod>(key)?;
        } else if view.object(key).is_none_or(|pod| pod.uid().is_empty()) {
            return Err("a Pod without a unique id".into());
        }
        self.calls.one();
        Ok(Plan::new())
    }
}

async fn observe_pods(
    client: Client,
    watch: Watch,
    decodes: bool,
    count: u64,
    commands: &mut mpsc::Receiver<String>,
) -> Result<()> {
    let coordinator = Coordinator::new(client);
    let calls = Calls { count: AtomicU64::new(0), round: count };
    coordinator.observe(Counting { watch, decodes, calls })?;
    until_end(commands, coordinator.run(CancellationToken::new())).await
}

async fn until_end<T, E>(
    commands: &mut mpsc::Receiver<String>,
    work: impl Future<Output = Result<T, E>>,
) -> Result<()>
where
    anyhow::Error: From<E>,
{
    tokio::select! {
        result = work => {
            result?;
            bail!("it ended before it was told to")
        }
        () = async { while commands.recv().await.is_some() {} } => Ok(()),
    }
}

async fn reflect<K>(
    events: impl futures::Stream<Item = watcher::Result<watcher::Event<K>>>,
    count: u64,
    commands: &mut mpsc::Receiver<String>,
) -> Result<()>
where
    K: Resource<DynamicType = ()> + Lookup<DynamicType = ()> + Clone + std::fmt::Debug + Send + 'static,
{
    let (reader, writer) = reflector::store::<K>();
    let mut events = std::pin::pin!(reflector::reflector(writer, events));
    let work = async {
        while let Some(event) = events.try_next().await? {
            if matches!(event, watcher::Event::InitDone) {
                let held = reader.len() as u64;
                if held != count {
                    bail!("the reflector holds {held} of {count}");
                }
                say(&json!({"calls": held, "at": wall_ns().to_string()}));
            }
        }
        Ok(())
    };
    until_end(commands, work).await
}

/// The JSON of each Pod.
async fn raw(client: Client) -> Result<Vec<Box<[u8]>>> {
    #[derive(serde::Deserialize)]
    struct List<'a> {
        metadata: kube::core::ListMeta,
        #[serde(borrow)]
        items: Vec<&'a RawValue>,
    }
    let mut pods = Vec::new();
    let mut token = None;
    loop {
        let mut params = ListParams::default().limit(500);
        params.continue_token = token;
        let text = client.request_text(Request::new("/api/v1/pods").list(&params)?).await?;
        let list: List = serde_json::from_str(&text)?;
        pods.extend(list.items.iter().map(|item| Box::from(item.get().as_bytes())));
        token = list.metadata.continue_.filter(|token| !token.is_empty());
        if token.is_none() {
            return Ok(pods);
        }
    }
}

async fn control_pods(client: Client, count: u64, commands: &mut mpsc::Receiver<String>) -> Result<()> {
    let calls = Arc::new(Calls { count: AtomicU64::new(0), round: count });
    let reconcile = |pod: Arc<Pod>, calls: Arc<Calls>| async move {
        if pod.metadata.uid.is_none() {
            return Err(watcher::Error::NoResourceVersion);
        }
        calls.one();
        Ok(KubeAction::await_change())
    };
    let work = Controller::new(Api::<Pod>::all(client), watcher::Config::default())
        .run(reconcile, |_, _, _| KubeAction::await_change(), calls)
        .for_each(|_| futures::future::ready(()));
    let work = async {
        work.await;
        anyhow::Ok(())
    };
    until_end(commands, work).await
}

/// From each write to the call that tells of it, in nanoseconds.
#[derive(Default)]
struct Delays(Mutex<Vec<u64>>);

impl Delays {
    fn take_in(&self, sent: Option<&str>) {
        let now = wall_ns();
        if let Some(sent) = sent.and_then(|sent| sent.parse::<u128>().ok()).filter(|sent| *sent > 0) {
            self.0.lock().push(now.saturating_sub(sent) as u64);
        }
    }

    fn report(&self) {
        let mut delays = std::mem::take(&mut *self.0.lock());
        delays.sort_unstable();
        let at = |percent: usize| {
            let rank = (delays.len() * percent).div_ceil(100).max(1);
            delays.get(rank - 1).copied().unwrap_or_default()
        };
        say(&json!({"calls": delays.len(), "p50": at(50), "p99": at(99), "max": at(100)}));
    }
}

/// Answers `report` with the delays since the last. Beside the observer that is measured there is another, which gets
/// stuck and free again as it is told.
async fn observe_latency(client: Client, commands: &mut mpsc::Receiver<String>) -> Result<()> {
    let coordinator = Coordinator::new(client);
    let delays = Arc::new(Delays::default());
    let told = Arc::clone(&delays);
    let spec = ObserverSpec::new("prompt", "").watch(Watch::of::<ConfigMap>()).concurrency(16);
    coordinator.callback(spec, move |event: Event, _cx: Context| {
        told.take_in(event.object().label(SENT));
        async {}
    })?;
    let (stuck, gate) = watch::channel(false);
    let spec = ObserverSpec::new("other", "").watch(Watch::of::<ConfigMap>()).concurrency(16);
    coordinator.callback(spec, move |_event: Event, _cx: Context| {
        let mut gate = gate.clone();
        async move { gate.wait_for(|stuck| !*stuck).await.map(|_| ()).map_err(BoxError::from) }
    })?;
    let work = async {
        while let Some(command) = commands.recv().await {
            match command.as_str() {
                "report" => delays.report(),
                "stuck" => drop(stuck.send_replace(true)),
                "free" => drop(stuck.send_replace(false)),
                other => bail!("unknown command {other}"),
            }
        }
        Ok(())
    };
    tokio::select! {
        result = coordinator.run(CancellationToken::new()) => Ok(result?),
        result = work => result,
    }
}

async fn control_latency(client: Client, commands: &mut mpsc::Receiver<String>) -> Result<()> {
    let delays = Arc::new(Delays::default());
    let reconcile = |config: Arc<ConfigMap>, delays: Arc<Delays>| async move {
        delays.take_in(config.labels().get(SENT).map(String::as_str));
        Ok::<_, watcher::Error>(KubeAction::await_change())
    };
    let work = Controller::new(Api::<ConfigMap>::all(client), watcher::Config::default())
        .run(reconcile, |_, _, _| KubeAction::requeue(Duration::from_secs(1)), Arc::clone(&delays))
        .for_each(|_| futures::future::ready(()));
    let answers = async {
        while let Some(command) = commands.recv().await {
            match command.as_str() {
                "report" => delays.report(),
                other => bail!("unknown command {other}"),
            }
        }
        Ok(())
    };
    tokio::select! {
        () = work => bail!("the controller ended"),
        result = answers => result,
    }
}
