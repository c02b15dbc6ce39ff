//! The command line: what can be asked for, as data. What each command does stands in the module of its name.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand, ValueEnum};

use xebec_coordinator::operator::{Flags, LogFormat, METRICS_ADDRESS, MetricsAddress, label};

use crate::{
    bench::BenchArguments, chosen::ObserversArgument, observer::ObserverCommand, output::OutputFormat,
};

/// What was asked for makes no sense, which only shows when it is done.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongUsage(pub String);

/// A Kubernetes cluster in one binary, and the crew that keeps a cluster in order.
#[derive(Debug, Parser)]
#[command(name = "xebec", version, propagate_version = true, max_term_width = 110)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
    /// How log lines look on standard error.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Human, value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// What is logged: a level (error, warn, info, debug, trace), or a level a module
    /// (`warn,xebec_apiserver=debug`).
    #[arg(long, global = true, env = "XEBEC_LOG", default_value = "warn", value_name = "FILTER")]
    pub log: String,
}

/// What a command does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a whole cluster: API server, controllers, simulated nodes, and the observers.
    ///
    /// Prints where the kubeconfig is and how long it took to be ready, then what the observers do. Ends on Ctrl-C
    /// (within a second; at once on the second). Nothing is kept on disk but the kubeconfig.
    Up(UpArguments),
    /// Start the Kubernetes API alone: no controllers, no nodes, no observers.
    ///
    /// For the tests of operators and clients in any language. Once ready it prints one line of JSON with `url` and
    /// `kubeconfig` on standard output. `--port 0` takes a free port.
    Apiserver(ApiserverArguments),
    /// Run the observers alone, on a cluster that is there already.
    ///
    /// Connects as kubectl does: by --kubeconfig, else $KUBECONFIG, else the kubeconfig in the home directory; within
    /// a pod, by its service account.
    Run(RunArguments),
    /// Print what to apply to a cluster so that xebec runs there: with the rights that its observers need, and no more.
    ///
    /// `xebec manifests --image IMAGE | kubectl apply -f -`. Two replicas, of which one leads.
    Manifests(ManifestsArguments),
    /// Show how a running xebec fares: its observers and watches, queues, errors, and who leads.
    ///
    /// Asks the process itself, at the address where it serves its metrics, from the same machine (or pod) only.
    Status(StatusArguments),
    #[command(flatten)]
    Observer(ObserverCommand),
    /// Measure a Kubernetes API, beside the bars that xebec holds itself to.
    #[command(hide = true)]
    Bench(BenchArguments),
    /// Make the first cluster of a process, and print how long it took (`xebec bench` runs it).
    #[command(hide = true)]
    FirstCluster,
    /// Print the reference page of all observers, in Markdown: docs/observers.md.
    #[command(hide = true)]
    Reference,
    /// Print the version of xebec, and of the Kubernetes that it is.
    Version(VersionArguments),
    /// Print the completion script of a shell; `source <(xebec completion bash)` turns it on.
    Completion {
        /// The shell that completes.
        shell: clap_complete::Shell,
    },
}

/// Where and for whom an API server listens; the flags that `up` and `apiserver` share.
#[derive(Args, Debug)]
pub struct ServeArguments {
    /// A manifest, or a directory of them (*.yaml, *.yml, *.json, in the order of their names), to apply at the start.
    /// May be given more than once.
    #[arg(short = 'f', long = "filename", value_name = "FILE|DIR")]
    pub filenames: Vec<PathBuf>,
    /// The port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 6443, value_name = "PORT")]
    pub port: u16,
    /// The address to listen on. Another than a loopback address needs --allow-remote.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "ADDRESS")]
    pub bind_address: IpAddr,
    /// Listen to other machines, too: whoever has the kubeconfig or a token is then let in from anywhere.
    #[arg(long)]
    pub allow_remote: bool,
    /// Users beside the kubeconfig's admin: a CSV file of `token,user,uid[,"group,group"]`, as kube-apiserver's.
    #[arg(long, value_name = "FILE")]
    pub token_auth_file: Option<PathBuf>,
    /// What goes wrong on purpose: a YAML or JSON file of a seed and of rules, each with verbs, resources, users, a
    /// probability and a fault (delay, refuse, loseAnswer, neverAnswer, lag, cut, expire, stale).
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
    /// How many milliseconds a client may take for the TLS handshake. [default: 10000]
    #[arg(long, hide = true, value_name = "MS")]
    pub handshake_ms_max: Option<u64>,
    /// How many milliseconds a client may take for the head of a request. [default: 30000]
    #[arg(long, hide = true, value_name = "MS")]
    pub head_ms_max: Option<u64>,
    /// How many milliseconds a client may take for the body of a request. [default: 60000]
    #[arg(long, hide = true, value_name = "MS")]
    pub body_ms_max: Option<u64>,
    /// How many milliseconds a client may read nothing of what waits to be sent to it. [default: 60000]
    #[arg(long, hide = true, value_name = "MS")]
    pub write_ms_max: Option<u64>,
    /// How many requests that change nothing are worked on at once, as kube-apiserver's; 0 is no limit. Watches, logs and
    /// the like do not count, and administrators are always let in.
    #[arg(long, default_value_t = 400, value_name = "N")]
    pub max_requests_inflight: usize,
    /// The same for requests that change something.
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub max_mutating_requests_inflight: usize,
}

