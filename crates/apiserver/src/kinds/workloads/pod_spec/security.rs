//! Who containers run as and what the node lets them do.

use std::{collections::HashSet, sync::LazyLock};

use regex::Regex;
use serde_json::Value;

use super::{rules, windows};
use crate::machinery::{
    FieldErrors, Path,
    fields::{flag, list, present, text},
};

/// What is wrong with the security context of a container.
pub fn validate_container(errors: &mut FieldErrors, path: &Path<'_>, context: &Value, host_users: bool) {
    rules::account(errors, path, context, "runAsUser");
    rules::account(errors, path, context, "runAsGroup");
    if let Some(mount) = present(context, "procMount").and_then(Value::as_str) {
        rules::one_of(errors, &path.child("procMount"), mount, &["Default", "Unmasked"]);
        if host_users && mount == "Unmasked" {
            errors.invalid(&path.child("procMount"), mount, "`hostUsers` must be false to use `Unmasked`");
        }
    }
    validate_seccomp(errors, path, context);
    if context["allowPrivilegeEscalation"] == false {
        if flag(context, "privileged") {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            errors.invalid(path, context.clone(), detail);
        }
        for _ in list(&context["capabilities"], "add").iter().filter(|added| *added == "CAP_SYS_ADMIN") {
            let detail =
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            errors.invalid(path, context.clone(), detail);
        }
    }
    windows::validate_options(errors, path, context);
    validate_app_armor(errors, &path.child("appArmorProfile"), &context["appArmorProfile"]);
}

/// What is wrong with the security context of a Pod; some of what it is about stands in the spec itself.
pub fn validate_pod(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value) {
    let Some(context) = present(spec, "securityContext") else { return };
    for field in ["fsGroup", "runAsUser", "runAsGroup"] {
        rules::account(errors, path, context, field);
    }
    let groups = path.child("supplementalGroups");
    for (index, group) in list(context, "supplementalGroups").iter().enumerate() {
        let group = group.as_i64().unwrap_or_default();
        rules::in_range(errors, &groups.index(index), group, 0, i32::MAX.into());
    }
    if flag(spec, "shareProcessNamespace") && flag(spec, "hostPID") {
        let detail = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.invalid(&path.child("shareProcessNamespace"), true, detail);
    }
    validate_sysctls(errors, &path.child("sysctls"), spec, list(context, "sysctls"));
    let mut validate_choice = |field: &str, supported: &[&str]| {
        if let Some(choice) = present(context, field).and_then(Value::as_str) {
            rules::one_of(errors, &path.child(field), choice, supported);
        }
    };
    validate_choice("fsGroupChangePolicy", &["Always", "OnRootMismatch"]);
    validate_seccomp(errors, path, context);
    windows::validate_options(errors, path, context);
    validate_app_armor(errors, &path.child("appArmorProfile"), &context["appArmorProfile"]);
    let mut validate_choice = |field: &str, supported: &[&str]| {
        if let Some(choice) = present(context, field).and_then(Value::as_str) {
            rules::one_of(errors, &path.child(field), choice, supported);
        }
    };
    validate_choice("supplementalGroupsPolicy", &["Merge", "Strict"]);
    // `MountOption` needs the SELinuxMount feature, which is off.
    validate_choice("seLinuxChangePolicy", &["Recursive"]);
}

/// What is wrong with the seccomp profile of a Pod or a container.
fn validate_seccomp(errors: &mut FieldErrors, path: &Path<'_>, context: &Value) {
    let Some(profile) = present(context, "seccompProfile") else { return };
    let path = path.child("seccompProfile");
    let sort = text(profile, "type");
    if sort.is_empty() {
        errors.required(&path.child("type"), "type is required when seccompProfile is set");
    } else {
        rules::one_of(errors, &path.child("type"), sort, &["Localhost", "RuntimeDefault", "Unconfined"]);
    }
    let path = path.child("localhostProfile");
    match (sort, present(profile, "localhostProfile").and_then(Value::as_str)) {
        ("Localhost", None) => errors.required(&path, "must be set when seccomp type is Localhost"),
        ("Localhost", Some(file)) => rules::descending_path(errors, &path, file),
        (_, Some(_)) => {
            errors.invalid(&path, profile.clone(), "can only be set when seccomp type is Localhost");
        }
        (_, None) => {}
    }
}

/// What is wrong with an AppArmor profile, if it is one.
pub fn validate_app_armor(errors: &mut FieldErrors, path: &Path<'_>, profile: &Value) {
    /// The longest path of a file, without its end.
    const PROFILE_LENGTH_MAX: usize = 4095;
    const MISSING: &str = "must be set when AppArmor type is Localhost";
    if profile.is_null() {
        return;
    }
    let name = present(profile, "localhostProfile").and_then(Value::as_str);
    let name_path = path.child("localhostProfile");
    match (text(profile, "type"), name) {
        ("Localhost", None) => errors.required(&name_path, MISSING),
        ("Localhost", Some(name)) => {
            if name.trim() != name {
                errors.invalid(&name_path, name, "must not be padded with whitespace");
            } else if name.is_empty() {
                errors.required(&name_path, MISSING);
            }
            if name.len() > PROFILE_LENGTH_MAX {
                errors.too_long(&name_path, PROFILE_LENGTH_MAX);
            }
        }
        ("RuntimeDefault" | "Unconfined", None) => {}
        ("RuntimeDefault" | "Unconfined", Some(name)) => {
            errors.invalid(&name_path, name, "can only be set when AppArmor type is Localhost");
        }
        ("", _) => errors.required(&path.child("type"), "type is required when appArmorProfile is set"),
        (other, _) => {
            errors.not_supported(&path.child("type"), other, &["Localhost", "RuntimeDefault", "Unconfined"]);
        }
    }
}

