//! The Kubernetes API told as events: one watch a kind, many observers.
//!
//! A [`Coordinator`] speaks with the API server; observers are told what changed, and answer with plans, which the
//! coordinator executes. In flow changes of objects (list and watch, once for each kind and scope however many
//! observers want it); out flow writes, events that observers emit for each other, and Kubernetes Events.
//!
//! # The way of an event
//!
//! ```text
//!  API server ◄────────────────────────────────────────────────────────────────────────────┐
//!      │ list and watch, once a kind and scope                                              │
//!      ▼                                                                                    │
//!  feed: the store (bytes, indexes, snapshots)                                              │
//!      │ Event, into the inbox of each observer that wants it                               │
//!  ┌ ─ ┼ ─ an observer ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ┐  │
//!      ▼                                                                                    │
//!  │ wake, and triggers by index: which keys; priority: how urgent            (pure)     │  │
//!      │ keys                                                                               │
//!  │   ▼                                                                                 │  │
//!    desk: the mailbox, by priority and then first in, first out; a key waits at most once, │
//!  │       held while its own writes are not in view, after a failure, until a time, or  │  │
//!          while the lease does not give it to this replica                                 │
//!  │   │ key, View                                                                       │  │
//!      ▼                                                                                    │
//!  │ plan, or finalize if the object is being deleted                         (pure)     │  │
//!      │ Plan; the finalizer is added or removed, applies of what is applied are left out   │
//!  └ ─ ┼ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ┘  │
//!      ▼                                                                                    │
//!  execute ─┬─ writes, while the lease surely holds ────────────────────────────────────────┤
//!           ├─ records ──► Kubernetes Events ───────────────────────────────────────────────┘
//!           └─ emitted ──► other observers
//!
//!  a write fails: refused (pure), back-off of the key │ a panic, a hang: this observer restarts, after a back-off
//! ```
//!
//! Three shapes of observer go this way: an [`Observer`], which plans; a [`Reconciler`], which does what it does itself, as
//! it speaks with something outside; and a [callback](Coordinator::callback), which is told of each event itself, of levels
//! or of [every change](Delivery::Edges). What fails is one type an operation: [`AddError`] where a spec cannot be kept,
//! [`DecodeError`] for an object that is not of the type asked for, [`WriteError`] for a write that was refused or fenced,
//! [`PlanError`] for a question about an observer, [`RunError`] for the coordinator itself. Observers' own are [`BoxError`]s.
//!
//! # An observer
//!
//! An [`Observer`] is an [`ObserverSpec`], which is data, and two pure parts: [`wake`](Observer::wake) says which keys
//! an event concerns, [`plan`](Observer::plan) what to do about a key, given a [`View`] of the cluster. This one keeps
//! a ConfigMap in every Namespace that is labelled for it:
//!
//! ```
//! use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
//! use kube::Resource;
//! use xebec_coordinator::{
//!     BoxError, Event, EventRecord, Key, Kind, Observer, ObserverSpec, Plan, Right, View, Watch, reference_to,
//! };
//!
//! struct Greeter;
//!
//! impl Observer for Greeter {
//!     fn spec(&self) -> ObserverSpec {
//!         ObserverSpec::new("greeter", "keeps a greeting in every namespace labelled greeting=yes")
//!             .watch(Watch::of::<Namespace>().labelled("greeting=yes")) // the primary kind
//!             .watch(Watch::of::<ConfigMap>())
//!             .right(Right::to::<ConfigMap>(&["create"]))
//!     }
//!
//!     // The default wakes an object of the primary kind, and the controller of any other. Here a ConfigMap wakes the
//!     // Namespace that it is in.
//!     fn wake(&self, event: &Event, _view: &View) -> Vec<Key> {
//!         match event.key().namespace() {
//!             Some(namespace) if event.key().name() == "greeting" => vec![Key::new::<Namespace>(None, namespace)],
//!             Some(_) => Vec::new(),
//!             None => vec![event.key().clone()],
//!         }
//!     }
//!
//!     fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
//!         let mut plan = Plan::new();
//!         let Some(namespace) = view.get_key::<Namespace>(key)? else {
//!             return Ok(plan); // gone, and its ConfigMaps with it
//!         };
//!         if view.get::<ConfigMap>(key.name(), "greeting")?.is_none() {
//!             let mut greeting = ConfigMap::default();
//!             greeting.metadata.namespace = Some(key.name().to_owned());
//!             greeting.metadata.name = Some("greeting".to_owned());
//!             greeting.metadata.owner_references = namespace.controller_owner_ref(&()).map(|owner| vec![owner]);
//!             greeting.data = Some([("text".to_owned(), "hello".to_owned())].into());
//!             plan.create(&greeting);
//!             plan.record(EventRecord::normal(reference_to(&namespace), "Greeted", "created the greeting"));
//!         }
//!         Ok(plan)
//!     }
//! }
//!
//! // Pure parts are tested without a server:
//! use xebec_coordinator::Object;
//! let mut namespace = Namespace::default();
//! namespace.metadata.name = Some("town".to_owned());
//! let view = View::of(&Greeter.spec(), jiff::Timestamp::UNIX_EPOCH, [Object::encode(&namespace)?]);
//! let plan = Greeter.plan(&Key::of(&namespace), &view)?;
//! assert_eq!(plan.writes().map(ToString::to_string).collect::<Vec<_>>(), ["create ConfigMap town/greeting"]);
//!
//! // And run with one:
//! # use tokio_util::sync::CancellationToken;
//! # use xebec_coordinator::Coordinator;
//! # async fn run(client: kube::Client) -> Result<(), BoxError> {
//! let coordinator = Coordinator::new(client);
//! coordinator.observe(Greeter)?;
//! coordinator.on(|event: Event<ConfigMap>, _cx| async move {
//!     println!("{:?}", event.object().metadata.name); // a callback is an observer, too
//! });
//! coordinator.run(CancellationToken::new()).await?;
//! # Ok(())
//! # }
//! # Ok::<(), BoxError>(())
//! ```
//!
//! # What holds
//!
//! - Work is by key. Ready keys are served first in, first out, by [`Priority`], and none waits for ever; a key waits at
//!   most once, and is never served twice at the same time. What arrives meanwhile is one more turn, at the end of the
//!   queue.
//! - A plan sees only what `wake` has been told of, so that no wake-up is lost, and it sees all that the last plan for
//!   its key has written, so that nothing is created twice: after a write the key is held back until the write is in
//!   the observer's view (its *own echo*). An echo wakes like any change, but does not cut a back-off short; an observer whose
//!   plans are complete [says so](ObserverSpec::settles) and is not woken by itself.
//! - A [finalizer](ObserverSpec::finalizer) is there before anything is written elsewhere for an object, and goes when
//!   all is cleaned up; no observer has to think of it. An apply that would change nothing is not sent, and none to the object that is
//!   served brings it back when it is gone.
//! - An observer needs no state. What it keeps of a key between its plans it [remembers](Plan::remember); what a user sets is
//!   [in its view](View::option); what it [counts](Plan::count) and [measures](Plan::measure) is told with the coordinator's
//!   metrics. All of it is declared in its spec, from which come [flags](ObserverSpec::set), [rights](ObserverSpec::rights),
//!   [rows](ObserverSpec::rows) and a [reference page](ObserverSpec::reference).
//! - Views are immutable snapshots: no reader, however slow or dead, can stall a watch, and no observer another.
//! - A late observer gets a snapshot (as `Added`) and then the changes, atomically. A relist tells only what differs,
//!   deletions included. Deletions carry the last state.
//! - A watch keeps of each object what its observers want together, and no more ([`Detail`]); what changes elsewhere in
//!   the object is not told.
//! - An error is retried with exponential back-off by key. A panic, or serving a key for longer than the spec
//!   [allows](ObserverSpec::hangs_after), restarts that observer alone. All this is counted in [`Coordinator::status`] and
//!   [`Coordinator::metrics`], and a restart is told in a Kubernetes Event. [`Coordinator::why`] says of any key what woke
//!   it and what it waits for.
//! - [`Coordinator::rehearse`] says what an observer would do about a cluster, and writes nothing.
//! - Observers are added, removed, [replaced](Coordinator::replace) and [reconfigured](Coordinator::reconfigure) while the
//!   coordinator runs; no key that waits is lost by it, and none is served by two.
//! - A kind that is missing or forbidden is a visible state ([`WatchState`]), is retried, and stops nothing else. A
//!   missing one is taken up as soon as its definition comes, where the rights let us see definitions.
//! - Of several replicas one leads ([`Election`]), or each serves its share of the keys ([`Sharding`]): no key is served
//!   by two, and nothing is written by one whose lease is lost. Observers that must run everywhere
//!   [say so](ObserverSpec::on_every_replica).
//! - All time is from a [`Clock`], all chance from a seed.
//!
//! # Where to start reading
//!
//! The repository has a tutorial (`docs/tutorial.md`), five operators (`examples/operators`), and pages for those who come
//! from kube-rs or controller-runtime. Here: [`Observer`] and [`View`], then [`Plan`], [`Write`], [`Conditions`] and
//! [`ownership`]; of the inside, `mailbox` (the queue), `desk` (all that is known of an observer's keys), `store` (a
//! snapshot), `parser` (what is kept of an object), `feed` (a watch and its subscribers), `actor` (an observer at work),
//! `succession` (one going on in the place of another).

