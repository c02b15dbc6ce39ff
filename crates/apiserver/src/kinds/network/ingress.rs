//! Ingress: hosts and paths that lead to Services.

use serde_json::Value;

use super::service::validate::validate_host;
use crate::{
    kinds::{Strategy, go, strategy::Generation},
    machinery::{
        FieldErrors, Path, address,
        fields::{list, number, present, text, texts},
        format, metadata, object,
    },
};

/// The behaviour of Ingresses.
pub static STRATEGY: Strategy = Strategy {
    validate_create,
    validate_update,
    validate_status,
    warnings,
    generation: Generation::Spec,
    status: true,
    ..Strategy::PLAIN
};

const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";
const SPEC: Path<'static> = Path::new("spec");

/// What older objects may keep.
#[derive(Clone, Copy)]
struct Allowed {
    invalid_secret_names: bool,
    invalid_rules_of_wildcard_hosts: bool,
}

const STRICT: Allowed = Allowed { invalid_secret_names: false, invalid_rules_of_wildcard_hosts: false };

fn validate_create(new: &Value, errors: &mut FieldErrors) {
    validate(new, STRICT, errors);
    let annotation = object::annotations(new).and_then(|annotations| annotations.get(CLASS_ANNOTATION));
    let class = new["spec"]["ingressClassName"].as_str();
    if let (Some(annotation), Some(class)) = (annotation.and_then(Value::as_str), class)
        && annotation != class
    {
        let path = Path::new("annotations");
        let detail = "must match `ingressClassName` when both are specified";
        errors.invalid(&path.child(CLASS_ANNOTATION), annotation, detail);
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate_update(new, old, errors);
    let spec = &old["spec"];
    let allowed = Allowed {
        invalid_secret_names: list(spec, "tls")
            .iter()
            .map(|tls| text(tls, "secretName"))
            .any(|name| !name.is_empty() && !format::is_dns1123_subdomain(name).is_empty()),
        invalid_rules_of_wildcard_hosts: list(spec, "rules")
            .iter()
            .filter(|rule| text(rule, "host").contains('*'))
            .any(|rule| {
                let mut errors = FieldErrors::new();
                validate_rule(&mut errors, &SPEC, rule);
                !errors.is_empty()
            }),
    };
    metadata::validate(new, true, STRATEGY.name_rule, errors);
    validate(new, allowed, errors);
}

fn validate(new: &Value, allowed: Allowed, errors: &mut FieldErrors) {
    let spec = &new["spec"];
    let (rules, backend) = (list(spec, "rules"), present(spec, "defaultBackend"));
    if rules.is_empty() && backend.is_none() {
        go::invalid(errors, &SPEC, "null", "either `defaultBackend` or `rules` must be specified");
    }
    if let Some(backend) = backend {
        validate_backend(errors, &SPEC.child("defaultBackend"), backend);
    }
    let path = SPEC.child("rules");
    for (index, rule) in rules.iter().enumerate() {
        let path = path.index(index);
        let host = text(rule, "host");
        let is_wildcard = host.contains('*');
        if !host.is_empty() {
            let path = path.child("host");
            if address::parse(host).is_some() {
                errors.invalid(&path, host, "must be a DNS name, not an IP address");
            }
            format::report(errors, &path, host, host_problems(host));
        }
        if !(is_wildcard && allowed.invalid_rules_of_wildcard_hosts) {
            validate_rule(errors, &path, rule);
        }
    }
    let path = SPEC.child("tls");
    for (index, tls) in list(spec, "tls").iter().enumerate() {
        let path = path.index(index);
        let hosts = path.child("hosts");
        for (index, host) in texts(tls, "hosts").enumerate() {
            format::report(errors, &hosts.index(index), host, host_problems(host));
        }
        let secret = text(tls, "secretName");
        if !allowed.invalid_secret_names && !secret.is_empty() {
            format::report(errors, &path.child("secretName"), secret, format::is_dns1123_subdomain(secret));
        }
    }
    if let Some(class) = spec["ingressClassName"].as_str() {
        format::report(errors, &SPEC.child("ingressClassName"), class, format::is_dns1123_subdomain(class));
    }
}

fn host_problems(host: &str) -> Vec<String> {
    if host.contains('*') {
        format::is_wildcard_dns1123_subdomain(host)
    } else {
        format::is_dns1123_subdomain(host)
    }
}

fn validate_rule(errors: &mut FieldErrors, path: &Path<'_>, rule: &Value) {
    let Some(http) = present(rule, "http") else { return };
    let path = path.child("http");
    let path = path.child("paths");
    let paths = list(http, "paths");
    if paths.is_empty() {
        errors.required(&path, "");
    }
    for (index, value) in paths.iter().enumerate() {
        validate_path(errors, &path.index(index), value);
    }
}

fn validate_path(errors: &mut FieldErrors, path: &Path<'_>, value: &Value) {
    let (written, at) = (text(value, "path"), path.child("path"));
    let must_be_absolute = "must be an absolute path";
    match value["pathType"].as_str() {
        None => return errors.required(&path.child("pathType"), "pathType must be specified"),
        Some("Exact" | "Prefix") => {
            if !written.starts_with('/') {
                errors.invalid(&at, written, must_be_absolute);
            }
            for sequence in ["//", "/./", "/../", "%2f", "%2F"] {
                if written.contains(sequence) {
                    errors.invalid(&at, written, &format!("must not contain '{sequence}'"));
                }
            }
            for suffix in ["/..", "/."] {
                if written.ends_with(suffix) {
                    errors.invalid(&at, written, &format!("cannot end with '{suffix}'"));
                }
            }
        }
        Some("ImplementationSpecific") => {
            if !written.is_empty() && !written.starts_with('/') {
                errors.invalid(&at, written, must_be_absolute);
            }
        }
        Some(other) => {
            let types = ["Exact", "ImplementationSpecific", "Prefix"];
            errors.not_supported(&path.child("pathType"), other, &types);
        }
    }
    validate_backend(errors, &path.child("backend"), &value["backend"]);
}

fn validate_backend(errors: &mut FieldErrors, path: &Path<'_>, backend: &Value) {
    match (present(backend, "resource"), present(backend, "service")) {
        (Some(_), Some(_)) => errors.invalid(path, "", "cannot set both resource and service backends"),
        (None, None) => errors.invalid(path, "", "resource or service backend is required"),
        (Some(resource), None) => validate_reference(errors, &path.child("resource"), resource),
        (None, Some(service)) => {
            let at = path.child("service");
            match text(service, "name") {
                "" => errors.required(&at.child("name"), ""),
                name => format::report(errors, &at.child("name"), name, format::is_dns1123_label(name)),
            }
            let port_path = at.child("port");
            match (text(&service["port"], "name"), number(&service["port"], "number")) {
                ("", 0) => errors.required(path, "port name or number is required"),
                ("", number) => {
                    for problem in format::is_port_number(number) {
                        errors.invalid(&port_path.child("number"), number, &problem);
                    }
                }
                (name, 0) => {
                    format::report(errors, &port_path.child("name"), name, format::is_port_name(name));
                }
                _ => errors.invalid(path, "", "cannot set both port name & port number"),
            }
        }
    }
}

/// What is wrong with a reference to an object of any kind.
pub(super) fn validate_reference(errors: &mut FieldErrors, path: &Path<'_>, reference: &Value) {
    if let Some(group) = reference["apiGroup"].as_str() {
        format::report(errors, &path.child("apiGroup"), group, format::is_dns1123_subdomain(group));
    }
    for field in ["kind", "name"] {
        match text(reference, field) {
            "" => errors.required(&path.child(field), &format!("{field} is required")),
            name => format::report(errors, &path.child(field), name, format::is_path_segment_name(name)),
        }
    }
}

fn validate_status(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate_update(new, old, errors);
    let status = Path::new("status");
    let balancer = status.child("loadBalancer");
    let path = balancer.child("ingress");
    let old_ingresses = list(&old["status"]["loadBalancer"], "ingress");
    let old_ips: Vec<&str> = old_ingresses.iter().map(|ingress| text(ingress, "ip")).collect();
    for (index, ingress) in list(&new["status"]["loadBalancer"], "ingress").iter().enumerate() {
        let path = path.index(index);
        let ip = text(ingress, "ip");
        if !ip.is_empty() {
            address::validate_legacy(errors, &path.child("ip"), ip, &old_ips);
        }
        validate_host(errors, &path.child("hostname"), text(ingress, "hostname"));
    }
}

fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let has_annotation =
        object::annotations(new).is_some_and(|annotations| annotations.contains_key(CLASS_ANNOTATION));
    if old.is_none() && has_annotation && new["spec"]["ingressClassName"].is_null() {
        let quoted = crate::machinery::go_quoted(CLASS_ANNOTATION);
        return vec![format!(
            "annotation {quoted} is deprecated, please use 'spec.ingressClassName' instead"
        )];
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::cases;

    fn ingress(spec: Value) -> Value {
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": spec})
    }

    fn with_path(path: Value) -> Value {
        let backend = json!({"service": {"name": "s", "port": {"number": 80}}});
        let path = cases::merged(json!({"path": "/", "pathType": "Prefix", "backend": backend}), &path);
        ingress(json!({"rules": [{"host": "a.example.com", "http": {"paths": [path]}}]}))
    }

    #[test]
    fn rules_and_backends_are_validated() {
        let at = "spec.rules[0].http.paths[0]";
        let form = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
        for (object, want) in [
            (with_path(json!({})), vec![]),
            (
                ingress(json!({})),
                vec!["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified".to_owned()],
            ),
            (
                with_path(json!({"path": "rel/../x/.."})),
                vec![
                    format!("{at}.path: Invalid value: \"rel/../x/..\": must be an absolute path"),
                    format!("{at}.path: Invalid value: \"rel/../x/..\": must not contain '/../'"),
                    format!("{at}.path: Invalid value: \"rel/../x/..\": cannot end with '/..'"),
                ],
            ),
            (
                with_path(json!({"pathType": null})),
                vec![format!("{at}.pathType: Required value: pathType must be specified")],
            ),
            (
                with_path(json!({"pathType": "Regex"})),
                vec![format!("{at}.pathType: Unsupported value: \"Regex\": supported values: \"Exact\", \"ImplementationSpecific\", \"Prefix\"")],
            ),
            (
                with_path(json!({"backend": {"service": {"port": {"number": null}}}})),
                vec![format!("{at}.backend: Required value: port name or number is required")],
            ),
            (
                with_path(json!({"backend": {"service": null}})),
                vec![format!("{at}.backend: Invalid value: \"\": resource or service backend is required")],
            ),
            (
                with_path(json!({"backend": {"service": null, "resource": {"kind": "K", "name": ""}}})),
                vec![format!("{at}.backend.resource.name: Required value: name is required")],
            ),
            (
                ingress(json!({"rules": [{"host": "Bad_Host"}, {"host": "*.*"}, {"host": "1.2.3.4", "http": {"paths": []}}]})),
                vec![
                    format!("spec.rules[0].host: Invalid value: \"Bad_Host\": {form}"),
                    "spec.rules[1].host: Invalid value: \"*.*\": a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character".to_owned(),
                    "spec.rules[2].host: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address".to_owned(),
                    "spec.rules[2].http.paths: Required value".to_owned(),
                ],
            ),
        ] {
            assert_eq!(cases::wrong(object.clone()), want, "{object}");
        }
    }

    #[test]
    fn the_old_annotation_is_warned_about() {
        let mut sent = with_path(json!({}));
        sent["metadata"]["annotations"] = json!({"kubernetes.io/ingress.class": "a"});
        assert_eq!(
            cases::warnings(sent.clone()),
            [
                "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"
            ]
        );
        sent["spec"]["ingressClassName"] = "b".into();
        assert_eq!(
            cases::wrong(sent),
            [
                "annotations.kubernetes.io/ingress.class: Invalid value: \"a\": must match `ingressClassName` when both are specified"
            ]
        );
    }
}
