//! The main of an operator in one line (cargo feature `operator`): flags, logs, signals, replicas, and the port for
//! probes and metrics.
//!
//! ```no_run
//! use std::process::ExitCode;
//! # use xebec_coordinator::{BoxError, Key, Observer, ObserverSpec, Plan, View};
//! # struct Exposer;
//! # impl Observer for Exposer {
//! #     fn spec(&self) -> ObserverSpec { ObserverSpec::new("exposer", "") }
//! #     fn plan(&self, _: &Key, _: &View) -> Result<Plan, BoxError> { Ok(Plan::new()) }
//! # }
//!
//! #[tokio::main]
//! async fn main() -> ExitCode {
//!     xebec_coordinator::operator::run("exposer", |coordinator| coordinator.observe(Exposer)).await
//! }
//! ```
//!
//! That is a program with `--kubeconfig`, `--context`, `--leader-elect`, `--shard-by`, `--metrics-address`, `--log`,
//! `--log-format` and `--help`. It ends on SIGINT or SIGTERM, and hands over to the other replicas. `exposer manifests
//! --image exposer:1 | kubectl apply -f -` installs it, with no more rights than its observers' specs say. One with flags
//! of its own [flattens](Flags) these into its own, and goes by the steps:
//!
//! ```no_run
//! # use xebec_coordinator::operator::{Flags, OperatorError};
//! # use xebec_coordinator::{BoxError, Event};
//! # async fn run(flags: Flags) -> Result<(), BoxError> {
//! let operator = flags.prepare("exposer").await?;
//! operator.coordinator().on(|event: Event<k8s_openapi::api::core::v1::Pod>, _cx| async move {});
//! operator.run().await?;
//! # Ok(())
//! # }
//! ```

mod cluster;
mod flags;
mod logs;
mod manifests;
mod options;
mod program;
mod signals;

use std::io;
use std::net::SocketAddr;

use tokio_util::sync::CancellationToken;

pub use self::cluster::{ClusterFlags, ConnectError};
pub use self::flags::{Flags, METRICS_ADDRESS, MetricsAddress, Place, ShardBy};
pub use self::logs::{LogError, LogFormat, start_logs};
pub use self::manifests::{Manifests, label};
pub use self::program::{Program, run, run_observers};
pub use self::signals::shutdown_on_signals;
use crate::monitoring::Monitoring;
use crate::{BoxError, Coordinator, RunError};

/// An operator that is connected, and does not run yet: what is added to its [coordinator](Self::coordinator) runs.
pub struct Operator {
    coordinator: Coordinator,
    shutdown: CancellationToken,
    monitoring: Option<Monitoring>,
    url: String,
    version: String,
}

/// An operator could not be started, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// Signals cannot be listened for.
    #[error("listen for SIGINT and SIGTERM")]
    Signals(#[source] io::Error),
    /// The port is taken.
    #[error(
        "listen on {address} for metrics: choose another --metrics-address (port 0 takes a free one, `none` serves none)"
    )]
    Listen {
        /// The address of `--metrics-address`.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// No cluster is named, or what names it is wrong.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It is named, and does not answer.
    #[error("reach the cluster at {url}")]
    Reach {
        /// The cluster's address.
        url: String,
        /// Why not.
        #[source]
        source: Box<kube::Error>,
    },
    /// An observer could not be added.
    #[error("add the observers")]
    Add(#[source] BoxError),
    /// The coordinator could not run.
    #[error("the coordinator")]
    Run(#[from] RunError),
    /// Logging could not be started.
    #[error(transparent)]
    Logs(#[from] LogError),
}

impl Flags {
    /// Listens for signals and on the port of `--metrics-address`, and connects to the cluster. `name` is how the program
    /// is called in Kubernetes Events and, unless told otherwise, in Leases.
    ///
    /// # Errors
    /// The port is taken, or there is no cluster that answers.
    pub async fn prepare(self, name: &str) -> Result<Operator, OperatorError> {
        let shutdown = shutdown_on_signals().map_err(OperatorError::Signals)?;
        let monitoring = listen(self.metrics_address).await?;
        let (client, url) = self.cluster.connect().await?;
        let version = match client.apiserver_version().await {
            Ok(version) => version.git_version,
            Err(error) => return Err(OperatorError::Reach { url, source: Box::new(error) }),
        };
        let namespace = client.default_namespace().to_owned();
        let builder = self.replicas(Coordinator::builder(client).instance(name), &namespace, name);
        Ok(Operator { coordinator: builder.build(), shutdown, monitoring, url, version })
    }
}

/// Listens on a port for metrics; nowhere if that was asked for.
///
/// # Errors
/// The port is taken.
pub async fn listen(address: MetricsAddress) -> Result<Option<Monitoring>, OperatorError> {
    let Some(address) = address.0 else { return Ok(None) };
    let monitoring = Monitoring::bind(address).await;
    monitoring.map(Some).map_err(|source| OperatorError::Listen { address, source })
}

impl Operator {
    /// To be given observers before it runs.
    pub fn coordinator(&self) -> &Coordinator {
        &self.coordinator
    }

    /// Cancelled by the first signal; whoever cancels it ends the operator.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// The cluster's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The cluster's version of Kubernetes, such as `v1.36.0`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Where metrics are served once it runs.
    pub fn metrics_url(&self) -> Option<String> {
        let address = self.monitoring.as_ref()?.address();
        Some(format!("http://{address}/metrics"))
    }

    /// Runs until a signal ends it: then it hands over to the other replicas, if there are any.
    ///
    /// # Errors
    /// The coordinator runs already.
    pub async fn run(self) -> Result<(), OperatorError> {
        if let Some(monitoring) = self.monitoring {
            monitoring.serve(&self.coordinator, &self.shutdown);
        }
        Ok(self.coordinator.run(self.shutdown).await?)
    }
}
