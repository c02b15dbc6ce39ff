//! What is wrong with the ports of a Service.

use std::collections::HashSet;

use serde_json::Value;

use super::type_of;
use crate::{
    kinds::go,
    machinery::{
        FieldErrors, Path,
        fields::{number, text},
        format,
    },
};

const SPEC: Path<'static> = Path::new("spec");

/// What is wrong with each port by itself.
pub(super) fn validate_ports(ports: &[Value], errors: &mut FieldErrors) {
    let path = SPEC.child("ports");
    let mut names = HashSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        let name = text(port, "name");
        if name.is_empty() {
            if ports.len() > 1 {
                errors.required(&path.child("name"), "");
            }
        } else {
            format::report(errors, &path.child("name"), name, format::is_dns1123_label(name));
            if !names.insert(name) {
                errors.duplicate(&path.child("name"), name);
            }
        }
        let port_number = number(port, "port");
        for problem in format::is_port_number(port_number) {
            errors.invalid(&path.child("port"), port_number, &problem);
        }
        validate_protocol(errors, &path.child("protocol"), text(port, "protocol"));
        let target = path.child("targetPort");
        match &port["targetPort"] {
            Value::String(name) => format::report(errors, &target, name, format::is_port_name(name)),
            other => {
                let port_number = other.as_i64().unwrap_or_default();
                for problem in format::is_port_number(port_number) {
                    errors.invalid(&target, port_number, &problem);
                }
            }
        }
        if let Some(protocol) = port["appProtocol"].as_str() {
            let problems = format::is_qualified_name(protocol);
            format::report(errors, &path.child("appProtocol"), protocol, problems);
        }
    }
}

/// What is wrong with the protocol of a port.
pub(crate) fn validate_protocol(errors: &mut FieldErrors, path: &Path<'_>, protocol: &str) {
    match protocol {
        "" => errors.required(path, ""),
        "TCP" | "UDP" | "SCTP" => {}
        other => errors.not_supported(path, other, &["SCTP", "TCP", "UDP"]),
    }
}

/// What is wrong with ports beside each other, and for the type of the Service.
pub(super) fn validate_repeated_ports(new: &Value, ports: &[Value], errors: &mut FieldErrors) {
    let path = SPEC.child("ports");
    if type_of(new) == "ClusterIP" {
        for (index, _) in ports.iter().enumerate().filter(|(_, port)| number(port, "nodePort") != 0) {
            let path = path.index(index);
            errors.forbidden(&path.child("nodePort"), "may not be used when `type` is 'ClusterIP'");
        }
    }
    let mut seen = HashSet::new();
    for (index, port) in ports.iter().enumerate() {
        let node_port = number(port, "nodePort");
        if node_port != 0 && !seen.insert((text(port, "protocol"), node_port)) {
            let path = path.index(index);
            errors.duplicate(&path.child("nodePort"), node_port);
        }
    }
    let mut seen = HashSet::new();
    for (index, port) in ports.iter().enumerate() {
        let port_number = number(port, "port");
        if !seen.insert((text(port, "protocol"), port_number)) {
            let written = go::structure(&[
                ("Name", "".into()),
                ("Protocol", go::text(port, "protocol")),
                ("AppProtocol", Value::Null),
                ("Port", port_number.into()),
                ("TargetPort", 0.into()),
                ("NodePort", 0.into()),
            ]);
            go::duplicate(errors, &path.index(index), &written);
        }
    }
}
