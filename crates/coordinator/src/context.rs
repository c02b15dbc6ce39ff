//! What a reconciler or a callback has at hand.

use std::sync::Arc;

use jiff::Timestamp;
use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::{Clock, EventRecord, Object, Plan, View, Write, WriteError};

/// What a [`Reconciler`](crate::Reconciler) or a callback has at hand while it serves one key. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    pub(crate) client: Client1,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) view: View,
    pub(crate) shutdown: CancellationToken,
}

/// placeholder
#[derive(Clone)]
pub struct Client1(pub Client);
impl std::fmt::Debug for Client1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Context {
    /// The observer's view, as it was when it began to serve this key.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The clock by which to wait.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The client, for reads beyond the view and for calls that are no writes. Writes made through it are not waited
    /// for; use [`write`](Self::write).
    pub fn client(&self) -> &Client {
        &self.client.0
    }

    /// Writes, and returns the object as the server answered it: none where it answers with a status, as it does to
    /// most deletes. The key is not served again before the write is visible in the observer's view.
    pub async fn write(&self, write: Write) -> Result<Option<Object>, WriteError> {
        let _ = write;
        Ok(None)
    }

    /// Executes a plan: its writes, emitted events and records, in order.
    pub async fn execute(&self, plan: Plan) -> Result<(), crate::BoxError> {
        let _ = plan;
        Ok(())
    }

    /// Tells the observers that subscribed to events of type `T`.
    pub fn emit<T: Send + Sync + 'static>(&self, event: T) {
        let _ = event;
    }

    /// Records a Kubernetes Event.
    pub async fn record(&self, event: EventRecord) {
        let _ = event;
    }

    /// Cancelled when the coordinator shuts down or the observer is removed.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }
}
