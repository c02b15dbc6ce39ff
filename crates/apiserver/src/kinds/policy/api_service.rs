//! APIService: who serves a version of a group, and with which priority.

use serde_json::{Value, json};

use crate::{
    kinds::Strategy,
    machinery::{
        FieldErrors, Path,
        fields::{fill, flag, is_set, list, number, object_mut, present, text},
        format, go_quoted, metadata, object,
    },
};

/// The behaviour of APIServices.
pub static STRATEGY: Strategy = Strategy {
    name_rule: format::path_segment_name,
    default: |service| {
        if let Some(service) = object_mut(object::child_mut(service, "spec"), "service") {
            fill(service, "port", 443);
        }
    },
    validate_create: validate,
    validate_update,
    validate_status,
    stamp: |new, old, now| {
        // What this server serves itself is there at once.
        if old.is_null() && present(&new["spec"], "service").is_none() {
            new["status"] = json!({"conditions": [{
                "type": "Available", "status": "True", "lastTransitionTime": now, "reason": "Local",
                "message": "Local APIServices are always available",
            }]});
        }
    },
    status: true,
    unconditional_update: false,
    ..Strategy::PLAIN
};

const GROUP_PRIORITY_MAX: i64 = 20_000;
const VERSION_PRIORITY_MAX: i64 = 1000;

fn validate(new: &Value, errors: &mut FieldErrors) {
    let (path, spec) = (Path::new("spec"), &new["spec"]);
    let (group, version) = (text(spec, "group"), text(spec, "version"));
    let (name, needed) = (object::name(new), format!("{version}.{group}"));
    if !name.is_empty() && format::is_path_segment_name(name).is_empty() && name != needed {
        let metadata = Path::new("metadata");
        let detail = format!("must be `spec.version+\".\"+spec.group`: {}", go_quoted(&needed));
        errors.invalid(&metadata.child("name"), name, &detail);
    }
    if group.is_empty() {
        if version != "v1" {
            let detail = "only v1 may have an empty group and it better be legacy kube";
            errors.required(&path.child("group"), detail);
        }
    } else {
        format::report(errors, &path.child("group"), group, format::is_dns1123_subdomain(group));
    }
    format::report(errors, &path.child("version"), version, format::is_dns1035_label(version));
    for (field, most) in
        [("groupPriorityMinimum", GROUP_PRIORITY_MAX), ("versionPriority", VERSION_PRIORITY_MAX)]
    {
        let priority = number(spec, field);
        if !(1..=most).contains(&priority) {
            let detail = format!("must be positive and less than {most}");
            errors.invalid(&path.child(field), priority, &detail);
        }
    }
    let skips = flag(spec, "insecureSkipTLSVerify");
    let has_bundle = is_set(spec, "caBundle");
    let skip_path = path.child("insecureSkipTLSVerify");
    let Some(service) = present(spec, "service") else {
        if has_bundle {
            let size = format!("{} bytes", decoded_length(text(spec, "caBundle")));
            errors.invalid(&path.child("caBundle"), size, "local APIServices may not have a caBundle");
        }
        if skips {
            errors.invalid(&skip_path, true, "local APIServices may not have insecureSkipTLSVerify");
        }
        return;
    };
    let service_path = path.child("service");
    for field in ["namespace", "name"] {
        if text(service, field).is_empty() {
            errors.required(&service_path.child(field), "");
        }
    }
    let port = number(service, "port");
    let problems = format::is_port_number(port);
    if !problems.is_empty() {
        let detail = format!("port is not valid: {}", problems.join(", "));
        errors.invalid(&service_path.child("port"), port, &detail);
    }
    if skips && has_bundle {
        errors.invalid(&skip_path, true, "may not be true if caBundle is present");
    }
}

fn decoded_length(encoded: &str) -> usize {
    base64::Engine::decode(&base64::prelude::BASE64_STANDARD, encoded).map_or(0, |bytes| bytes.len())
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate_update(new, old, errors);
    metadata::validate(new, false, STRATEGY.name_rule, errors);
    validate(new, errors);
}

fn validate_status(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate_update(new, old, errors);
    let path = Path::new("status");
    let path = path.child("conditions");
    for (index, condition) in list(&new["status"], "conditions").iter().enumerate() {
        let status = text(condition, "status");
        if !matches!(status, "True" | "False" | "Unknown") {
            let path = path.index(index);
            errors.not_supported(&path.child("status"), status, &["True", "False", "Unknown"]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::cases;

    fn service() -> Value {
        json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1.a.b"},
            "spec": {"group": "a.b", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10}})
    }

    #[test]
    fn what_is_local_is_available() {
        let stored = cases::created(service()).0;
        assert_eq!(stored["status"]["conditions"][0]["reason"], "Local");
        let remote = cases::merged(service(), &json!({"spec": {"service": {"name": "n", "namespace": "m"}}}));
        let stored = cases::created(remote).0;
        assert_eq!(stored["spec"]["service"]["port"], 443);
        assert!(stored["status"]["conditions"].is_null());
    }

    #[test]
    fn names_and_priorities_are_validated() {
        cases::check_wrong(
            &service(),
            &[
                (json!({}), &[]),
                (
                    json!({"metadata": {"name": "x"}, "spec": {"versionPriority": 0, "groupPriorityMinimum": 20001}}),
                    &[
                        "metadata.name: Invalid value: \"x\": must be `spec.version+\".\"+spec.group`: \"v1.a.b\"",
                        "spec.groupPriorityMinimum: Invalid value: 20001: must be positive and less than 20000",
                        "spec.versionPriority: Invalid value: 0: must be positive and less than 1000",
                    ],
                ),
                (
                    json!({"spec": {"insecureSkipTLSVerify": true, "caBundle": "AAAA"}}),
                    &[
                        "spec.caBundle: Invalid value: \"3 bytes\": local APIServices may not have a caBundle",
                        "spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have insecureSkipTLSVerify",
                    ],
                ),
                (
                    json!({"spec": {"service": {"port": 0, "name": "n"}}}),
                    &[
                        "spec.service.namespace: Required value",
                        "spec.service.port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive",
                    ],
                ),
            ],
        );
    }
}
