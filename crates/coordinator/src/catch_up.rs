//! The task of a subscriber of edges that fell behind: it reads on over a watch of its own, at the subscriber's pace,
//! until it is where the shared watch is. As nobody reads faster than there is room, the server feels the pressure.

use std::sync::Arc;
use std::time::Duration;

use crate::Backoff;
use crate::feed::{Feed, Progress};
use crate::reading::{Lines, WatchError};
use crate::runtime::Runtime;
use crate::wire::Line;

const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(100), max: Duration::from_secs(30), jitter: 0.5 };

/// Catches up for a subscriber. Ends when it is on the shared watch again, or gone.
pub(crate) async fn run(feed: Arc<Feed>, subscriber: u64, runtime: Arc<Runtime>) {
    let random = runtime.random.fork(&format!("{} behind", feed.source));
    let mut failures = 0;
    while let Some(position) = feed.behind_at(subscriber) {
        tracing::info!(source = %feed.source, position, "catching up");
        match read_on(&feed, subscriber, position, &runtime, &random).await {
            Ok(Progress::CaughtUp) => return,
            Ok(_) => failures = if feed.behind_at(subscriber) == Some(position) { failures + 1 } else { 0 },
            Err(error) if error.is_expired() => {
                tracing::warn!(source = %feed.source, position, "the server has forgotten; skipping a gap");
                feed.skip_gap(subscriber);
                return;
            }
            Err(error) => {
                tracing::warn!(source = %feed.source, %error, failures, "cannot catch up, trying again");
                failures += 1;
            }
        }
        if failures > 0 {
            runtime.sleep(BACKOFF.delay(failures, &random)).await;
        }
    }
}

async fn read_on(
    feed: &Feed,
    subscriber: u64,
    position: u64,
    runtime: &Runtime,
    random: &crate::Random,
) -> Result<Progress, WatchError> {
    let Some(room) = feed.room(subscriber) else { return Ok(Progress::CaughtUp) };
    let mut lines =
        Lines::open(runtime, &feed.source, Some(&position.to_string()), feed.parser(), random).await?;
    while let Some(line) = lines.next().await? {
        if let Line::Error(status) = line {
            return Err(WatchError::Status(status));
        }
        loop {
            match feed.tell_behind(subscriber, &line) {
                Progress::CaughtUp => return Ok(Progress::CaughtUp),
                Progress::Behind => break,
                Progress::Full => room.notified().await,
            }
        }
    }
    Ok(Progress::Behind)
}
