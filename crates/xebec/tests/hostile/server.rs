//! A server under attack, and a client that says whatever it is told to.

use std::{
    fmt::Write as _,
    fs,
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::Value;
use tempfile::TempDir;

use super::process::{Running, repository, xebec};

/// How long the server may take for anything.
pub const PATIENCE: Duration = Duration::from_secs(15);
/// What any attack may cost the server in memory, unless its test says otherwise: a few bodies of the largest size, read
/// into values, and what the allocator keeps for the next time.
pub const MEMORY_BYTES_MAX: u64 = 64 << 20;

/// How much a refusal says at most.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// `xebec apiserver`, ended with the test.
pub struct Server {
    process: Running,
    address: SocketAddr,
    /// Of HTTP/1.1, and of HTTP/2.
    configs: [Arc<ClientConfig>; 2],
    /// What it held before the attack.
    before_bytes: u64,
    _scratch: TempDir,
}

impl Server {
    pub fn start() -> Self {
        Self::start_with("", &[])
    }

    /// A server with more flags, started by a shell after `preparation`.
    pub fn start_with(preparation: &str, flags: &[&str]) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let tokens = scratch.path().join("tokens.csv");
        fs::write(&tokens, "admin,admin,1,system:masters\nbob,bob,2\n").unwrap();
        let kubeconfig = scratch.path().join("kubeconfig");
        let program = xebec(&["apiserver", "--port", "0", "--token-auth-file"]);
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &format!("{preparation} exec \"$0\" \"$@\"")]);
        command.arg(program.get_program()).args(program.get_args()).arg(tokens);
        command.current_dir(repository()).env_remove("XEBEC_LOG");
        command.arg("--kubeconfig").arg(&kubeconfig).args(flags);
        let mut process = Running::start(&mut command);
        let line = process.line("its address", |line| line.starts_with('{'));
        let ready: Value = serde_json::from_str(&line).unwrap();
        let address = ready["url"].as_str().unwrap().strip_prefix("https://").unwrap().parse().unwrap();
        let config = kube::config::Kubeconfig::read_from(&kubeconfig).unwrap();
        let authority =
            config.clusters[0].cluster.as_ref().unwrap().certificate_authority_data.clone().unwrap();
        let pem = BASE64_STANDARD.decode(authority).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
        let configs = ["http/1.1", "h2"].map(|protocol| Arc::new(client_config(&roots, protocol)));
        let mut server = Self { process, address, configs, before_bytes: 0, _scratch: scratch };
        // Whatever is made at the first request is made now.
        server.is_ready();
        assert_eq!(server.send(&get("/api/v1/configmaps")).code(), 200);
        server.before_bytes = server.status("VmRSS");
        fs::write(format!("/proc/{}/clear_refs", server.process.id()), "5").unwrap();
        server
    }

    /// A connection without TLS.
    pub fn plain(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// A connection of HTTP/1.1.
    pub fn connect(&self) -> Client {
        self.handshake(self.plain(), 0).unwrap()
    }

    /// A connection of HTTP/2.
    pub fn connect_http2(&self) -> Client {
        self.handshake(self.plain(), 1).unwrap()
    }

    fn handshake(&self, mut socket: TcpStream, protocol: usize) -> io::Result<Client> {
        let name = ServerName::IpAddress(self.address.ip().into());
        let mut connection = ClientConnection::new(self.configs[protocol].clone(), name).unwrap();
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        Ok(Client { stream: StreamOwned::new(connection, socket), read: Vec::new() })
    }

    /// What comes of one request on a connection of its own.
    pub fn send(&self, request: &[u8]) -> Outcome {
        let mut client = self.connect();
        client.write(request);
        client.outcome()
    }

    /// Sends each request on a connection of its own, and asserts that what comes of it is one of the codes beside it (0 is
    /// a closed connection), and that the server is unharmed; then ends it.
    #[track_caller]
    pub fn refuses(mut self, cases: &[(&str, Vec<u8>, &[u16])]) {
        let mut others = Vec::new();
        for (attack, request, codes) in cases {
            let outcome = self.send(request);
            if !codes.contains(&outcome.code()) {
                let shown: String = format!("{outcome:?}").chars().take(300).collect();
                others.push(format!("{attack}: {shown}"));
            }
            assert!(outcome.body().len() <= ANSWER_BYTES_MAX, "{attack}: {} bytes", outcome.body().len());
            self.is_unharmed(attack);
        }
        assert!(others.is_empty(), "{others:#?}");
        self.end();
    }

    fn is_ready(&self) {
        let outcome = self.send(&get("/readyz"));
        assert_eq!((outcome.code(), outcome.body()), (200, "ok"), "{outcome:?}");
    }

    /// Asserts that the server lives, has not panicked, and never held more than `MEMORY_BYTES_MAX` beyond what it had.
    #[track_caller]
    pub fn is_unharmed(&mut self, attack: &str) {
        self.is_unharmed_within(MEMORY_BYTES_MAX, attack);
    }

    /// Asserts that the server lives, has not panicked, and never held more than `bytes` beyond what it had.
    #[track_caller]
    pub fn is_unharmed_within(&mut self, bytes: u64, attack: &str) {
        self.is_ready();
        let peak = self.status("VmHWM").max(self.status("VmRSS"));
        let grown = peak.saturating_sub(self.before_bytes);
        assert!(grown <= bytes, "{attack}: {} MB more, of {} MB", grown >> 20, bytes >> 20);
        let said = self.process.said();
        assert!(!said.contains("panicked"), "{attack}: {said}");
    }

    /// How many file descriptors it has open.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.id())).unwrap().count()
    }

    /// How much processor time it has used (in steps of 10 ms, as the kernel counts it).
    pub fn processor_ms(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let (_, columns) = text.rsplit_once(')').unwrap();
        let (user, system) = (11, 12);
        let ticks = |column| columns.split_whitespace().nth(column).unwrap().parse::<u64>().unwrap();
        (ticks(user) + ticks(system)) * 10
    }

    /// Ends the server, which must not take long, whoever is still connected.
    pub fn end(mut self) {
        self.process.interrupt();
        assert!(self.process.end(PATIENCE).is_some_and(|status| status.success()), "{}", self.process.said());
    }

    /// A figure of `/proc/PID/status`, in bytes.
    fn status(&self, name: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }
}

