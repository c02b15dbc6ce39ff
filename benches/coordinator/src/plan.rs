//! What is measured, in which order.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use xebec_bench_load::clock;
use xebec_bench_load::connection::Connection;
use xebec_bench_load::load::Load;
use xebec_bench_load::report::{self, Bar, Figure, Measure};
use xebec_bench_load::server::Server;
use xebec_bench_load::target::Target;

use crate::{dispatch, latency, memory, objects, watches};

/// What to measure, and on which server.
#[derive(Args, Debug)]
pub struct PlanArguments {
    /// A command that starts the API server, and whose first line on standard output is JSON with `url` and
    /// `kubeconfig`; it must take `--kubeconfig PATH`.
    #[arg(long, value_name = "COMMAND", default_value = "target/release/xebec apiserver --port 0")]
    pub spawn: String,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Measure little, and hold nothing to its bar: that the benchmark works.
    #[arg(long)]
    pub smoke: bool,
    /// Measure only these, separated by commas.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_enum)]
    pub only: Vec<Part>,
    /// How many Pods the memory is measured with.
    #[arg(long, value_name = "N")]
    pub pods: Option<u64>,
}

/// What can be measured, in the order in which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// How many watches ten observers of one kind cost the server.
    Watches,
    /// Resident memory with many Pods.
    Memory,
    /// Events dispatched a second.
    Dispatch,
    /// From the server's write to the observer's call.
    Latency,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub memory_pods: u64,
    /// Pods written once a round; the server's log must hold a round.
    pub dispatch_pods: u64,
    pub rounds: usize,
    pub writes_per_second: u32,
    pub slices: usize,
    pub slice: Duration,
    /// A process that has just taken all in is left alone this long before its memory is taken.
    pub settle: Duration,
}

const FULL: Scale = Scale {
    memory_pods: 100_000,
    dispatch_pods: 5_000,
    rounds: 7,
    writes_per_second: 5_000,
    slices: 21,
    slice: Duration::from_millis(1500),
    settle: Duration::from_secs(3),
};

const SMOKE: Scale = Scale {
    memory_pods: 300,
    dispatch_pods: 100,
    rounds: 1,
    writes_per_second: 100,
    slices: 1,
    slice: Duration::from_millis(500),
    settle: Duration::from_millis(100),
};

/// A server of our own, and what was measured so far.
pub struct Bench {
    pub scale: Scale,
    pub server: Server,
    pub kubeconfig: PathBuf,
    pub measures: Vec<Measure>,
}

/// Measures all that is asked for; gives the command of the server and the figures.
pub async fn measure(arguments: &PlanArguments) -> Result<(String, Vec<Measure>)> {
    let mut scale = if arguments.smoke { SMOKE } else { FULL };
    scale.memory_pods = arguments.pods.unwrap_or(scale.memory_pods);
    let wants = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    let mut measures = Vec::new();
    if wants(Part::Watches) {
        say("ten observers");
        measures.push(watches::measure().await?);
    }
    for part in [Part::Memory, Part::Dispatch, Part::Latency] {
        if !wants(part) {
            continue;
        }
        let name = format!("xebec-bench-coordinator-{}.kubeconfig", std::process::id());
        let kubeconfig = std::env::temp_dir().join(name);
        let server =
            Server::start(&format!("{} --kubeconfig {}", arguments.spawn, kubeconfig.display())).await?;
        let mut bench = Bench { scale, server, kubeconfig, measures: Vec::new() };
        match part {
            Part::Memory => memory::measure(&mut bench).await?,
            Part::Dispatch => dispatch::measure(&mut bench).await?,
            Part::Latency | Part::Watches => latency::measure(&mut bench).await?,
        }
        // What there is already is said at once: the rest takes minutes, and may fail.
        eprintln!("{}", report::table(&bench.measures));
        measures.append(&mut bench.measures);
        bench.server.stop().await?;
    }
    if arguments.smoke {
        // So little says nothing about speed: no figure is held to a bar.
        measures
            .iter_mut()
            .filter(|measure| measure.name != "watches")
            .for_each(|measure| measure.bar = None);
    }
    Ok((arguments.spawn.clone(), measures))
}

impl Bench {
    /// The API.
    pub fn target(&self) -> &Target {
        &self.server.target
    }

    /// Makes a namespace, with the service account that Pods need.
    pub async fn namespace(&self, name: &str) -> Result<()> {
        let mut connection = Connection::open(self.target()).await?;
        let namespace = format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{name}"}}}}"#);
        let account = r#"{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default"}}"#;
        for (path, body) in [
            ("/api/v1/namespaces".to_owned(), namespace.as_str()),
            (format!("/api/v1/namespaces/{name}/serviceaccounts"), account),
        ] {
            let mut request = Vec::new();
            self.target().encode(&mut request, "POST", &path, body.as_bytes());
            match connection.exchange(&request).await? {
                // 409: there already, or made by a controller.
                201 | 409 => {}
                status => bail!("POST {path}: {status} {}", String::from_utf8_lossy(connection.body())),
            }
        }
        Ok(())
    }

    /// Creates Pods; gives the size in which the server stores one, in bytes.
    pub async fn create_pods(&self, count: u64) -> Result<usize> {
        for team in 0..10 {
            self.namespace(&objects::namespace(team)).await?;
        }
        Self::load(count, 201)
            .run(self.target(), |out, number| {
                let path = format!("/api/v1/namespaces/{}/pods", objects::namespace(number));
                self.target().encode(out, "POST", &path, objects::pod(number, 0).to_string().as_bytes());
            })
            .await?;
        let mut connection = Connection::open(self.target()).await?;
        let mut request = Vec::new();
        self.target().encode(&mut request, "GET", &pod_path(0), b"");
        match connection.exchange(&request).await? {
            200 => Ok(connection.body().len()),
            status => bail!("the first Pod was answered {status}"),
        }
    }

    /// Writes each Pod once.
    pub async fn write_pods(&self, count: u64, value: u64) -> Result<()> {
        let load = Self::load(count, 200);
        let written = load.run(self.target(), |out, number| {
            let body = objects::pod(number, value).to_string();
            self.target().encode(out, "PUT", &pod_path(number), body.as_bytes());
        });
        written.await.context("write the Pods").map(|_| ())
    }

    fn load(requests: u64, expected: u16) -> Load {
        Load { connections: 16, requests, at_most: Duration::from_mins(10), expected }
    }

    /// Adds a row.
    pub fn push(&mut self, name: &'static str, figure: Figure, bar: Option<Bar>, note: String) {
        self.measures.push(Measure { name, figure, bar, p50: None, p99: None, note });
    }

    /// Leaves a process alone for a moment.
    pub async fn settle(&self) {
        clock::pause(self.scale.settle).await;
    }
}

fn pod_path(number: u64) -> String {
    format!("/api/v1/namespaces/{}/pods/{}", objects::namespace(number), objects::pod_name(number))
}

/// The median.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}

/// Says on standard error what is going on.
pub fn say(what: &str) {
    eprintln!("{what} …");
}
