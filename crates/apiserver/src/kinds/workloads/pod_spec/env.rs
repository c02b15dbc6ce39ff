//! The environment of a container: variables, where their values come from, and sources of many at once.

use std::collections::HashMap;

use serde_json::Value;

use super::{aggregate::quantity, rules};
use crate::machinery::{
    FieldErrors, Path,
    fields::{list, present, text},
    format,
};

/// The fields of a Pod that a variable may show.
const FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// The labels of fields that the API knows for Pods, without subscripts; others cannot even be read.
const KNOWN_LABELS: [&str; 14] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.phase",
    "status.podIP",
    "status.podIPs",
];
/// The resources of a container that a variable or file may show, besides huge pages.
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
const BYTE_UNITS: [&str; 13] =
    ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

/// What is wrong with the variables of a container.
pub fn validate(errors: &mut FieldErrors, path: &Path<'_>, variables: &[Value]) {
    for (index, variable) in variables.iter().enumerate() {
        let path = path.index(index);
        match text(variable, "name") {
            "" => errors.required(&path.child("name"), ""),
            name => {
                let problems = format::is_relaxed_environment_variable_name(name);
                format::report(errors, &path.child("name"), name, problems);
            }
        }
        if let Some(source) = present(variable, "valueFrom") {
            validate_source(errors, &path.child("valueFrom"), source, text(variable, "value"));
        }
    }
}

fn validate_source(errors: &mut FieldErrors, path: &Path<'_>, source: &Value, value: &str) {
    let mut found = 0;
    if let Some(field) = present(source, "fieldRef") {
        found += 1;
        validate_field_reference(errors, &path.child("fieldRef"), field, &FIELDS);
    }
    if let Some(resource) = present(source, "resourceFieldRef") {
        found += 1;
        validate_resource_reference(errors, &path.child("resourceFieldRef"), resource, false);
    }
    for field in ["configMapKeyRef", "secretKeyRef"] {
        if let Some(key) = present(source, field) {
            found += 1;
            validate_key(errors, &path.child(field), key);
        }
    }
    if let Some(file) = present(source, "fileKeyRef") {
        found += 1;
        validate_file_key(errors, &path.child("fileKeyRef"), file);
    }
    if found == 0 {
        errors.invalid(
            path,
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        );
    } else if !value.is_empty() {
        errors.invalid(path, "", "may not be specified when `value` is not empty");
    } else if found > 1 {
        errors.invalid(path, "", "may not have more than one field specified at a time");
    }
}

/// What is wrong with a reference to a field of the Pod, of which `allowed` may be shown.
pub fn validate_field_reference(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    reference: &Value,
    allowed: &[&str],
) {
    let version = text(reference, "apiVersion");
    let field = text(reference, "fieldPath");
    for (name, value) in [("apiVersion", version), ("fieldPath", field)] {
        if value.is_empty() {
            errors.required(&path.child(name), "");
            return;
        }
    }
    let subscripted = field.strip_suffix("']").and_then(|rest| rest.split_once("['"));
    let subscripted = subscripted.filter(|(label, _)| !label.is_empty());
    let problem = match subscripted {
        _ if version != "v1" => Some(format!("unsupported pod version: {version}")),
        Some(("metadata.annotations" | "metadata.labels", _)) => None,
        Some(_) => Some(format!("field label does not support subscript: {field}")),
        None if field == "spec.host" || KNOWN_LABELS.contains(&field) => None,
        None => Some(format!("field label not supported: {field}")),
    };
    if let Some(problem) = problem {
        errors.invalid(&path.child("fieldPath"), field, &format!("error converting fieldPath: {problem}"));
        return;
    }
    match subscripted {
        Some(("metadata.annotations", key)) => rules::qualified_name(errors, path, &key.to_lowercase()),
        Some((_, key)) => rules::qualified_name(errors, path, key),
        None => {
            let label = if field == "spec.host" { "spec.nodeName" } else { field };
            if !allowed.contains(&label) {
                errors.not_supported(&path.child("fieldPath"), label, allowed);
            }
        }
    }
}

/// What is wrong with a reference to a resource of a container, which a file must name.
pub fn validate_resource_reference(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    reference: &Value,
    in_file: bool,
) {
    let resource = text(reference, "resource");
    let huge_pages = resource.starts_with("limits.hugepages-") || resource.starts_with("requests.hugepages-");
    if in_file && text(reference, "containerName").is_empty() {
        errors.required(&path.child("containerName"), "");
    } else if resource.is_empty() {
        errors.required(&path.child("resource"), "");
    } else if !huge_pages {
        rules::one_of(errors, &path.child("resource"), resource, &RESOURCES);
    }
    let divisor = &reference["divisor"];
    if quantity(divisor).signum() == 0 {
        return;
    }
    let what = match resource {
        "limits.cpu" | "requests.cpu" => {
            if !matches!(divisor.as_str(), Some("1" | "1m")) {
                let detail = "only divisor's values 1m and 1 are supported with the cpu resource";
                errors.invalid(&path.child("divisor"), resource, detail);
            }
            return;
        }
        "limits.memory" | "requests.memory" => "memory",
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => "local ephemeral storage",
        _ if huge_pages => "hugepages",
        _ => return,
    };
    if divisor.as_str().is_none_or(|divisor| !BYTE_UNITS.contains(&divisor)) {
        let units = BYTE_UNITS.join(", ");
        let detail = format!("only divisor's values {units} are supported with the {what} resource");
        errors.invalid(&path.child("divisor"), resource, &detail);
    }
}

