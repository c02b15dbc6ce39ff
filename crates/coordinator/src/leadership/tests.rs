//! Elections and memberships under whatever may happen to replicas, requests and clocks.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use proptest::prelude::*;

use super::duty::{Duty, Fence};
use super::machine::{Choice, Machine, Todo};
use super::moment::Moment;
use super::requests::{Answer, Failure, Lease, Outcome, Request};
use super::settings::{Election, Sharding, Times};
use super::shards::Assignment;
use crate::clock::after;
use crate::{Key, Random};

const KEYS: usize = 8;
const LEASE: Duration = Duration::from_secs(15);

fn key(number: usize) -> Key {
    Key::new::<Pod>(format!("ns-{number}").as_str(), "web")
}

/// A server of Leases, as strict as the real one about versions.
#[derive(Default)]
struct Server {
    leases: BTreeMap<String, Lease>,
    version: u64,
}

impl Server {
    fn execute(&mut self, request: &Request) -> Outcome {
        let version = |lease: &Lease| lease.0["metadata"]["resourceVersion"].clone();
        match request {
            Request::Get { name, .. } => {
                self.leases.get(name).cloned().map(Answer::Lease).ok_or(Failure::Missing)
            }
            Request::List { .. } => Ok(Answer::Leases(self.leases.values().cloned().collect())),
            Request::Create(lease) if self.leases.contains_key(lease.name()) => Err(Failure::Conflict),
            Request::Create(lease) => Ok(self.put(lease)),
            Request::Replace(lease) | Request::Delete(lease) => match self.leases.get(lease.name()) {
                None => Err(Failure::Missing),
                Some(there) if version(there) != version(lease) => Err(Failure::Conflict),
                Some(_) if matches!(request, Request::Delete(_)) => {
                    self.leases.remove(lease.name());
                    Ok(Answer::Deleted)
                }
                Some(_) => Ok(self.put(lease)),
            },
        }
    }

    fn put(&mut self, lease: &Lease) -> Answer {
        self.version += 1;
        let mut lease = lease.clone();
        lease.0["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.leases.insert(lease.name().to_owned(), lease.clone());
        Answer::Lease(lease)
    }
}

/// A replica, its clock, and its request under way.
struct Replica {
    machine: Machine,
    /// Local seconds a second.
    rate: f64,
    offset: Duration,
    paused: bool,
    waits_until: Timestamp,
    request: Option<(Request, Moment, Option<Outcome>)>,
    obeyed: (Assignment, Option<Fence>),
    /// Keys that are being served.
    work: Vec<usize>,
}

#[derive(Clone, Copy)]
enum Sort {
    Election,
    Sharding,
}

struct World {
    sort: Sort,
    server: Server,
    now: Duration,
    replicas: Vec<Replica>,
    born: u64,
    /// Requests whose sender has given them up; they may still arrive.
    stray: Vec<Request>,
    random: Random,
}

impl Replica {
    fn moment(&self, now: Duration) -> Moment {
        let local = self.offset + now.mul_f64(self.rate);
        Moment::of(after(Timestamp::UNIX_EPOCH, local), local)
    }

    /// Whether it may write for a key: it is at work on it, or may begin to be, and is not fenced.
    fn may_write(&self, number: usize, now: Duration) -> bool {
        let open = || self.obeyed.1.is_some_and(|fence| !fence.is_over(self.moment(now)));
        open() && (self.work.contains(&number) || self.obeyed.0.serves(&key(number)))
    }

    fn obey(&mut self, now: Moment) {
        self.machine.tick(now);
        // As `Duty` does: the end of a term ends all work.
        if self.obeyed.1.is_none_or(|fence| fence.is_over(now)) {
            self.work.clear();
        }
        self.obeyed = (self.machine.assignment(), self.machine.fence());
    }

    /// Runs until it waits for an answer or for a time.
    fn run(&mut self, now: Moment) {
        if self.request.is_some() {
            return;
        }
        self.obey(now);
        let drained = self.work.iter().all(|number| self.obeyed.0.serves(&key(*number)));
        match self.machine.poll(now, drained) {
            Todo::Send(request) => self.request = Some((request, now, None)),
            Todo::Wait(until) => self.waits_until = until,
        }
    }

    fn take_answer(&mut self, now: Moment, outcome: Option<Outcome>) {
        let Some((request, sent, executed)) = self.request.take() else { return };
        let lost = || Err(Failure::Unknown("lost".to_owned()));
        self.machine.answer(&request, sent, now, outcome.or(executed).unwrap_or_else(lost));
        self.obey(now);
    }
}

impl World {
    fn new(sort: Sort, seed: u64) -> Self {
        let random = Random::seeded(seed);
        let (server, replicas, stray) = Default::default();
        Self { sort, server, now: Duration::ZERO, replicas, born: 0, stray, random }
    }

