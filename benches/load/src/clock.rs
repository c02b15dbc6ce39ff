//! Real time: the one thing that a benchmark measures, and the one place of its programs that reads it.

use std::time::{Duration, Instant};

/// The time now.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub fn now() -> Instant {
    Instant::now()
}

/// The time that has passed since `start`.
pub fn since(start: Instant) -> Duration {
    now().duration_since(start)
}

/// Waits, between two tries or for a server to settle.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}
