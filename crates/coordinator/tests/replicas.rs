//! Several replicas on one cluster, each with a clock of its own: who serves, who hands over, and who may not write.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Client;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use xebec_apiserver::Cluster;
use xebec_coordinator::{
    BoxError, Builder, Context, Coordinator, Election, Event, Key, LeadershipStatus, ManualClock, Metric,
    Observer, ObserverSpec, Plan, RunError, Sharding, View, Watch, Write,
};

const LEASE: Duration = Duration::from_secs(15);
const RETRY: Duration = Duration::from_secs(2);

/// The connection of one replica to the cluster.
#[derive(Clone, Default)]
struct Line(Arc<Mutex<LineState>>);

#[derive(Default)]
struct LineState {
    /// Nothing gets through, nothing is answered.
    cut: bool,
    /// Requests about Leases fail.
    no_leases: bool,
    writes: Vec<String>,
}

impl Line {
    fn client(&self, cluster: &Cluster) -> Client {
        let (line, client) = (self.clone(), cluster.client());
        let service = tower::service_fn(move |request: Request<Body>| {
            let (line, client) = (line.clone(), client.clone());
            async move { Ok::<_, Infallible>(line.pass(client, request).await) }
        });
        Client::new(service, "default")
    }

    async fn pass(&self, client: Client, request: Request<Body>) -> Response<Body> {
        let is_lease = request.uri().path().contains("/leases");
        let refuse = {
            let mut state = self.0.lock();
            if request.method() != Method::GET && !is_lease && !state.cut {
                state.writes.push(request.uri().path().to_owned());
            }
            if state.cut { None } else { Some(is_lease && state.no_leases) }
        };
        match refuse {
            None => std::future::pending().await,
            Some(true) => {
                let status = json!({
                    "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 500,
                    "reason": "InternalError", "message": "etcdserver: leader changed", "metadata": {},
                });
                let answer = Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR);
                answer.body(Body::from(status.to_string().into_bytes())).unwrap()
            }
            Some(false) => client.send(request).await.unwrap(),
        }
    }

    fn set(&self, change: impl FnOnce(&mut LineState)) {
        change(&mut self.0.lock());
    }

    fn writes(&self) -> usize {
        self.0.lock().writes.len()
    }
}

/// Writes into each ConfigMap of a name who serves it, and measures how many these are.
struct Stamp(String);

const MAPS: Metric = Metric::gauge("maps", "ConfigMaps that it serves.");

impl Observer for Stamp {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("stamp", "").watch(Watch::of::<ConfigMap>().labelled("stamp=yes")).metric(&MAPS)
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let map = view.get_key::<ConfigMap>(key)?;
        plan.measure(&MAPS, &[], 1.0);
        if map.is_some_and(|map| map.data.is_none_or(|data| !data.contains_key("by"))) {
            plan.write(Write::merge(key.clone(), json!({"data": {"by": self.0}})));
        }
        Ok(plan)
    }
}

struct Replica {
    name: &'static str,
    coordinator: Coordinator,
    clock: ManualClock,
    line: Line,
    /// Its seconds a second.
    rate: f64,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), RunError>>,
}

impl Replica {
    /// Starts a replica whose clock has nothing to do with the others'.
    fn start(cluster: &Cluster, name: &'static str, configure: impl FnOnce(Builder) -> Builder) -> Self {
        Self::start_with(cluster, name, configure, |coordinator| {
            coordinator.observe(Stamp(name.to_owned())).unwrap();
        })
    }

    fn start_with(
        cluster: &Cluster,
        name: &'static str,
        configure: impl FnOnce(Builder) -> Builder,
        add: impl FnOnce(&Coordinator),
    ) -> Self {
        let number = i64::from(name.as_bytes()[0]);
        let clock = ManualClock::new(Timestamp::from_second(1_700_000_000 + 86_400 * number).unwrap());
        let line = Line::default();
        let builder = Coordinator::builder(line.client(cluster)).clock(clock.clone()).seed(number as u64);
        let coordinator = configure(builder).build();
        add(&coordinator);
        let shutdown = CancellationToken::new();
        let (running, token) = (coordinator.clone(), shutdown.clone());
        let task = tokio::spawn(async move { running.run(token).await });
        // 'a' runs 10 % fast, 'b' right, 'c' 10 % slow.
        let rate = 1.1 - 0.1 * (number - 97) as f64;
        Self { name, coordinator, clock, line, rate, shutdown, task }
    }

