//! A few seeds of everything, and that the simulation itself can be trusted: it repeats, and it finds what is broken.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use k8s_openapi::api::core::v1::ConfigMap;
use parking_lot::Mutex;
use xebec_coordinator::sim::{Exploration, Scenario, Simulation};
use xebec_coordinator::{BoxError, Event, Key, Observer, ObserverSpec, Plan, View};
use xebec_sim::scenarios::{Copies, Copy, SCENARIOS};

/// How many seeds of each scenario are played here; `make simulate` plays more.
const SEEDS: u64 = 3;
/// Within so many seeds what is broken must be found.
const SEEDS_TO_FIND: u64 = 200;

fn explore(scenario: impl Scenario, seeds: u64) -> Exploration {
    Simulation::new(scenario).explore(0..seeds, 2, |_| {})
}

#[test]
fn every_observer_ends_where_a_run_without_faults_does() {
    for scenario in SCENARIOS {
        let explored = explore(scenario(), SEEDS);
        if let Some(failure) = explored.failure {
            panic!("{failure}");
        }
        assert_eq!(explored.seeds, SEEDS);
        assert!(explored.total.faults > 0, "nothing went wrong");
    }
}

#[test]
fn a_seed_repeats_to_the_last_line() {
    for scenario in SCENARIOS {
        let simulation = Simulation::new(scenario());
        let (one, other) = (simulation.journal(1), simulation.journal(1));
        let differs = one.iter().zip(&other).find(|(one, other)| one != other);
        assert_eq!(differs, None);
        assert_eq!(one.len(), other.len());
        assert!(one.iter().any(|line| line.contains("FAULT")), "{one:#?}");
    }
}

/// Finds what is broken within some seeds, and says how it is found: the failure in words.
#[track_caller]
fn found<O: Observer>(observer: fn() -> O) -> String {
    let explored = explore(Copies(observer), SEEDS_TO_FIND);
    let failure = explored.failure.expect("no seed finds it");
    assert!(!failure.reasons.is_empty() && failure.faults.len() <= 5, "{failure}");
    assert!(failure.faults.len() <= failure.faults_drawn);
    failure.to_string()
}

/// Copies, but does something wrong.
struct Broken<B>(Copy, B);

trait Break: Send + Sync + 'static {
    fn wake(&self, copy: &Copy, event: &Event, view: &View) -> Vec<Key> {
        copy.wake(event, view)
    }

    fn plan(&self, copy: &Copy, key: &Key, view: &View) -> Result<Plan, BoxError> {
        copy.plan(key, view)
    }
}

impl<B: Break> Observer for Broken<B> {
    fn spec(&self) -> ObserverSpec {
        self.0.spec()
    }

    fn wake(&self, event: &Event, view: &View) -> Vec<Key> {
        self.1.wake(&self.0, event, view)
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        self.1.plan(&self.0, key, view)
    }
}

/// Does nothing about deletions that it learns of late, as if a relist did not tell them.
struct DeafToDeletions;

impl Break for DeafToDeletions {
    fn wake(&self, copy: &Copy, event: &Event, view: &View) -> Vec<Key> {
        if event.is_deleted() { Vec::new() } else { copy.wake(event, view) }
    }
}

#[test]
fn deletions_that_wake_nobody_are_found() {
    // Without any fault, too: the steps delete copies.
    assert!(found(|| Broken(Copy, DeafToDeletions)).contains("copy-of-"));
}

/// Remembers what it has done, and does not do it again, whatever became of it.
#[derive(Default)]
struct Remembers(Mutex<Vec<(Key, Option<String>)>>);

impl Break for Remembers {
    fn plan(&self, copy: &Copy, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let now = view.object(key).map(|object| object.resource_version().to_owned());
        let mut done = self.0.lock();
        if done.contains(&(key.clone(), now.clone())) && view.get::<ConfigMap>("default", "none")?.is_none() {
            return Ok(Plan::new());
        }
        done.push((key.clone(), now));
        copy.plan(key, view)
    }
}

#[test]
fn a_write_taken_for_done_before_it_is_answered_is_found() {
    let failure = found(|| Broken(Copy, Remembers::default()));
    assert!(failure.contains("copy-of-") && failure.contains("what happened"), "{failure}");
}

/// Panics of itself, without any fault.
struct Panics;

impl Break for Panics {
    fn plan(&self, copy: &Copy, key: &Key, view: &View) -> Result<Plan, BoxError> {
        assert_ne!(view.typed::<ConfigMap>().len(), 5, "of the observer's own");
        copy.plan(key, view)
    }
}

#[test]
fn a_panic_of_the_observers_own_is_found() {
    assert!(found(|| Broken(Copy, Panics)).contains("of the observer's own"));
}
