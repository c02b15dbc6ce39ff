//! What is measured, in which order, and the bar of each: the list that `xebec bench` works off.

use std::{
    io::{self, IsTerminal, Write},
    process,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use xebec_bench_load::{
    clock,
    connection::Connection,
    load::{Load, Samples},
    report::{Bar, Figure, Measure},
    server::{self, Server},
    target::Target,
};

use super::{
    arguments::{BenchArguments, Name},
    fan_out,
    first_cluster::{self, Times},
    objects,
};

/// A server that has just started is left alone this long before its memory is taken.
const SETTLE: Duration = Duration::from_secs(1);

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Scale {
    processes: u64,
    starts: u64,
    config_maps: u64,
    lists: u64,
    gets: u64,
    creates: u64,
    watches: usize,
    writes: u64,
    pods: u64,
    /// No load runs longer.
    at_most: Duration,
}

const FULL: Scale = Scale {
    processes: 21,
    starts: 7,
    config_maps: 10_000,
    lists: 21,
    gets: 150_000,
    creates: 75_000,
    watches: 1_000,
    writes: 21,
    pods: 100_000,
    at_most: Duration::from_mins(2),
};

const SMOKE: Scale = Scale {
    processes: 1,
    starts: 1,
    config_maps: 100,
    lists: 3,
    gets: 200,
    creates: 200,
    watches: 150,
    writes: 3,
    pods: 200,
    at_most: Duration::from_secs(30),
};

/// A server, and what was measured of it so far.
struct Bench<'a> {
    arguments: &'a BenchArguments,
    scale: Scale,
    target: Target,
    server: Option<Server>,
    /// Namespaces of this run begin so.
    prefix: String,
    filled: bool,
    measures: Vec<Measure>,
}

/// Measures all that is asked for; gives the server's URL and the figures.
pub async fn measure(arguments: &BenchArguments) -> Result<(String, Vec<Measure>)> {
    let scale = if arguments.smoke { SMOKE } else { FULL };
    let mut first_clusters = Vec::new();
    if arguments.spawn.is_some() && arguments.wants(Name::FirstCluster) {
        // Before there is a server to share the machine with.
        say("making the first clusters of processes");
        first_clusters = (0..scale.processes).map(|_| first_cluster::spawn()).collect::<Result<_>>()?;
    }
    let mut starts = Vec::new();
    let mut server = None;
    if let Some(command) = &arguments.spawn {
        say("starting the server");
        for _ in 0..if arguments.wants(Name::Ready) { scale.starts } else { 1 } {
            if let Some(before) = server.take() {
                Server::stop(before).await?;
            }
            let started = Server::start(command).await?;
            starts.push((started.ready_after, started.announced_after));
            server = Some(started);
        }
    }
    let target = match &server {
        Some(server) => server.target.clone(),
        None => Target::of(&arguments.access()).await?,
    };
    let prefix = format!("bench-{}", process::id());
    let mut bench = Bench { arguments, scale, target, server, prefix, filled: false, measures: Vec::new() };
    let url = bench.server.as_ref().map_or_else(|| bench.target.url(""), |server| server.url.clone());
    if !first_clusters.is_empty() {
        bench.first_cluster(&first_clusters);
    }
    if arguments.wants(Name::Ready) && !starts.is_empty() {
        bench.ready(starts);
    }
    let outcome = bench.all().await;
    // Whatever happened, the namespaces of this run go; a server of our own goes whole.
    let cleaned = bench.clean().await;
    outcome?;
    cleaned?;
    if arguments.smoke {
        // So little says nothing about speed: no figure is held to a bar.
        bench.measures.iter_mut().for_each(|measure| measure.bar = None);
    }
    Ok((url, bench.measures))
}