mod activity;
mod actor;
mod aggregation;
mod applied;
mod backoff;
mod bus;
mod catch_up;
mod clock;
mod column;
mod conditions;
mod context;
mod coordinator;
mod counting;
mod desk;
mod detail;
mod echoes;
mod emitted;
mod entry;
mod error;
mod event;
mod execute;
mod feed;
mod feeds;
mod finalizer;
mod freshness;
mod gauge;
mod header;
mod idle;
mod index;
mod indexing;
mod interner;
mod key;
mod kind;
mod leadership;
mod listwatch;
mod mailbox;
mod memory;
mod metrics;
#[cfg(feature = "server")]
mod monitoring;
mod names;
mod object;
mod observer;
#[cfg(feature = "operator")]
pub mod operator;
mod option;
pub mod ownership;
mod packed;
mod parser;
mod payload;
mod pending;
mod plan;
mod planning;
mod probe;
mod pure;
mod reading;
mod ready;
mod record;
mod recorder;
mod reference;
mod rehearsal;
mod release;
mod repeats;
mod replace;
mod report;
mod runtime;
mod selector;
mod serve;
#[cfg(feature = "sim")]
pub mod sim;
mod spec;
mod status;
mod store;
mod succession;
mod trail;
mod trigger;
mod view;
mod weak;
mod why;
mod wire;
mod write;

