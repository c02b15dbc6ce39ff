//! What a Pod's spec means by leaving fields out, in Pods and in templates of them.

use serde_json::{Map, Value};

use super::{
    aggregate::{Amounts, amounts, container_resources},
    claim, image, resources,
};
use crate::machinery::{
    fields::{fill, fill_zero, object_mut, objects_mut},
    quantity::Quantity,
};

type Fields = Map<String, Value>;

/// The lists of containers in a spec.
pub const CONTAINER_LISTS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// Where a volume's source has a `defaultMode`.
const SOURCES_WITH_MODE: [&str; 4] = ["secret", "configMap", "downwardAPI", "projected"];
const MODE: i64 = 0o644;
/// How long the token in a projected volume is good for: an hour.
const TOKEN_SECONDS: i64 = 3600;

/// Annotations that were fields of Pods long ago, and are forgotten.
const FORGOTTEN: [&str; 4] = [
    "pod.alpha.kubernetes.io/init-container-statuses",
    "pod.alpha.kubernetes.io/init-containers",
    "pod.beta.kubernetes.io/init-container-statuses",
    "pod.beta.kubernetes.io/init-containers",
];

/// Fills in a template, or a Pod: `metadata` and `spec`.
pub fn fill_template(template: &mut Fields) {
    if let Some(metadata) = object_mut(template, "metadata")
        && let Some(annotations) = object_mut(metadata, "annotations")
    {
        let before = annotations.len();
        for key in FORGOTTEN {
            annotations.remove(key);
        }
        if annotations.is_empty() && before > 0 {
            metadata.remove("annotations");
        }
    }
    if let Some(spec) = object_mut(template, "spec") {
        fill_spec(spec);
    }
}

/// Fills in a spec, whoever has it.
pub fn fill_spec(spec: &mut Fields) {
    fill(spec, "restartPolicy", "Always");
    fill(spec, "terminationGracePeriodSeconds", 30);
    fill(spec, "dnsPolicy", "ClusterFirst");
    fill(spec, "securityContext", Map::new());
    fill(spec, "schedulerName", "default-scheduler");
    fill_account(spec);
    for volume in objects_mut(spec, "volumes") {
        fill_volume(volume);
    }
    for containers in CONTAINER_LISTS {
        for container in objects_mut(spec, containers) {
            fill_container(container);
        }
    }
    round_amounts(spec, "overhead");
    if let Some(resources) = object_mut(spec, "resources") {
        round_requirements(resources);
    }
}

/// The account has two names; where they differ the newer is right.
fn fill_account(spec: &mut Fields) {
    const NAMES: [&str; 2] = ["serviceAccountName", "serviceAccount"];
    let is_name = |name: &&Value| name.as_str().is_some_and(|name| !name.is_empty());
    let name = NAMES.iter().find_map(|field| spec.get(*field).filter(is_name)).cloned();
    if let Some(name) = name
        && NAMES.iter().any(|field| spec.get(*field) != Some(&name))
    {
        for field in NAMES {
            spec.insert(field.to_owned(), name.clone());
        }
    }
}

/// Fills in what only a Pod of its own has, before [`fill_spec`].
pub fn fill_pod_spec(spec: &mut Value) {
    let Value::Object(fields) = &mut *spec else { return };
    for containers in ["containers", "initContainers"] {
        for container in objects_mut(fields, containers) {
            if let Some(resources) = object_mut(container, "resources") {
                request_what_is_limited(resources);
            }
        }
    }
    if fields.contains_key("resources") {
        fill_pod_resources(spec);
    }
    let Value::Object(fields) = spec else { return };
    fill(fields, "enableServiceLinks", true);
    if fields.get("hostNetwork") == Some(&Value::Bool(true)) {
        for containers in ["containers", "initContainers"] {
            for container in objects_mut(fields, containers) {
                for port in objects_mut(container, "ports") {
                    let number = port.get("containerPort").and_then(Value::as_i64).unwrap_or_default();
                    if number != 0 {
                        fill_zero(port, "hostPort", number);
                    }
                }
            }
        }
    }
}

