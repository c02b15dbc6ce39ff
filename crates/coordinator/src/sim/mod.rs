//! Simulation: any observers, on a simulated clock, under faults that a seed decides.
//!
//! A [`Scenario`] says which observers run, on what server, and what its users do there. [`Simulation::check`] plays it
//! twice: once undisturbed, and once with everything that can go wrong going wrong — refused, delayed and lost answers,
//! watches that lag, end and expire, observers that panic and replicas that crash, are shut down, are paused or cut off
//! from the server until long after their lease has run out, and have slow clocks, all decided by the seed. Then the
//! faults end, and what the server holds in the end must be what it holds after the undisturbed run, but for what
//! chance and time write (unique ids, versions, times, generated names, and the addresses and ports that Services are
//! given where nobody asked for one). Meanwhile every [`Invariant`] must hold.
//!
//! Time is simulated: it stands still while anything is to be done, and jumps to the next deadline when nothing is.
//! Hours of back-off cost milliseconds, and all runs of a seed are equal to the last request. A seed that fails is
//! shrunk: faults and steps are left out as long as it still fails; the [`Failure`] prints what is left, and what
//! happened.
//!
//! ```text
//!  steps ──────► server ◄──────► coordinator (one a replica) ◄── observers
//!                  ▲  refuse, delay, lose, lag, cut   ▲  drop and build anew   ▲ panic
//!                  └───────────── faults, from the seed ┴───────────────────────┘
//! ```
//!
//! The coordinator knows no server: a [`Server`] is a few lines around whichever there is. xebec's own is the crate
//! `xebec-simulated`; the scenarios of all its controllers are in `xebec-sim`, and `make simulate SEEDS=10000` runs them.
//!
//! Nothing runs but the server and what [`Scenario::observe`] adds: no controller makes Pods of a Deployment, and no node
//! runs them, unless the scenario adds it. In particular nothing collects garbage: what an owner leaves behind when it is
//! deleted stays, unless the scenario adds a garbage collector (xebec's is one of `xebec_controllers::CONTROLLERS`).
//!
//! This module needs the cargo feature `sim`, and is for tests: it builds a tokio runtime of its own for each run, and
//! must not be called from within one.

pub mod cases;
mod clock;
mod failure;
pub mod invariants;
mod journal;
mod network;
mod normal;
mod play;
mod points;
mod process;
mod shrink;
mod simulation;
mod trouble;
mod wording;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use serde_json::Value;

pub use clock::RuntimeClock;
pub use failure::Failure;
pub use journal::{Duty, Invariant, Moment, Requests, Seen, Written};
pub use play::Fault;
pub use simulation::{Exploration, Report, Simulation};

use crate::coordinator::Builder;
use crate::{AddError, Coordinator, Random, Write};

/// The time at which every run starts, 2026-01-01T00:00:00Z.
pub const START: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// What is simulated: a server, observers, and what users do.
pub trait Scenario: Send + Sync {
    /// Its name.
    fn name(&self) -> &str;

    /// A new server; all chance in it is to come from `seed`, and all time from the tokio runtime within which this is
    /// called ([`RuntimeClock`] is such a clock).
    fn server(&self, seed: u64) -> Arc<dyn Server>;

    /// Adds the observers to a coordinator. Called for each replica, and anew when one has crashed: what observers keep
    /// in memory is to be made here.
    fn observe(&self, coordinator: &Coordinator) -> Result<(), AddError>;

    /// What users do, in order. What they end with must not depend on how fast observers are.
    fn steps(&self, random: &Random) -> Vec<Step>;

    /// How many replicas run, each a coordinator of its own.
    fn replicas(&self) -> usize {
        1
    }

    /// How each replica's coordinator is set up: by which election or sharding several share their work. Its client,
    /// clock, seed and name are set before.
    fn configure(&self, builder: Builder) -> Builder {
        builder
    }

    /// What must hold at every moment of every run.
    fn invariants(&self) -> Vec<Invariant> {
        vec![invariants::reads_own_writes(), invariants::serves_one_at_a_time()]
    }

    /// Takes out of an object what may differ between runs beyond ids, versions, times, generated names and what Services
    /// are given; false leaves the object out. Kubernetes Events are always left out.
    fn normalize(&self, object: &mut Value) -> bool {
        let _ = object;
        true
    }
}

/// What the observers run against, and what can be made to go wrong there.
pub trait Server: Send + Sync + 'static {
    /// A client of `user`, who may do everything. Each request is to go through [`Requests::answered`].
    fn client(&self, user: &str, requests: Requests) -> Client;

    /// Everything that is stored; Kubernetes Events may be left out.
    fn objects(&self) -> Vec<Value>;

    /// From now on this goes wrong for these users, and nothing else.
    fn misbehave(&self, how: Misbehaviour<'_>, users: &[String]);

    /// What has gone wrong since it was told how to misbehave, but for the first `skip`.
    fn misbehaved(&self, skip: usize) -> Vec<ServerFault>;
}

/// How a server is to misbehave.
#[derive(Clone, Copy, Debug)]
pub enum Misbehaviour<'a> {
    /// Not at all.
    None,
    /// As chance has it, from this seed.
    Seeded(u64),
    /// These faults, told before by [`Server::misbehaved`], wherever they fit.
    Replay(&'a [ServerFault]),
}

/// Something that went wrong at the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFault {
    /// What, for people.
    pub description: String,
    /// Of what sort it is: faults are counted by it.
    pub sort: String,
    /// What, for the server, to do it again.
    pub token: String,
}

/// One thing that a user does. It is tried until it succeeds, or is refused for good.
#[derive(Clone, Debug)]
pub struct Step {
    /// How long after the step before.
    pub after: Duration,
    /// What.
    pub write: Write,
}

impl Step {
    /// Does this so long after the step before.
    pub fn new(after: Duration, write: Write) -> Self {
        Self { after, write }
    }
}

impl<S: Scenario + ?Sized> Scenario for Box<S> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn server(&self, seed: u64) -> Arc<dyn Server> {
        (**self).server(seed)
    }

    fn observe(&self, coordinator: &Coordinator) -> Result<(), AddError> {
        (**self).observe(coordinator)
    }

    fn steps(&self, random: &Random) -> Vec<Step> {
        (**self).steps(random)
    }

    fn replicas(&self) -> usize {
        (**self).replicas()
    }

    fn configure(&self, builder: Builder) -> Builder {
        (**self).configure(builder)
    }

    fn invariants(&self) -> Vec<Invariant> {
        (**self).invariants()
    }

    fn normalize(&self, object: &mut Value) -> bool {
        (**self).normalize(object)
    }
}
