//! What all tasks of a coordinator share.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;

use crate::activity::Activity;
use crate::bus::Bus;
use crate::feeds::Feeds;
use crate::leadership::{Choice, Duty};
use crate::probe::Probe;
use crate::recorder::Recorder;
use crate::{Clock, Random};

/// The client, time, chance, and what observers share without knowing each other.
pub(crate) struct Runtime {
    pub(crate) client: Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Random,
    pub(crate) activity: Arc<Activity>,
    pub(crate) feeds: Arc<Feeds>,
    pub(crate) bus: Bus,
    pub(crate) recorder: Recorder,
    /// What Kubernetes Events about observers themselves are about.
    pub(crate) regarding: ObjectReference,
    /// Whether it is one of several replicas, and what it may do then; none if it is alone.
    pub(crate) leadership: Option<Choice>,
    pub(crate) duty: Option<Arc<Duty>>,
    pub(crate) probe: Probe,
}

/// How long the answer of a write may take.
pub(crate) const ANSWER_MAX: Duration = Duration::from_mins(1);

/// An answer did not come in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} seconds", .0.as_secs())]
pub(crate) struct NoAnswer(Duration);

impl Runtime {
    /// What the server answers, if it does within `limit`: one that never answers must not be waited for.
    pub(crate) async fn in_time<T>(
        &self,
        limit: Duration,
        answer: impl Future<Output = T>,
    ) -> Result<T, NoAnswer> {
        tokio::select! {
            biased; // no chance: a simulation can be repeated
            answer = answer => Ok(answer),
            () = self.sleep(limit) => Err(NoAnswer(limit)),
        }
    }

    /// Completes after `duration`; a future that may be long is not kept in the caller's.
    pub(crate) async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }
}