impl Bench<'_> {
    async fn all(&mut self) -> Result<()> {
        if self.remembers(Name::IdleMemory) {
            clock::pause(SETTLE).await;
            let bar = Bar::AtMost(Figure::Bytes(40_000_000));
            self.memory("idle-memory", Some(bar), "resident, a second after the start")?;
        }
        if self.remembers(Name::ConfigmapsMemory) {
            self.fill().await?;
            let note = format!("resident, right after {} ConfigMaps were created", self.scale.config_maps);
            self.memory("configmaps-memory", None, &note)?;
        }
        if self.arguments.wants(Name::List) {
            self.list().await?;
        }
        if self.arguments.wants(Name::Gets) {
            self.gets().await?;
        }
        if self.arguments.wants(Name::Creates) {
            self.creates().await?;
        }
        if self.arguments.wants(Name::FanOut) {
            self.fan_out().await?;
        }
        if self.remembers(Name::PodsMemory) {
            self.pods().await?;
        }
        Ok(())
    }

    fn first_cluster(&mut self, processes: &[Times]) {
        let samples = |time: fn(&Times) -> Duration| Samples::of(processes.iter().map(time).collect());
        let median_us = |time| samples(time).percentile(50).as_nanos() as f64 / 1e3;
        let used = samples(|times| times.used);
        let note = format!(
            "first Cluster::new() + first create, with a get between, median of {} processes; new() alone {:.0} us, the \
             next one {:.1} us",
            used.count(),
            median_us(|times| times.new),
            median_us(|times| times.next)
        );
        self.push("first-cluster", &used, Duration::from_millis(1), note);
    }

    fn ready(&mut self, starts: Vec<(Duration, Duration)>) {
        let (ready, announced): (Vec<_>, Vec<_>) = starts.into_iter().unzip();
        let (ready, announced) = (Samples::of(ready), Samples::of(announced));
        let note = format!(
            "start of the process to the first 200 of /readyz over TLS, median of {} starts; its line on stdout \
             after {:.1} ms",
            ready.count(),
            announced.percentile(50).as_secs_f64() * 1e3
        );
        self.push("ready", &ready, Duration::from_millis(50), note);
    }

    /// A measure that is the median of some times.
    fn push(&mut self, name: &'static str, samples: &Samples, at_most: Duration, note: String) {
        self.measures.push(Measure {
            name,
            figure: Figure::Time(samples.percentile(50)),
            bar: Some(Bar::AtMost(Figure::Time(at_most))),
            p50: Some(samples.percentile(50)),
            p99: Some(samples.percentile(99)),
            note,
        });
    }

    fn rate(&mut self, name: &'static str, samples: &Samples, at_least: f64, what: &str) {
        self.measures.push(Measure {
            name,
            figure: Figure::Rate(samples.per_second()),
            bar: Some(Bar::AtLeast(Figure::Rate(at_least))),
            p50: Some(samples.percentile(50)),
            p99: Some(samples.percentile(99)),
            note: format!(
                "{} {what} over {} connections kept alive, in {:.2} s",
                samples.count(),
                self.arguments.connections,
                samples.elapsed.as_secs_f64()
            ),
        });
    }

    /// Whether a measure of memory is asked for, and there is a process to take it of.
    fn remembers(&self, name: Name) -> bool {
        let known = self.server.is_some() || self.arguments.pid.is_some();
        self.arguments.wants(name) && known
    }

    fn memory(&mut self, name: &'static str, bar: Option<Bar>, note: &str) -> Result<()> {
        let pid = self.server.as_ref().map(Server::pid).or(self.arguments.pid);
        let bytes = server::resident_bytes(pid.context("no process to take the memory of")?)?;
        let note = note.to_owned();
        self.measures.push(Measure { name, figure: Figure::Bytes(bytes), bar, p50: None, p99: None, note });
        Ok(())
    }

    fn load(&self, requests: u64, expected: u16) -> Load {
        Load { connections: self.arguments.connections, requests, at_most: self.scale.at_most, expected }
    }

    /// Makes a namespace of this run, with the service account that pods need; gives its name.
    async fn namespace(&self, suffix: &str) -> Result<String> {
        let name = format!("{}-{suffix}", self.prefix);
        let mut connection = Connection::open(&self.target).await?;
        let namespaces =
            format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{name}"}}}}"#);
        let account = r#"{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default"}}"#;
        for (path, body) in [
            ("/api/v1/namespaces".to_owned(), namespaces.as_str()),
            (format!("/api/v1/namespaces/{name}/serviceaccounts"), account),
        ] {
            let mut request = Vec::new();
            self.target.encode(&mut request, "POST", &path, body.as_bytes());
            match connection.exchange(&request).await? {
                // 409: there already, or made by a controller.
                201 | 409 => {}
                status => bail!("POST {path}: {status} {}", String::from_utf8_lossy(connection.body())),
            }
        }
        Ok(name)
    }

    /// Creates the ConfigMaps that are listed and read; gives their path.
    async fn fill(&mut self) -> Result<String> {
        let namespace = format!("{}-read", self.prefix);
        let path = format!("/api/v1/namespaces/{namespace}/configmaps");
        if !self.filled {
            say("creating the ConfigMaps that are read");
            self.namespace("read").await?;
            self.create(&path, self.scale.config_maps).await?;
            self.filled = true;
        }
        Ok(path)
    }

    async fn create(&self, path: &str, count: u64) -> Result<Samples> {
        let samples = self
            .load(count, 201)
            .run(&self.target, |out, number| {
                let body = objects::config_map(&format!("config-{number}"), number);
                self.target.encode(out, "POST", path, &body);
            })
            .await?;
        Ok(samples)
    }

    async fn list(&mut self) -> Result<()> {
        let path = self.fill().await?;
        say("listing");
        let mut request = Vec::new();
        self.target.encode(&mut request, "GET", &path, b"");
        let mut connection = Connection::open(&self.target).await?;
        connection.exchange(&request).await?;
        let list: serde_json::Value = serde_json::from_slice(connection.body()).context("read the list")?;
        let items = list["items"].as_array().map_or(0, Vec::len) as u64;
        if items < self.scale.config_maps {
            bail!("the list has {items} of {} ConfigMaps", self.scale.config_maps);
        }
        let mut times = Vec::new();
        for _ in 0..self.scale.lists {
            let start = clock::now();
            match connection.exchange(&request).await? {
                200 => times.push(clock::since(start)),
                status => bail!("the list was answered {status}"),
            }
        }
        let note = format!(
            "one list of {items} ConfigMaps, {:.1} MB of JSON, to its last byte; median of {}",
            connection.body().len() as f64 / 1e6,
            self.scale.lists
        );
        self.push("list", &Samples::of(times), Duration::from_millis(20), note);
        Ok(())
    }

    async fn gets(&mut self) -> Result<()> {
        let path = self.fill().await?;
        say("reading");
        let count = self.scale.config_maps;
        let samples = self
            .load(self.scale.gets, 200)
            .run(&self.target, |out, number| {
                // A prime step, so that neighbours in time are no neighbours in the store.
                let name = number.wrapping_mul(7919) % count;
                self.target.encode(out, "GET", &format!("{path}/config-{name}"), b"");
            })
            .await?;
        self.rate("gets", &samples, 30_000.0, "reads of small ConfigMaps");
        Ok(())
    }

    async fn creates(&mut self) -> Result<()> {
        say("creating");
        let namespace = self.namespace("create").await?;
        let path = format!("/api/v1/namespaces/{namespace}/configmaps");
        let samples = self.create(&path, self.scale.creates).await?;
        self.rate("creates", &samples, 15_000.0, "creations of small ConfigMaps");
        Ok(())
    }

    async fn fan_out(&mut self) -> Result<()> {
        say("watching");
        let namespace = self.namespace("watch").await?;
        let path = format!("/api/v1/namespaces/{namespace}/configmaps");
        let mut request = Vec::new();
        self.target.encode(&mut request, "POST", &path, &objects::config_map("watched", 0));
        let mut connection = Connection::open(&self.target).await?;
        let status = connection.exchange(&request).await?;
        if status != 201 {
            bail!("POST {path}: {status} {}", String::from_utf8_lossy(connection.body()));
        }
        let created: serde_json::Value = serde_json::from_slice(connection.body())?;
        let version =
            created["metadata"]["resourceVersion"].as_str().context("the ConfigMap has a version")?;
        let watch =
            format!("{path}?watch=true&resourceVersion={version}&fieldSelector=metadata.name%3Dwatched");
        let target = self.target.clone();
        let writes = (1..=self.scale.writes).map(|number| {
            let mut request = Vec::new();
            target.encode(
                &mut request,
                "PUT",
                &format!("{path}/watched"),
                &objects::config_map("watched", number),
            );
            request
        });
        let seen = fan_out::measure(&self.target, &watch, self.scale.watches, writes).await?;
        self.measures.push(Measure {
            name: "fan-out",
            figure: Figure::Time(seen.last.percentile(50)),
            bar: None,
            p50: Some(seen.each.percentile(50)),
            p99: Some(seen.each.percentile(99)),
            note: format!(
                "one write until the last of {} watches has it (HTTP/2, {} a connection), median of {} writes; \
                 p50 and p99 are those of any watch",
                self.scale.watches,
                fan_out::WATCHES_PER_CONNECTION,
                seen.last.count()
            ),
        });
        Ok(())
    }

    async fn pods(&mut self) -> Result<()> {
        if let (Some(command), Some(before)) = (&self.arguments.spawn, self.server.take()) {
            before.stop().await?;
            let fresh = Server::start(command).await?;
            self.target = fresh.target.clone();
            self.server = Some(fresh);
        }
        say("creating Pods");
        let namespace = self.namespace("pods").await?;
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        let samples = self
            .load(self.scale.pods, 201)
            .run(&self.target, |out, number| {
                self.target.encode(out, "POST", &path, &objects::pod(&format!("pod-{number}")));
            })
            .await?;
        let note = format!(
            "resident, right after {} Pods were created ({:.0}/s); on a server of their own where it was spawned",
            samples.count(),
            samples.per_second()
        );
        self.memory("pods-memory", None, &note)
    }

    /// Removes what this run made on a server that others use.
    async fn clean(&mut self) -> Result<()> {
        if let Some(server) = self.server.take() {
            return server.stop().await;
        }
        let mut connection = Connection::open(&self.target).await?;
        for (suffix, plural) in
            [("read", "configmaps"), ("create", "configmaps"), ("watch", "configmaps"), ("pods", "pods")]
        {
            let namespace = format!("/api/v1/namespaces/{}-{suffix}", self.prefix);
            for path in [format!("{namespace}/{plural}"), namespace.clone()] {
                let mut request = Vec::new();
                self.target.encode(&mut request, "DELETE", &path, b"");
                match connection.exchange(&request).await? {
                    // 404: this measure was not asked for.
                    200 | 202 | 404 => {}
                    status => bail!("DELETE {path}: {status}"),
                }
            }
        }
        Ok(())
    }
}

/// Says on a terminal what takes a while.
fn say(what: &str) {
    let mut screen = io::stderr();
    if screen.is_terminal() {
        // Where it can't be said nothing is lost.
        let _ = writeln!(screen, "{what} …");
    }
}
