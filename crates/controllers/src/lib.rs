//! The controllers of a Kubernetes control plane, an observer each.
//!
//! They speak with the API server through a [`Coordinator`](xebec_coordinator::Coordinator) only, and so run on any cluster. What they do is what
//! kube-controller-manager does, to the words of its Events and conditions. Each folder is one controller; most are a
//! pure plan over what the coordinator shows them, with the status worked out apart from the decisions.
//!
//! ```
//! # async fn run(client: kube::Client) -> Result<(), xebec_coordinator::BoxError> {
//! use xebec_controllers::{CONTROLLERS, Options};
//! use xebec_coordinator::Coordinator;
//!
//! let coordinator = Coordinator::new(client);
//! for controller in CONTROLLERS {
//!     controller.observe(&coordinator, &Options::default())?;
//! }
//! coordinator.run(tokio_util::sync::CancellationToken::new()).await?;
//! # Ok(())
//! # }
//! ```

mod controller;
pub mod deployment;
mod discovery;
pub mod disruption;
pub mod endpoints;
pub mod garbage_collection;
pub mod job;
pub mod namespace;
mod naming;
mod ownership;
mod pod;
mod registry;
pub mod replicaset;
pub mod scheduler;
pub mod service_account;
mod template;
#[cfg(test)]
mod testing;
mod time;

pub use registry::{CONTROLLERS, Options, Registration};
