//! Seeds, faults and invariants for everything of xebec.
//!
//! [`scenarios`] are what is simulated, on [`Simulated`]: the controllers, the simulated nodes, the observers, and small
//! observers that bring out the rules of the coordinator itself. `make simulate SEEDS=10000` plays them all.

pub mod scenarios;

pub use xebec_simulated::Simulated;
