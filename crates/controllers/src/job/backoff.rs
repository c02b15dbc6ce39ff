//! How long a Job waits after failures before it makes new Pods.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use crate::pod;

/// After the first failure.
const FIRST: Duration = Duration::from_secs(10);
/// However many failures there are.
const MAX: Duration = Duration::from_mins(10);

/// When a Pod ended: when its last container did, or when it ceased to be ready, or when its deletion was asked for.
pub(crate) fn finished_at(pod: &Pod) -> Timestamp {
    let created = || pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let found = from_containers(pod).or_else(|| from_condition(pod)).or_else(|| from_deletion(pod));
    found.or_else(created).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn from_containers(pod: &Pod) -> Option<Timestamp> {
    let status = pod.status.as_ref()?;
    let init_containers =
        pod.spec.as_ref().and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
    let is_sidecar = |status: &&ContainerStatus| {
        let containers = init_containers.iter();
        containers.into_iter().any(|c| c.name == status.name && c.restart_policy.as_deref() == Some("Always"))
    };
    let sidecars = status.init_container_statuses.iter().flatten().filter(is_sidecar);
    let mut last = None;
    for container in status.container_statuses.iter().flatten().chain(sidecars) {
        // One that still runs says nothing of when the Pod ended.
        let finished = container.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref()?.0;
        last = last.max(Some(finished));
    }
    last
}

fn from_condition(pod: &Pod) -> Option<Timestamp> {
    let ready = pod::condition(pod, "Ready").filter(|ready| ready.status == "False")?;
    ready.last_transition_time.as_ref().map(|time| time.0)
}

fn from_deletion(pod: &Pod) -> Option<Timestamp> {
    let deadline = pod.metadata.deletion_timestamp.as_ref()?.0;
    let grace = SignedDuration::from_secs(pod.metadata.deletion_grace_period_seconds.unwrap_or_default());
    deadline.checked_sub(grace).ok()
}

/// How long to wait after so many failures in a row, the last of which was then.
pub(crate) fn remaining(failures: i32, last: Timestamp, now: Timestamp) -> Duration {
    if failures <= 0 {
        return Duration::ZERO;
    }
    let doublings = u32::try_from(failures - 1).unwrap_or_default().min(16);
    let delay = (FIRST * (1 << doublings)).min(MAX);
    let elapsed = now.duration_since(last);
    let left = SignedDuration::try_from(delay).unwrap_or_default().saturating_sub(elapsed);
    Duration::try_from(left).unwrap_or_default()
}

/// How long to wait given the Pods that have ended: failures count from the last success on.
pub(crate) fn after_failures<'p>(
    failed: impl Iterator<Item = &'p Pod>,
    succeeded: impl Iterator<Item = &'p Pod>,
    now: Timestamp,
) -> Duration {
    let last_success = succeeded.map(finished_at).max();
    let since: Vec<Timestamp> =
        failed.map(finished_at).filter(|time| last_success.is_none_or(|success| *time > success)).collect();
    let Some(last) = since.iter().max() else { return Duration::ZERO };
    remaining(i32::try_from(since.len()).unwrap_or(i32::MAX), *last, now)
}
