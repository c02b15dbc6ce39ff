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
    match port {
        Value::String(name) => format::report(errors, path, name, format::is_port_name(name)),
        _ => {
            let port = port.as_i64().unwrap_or_default();
            for problem in format::is_port_number(port) {
                errors.invalid(path, port, &problem);
            }
        }
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
