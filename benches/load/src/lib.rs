//! What the benchmarks share, so that there is one way to measure: the load, the server that a benchmark starts, and the
//! report of its figures beside the bars that they must hold.
//!
//! The load generator is for one thread, so that it leaves the server the rest of a small machine; its connections are
//! written by hand, so that the figures are those of the server. It knows any Kubernetes API, and no crate of ours.

pub mod clock;
pub mod connection;
pub mod load;
pub mod report;
pub mod server;
pub mod target;
