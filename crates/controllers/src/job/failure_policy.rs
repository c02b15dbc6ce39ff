//! What a Job's `podFailurePolicy` says of a failed Pod.

use k8s_openapi::api::batch::v1::{
    PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern,
};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition};

/// What becomes of a failed Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It counts, as any failed Pod does.
    Count,
    /// It does not count.
    Ignore,
    /// Its index has failed for good.
    FailIndex,
    /// The Job has failed, for this reason.
    FailJob(String),
}

/// The verdict of the first rule that matches a failed Pod.
pub(crate) fn judge(policy: Option<&PodFailurePolicy>, pod: &Pod) -> Verdict {
    let rules = policy.map(|policy| policy.rules.as_slice()).unwrap_or_default();
    for (index, rule) in rules.iter().enumerate() {
        let pod_name = || {
            [&pod.metadata.namespace, &pod.metadata.name]
                .map(|part| part.clone().unwrap_or_default())
                .join("/")
        };
        let why = if let Some(requirement) = &rule.on_exit_codes {
            container_of(pod, requirement).map(|(container, exit_code)| {
                let (name, pod) = (&container.name, pod_name());
                format!(
                    "Container {name} for pod {pod} failed with exit code {exit_code} matching {} rule at index {index}",
                    rule.action
                )
            })
        } else if let Some(patterns) = &rule.on_pod_conditions {
            condition_of(pod, patterns).map(|condition| {
                let (type_, pod) = (&condition.type_, pod_name());
                format!("Pod {pod} has condition {type_} matching {} rule at index {index}", rule.action)
            })
        } else {
            None
        };
        match (why, rule.action.as_str()) {
            (Some(why), "FailJob") => return Verdict::FailJob(why),
            (Some(_), "FailIndex") => return Verdict::FailIndex,
            (Some(_), "Ignore") => return Verdict::Ignore,
            (Some(_), "Count") => return Verdict::Count,
            _ => {}
        }
    }
    Verdict::Count
}

/// The first container that ended with an exit code that the rule is about.
fn container_of<'p>(
    pod: &'p Pod,
    requirement: &PodFailurePolicyOnExitCodesRequirement,
) -> Option<(&'p ContainerStatus, i32)> {
    let status = pod.status.as_ref()?;
    let main = status.container_statuses.iter().flatten();
    let mut containers = main.chain(status.init_container_statuses.iter().flatten());
    containers.find_map(|container| {
        let exit_code = container.state.as_ref()?.terminated.as_ref()?.exit_code;
        let named = requirement.container_name.as_ref().is_none_or(|name| *name == container.name);
        let listed = requirement.values.contains(&exit_code);
        let matches = match requirement.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            _ => false,
        };
        (named && exit_code != 0 && matches).then_some((container, exit_code))
    })
}

fn condition_of<'p>(
    pod: &'p Pod,
    patterns: &[PodFailurePolicyOnPodConditionsPattern],
) -> Option<&'p PodCondition> {
    let mut conditions = pod.status.as_ref()?.conditions.iter().flatten();
    conditions.find(|condition| {
        patterns.iter().any(|pattern| {
            pattern.type_ == condition.type_
                && pattern.status.as_deref().unwrap_or("True") == condition.status
        })
    })
}
