//! What the kubelet does to a container from outside: probes, hooks of its lifecycle, the signal that stops it.

use serde_json::Value;

use super::rules;
use crate::machinery::{
    FieldErrors, Path,
    fields::{integer, list, number, present, text},
    format, metadata,
};

/// The ways to act on a container, in the order in which they are looked at.
const HANDLERS: [&str; 5] = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];

/// What is wrong with the probes of a container. `grace_period` is that of the Pod, if it has a valid one.
pub fn validate(errors: &mut FieldErrors, path: &Path<'_>, container: &Value, grace_period: Option<i64>) {
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = present(container, name) else { continue };
        let path = path.child(name);
        validate_probe(errors, &path, probe, grace_period);
        if name != "readinessProbe" {
            let threshold = number(probe, "successThreshold");
            if threshold != 1 {
                errors.invalid(&path.child("successThreshold"), threshold, "must be 1");
            }
        } else if let Some(seconds) = integer(probe, "terminationGracePeriodSeconds") {
            let detail = "must not be set for readinessProbes";
            errors.invalid(&path.child("terminationGracePeriodSeconds"), seconds, detail);
        }
    }
}

fn validate_probe(errors: &mut FieldErrors, path: &Path<'_>, probe: &Value, grace_period: Option<i64>) {
    validate_handler(errors, path, probe, grace_period);
    for field in
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
    {
        metadata::non_negative(errors, &path.child(field), number(probe, field));
    }
    if let Some(seconds) = integer(probe, "terminationGracePeriodSeconds")
        && seconds <= 0
    {
        errors.invalid(&path.child("terminationGracePeriodSeconds"), seconds, "must be greater than 0");
    }
}

/// What is wrong with the hooks of a container. `os` is what the Pod says it runs on.
pub fn validate_lifecycle(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    lifecycle: &Value,
    grace_period: Option<i64>,
    os: Option<&str>,
) {
    for hook in ["postStart", "preStop"] {
        if let Some(handler) = present(lifecycle, hook) {
            validate_handler(errors, &path.child(hook), handler, grace_period);
        }
    }
    if let Some(signal) = present(lifecycle, "stopSignal").and_then(Value::as_str) {
        let path = path.child("stopSignal");
        match os {
            None => errors.forbidden(&path, "may not be set for containers with empty `spec.os.name`"),
            Some("windows") => rules::one_of(errors, &path, signal, &["SIGKILL", "SIGTERM"]),
            Some("linux") => rules::one_of(errors, &path, signal, &LINUX_SIGNALS),
            Some(_) => {}
        }
    }
}

fn validate_handler(errors: &mut FieldErrors, path: &Path<'_>, handler: &Value, grace_period: Option<i64>) {
    let mut first = true;
    for sort in HANDLERS {
        let Some(action) = present(handler, sort) else { continue };
        let path = path.child(sort);
        if !first {
            errors.forbidden(&path, "may not specify more than 1 handler type");
            continue;
        }
        first = false;
        match sort {
            "exec" => rules::required(errors, &path, action, &["command"]),
            "httpGet" => validate_http_get(errors, &path, action),
            "sleep" => validate_sleep(errors, &path, number(action, "seconds"), grace_period),
            _ => validate_port(errors, &path.child("port"), &action["port"]),
        }
    }
    if first {
        errors.required(path, "must specify a handler type");
    }
}

fn validate_http_get(errors: &mut FieldErrors, path: &Path<'_>, action: &Value) {
    rules::required(errors, path, action, &["path"]);
    validate_port(errors, &path.child("port"), &action["port"]);
    rules::one_of(errors, &path.child("scheme"), text(action, "scheme"), &["HTTP", "HTTPS"]);
    for header in list(action, "httpHeaders") {
        let name = text(header, "name");
        format::report(errors, &path.child("httpHeaders"), name, format::is_http_header_name(name));
    }
}

fn validate_sleep(errors: &mut FieldErrors, path: &Path<'_>, seconds: i64, grace_period: Option<i64>) {
    if let Some(period) = grace_period
        && !(0..=period).contains(&seconds)
    {
        let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({period})");
        errors.invalid(path, seconds, &detail);
    }
}

/// What is wrong with a port by number or by name.
pub fn validate_port(errors: &mut FieldErrors, path: &Path<'_>, port: &Value) {
    if let Value::String(name) = port {
        return format::report(errors, path, name, format::is_port_name(name));
    }
    let port = port.as_i64().unwrap_or_default();
    for problem in format::is_port_number(port) {
        errors.invalid(path, port, &problem);
    }
}

