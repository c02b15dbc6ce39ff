//! Times as objects carry them: whole seconds.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// A time as objects carry it.
pub(crate) fn stamp(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

/// How long from `now` until `seconds` after `start`, zero if that is past.
pub(crate) fn remaining(start: Timestamp, seconds: i64, now: Timestamp) -> Duration {
    let elapsed = now.duration_since(start);
    Duration::try_from(SignedDuration::from_secs(seconds).saturating_sub(elapsed)).unwrap_or_default()
}
