//! The first cluster of a process: how long until a test that has just begun has made one and written to it.
//!
//! What a process does once is only measured in a new process: the benchmark runs this program again, with the hidden
//! command that stands here, and reads what it prints.

use std::{
    io::{self, Write},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::api::{Api, PostParams};
use serde::{Deserialize, Serialize};
use xebec_apiserver::Cluster;
use xebec_bench_load::clock;

/// The hidden command's name.
const COMMAND: &str = "first-cluster";

/// What a process took.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Times {
    /// The first `Cluster::new()`.
    pub new: Duration,
    /// The same, with its client, a read and a write of a ConfigMap.
    pub used: Duration,
    /// The second cluster, from `Cluster::new()` on.
    pub next: Duration,
}

/// Starts a new process and gives what its first cluster took.
pub fn spawn() -> Result<Times> {
    let program = std::env::current_exe().context("find this program")?;
    let output = Command::new(program)
        .arg(COMMAND)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("run {COMMAND}"))?;
    if !output.status.success() {
        bail!("{COMMAND} ended with {}", output.status);
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("read what {COMMAND} printed"))
}

/// The hidden command: makes the first clusters of this process, and prints what they took.
///
/// # Errors
/// Where a cluster does not answer as it should.
pub fn run() -> Result<()> {
    // As `#[tokio::test]` does.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let times = runtime.block_on(measure())?;
    writeln!(io::stdout(), "{}", serde_json::to_string(&times)?)?;
    Ok(())
}

async fn measure() -> Result<Times> {
    let start = clock::now();
    let cluster = Cluster::new();
    let new = clock::since(start);
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "default");
    if maps.get_opt("settings").await?.is_some() {
        bail!("a new cluster has ConfigMaps");
    }
    let metadata = ObjectMeta { name: Some("settings".to_owned()), ..ObjectMeta::default() };
    let data = [("colour".to_owned(), "blue".to_owned())].into();
    let map = ConfigMap { metadata, data: Some(data), ..ConfigMap::default() };
    maps.create(&PostParams::default(), &map).await?;
    let used = clock::since(start);
    let start = clock::now();
    let _cluster = Cluster::new();
    let next = clock::since(start);
    Ok(Times { new, used, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cluster_is_made_and_written_to() {
        let times = measure().await.unwrap();
        assert!(times.new <= times.used, "{times:?}");
    }
}
