//! What a simulated container does, as data: an annotation of its Pod.

use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Container, Pod};
use serde::{Deserialize, Deserializer, de};

/// What the annotation of a container's script begins with; the container's name follows.
pub const ANNOTATION_PREFIX: &str = "simulation.xebec.dev/";
/// How long containers of Jobs run, and others of which only the exit code is given.
const RUN_FOR: Duration = Duration::from_secs(1);

/// What a simulated container does.
///
/// ```yaml
/// metadata:
///   annotations:
///     simulation.xebec.dev/main: "{readyAfter: 2s, runFor: 1m30s, exitCode: 1}"
/// ```
///
/// Without an annotation the containers of a Job's Pods end well after a second, init containers at once, and all
/// others are ready at once and never end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// From its start until it is ready.
    pub ready_after: Duration,
    /// From its start until it ends by itself; it never does if none.
    pub run_for: Option<Duration>,
    /// What it ends with.
    pub exit_code: i32,
}

/// A script that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("annotation {annotation}: {source}")]
pub struct ScriptError {
    /// The annotation's name.
    pub annotation: String,
    /// What is wrong with it.
    #[source]
    pub source: Box<serde_saphyr::Error>,
}

/// A script as written: what it leaves out is by default.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Written {
    #[serde(deserialize_with = "duration")]
    ready_after: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    run_for: Option<Duration>,
    exit_code: Option<i32>,
}

/// The place of a container in its Pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs to its end before the main containers start.
    Init,
    /// An init container that goes on beside the main containers.
    Sidecar,
    Main,
}

impl Role {
    pub(crate) fn of_init(container: &Container) -> Self {
        if container.restart_policy.as_deref() == Some("Always") { Self::Sidecar } else { Self::Init }
    }
}

impl Script {
    /// The script of a Pod's container.
    pub(crate) fn of(pod: &Pod, container: &str, role: Role) -> Result<Self, ScriptError> {
        let annotation = format!("{ANNOTATION_PREFIX}{container}");
        let text = pod.metadata.annotations.as_ref().and_then(|annotations| annotations.get(&annotation));
        let written = match text {
            Some(text) => serde_saphyr::from_str(text)
                .map_err(|source| ScriptError { annotation, source: Box::new(source) })?,
            None => Written::default(),
        };
        let by_default = Self::by_default(pod, role);
        let ends = by_default.run_for.or(written.exit_code.map(|_| RUN_FOR));
        Ok(Self {
            ready_after: written.ready_after.unwrap_or_default(),
            run_for: written.run_for.or(ends),
            exit_code: written.exit_code.unwrap_or_default(),
        })
    }

    /// The script of a container that has none.
    pub(crate) fn by_default(pod: &Pod, role: Role) -> Self {
        let run_for = match role {
            Role::Init => Some(Duration::ZERO),
            Role::Main if is_of_job(pod) => Some(RUN_FOR),
            Role::Main | Role::Sidecar => None,
        };
        Self { run_for, ..Self::default() }
    }
}

fn is_of_job(pod: &Pod) -> bool {
    let policy = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
    let owners = pod.metadata.owner_references.iter().flatten();
    matches!(policy, Some("Never" | "OnFailure"))
        && owners.into_iter().any(|owner| owner.kind == "Job" && owner.api_version.starts_with("batch/"))
}

/// A duration such as `1m30s`.
fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    let duration: SignedDuration = text.parse().map_err(de::Error::custom)?;
    Duration::try_from(duration).map(Some).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn script(annotation: &str, owner: &str, policy: &str, role: Role) -> Result<Script, ScriptError> {
        let mut pod = json!({
            "metadata": {
                "name": "p",
                "ownerReferences": [{"apiVersion": "batch/v1", "kind": owner, "name": "o", "uid": "u"}],
                "annotations": {"simulation.xebec.dev/main": annotation},
            },
            "spec": {"restartPolicy": policy, "containers": []},
        });
        if annotation.is_empty() {
            pod["metadata"]["annotations"] = json!({});
        }
        Script::of(&serde_json::from_value(pod).unwrap(), "main", role)
    }

    #[test]
    fn scripts_and_their_defaults() {
        let millis = Duration::from_millis;
        let cases = [
            ("", "ReplicaSet", "Always", Role::Main, 0, None, 0),
            ("", "Job", "Never", Role::Main, 0, Some(1000), 0),
            ("", "Job", "OnFailure", Role::Main, 0, Some(1000), 0),
            ("", "Other", "Never", Role::Main, 0, None, 0),
            ("", "Job", "Never", Role::Init, 0, Some(0), 0),
            ("", "Job", "Never", Role::Sidecar, 0, None, 0),
            ("{exitCode: 3}", "ReplicaSet", "Always", Role::Main, 0, Some(1000), 3),
            (
                r#"{"readyAfter": "1m30s", "runFor": "250ms"}"#,
                "Job",
                "Never",
                Role::Main,
                90_000,
                Some(250),
                0,
            ),
            ("runFor: 2h", "Other", "Never", Role::Main, 0, Some(7_200_000), 0),
        ];
        for (text, owner, policy, role, ready_after, run_for, exit_code) in cases {
            let wanted = Script { ready_after: millis(ready_after), run_for: run_for.map(millis), exit_code };
            assert_eq!(
                script(text, owner, policy, role).unwrap(),
                wanted,
                "{text} {owner} {policy} {role:?}"
            );
        }
    }

    #[test]
    fn a_script_that_cannot_be_read_says_where() {
        for text in ["{exitCode: much}", "{runFor: -3s}", "{runFor: long}", "{whatever: 1}", "[", "3"] {
            let error = script(text, "Job", "Never", Role::Main).unwrap_err().to_string();
            assert!(error.starts_with("annotation simulation.xebec.dev/main: "), "{error}");
        }
    }
}
