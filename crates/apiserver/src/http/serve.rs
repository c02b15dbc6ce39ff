//! The API on a port: TLS, HTTP/1.1 and HTTP/2, with a bound on everything a client can make wait or grow.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use rustls::{ServerConfig, pki_types::UnixTime};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{BodyTime, Peer, in_flight::InFlight, stream::Stream};
use crate::{
    access::{authentication::ClientCertificate, certificates::ClientCertificates},
    cluster::Cluster,
};

/// How many connections there may be at once; others wait to be accepted.
const CONNECTIONS_MAX: usize = 20_000;
/// How large the head of a request may be.
const HEAD_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 128;
/// How many requests one HTTP/2 connection may have under way.
const STREAMS_MAX: u32 = 2_000;
/// How much of an answer waits in memory for a slow HTTP/2 reader.
const SEND_BYTES_MAX: usize = 256 << 10;
/// A dead HTTP/2 peer is noticed by pings.
const PING_EVERY: Duration = Duration::from_secs(30);
/// How long no connection is taken after one could not be: out of file descriptors, the next can't be either.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What connections get to end in when the server ends.
const GRACE: Duration = Duration::from_millis(500);

/// How long a client may take, and how much clients may ask at once. Each limit of what comes from a client is for the
/// whole of its part: bytes that trickle in don't renew it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For the TLS handshake, from the connection on.
    pub handshake: Duration,
    /// For the head of a request, from the handshake or the answer before it on: so long may a connection of HTTP/1.1 be
    /// idle. Of HTTP/2, for the preface.
    pub head: Duration,
    /// For the body of a request, from its head on.
    pub body: Duration,
    /// For reading something, anything at all, of what waits to be sent to it.
    pub write: Duration,
    /// How many requests that change nothing are worked on at once; 0 is no limit. Others are told to come again.
    pub requests: usize,
    /// How many requests that change something are worked on at once.
    pub mutating_requests: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            body: super::BODY_TIME_MAX,
            write: Duration::from_mins(1),
            requests: 400,
            mutating_requests: 200,
        }
    }
}

/// How a port is served.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Certificate, key, and protocols.
    pub config: Arc<ServerConfig>,
    /// Whose client certificates are taken.
    pub clients: ClientCertificates,
    /// How long its clients may take.
    pub limits: Limits,
}

/// Serves `cluster` on `listener` until `shutdown`; then watches end, requests under way get half a second, and
/// everything is closed.
///
/// # Errors
/// None while it runs: what goes wrong with one connection ends that one alone.
pub async fn serve(
    cluster: Cluster,
    listener: TcpListener,
    tls: Tls,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let in_flight = InFlight::new(tls.limits.requests, tls.limits.mutating_requests);
    let connections = TaskTracker::new();
    loop {
        let slot = tokio::select! {
            slot = slots.clone().acquire_owned() => slot.map_err(io::Error::other)?,
            () = shutdown.cancelled() => break,
        };
        let (stream, address) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, or the client is gone again: others may fare better.
                    tracing::warn!(%error, "cannot accept a connection");
                    let _ = tokio::time::timeout(ACCEPT_PAUSE, shutdown.cancelled()).await;
                    continue;
                }
            },
            () = shutdown.cancelled() => break,
        };
        let (cluster, tls, shutdown) = (cluster.clone(), tls.clone(), shutdown.clone());
        let in_flight = in_flight.clone();
        connections.spawn(async move {
            if let Err(error) = connection(cluster, stream, tls, in_flight, shutdown).await {
                tracing::debug!(%address, %error, "a connection ended");
            }
            drop(slot);
        });
    }
    cluster.close();
    connections.close();
    let _ = tokio::time::timeout(GRACE, connections.wait()).await;
    Ok(())
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

async fn connection(
    cluster: Cluster,
    stream: TcpStream,
    tls: Tls,
    in_flight: InFlight,
    shutdown: CancellationToken,
) -> Result<(), BoxError> {
    stream.set_nodelay(true)?;
    let limits = tls.limits;
    if !tokio::time::timeout(limits.handshake, speaks_tls(&stream)).await?? {
        let answer = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
        let mut stream = Stream::new(stream, limits.handshake, limits.write);
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        return Ok(());
    }
    let stream =
        tokio::time::timeout(limits.handshake, TlsAcceptor::from(tls.config).accept(stream)).await??;
    let chain = stream.get_ref().1.peer_certificates();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(
        u64::try_from(cluster.clock().now().as_second()).unwrap_or_default(),
    ));
    let peer = Peer::Connection(ClientCertificate::of(&tls.clients, chain, now));
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(BodyTime(limits.body));
        request.extensions_mut().insert(in_flight.clone());
        let (cluster, peer) = (cluster.clone(), peer.clone());
        async move { Ok::<_, std::convert::Infallible>(cluster.handle(request, peer).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .max_send_buf_size(SEND_BYTES_MAX)
        .keep_alive_interval(PING_EVERY);
    let stream = Stream::new(stream, limits.head, limits.write);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        result = connection.as_mut() => return result,
        () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    tokio::time::timeout(GRACE, connection).await?
}

/// Whether the first byte is that of a TLS handshake; waits for it.
async fn speaks_tls(stream: &TcpStream) -> io::Result<bool> {
    const HANDSHAKE: u8 = 0x16;
    let mut first = [0];
    Ok(stream.peek(&mut first).await? == 0 || first[0] == HANDSHAKE)
}

/// The address that a listener took, as a URL.
///
/// # Errors
/// A listener that is closed.
pub fn url(listener: &TcpListener) -> io::Result<String> {
    let address: SocketAddr = listener.local_addr()?;
    Ok(format!("https://{address}"))
}
