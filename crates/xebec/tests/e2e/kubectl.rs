//! The real kubectl: what it says, that it says no warning, and that it ends.

use std::{
    env,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use super::cluster::{Running, repository};

/// Seconds a kubectl may run; one that takes longer hangs.
const SECONDS_MAX: &str = "90";

/// A kubectl that speaks to one cluster, with a home of its own: no cache or setting of the machine is seen.
#[derive(Clone)]
pub struct Kubectl {
    kubeconfig: PathBuf,
    home: PathBuf,
    context: Option<String>,
}

/// What a kubectl said, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub out: String,
    pub err: String,
    pub code: i32,
}

impl Kubectl {
    pub fn new(kubeconfig: &Path, home: &Path) -> Self {
        Self { kubeconfig: kubeconfig.to_owned(), home: home.to_owned(), context: None }
    }

    /// The same, as the user of another context.
    pub fn context(&self, name: &str) -> Self {
        Self { context: Some(name.to_owned()), ..self.clone() }
    }

    /// The program itself.
    pub fn program() -> PathBuf {
        if let Some(path) = env::var_os("XEBEC_KUBECTL").filter(|path| !path.is_empty()) {
            return path.into();
        }
        let installed = repository().join(".venv/bin/kubectl");
        if installed.exists() { installed } else { "kubectl".into() }
    }

    /// Sets a command up to speak to this cluster.
    pub fn prepare<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("KUBECONFIG", &self.kubeconfig).env("HOME", &self.home).current_dir(repository())
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--kill-after", "1", SECONDS_MAX]).arg(Self::program());
        if let Some(context) = &self.context {
            command.args(["--context", context]);
        }
        command.args(words(line));
        self.prepare(&mut command);
        command
    }

    /// Runs it with an environment variable and text on its standard input, however it ends.
    #[track_caller]
    fn said_with(&self, line: &str, input: &str, variable: Option<(&str, &str)>) -> Said {
        let mut command = self.command(line);
        command.envs(variable).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A kubectl that fails early does not read its input to the end.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let said = Said {
            out: text(output.stdout),
            err: text(output.stderr),
            code: output.status.code().unwrap_or(-1),
        };
        assert_ne!(said.code, 124, "kubectl {line}: hung\n{said:#?}");
        assert!(!said.err.lines().any(|line| line.starts_with("Warning")), "kubectl {line}: {}", said.err);
        said
    }

    /// Runs it, however it ends.
    #[track_caller]
    pub fn said(&self, line: &str) -> Said {
        self.said_with(line, "", None)
    }

    /// Runs it with text on its standard input, however it ends.
    #[track_caller]
    pub fn said_of(&self, line: &str, input: &str) -> Said {
        self.said_with(line, input, None)
    }

    /// Runs it to a good end, and gives what it printed.
    #[track_caller]
    pub fn run(&self, line: &str) -> String {
        good(line, self.said(line))
    }

    /// The same, with text on its standard input.
    #[track_caller]
    pub fn run_on(&self, line: &str, input: &str) -> String {
        good(line, self.said_of(line, input))
    }

    /// The same, with `editor` (a command that gets a file) for `kubectl edit`.
    #[track_caller]
    pub fn run_editing(&self, line: &str, editor: &str) -> String {
        good(line, self.said_editing(line, editor))
    }

    /// The same, whatever comes of it.
    #[track_caller]
    pub fn said_editing(&self, line: &str, editor: &str) -> Said {
        self.said_with(line, "", Some(("KUBE_EDITOR", editor)))
    }

    /// What it prints with `--output json`, parsed.
    #[track_caller]
    pub fn json(&self, line: &str) -> Value {
        let text = self.run(&format!("{line} --output json"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("kubectl {line}: {error}: {text}"))
    }

    /// Starts it and lets it run: its lines can be waited for.
    pub fn start(&self, line: &str) -> Running {
        Running::start(self.command(line).stdin(Stdio::null()))
    }

    /// The words of a table's first line, as columns: two spaces or more part them.
    #[track_caller]
    pub fn columns(&self, line: &str) -> Vec<String> {
        let table = self.run(line);
        let header = table.lines().next().unwrap_or_default();
        header.split("  ").map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }
}

#[track_caller]
fn good(line: &str, said: Said) -> String {
    assert_eq!(said.code, 0, "kubectl {line}\n{}{}", said.out, said.err);
    said.out
}

/// The words of a line; single quotes hold one together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    assert!(!quoted, "a quote without an end: {line}");
    words.extend(word);
    words
}

#[test]
fn a_line_is_words() {
    assert_eq!(
        words("get  pods -o 'custom-columns=A:.a b' ''"),
        ["get", "pods", "-o", "custom-columns=A:.a b", ""]
    );
}
