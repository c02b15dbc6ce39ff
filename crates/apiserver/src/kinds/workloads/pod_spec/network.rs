//! A Pod's names and addresses: its hostname, how it resolves names, what its hosts file says.

use serde_json::Value;

use super::{rules, visit_containers};
use crate::machinery::{
    FieldErrors, Path, address,
    fields::{flag, list, number, present, text, texts},
    format,
};

/// What is wrong with how a Pod resolves names.
pub fn validate_dns(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value) {
    const SERVERS_MAX: usize = 3;
    const SEARCHES_MAX: usize = 32;
    const SEARCHES_LENGTH_MAX: usize = 2048;
    let path = path.child("dnsConfig");
    let config = present(spec, "dnsConfig");
    if text(spec, "dnsPolicy") == "None" {
        match config {
            None => return errors.required(&path, "must provide `dnsConfig` when `dnsPolicy` is None"),
            Some(config) if list(config, "nameservers").is_empty() => {
                let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
                return errors.required(&path.child("nameservers"), detail);
            }
            Some(_) => {}
        }
    }
    let Some(config) = config else { return };
    let servers = list(config, "nameservers");
    let servers_path = path.child("nameservers");
    if servers.len() > SERVERS_MAX {
        let detail = format!("must not have more than {SERVERS_MAX} nameservers");
        errors.invalid(&servers_path, servers.to_vec(), &detail);
    }
    for (index, server) in texts(config, "nameservers").enumerate() {
        address::validate_legacy(errors, &servers_path.index(index), server, &[]);
    }
    let searches = list(config, "searches");
    let searches_path = path.child("searches");
    if searches.len() > SEARCHES_MAX {
        let detail = format!("must not have more than {SEARCHES_MAX} search paths");
        errors.invalid(&searches_path, searches.to_vec(), &detail);
    }
    let length: usize = texts(config, "searches").map(|search| search.len() + 1).sum();
    if length > SEARCHES_LENGTH_MAX + 1 {
        let detail = format!(
            "must not have more than {SEARCHES_LENGTH_MAX} characters (including spaces) in the search list"
        );
        errors.invalid(&searches_path, searches.to_vec(), &detail);
    }
    for (index, search) in texts(config, "searches").enumerate().filter(|(_, search)| *search != ".") {
        let search = search.strip_suffix('.').unwrap_or(search);
        let problems = format::is_dns1123_subdomain_with_underscore(search);
        format::report(errors, &searches_path.index(index), search, problems);
    }
    let options = path.child("options");
    for (index, option) in list(config, "options").iter().enumerate() {
        if text(option, "name").is_empty() {
            errors.required(&options.index(index), "must not be empty");
        }
    }
}

/// What is wrong with the lines of a Pod's hosts file.
pub fn validate_host_aliases(errors: &mut FieldErrors, path: &Path<'_>, aliases: &[Value]) {
    for (index, alias) in aliases.iter().enumerate() {
        let path = path.index(index);
        address::validate_legacy(errors, &path.child("ip"), text(alias, "ip"), &[]);
        let names = path.child("hostnames");
        for (index, name) in texts(alias, "hostnames").enumerate() {
            rules::object_name(errors, &names.index(index), name);
        }
    }
}

/// On the network of the node a port of the container is a port of the node. In a template it may be left out.
pub fn validate_host_network(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value, in_pod: bool) {
    if !flag(spec, "hostNetwork") {
        return;
    }
    let path = path.child("containers");
    for (index, container) in list(spec, "containers").iter().enumerate() {
        let path = path.index(index);
        let path = path.child("ports");
        for (index, port) in list(container, "ports").iter().enumerate() {
            let (host, own) = (number(port, "hostPort"), number(port, "containerPort"));
            if (in_pod || host != 0) && host != own {
                let detail = "must match `containerPort` when `hostNetwork` is true";
                errors.invalid(&path.index(index).child("hostPort"), host, detail);
            }
        }
    }
}

