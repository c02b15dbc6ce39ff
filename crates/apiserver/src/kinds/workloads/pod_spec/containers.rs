//! Containers: those that run, those that run before them (and next to them, as sidecars), and those that are added
//! to a running Pod to look into it.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::{
    aggregate::is_sidecar,
    env, mounts, probes,
    resources::{self, Asker},
    rules, security,
};
use crate::machinery::{
    FieldErrors, Path,
    fields::{is_set, list, number, present, text},
    format,
};

/// What the containers of a spec are checked against.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// The valid volumes, by name.
    pub volumes: HashMap<&'a str, &'a Value>,
    /// The names of the Pod's resource claims.
    pub claims: BTreeSet<&'a str>,
    /// How long the Pod may take to end.
    pub grace_period: Option<i64>,
    /// When the Pod's containers are started again.
    pub restart_policy: &'a str,
    /// Whether the Pod has the users of the node, not its own.
    pub host_users: bool,
    /// What the Pod says it runs on.
    pub os: Option<&'a str>,
}

/// What is wrong with the containers that run.
pub fn validate(errors: &mut FieldErrors, path: &Path<'_>, containers: &[Value], around: &Surroundings<'_>) {
    if containers.is_empty() {
        errors.required(path, "");
        return;
    }
    let mut names = HashSet::new();
    for (index, container) in containers.iter().enumerate() {
        let path = path.index(index);
        validate_any(errors, &path, container, around);
        let name = text(container, "name");
        if !names.insert(name) {
            errors.duplicate(&path.child("name"), name);
        }
        validate_hooks(errors, &path, container, around);
        validate_restart_policy(errors, &path, container);
    }
    validate_host_ports(errors, path, containers.iter().enumerate());
}

/// What is wrong with the containers that run before the others.
pub fn validate_init(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    containers: &[Value],
    regular: &[Value],
    around: &Surroundings<'_>,
) {
    let mut names: HashSet<&str> = regular.iter().map(|container| text(container, "name")).collect();
    for (index, container) in containers.iter().enumerate() {
        let place = path.index(index);
        validate_any(errors, &place, container, around);
        validate_restart_policy(errors, &place, container);
        let name = text(container, "name");
        if names.contains(name) {
            errors.duplicate(&place.child("name"), name);
        } else if !name.is_empty() {
            names.insert(name);
        }
        // They run one by one, so that ports only conflict within one; Kubernetes counts it as the first.
        validate_host_ports(errors, path, [(0, container)].into_iter());
        if is_sidecar(container) {
            validate_hooks(errors, &place, container, around);
        } else {
            for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
                if present(container, field).is_some() {
                    let detail = "may not be set for init containers without restartPolicy=Always";
                    errors.forbidden(&place.child(field), detail);
                }
            }
        }
    }
}

/// The fields that an ephemeral container may not have; `true` where being there at all counts.
const NOT_EPHEMERAL: [(&str, bool); 9] = [
    ("ports", false),
    ("resources", false),
    ("resizePolicy", false),
    ("restartPolicy", true),
    ("restartPolicyRules", false),
    ("livenessProbe", true),
    ("readinessProbe", true),
    ("startupProbe", true),
    ("lifecycle", true),
];

/// What is wrong with the containers that look into a running Pod.
pub fn validate_ephemeral(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    spec: &Value,
    around: &Surroundings<'_>,
) {
    const DETAIL: &str = "cannot be set for an Ephemeral Container";
    let containers = list(spec, "ephemeralContainers");
    if containers.is_empty() {
        return;
    }
    let others = list(spec, "containers").iter().chain(list(spec, "initContainers"));
    let others: HashSet<&str> = others.map(|container| text(container, "name")).collect();
    let mut names = others.clone();
    for (index, container) in containers.iter().enumerate() {
        let path = path.index(index);
        validate_any(errors, &path, container, around);
        validate_only_in_pod(errors, &path, container);
        let name = text(container, "name");
        if !names.insert(name) {
            errors.duplicate(&path.child("name"), name);
        }
        let target = text(container, "targetContainerName");
        if !target.is_empty() && !others.contains(target) {
            errors.not_found(&path.child("targetContainerName"), target);
        }
        for (field, by_presence) in NOT_EPHEMERAL {
            if if by_presence { present(container, field).is_some() } else { is_set(container, field) } {
                errors.forbidden(&path.child(field), DETAIL);
            }
        }
        let mounts = path.child("volumeMounts");
        for (index, mount) in list(container, "volumeMounts").iter().enumerate() {
            for field in ["subPath", "subPathExpr"] {
                if is_set(mount, field) {
                    errors.forbidden(&mounts.index(index).child(field), DETAIL);
                }
            }
        }
    }
}

