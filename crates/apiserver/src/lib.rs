//! The Kubernetes API, version 1.36, in process or on a port.
//!
//! Requests flow in as HTTP, from a socket or straight from a `kube::Client`; answers and watch events flow out.
//! [`Cluster`] is the way in. Start reading at [`http::handle`], the way of every request; then [`verbs`], what it does
//! to objects; then [`machinery::schema`], what every kind is described by.

pub mod access;
pub mod admission;
pub mod chance;
pub mod clock;
pub mod cluster;
pub mod discovery;
pub mod faults;
pub mod http;
pub mod kinds;
pub mod machinery;
pub mod status;
pub mod storage;
pub mod verbs;

pub use self::{clock::Clock, cluster::Cluster};