    fn join(&mut self) {
        self.born += 1;
        let identity = format!("replica-{}", self.born);
        let choice = match self.sort {
            Sort::Election => Choice::Election(Election::new("ns", "op").identity(identity)),
            Sort::Sharding => Choice::Sharding(Sharding::by_namespace("ns", "op").identity(identity)),
        };
        let random = self.random.fork(&self.born.to_string());
        let rate = 0.85 + 0.3 * random.fraction();
        let offset = Duration::from_secs(random.number() % 100_000);
        let machine = choice.machine("test", &random);
        self.replicas.push(Replica {
            machine,
            rate,
            offset,
            paused: false,
            waits_until: Timestamp::MIN,
            request: None,
            obeyed: (Assignment::Nothing, None),
            work: Vec::new(),
        });
    }

    /// One thing happens, of a hundred that may.
    fn step(&mut self, chance: u8, who: usize, amount: u64) {
        match chance {
            0..=1 if self.replicas.len() < 4 => self.join(),
            2..=19 => self.now += Duration::from_millis(amount % 200),
            20 => self.now += Duration::from_millis(amount % 14_000),
            21..=22 if !self.stray.is_empty() => {
                let request = self.stray.remove(who % self.stray.len());
                let _ = self.server.execute(&request);
            }
            _ => {}
        }
        if self.replicas.is_empty() {
            return;
        }
        let who = who % self.replicas.len();
        let replica = &mut self.replicas[who];
        let now = replica.moment(self.now);
        match chance {
            23..=24 => replica.paused = !replica.paused,
            25 => {
                let dead = self.replicas.remove(who);
                self.stray.extend(dead.request.map(|(request, ..)| request));
            }
            // Its request arrives, whether or not it is paused.
            26..=30 => {
                if let Some((request, _, executed @ None)) = &mut replica.request {
                    *executed = Some(self.server.execute(request));
                }
            }
            _ if replica.paused => {}
            // It gives up, and the request arrives later, perhaps.
            42..=44 => {
                if let Some((request, _, None)) = &replica.request {
                    self.stray.push(request.clone());
                }
                replica.take_answer(now, Some(Err(Failure::Unknown("given up".to_owned()))));
            }
            45..=49 => drop(replica.work.pop()),
            50..=56 => {
                let begin = |number: &usize| {
                    replica.may_write(*number, self.now) && replica.obeyed.0.serves(&key(*number))
                };
                replica.work =
                    (0..KEYS).filter(|number| begin(number) || replica.work.contains(number)).collect();
            }
            57 if replica.request.is_none() => {
                // It hands over: work has ended first.
                replica.work.clear();
                replica.obey(now);
                if let Some(request) = replica.machine.release(now) {
                    let _ = self.server.execute(&request);
                }
                self.replicas.remove(who);
            }
            // It goes on: a request arrives, or is answered, or the next is made.
            58.. => match &mut replica.request {
                Some((request, _, executed @ None)) => *executed = Some(self.server.execute(request)),
                Some(_) => {
                    replica.take_answer(now, None);
                    replica.run(now);
                }
                None => replica.run(now),
            },
            _ => {}
        }
    }

    /// How many replicas may write for each key.
    fn owners(&self) -> Vec<usize> {
        let count =
            |number| self.replicas.iter().filter(|replica| replica.may_write(number, self.now)).count();
        (0..KEYS).map(count).collect()
    }

