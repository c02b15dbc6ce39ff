//! The API server of xebec for [`coordinator::sim`](xebec_coordinator::sim), which knows none: what an operator's tests
//! simulate against.

use std::convert::Infallible;
use std::sync::{Arc, LazyLock};

use http::Request;
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use xebec_apiserver::access::User;
use xebec_apiserver::access::user::{AUTHENTICATED, MASTERS};
use xebec_apiserver::faults::{Decision, Fault, Policy, Rule};
use xebec_apiserver::http::Peer;
use xebec_apiserver::{Clock, Cluster};
use xebec_coordinator::sim::{Misbehaviour, Requests, START, Server, ServerFault};
use xebec_coordinator::{Random, clock_of};

/// A cluster in memory, on the simulated clock of the run, with the chance of its seed.
pub struct Simulated {
    cluster: Cluster,
    /// What is older was there before the run.
    fresh: u64,
}

/// The clock of a cluster, for a coordinator that works on it: whoever moves the one on (`cluster.clock().advance(…)`)
/// moves both.
///
/// ```
/// use std::time::Duration;
///
/// use xebec_apiserver::{Clock, Cluster};
/// use xebec_coordinator::Coordinator;
///
/// # async fn test() -> Result<(), jiff::Error> {
/// let cluster = Cluster::with_clock(Clock::still("2026-01-01T00:00:00Z".parse()?));
/// let clock = xebec_simulated::clock(&cluster);
/// let coordinator = Coordinator::builder(cluster.client()).clock(clock).build();
/// cluster.clock().advance(Duration::from_mins(10));
/// # Ok(())
/// # }
/// ```
pub fn clock(cluster: &Cluster) -> impl xebec_coordinator::Clock + use<> {
    let (now, sleeper) = (cluster.clock().clone(), cluster.clock().clone());
    clock_of(
        move || now.now(),
        move |deadline| {
            let clock = sleeper.clone();
            async move { clock.sleep_until(deadline).await }
        },
    )
}

/// Requests that read.
const READS: &[&str] = &["get", "list", "watch"];
/// Requests that may find that something has changed.
const CONDITIONAL: &[&str] = &["update", "patch", "delete"];
/// Requests that write.
const WRITES: &[&str] = &["create", "update", "patch", "delete"];
/// Watches.
const WATCHES: &[&str] = &["watch"];
/// All requests.
const ALL: &[&str] = &[];

/// What may go wrong, and how often where a seed has it go wrong at all.
const FAULTS: &[(&[&str], f64, Fault)] = &[
    (CONDITIONAL, 0.08, Fault::Refuse { code: 409 }),
    (WRITES, 0.06, Fault::LoseAnswer),
    (WRITES, 0.01, Fault::NeverAnswer),
    (READS, 0.01, Fault::NeverAnswer),
    (WATCHES, 0.15, Fault::Refuse { code: 410 }),
    (ALL, 0.03, Fault::Refuse { code: 429 }),
    (ALL, 0.03, Fault::Refuse { code: 500 }),
    (ALL, 0.02, Fault::Refuse { code: 503 }),
    (ALL, 0.08, Fault::Delay { milliseconds: 3000 }),
    (WATCHES, 0.12, Fault::Lag { milliseconds: 4000 }),
    (WATCHES, 0.06, Fault::Cut),
    (WATCHES, 0.05, Fault::Expire),
];

/// What goes wrong with Leases beyond that: renewals that flap, most of them done though nobody is told, some of them
/// done when the Lease has long run out. (Other writes are done within what is left of a lease after the fence: later
/// ones are out of reach of any lease that the server does not check.)
const LEASES: &str = "leases.coordination.k8s.io";
const LEASE_FAULTS: &[(&[&str], f64, Fault)] = &[
    (CONDITIONAL, 0.15, Fault::LoseAnswer),
    (CONDITIONAL, 0.1, Fault::Refuse { code: 500 }),
    (CONDITIONAL, 0.04, Fault::NeverAnswer),
    (WRITES, 0.02, Fault::Delay { milliseconds: 25_000 }),
];