fn client_config(roots: &RootCertStore, protocol: &str) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots.clone()).with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    config
}

/// Waits until `condition` holds.
#[track_caller]
#[allow(clippy::disallowed_methods, reason = "the server is another process: its time is real")]
pub fn wait(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in {PATIENCE:?}: {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// A connection on which anything can be said.
pub struct Client {
    pub stream: StreamOwned<ClientConnection, TcpStream>,
    read: Vec<u8>,
}

/// What the server made of what was sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer.
    Answer { code: u16, body: String },
    /// The connection was closed without one.
    Closed,
    /// Nothing at all, for all our patience.
    Silence,
}

impl Outcome {
    /// The answer's code; 0 where the connection was closed, 1 where nothing came.
    pub fn code(&self) -> u16 {
        match self {
            Self::Answer { code, .. } => *code,
            Self::Closed => 0,
            Self::Silence => 1,
        }
    }

    /// The answer's body.
    pub fn body(&self) -> &str {
        if let Self::Answer { body, .. } = self { body } else { "" }
    }

    /// The message of the Status that was answered.
    pub fn message(&self) -> String {
        let status: Value = serde_json::from_str(self.body()).unwrap_or_default();
        status["message"].as_str().unwrap_or_default().to_owned()
    }
}

impl Client {
    /// Sends; returns whether the server took it all.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).and_then(|()| self.stream.flush()).is_ok()
    }

    /// Reads the next answer, up to its end.
    pub fn outcome(&mut self) -> Outcome {
        let mut ended = Ok(());
        loop {
            if let Some((length, code, body)) = answer(&self.read, ended.is_err()) {
                self.read.drain(..length);
                // An interim answer promises another.
                if code < 200 {
                    continue;
                }
                return Outcome::Answer { code, body };
            }
            match ended {
                Ok(()) => ended = self.more(),
                Err(ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Outcome::Silence;
                }
                Err(_) => return Outcome::Closed,
            }
        }
    }

    /// Reads up to the end of a line that contains `text`, and gives it from there on.
    #[track_caller]
    pub fn read_to(&mut self, text: &str) -> String {
        loop {
            // All is ASCII, so that places in the text are places in the bytes.
            let found = std::str::from_utf8(&self.read).unwrap().find(text);
            // What came before is not looked at again.
            self.read.drain(..found.unwrap_or_else(|| self.read.len().saturating_sub(text.len())));
            let end = std::str::from_utf8(&self.read).unwrap().find('\n');
            if let (Some(_), Some(end)) = (found, end) {
                return self.read.drain(..end).map(char::from).collect();
            }
            self.more().unwrap_or_else(|why| panic!("{why}, but no {text}"));
        }
    }

    /// What was read and not yet taken.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.read
    }

    /// Reads once; at the end of the connection, an error.
    pub fn more(&mut self) -> Result<(), ErrorKind> {
        let mut piece = vec![0; 64 << 10];
        match self.stream.read(&mut piece) {
            Ok(0) => Err(ErrorKind::UnexpectedEof),
            Ok(length) => {
                self.read.extend_from_slice(&piece[..length]);
                Ok(())
            }
            Err(error) => Err(error.kind()),
        }
    }
}

/// The first whole answer of `bytes`: how long it is, its code, and its body.
fn answer(bytes: &[u8], at_end: bool) -> Option<(usize, u16, String)> {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut head = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(start)) = head.parse(bytes) else { return None };
    let code = head.code?;
    let header = |name: &str| {
        let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| String::from_utf8_lossy(header.value).into_owned())
    };
    let rest = &bytes[start..];
    let length = match header("content-length").map(|length| length.parse::<usize>().unwrap()) {
        Some(length) => length,
        None if code < 200 || code == 204 => 0,
        None if header("transfer-encoding").is_some() => {
            let end = b"\r\n0\r\n\r\n";
            rest.windows(end.len()).position(|window| window == end)? + end.len()
        }
        None => at_end.then_some(rest.len())?,
    };
    let body = rest.get(..length)?;
    Some((start + length, code, String::from_utf8_lossy(body).into_owned()))
}

/// A request of the admin's that is as it should be, but for its path.
pub fn get(path: &str) -> Vec<u8> {
    request("GET", path, "", b"")
}

/// A request of the admin's, with a body.
pub fn request(method: &str, path: &str, media_type: &str, body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\n");
    if !media_type.is_empty() {
        write!(head, "Content-Type: {media_type}\r\nContent-Length: {}\r\n", body.len()).unwrap();
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}