/// For implementations of [`Reconciler`], so that they need no dependency of their own.
#[doc(no_inline)]
pub use async_trait::async_trait;

pub use backoff::{Backoff, Random};
pub use clock::{Clock, ManualClock, SystemClock, clock_of};
pub use column::{Column, Row};
pub use conditions::{ConditionError, Conditions, Truth};
pub use context::Context;
pub use coordinator::{Builder, Coordinator};
pub use counting::{Labels, Metric, MetricForm};
pub use detail::{Detail, Projection};
pub use error::{AddError, BoxError, PlanError, RehearsalError, ReleaseError, RunError, WriteError};
pub use event::Event;
pub use finalizer::Needs;
pub use index::Index;
pub use key::{Key, KeyError};
pub use kind::Kind;
pub use leadership::{Election, LeadershipStatus, Member, Sharding};
#[cfg(feature = "server")]
pub use monitoring::Monitoring;
pub use object::{DecodeError, Object, Owner};
pub use observer::{Action, IntoAction, Observer, Reconciler, default_wake};
pub use option::{OptionError, OptionForm, OptionSpec, OptionType, OptionValue, Setting};
pub use ownership::{Dependent, OwnershipError, controller_ref, owned_by};
pub use plan::{Emission, EmissionSpec, Plan, Step};
pub use ready::Priority;
pub use record::{EventRecord, RecordSpec, Severity, reference_to};
pub use rehearsal::Rehearsal;
pub use report::own_pod;
pub use selector::{LabelSelector, SelectorError};
pub use spec::{Delivery, Freshness, ObserverSpec, Right, Scope, Watch};
pub use status::{Health, LastError, ObserverStatus, Status, WatchState, WatchStatus};
pub use trigger::Trigger;
pub use view::{Table, View};
pub use weak::WeakCoordinator;
pub use why::{Cause, Served, Waiting, Why, Woken};
pub use write::{MisuseError, Operation, Patch, Write};
