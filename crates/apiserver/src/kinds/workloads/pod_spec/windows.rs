//! What a Pod says it runs on, and the options that only Windows has.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::{rules, visit_containers};
use crate::machinery::{
    FieldErrors, Path,
    fields::{flag, is_set, present, text},
};

/// What is wrong with `windowsOptions` of a security context.
pub fn validate_options(errors: &mut FieldErrors, path: &Path<'_>, context: &Value) {
    const SPEC_LENGTH_MAX_KIB: usize = 64;
    let Some(options) = present(context, "windowsOptions") else { return };
    let path = path.child("windowsOptions");
    if let Some(name) = present(options, "gmsaCredentialSpecName").and_then(Value::as_str) {
        rules::object_name(errors, &path.child("gmsaCredentialSpecName"), name);
    }
    if let Some(spec) = present(options, "gmsaCredentialSpec").and_then(Value::as_str) {
        let path = path.child("gmsaCredentialSpec");
        if spec.is_empty() {
            errors.invalid(&path, spec, "gmsaCredentialSpec cannot be an empty string");
        } else if spec.len() > SPEC_LENGTH_MAX_KIB * 1024 {
            let detail = format!("gmsaCredentialSpec size must be under {SPEC_LENGTH_MAX_KIB} KiB");
            errors.invalid(&path, spec, &detail);
        }
    }
    if let Some(name) = present(options, "runAsUserName").and_then(Value::as_str) {
        validate_user(errors, &path.child("runAsUserName"), name);
    }
}

/// A NetBIOS domain's name.
static NETBIOS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"^[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}$"#).ok());
static DNS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";
    Regex::new(&format!(r"^{label}(?:\.{label})*$")).ok()
});

/// `USER` or `DOMAIN\USER`.
fn validate_user(errors: &mut FieldErrors, path: &Path<'_>, name: &str) {
    const DOMAIN_LENGTH_MAX: usize = 256;
    const USER_LENGTH_MAX: usize = 104;
    let mut refuse = |detail: &str| errors.invalid(path, name, detail);
    let is = |expression: &LazyLock<Option<Regex>>, domain: &str| {
        expression.as_ref().is_some_and(|expression| expression.is_match(domain))
    };
    if name.is_empty() {
        return refuse("runAsUserName cannot be an empty string");
    }
    if name.chars().any(|c| c.is_ascii_control()) {
        return refuse("runAsUserName cannot contain control characters");
    }
    let parts: Vec<&str> = name.split('\\').collect();
    let (domain, user) = match parts.as_slice() {
        [user] => (None, *user),
        [domain, user] => (Some(*domain), *user),
        _ => return refuse("runAsUserName cannot contain more than one backslash"),
    };
    if let Some(domain) = domain {
        if domain.len() >= DOMAIN_LENGTH_MAX {
            refuse(&format!("runAsUserName's Domain length must be under {DOMAIN_LENGTH_MAX} characters"));
        }
        if !is(&NETBIOS, domain) && !is(&DNS, domain) {
            refuse("runAsUserName's Domain doesn't match the NetBios nor the DNS format");
        }
    }
    if user.is_empty() {
        refuse("runAsUserName's User cannot be empty");
    } else if user.len() > USER_LENGTH_MAX {
        refuse(&format!("runAsUserName's User length must not be longer than {USER_LENGTH_MAX} characters"));
    }
    if !user.is_empty() && user.chars().all(|c| matches!(c, '.' | ' ')) {
        refuse("runAsUserName's User cannot contain only periods or spaces");
    }
    if user.contains(['"', '/', '\\', ':', ';', '|', '=', ',', '+', '*', '?', '<', '>', '@', '[', ']']) {
        refuse("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]");
    }
}

/// Containers that are processes of the node: all of a Pod's or none, and on the node's network.
pub fn validate_host_processes(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value) {
    let own = spec["securityContext"]["windowsOptions"]["hostProcess"].as_bool();
    let (mut all, mut host) = (0, 0);
    visit_containers(path, spec, |path, container| {
        all += 1;
        let options = &container["securityContext"]["windowsOptions"];
        let containers = options["hostProcess"].as_bool();
        if let (Some(own), Some(containers)) = (own, containers)
            && own != containers
        {
            let detail = format!("pod hostProcess value must be identical if both are specified, was {own}");
            let path = path.child("securityContext");
            errors.invalid(&path.child("windowsOptions").child("hostProcess"), containers, &detail);
        }
        if containers.or(own) == Some(true) {
            host += 1;
        }
    });
    if host == 0 {
        return;
    }
    if host != all {
        let detail =
            "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        errors.invalid(path, "", detail);
    }
    if !flag(spec, "hostNetwork") {
        let detail = "hostNetwork must be true if pod contains any hostProcess containers";
        errors.invalid(&path.child("hostNetwork"), false, detail);
    }
}

/// Fields of a Pod that Linux alone has: in its security context, or beside it.
const NOT_FOR_WINDOWS: [(&str, Place); 15] = [
    ("appArmorProfile", Place::Context),
    ("seLinuxOptions", Place::Context),
    ("hostUsers", Place::Spec),
    ("hostPID", Place::SpecIfSet),
    ("hostIPC", Place::SpecIfSet),
    ("seccompProfile", Place::Context),
    ("fsGroup", Place::Context),
    ("fsGroupChangePolicy", Place::Context),
    ("sysctls", Place::Context),
    ("shareProcessNamespace", Place::Spec),
    ("runAsUser", Place::Context),
    ("runAsGroup", Place::Context),
    ("supplementalGroups", Place::Context),
    ("supplementalGroupsPolicy", Place::Context),
    ("seLinuxChangePolicy", Place::Context),
];