    fn status(&self) -> LeadershipStatus {
        self.coordinator.status().leadership.unwrap()
    }

    fn serves(&self) -> bool {
        self.status().is_serving()
    }

    /// How many keys it measures.
    fn measures(&self) -> usize {
        let metrics = self.coordinator.metrics();
        metrics.lines().find_map(|line| line.strip_prefix("stamp_maps ")).unwrap().parse().unwrap()
    }

    async fn idle(&self) {
        within("a replica to be idle", self.coordinator.idle()).await;
    }

    /// Ends without handing over, as if the machine had lost its power.
    async fn die(self) {
        self.line.set(|line| line.cut = true);
        self.task.abort();
        let _ = self.task.await;
    }

    async fn stop(self) {
        self.shutdown.cancel();
        within("the end", self.task).await.unwrap().unwrap();
    }
}

/// Lets time pass for all, each by its own clock. Sooner or later all have done what there was to do.
async fn pass(replicas: &[&Replica], duration: Duration) {
    let step = Duration::from_millis(125);
    for _ in 0..duration.as_millis().div_ceil(step.as_millis()) {
        for replica in replicas {
            replica.clock.advance(step.mul_f64(replica.rate));
            replica.idle().await;
        }
    }
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(Duration::from_secs(20), future).await;
    result.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

async fn map(cluster: &Cluster, namespace: &str, name: &str) {
    let client = cluster.client();
    if namespace != "default" {
        let object: Namespace = serde_json::from_value(json!({"metadata": {"name": namespace}})).unwrap();
        let _ = Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &object).await;
    }
    let object = json!({"metadata": {"name": name, "labels": {"stamp": "yes"}}});
    let object: ConfigMap = serde_json::from_value(object).unwrap();
    Api::<ConfigMap>::namespaced(client, namespace).create(&PostParams::default(), &object).await.unwrap();
}

/// Who served each ConfigMap.
async fn stamps(cluster: &Cluster) -> BTreeMap<String, String> {
    let maps = Api::<ConfigMap>::all(cluster.client());
    let maps = maps.list(&ListParams::default().labels("stamp=yes")).await.unwrap();
    let by = |map: &ConfigMap| map.data.as_ref().and_then(|data| data.get("by")).cloned().unwrap_or_default();
    let name = |map: &ConfigMap| {
        format!("{}/{}", map.metadata.namespace.as_deref().unwrap(), map.metadata.name.as_deref().unwrap())
    };
    maps.iter().map(|map| (name(map), by(map))).collect()
}

async fn lease(cluster: &Cluster) -> serde_json::Value {
    let lease = Api::<Lease>::namespaced(cluster.client(), "default").get("op").await.unwrap();
    serde_json::to_value(lease).unwrap()
}

fn elected(name: &'static str) -> impl FnOnce(Builder) -> Builder {
    move |builder| builder.election(Election::new("default", "op").identity(name))
}

fn sharded(name: &'static str) -> impl FnOnce(Builder) -> Builder {
    move |builder| builder.sharding(Sharding::by_namespace("default", "op").identity(name))
}

