//! How a coordinator tells how it fares, over plain HTTP: `/metrics`, `/healthz`, `/readyz`, and, to the same machine
//! only, `/status` and `/why`.
//!
//! Bounded against whoever can connect: so many connections, each one request with a small head, no body, and so long.
//! These bounds are of real time, whatever the coordinator's clock shows: who connects is not simulated.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::Coordinator;

/// How many connections there are at once; one more ends the oldest, so that silent ones keep out no probe.
const CONNECTIONS_MAX: usize = 64;
/// How large the head of a request is at most.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// How long a head may take, and a connection as a whole.
const HEAD_TIME_MAX: Duration = Duration::from_secs(5);
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(10);
/// How long to wait where a connection cannot be accepted, for want of files.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// A port on which a coordinator tells how it fares; listened on, not served yet.
///
/// - `/metrics`: [`Coordinator::metrics`], as Prometheus reads it;
/// - `/healthz`: 200, or 503 and [why the process should be restarted](crate::Status::unhealthy);
/// - `/readyz`: 200, or 503 and [why not all observers are at work](crate::Status::unready);
/// - `/status`: [`Coordinator::status`] as [JSON](crate::Status::to_value), only to the same machine or pod;
/// - `/why?observer=NAME&object=KIND/NAMESPACE/NAME`: [`Coordinator::why`] of a key as [JSON](crate::Why::to_value), only to
///   the same machine or pod.
#[derive(Debug)]
pub struct Monitoring {
    listener: TcpListener,
    address: SocketAddr,
}

impl Monitoring {
    /// Listens on an address; port 0 takes a free one.
    ///
    /// # Errors
    /// The address is taken, or not one of this machine.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The address that is listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`, in a task of its own.
    pub fn serve(self, coordinator: &Coordinator, shutdown: &CancellationToken) {
        let (coordinator, shutdown) = (coordinator.clone(), shutdown.clone());
        tokio::spawn(async move { shutdown.run_until_cancelled(accept(self.listener, coordinator)).await });
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
        let answer = answer(request.method(), request.uri(), is_local, &coordinator);
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

fn answer(method: &Method, uri: &Uri, is_local: bool, coordinator: &Coordinator) -> Response<Full<Bytes>> {
    let path = uri.path();
    if !["/metrics", "/healthz", "/readyz", "/status", "/why"].contains(&path) {
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
        "/status" => as_type(StatusCode::OK, "application/json", coordinator.status().to_value().to_string()),
        _ => match why(uri.query().unwrap_or_default(), coordinator) {
            Ok(why) => as_type(StatusCode::OK, "application/json", why),
            Err((code, reason)) => text(code, format!("{reason}\n")),
        },
    }
}

/// All there is to say about the key that a query names.
fn why(query: &str, coordinator: &Coordinator) -> Result<String, (StatusCode, String)> {
    let (mut observer, mut object) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "observer" => observer = Some(value),
            "object" => object = Some(value),
            _ => {}
        }
    }
    let (Some(observer), Some(object)) = (observer, object) else {
        let reason = "ask for /why?observer=NAME&object=KIND/NAMESPACE/NAME";
        return Err((StatusCode::BAD_REQUEST, reason.to_owned()));
    };
    let spec = coordinator.specs().into_iter().find(|spec| spec.name == observer);
    let spec =
        spec.ok_or_else(|| (StatusCode::NOT_FOUND, format!("no observer named {observer} runs here")))?;
    let key = spec.key(&object).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    let panicked = |_| (StatusCode::INTERNAL_SERVER_ERROR, format!("{observer} panics planning for {key}"));
    let why = catch_unwind(AssertUnwindSafe(|| coordinator.why(&observer, &key))).map_err(panicked)?;
    let why = why.map_err(|error| (StatusCode::NOT_FOUND, error.to_string()))?;
    Ok(why.to_value().to_string())
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
