//! The API that is measured: where it is, and as whom we speak to it.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, anyhow, bail};
use kube::{
    client::ConfigExt,
    config::{KubeConfigOptions, Kubeconfig},
};
use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// A connection's bytes, encrypted or not.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Where an API is, and who asks it: what the flags of a benchmark say.
#[derive(Clone, Default)]
pub struct Access {
    /// Its URL; without it the kubeconfig says.
    pub server: Option<String>,
    /// The kubeconfig with the server and its user.
    pub kubeconfig: Option<PathBuf>,
    /// A bearer token.
    pub token: Option<String>,
    /// A client certificate, in PEM, and its key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// The certificate of the authority that the server's certificate is of, in PEM.
    pub certificate_authority: Option<PathBuf>,
    /// Whether any certificate of the server is believed.
    pub insecure: bool,
}

/// An API, and a user of it.
#[derive(Clone, Debug)]
pub struct Target {
    /// As in the URL: what the `Host` header says.
    authority: String,
    addresses: Vec<SocketAddr>,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    authorization: Option<String>,
}

impl Target {
    /// The API and the user that the flags name.
    ///
    /// # Errors
    /// Where they name none, or it cannot be found.
    pub async fn of(access: &Access) -> Result<Self> {
        let url = access.server.as_deref().map(|url| url.parse().with_context(|| format!("--server {url}")));
        let mut config = match (&access.kubeconfig, url.transpose()?) {
            (None, None) => bail!("give --server, --kubeconfig or --spawn"),
            (None, Some(url)) => kube::Config::new(url),
            (Some(path), url) => {
                let mut config = from_kubeconfig(path).await?;
                config.cluster_url = url.unwrap_or(config.cluster_url);
                config
            }
        };
        config.accept_invalid_certs |= access.insecure;
        if let Some(path) = &access.certificate_authority {
            config.root_cert = Some(certificates(path)?);
        }
        if let Some((certificate, key)) = &access.client {
            config.auth_info.client_certificate = Some(certificate.display().to_string());
            config.auth_info.client_key = Some(key.display().to_string());
        }
        if let Some(token) = &access.token {
            config.auth_info.token = Some(token.clone().into());
        }
        Self::new(&config).await
    }

    /// The API and the current user of a kubeconfig.
    pub async fn of_kubeconfig(path: &Path) -> Result<Self> {
        Self::new(&from_kubeconfig(path).await?).await
    }

    async fn new(config: &kube::Config) -> Result<Self> {
        let url = &config.cluster_url;
        let host = url.host().context("the server's URL has no host")?.trim_matches(['[', ']']);
        let (encrypted, port) = match url.scheme_str() {
            Some("https") => (true, 443),
            Some("http") => (false, 80),
            other => bail!("the server's URL begins with {other:?}, not with https or http"),
        };
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, url.port_u16().unwrap_or(port)))
            .await
            .with_context(|| format!("find {host}"))?
            .collect();
        let tls = if encrypted {
            let name = config.tls_server_name.as_deref().unwrap_or(host).to_owned();
            let name = ServerName::try_from(name).context("the server's name")?;
            let client = config.rustls_client_config().context("set up TLS")?;
            Some((Arc::new(client), name))
        } else {
            None
        };
        let authority = url.authority().map(ToString::to_string).unwrap_or_default();
        Ok(Self { authority, addresses, tls, authorization: authorization(config)? })
    }

    /// A connection that speaks HTTP/1.1.
    pub async fn connect(&self) -> Result<Box<dyn Stream>> {
        self.connect_speaking(&[b"http/1.1"]).await
    }

    /// A connection that speaks HTTP/2.
    ///
    /// # Errors
    /// Where the server does not speak it, too.
    pub async fn connect_h2(&self) -> Result<Box<dyn Stream>> {
        self.connect_speaking(&[b"h2"]).await
    }

    async fn connect_speaking(&self, protocols: &[&[u8]]) -> Result<Box<dyn Stream>> {
        let tcp = TcpStream::connect(self.addresses.as_slice()).await.context("connect")?;
        tcp.set_nodelay(true)?;
        let Some((config, name)) = &self.tls else { return Ok(Box::new(tcp)) };
        let mut config = ClientConfig::clone(config);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let stream =
            TlsConnector::from(Arc::new(config)).connect(name.clone(), tcp).await.context("greet by TLS")?;
        if protocols == [b"h2"] && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            bail!("the server does not speak HTTP/2");
        }
        Ok(Box::new(stream))
    }

    /// The URL of a path, for HTTP/2.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.authority)
    }

    /// The `Authorization` header, where there is a token.
    pub fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    /// Appends a request to `out`, ready to be sent over HTTP/1.1.
    pub fn encode(&self, out: &mut Vec<u8>, method: &str, path: &str, body: &[u8]) {
        out.extend_from_slice(method.as_bytes());
        out.extend_from_slice(b" ");
        out.extend_from_slice(path.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
        out.extend_from_slice(self.authority.as_bytes());
        out.extend_from_slice(b"\r\nuser-agent: xebec-bench\r\naccept: application/json\r\n");
        if let Some(authorization) = &self.authorization {
            out.extend_from_slice(b"authorization: ");
            out.extend_from_slice(authorization.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        if !body.is_empty() {
            out.extend_from_slice(b"content-type: application/json\r\ncontent-length: ");
            out.extend_from_slice(body.len().to_string().as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(body);
    }
}

async fn from_kubeconfig(path: &Path) -> Result<kube::Config> {
    let kubeconfig = Kubeconfig::read_from(path).with_context(|| format!("read {}", path.display()))?;
    kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .with_context(|| format!("use {}", path.display()))
}

fn authorization(config: &kube::Config) -> Result<Option<String>> {
    // The token is a secret that only serialization gives out.
    let user = serde_json::to_value(&config.auth_info)?;
    if let Some(token) = user["token"].as_str() {
        return Ok(Some(format!("Bearer {token}")));
    }
    let Some(path) = user["tokenFile"].as_str() else { return Ok(None) };
    let token = fs::read_to_string(path).with_context(|| format!("read the token in {path}"))?;
    Ok(Some(format!("Bearer {}", token.trim())))
}

fn certificates(path: &Path) -> Result<Vec<Vec<u8>>> {
    CertificateDer::pem_file_iter(path)
        .and_then(|certificates| certificates.map(|certificate| Ok(certificate?.to_vec())).collect())
        .map_err(|error| anyhow!("read {}: {error}", path.display()))
}