/// The flags of `xebec up`.
#[derive(Args, Debug)]
pub struct UpArguments {
    #[command(flatten)]
    pub serve: ServeArguments,
    /// Where the kubeconfig is written. One that xebec did not write is never overwritten.
    #[arg(long, default_value = ".xebec/kubeconfig", value_name = "PATH")]
    pub kubeconfig: PathBuf,
    /// How many nodes the cluster has. They are simulated: their pods become ready, and those of Jobs end.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=10_000))]
    pub nodes: u16,
    /// Where /metrics, /healthz and /readyz are served, over plain HTTP: an address with a port (0 takes a free one), or
    /// none.
    #[arg(long, value_name = "ADDRESS", default_value = "none", value_parser = MetricsAddress::read)]
    pub metrics_address: MetricsAddress,
    #[command(flatten)]
    pub observers: ObserversArgument,
}

/// The flags of `xebec apiserver`.
#[derive(Args, Debug)]
pub struct ApiserverArguments {
    #[command(flatten)]
    pub serve: ServeArguments,
    /// Where the kubeconfig is written. One that xebec did not write is never overwritten. [default: a file of its own
    /// in the system's directory for temporary files, removed at the end]
    #[arg(long, value_name = "PATH")]
    pub kubeconfig: Option<PathBuf>,
}

/// The flags of `xebec run`.
#[derive(Args, Debug)]
pub struct RunArguments {
    #[command(flatten)]
    pub operator: Flags,
    /// Write nothing: print what the observers would do about the cluster as it is now, and end.
    #[arg(long, conflicts_with_all = ["leader_elect", "shard_by"])]
    pub dry_run: bool,
    /// How a dry run is printed: text for people, JSON or YAML with all that would be written for programs.
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT", requires = "dry_run")]
    pub output: OutputFormat,
    #[command(flatten)]
    pub observers: ObserversArgument,
}

/// The flags of `xebec manifests`.
#[derive(Args, Debug)]
pub struct ManifestsArguments {
    /// The namespace in which xebec runs; it is among what is printed, unless it is Kubernetes' own.
    #[arg(long, default_value = "xebec", value_name = "NAME", value_parser = label)]
    pub namespace: String,
    /// What the Deployment and all that belongs to it is called.
    #[arg(long, default_value = "xebec", value_name = "NAME", value_parser = label)]
    pub name: String,
    /// The image, with xebec as its entry point.
    #[arg(long, default_value = concat!("xebec:", env!("CARGO_PKG_VERSION")), value_name = "IMAGE")]
    pub image: String,
    #[command(flatten)]
    pub observers: ObserversArgument,
}

/// The flags of `xebec status`.
#[derive(Args, Debug)]
pub struct StatusArguments {
    /// The --metrics-address of the process.
    #[arg(long, default_value = METRICS_ADDRESS, value_name = "ADDRESS")]
    pub address: SocketAddr,
    /// The format: text for people, JSON or YAML for programs.
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT")]
    pub output: OutputFormat,
}

/// The flags of `xebec version`.
#[derive(Args, Debug)]
pub struct VersionArguments {
    /// The format: text for people, JSON for programs.
    #[arg(short, long, value_enum, default_value_t = VersionFormat::Text, value_name = "FORMAT")]
    pub output: VersionFormat,
}