fn request_what_is_limited(resources: &mut Fields) {
    let Some(Value::Object(limits)) = resources.get("limits") else { return };
    let missing = |requests: Option<&Value>| -> Vec<(String, Value)> {
        let has = |name: &str| requests.is_some_and(|requests| requests.get(name).is_some());
        limits
            .iter()
            .filter(|(name, _)| !has(name))
            .map(|(name, limit)| (name.clone(), limit.clone()))
            .collect()
    };
    let missing = missing(resources.get("requests"));
    if !missing.is_empty() {
        fill(resources, "requests", Map::new());
        if let Some(requests) = object_mut(resources, "requests") {
            requests.extend(missing);
        }
    }
}

/// Resources of the Pod as a whole, where they are given in part: huge pages are limited to what the containers are
/// limited to, and requested is what the containers request, else what is limited.
fn fill_pod_resources(spec: &mut Value) {
    let own = &spec["resources"];
    let (mut limits, mut requests) = (amounts(own, "limits"), amounts(own, "requests"));
    if limits.is_empty() && requests.is_empty() {
        return;
    }
    let supported = |name: &str| resources::is_supported_for_pods(name);
    for (name, limit) in container_resources(spec, "limits") {
        if resources::is_huge_page(name) && !requests.contains_key(name) {
            limits.entry(name).or_insert(limit);
        }
    }
    if !limits.is_empty() {
        for (name, request) in container_resources(spec, "requests") {
            if supported(name) && resources::may_overcommit(name) {
                requests.entry(name).or_insert(request);
            }
        }
        for (name, limit) in &limits {
            if supported(name) {
                requests.entry(name).or_insert(*limit);
            }
        }
    }
    let written = |amounts: &Amounts<'_>| -> Value {
        amounts.iter().map(|(name, amount)| ((*name).to_owned(), Value::from(amount.to_string()))).collect()
    };
    let (limits, requests) = (written(&limits), written(&requests));
    let Some(own) = spec.get_mut("resources").and_then(Value::as_object_mut) else { return };
    for (kind, amounts) in [("limits", limits), ("requests", requests)] {
        if amounts.as_object().is_some_and(|amounts| !amounts.is_empty()) {
            own.insert(kind.to_owned(), amounts);
        }
    }
}

fn fill_container(container: &mut Fields) {
    if !container.contains_key("imagePullPolicy") {
        let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
        fill(container, "imagePullPolicy", pull_policy(image));
    }
    fill(container, "terminationMessagePath", "/dev/termination-log");
    fill(container, "terminationMessagePolicy", "File");
    for variable in objects_mut(container, "env") {
        if let Some(source) = object_mut(variable, "valueFrom") {
            fill_field_reference(source);
            if let Some(file) = object_mut(source, "fileKeyRef") {
                fill(file, "optional", false);
            }
        }
    }
    if let Some(resources) = object_mut(container, "resources") {
        round_requirements(resources);
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = object_mut(container, probe) {
            fill_probe(probe);
        }
    }
    if let Some(lifecycle) = object_mut(container, "lifecycle") {
        for hook in ["postStart", "preStop"] {
            if let Some(hook) = object_mut(lifecycle, hook) {
                fill_http_get(hook);
            }
        }
    }
}

fn pull_policy(image: &str) -> &'static str {
    if image::is_latest(image) { "Always" } else { "IfNotPresent" }
}

fn fill_probe(probe: &mut Fields) {
    fill_zero(probe, "timeoutSeconds", 1);
    fill_zero(probe, "periodSeconds", 10);
    fill_zero(probe, "successThreshold", 1);
    fill_zero(probe, "failureThreshold", 3);
    fill_http_get(probe);
    if let Some(grpc) = object_mut(probe, "grpc") {
        fill(grpc, "service", "");
    }
}

fn fill_http_get(handler: &mut Fields) {
    if let Some(action) = object_mut(handler, "httpGet") {
        fill(action, "path", "/");
        fill(action, "scheme", "HTTP");
    }
}

/// In what may refer to a field of the Pod: a source of a variable, a file of the downward API.
fn fill_field_reference(source: &mut Fields) {
    if let Some(reference) = object_mut(source, "fieldRef") {
        fill(reference, "apiVersion", "v1");
    }
}

