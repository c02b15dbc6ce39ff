//! What a kubelet does: simulated nodes.
//!
//! A node here is observers on a [`Coordinator`](xebec_coordinator::Coordinator): they register the nodes, keep their
//! Leases, and play the Pods that are bound to them, by cluster time alone. Nothing is executed.
//!
//! ```
//! # async fn run(client: kube::Client) -> Result<(), xebec_coordinator::BoxError> {
//! use xebec_coordinator::Coordinator;
//! use xebec_node::simulated::{self, Options};
//!
//! let coordinator = Coordinator::new(client);
//! simulated::observe(&coordinator, &Options { nodes: 3, ..Options::default() })?;
//! coordinator.run(tokio_util::sync::CancellationToken::new()).await?;
//! # Ok(())
//! # }
//! ```

pub mod simulated;