/// What is wrong with a container that is a Pod's own, not a template's.
pub fn validate_only_in_pod(errors: &mut FieldErrors, path: &Path<'_>, container: &Value) {
    let image = text(container, "image");
    if image.trim().len() != image.len() {
        errors.invalid(&path.child("image"), image, "must not have leading or trailing whitespace");
    }
}

/// What every container must obey.
fn validate_any(errors: &mut FieldErrors, path: &Path<'_>, container: &Value, around: &Surroundings<'_>) {
    rules::required_label(errors, &path.child("name"), text(container, "name"));
    rules::required(errors, path, container, &["image"]);
    rules::required_one_of(
        errors,
        &path.child("terminationMessagePolicy"),
        text(container, "terminationMessagePolicy"),
        &["File", "FallbackToLogsOnError"],
    );
    validate_ports(errors, &path.child("ports"), list(container, "ports"));
    env::validate(errors, &path.child("env"), list(container, "env"));
    env::validate_sources(errors, &path.child("envFrom"), list(container, "envFrom"));
    mounts::validate(errors, path, container, &around.volumes);
    validate_pull_policy(errors, &path.child("imagePullPolicy"), text(container, "imagePullPolicy"));
    resources::validate_requirements(
        errors,
        &path.child("resources"),
        &container["resources"],
        Asker::Container,
        &around.claims,
    );
    validate_resize_policy(errors, &path.child("resizePolicy"), container, around.restart_policy);
    if let Some(context) = present(container, "securityContext") {
        security::validate_container(errors, &path.child("securityContext"), context, around.host_users);
    }
}

/// When an image is pulled.
pub fn validate_pull_policy(errors: &mut FieldErrors, path: &Path<'_>, policy: &str) {
    rules::required_one_of(errors, path, policy, &["Always", "IfNotPresent", "Never"]);
}

fn validate_hooks(errors: &mut FieldErrors, path: &Path<'_>, container: &Value, around: &Surroundings<'_>) {
    if let Some(lifecycle) = present(container, "lifecycle") {
        let path = path.child("lifecycle");
        probes::validate_lifecycle(errors, &path, lifecycle, around.grace_period, around.os);
    }
    probes::validate(errors, path, container, around.grace_period);
}

fn validate_ports(errors: &mut FieldErrors, path: &Path<'_>, ports: &[Value]) {
    let mut names = HashSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        let name = text(port, "name");
        if !name.is_empty() {
            let problems = format::is_port_name(name);
            if problems.is_empty() && !names.insert(name) {
                errors.duplicate(&path.child("name"), name);
            }
            format::report(errors, &path.child("name"), name, problems);
        }
        for (field, required) in [("containerPort", true), ("hostPort", false)] {
            let number = number(port, field);
            if number != 0 {
                rules::in_range(errors, &path.child(field), number, 1, 65535);
            } else if required {
                errors.required(&path.child(field), "");
            }
        }
        let protocol = text(port, "protocol");
        rules::required_one_of(errors, &path.child("protocol"), protocol, &["SCTP", "TCP", "UDP"]);
    }
}

/// Ports of the node can be had once.
fn validate_host_ports<'a>(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    containers: impl Iterator<Item = (usize, &'a Value)>,
) {
    let mut taken = HashSet::new();
    for (index, container) in containers {
        for (port_index, port) in list(container, "ports").iter().enumerate() {
            let number = number(port, "hostPort");
            if number != 0 {
                let key = (text(port, "protocol"), text(port, "hostIP"), number);
                if !taken.insert(key) {
                    let path = path.index(index);
                    let path = path.child("ports");
                    let path = path.index(port_index);
                    errors.duplicate(&path.child("hostPort"), format!("{}/{}/{}", key.0, key.1, key.2));
                }
            }
        }
    }
}

fn validate_resize_policy(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    container: &Value,
    restart_policy: &str,
) {
    let mut seen = HashSet::new();
    for (index, policy) in list(container, "resizePolicy").iter().enumerate() {
        let (resource, restart) = (text(policy, "resourceName"), text(policy, "restartPolicy"));
        if !seen.insert(resource) {
            errors.duplicate(&path.index(index), resource);
        }
        rules::required_one_of(errors, path, resource, &["cpu", "memory"]);
        rules::required_one_of(errors, path, restart, &["NotRequired", "RestartContainer"]);
        if restart_policy == "Never" && restart != "NotRequired" {
            let detail = "must be 'NotRequired' when `restartPolicy` is 'Never'";
            errors.invalid(path, restart, detail);
        }
    }
}