fn fill_volume(volume: &mut Fields) {
    if volume.keys().all(|field| field == "name") {
        fill(volume, "emptyDir", Map::new());
    }
    for source in SOURCES_WITH_MODE {
        if let Some(source) = object_mut(volume, source) {
            fill(source, "defaultMode", MODE);
        }
    }
    if let Some(files) = object_mut(volume, "downwardAPI") {
        objects_mut(files, "items").for_each(fill_field_reference);
    }
    if let Some(projected) = object_mut(volume, "projected") {
        for source in objects_mut(projected, "sources") {
            if let Some(files) = object_mut(source, "downwardAPI") {
                objects_mut(files, "items").for_each(fill_field_reference);
            }
            if let Some(token) = object_mut(source, "serviceAccountToken") {
                fill(token, "expirationSeconds", TOKEN_SECONDS);
            }
        }
    }
    if let Some(path) = object_mut(volume, "hostPath") {
        fill(path, "type", "");
    }
    if let Some(image) = object_mut(volume, "image") {
        let reference = image.get("reference").and_then(Value::as_str).unwrap_or_default();
        let policy = pull_policy(reference);
        fill(image, "pullPolicy", policy);
    }
    if let Some(disk) = object_mut(volume, "azureDisk") {
        fill(disk, "readOnly", false);
    }
    if let Some(ephemeral) = object_mut(volume, "ephemeral")
        && let Some(template) = object_mut(ephemeral, "volumeClaimTemplate")
        && let Some(spec) = object_mut(template, "spec")
    {
        claim::fill_spec(spec);
    }
}

/// Rounds the amounts of `resources` up to thousandths.
pub fn round_requirements(resources: &mut Fields) {
    round_amounts(resources, "limits");
    round_amounts(resources, "requests");
}

