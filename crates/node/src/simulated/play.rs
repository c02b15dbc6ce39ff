//! Playing a Pod: from the Pod, its scripts and the time, to its next status and when to look again.

use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, ContainerStatus, HostIP, Pod, PodIP, PodSpec, PodStatus};
use xebec_coordinator::{EventRecord, reference_to};

use super::containers::{self, KILLED, Stage, TERMINATED};
use super::machine::stamp;
use super::script::{Role, Script};
use super::{conditions, requirements};

/// What has become of a Pod.
pub(crate) struct Played {
    /// Its status now.
    pub(crate) status: PodStatus,
    /// What happened on the way, for people.
    pub(crate) records: Vec<EventRecord>,
    /// When something happens next by itself.
    pub(crate) next: Option<Timestamp>,
}

/// Where a Pod is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) host: Ipv4Addr,
    /// None if there is no address left: then it waits.
    pub(crate) pod: Option<Ipv4Addr>,
}

/// Plays a Pod that is not being deleted.
pub(crate) fn play(
    pod: &Pod,
    spec: &PodSpec,
    place: Place,
    keys: &requirements::Keys,
    now: Timestamp,
) -> Played {
    let mut status = pod.status.clone().unwrap_or_default();
    let mut stage = Stage { pod, now, keys, next: None, records: Vec::new() };
    status.observed_generation = pod.metadata.generation;
    let sandbox = if status.start_time.is_none() {
        accept(&mut stage, spec, &mut status, place);
        false
    } else {
        run(&mut stage, spec, &mut status, place)
    };
    if !conditions::is_final(&status) {
        status.phase = Some(conditions::phase(spec, &status).to_owned());
    }
    if conditions::is_final(&status) {
        // The sidecars' work is done.
        end_all(&mut status, now, 0);
        stage.next = None;
    }
    conditions::set(pod, spec, &mut status, sandbox, now);
    Played { status, records: stage.records, next: stage.next }
}

/// Ends the containers of a Pod that is being deleted.
pub(crate) fn stop(pod: &Pod, spec: &PodSpec, now: Timestamp) -> Played {
    let mut status = pod.status.clone().unwrap_or_default();
    let keys = |_, _: &str| None;
    let mut stage = Stage { pod, now, keys: &keys, next: None, records: Vec::new() };
    if status.start_time.is_none() || conditions::is_final(&status) {
        return Played { status, records: Vec::new(), next: None };
    }
    for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
        let own = |status: &&ContainerStatus| status.name == container.name;
        let statuses =
            status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
        if statuses.into_iter().find(own).is_some_and(|status| containers::running_since(status).is_some()) {
            stage.record(container, "Killing", format!("Stopping container {}", container.name));
        }
    }
    end_all(&mut status, now, TERMINATED);
    let failed = status.container_statuses.iter().flatten().filter_map(containers::terminated);
    let failed = failed.into_iter().any(|end| end.exit_code != 0);
    status.phase = Some(if failed { "Failed" } else { "Succeeded" }.to_owned());
    status.observed_generation = pod.metadata.generation;
    conditions::set(pod, spec, &mut status, false, now);
    Played { status, records: stage.records, next: None }
}

/// The node takes the Pod on: all containers are being created.
fn accept(stage: &mut Stage, spec: &PodSpec, status: &mut PodStatus, place: Place) {
    status.start_time = Some(stamp(stage.now));
    status.host_ip = Some(place.host.to_string());
    status.host_ips = Some(vec![HostIP { ip: place.host.to_string() }]);
    let inits: Vec<ContainerStatus> = spec
        .init_containers
        .iter()
        .flatten()
        .map(|container| containers::waiting(container, "PodInitializing"))
        .collect();
    let reason = if inits.is_empty() { "ContainerCreating" } else { "PodInitializing" };
    let mains = spec.containers.iter().map(|container| containers::waiting(container, reason)).collect();
    status.init_container_statuses = Some(inits).filter(|inits| !inits.is_empty());
    status.container_statuses = Some(mains);
    for (container, role) in containers_of(spec) {
        if let Err(error) = Script::of(stage.pod, &container.name, role) {
            let note = format!("the script is not followed: {error}");
            stage.records.push(EventRecord::warning(reference_to(stage.pod), "InvalidSimulation", note));
        }
    }
}

