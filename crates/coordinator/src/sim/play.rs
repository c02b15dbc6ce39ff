//! One run: a server, replicas, users, and what goes wrong.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use kube::Error;
use tokio_util::sync::CancellationToken;

use super::journal::{Journal, Lookout, Moment, PANICS_HERE, Requests};
use super::network::Way;
use super::normal::State;
use super::points::Points;
use super::process::ProcessClock;
use super::trouble::{self, Crash, Trouble, What};
use super::{Misbehaviour, RuntimeClock, START, Scenario, Server, ServerFault, Step};
use crate::execute;
use crate::probe::Probe;
use crate::{Clock, Coordinator, Random, Write};

/// Something that went wrong in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(pub(super) Wrong);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Server(ServerFault),
    /// At this point of the run, the so many-th time.
    Point {
        point: String,
        turn: u64,
    },
    Replica(Trouble),
}

/// What goes wrong in a run.
#[derive(Clone, Copy)]
pub(super) enum Faults<'a> {
    None,
    /// What the seed says.
    Seeded,
    These(&'a [Fault]),
}

/// What is played.
#[derive(Clone, Copy)]
pub(super) struct Script<'a> {
    pub(super) seed: u64,
    pub(super) steps: &'a [Step],
    pub(super) faults: Faults<'a>,
    /// What it must end with; none for the run that says so.
    pub(super) expected: Option<&'a State>,
    /// Whether to write down what happens.
    pub(super) writes: bool,
}

/// What came of it.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) state: State,
    pub(super) violations: Vec<String>,
    pub(super) faults: Vec<Fault>,
    pub(super) lines: Vec<String>,
    pub(super) requests: u64,
}

/// Who makes the steps.
const USER: &str = "user";
/// How long faults go on after the last step.
const FAULTS_AFTER: Duration = Duration::from_secs(15);
/// How long a step that failed waits until it is tried again, and how often it is.
const STEP_RETRY: Duration = Duration::from_millis(500);
const STEP_ATTEMPTS: usize = 240;
/// When it is looked whether all has settled, after the faults have ended. Nothing may take longer than the sum: back-offs
/// end after a minute, answers that never come are given up after a minute, dead watches after five.
const LOOKS_SECONDS: [u64; 9] = [3, 7, 20, 30, 60, 120, 240, 480, 600];
/// For how long a state must stay as it is to count as settled.
const CALM: Duration = Duration::from_secs(70);

/// Plays a script, on a runtime of its own.
pub(super) fn play(scenario: &dyn Scenario, script: Script<'_>) -> std::io::Result<Run> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    Ok(runtime.block_on(run(scenario, script)))
}

