//! A Pod's phase and conditions, from the states of its containers.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition, PodSpec, PodStatus};

use super::containers::terminated;
use super::machine::stamp;
use super::play::has_begun;
use super::script::Role;

/// Whether an init container has done what the next ones wait for.
pub(crate) fn is_past(status: &ContainerStatus, role: Role) -> bool {
    match role {
        Role::Sidecar => status.started == Some(true),
        Role::Init | Role::Main => terminated(status).is_some_and(|end| end.exit_code == 0),
    }
}

/// Whether the Pod has ended and stays so.
pub(crate) fn is_final(status: &PodStatus) -> bool {
    matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"))
}

/// The phase that follows from the states of the containers.
pub(crate) fn phase(spec: &PodSpec, status: &PodStatus) -> &'static str {
    let policy = spec.restart_policy.as_deref().unwrap_or("Always");
    let inits = spec.init_containers.iter().flatten().zip(status.init_container_statuses.iter().flatten());
    for (container, status) in inits {
        let role = Role::of_init(container);
        if role == Role::Init && policy == "Never" && terminated(status).is_some_and(|end| end.exit_code != 0)
        {
            return "Failed";
        }
        if !is_past(status, role) && role == Role::Init {
            return "Pending";
        }
    }
    let mains = || status.container_statuses.iter().flatten();
    let has_run =
        |status: &ContainerStatus| status.last_state.as_ref().is_some_and(|state| state.terminated.is_some());
    let is_waiting = |status: &ContainerStatus| {
        status.state.as_ref().is_none_or(|state| state.running.is_none() && state.terminated.is_none())
    };
    if mains().any(|status| is_waiting(status) && !has_run(status)) {
        return "Pending";
    }
    let ended = mains().filter_map(terminated);
    let failed = ended.clone().any(|end| end.exit_code != 0);
    if ended.count() < mains().count() {
        return "Running";
    }
    match policy {
        "Never" if failed => "Failed",
        "OnFailure" if failed => "Running",
        "Never" | "OnFailure" => "Succeeded",
        _ => "Running",
    }
}

/// Sets phase-dependent conditions: those of the kubelet, in its order and words.
pub(crate) fn set(pod: &Pod, spec: &PodSpec, status: &mut PodStatus, sandbox: bool, now: Timestamp) {
    let ended = match status.phase.as_deref() {
        Some("Succeeded") => Some("PodCompleted"),
        Some("Failed") => Some("PodFailed"),
        _ => None,
    };
    let begun = has_begun(status);
    let unready = |role: fn(&ContainerStatus, Role) -> bool| -> Vec<&str> {
        let inits =
            spec.init_containers.iter().flatten().zip(status.init_container_statuses.iter().flatten());
        let inits = inits.map(|(container, status)| (status, Role::of_init(container)));
        let mains = status.container_statuses.iter().flatten().map(|status| (status, Role::Main));
        inits.chain(mains).filter(|(status, of)| role(status, *of)).map(|(status, _)| &*status.name).collect()
    };
    let incomplete = unready(|status, role| role != Role::Main && !is_past(status, role));
    let incomplete = if begun { Vec::new() } else { incomplete };
    let not_ready = unready(|status, role| role != Role::Init && !status.ready);
    let listed = |names: &[&str]| format!("[{}]", names.join(" "));

    let initialized = match ended {
        Some(reason) if incomplete.is_empty() => {
            (true, Some(reason).filter(|reason| *reason == "PodCompleted"), None)
        }
        _ if incomplete.is_empty() => (true, None, None),
        _ => (
            false,
            Some("ContainersNotInitialized"),
            Some(format!("containers with incomplete status: {}", listed(&incomplete))),
        ),
    };
    let containers_ready = match ended {
        Some(reason) => (false, Some(reason), None),
        None if not_ready.is_empty() => (true, None, None),
        None => (
            false,
            Some("ContainersNotReady"),
            Some(format!("containers with unready status: {}", listed(&not_ready))),
        ),
    };
    let gates = spec.readiness_gates.iter().flatten();
    let shut: Vec<String> = gates
        .filter_map(|gate| {
            let gate = &gate.condition_type;
            match status.conditions.iter().flatten().find(|condition| condition.type_ == *gate) {
                Some(condition) if condition.status == "True" => None,
                Some(condition) => Some(format!(
                    "the status of pod readiness gate \"{gate}\" is not \"True\", but {}",
                    condition.status
                )),
                None => {
                    Some(format!("corresponding condition of pod readiness gate \"{gate}\" does not exist."))
                }
            }
        })
        .collect();
    let ready = if containers_ready.0 && !shut.is_empty() {
        (false, Some("ReadinessGatesNotReady"), Some(shut.join(", ")))
    } else {
        containers_ready.clone()
    };
    let generation = pod.metadata.generation;
    let mut set = |type_: &str, (is, reason, message): (bool, Option<&str>, Option<String>)| {
        let conditions = status.conditions.get_or_insert_default();
        let value = if is { "True" } else { "False" };
        let position = conditions.iter().position(|condition| condition.type_ == type_);
        let since = position
            .map(|at| &conditions[at])
            .filter(|condition| condition.status == value)
            .and_then(|condition| condition.last_transition_time.clone());
        let condition = PodCondition {
            type_: type_.to_owned(),
            status: value.to_owned(),
            reason: reason.map(str::to_owned),
            message,
            last_transition_time: since.or_else(|| Some(stamp(now))),
            observed_generation: generation,
            ..PodCondition::default()
        };
        match position {
            Some(at) => conditions[at] = condition,
            None => conditions.push(condition),
        }
    };
    set("PodReadyToStartContainers", (sandbox && ended.is_none(), None, None));
    set("Initialized", initialized);
    set("Ready", ready);
    set("ContainersReady", containers_ready);
    set("PodScheduled", (true, None, None));
}