/// Goes on with an accepted Pod; whether it has a network and its volumes.
fn run(stage: &mut Stage, spec: &PodSpec, status: &mut PodStatus, place: Place) -> bool {
    if conditions::is_final(status) {
        return false;
    }
    let started = status.start_time.as_ref().map_or(stage.now, |time| time.0);
    if let Some(seconds) = spec.active_deadline_seconds {
        let deadline = started.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
        if deadline <= stage.now {
            end_all(status, deadline, KILLED);
            status.phase = Some("Failed".to_owned());
            status.reason = Some("DeadlineExceeded".to_owned());
            status.message = Some("Pod was active on the node longer than the specified deadline".to_owned());
            return false;
        }
        stage.wake_at(deadline);
    }
    if status.pod_ip.is_none() {
        let problems = requirements::volume_problems(stage.pod, stage.keys);
        if !problems.is_empty() {
            let regarding = reference_to(stage.pod);
            let records = problems.into_iter();
            let records = records.map(|note| EventRecord::warning(regarding.clone(), "FailedMount", note));
            stage.records.extend(records);
            return false;
        }
        let host_network = spec.host_network == Some(true);
        let address = if host_network { Some(place.host) } else { place.pod };
        let Some(address) = address else {
            let note = "Failed to create pod sandbox: no address is left";
            let record = EventRecord::warning(reference_to(stage.pod), "FailedCreatePodSandBox", note);
            stage.records.push(record);
            return false;
        };
        status.pod_ip = Some(address.to_string());
        status.pod_ips = Some(vec![PodIP { ip: address.to_string() }]);
    }
    advance(stage, spec, status);
    true
}

fn advance(stage: &mut Stage, spec: &PodSpec, status: &mut PodStatus) {
    let script = |container: &Container, role| {
        // One that cannot be read was reported when the Pod was accepted.
        Script::of(stage.pod, &container.name, role).unwrap_or_else(|_| Script::by_default(stage.pod, role))
    };
    let scripts: Vec<Script> = containers_of(spec).map(|(container, role)| script(container, role)).collect();
    let mut scripts = scripts.iter();
    let begun = has_begun(status);
    let mut initialized = true;
    let inits =
        spec.init_containers.iter().flatten().zip(status.init_container_statuses.iter_mut().flatten());
    for ((container, status), script) in
        inits.zip(scripts.by_ref().take(spec.init_containers.iter().flatten().count()))
    {
        let role = Role::of_init(container);
        if initialized && !(role == Role::Init && conditions::is_past(status, role)) {
            stage.advance(container, status, script, role);
        }
        initialized &= begun || conditions::is_past(status, role);
        if role == Role::Init {
            status.ready = conditions::is_past(status, role);
        }
    }
    if !initialized {
        return;
    }
    let mains = spec.containers.iter().zip(status.container_statuses.iter_mut().flatten());
    for ((container, status), script) in mains.zip(scripts) {
        stage.advance(container, status, script, Role::Main);
    }
}

/// Whether main containers have been started: then nothing that befalls a sidecar holds them up.
pub(crate) fn has_begun(status: &PodStatus) -> bool {
    status.container_statuses.iter().flatten().any(|status| status.container_id.is_some())
}

fn containers_of(spec: &PodSpec) -> impl Iterator<Item = (&Container, Role)> {
    let inits = spec.init_containers.iter().flatten().map(|container| (container, Role::of_init(container)));
    inits.chain(spec.containers.iter().map(|container| (container, Role::Main)))
}

/// Ends whatever runs; what never ran waits no longer.
fn end_all(status: &mut PodStatus, end: Timestamp, exit_code: i32) {
    let inits = status.init_container_statuses.iter_mut().flatten();
    for container in inits.chain(status.container_statuses.iter_mut().flatten()) {
        if containers::running_since(container).is_some() {
            containers::terminate(container, end, exit_code);
        }
    }
}
