//! One container of a simulated Pod: from what its status says and its script, to its status now.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, ObjectReference, Pod,
};
use xebec_coordinator::{EventRecord, reference_to};

use super::machine::stamp;
use super::script::{Role, Script};
use super::{identity, requirements};

/// How long a container that keeps ending waits for its next start: doubled from start to start.
const RESTART_FIRST: SignedDuration = SignedDuration::from_secs(10);
const RESTART_MAX: SignedDuration = SignedDuration::from_mins(5);
/// What a container ends with that was asked to by SIGTERM, or killed by SIGKILL.
pub(crate) const TERMINATED: i32 = 128 + 15;
pub(crate) const KILLED: i32 = 128 + 9;

/// A Pod at one moment, its containers being advanced to it.
pub(crate) struct Stage<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) now: Timestamp,
    pub(crate) keys: &'a requirements::Keys<'a>,
    /// When something happens next by itself.
    pub(crate) next: Option<Timestamp>,
    pub(crate) records: Vec<EventRecord>,
}

/// The status of a container that has never run.
pub(crate) fn waiting(container: &Container, reason: &str) -> ContainerStatus {
    ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        started: Some(false),
        state: Some(wait_for(reason, None)),
        last_state: Some(ContainerState::default()),
        ..ContainerStatus::default()
    }
}

fn wait_for(reason: &str, message: Option<String>) -> ContainerState {
    let waiting = ContainerStateWaiting { reason: Some(reason.to_owned()), message };
    ContainerState { waiting: Some(waiting), ..ContainerState::default() }
}

/// How a container ended, if it has.
pub(crate) fn terminated(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    status.state.as_ref()?.terminated.as_ref()
}

/// Since when a container runs, if it does.
pub(crate) fn running_since(status: &ContainerStatus) -> Option<Timestamp> {
    Some(
        status
            .state
            .as_ref()?
            .running
            .as_ref()?
            .started_at
            .as_ref()
            .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
    )
}