/// How a version is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum VersionFormat {
    Text,
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::chosen::Chosen;

    fn parse(line: &str) -> Result<Command, String> {
        Arguments::try_parse_from(line.split_whitespace())
            .map(|arguments| arguments.command)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_definition_holds_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn up_takes_the_flags_that_are_documented() {
        let line = "xebec up -f a.yaml -f b --nodes 3 --port 0 --kubeconfig k --token-auth-file t --observers reload,";
        let Ok(Command::Up(up)) = parse(line) else { panic!("{line}") };
        assert_eq!(up.serve.filenames, [PathBuf::from("a.yaml"), PathBuf::from("b")]);
        assert_eq!((up.nodes, up.serve.port), (3, 0));
        assert_eq!(up.kubeconfig, PathBuf::from("k"));
        assert_eq!(up.serve.token_auth_file, Some(PathBuf::from("t")));
        assert_eq!(up.observers.observers, Some(vec!["reload".to_owned(), String::new()]));
    }

    #[test]
    fn defaults_are_local_and_small() {
        let Ok(Command::Up(up)) = parse("xebec up") else { panic!("up needs no flags") };
        assert!(up.serve.bind_address.is_loopback() && !up.serve.allow_remote);
        assert_eq!((up.nodes, up.observers.observers), (1, None));
    }

    #[test]
    fn every_observer_has_its_commands() {
        for observer in Chosen::all() {
            let line = format!("xebec {} why kind/namespace/name -o yaml", observer.name());
            let Ok(Command::Observer(command)) = parse(&line) else { panic!("{line}") };
            assert_eq!(command.observer.name(), observer.name());
            assert!(parse(&format!("xebec {} plan --kubeconfig k", observer.name())).is_ok());
        }
    }

    #[test]
    fn options_of_observers_are_flags() {
        let flag = "--reload.selector=app=web,tier in (front)";
        let selector = |observer: &Chosen| observer.spec().options[0].value().to_string();
        for command in [["up"].as_slice(), &["run"], &["manifests"]] {
            let line = ["xebec"].iter().chain(command).copied().chain([flag]);
            let arguments = Arguments::try_parse_from(line).unwrap();
            let observers = match arguments.command {
                Command::Up(UpArguments { observers, .. })
                | Command::Run(RunArguments { observers, .. })
                | Command::Manifests(ManifestsArguments { observers, .. }) => observers,
                other => panic!("{other:?}"),
            };
            assert_eq!(selector(&observers.chosen().unwrap()[0]), "app=web,tier in (front)");
            assert_eq!(observers.flags(), [flag]);
        }
        let line = ["xebec", "reload", "plan", flag];
        let Command::Observer(command) = Arguments::try_parse_from(line).unwrap().command else {
            panic!("{line:?}")
        };
        assert_eq!(selector(&command.observer), "app=web,tier in (front)");

        let wrong = parse("xebec run --reload.selector app=web=front").unwrap_err();
        assert!(wrong.contains("write one such as app=web"), "{wrong}");
        let Ok(Command::Run(run)) = parse("xebec run --observers= --reload.selector app=web") else {
            panic!("a flag")
        };
        let error = run.observers.chosen().unwrap_err().to_string();
        assert!(error.contains("name it in --observers"), "{error}");
    }

    #[test]
    fn only_loopback_hears_of_metrics_unless_told() {
        let Ok(Command::Run(run)) = parse("xebec run") else { panic!("run needs no flags") };
        assert!(run.operator.metrics_address.0.is_some_and(|address| address.ip().is_loopback()));
        let Ok(Command::Up(up)) = parse("xebec up") else { panic!("up needs no flags") };
        assert_eq!(up.metrics_address, MetricsAddress(None));
    }

    #[test]
    fn wrong_usage_is_said() {
        for line in [
            "xebec",
            "xebec up --nodes many",
            "xebec up --port 70000",
            "xebec apiserver --nodes 1",
            "xebec up --observers sail",
            "xebec run --leader-elect --shard-by key",
            "xebec run --shard-by uid",
            "xebec run --shard-group a/b",
            "xebec run --metrics-address 8080",
            "xebec run -o json",
            "xebec run --dry-run --leader-elect",
            "xebec manifests --namespace Not_a_label",
            "xebec reload",
            "xebec reload why",
            "xebec reload release",
            "xebec sail",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
