//! A process that is measured, as this one sees it: started, told lines, asked for lines, stopped and continued.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::sync::mpsc;
use xebec_bench_load::server;

/// How long a process may take to say something.
const ANSWER_MAX: Duration = Duration::from_mins(5);

/// A running process of this binary. It is killed when dropped.
pub struct Process {
    child: Child,
    input: ChildStdin,
    lines: mpsc::Receiver<String>,
}

impl Process {
    /// Starts `measured` with these arguments, against the API of a kubeconfig.
    pub fn start(kubeconfig: &Path, arguments: &[&str]) -> Result<Self> {
        let program = std::env::current_exe().context("find this program")?;
        let mut child = Command::new(program)
            .arg("measured")
            .args(arguments)
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start a process to measure")?;
        let input = child.stdin.take().context("its input is piped")?;
        let output = child.stdout.take().context("its output is piped")?;
        let (sender, lines) = mpsc::channel(16);
        // Reading blocks; the end of the child is what ends it.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, input, lines })
    }

    /// The id of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it says next.
    pub async fn answer(&mut self) -> Result<Value> {
        let line = tokio::time::timeout(ANSWER_MAX, self.lines.recv())
            .await
            .with_context(|| format!("a measured process said nothing in {ANSWER_MAX:?}"))?
            .context("a measured process ended")?;
        serde_json::from_str(&line).with_context(|| format!("a measured process said {line:?}"))
    }

    /// Tells it a line.
    pub fn tell(&mut self, line: &str) -> Result<()> {
        writeln!(self.input, "{line}").context("tell a measured process")
    }

    /// Sends it a signal: `STOP` or `CONT`.
    pub fn signal(&self, name: &str) -> Result<()> {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.pid().to_string()])
            .status()
            .context("run kill")?;
        if !status.success() {
            bail!("kill -{name} {}: {status}", self.pid());
        }
        Ok(())
    }

    /// Seconds of the processor it has used so far.
    pub fn processor_seconds(&self) -> Result<f64> {
        /// Linux counts in these for every program, whatever the kernel's own tick is.
        const TICKS_PER_SECOND: f64 = 100.0;
        let path = format!("/proc/{}/stat", self.pid());
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        // The name, in parentheses, may have blanks in it.
        let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok());
        let (user, system) = (ticks(11).context("utime")?, ticks(12).context("stime")?);
        Ok((user + system) / TICKS_PER_SECOND)
    }

    /// The most memory it has had in RAM so far, in bytes.
    pub fn peak_bytes(&self) -> Result<u64> {
        server::peak_bytes(self.pid())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already can't be killed, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The system's clock, which all processes of a machine share, in nanoseconds.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub fn wall_ns() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos()
}