/// A key of a ConfigMap or a Secret.
fn validate_key(errors: &mut FieldErrors, path: &Path<'_>, reference: &Value) {
    rules::object_name(errors, &path.child("name"), text(reference, "name"));
    match text(reference, "key") {
        "" => errors.required(&path.child("key"), ""),
        key => format::report(errors, &path.child("key"), key, format::is_config_map_key(key)),
    }
}

/// A variable in a file of a volume.
fn validate_file_key(errors: &mut FieldErrors, path: &Path<'_>, reference: &Value) {
    match text(reference, "key") {
        "" => errors.required(&path.child("key"), ""),
        key => {
            let problems = format::is_relaxed_environment_variable_name(key);
            format::report(errors, &path.child("key"), key, problems);
        }
    }
    rules::required_label(errors, &path.child("volumeName"), text(reference, "volumeName"));
    match text(reference, "path") {
        "" => errors.required(&path.child("path"), ""),
        file => rules::no_backsteps(errors, &path.child("path"), file),
    }
}

/// What is wrong with the sources of many variables at once. Their errors stand at the whole list.
pub fn validate_sources(errors: &mut FieldErrors, path: &Path<'_>, sources: &[Value]) {
    for (index, source) in sources.iter().enumerate() {
        let place = path.index(index);
        let prefix = text(source, "prefix");
        if !prefix.is_empty() {
            let problems = format::is_relaxed_environment_variable_name(prefix);
            format::report(errors, &place.child("prefix"), prefix, problems);
        }
        let mut found = 0;
        for field in ["configMapRef", "secretRef"] {
            let Some(reference) = present(source, field) else { continue };
            found += 1;
            let place = place.child(field);
            match text(reference, "name") {
                "" => errors.required(&place.child("name"), ""),
                name => {
                    let problems = format::dns1123_subdomain_name(name, true);
                    format::report(errors, &place.child("name"), name, problems);
                }
            }
        }
        match found {
            0 => errors.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"),
            1 => {}
            _ => errors.invalid(path, "", "may not have more than one field specified at a time"),
        }
    }
}

