//! What all tasks of a coordinator share.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;

use crate::activity::Activity;
use crate::bus::Bus;
use crate::feeds::Feeds;
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
    pub(crate) probe: Probe,
}

impl Runtime {
    /// Completes after `duration`; a future that may be long is not kept in the caller's.
    pub(crate) async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }
}