#[derive(Clone, Copy)]
enum Place {
    /// In the security context.
    Context,
    /// In the spec.
    Spec,
    /// In the spec, where only `true` counts.
    SpecIfSet,
}

/// Fields of a container's security context that Linux alone has.
const NOT_FOR_WINDOWS_CONTAINERS: [&str; 10] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
];

/// What does not go with the system that the Pod says it runs on.
pub fn validate_os(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value) {
    let Some(os) = present(spec, "os") else { return };
    match text(os, "name") {
        "" => errors.required(&path.child("os").child("name"), ""),
        "linux" => validate_linux(errors, path, spec),
        "windows" => validate_windows(errors, path, spec),
        other => errors.not_supported(&path.child("os"), other, &["linux", "windows"]),
    }
}

fn validate_linux(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value) {
    let mut refuse = |path: &Path<'_>, owner: &Value| {
        if present(&owner["securityContext"], "windowsOptions").is_some() {
            let path = path.child("securityContext");
            errors.forbidden(&path.child("windowsOptions"), "windows options cannot be set for a linux pod");
        }
    };
    refuse(path, spec);
    visit_containers(path, spec, |path, container| refuse(path, container));
}

fn validate_windows(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value) {
    const DETAIL: &str = "cannot be set for a windows pod";
    let context = &spec["securityContext"];
    let context_path = path.child("securityContext");
    for (field, place) in NOT_FOR_WINDOWS {
        let (is_there, path) = match place {
            Place::Context => (present(context, field).is_some(), &context_path),
            Place::Spec => (present(spec, field).is_some(), path),
            Place::SpecIfSet => (is_set(spec, field), path),
        };
        if is_there {
            errors.forbidden(&path.child(field), DETAIL);
        }
    }
    visit_containers(path, spec, |path, container| {
        let path = path.child("securityContext");
        for field in NOT_FOR_WINDOWS_CONTAINERS {
            if present(&container["securityContext"], field).is_some() {
                errors.forbidden(&path.child(field), DETAIL);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::workloads::testing::{assert_lines, container, spec_errors};

    #[test]
    fn what_a_system_has_not_cannot_be_set() {
        for (spec, want) in [
            (
                json!({"os": {"name": "linux"}, "securityContext": {"windowsOptions": {}}}),
                vec![
                    "spec.securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod",
                ],
            ),
            (json!({"os": {"name": ""}}), vec!["spec.os.name: Required value"]),
            (
                json!({"os": {"name": "x"}}),
                vec!["spec.os: Unsupported value: \"x\": supported values: \"linux\", \"windows\""],
            ),
            (
                json!({
                    "os": {"name": "windows"},
                    "hostPID": true,
                    "securityContext": {"runAsUser": 1, "seLinuxOptions": {}},
                    "containers": [container(&json!({"securityContext": {"privileged": false}}))],
                }),
                vec![
                    "spec.securityContext.seLinuxOptions: Forbidden: cannot be set for a windows pod",
                    "spec.hostPID: Forbidden: cannot be set for a windows pod",
                    "spec.securityContext.runAsUser: Forbidden: cannot be set for a windows pod",
                    "spec.containers[0].securityContext.privileged: Forbidden: cannot be set for a windows pod",
                ],
            ),
        ] {
            assert_lines(&spec_errors(&spec), &want, &spec);
        }
    }

    #[test]
    fn users_of_windows_have_a_form() {
        for (user, want) in [
            ("user", vec![]),
            ("DOMAIN\\user", vec![]),
            ("a.b.c\\NT AUTHORITY", vec![]),
            ("", vec!["cannot be an empty string"]),
            ("a\\b\\c", vec!["cannot contain more than one backslash"]),
            ("..", vec!["'s User cannot contain only periods or spaces"]),
            ("a|b", vec!["'s User cannot contain the following characters: \"/\\:;|=,+*?<>@[]"]),
        ] {
            let spec = json!({"securityContext": {"windowsOptions": {"runAsUserName": user}}});
            let got: Vec<String> = spec_errors(&spec)
                .iter()
                .map(|line| line.split_once(": runAsUserName").unwrap().1.trim_start().to_owned())
                .collect();
            assert_lines(&got, &want, &spec);
        }
    }

    #[test]
    fn all_containers_are_processes_of_the_node_or_none() {
        let host = json!({"windowsOptions": {"hostProcess": true}});
        let containers =
            json!([container(&json!({"name": "a", "securityContext": host})), container(&json!({}))]);
        let spec = json!({ "containers": containers });
        assert_lines(
            &spec_errors(&spec),
            &[
                "spec: Invalid value: \"\": If pod contains any hostProcess containers then all containers must be HostProcess containers",
                "spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers",
            ],
            &spec,
        );
        let all = json!({"securityContext": host, "hostNetwork": true});
        assert_lines(&spec_errors(&all), &[], &all);
    }
}
