//! A callback of emitted events at work: one event after the other, in the order in which they were emitted.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use crate::bus::Letters;
use crate::entry::{Behaviour, Callback, Entry};
use crate::leadership::Serving;
use crate::runtime::Runtime;
use crate::serve::panic_message;
use crate::view::Tables;
use crate::{Context, Emission, Health, View};

/// Works until the coordinator stops or the callback is removed.
pub(crate) async fn run(runtime: Arc<Runtime>, entry: Arc<Entry>, stop: CancellationToken) {
    let Behaviour::Emitted { letters, callback, .. } = &entry.behaviour else { return };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = entry.cancel.cancelled() => {}
        () = work(&runtime, &entry, letters, callback) => {}
    }
    entry.gauge.update(|reading| {
        reading.busy = false;
        reading.status.health = Health::Stopped;
    });
    runtime.activity.bump();
}

async fn work(runtime: &Arc<Runtime>, entry: &Arc<Entry>, letters: &Letters, callback: &Callback<Emission>) {
    entry.gauge.update(|reading| reading.status.health = Health::Running);
    loop {
        entry.gauge.update(|reading| reading.busy = true);
        while let Some(event) = letters.pop() {
            tell(runtime, entry, callback, &event).await;
        }
        entry.gauge.update(|reading| reading.busy = false);
        runtime.activity.bump();
        letters.signal.notified().await;
    }
}

/// Tells one event until that succeeds, or panics: an event that makes it panic is not told again.
async fn tell(runtime: &Arc<Runtime>, entry: &Arc<Entry>, callback: &Callback<Emission>, event: &Emission) {
    let random = runtime.random.fork(&entry.spec.name);
    let mut failures = 0;
    loop {
        let view = View::new(Arc::new(Tables::default()), runtime.clock.now());
        let serving = match &runtime.duty {
            Some(duty) => duty.serve(None).unwrap_or_else(|| Serving::refused(duty)),
            None => Serving::unlimited(),
        };
        let cx = Context::new(Arc::clone(runtime), Arc::clone(entry), view, serving.permit.clone());
        let told = AssertUnwindSafe(async { callback(event.clone(), cx.clone()).await }).catch_unwind().await;
        drop(serving);
        let now = runtime.clock.now();
        entry.gauge.update(|reading| {
            reading.status.served += 1;
            reading.status.writes += cx.take_trace().writes;
        });
        match told {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => {
                failures += 1;
                let delay = entry.spec.backoff.delay(failures, &random);
                tracing::warn!(observer = %entry.spec.name, ?event, %error, ?delay, "failed, trying again");
                entry.gauge.error(now, error.to_string());
                entry.gauge.update(|reading| {
                    reading.status.retries += 1;
                    reading.busy = false;
                });
                runtime.activity.bump();
                runtime.sleep(delay).await;
                entry.gauge.update(|reading| reading.busy = true);
            }
            Err(panic) => {
                let message = panic_message(&*panic);
                tracing::error!(observer = %entry.spec.name, ?event, message, "panicked, going on");
                entry.gauge.error(now, format!("panic: {message}"));
                entry.gauge.update(|reading| reading.status.panics += 1);
                return;
            }
        }
    }
}