const SYSCTL: &str = r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
const SYSCTL_LENGTH_MAX: usize = 253;
static SYSCTL_NAME: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(SYSCTL).ok());

fn validate_sysctls(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value, sysctls: &[Value]) {
    let mut names = HashSet::new();
    for (index, sysctl) in sysctls.iter().enumerate() {
        let path = path.index(index);
        let path = path.child("name");
        let name = text(sysctl, "name");
        let is_name = || SYSCTL_NAME.as_ref().is_some_and(|expression| expression.is_match(name));
        if name.is_empty() {
            errors.required(&path, "");
        } else if name.len() > SYSCTL_LENGTH_MAX || !is_name() {
            let detail = format!("must have at most {SYSCTL_LENGTH_MAX} characters and match regex {SYSCTL}");
            errors.invalid(&path, name, &detail);
        } else if names.contains(name) {
            errors.duplicate(&path, name);
        }
        match namespace_of(name) {
            Some("network") if flag(spec, "hostNetwork") => {
                errors.invalid(&path, name, "may not be specified when 'hostNetwork' is true");
            }
            Some("ipc") if flag(spec, "hostIPC") => {
                errors.invalid(&path, name, "may not be specified when 'hostIPC' is true");
            }
            _ => {}
        }
        names.insert(name);
    }
}

/// Which of the kernel's namespaces a setting belongs to.
fn namespace_of(sysctl: &str) -> Option<&'static str> {
    let dotted = match sysctl.find(['.', '/']).map(|at| sysctl.as_bytes()[at]) {
        // With slashes first, dots and slashes have changed places.
        Some(b'/') => sysctl
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect(),
        _ => sysctl.to_owned(),
    };
    if dotted.starts_with("net.") {
        return Some("network");
    }
    let ipc = dotted == "kernel.sem"
        || ["kernel.shm", "kernel.msg", "fs.mqueue."].iter().any(|prefix| dotted.starts_with(prefix));
    ipc.then_some("ipc")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::workloads::testing::{assert_lines, container_errors, spec_errors};

    #[test]
    fn contexts_of_containers_are_validated() {
        for (context, want) in [
            (json!({"runAsUser": 0, "capabilities": {"add": ["NET_ADMIN"]}}), vec![]),
            (
                json!({"runAsUser": -1, "runAsGroup": 4_294_967_296_i64}),
                vec![
                    "spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
                    "spec.containers[0].securityContext.runAsGroup: Invalid value: 4294967296: must be between 0 and 2147483647, inclusive",
                ],
            ),
            (
                json!({"procMount": "Unmasked"}),
                vec![
                    "spec.containers[0].securityContext.procMount: Invalid value: \"Unmasked\": `hostUsers` must be false to use `Unmasked`",
                ],
            ),
            (
                json!({"allowPrivilegeEscalation": false, "privileged": true}),
                vec![
                    "spec.containers[0].securityContext: Invalid value: {\"allowPrivilegeEscalation\":false,\"privileged\":true}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
                ],
            ),
            (
                json!({"seccompProfile": {"type": "Localhost"}, "appArmorProfile": {"type": "x"}}),
                vec![
                    "spec.containers[0].securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost",
                    "spec.containers[0].securityContext.appArmorProfile.type: Unsupported value: \"x\": supported values: \"Localhost\", \"RuntimeDefault\", \"Unconfined\"",
                ],
            ),
        ] {
            let container = json!({ "securityContext": context });
            assert_lines(&container_errors(&container), &want, &container);
        }
    }

    #[test]
    fn contexts_of_pods_are_validated() {
        for (spec, want) in [
            (
                json!({"securityContext": {"fsGroup": 1, "supplementalGroups": [0], "sysctls": [{"name": "net.core.somaxconn", "value": "1"}]}}),
                vec![],
            ),
            (
                json!({"securityContext": {"fsGroup": -1, "supplementalGroups": [1, -2], "fsGroupChangePolicy": "x", "supplementalGroupsPolicy": "y"}}),
                vec![
                    "spec.securityContext.fsGroup: Invalid value: -1: must be between 0 and 2147483647, inclusive",
                    "spec.securityContext.supplementalGroups[1]: Invalid value: -2: must be between 0 and 2147483647, inclusive",
                    "spec.securityContext.fsGroupChangePolicy: Unsupported value: \"x\": supported values: \"Always\", \"OnRootMismatch\"",
                    "spec.securityContext.supplementalGroupsPolicy: Unsupported value: \"y\": supported values: \"Merge\", \"Strict\"",
                ],
            ),
            (
                json!({"shareProcessNamespace": true, "hostPID": true}),
                vec![
                    "spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled",
                ],
            ),
            (
                json!({"hostNetwork": true, "hostIPC": true, "securityContext": {"sysctls": [
                    {"name": "net.a", "value": ""}, {"name": "kernel/sem", "value": ""}, {"name": "net.a", "value": ""}, {"name": "", "value": ""},
                ]}}),
                vec![
                    "spec.securityContext.sysctls[0].name: Invalid value: \"net.a\": may not be specified when 'hostNetwork' is true",
                    "spec.securityContext.sysctls[1].name: Invalid value: \"kernel/sem\": may not be specified when 'hostIPC' is true",
                    "spec.securityContext.sysctls[2].name: Duplicate value: \"net.a\"",
                    "spec.securityContext.sysctls[2].name: Invalid value: \"net.a\": may not be specified when 'hostNetwork' is true",
                    "spec.securityContext.sysctls[3].name: Required value",
                ],
            ),
        ] {
            assert_lines(&spec_errors(&spec), &want, &spec);
        }
    }
}