/// The signals of Linux, sorted.
const LINUX_SIGNALS: [&str; 65] = [
    "SIGABRT",
    "SIGALRM",
    "SIGBUS",
    "SIGCHLD",
    "SIGCLD",
    "SIGCONT",
    "SIGFPE",
    "SIGHUP",
    "SIGILL",
    "SIGINT",
    "SIGIO",
    "SIGIOT",
    "SIGKILL",
    "SIGPIPE",
    "SIGPOLL",
    "SIGPROF",
    "SIGPWR",
    "SIGQUIT",
    "SIGRTMAX",
    "SIGRTMAX-1",
    "SIGRTMAX-10",
    "SIGRTMAX-11",
    "SIGRTMAX-12",
    "SIGRTMAX-13",
    "SIGRTMAX-14",
    "SIGRTMAX-2",
    "SIGRTMAX-3",
    "SIGRTMAX-4",
    "SIGRTMAX-5",
    "SIGRTMAX-6",
    "SIGRTMAX-7",
    "SIGRTMAX-8",
    "SIGRTMAX-9",
    "SIGRTMIN",
    "SIGRTMIN+1",
    "SIGRTMIN+10",
    "SIGRTMIN+11",
    "SIGRTMIN+12",
    "SIGRTMIN+13",
    "SIGRTMIN+14",
    "SIGRTMIN+15",
    "SIGRTMIN+2",
    "SIGRTMIN+3",
    "SIGRTMIN+4",
    "SIGRTMIN+5",
    "SIGRTMIN+6",
    "SIGRTMIN+7",
    "SIGRTMIN+8",
    "SIGRTMIN+9",
    "SIGSEGV",
    "SIGSTKFLT",
    "SIGSTOP",
    "SIGSYS",
    "SIGTERM",
    "SIGTRAP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGUSR1",
    "SIGUSR2",
    "SIGVTALRM",
    "SIGWINCH",
    "SIGXCPU",
    "SIGXFSZ",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::workloads::testing::{assert_lines, container_errors};

    #[test]
    fn probes_are_validated() {
        let cases = [
            (
                json!({"readinessProbe": {"httpGet": {"path": "/", "port": 80, "scheme": "HTTP"}, "successThreshold": 3}}),
                vec![],
            ),
            (
                json!({"livenessProbe": {"successThreshold": 2}}),
                vec![
                    "spec.containers[0].livenessProbe: Required value: must specify a handler type",
                    "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
                ],
            ),
            (
                json!({"livenessProbe": {"exec": {}, "tcpSocket": {"port": 1}, "initialDelaySeconds": -1, "terminationGracePeriodSeconds": 0}}),
                vec![
                    "spec.containers[0].livenessProbe.exec.command: Required value",
                    "spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
                    "spec.containers[0].livenessProbe.initialDelaySeconds: Invalid value: -1: must be greater than or equal to 0",
                    "spec.containers[0].livenessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0",
                ],
            ),
            (
                json!({"readinessProbe": {"grpc": {"port": 0, "service": ""}, "terminationGracePeriodSeconds": 1}}),
                vec![
                    "spec.containers[0].readinessProbe.grpc.port: Invalid value: 0: must be between 1 and 65535, inclusive",
                    "spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 1: must not be set for readinessProbes",
                ],
            ),
            (
                json!({"startupProbe": {"httpGet": {"path": "/", "port": "a_b", "scheme": "FTP", "httpHeaders": [{"name": "a b", "value": ""}]}}}),
                vec![
                    "spec.containers[0].startupProbe.httpGet.port: Invalid value: \"a_b\": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
                    "spec.containers[0].startupProbe.httpGet.scheme: Unsupported value: \"FTP\": supported values: \"HTTP\", \"HTTPS\"",
                    "spec.containers[0].startupProbe.httpGet.httpHeaders: Invalid value: \"a b\": a valid HTTP header must consist of…",
                ],
            ),
        ];
        for (container, want) in cases {
            assert_lines(&container_errors(&container), &want, &container);
        }
    }

    #[test]
    fn hooks_are_validated() {
        for (lifecycle, want) in [
            (json!({"preStop": {"sleep": {"seconds": 30}}}), vec![]),
            (
                json!({"preStop": {"sleep": {"seconds": 31}}}),
                vec![
                    "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)",
                ],
            ),
            (
                json!({"postStart": {}}),
                vec!["spec.containers[0].lifecycle.postStart: Required value: must specify a handler type"],
            ),
            (
                json!({"stopSignal": "SIGTERM"}),
                vec![
                    "spec.containers[0].lifecycle.stopSignal: Forbidden: may not be set for containers with empty `spec.os.name`",
                ],
            ),
        ] {
            let container = json!({ "lifecycle": lifecycle });
            assert_lines(&container_errors(&container), &want, &container);
        }
    }
}
