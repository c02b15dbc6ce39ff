//! When this process started, for the one figure that it tells of itself.

#![allow(
    clippy::disallowed_methods,
    reason = "how long the start took is the machine's time, not a cluster's"
)]

use std::{sync::OnceLock, time::Instant};

static STARTED: OnceLock<Instant> = OnceLock::new();

/// Notes the time; to be called first.
pub fn now() {
    STARTED.get_or_init(Instant::now);
}

/// How many milliseconds have passed since.
pub fn elapsed_ms() -> u128 {
    STARTED.get_or_init(Instant::now).elapsed().as_millis()
}
