//! A process of the binary under test; the suites of end-to-end tests share it.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::Duration,
};

/// How long anything may take before the test gives up on it.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// The binary under test, with flags.
pub fn xebec(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xebec"));
    command.args(arguments).stdin(Stdio::null()).current_dir(repository());
    command.env_remove("XEBEC_LOG").env_remove("KUBECONFIG");
    command
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A process of ours, whose lines can be waited for. It is killed when dropped.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    /// Starts a command; the lines of its output and of its errors come in one stream.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // More lines than any test makes: a process that says more waits for the test to read.
        let (sender, lines) = sync_channel(10_000);
        pass(child.stdout.take().unwrap(), sender.clone());
        pass(child.stderr.take().unwrap(), sender);
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for a line that `matches`, and gives it.
    #[track_caller]
    pub fn line(&mut self, what: &str, matches: impl Fn(&str) -> bool) -> String {
        loop {
            match self.lines.recv_timeout(DEADLINE) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if matches(&line) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("no {what} in {DEADLINE:?}; it said {:#?}", self.seen)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("ended without {what}; it said {:#?}", self.seen)
                }
            }
        }
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends Ctrl-C.
    pub fn interrupt(&self) {
        let pid = self.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    }

    /// Waits for the end; none in time is `None`, and the process is killed.
    pub fn end(&mut self, within: Duration) -> Option<ExitStatus> {
        // The streams end with the process: waiting for that has a deadline, waiting for a process has none.
        loop {
            match self.lines.recv_timeout(within) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => return Some(self.child.wait().unwrap()),
            }
        }
    }

    /// All that it has said by now.
    pub fn said(&mut self) -> String {
        self.seen.extend(self.lines.try_iter());
        self.seen.join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended can't be killed, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pass(output: impl Read + Send + 'static, lines: SyncSender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
}
