//! One write, many watches: how long until the last of them has it.
//!
//! The watches are streams of a few HTTP/2 connections, as client-go's are: a thousand connections would measure
//! a thousand handshakes, and the memory of their buffers.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use futures::stream::{FuturesUnordered, TryStreamExt};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::mpsc;
use xebec_bench_load::{clock, connection::Connection, load::Samples, target::Target};

/// Watches a connection: kube-apiserver allows 250 at least.
pub const WATCHES_PER_CONNECTION: usize = 125;
/// How long one write may take to be everywhere.
const ARRIVAL_MAX: Duration = Duration::from_secs(30);

/// What the watches saw.
#[derive(Debug)]
pub struct FanOut {
    /// A write's time until the last watch had it, a write.
    pub last: Samples,
    /// A write's time until a watch had it, a write and watch.
    pub each: Samples,
}

/// Opens `watches` at `watch_path`, then makes each of `writes` and waits for every watch to have it.
///
/// # Errors
/// Where a watch ends, the server does not speak HTTP/2, or a write is not everywhere in time.
pub async fn measure(
    target: &Target,
    watch_path: &str,
    watches: usize,
    writes: impl Iterator<Item = Vec<u8>>,
) -> Result<FanOut> {
    let (arrived, mut arrivals) = mpsc::channel::<Instant>(watches.max(1));
    let mut opened = 0;
    let mut readers = tokio::task::JoinSet::new();
    while opened < watches {
        let here = WATCHES_PER_CONNECTION.min(watches - opened);
        for body in open(target, watch_path, here).await? {
            readers.spawn(read(body, arrived.clone()));
        }
        opened += here;
    }
    drop(arrived);

    let mut writer = Connection::open(target).await?;
    let mut last = Vec::new();
    let mut each = Vec::new();
    for write in writes {
        let start = clock::now();
        let everywhere = async {
            let mut latest = Duration::ZERO;
            for _ in 0..watches {
                let arrival = arrivals.recv().await.context("a watch has ended")?;
                let after = arrival.duration_since(start);
                each.push(after);
                latest = latest.max(after);
            }
            Ok(latest)
        };
        let everywhere = async {
            tokio::time::timeout(ARRIVAL_MAX, everywhere)
                .await
                .map_err(|_| anyhow!("a write was not at every watch in {ARRIVAL_MAX:?}"))?
        };
        let written = async {
            match writer.exchange(&write).await? {
                200 | 201 => Ok(()),
                status => bail!("the write was answered {status}"),
            }
        };
        let (latest, ()) = futures::try_join!(everywhere, written)?;
        last.push(latest);
    }
    Ok(FanOut { last: Samples::of(last), each: Samples::of(each) })
}

/// Opens `count` watches on a connection of their own, each answered with 200.
async fn open(target: &Target, path: &str, count: usize) -> Result<Vec<Incoming>> {
    let stream = TokioIo::new(target.connect_h2().await?);
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .adaptive_window(true)
        .handshake::<_, Empty<Bytes>>(stream)
        .await
        .context("greet by HTTP/2")?;
    // Where it breaks its watches end, and that is said.
    tokio::spawn(async move { connection.await.ok() });
    let opening: FuturesUnordered<_> = (0..count)
        .map(|_| {
            let mut sender = sender.clone();
            async move {
                let mut request = http::Request::get(target.url(path)).header("accept", "application/json");
                if let Some(authorization) = target.authorization() {
                    request = request.header("authorization", authorization);
                }
                sender.ready().await?;
                let answer =
                    sender.send_request(request.body(Empty::new())?).await.context("open a watch")?;
                match answer.status().as_u16() {
                    200 => Ok(answer.into_body()),
                    status => bail!("a watch was answered {status}"),
                }
            }
        })
        .collect();
    opening.try_collect().await
}

/// Says of each event when it was there; ends with the watch.
async fn read(mut body: Incoming, arrived: mpsc::Sender<Instant>) {
    while let Some(Ok(frame)) = body.frame().await {
        let now = clock::now();
        // Every event ends its line.
        let events = frame.data_ref().map_or(0, |data| data.split(|byte| *byte == b'\n').count() - 1);
        for _ in 0..events {
            if arrived.send(now).await.is_err() {
                return;
            }
        }
    }
}
