//! A callback of emitted events at work: one event after the other, in the order in which they were emitted.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use crate::entry::{Behaviour, Callback, Entry};
use crate::leadership::Serving;
use crate::runtime::Runtime;
use crate::serve::{panic_message, within};
use crate::view::Tables;
use crate::{Context, Emission, Health, View};

/// Works until the coordinator stops or the callback is removed.
pub(crate) async fn run(runtime: Arc<Runtime>, entry: Arc<Entry>, stop: CancellationToken) {
    let (gauge, cancel) = (Arc::clone(&entry.gauge), entry.cancel.clone());
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = cancel.cancelled() => {}
        () = work(&runtime, entry) => {}
    }
    gauge.update(|reading| {
        reading.busy = false;
        reading.turn_began = None;
        reading.status.active = 0;
        reading.status.health = Health::Stopped;
    });
    runtime.activity.bump();
}

async fn work(runtime: &Arc<Runtime>, mut entry: Arc<Entry>) {
    let behaviour = Arc::clone(&entry.behaviour);
    let Behaviour::Emitted { letters, callback, .. } = &*behaviour else { return };
    let random = runtime.random.fork(&entry.spec.name);
    entry.gauge.update(|reading| reading.status.health = Health::Running);
    loop {
        entry.gauge.update(|reading| reading.busy = true);
        while let Some(event) = letters.pop() {
            let mut failures = 0;
            loop {
                if let Some(successor) = entry.succession.take() {
                    entry = successor;
                }
                if !tell(runtime, &entry, callback, &event).await {
                    break;
                }
                failures += 1;
                let delay = entry.spec.backoff.delay(failures, &random);
                entry.gauge.update(|reading| {
                    reading.status.retries += 1;
                    reading.status.delayed = 1;
                    reading.busy = false;
                });
                runtime.activity.bump();
                runtime.sleep(delay).await;
                entry.gauge.update(|reading| {
                    reading.status.delayed = 0;
                    reading.busy = true;
                });
            }
        }
        entry.gauge.update(|reading| reading.busy = false);
        runtime.activity.bump();
        letters.signal.notified().await;
    }
}

/// Tells an event; whether it is to be told again, because that failed or took too long. An event that makes it panic
/// is not told again: what comes after it would never be.
async fn tell(
    runtime: &Arc<Runtime>,
    entry: &Arc<Entry>,
    callback: &Callback<Emission>,
    event: &Emission,
) -> bool {
    let name = &entry.spec.name;
    let view = View::new(Arc::new(Tables::default()), runtime.clock.now());
    let serving = match &runtime.duty {
        Some(duty) => duty.serve(None, &*runtime.clock).unwrap_or_else(|| Serving::refused(duty)),
        None => Serving::unlimited(),
    };
    let cx = Context::new(Arc::clone(runtime), Arc::clone(entry), None, view, serving.permit.clone());
    let began = runtime.clock.now();
    entry.gauge.update(|reading| {
        reading.turn_began = Some(began);
        reading.status.active = 1;
    });
    let telling = AssertUnwindSafe(async { callback(event.clone(), cx.clone()).await }).catch_unwind();
    let told = within(&runtime.clock, entry.spec.hangs_after, telling).await;
    drop(serving);
    let now = runtime.clock.now();
    entry.gauge.update(|reading| {
        reading.turn_began = None;
        reading.status.active = 0;
        reading.status.served += 1;
        reading.status.writes += cx.take_trace().writes;
        reading.durations.add(now.duration_since(began).try_into().unwrap_or_default());
    });
    let hung = told.is_none();
    let (fault, message) = match told {
        Some(Ok(Ok(_))) => return false,
        Some(Ok(Err(error))) => {
            tracing::warn!(observer = %name, ?event, %error, "failed, trying again");
            entry.gauge.error(now, error.to_string());
            return true;
        }
        Some(Err(panic)) => ("panic", panic_message(&*panic)),
        None => ("hang", format!("took longer than {:?}, and was ended", entry.spec.hangs_after)),
    };
    tracing::error!(observer = %name, ?event, message, "{fault}, going on");
    entry.gauge.error(now, format!("{fault}: {message}"));
    entry.gauge.update(|reading| {
        reading.status.hangs += u64::from(hung);
        reading.status.panics += u64::from(!hung);
    });
    runtime
        .record(
            &runtime.restarted(name, fault, &message),
            entry.spec.component(),
            &Serving::unlimited().permit,
        )
        .await;
    hung
}