/// A container's own restart policy, and rules for exit codes.
fn validate_restart_policy(errors: &mut FieldErrors, path: &Path<'_>, container: &Value) {
    const RULES_MAX: usize = 20;
    const EXIT_CODES_MAX: usize = 255;
    let rules = list(container, "restartPolicyRules");
    match present(container, "restartPolicy").and_then(Value::as_str) {
        Some(policy) => {
            rules::one_of(errors, &path.child("restartPolicy"), policy, &["Always", "Never", "OnFailure"]);
        }
        None if rules.is_empty() => return,
        None => {
            let detail = "must specify restartPolicy when restart rules are used";
            errors.required(&path.child("restartPolicy"), detail);
        }
    }
    let rules_path = path.child("restartPolicyRules");
    if rules.len() > RULES_MAX {
        errors.too_long(&rules_path, RULES_MAX);
    }
    for (index, rule) in rules.iter().enumerate() {
        let path = rules_path.index(index);
        let action = text(rule, "action");
        if !matches!(action, "Restart" | "RestartAllContainers") {
            errors.not_supported(&path.child("action"), action, &["Restart"]);
        }
        let path = path.child("exitCodes");
        match present(rule, "exitCodes") {
            None => errors.required(&path, "must be specified"),
            Some(codes) => {
                let operator = text(codes, "operator");
                rules::one_of(errors, &path.child("operator"), operator, &["In", "NotIn"]);
                if list(codes, "values").len() > EXIT_CODES_MAX {
                    errors.too_long(&path.child("values"), EXIT_CODES_MAX);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::workloads::testing::{assert_lines, container, container_errors, spec_errors, with};

    #[test]
    fn containers_are_validated() {
        for (container, want) in [
            (json!({}), vec![]),
            (
                json!({"name": "", "image": ""}),
                vec!["spec.containers[0].name: Required value", "spec.containers[0].image: Required value"],
            ),
            (
                json!({"name": "A"}),
                vec![
                    "spec.containers[0].name: Invalid value: \"A\": a lowercase RFC 1123 label must consist of…",
                ],
            ),
            (
                json!({"terminationMessagePolicy": "x", "imagePullPolicy": "y"}),
                vec![
                    "spec.containers[0].terminationMessagePolicy: Unsupported value: \"x\": supported values: \"File\", \"FallbackToLogsOnError\"",
                    "spec.containers[0].imagePullPolicy: Unsupported value: \"y\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
                ],
            ),
            (
                json!({"ports": [
                    {"containerPort": 0, "protocol": "TCP"},
                    {"containerPort": 70000, "hostPort": -1, "protocol": "x", "name": "http"},
                    {"containerPort": 1, "protocol": "TCP", "name": "http"},
                    {"containerPort": 1, "protocol": "TCP", "name": "--"},
                ]}),
                vec![
                    "spec.containers[0].ports[0].containerPort: Required value",
                    "spec.containers[0].ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
                    "spec.containers[0].ports[1].hostPort: Invalid value: -1: must be between 1 and 65535, inclusive",
                    "spec.containers[0].ports[1].protocol: Unsupported value: \"x\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
                    "spec.containers[0].ports[2].name: Duplicate value: \"http\"",
                    "spec.containers[0].ports[3].name: Invalid value: \"--\": must contain at least one letter (a-z)",
                    "spec.containers[0].ports[3].name: Invalid value: \"--\": must not contain consecutive hyphens",
                    "spec.containers[0].ports[3].name: Invalid value: \"--\": must not begin or end with a hyphen",
                ],
            ),
            (
                json!({"resizePolicy": [
                    {"resourceName": "cpu", "restartPolicy": "NotRequired"},
                    {"resourceName": "cpu", "restartPolicy": "x"},
                    {"resourceName": "", "restartPolicy": ""},
                ]}),
                vec![
                    "spec.containers[0].resizePolicy[1]: Duplicate value: \"cpu\"",
                    "spec.containers[0].resizePolicy: Unsupported value: \"x\": supported values: \"NotRequired\", \"RestartContainer\"",
                    "spec.containers[0].resizePolicy: Required value",
                    "spec.containers[0].resizePolicy: Required value",
                ],
            ),
        ] {
            assert_lines(&container_errors(&container), &want, &container);
        }
    }

    #[test]
    fn names_and_ports_are_taken_once() {
        let with_port = |name: &str| {
            container(
                &json!({"name": name, "ports": [{"containerPort": 1, "hostPort": 1, "protocol": "TCP"}]}),
            )
        };
        for (spec, want) in [
            (json!({"containers": []}), vec!["spec.containers: Required value"]),
            (
                json!({"containers": [with_port("a"), with_port("b"), container(&json!({"name": "a"}))]}),
                vec![
                    "spec.containers[2].name: Duplicate value: \"a\"",
                    "spec.containers[1].ports[0].hostPort: Duplicate value: \"TCP//1\"",
                ],
            ),
            (
                json!({"initContainers": [with_port("a"), with_port("b"), container(&json!({}))]}),
                vec!["spec.initContainers[2].name: Duplicate value: \"c\""],
            ),
        ] {
            assert_lines(&spec_errors(&spec), &want, &spec);
        }
    }

    #[test]
    fn only_sidecars_among_init_containers_are_probed() {
        let probe = json!({"exec": {"command": ["x"]}, "successThreshold": 1});
        let hooks = json!({"name": "i", "livenessProbe": probe, "lifecycle": {"preStop": {"exec": {"command": ["x"]}}}});
        let sidecar = with(hooks.clone(), &json!({"restartPolicy": "Always"}));
        for (init, want) in [
            (
                hooks,
                vec![
                    "spec.initContainers[0].lifecycle: Forbidden: may not be set for init containers without restartPolicy=Always",
                    "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
                ],
            ),
            (sidecar, vec![]),
        ] {
            let spec = json!({"initContainers": [container(&init)]});
            assert_lines(&spec_errors(&spec), &want, &spec);
        }
    }

    #[test]
    fn restart_rules_need_a_policy() {
        let rule = json!({"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}});
        for (container, want) in [
            (json!({"restartPolicy": "Never", "restartPolicyRules": [rule]}), vec![]),
            (
                json!({"restartPolicy": "x"}),
                vec![
                    "spec.containers[0].restartPolicy: Unsupported value: \"x\": supported values: \"Always\", \"Never\", \"OnFailure\"",
                ],
            ),
            (
                json!({"restartPolicyRules": [rule, {"action": "x", "exitCodes": {"operator": "y"}}, {"action": "Restart"}]}),
                vec![
                    "spec.containers[0].restartPolicy: Required value: must specify restartPolicy when restart rules are used",
                    "spec.containers[0].restartPolicyRules[1].action: Unsupported value: \"x\": supported values: \"Restart\"",
                    "spec.containers[0].restartPolicyRules[1].exitCodes.operator: Unsupported value: \"y\": supported values: \"In\", \"NotIn\"",
                    "spec.containers[0].restartPolicyRules[2].exitCodes: Required value: must be specified",
                ],
            ),
        ] {
            assert_lines(&container_errors(&container), &want, &container);
        }
    }

    #[test]
    fn ephemeral_containers_only_look() {
        let ephemeral = |more| container(&with(json!({"name": "e"}), &more));
        for (container, want) in [
            (json!({"targetContainerName": "c"}), vec![]),
            (
                json!({"name": "c", "image": " i ", "targetContainerName": "x"}),
                vec![
                    "spec.ephemeralContainers[0].image: Invalid value: \" i \": must not have leading or trailing whitespace",
                    "spec.ephemeralContainers[0].name: Duplicate value: \"c\"",
                    "spec.ephemeralContainers[0].targetContainerName: Not found: \"x\"",
                ],
            ),
            (
                json!({
                    "ports": [{"containerPort": 1, "protocol": "TCP"}],
                    "resources": {"limits": {"cpu": "1"}},
                    "livenessProbe": {},
                    "volumeMounts": [{"name": "v", "mountPath": "/m", "subPath": "s"}],
                }),
                vec![
                    "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container",
                    "spec.ephemeralContainers[0].resources: Forbidden: cannot be set for an Ephemeral Container",
                    "spec.ephemeralContainers[0].livenessProbe: Forbidden: cannot be set for an Ephemeral Container",
                    "spec.ephemeralContainers[0].volumeMounts[0].subPath: Forbidden: cannot be set for an Ephemeral Container",
                ],
            ),
        ] {
            let spec = json!({"ephemeralContainers": [ephemeral(container)], "volumes": [{"name": "v"}]});
            assert_lines(&spec_errors(&spec), &want, &spec);
        }
    }
}
