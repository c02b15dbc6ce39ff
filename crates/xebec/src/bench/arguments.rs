//! The flags of `xebec bench`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use xebec_bench_load::target::Access;

/// What to measure, where, and as whom.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("where").required(true).args(["server", "spawn", "kubeconfig"]).multiple(true))]
pub struct BenchArguments {
    /// The URL of the API to measure: any Kubernetes API.
    #[arg(long, value_name = "URL", conflicts_with = "spawn")]
    pub server: Option<String>,
    /// A command that starts the API to measure, and whose first line on standard output is JSON with `url` and
    /// `kubeconfig` (`xebec apiserver --port 0`). Its start and its memory are measured, too.
    #[arg(long, value_name = "COMMAND", conflicts_with = "kubeconfig")]
    pub spawn: Option<String>,
    /// The process to take the memory of, where the API was not spawned.
    #[arg(long, value_name = "PID", conflicts_with = "spawn")]
    pub pid: Option<u32>,
    /// The kubeconfig with the server and its user.
    #[arg(long, value_name = "PATH")]
    pub kubeconfig: Option<PathBuf>,
    /// A bearer token.
    #[arg(long, value_name = "TOKEN", env = "XEBEC_BENCH_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// A client certificate, in PEM.
    #[arg(long, value_name = "PATH", requires = "client_key")]
    pub client_certificate: Option<PathBuf>,
    /// The key of the client certificate, in PEM.
    #[arg(long, value_name = "PATH", requires = "client_certificate")]
    pub client_key: Option<PathBuf>,
    /// The certificate of the authority that the server's certificate is of, in PEM.
    #[arg(long, value_name = "PATH")]
    pub certificate_authority: Option<PathBuf>,
    /// Believe any certificate of the server.
    #[arg(long)]
    pub insecure: bool,
    /// Connections that send requests, each its next when the last is answered.
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub connections: u16,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Measure little, and hold nothing to its bar: that the benchmark works.
    #[arg(long)]
    pub smoke: bool,
    /// Measure only these, separated by commas.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_enum)]
    pub only: Vec<Name>,
}

/// What can be measured, in the order in which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Name {
    /// The first `Cluster::new()` of a process in Rust, until it has answered a write (with --spawn: of this program).
    FirstCluster,
    /// From the start of the process to the first 200 of /readyz.
    Ready,
    /// Resident memory of a server that holds nothing yet.
    IdleMemory,
    /// Resident memory with many small ConfigMaps.
    ConfigmapsMemory,
    /// One list of all these ConfigMaps.
    List,
    /// ConfigMaps read a second.
    Gets,
    /// ConfigMaps created a second.
    Creates,
    /// One write, until the last of many watches has it.
    FanOut,
    /// Resident memory with many Pods.
    PodsMemory,
}

impl BenchArguments {
    /// Where the API is, and who asks it.
    pub fn access(&self) -> Access {
        Access {
            server: self.server.clone(),
            kubeconfig: self.kubeconfig.clone(),
            token: self.token.clone(),
            client: self.client_certificate.clone().zip(self.client_key.clone()),
            certificate_authority: self.certificate_authority.clone(),
            insecure: self.insecure,
        }
    }

    /// Whether a measure is asked for.
    pub fn wants(&self, name: Name) -> bool {
        self.only.is_empty() || self.only.contains(&name)
    }
}
