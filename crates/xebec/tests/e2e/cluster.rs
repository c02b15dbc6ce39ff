//! A cluster for a test: `xebec up` or `xebec apiserver` on a free port, ended with the test.

use std::path::Path;

use tempfile::TempDir;

use super::kubectl::Kubectl;
pub use super::process::{Running, repository, xebec};

/// A whole cluster, ready, with its kubeconfig in a directory of its own.
pub struct Cluster {
    pub process: Running,
    pub kubectl: Kubectl,
    scratch: TempDir,
}

impl Cluster {
    pub fn up() -> Self {
        Self::up_with(&[])
    }

    /// A cluster with more flags.
    pub fn up_with(flags: &[&str]) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let kubeconfig = scratch.path().join("kubeconfig");
        let mut command = xebec(&["up", "--port", "0", "--kubeconfig", kubeconfig.to_str().unwrap()]);
        let mut process = Running::start(command.args(flags));
        process.line("word that it is ready", |line| line.contains("ready"));
        let kubectl = Kubectl::new(&kubeconfig, scratch.path());
        Self { process, kubectl, scratch }
    }

    /// A directory that ends with the cluster.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }
}