/// Kubernetes Events, as the storage names them.
const EVENTS: &str = "/events";

impl Simulated {
    /// A new cluster.
    pub fn new(seed: u64) -> Self {
        static FRESH: LazyLock<Cluster> = LazyLock::new(|| Cluster::with_clock(Clock::still(START)));
        let cluster = FRESH.fork_seeded(Clock::of_runtime(START), seed);
        Self { fresh: cluster.snapshot().revision(), cluster }
    }

    /// The cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }
}

impl Server for Simulated {
    fn client(&self, user: &str, requests: Requests) -> Client {
        let (cluster, user) = (self.cluster.clone(), Arc::new(User::new(user, [MASTERS, AUTHENTICATED])));
        let service = tower::service_fn(move |request: Request<Body>| {
            let (cluster, peer, requests) = (cluster.clone(), Peer::User(user.clone()), requests.clone());
            async move {
                let answer = async |request| cluster.handle(request, peer).await;
                Ok::<_, Infallible>(requests.answered(request, answer).await)
            }
        });
        Client::new(service, "default")
    }

    fn objects(&self) -> Vec<Value> {
        let snapshot = self.cluster.snapshot();
        // They are many, and tell only what has happened.
        let resources = snapshot.resources().filter(|resource| &***resource != EVENTS);
        let objects = resources.flat_map(|resource| snapshot.range(resource, "", None));
        objects.filter(|object| object.revision > self.fresh).map(|object| object.decode()).collect()
    }

    fn misbehave(&self, how: Misbehaviour<'_>, users: &[String]) {
        let faults = self.cluster.faults();
        match how {
            Misbehaviour::None => faults.clear(),
            Misbehaviour::Seeded(seed) => faults.inject(policy(seed, users)),
            Misbehaviour::Replay(tokens) => {
                let decisions = tokens.iter().filter_map(|fault| serde_json::from_str(&fault.token).ok());
                faults.replay(decisions.collect::<Vec<Decision>>());
            }
        }
    }

    fn misbehaved(&self, skip: usize) -> Vec<ServerFault> {
        let taken = self.cluster.faults().taken(skip).into_iter();
        let fault = |decision: Decision| ServerFault {
            description: decision.to_string(),
            sort: sort(decision.fault),
            token: serde_json::to_string(&decision).unwrap_or_default(),
        };
        taken.map(fault).collect()
    }
}

/// Of what sort a fault is, however long it took.
fn sort(fault: Fault) -> String {
    match fault {
        Fault::Delay { .. } => "a request is delayed".to_owned(),
        Fault::Refuse { code } => format!("a request is refused with {code}"),
        Fault::LoseAnswer => "an answer is lost".to_owned(),
        Fault::NeverAnswer => "an answer never comes".to_owned(),
        Fault::Lag { .. } => "a watch lags".to_owned(),
        Fault::Cut => "a watch is cut".to_owned(),
        Fault::Expire => "a watch expires".to_owned(),
        Fault::Stale { .. } => "a read is stale".to_owned(),
    }
}

/// What goes wrong by a seed: some of all faults, each more or less often, since many at once hide each other.
fn policy(seed: u64, users: &[String]) -> Policy {
    let random = Random::seeded(seed).fork("policy");
    let mut rules = Vec::new();
    let anywhere = FAULTS.iter().map(|fault| (Vec::new(), fault));
    let leases = LEASE_FAULTS.iter().map(|fault| (vec![LEASES.to_owned()], fault));
    for (resources, (verbs, probability, fault)) in anywhere.chain(leases) {
        let (happens, often) = (random.fraction() < 0.6, random.fraction() * 2.0);
        if happens {
            let verbs = verbs.iter().map(|verb| (*verb).to_owned()).collect();
            let probability = probability * often;
            rules.push(Rule { verbs, resources, users: users.to_vec(), probability, fault: *fault });
        }
    }
    Policy { seed, rules }
}
