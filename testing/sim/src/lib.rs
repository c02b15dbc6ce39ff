//! Seeds, faults and invariants for everything of xebec.
//!
//! [`coordinator::sim`](xebec_coordinator::sim) knows no server; [`server`] makes ours one for it. [`scenarios`] are what
//! is simulated: the controllers, the simulated nodes, the observers, and small observers that bring out the rules of
//! the coordinator itself. `make simulate SEEDS=10000` plays them all.

pub mod scenarios;
pub mod server;

pub use server::Simulated;
