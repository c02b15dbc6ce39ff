//! A server of the benchmark's own: a process that it starts, and whose start and memory it measures.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::{clock, connection::Connection, target::Target};

/// How long a server may take to be ready, and to end.
const START_MAX: Duration = Duration::from_secs(30);
const STOP_MAX: Duration = Duration::from_secs(5);

/// The first line that a server prints.
#[derive(Debug, Deserialize)]
struct Announcement {
    url: String,
    kubeconfig: PathBuf,
}

/// A running server, ready. It is killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it is.
    pub url: String,
    /// The API, and the user that it announced.
    pub target: Target,
    /// From the start of the process to the line that announces it.
    pub announced_after: Duration,
    /// From the start of the process to the first 200 of /readyz.
    pub ready_after: Duration,
}

impl Server {
    /// Starts `command` by the shell and waits until it is ready.
    ///
    /// # Errors
    /// Where it ends before, prints something else, or takes longer than half a minute.
    pub async fn start(command: &str) -> Result<Self> {
        let start = clock::now();
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec {command}")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {command}"))?;
        let output = child.stdout.take().context("its output is piped")?;
        // Reading blocks; killing the child is what ends it.
        let first = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(output).read_line(&mut line).map(|_| line)
        });
        let mut starting = Starting(Some(child));
        let line = tokio::time::timeout(START_MAX, first)
            .await
            .with_context(|| format!("{command} printed no line in {START_MAX:?}"))???;
        let announced_after = clock::since(start);
        let announcement: Announcement = serde_json::from_str(&line)
            .with_context(|| format!("{command} printed {line:?}, not JSON with url and kubeconfig"))?;
        let target = Target::of_kubeconfig(&announcement.kubeconfig).await?;
        // A server that does not answer yet is not ready yet: the deadline says when that is an error.
        while let Err(error) = ready(&target).await {
            if clock::since(start) > START_MAX {
                return Err(error.context(format!("{command} was not ready in {START_MAX:?}")));
            }
            clock::pause(Duration::from_millis(1)).await;
        }
        let ready_after = clock::since(start);
        let child = starting.0.take().context("the server was started")?;
        Ok(Self { child, url: announcement.url, target, announced_after, ready_after })
    }

    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, as Ctrl-C does, so that it can remove what it made; kills it where it does not.
    pub async fn stop(mut self) -> Result<()> {
        Command::new("kill").args(["-INT", &self.pid().to_string()]).status().context("run kill")?;
        let asked = clock::now();
        while self.child.try_wait()?.is_none() {
            if clock::since(asked) > STOP_MAX {
                bail!("the server did not end within {STOP_MAX:?} of Ctrl-C");
            }
            clock::pause(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A child that is not a server yet, and ends with the try to make it one.
struct Starting(Option<Child>);

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            end(child);
        }
    }
}

/// Kills a process and takes its end; one that has ended already can't be killed, which is as good.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

async fn ready(target: &Target) -> Result<()> {
    let mut request = Vec::new();
    target.encode(&mut request, "GET", "/readyz", b"");
    match Connection::open(target).await?.exchange(&request).await? {
        200 => Ok(()),
        status => bail!("GET /readyz: {status}"),
    }
}

/// The memory of a process that is in RAM, in bytes.
pub fn resident_bytes(pid: u32) -> Result<u64> {
    memory(pid, "VmRSS:")
}

/// The most memory that a process has had in RAM so far, in bytes.
pub fn peak_bytes(pid: u32) -> Result<u64> {
    memory(pid, "VmHWM:")
}

fn memory(pid: u32, which: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    bytes_of(&status, which).with_context(|| format!("{path} has no {which}"))
}

fn bytes_of(status: &str, which: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(which))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_the_status() {
        assert_eq!(bytes_of("VmPeak:\t  100 kB\nVmRSS:\t   12 kB\n", "VmRSS:"), Some(12 * 1024));
        assert_eq!(bytes_of("VmPeak:\t  100 kB\n", "VmRSS:"), None);
        let own = std::process::id();
        let resident = resident_bytes(own).unwrap();
        assert!(resident > 1 << 20);
        assert!(peak_bytes(own).unwrap() >= resident);
    }

    #[tokio::test]
    async fn a_command_that_announces_nothing_is_no_server() {
        for (command, said) in [("true", "printed \"\""), ("echo hello", "printed \"hello\\n\"")] {
            let error = Server::start(command).await.unwrap_err();
            assert!(format!("{error:#}").contains(said), "{error:#}");
        }
    }
}