async fn run(scenario: &dyn Scenario, script: Script<'_>) -> Run {
    let Script { seed, steps, .. } = script;
    let clock = RuntimeClock::new(START);
    let random = Random::seeded(seed);
    let names: Vec<String> = (0..scenario.replicas()).map(|number| format!("replica-{number}")).collect();
    let within = steps.iter().map(|step| step.after).sum::<Duration>() + FAULTS_AFTER;
    let (points, troubles, server_faults) = match script.faults {
        Faults::None => (Points::default(), Vec::new(), Vec::new()),
        Faults::Seeded => {
            let troubles = trouble::seeded(&random, names.len(), within);
            (Points::seeded(&random.fork("points")), troubles, Vec::new())
        }
        Faults::These(faults) => chosen(faults),
    };
    let server = scenario.server(seed);
    match script.faults {
        Faults::None => server.misbehave(Misbehaviour::None, &names),
        Faults::Seeded => server.misbehave(Misbehaviour::Seeded(seed), &names),
        Faults::These(_) => server.misbehave(Misbehaviour::Replay(&server_faults), &names),
    }
    let journal = Arc::new(Journal::new(clock, scenario.invariants(), points, script.writes));
    if script.writes {
        journal.follow(&server);
    }

    let stop = CancellationToken::new();
    let replicas = names.iter().enumerate().map(|(number, name)| {
        let own = troubles.iter().filter(|trouble| trouble.replica == number);
        let troubles: Vec<What> = own.map(|trouble| trouble.what).collect();
        let crashes = troubles.iter().filter_map(|what| match what {
            What::Crash(crash) => Some(*crash),
            _ => None,
        });
        let crashes: Vec<Crash> = crashes.collect();
        let own = ProcessClock::new(clock, &troubles, random.fork(&format!("clock of {name}")));
        let stalls = names.len() > 1;
        let way = Way::new(&own, &troubles, stalls, random.fork(&format!("way of {name}")));
        let replica = Replica { name, seed, clock, own, way, server: &server, journal: &journal, scenario };
        let stopped = stop.clone();
        let journal = &journal;
        async move {
            let pauses = stopped.run_until_cancelled(replica.own.tell_pauses(journal, name));
            tokio::join!(biased; pauses, replica.live(crashes, stopped.clone()));
        }
    });
    let replicas = futures::future::join_all(replicas);
    let users = async {
        let client = server.client(USER, Requests::new(USER, &journal));
        for step in steps {
            clock.sleep(step.after).await;
            take(&client, &clock, step, &journal).await;
        }
        clock.sleep(FAULTS_AFTER).await;
        let mut faults: Vec<Fault> =
            server.misbehaved(0).into_iter().map(|fault| Fault(Wrong::Server(fault))).collect();
        journal.write("FAULT", || "no more".to_owned());
        server.misbehave(Misbehaviour::None, &names);
        journal.calm();
        let points = journal.went_wrong().into_iter().map(|(point, turn)| Wrong::Point { point, turn });
        faults.extend(points.chain(troubles.iter().copied().map(Wrong::Replica)).map(Fault));
        let state = settle(scenario, &*server, &clock, script.expected, &journal).await;
        stop.cancel();
        (state, faults)
    };
    let ((state, faults), _) = tokio::join!(biased; users, replicas);
    let violations = journal.violations();
    Run { state, violations, faults, requests: journal.requests(), lines: journal.close() }
}

fn chosen(faults: &[Fault]) -> (Points, Vec<Trouble>, Vec<ServerFault>) {
    let (mut points, mut troubles, mut server) = (Vec::new(), Vec::new(), Vec::new());
    for Fault(wrong) in faults {
        match wrong {
            Wrong::Server(fault) => server.push(fault.clone()),
            Wrong::Point { point, turn } => points.push((point.clone(), *turn)),
            Wrong::Replica(trouble) => troubles.push(*trouble),
        }
    }
    (Points::these(points), troubles, server)
}

/// A replica: a coordinator, that crashes and is built anew.
struct Replica<'a> {
    name: &'a str,
    seed: u64,
    clock: RuntimeClock,
    /// The clock of its process.
    own: ProcessClock,
    /// Its way to the server.
    way: Way,
    server: &'a Arc<dyn Server>,
    journal: &'a Arc<Journal>,
    scenario: &'a dyn Scenario,
}