    /// Time goes on without faults; `check` is asked all along.
    fn calm(&mut self, lasts: Duration, mut check: impl FnMut(&Self)) {
        let until = self.now + lasts;
        while self.now < until {
            self.now += Duration::from_millis(50);
            for replica in &mut self.replicas {
                replica.paused = false;
                let now = replica.moment(self.now);
                if let Some((request, _, executed @ None)) = &mut replica.request {
                    *executed = Some(self.server.execute(request));
                } else if replica.request.is_some() {
                    replica.take_answer(now, None);
                } else {
                    replica.work.clear();
                    replica.run(now);
                }
            }
            check(self);
        }
    }
}

fn never_two(world: &World) {
    let owners = world.owners();
    assert!(owners.iter().all(|count| *count <= 1), "at {:?} a key is served by two: {owners:?}", world.now);
}

/// Whatever happens, no key is served by two; after quiet each is by one, and by another soon after its server died.
fn check(sort: Sort, seed: u64, steps: &[(u8, usize, u64)]) {
    let mut world = World::new(sort, seed);
    world.join();
    for (op, who, amount) in steps {
        world.step(*op, *who, *amount);
        never_two(&world);
    }
    world.join();
    world.join();
    world.calm(LEASE * 3, never_two);
    assert_eq!(world.owners(), vec![1; KEYS], "after quiet");
    let dead = world.replicas.iter().position(|replica| replica.may_write(0, world.now)).unwrap();
    world.replicas.remove(dead);
    // Its lease, a renewal's time, and some requests; by the slowest clock there may be.
    world.calm((LEASE + Times::of(LEASE).retry + Duration::from_millis(500)).div_f64(0.85), never_two);
    assert_eq!(world.owners(), vec![1; KEYS], "after a death");
}

/// A moment of a clock that nobody sets.
fn at(seconds: f64) -> Moment {
    let since = Duration::from_secs_f64(seconds);
    Moment::of(after(Timestamp::UNIX_EPOCH, since), since)
}

/// Makes its next request, if it has one, and answers it.
fn exchange(
    machine: &mut Machine,
    server: &mut Server,
    drained: bool,
    sent: f64,
    answered: f64,
) -> Option<Request> {
    machine.tick(at(sent));
    let Todo::Send(request) = machine.poll(at(sent), drained) else { return None };
    let outcome = server.execute(&request);
    machine.answer(&request, at(sent), at(answered), outcome);
    Some(request)
}

/// Makes requests until it waits; returns them.
fn run(machine: &mut Machine, server: &mut Server, drained: bool, now: f64) -> Vec<Request> {
    std::iter::from_fn(|| exchange(machine, server, drained, now, now)).collect()
}

fn candidate(name: &str) -> Machine {
    Choice::Election(Election::new("ns", "op").identity(name)).machine("test", &Random::seeded(1))
}

fn member(name: &str, rule: &str) -> Machine {
    let sharding = Sharding::by("ns", "op", rule, ToString::to_string).identity(name);
    Choice::Sharding(sharding).machine("test", &Random::seeded(1))
}

/// The set in the claim that a request publishes.
fn claimed(request: &Request) -> Option<String> {
    let (Request::Create(lease) | Request::Replace(lease)) = request else { return None };
    lease.annotation(super::membership::CLAIM_ANNOTATION).map(str::to_owned)
}

#[test]
fn a_term_counts_from_when_the_renewal_was_sent() {
    let (mut server, mut machine) = (Server::default(), candidate("a"));
    exchange(&mut machine, &mut server, true, 0.0, 0.0); // it is not there
    exchange(&mut machine, &mut server, true, 0.0, 9.0);
    let fence = machine.fence().unwrap();
    assert!(!fence.is_over(at(9.9)) && fence.is_over(at(10.0)));
    machine.tick(at(10.0));
    assert!(machine.fence().is_none());
    // An answer that comes after the time is of no use, though the Lease is ours.
    exchange(&mut machine, &mut server, true, 12.0, 12.0); // reads
    exchange(&mut machine, &mut server, true, 12.0, 22.0);
    assert!(machine.fence().is_none());
}

/// Work of the old term has been dropped, so that observers must begin anew, though what they may serve is the same.
#[test]
fn a_term_that_began_anew_unseen_is_a_new_beginning() {
    let duty = Duty::new(Times::of(LEASE));
    let fence = |seconds| Some(Fence { sent: at(seconds), lasts: Duration::from_secs(10) });
    let version = |now, fence| {
        duty.obey(at(now), Assignment::All, fence);
        duty.assignment().0
    };
    let begun = version(0.0, fence(0.0));
    assert_eq!(version(2.0, fence(2.0)), begun, "it is renewed");
    // More than one change: see `Post::act`.
    assert_eq!(version(12.5, fence(12.0)), begun + 2);
}

#[test]
fn a_lease_is_expired_when_it_was_asked_for_after_its_time_and_is_still_the_same() {
    let (mut server, mut a, mut b) = (Server::default(), candidate("a"), candidate("b"));
    run(&mut a, &mut server, true, 0.0);
    exchange(&mut b, &mut server, true, 0.5, 1.0);
    assert!(matches!(b.poll(at(1.0), true), Todo::Wait(_)));
    // Asked before, answered after: a renewal may have come between.
    exchange(&mut b, &mut server, true, 15.9, 17.0);
    let waits = b.poll(at(17.0), true);
    assert!(matches!(waits, Todo::Wait(_)), "{waits:?}");
    exchange(&mut b, &mut server, true, 19.0, 19.0);
    assert!(matches!(b.poll(at(19.0), true), Todo::Send(Request::Replace(_))));

    // And so with members of a group.
    let (mut server, mut a, mut b) = (Server::default(), member("a", "r"), member("b", "r"));
    run(&mut a, &mut server, true, 0.0);
    run(&mut b, &mut server, true, 1.0);
    assert_eq!(b.status().members.len(), 2);
    for renewed in [5.0, 10.0] {
        run(&mut b, &mut server, true, renewed);
    }
    assert!(matches!(exchange(&mut b, &mut server, true, 15.8, 15.8), Some(Request::Replace(_))));
    assert!(matches!(exchange(&mut b, &mut server, true, 15.9, 17.0), Some(Request::List { .. })));
    assert_eq!(b.status().members.len(), 2);
    run(&mut b, &mut server, true, 17.5);
    assert_eq!(b.status().members.len(), 1);
}

#[test]
fn keys_are_let_go_in_the_claim_only_when_their_work_has_ended() {
    let (mut server, mut a, mut b) = (Server::default(), member("a", "r"), member("b", "r"));
    let claims: Vec<_> = run(&mut a, &mut server, true, 0.0).iter().filter_map(claimed).collect();
    assert_eq!(claims, [r#"{"rule":"r","members":[]}"#, r#"{"rule":"r","members":["a"]}"#]);
    run(&mut b, &mut server, true, 1.0);
    // Work goes on that is to be b's: a claims what it did, but begins nothing of it.
    let claims: Vec<_> = run(&mut a, &mut server, false, 2.0).iter().filter_map(claimed).collect();
    assert_eq!(claims, [r#"{"rule":"r","members":["a"]}"#]);
    let shared: Vec<usize> = (0..KEYS).filter(|number| a.assignment().serves(&key(*number))).collect();
    assert!(!shared.is_empty() && shared.len() < KEYS);
    run(&mut b, &mut server, true, 2.5);
    assert_eq!((0..KEYS).filter(|number| b.assignment().serves(&key(*number))).count(), 0);
    let claims: Vec<_> = run(&mut a, &mut server, false, 4.5).iter().filter_map(claimed).collect();
    assert_eq!(claims, [r#"{"rule":"r","members":["a"]}"#], "it is renewed as it is");
    // It has ended.
    let claims: Vec<_> = run(&mut a, &mut server, true, 4.6).iter().filter_map(claimed).collect();
    assert_eq!(claims, [r#"{"rule":"r","members":["a","b"]}"#]);
    run(&mut b, &mut server, true, 6.0);
    assert_eq!((0..KEYS).filter(|number| b.assignment().serves(&key(*number))).count(), KEYS - shared.len());
}

#[test]
fn members_of_another_rule_wait_until_those_who_serve_are_gone() {
    let (mut server, mut old, mut new) = (Server::default(), member("a", "v1"), member("b", "v2"));
    let serves =
        |machine: &Machine| (0..KEYS).filter(|number| machine.assignment().serves(&key(*number))).count();
    run(&mut old, &mut server, true, 0.0);
    for now in [1.0, 3.0, 5.0] {
        run(&mut new, &mut server, true, now);
        run(&mut old, &mut server, true, now + 1.0);
        assert_eq!((serves(&old), serves(&new)), (KEYS, 0), "at {now}");
    }
    let release = old.release(at(7.0)).unwrap();
    server.execute(&release).unwrap();
    run(&mut new, &mut server, true, 8.0);
    assert_eq!(serves(&new), KEYS);
}

#[test]
fn fields_of_coordinated_election_are_left_alone() {
    let (mut server, mut machine) = (Server::default(), candidate("a"));
    run(&mut machine, &mut server, true, 0.0);
    let lease = server.leases.get_mut("op").unwrap();
    lease.0["spec"]["preferredHolder"] = "x".into();
    lease.0["spec"]["strategy"] = "OldestEmulationVersion".into();
    let changed = lease.clone();
    server.put(&changed);
    run(&mut machine, &mut server, true, 3.0);
    let spec = &server.leases["op"].0["spec"];
    assert_eq!(
        (&spec["preferredHolder"], &spec["strategy"]),
        (&"x".into(), &"OldestEmulationVersion".into())
    );
    assert!(spec["renewTime"].as_str().unwrap().ends_with(":03.000000Z") && machine.fence().is_some());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_key_is_served_by_two_and_after_quiet_each_by_one(
        seed in any::<u64>(),
        steps in prop::collection::vec((0..100_u8, 0..4_usize, any::<u64>()), 0..900),
    ) {
        check(Sort::Sharding, seed, &steps);
    }

    #[test]
    fn no_two_lead_and_after_quiet_one_does(
        seed in any::<u64>(),
        steps in prop::collection::vec((0..100_u8, 0..4_usize, any::<u64>()), 0..900),
    ) {
        check(Sort::Election, seed, &steps);
    }
}

/// How many random runs: `LEADERSHIP_CASES`, or a few.
fn cases() -> u32 {
    std::env::var("LEADERSHIP_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(32)
}
