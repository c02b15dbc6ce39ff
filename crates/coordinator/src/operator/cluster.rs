//! The way to a cluster that is there already, as kubectl finds it.

use std::path::PathBuf;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

/// Which cluster is meant, as kubectl finds it.
#[derive(Clone, Debug, Default, clap::Args)]
#[non_exhaustive]
pub struct ClusterFlags {
    /// The kubeconfig of the cluster.
    #[arg(long, value_name = "PATH")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig. [default: its current one]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

/// No cluster is named, or what names it is wrong.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The file of `--kubeconfig` cannot be read, or does not have the context.
    #[error("in --kubeconfig {}", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: KubeconfigError,
    },
    /// The kubeconfig that kubectl would take cannot be read, or does not have the context.
    #[error("read the kubeconfig")]
    DefaultKubeconfig(#[source] KubeconfigError),
    /// There is no kubeconfig, and this is no pod.
    #[error("find a cluster: give --kubeconfig, or run within a pod")]
    Nowhere(#[source] Box<kube::config::InferConfigError>),
    /// Certificates or tokens are not what they should be.
    #[error("connect to {url}")]
    Client {
        /// The cluster's address.
        url: String,
        /// Why not.
        #[source]
        source: Box<kube::Error>,
    },
}

impl ClusterFlags {
    /// A client for the cluster, and its address: by `--kubeconfig`, else `$KUBECONFIG`, else the kubeconfig in the home
    /// directory; within a pod, by its service account.
    ///
    /// # Errors
    /// No cluster is named, or what names it is wrong.
    pub async fn connect(&self) -> Result<(kube::Client, String), ConnectError> {
        let config = self.config().await?;
        let url = config.cluster_url.to_string();
        match kube::Client::try_from(config) {
            Ok(client) => Ok((client, url)),
            Err(error) => Err(ConnectError::Client { url, source: Box::new(error) }),
        }
    }

    async fn config(&self) -> Result<kube::Config, ConnectError> {
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        match &self.kubeconfig {
            Some(path) => {
                let wrong = |source| ConnectError::Kubeconfig { path: path.clone(), source };
                let file = Kubeconfig::read_from(path).map_err(wrong)?;
                kube::Config::from_custom_kubeconfig(file, &options).await.map_err(wrong)
            }
            None if self.context.is_some() => {
                kube::Config::from_kubeconfig(&options).await.map_err(ConnectError::DefaultKubeconfig)
            }
            None => kube::Config::infer().await.map_err(|error| ConnectError::Nowhere(Box::new(error))),
        }
    }
}