impl Replica<'_> {
    async fn live(&self, crashes: Vec<Crash>, stop: CancellationToken) {
        for (life, crash) in crashes.iter().map(Some).chain([None]).enumerate() {
            let (told, token) = (crash.is_some_and(|crash| crash.gently), stop.child_token());
            let end = async {
                let Some(crash) = crash else { return std::future::pending().await };
                self.clock.sleep_until(crate::clock::after(START, crash.at)).await;
                if told {
                    self.own.awake().await;
                }
                let how = if told { "is told to shut down" } else { "crashes" };
                self.journal.write("FAULT", || format!("{} {how}", self.name));
                if told {
                    token.cancel();
                    std::future::pending::<()>().await;
                }
            };
            let coordinator = self.coordinator(life);
            self.journal.see(self.name, Moment::Started);
            tokio::select! {
                biased;
                ended = coordinator.run(token.clone()) => if let Err(error) = ended {
                    self.journal.violated(self.name, &error.to_string());
                },
                () = end => {}
            }
            self.journal.see(self.name, Moment::Stopped);
            // Observers may know their coordinator: nothing of it is to stay.
            for spec in coordinator.specs() {
                coordinator.remove(&spec.name);
            }
            let Some(crash) = crash else { return };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.clock.sleep(crash.down) => self.own.awake().await,
            }
        }
    }

    fn coordinator(&self, life: usize) -> Coordinator {
        let client = self.server.client(self.name, Requests::new(self.name, self.journal));
        let client = self.way.client(client, self.journal, self.name);
        let lookout = Lookout {
            replica: self.name.to_owned(),
            journal: Arc::clone(self.journal),
            clock: Arc::new(self.own.clone()),
        };
        let chance = Random::seeded(self.seed).fork(&format!("{} {life}", self.name));
        let builder = Coordinator::builder(client)
            .clock(self.own.clone())
            .seed(chance.number())
            .instance(self.name)
            .probe(Probe::new(Arc::new(lookout)));
        let coordinator = self.scenario.configure(builder).build();
        if let Err(error) = self.scenario.observe(&coordinator) {
            self.journal.violated(self.name, &error.to_string());
        }
        coordinator
    }
}

/// Takes a step, again and again until it succeeds or can never.
async fn take(client: &Client, clock: &RuntimeClock, step: &Step, journal: &Journal) {
    let mut error = String::new();
    for _ in 0..STEP_ATTEMPTS {
        match attempt(client, &step.write).await {
            Ok(()) => {
                journal.write(USER, || format!("{}", step.write));
                return;
            }
            Err(Error::Api(status)) if status.code == 404 => {
                journal.write(USER, || format!("cannot {}: {}", step.write, status.message));
                return;
            }
            Err(Error::Api(status)) if matches!(status.code, 400 | 405 | 422) => {
                journal.violated(USER, &format!("the scenario is wrong: {}: {}", step.write, status.message));
                return;
            }
            Err(other) => error = other.to_string(),
        }
        clock.sleep(STEP_RETRY).await;
    }
    journal.violated(USER, &format!("could not {} for minutes: {error}", step.write));
}

pub(super) async fn attempt(client: &Client, write: &Write) -> Result<(), Error> {
    let request = execute::request(write, USER).map_err(Error::BuildRequest)?;
    client.request_text(request).await.map(drop)
}

/// Waits until what the server holds stays as it is, and is as expected; if it never is, as long as anything may take.
async fn settle(
    scenario: &dyn Scenario,
    server: &dyn Server,
    clock: &RuntimeClock,
    expected: Option<&State>,
    journal: &Journal,
) -> State {
    let look = || State::of(server.objects(), scenario);
    let mut before = State::default();
    for seconds in LOOKS_SECONDS {
        clock.sleep(Duration::from_secs(seconds)).await;
        let state = look();
        if seconds > CALM.as_secs() {
            journal.end(); // nothing but what goes on for ever
        }
        let settled = match expected {
            Some(expected) => state == *expected,
            None => state == before,
        };
        if settled {
            clock.sleep(CALM).await;
            if look() == state {
                return state;
            }
        }
        before = state;
    }
    look()
}

impl Fault {
    /// Of what sort it is, as faults are counted.
    pub fn sort(&self) -> &str {
        match &self.0 {
            Wrong::Server(fault) => &fault.sort,
            Wrong::Point { point, .. } if point.ends_with(PANICS_HERE) => "an observer panics",
            Wrong::Point { .. } => "a replica stands still between two requests",
            Wrong::Replica(trouble) => trouble.sort(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Wrong::Server(fault) => f.write_str(&fault.description),
            Wrong::Point { point, turn } => write!(f, "{point} (number {turn})"),
            Wrong::Replica(trouble) => write!(f, "{trouble}"),
        }
    }
}