impl Stage<'_> {
    /// Brings a container to where its script has it by now: starts it if it waits for nothing, ends it if its time
    /// has come, starts it again if it is to be.
    pub(crate) fn advance(
        &mut self,
        container: &Container,
        status: &mut ContainerStatus,
        script: &Script,
        role: Role,
    ) {
        // A container starts at most twice at one moment: only its first restart is at once.
        loop {
            if let Some(since) = running_since(status) {
                if !self.run(status, script, role, since) {
                    return;
                }
            } else if let Some(end) = terminated(status) {
                let (exit_code, ended) =
                    (end.exit_code, end.finished_at.as_ref().map_or(self.now, |time| time.0));
                if !self.restarts(role, exit_code) {
                    return;
                }
                let delay = restart_delay(status.restart_count);
                status.last_state = status.state.take();
                status.state = Some(wait_for("CrashLoopBackOff", Some(self.back_off(container, delay))));
                if self.waits_until(ended, delay) {
                    self.warn(container, "BackOff", self.back_off(container, delay));
                    return;
                }
            } else {
                let ended = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
                let ended = ended.map(|end| end.finished_at.as_ref().map_or(self.now, |time| time.0));
                if let Some(ended) = ended
                    && self.waits_until(ended, restart_delay(status.restart_count))
                {
                    return;
                }
                if !self.start(container, status, ended.is_some()) {
                    return;
                }
            }
        }
    }

    /// A running container becomes ready, or ends; whether it has ended.
    fn run(&mut self, status: &mut ContainerStatus, script: &Script, role: Role, since: Timestamp) -> bool {
        let end = script.run_for.map(|run_for| after(since, run_for));
        if let Some(end) = end.filter(|end| *end <= self.now) {
            terminate(status, end, script.exit_code);
            return true;
        }
        let ready = role != Role::Init && !self.is_later(after(since, script.ready_after));
        status.ready = ready;
        status.started = Some(role == Role::Init || ready || !self.has_startup_probe(&status.name));
        if let Some(end) = end {
            self.wake_at(end);
        }
        false
    }

    /// Starts a container; whether it could be.
    fn start(&mut self, container: &Container, status: &mut ContainerStatus, again: bool) -> bool {
        let image = container.image.as_deref().unwrap_or_default();
        let pulled =
            format!("Container image \"{image}\" already present on machine and can be accessed by the pod");
        if let Some(problem) = requirements::environment_problem(self.pod, container, self.keys) {
            let state = wait_for("CreateContainerConfigError", Some(problem.clone()));
            if status.state.as_ref() != Some(&state) {
                self.record(container, "Pulled", pulled);
                self.warn(container, "Failed", format!("Error: {problem}"));
                status.state = Some(state);
            }
            return false;
        }
        if again {
            status.restart_count = status.restart_count.saturating_add(1);
        }
        let uid = self.pod.metadata.uid.as_deref().unwrap_or_default();
        let id = identity::digest(&[uid, &container.name, &status.restart_count.to_string()]);
        status.container_id = Some(format!("containerd://{id}"));
        status.image = identity::image_reference(image);
        status.image_id = identity::image_id(image);
        status.resources.clone_from(&container.resources);
        status.allocated_resources =
            container.resources.as_ref().and_then(|resources| resources.requests.clone());
        let running = ContainerStateRunning { started_at: Some(stamp(self.now)) };
        status.state = Some(ContainerState { running: Some(running), ..ContainerState::default() });
        self.record(container, "Pulled", pulled);
        self.record(container, "Created", "Container created".to_owned());
        self.record(container, "Started", "Container started".to_owned());
        true
    }

    fn restarts(&self, role: Role, exit_code: i32) -> bool {
        let policy =
            self.pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()).unwrap_or("Always");
        match (role, policy) {
            (Role::Sidecar, _) | (Role::Main, "Always") => true,
            (_, "Never") => false,
            (Role::Init | Role::Main, _) => exit_code != 0,
        }
    }

    fn has_startup_probe(&self, name: &str) -> bool {
        let spec = self.pod.spec.iter();
        let mut containers =
            spec.flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
        containers.any(|container| container.name == name && container.startup_probe.is_some())
    }

    /// Whether a container that ended then is not to be started yet.
    fn waits_until(&mut self, ended: Timestamp, delay: SignedDuration) -> bool {
        let due = ended.checked_add(delay).unwrap_or(Timestamp::MAX);
        self.is_later(due)
    }

    /// Whether this time has not come; then something is to happen when it does.
    fn is_later(&mut self, time: Timestamp) -> bool {
        if time > self.now {
            self.wake_at(time);
        }
        time > self.now
    }

    pub(crate) fn wake_at(&mut self, time: Timestamp) {
        self.next = Some(self.next.map_or(time, |next| next.min(time)));
    }

    fn back_off(&self, container: &Container, delay: SignedDuration) -> String {
        let metadata = &self.pod.metadata;
        format!(
            "back-off {} restarting failed container={} pod={}_{}({})",
            seconds(delay),
            container.name,
            metadata.name.as_deref().unwrap_or_default(),
            metadata.namespace.as_deref().unwrap_or_default(),
            metadata.uid.as_deref().unwrap_or_default(),
        )
    }

    pub(crate) fn record(&mut self, container: &Container, reason: &str, note: String) {
        self.records.push(EventRecord::normal(self.reference(container), reason, note));
    }

    fn warn(&mut self, container: &Container, reason: &str, note: String) {
        self.records.push(EventRecord::warning(self.reference(container), reason, note));
    }

    /// How Events name a container.
    fn reference(&self, container: &Container) -> ObjectReference {
        let is_init = self.pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
        let field = if is_init.into_iter().any(|init| init.name == container.name) {
            "initContainers"
        } else {
            "containers"
        };
        ObjectReference {
            field_path: Some(format!("spec.{field}{{{}}}", container.name)),
            ..reference_to(self.pod)
        }
    }
}

/// Ends a container; one that never ran ends, too.
pub(crate) fn terminate(status: &mut ContainerStatus, end: Timestamp, exit_code: i32) {
    let started_at = status.state.as_ref().and_then(|state| state.running.as_ref()?.started_at.clone());
    let reason = if exit_code == 0 { "Completed" } else { "Error" };
    let terminated = ContainerStateTerminated {
        container_id: status.container_id.clone(),
        exit_code,
        finished_at: Some(stamp(end)),
        reason: Some(reason.to_owned()),
        started_at,
        ..ContainerStateTerminated::default()
    };
    status.state = Some(ContainerState { terminated: Some(terminated), ..ContainerState::default() });
    status.ready = false;
    status.started = Some(false);
}

/// From the end of a container that has been restarted so often until its next start.
fn restart_delay(restarts: i32) -> SignedDuration {
    if restarts <= 0 {
        return SignedDuration::ZERO;
    }
    // Past the sixth the longest wait is reached.
    RESTART_FIRST.saturating_mul(1 << (restarts - 1).min(6)).min(RESTART_MAX)
}

fn after(start: Timestamp, duration: Duration) -> Timestamp {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    start.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// A duration as Go writes it: `40s`, `1m20s`.
fn seconds(duration: SignedDuration) -> String {
    match (duration.as_secs() / 60, duration.as_secs() % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}