/// What does not go with users of the Pod's own.
pub fn validate_host_users(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value) {
    const DETAIL: &str = "when `hostUsers` is false";
    if spec["hostUsers"] != false {
        return;
    }
    for (field, named) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
        if flag(spec, field) {
            errors.forbidden(&path.child(named), DETAIL);
        }
    }
    visit_containers(path, spec, |path, container| {
        if !list(container, "volumeDevices").is_empty() {
            errors.forbidden(&path.child("volumeDevices"), DETAIL);
        }
    });
}

/// What is wrong with a hostname that is given whole.
pub fn validate_hostname_override(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value) {
    const LENGTH_MAX: usize = 64;
    let Some(name) = present(spec, "hostnameOverride").and_then(Value::as_str) else { return };
    let path = path.child("hostnameOverride");
    for (field, detail) in [
        ("setHostnameAsFQDN", "may not be specified when setHostnameAsFQDN is true"),
        ("hostNetwork", "may not be specified when hostNetwork is true"),
    ] {
        if flag(spec, field) {
            errors.forbidden(&path, detail);
        }
    }
    if name.len() > LENGTH_MAX {
        errors.too_long(&path, LENGTH_MAX);
    }
    rules::object_name(errors, &path, name);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::workloads::testing::{assert_lines, container, spec_errors};

    #[test]
    fn names_and_addresses_are_validated() {
        for (spec, want) in [
            (
                json!({"hostname": "h", "subdomain": "s", "dnsConfig": {"searches": [".", "a.b."], "nameservers": ["1.2.3.4"]}}),
                vec![],
            ),
            (
                json!({"hostname": "H.x"}),
                vec!["spec.hostname: Invalid value: \"H.x\": a lowercase RFC 1123 label must…"],
            ),
            (
                json!({"dnsPolicy": "None"}),
                vec!["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"],
            ),
            (
                json!({"dnsPolicy": "None", "dnsConfig": {}}),
                vec![
                    "spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver when `dnsPolicy` is None",
                ],
            ),
            (
                json!({"dnsPolicy": "x"}),
                vec![
                    "spec.dnsPolicy: Unsupported value: \"x\": supported values: \"ClusterFirstWithHostNet\", \"ClusterFirst\", \"Default\", \"None\"",
                ],
            ),
            (
                json!({"dnsConfig": {"nameservers": ["1.1.1.1", "1.1.1.2", "1.1.1.3", "x"], "searches": ["_a", "B"], "options": [{"name": ""}]}}),
                vec![
                    "spec.dnsConfig.nameservers: Invalid value: [\"1.1.1.1\",\"1.1.1.2\",\"1.1.1.3\",\"x\"]: must not have more than 3 nameservers",
                    "spec.dnsConfig.nameservers[3]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
                    "spec.dnsConfig.searches[1]: Invalid value: \"B\": a lowercase RFC 1123 subdomain must…",
                    "spec.dnsConfig.options[0]: Required value: must not be empty",
                ],
            ),
            (
                json!({"hostAliases": [{"ip": "x", "hostnames": ["a.b", "_"]}]}),
                vec![
                    "spec.hostAliases[0].ip: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
                    "spec.hostAliases[0].hostnames[1]: Invalid value: \"_\": a lowercase RFC 1123 subdomain must…",
                ],
            ),
            (
                json!({"hostnameOverride": "a", "hostNetwork": true, "setHostnameAsFQDN": true}),
                vec![
                    "spec.hostnameOverride: Forbidden: may not be specified when setHostnameAsFQDN is true",
                    "spec.hostnameOverride: Forbidden: may not be specified when hostNetwork is true",
                ],
            ),
            (
                json!({"hostUsers": false, "hostPID": true, "hostNetwork": true}),
                vec![
                    "spec.hostNetwork: Forbidden: when `hostUsers` is false",
                    "spec.HostPID: Forbidden: when `hostUsers` is false",
                ],
            ),
            (
                json!({"hostNetwork": true, "containers": [container(&json!({"ports": [{"containerPort": 1, "hostPort": 2, "protocol": "TCP"}]}))]}),
                vec![
                    "spec.containers[0].ports[0].hostPort: Invalid value: 2: must match `containerPort` when `hostNetwork` is true",
                ],
            ),
        ] {
            assert_lines(&spec_errors(&spec), &want, &spec);
        }
    }
}