/// What is wrong with the volumes that variables are read from: they must be empty directories of the Pod.
pub fn validate_files(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value) {
    let uses_files = |container: &Value| {
        list(container, "env").iter().any(|variable| present(&variable["valueFrom"], "fileKeyRef").is_some())
    };
    // The last of several of one name counts.
    let volumes: HashMap<&str, &Value> =
        list(spec, "volumes").iter().map(|volume| (text(volume, "name"), volume)).collect();
    super::visit_containers(path, spec, |path, container| {
        if !uses_files(container) {
            return;
        }
        let path = path.child("env");
        for (index, variable) in list(container, "env").iter().enumerate() {
            let Some(reference) = present(&variable["valueFrom"], "fileKeyRef") else { continue };
            let name = text(reference, "volumeName");
            let place = path.index(index);
            let place = place.child("valueFrom");
            let place = place.child("fileKeyRef");
            let place = place.child("volumeName");
            match volumes.get(name) {
                None => errors.not_found(&place, name),
                Some(volume) if present(volume, "emptyDir").is_none() => {
                    errors.invalid(&place, name, "referenced volume must be of type emptyDir");
                }
                Some(_) => {}
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::workloads::testing::{assert_lines, container, container_errors, spec_errors};

    #[test]
    fn variables_have_one_value() {
        let from = |source| json!([{"name": "A", "valueFrom": source}]);
        let cases = [
            (
                json!([{"name": "A.b-c"}, {"name": ""}, {"name": "a=b"}]),
                vec![
                    "spec.containers[0].env[1].name: Required value",
                    "spec.containers[0].env[2].name: Invalid value: \"a=b\": a valid environment variable name must consist only of printable ASCII characters other than '='",
                ],
            ),
            (
                from(json!({})),
                vec![
                    "spec.containers[0].env[0].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
                ],
            ),
            (
                json!([{"name": "A", "value": "x", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}]),
                vec![
                    "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty",
                ],
            ),
            (
                from(
                    json!({"configMapKeyRef": {"name": "m", "key": "k"}, "secretKeyRef": {"name": "s", "key": "k"}}),
                ),
                vec![
                    "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not have more than one field specified at a time",
                ],
            ),
            (
                from(json!({"configMapKeyRef": {"name": "m", "key": "a/b"}})),
                vec![
                    "spec.containers[0].env[0].valueFrom.configMapKeyRef.key: Invalid value: \"a/b\": a valid config key must consist of…",
                ],
            ),
            (
                from(json!({"secretKeyRef": {"name": "s", "key": ""}})),
                vec!["spec.containers[0].env[0].valueFrom.secretKeyRef.key: Required value"],
            ),
        ];
        for (env, want) in cases {
            assert_lines(&container_errors(&json!({ "env": env })), &want, &env);
        }
    }

    #[test]
    fn variables_show_some_fields() {
        for (field, want) in [
            ("metadata.name", vec![]),
            ("metadata.labels['app']", vec![]),
            ("metadata.annotations['A/b']", vec![]),
            ("spec.host", vec![]),
            (
                "metadata.labels",
                vec![
                    "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: \"metadata.labels\": supported values: \"metadata.name\", \"metadata.namespace\", \"metadata.uid\", \"spec.nodeName\", \"spec.serviceAccountName\", \"status.hostIP\", \"status.hostIPs\", \"status.podIP\", \"status.podIPs\"",
                ],
            ),
            (
                "metadata.labels['a b']",
                vec![
                    "spec.containers[0].env[0].valueFrom.fieldRef: Invalid value: \"a b\": name part must consist of…",
                ],
            ),
            (
                "metadata.name['a']",
                vec![
                    "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"metadata.name['a']\": error converting fieldPath: field label does not support subscript: metadata.name['a']",
                ],
            ),
            (
                "spec.x",
                vec![
                    "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.x\": error converting fieldPath: field label not supported: spec.x",
                ],
            ),
            ("", vec!["spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Required value"]),
        ] {
            let env =
                json!([{"name": "A", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": field}}}]);
            assert_lines(&container_errors(&json!({ "env": env })), &want, &env);
        }
    }

    #[test]
    fn variables_show_resources() {
        for (reference, want) in [
            (json!({"resource": "limits.cpu", "divisor": "1m"}), vec![]),
            (json!({"resource": "limits.hugepages-2Mi", "divisor": "1Mi"}), vec![]),
            (
                json!({"resource": ""}),
                vec!["spec.containers[0].env[0].valueFrom.resourceFieldRef.resource: Required value"],
            ),
            (
                json!({"resource": "limits.x"}),
                vec![
                    "spec.containers[0].env[0].valueFrom.resourceFieldRef.resource: Unsupported value: \"limits.x\": supported values: \"limits.cpu\", \"limits.ephemeral-storage\", \"limits.memory\", \"requests.cpu\", \"requests.ephemeral-storage\", \"requests.memory\"",
                ],
            ),
            (
                json!({"resource": "limits.cpu", "divisor": "2"}),
                vec![
                    "spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor: Invalid value: \"limits.cpu\": only divisor's values 1m and 1 are supported with the cpu resource",
                ],
            ),
            (
                json!({"resource": "limits.memory", "divisor": "2Mi"}),
                vec![
                    "spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor: Invalid value: \"limits.memory\": only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the memory resource",
                ],
            ),
        ] {
            let env = json!([{"name": "A", "valueFrom": {"resourceFieldRef": reference}}]);
            assert_lines(&container_errors(&json!({ "env": env })), &want, &env);
        }
    }

    #[test]
    fn sources_of_many_variables_are_one_each() {
        for (sources, want) in [
            (json!([{"prefix": "P_", "configMapRef": {"name": "m"}}, {"secretRef": {"name": "s"}}]), vec![]),
            (
                json!([{}]),
                vec![
                    "spec.containers[0].envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`",
                ],
            ),
            (
                json!([{"configMapRef": {"name": ""}, "secretRef": {"name": "S"}}]),
                vec![
                    "spec.containers[0].envFrom[0].configMapRef.name: Required value",
                    "spec.containers[0].envFrom[0].secretRef.name: Invalid value: \"S\": a lowercase RFC 1123 subdomain must…",
                    "spec.containers[0].envFrom: Invalid value: \"\": may not have more than one field specified at a time",
                ],
            ),
        ] {
            assert_lines(&container_errors(&json!({ "envFrom": sources })), &want, &sources);
        }
    }

    #[test]
    fn files_of_variables_are_in_empty_directories() {
        let file = |volume: &str| json!({"name": "A", "valueFrom": {"fileKeyRef": {"key": "K", "path": "p", "volumeName": volume}}});
        let spec = json!({
            "volumes": [{"name": "v"}, {"name": "h", "hostPath": {"path": "/", "type": ""}}],
            "containers": [container(&json!({"env": [file("v"), file("h"), file("x")]}))],
        });
        assert_lines(
            &spec_errors(&spec),
            &[
                "spec.containers[0].env[1].valueFrom.fileKeyRef.volumeName: Invalid value: \"h\": referenced volume must be of type emptyDir",
                "spec.containers[0].env[2].valueFrom.fileKeyRef.volumeName: Not found: \"x\"",
            ],
            &spec,
        );
    }
}
