//! The task that drives an election or a membership: makes its requests, and has what it says obeyed.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::duty::Duty;
use super::machine::{Machine, Todo};
use super::moment::Moment;
use super::requests::{self, Failure, Outcome, Request};
use crate::runtime::Runtime;

/// Leadership while the coordinator runs. Dropped, it ends without handing over.
pub(crate) struct Driver {
    running: Option<(Arc<Duty>, JoinSet<()>)>,
    end: CancellationToken,
    runtime: Arc<Runtime>,
}

impl Driver {
    /// Starts, where there is leadership at all.
    pub(crate) fn start(runtime: &Arc<Runtime>) -> Self {
        let end = CancellationToken::new();
        let parts = runtime.duty.as_ref().zip(runtime.leadership.as_ref());
        let running = parts.map(|(duty, choice)| {
            duty.begin_run(Moment::now(&*runtime.clock));
            let machine = choice.machine(runtime.recorder.instance(), &runtime.random);
            let (driven, duty) = (Arc::clone(runtime), Arc::clone(duty));
            let (obeyed, end) = (Arc::clone(&duty), end.clone());
            let mut task = JoinSet::new();
            task.spawn(async move { drive(&driven, &obeyed, machine, end).await });
            (duty, task)
        });
        Self { running, end, runtime: Arc::clone(runtime) }
    }

    /// Lets nothing new begin, and completes when the work in flight has ended, be it by force.
    pub(crate) async fn retire(&self) {
        let Some((duty, _)) = &self.running else { return };
        duty.retire();
        let grace = self.runtime.clock.sleep(duty.times.grace());
        tokio::select! {
            biased;
            () = duty.idle() => {}
            () = grace => tracing::warn!("work in flight has not ended in time, and is dropped"),
        }
    }

    /// Hands over and ends. To be called when all work has ended.
    pub(crate) async fn end(mut self) {
        self.end.cancel();
        if let Some((_, tasks)) = &mut self.running {
            while let Some(end) = tasks.join_next().await {
                if let Err(error) = end {
                    tracing::error!(%error, "the task of leadership is gone");
                }
            }
        }
    }
}

async fn drive(runtime: &Runtime, duty: &Arc<Duty>, mut machine: Machine, end: CancellationToken) {
    let clock = &*runtime.clock;
    let obey = |machine: &mut Machine, now: Moment| {
        machine.tick(now);
        log_changes(&duty.status(), machine);
        if duty.obey(now, machine.assignment(), machine.fence()) {
            runtime.probe.tell(|watcher| watcher.assigned(duty));
        }
    };
    loop {
        let now = Moment::now(clock);
        obey(&mut machine, now);
        let todo = machine.poll(now, duty.is_drained(now));
        let todo = match todo {
            Todo::Wait(until) => {
                Todo::Wait(duty.next_due().filter(|due| *due > now.wall).map_or(until, |due| due.min(until)))
            }
            request @ Todo::Send(_) => request,
        };
        duty.report(machine.status(), if let Todo::Wait(until) = todo { Some(until) } else { None });
        runtime.activity.bump();
        match todo {
            Todo::Send(request) => {
                let sent = Moment::now(clock);
                let limit = duty.times.answer();
                let outcome = tokio::select! {
                    biased;
                    outcome = ask(runtime, &request, limit) => outcome,
                    () = lapse(runtime, &machine) => Err(Failure::Unknown("no answer before the lease ran out".to_owned())),
                };
                if let Err(failure) = &outcome {
                    tracing::debug!(lease = machine.status().lease, %failure, "a request about a lease failed");
                }
                machine.answer(&request, sent, Moment::now(clock), outcome);
            }
            Todo::Wait(until) => {
                tokio::select! {
                    biased;
                    () = end.cancelled() => break,
                    () = duty.ended.notified() => {}
                    () = clock.sleep_until(until) => {}
                }
            }
        }
    }
    let now = Moment::now(clock);
    obey(&mut machine, now);
    if duty.is_drained(now)
        && let Some(request) = machine.release(now)
    {
        // First that nobody of ours writes any more, then that others may.
        obey(&mut machine, now);
        match ask(runtime, &request, duty.times.answer()).await {
            Ok(_) => tracing::info!(lease = machine.status().lease, "handed over"),
            Err(failure) => tracing::warn!(lease = machine.status().lease, %failure, "cannot hand over"),
        }
    }
    obey(&mut machine, now);
    duty.report(machine.status(), Some(Timestamp::MAX));
    runtime.activity.bump();
}

async fn ask(runtime: &Runtime, request: &Request, limit: Duration) -> Outcome {
    tokio::select! {
        biased;
        outcome = requests::execute(&runtime.client, request) => outcome,
        () = runtime.sleep(limit) => Err(Failure::Unknown(format!("no answer within {limit:?}"))),
    }
}

/// Completes when the term is over; never, if there is none.
async fn lapse(runtime: &Runtime, machine: &Machine) {
    match machine.fence() {
        Some(fence) => runtime.clock.sleep_until(fence.sent.after(fence.lasts)).await,
        None => std::future::pending().await,
    }
}

fn log_changes(before: &super::LeadershipStatus, machine: &Machine) {
    let now = machine.status();
    match (before.is_serving(), now.is_serving()) {
        (false, true) => tracing::info!(lease = now.lease, identity = now.identity, "serving"),
        (true, false) => tracing::warn!(lease = now.lease, identity = now.identity, "serving no more"),
        _ => {}
    }
}
