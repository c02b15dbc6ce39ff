//! An API server on a port: address, certificates, users, and the kubeconfig that leads to it. `up` and `apiserver`
//! share it.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use xebec_apiserver::{
    Cluster,
    access::{
        authentication::{Authentication, TokenAuthenticator},
        certificates::{Authority, ClientCertificates, server_config},
        kubeconfig::Kubeconfig,
        token_file::TokenFile,
    },
    cluster::ISSUER,
    http::serve::{self, Limits, Tls},
};

use crate::{cli::ServeArguments, descriptors, kubeconfig::KubeconfigFile};

/// An API server that listens.
pub struct Server {
    /// The cluster that it serves.
    pub cluster: Cluster,
    /// Its address.
    pub url: String,
    /// The way in for clients.
    pub kubeconfig: KubeconfigFile,
    /// The certificate of its authority, as text.
    pub authority: String,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Listens, writes the kubeconfig, and serves until `shutdown`.
    ///
    /// # Errors
    /// What is wrong with the flags, the files they name, or the port.
    pub async fn start(
        arguments: &ServeArguments,
        kubeconfig: &KubeconfigPlace,
        shutdown: CancellationToken,
    ) -> Result<Self> {
        check_address(arguments)?;
        KubeconfigFile::check(kubeconfig.path())?;
        let tokens = arguments.token_auth_file.as_deref().map(token_file).transpose()?;
        descriptors::raise_limit();
        let listener = listen(SocketAddr::new(arguments.bind_address, arguments.port)).await?;
        let cluster = Cluster::new().with_authentication(Authentication {
            tokens: tokens.into_iter().collect(),
            allows_anonymous: true,
            audiences: vec![ISSUER.to_owned()],
        });
        let authority = Authority::new(cluster.clock().now()).context("make a certificate authority")?;
        let names = [arguments.bind_address.to_string()];
        let issued = authority.issue_server(&names).context("make the server's certificate")?;
        let admin = authority
            .issue_client("kubernetes-admin", &["system:masters".to_owned()])
            .context("make the admin's certificate")?;
        let clients = ClientCertificates::new(&authority)?;
        let limits = limits(arguments);
        let tls = Tls { config: Arc::new(server_config(&issued, &clients)?), clients, limits };
        let url = serve::url(&listener)?;
        let config =
            Kubeconfig { name: "xebec", server: &url, authority: &authority, client: &admin, namespace: "" }
                .to_value();
        let kubeconfig = KubeconfigFile::write(kubeconfig.path(), &config, kubeconfig.is_temporary())?;
        let serving = tokio::spawn(serve::serve(cluster.clone(), listener, tls, shutdown));
        Ok(Self { cluster, url, kubeconfig, authority: authority.pem(), serving })
    }

    /// Returns when the server has ended.
    ///
    /// # Errors
    /// It failed.
    pub async fn ended(&mut self) -> Result<()> {
        (&mut self.serving).await.context("the server's task")?.context("serve")
    }
}

/// Where a kubeconfig goes.
#[derive(Debug)]
pub enum KubeconfigPlace {
    /// A file that stays.
    File(PathBuf),
    /// A file of this process, removed at its end.
    Temporary(PathBuf),
}

impl KubeconfigPlace {
    /// A file of this process among the system's temporary files.
    pub fn temporary() -> Self {
        Self::Temporary(std::env::temp_dir().join(format!("xebec-{}.kubeconfig", std::process::id())))
    }

    fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Temporary(path) => path,
        }
    }

    fn is_temporary(&self) -> bool {
        matches!(self, Self::Temporary(_))
    }
}

fn check_address(arguments: &ServeArguments) -> Result<()> {
    let address: IpAddr = arguments.bind_address;
    if !address.is_loopback() && !arguments.allow_remote {
        bail!(
            "{address} can be reached from other machines, and whoever has the kubeconfig may do everything: listen \
             on 127.0.0.1, or say --allow-remote if you mean it"
        );
    }
    Ok(())
}

fn limits(arguments: &ServeArguments) -> Limits {
    let default = Limits::default();
    let or = |ms: Option<u64>, default| ms.map_or(default, Duration::from_millis);
    Limits {
        handshake: or(arguments.handshake_ms_max, default.handshake),
        head: or(arguments.head_ms_max, default.head),
        body: or(arguments.body_ms_max, default.body),
        write: or(arguments.write_ms_max, default.write),
        requests: arguments.max_requests_inflight,
        mutating_requests: arguments.max_mutating_requests_inflight,
    }
}

fn token_file(path: &Path) -> Result<Box<dyn TokenAuthenticator>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("read --token-auth-file {}", path.display()))?;
    let tokens =
        TokenFile::parse(&text, &[ISSUER.to_owned()]).with_context(|| format!("in {}", path.display()))?;
    Ok(Box::new(tokens))
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        if error.kind() != std::io::ErrorKind::AddrInUse {
            return anyhow::Error::new(error).context(format!("listen on {address}"));
        }
        let holder = holder(address.port()).unwrap_or_else(|| "another process".to_owned());
        anyhow::anyhow!(
            "port {} is taken by {holder}: end it, or choose another with --port (0 takes a free one)",
            address.port()
        )
    })
}

/// Who listens on a port of this machine, as far as this user may see: `NAME (process ID)`.
fn holder(port: u16) -> Option<String> {
    const LISTENING: &str = "0A";
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    let inode = tables.iter().flat_map(|table| table.lines().skip(1)).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let own = columns.get(1)?.rsplit_once(':')?.1;
        let listens = columns.get(3) == Some(&LISTENING) && u16::from_str_radix(own, 16) == Ok(port);
        listens.then(|| columns.get(9).map(|inode| format!("socket:[{inode}]"))).flatten()
    })?;
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
        let holds = descriptors.flatten().any(|descriptor| {
            fs::read_link(descriptor.path()).is_ok_and(|link| link.as_os_str() == inode.as_str())
        });
        if holds {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("{} (process {})", name.trim(), process.file_name().to_string_lossy()));
        }
    }
    None
}
