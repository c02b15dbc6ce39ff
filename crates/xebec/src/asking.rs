//! Asking a running xebec how it fares: the client's side of the port that it tells it on.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

/// How long an answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// How large it may be.
const ANSWER_BYTES_MAX: usize = 16 << 20;

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
    timeout(ANSWER_TIME_MAX, asking).await.context("no answer in time")?
}
