//! How a running xebec tells how it fares, over plain HTTP: `/metrics`, `/healthz`, `/readyz`, and, to the same machine
//! only, `/status`.
//!
//! Bounded against whoever can connect: so many connections, each one request with a small head, no body, and so long.

use std::{collections::VecDeque, convert::Infallible, net::SocketAddr, time::Duration};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::{body::Incoming, client, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use xebec_coordinator::Coordinator;

use crate::{cli::MetricsAddress, status};

/// How many connections there are at once; one more ends the oldest, so that silent ones keep out no probe.
const CONNECTIONS_MAX: usize = 64;
/// How large the head of a request is at most.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// How long a head may take, and a connection as a whole.
const HEAD_TIME_MAX: Duration = Duration::from_secs(5);
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(10);
/// How long to wait where a connection cannot be accepted, for want of files.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// How large the answer is that `xebec status` takes.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// A port that is listened on, not served yet.
pub struct Monitoring {
    listener: TcpListener,
    address: SocketAddr,
}

impl Monitoring {
    /// Listens; nowhere if that was asked for.
    ///
    /// # Errors
    /// The port is taken.
    pub async fn listen(address: MetricsAddress) -> Result<Option<Self>> {
        let Some(address) = address.0 else { return Ok(None) };
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!(
                "listen on {address} for metrics: choose another --metrics-address (port 0 takes a free one, `none` \
                 serves none)"
            )
        })?;
        let address = listener.local_addr().context("the address of the metrics")?;
        Ok(Some(Self { listener, address }))
    }

    /// Serves until `shutdown`, in a task of its own; returns the URL of the metrics.
    pub fn serve(self, coordinator: &Coordinator, shutdown: &CancellationToken) -> String {
        let url = format!("http://{}/metrics", self.address);
        let (coordinator, shutdown) = (coordinator.clone(), shutdown.clone());
        tokio::spawn(async move { shutdown.run_until_cancelled(accept(self.listener, coordinator)).await });
        url
    }
}

async fn accept(listener: TcpListener, coordinator: Coordinator) {
    let mut connections: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                connections.retain(|connection| !connection.is_finished());
                while connections.len() >= CONNECTIONS_MAX {
                    if let Some(oldest) = connections.pop_front() {
                        oldest.abort();
                    }
                }
                let serving = tokio::spawn(serve(stream, peer, coordinator.clone()));
                connections.push_back(serving.abort_handle());
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection for metrics");
                let _ = timeout(ACCEPT_AGAIN, std::future::pending::<()>()).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, coordinator: Coordinator) {
    let is_local = peer.ip().to_canonical().is_loopback();
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(request.method(), request.uri().path(), is_local, &coordinator);
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(CONNECTION_TIME_MAX, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, %peer, "a connection for metrics"),
        Err(_) => tracing::debug!(%peer, "a connection for metrics took too long"),
    }
}

fn answer(method: &Method, path: &str, is_local: bool, coordinator: &Coordinator) -> Response<Full<Bytes>> {
    if !["/metrics", "/healthz", "/readyz", "/status"].contains(&path) {
        return text(StatusCode::NOT_FOUND, "not found\n".to_owned());
    }
    if ![Method::GET, Method::HEAD].contains(method) {
        let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n".to_owned());
        refusal.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match path {
        "/metrics" => {
            as_type(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", coordinator.metrics())
        }
        "/healthz" => verdict(&coordinator.status().unhealthy()),
        "/readyz" => verdict(&coordinator.status().unready()),
        // The errors in it name objects, which is no business of whoever may read metrics.
        _ if !is_local => text(StatusCode::FORBIDDEN, "only from the same machine\n".to_owned()),
        _ => as_type(StatusCode::OK, "application/json", status::value(&coordinator.status()).to_string()),
    }
}

fn verdict(reasons: &[String]) -> Response<Full<Bytes>> {
    match reasons {
        [] => text(StatusCode::OK, "ok\n".to_owned()),
        reasons => text(StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", reasons.join("\n"))),
    }
}

fn text(code: StatusCode, body: String) -> Response<Full<Bytes>> {
    as_type(code, "text/plain; charset=utf-8", body)
}

fn as_type(code: StatusCode, media_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media_type));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

/// What a running xebec answers.
///
/// # Errors
/// It does not, in time, or refuses.
pub async fn get(address: SocketAddr, path: &str) -> Result<Bytes> {
    let asking = async {
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request =
            Request::get(path).header(header::HOST, address.to_string()).body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        let code = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("read the answer: {error}"))?.to_bytes();
        if !code.is_success() {
            bail!("{code}: {}", crate::output::printable(String::from_utf8_lossy(&body).trim_end()));
        }
        Ok(body)
    };
    timeout(CONNECTION_TIME_MAX, asking).await.context("no answer in time")?
}