/// Rounds the amounts under `field` up to thousandths.
pub fn round_amounts(owner: &mut Fields, field: &str) {
    for (_, amount) in object_mut(owner, field).into_iter().flatten() {
        // Nothing but millionths, billionths and negative exponents are that fine, in canonical form.
        let fine = amount.as_str().filter(|text| text.ends_with(['n', 'u']) || text.contains("e-"));
        if let Some(quantity) = fine.and_then(|text| Quantity::parse(text).ok())
            && let Ok(rounded) = Quantity::canonical(&format!("{}m", quantity.milli_value()))
        {
            *amount = rounded.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(mut spec: Value) -> Value {
        fill_spec(spec.as_object_mut().unwrap());
        spec
    }

    fn container(more: Value) -> Value {
        let mut container = json!({"name": "c", "image": "i:1", "imagePullPolicy": "Never",
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"});
        container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        container
    }

    #[test]
    fn a_spec_gets_what_it_leaves_out() {
        assert_eq!(
            filled(json!({})),
            json!({"restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
                "securityContext": {}, "schedulerName": "default-scheduler"})
        );
        let set = json!({"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "dnsPolicy": "None",
            "securityContext": {"runAsUser": 0}, "schedulerName": "own"});
        assert_eq!(filled(set.clone()), set);
    }

    #[test]
    fn volumes_get_what_they_leave_out() {
        for (volume, want) in [
            (json!({"name": "v"}), json!({"name": "v", "emptyDir": {}})),
            (
                json!({"name": "v", "hostPath": {"path": "/"}}),
                json!({"name": "v", "hostPath": {"path": "/", "type": ""}}),
            ),
            (
                json!({"name": "v", "secret": {"defaultMode": 0}}),
                json!({"name": "v", "secret": {"defaultMode": 0}}),
            ),
            (json!({"name": "v", "configMap": {}}), json!({"name": "v", "configMap": {"defaultMode": 420}})),
            (
                json!({"name": "v", "downwardAPI": {"items": [{"fieldRef": {"fieldPath": "metadata.name"}}]}}),
                json!({"name": "v", "downwardAPI": {"defaultMode": 420,
                    "items": [{"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}]}}),
            ),
            (
                json!({"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}),
                json!({"name": "v", "projected": {"defaultMode": 420,
                    "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}]}}),
            ),
            (
                json!({"name": "v", "image": {"reference": "a"}}),
                json!({"name": "v", "image": {"reference": "a", "pullPolicy": "Always"}}),
            ),
            (
                json!({"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}),
                json!({"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {"volumeMode": "Filesystem"}}}}),
            ),
        ] {
            assert_eq!(filled(json!({"volumes": [volume]}))["volumes"][0], want);
        }
    }

    #[test]
    fn containers_get_what_they_leave_out() {
        let bare = filled(json!({"containers": [{"name": "c", "image": "nginx"}]}));
        assert_eq!(
            bare["containers"][0],
            json!({"name": "c", "image": "nginx", "imagePullPolicy": "Always",
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"})
        );
        let numbers =
            json!({"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3});
        let with = |more: Value| {
            let mut probe = numbers.clone();
            probe.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            probe
        };
        for (sent, want) in [
            (
                json!({"livenessProbe": {"httpGet": {"port": 1}, "periodSeconds": 5}}),
                json!({"livenessProbe": with(json!({"httpGet": {"port": 1, "path": "/", "scheme": "HTTP"}, "periodSeconds": 5}))}),
            ),
            (
                json!({"startupProbe": {"grpc": {"port": 1}}}),
                json!({"startupProbe": with(json!({"grpc": {"port": 1, "service": ""}}))}),
            ),
            (
                json!({"lifecycle": {"preStop": {"httpGet": {"port": 1}}}}),
                json!({"lifecycle": {"preStop": {"httpGet": {"port": 1, "path": "/", "scheme": "HTTP"}}}}),
            ),
            (
                json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]}),
                json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "x"}}}]}),
            ),
            (
                json!({"resources": {"limits": {"cpu": "1500u", "memory": "1"}}}),
                json!({"resources": {"limits": {"cpu": "2m", "memory": "1"}}}),
            ),
        ] {
            let spec = filled(json!({"initContainers": [container(sent)]}));
            assert_eq!(spec["initContainers"][0], container(want));
        }
    }

    #[test]
    fn a_pod_requests_what_it_is_limited_to() {
        let mut spec = json!({
            "containers": [
                {"resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}},
                {"resources": {}},
            ],
        });
        fill_pod_spec(&mut spec);
        assert_eq!(
            spec,
            json!({"enableServiceLinks": true, "containers": [
                {"resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}}},
                {"resources": {}},
            ]})
        );
    }

    #[test]
    fn a_pod_on_the_hosts_network_has_its_ports_there() {
        let mut spec = json!({"hostNetwork": true, "containers": [
            {"ports": [{"containerPort": 80}, {"containerPort": 81, "hostPort": 8081}]}]});
        fill_pod_spec(&mut spec);
        assert_eq!(
            spec["containers"][0]["ports"],
            json!([{"containerPort": 80, "hostPort": 80}, {"containerPort": 81, "hostPort": 8081}])
        );
    }

    #[test]
    fn resources_of_a_whole_pod_are_completed() {
        for (own, containers, want) in [
            (
                json!({"limits": {"cpu": "2", "memory": "1Gi"}}),
                json!([{"resources": {"requests": {"cpu": "500m"}}}, {"resources": {"requests": {"cpu": "700m"}}}]),
                json!({"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1200m", "memory": "1Gi"}}),
            ),
            (
                json!({"requests": {"cpu": "1"}}),
                json!([{"resources": {}}]),
                json!({"requests": {"cpu": "1"}}),
            ),
            (
                json!({"limits": {"cpu": "1"}}),
                json!([{"resources": {"limits": {"hugepages-2Mi": "4Mi"}, "requests": {"hugepages-2Mi": "4Mi"}}}]),
                json!({"limits": {"cpu": "1", "hugepages-2Mi": "4Mi"}, "requests": {"cpu": "1", "hugepages-2Mi": "4Mi"}}),
            ),
            (json!({}), json!([{"resources": {"requests": {"cpu": "1"}}}]), json!({})),
        ] {
            let mut spec = json!({"resources": own, "containers": containers});
            fill_pod_spec(&mut spec);
            assert_eq!(spec["resources"], want);
        }
    }
}