#[tokio::test]
async fn one_leads_and_hands_over_when_the_work_in_flight_has_ended() {
    let cluster = Cluster::new();
    let gate = Arc::new(watch::Sender::new(true));
    let opened = Arc::clone(&gate);
    let a = Replica::start_with(&cluster, "a", elected("a"), |coordinator| {
        let spec = ObserverSpec::new("slow", "").watch(Watch::of::<ConfigMap>().labelled("stamp=yes"));
        let callback = move |event: Event, cx: Context| {
            let mut gate = opened.subscribe();
            async move {
                drop(gate.wait_for(|open| *open).await);
                if event.object().label("done").is_none() {
                    let done = json!({"metadata": {"labels": {"done": "yes"}}, "data": {"by": "a"}});
                    cx.write(Write::merge(event.key().clone(), done)).await?;
                }
                Ok::<_, BoxError>(())
            }
        };
        coordinator.callback(spec, callback).unwrap();
    });
    a.idle().await;
    let b = Replica::start(&cluster, "b", elected("b"));
    pass(&[&a, &b], Duration::from_secs(3)).await;
    assert!(a.serves() && !b.serves());
    assert_eq!((b.status().leader.as_deref(), b.status().lease.as_str()), (Some("a"), "default/op"));
    map(&cluster, "default", "first").await;
    pass(&[&a, &b], Duration::from_secs(30)).await;
    assert!(a.serves() && !b.serves(), "it is renewed");

    gate.send_replace(false);
    map(&cluster, "default", "second").await;
    let busy = |a: &Replica| a.coordinator.status().observers[0].active == 1;
    within("the work in flight", async {
        while !busy(&a) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    a.shutdown.cancel();
    pass(&[&b], Duration::from_secs(3)).await;
    assert!(!b.serves() && !a.task.is_finished());
    assert_eq!(lease(&cluster).await["spec"]["holderIdentity"], "a", "not while there is work in flight");
    gate.send_replace(true);
    within("the end", a.task).await.unwrap().unwrap();
    let released = lease(&cluster).await;
    assert_eq!(released["spec"]["holderIdentity"], "");
    assert_eq!(released["spec"]["leaseDurationSeconds"], 1);

    map(&cluster, "default", "third").await;
    pass(&[&b], Duration::from_millis(2500)).await;
    assert!(b.serves(), "it need not wait until the lease has expired");
    let stamps: Vec<String> = stamps(&cluster).await.into_values().collect();
    assert_eq!(stamps, ["a", "a", "b"]);
    assert_eq!(lease(&cluster).await["spec"]["leaseTransitions"], 1);
    b.stop().await;
}

#[tokio::test]
async fn a_leader_that_dies_is_succeeded_when_its_lease_has_expired() {
    let cluster = Cluster::new();
    let a = Replica::start(&cluster, "a", elected("a"));
    a.idle().await;
    let b = Replica::start(&cluster, "b", elected("b"));
    pass(&[&a, &b], Duration::from_secs(5)).await;
    assert!(a.serves() && !b.serves());
    a.die().await;
    map(&cluster, "default", "left").await;
    pass(&[&b], LEASE.saturating_sub(RETRY + Duration::from_secs(1))).await;
    assert!(!b.serves() && stamps(&cluster).await["default/left"].is_empty());
    pass(&[&b], RETRY * 2 + Duration::from_secs(1)).await;
    assert_eq!(stamps(&cluster).await["default/left"], "b");
    b.stop().await;
}

#[tokio::test]
async fn who_was_paused_past_its_lease_writes_nothing() {
    let cluster = Cluster::new();
    map(&cluster, "default", "map").await;
    let gate = Arc::new(watch::Sender::new(false));
    let (opened, refused) = (Arc::clone(&gate), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&refused);
    let a = Replica::start_with(&cluster, "a", elected("a"), |coordinator| {
        let spec = ObserverSpec::new("slow", "").watch(Watch::of::<ConfigMap>().labelled("stamp=yes"));
        let callback = move |event: Event, cx: Context| {
            let (mut gate, seen) = (opened.subscribe(), Arc::clone(&seen));
            // A task that the coordinator does not know of.
            let task = tokio::spawn(async move {
                drop(gate.wait_for(|open| *open).await);
                let by = Write::merge(event.key().clone(), json!({"data": {"by": "a"}}));
                let answer = cx.write(by).await;
                seen.lock().push(answer.is_err_and(|error| error.is_fenced()));
            });
            async move { task.await.map_err(BoxError::from) }
        };
        coordinator.callback(spec, callback).unwrap();
    });
    within("a to be at work", async {
        while a.coordinator.status().observers[0].active == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let b = Replica::start(&cluster, "b", elected("b"));
    // The clock of `a` stands still: it is paused, and b's time goes on.
    pass(&[&b], LEASE + RETRY * 2).await;
    assert_eq!(stamps(&cluster).await["default/map"], "b");
    // It wakes and goes on where it was, before it has looked at anything else.
    gate.send_replace(true);
    a.clock.advance(LEASE + RETRY * 2);
    within("a to try", async {
        while refused.lock().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!((refused.lock().as_slice(), a.line.writes()), (&[true][..], 0));
    pass(&[&a, &b], Duration::from_secs(3)).await;
    assert!(!a.serves() && b.serves());
    assert_eq!((a.status().leader.as_deref(), a.line.writes()), (Some("b"), 0));
    a.stop().await;
    b.stop().await;
}

#[tokio::test]
async fn who_cannot_renew_stops_in_time_and_starts_over_when_it_can() {
    let cluster = Cluster::new();
    let a = Replica::start(&cluster, "a", elected("a"));
    a.idle().await;
    pass(&[&a], Duration::from_secs(4)).await;
    a.line.set(|line| line.no_leases = true);
    pass(&[&a], Duration::from_secs(6)).await;
    assert!(a.serves(), "a few renewals may fail");
    a.line.set(|line| line.no_leases = false);
    pass(&[&a], Duration::from_secs(4)).await;
    a.line.set(|line| line.no_leases = true);
    map(&cluster, "default", "before").await;
    pass(&[&a], Duration::from_secs(11)).await;
    assert!(!a.serves() && a.status().last_error.is_some());
    map(&cluster, "default", "meanwhile").await;
    pass(&[&a], Duration::from_secs(1)).await;
    let seen = stamps(&cluster).await;
    assert_eq!((seen["default/before"].as_str(), seen["default/meanwhile"].as_str()), ("a", ""));
    a.line.set(|line| line.no_leases = false);
    pass(&[&a], Duration::from_secs(4)).await;
    assert!(a.serves() && a.status().last_error.is_none());
    assert_eq!(stamps(&cluster).await["default/meanwhile"], "a");
    a.stop().await;
}

#[tokio::test]
async fn keys_are_shared_out_and_move_with_those_who_come_and_go() {
    let cluster = Cluster::new();
    let fresh = |round: usize| {
        let cluster = cluster.clone();
        async move {
            for number in 0..20 {
                map(&cluster, &format!("ns-{number}"), &format!("round-{round}")).await;
            }
        }
    };
    let by = |round: usize| {
        let cluster = cluster.clone();
        async move {
            let suffix = format!("/round-{round}");
            let stamps = stamps(&cluster).await;
            stamps
                .into_iter()
                .filter(|(name, _)| name.ends_with(&suffix))
                .map(|(_, by)| by)
                .collect::<Vec<_>>()
        }
    };
    let a = Replica::start(&cluster, "a", sharded("a"));
    fresh(0).await;
    pass(&[&a], Duration::from_secs(1)).await;
    assert_eq!(by(0).await, vec!["a"; 20], "alone it serves all");

    let (b, c) = (Replica::start(&cluster, "b", sharded("b")), Replica::start(&cluster, "c", sharded("c")));
    pass(&[&a, &b, &c], Duration::from_secs(6)).await;
    fresh(1).await;
    pass(&[&a, &b, &c], Duration::from_secs(1)).await;
    let three = by(1).await;
    for replica in [&a, &b, &c] {
        let share = three.iter().filter(|by| *by == replica.name).count();
        assert!((2..=12).contains(&share), "{} has {share} of 20", replica.name);
        let members = replica.status().members;
        assert!(members.len() == 3 && members.iter().all(|member| member.agrees), "{members:?}");
    }

    let measured = [&a, &b, &c].map(Replica::measures);
    assert!(measured.iter().sum::<usize>() == 40 && measured[0] < 40, "{measured:?}: each key by one");

    // One leaves: its keys are others' at once, and no other key has moved.
    c.stop().await;
    pass(&[&a, &b], RETRY * 2).await;
    fresh(2).await;
    pass(&[&a, &b], Duration::from_secs(1)).await;
    let two = by(2).await;
    assert!(three.iter().zip(&two).all(|(before, after)| before == after || before == "c"));
    assert!(two.iter().all(|by| by == "a" || by == "b"));

    // One dies: its keys are the other's within the lease time, not before.
    b.die().await;
    fresh(3).await;
    pass(&[&a], LEASE.saturating_sub(RETRY * 2).div_f64(1.1)).await;
    assert!(
        by(3).await.iter().zip(&two).all(|(now, before)| now == "a" || (now.is_empty() && before == "b"))
    );
    pass(&[&a], RETRY * 4).await;
    assert_eq!(by(3).await, vec!["a"; 20]);
    a.stop().await;
}

#[tokio::test]
async fn an_observer_may_run_on_every_replica() {
    let cluster = Cluster::new();
    let told: Arc<Mutex<Vec<&str>>> = Arc::default();
    let start = |name: &'static str| {
        let told = Arc::clone(&told);
        Replica::start_with(&cluster, name, elected(name), move |coordinator| {
            let spec =
                |name| ObserverSpec::new(name, "").watch(Watch::of::<ConfigMap>().labelled("stamp=yes"));
            let (all, one) = (Arc::clone(&told), told);
            let everywhere = move |_: Event, _: Context| {
                all.lock().push("everywhere");
                async {}
            };
            coordinator.callback(spec("cache").on_every_replica(), everywhere).unwrap();
            let once = move |_: Event, _: Context| {
                one.lock().push("once");
                async {}
            };
            coordinator.callback(spec("worker"), once).unwrap();
        })
    };
    let (a, b) = (start("a"), start("b"));
    map(&cluster, "default", "map").await;
    pass(&[&a, &b], Duration::from_secs(3)).await;
    let mut told = told.lock().clone();
    told.sort_unstable();
    assert_eq!(told, ["everywhere", "everywhere", "once"]);
    a.stop().await;
    b.stop().await;
}

#[tokio::test]
async fn the_lease_is_that_of_client_go_and_what_others_keep_in_it_is_left_alone() {
    let cluster = Cluster::new();
    let api = Api::<Lease>::namespaced(cluster.client(), "default");
    let released = json!({
        "metadata": {"name": "op", "annotations": {"someone": "else"}},
        "spec": {
            "holderIdentity": "", "leaseDurationSeconds": 1, "leaseTransitions": 6,
            "acquireTime": "2026-01-02T03:04:05.000000Z", "renewTime": "2026-01-02T03:04:05.000000Z",
        },
    });
    api.create(&PostParams::default(), &serde_json::from_value(released).unwrap()).await.unwrap();
    let a = Replica::start(&cluster, "a", elected("a"));
    a.idle().await;
    let ours = lease(&cluster).await;
    assert_eq!(ours["metadata"]["annotations"], json!({"someone": "else"}));
    let spec = &ours["spec"];
    assert_eq!(
        (&spec["holderIdentity"], &spec["leaseDurationSeconds"], &spec["leaseTransitions"]),
        (&json!("a"), &json!(15), &json!(7))
    );
    // Another's, of client-go, counts from when it was last seen to change, whatever time it says it is.
    let theirs = json!({"spec": {
        "holderIdentity": "theirs", "leaseTransitions": 8,
        "acquireTime": "1999-01-02T03:04:05.000000Z", "renewTime": "1999-01-02T03:04:05.000000Z",
    }});
    api.patch("op", &PatchParams::default(), &Patch::Merge(theirs)).await.unwrap();
    pass(&[&a], RETRY * 2).await;
    assert_eq!((a.serves(), a.status().leader.as_deref()), (false, Some("theirs")));
    pass(&[&a], Duration::from_secs(8)).await;
    assert!(!a.serves());
    pass(&[&a], Duration::from_secs(7)).await;
    assert!(a.serves());
    assert_eq!(lease(&cluster).await["spec"]["leaseTransitions"], 9);
    a.stop().await;
}

#[test]
fn the_rights_it_needs_are_stated() {
    let client = Cluster::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _guard = runtime.enter();
    let rights = |builder: Builder| {
        let rights = builder.build().leadership_rights();
        rights.iter().map(|right| (right.resource.to_string(), right.verbs.join(","))).collect::<Vec<_>>()
    };
    let builder = || Coordinator::builder(client.client());
    assert!(rights(builder()).is_empty());
    assert_eq!(rights(elected("a")(builder())), [("leases".to_owned(), "get,create,update".to_owned())]);
    let verbs = "get,list,create,update,delete";
    assert_eq!(rights(sharded("a")(builder())), [("leases".to_owned(), verbs.to_owned())]);
}
