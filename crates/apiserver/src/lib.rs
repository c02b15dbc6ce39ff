//! The Kubernetes API, version 1.36, in process or on a port.
//!
//! Requests flow in as HTTP (from a socket, or straight from a `kube::Client`), answers and watch events flow out.
//! Start reading at [`machinery::schema`] (what every kind is described by), then `verbs` (what a request does).

pub mod kinds;
pub mod machinery;
pub mod status;
pub mod storage;
