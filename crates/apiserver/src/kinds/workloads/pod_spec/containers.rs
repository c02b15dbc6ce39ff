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
