//! What a kubelet may say about a Pod.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    net::IpAddr,
};

use serde_json::Value;

use super::{super::pod_spec::rules, update};
use crate::{
    kinds::strategy::keep_all_but_status,
    machinery::{
        FieldErrors, Path, address,
        fields::{entries, integer, is_set, list, number, objects_mut, present, text},
        metadata, object,
    },
};

const NOT_NEGATIVE: &str = "must be a non-negative integer";
/// The lists of statuses of containers, and the lists of the containers that they are about.
const STATUSES: [(&str, &str); 3] = [
    ("containerStatuses", "containers"),
    ("initContainerStatuses", "initContainers"),
    ("ephemeralContainerStatuses", "ephemeralContainers"),
];

/// Takes over the status and the metadata, without owners and deletion. Fields that old kubelets do not know stay.
pub fn prepare(new: &mut Value, old: &Value) {
    keep_all_but_status(new, old);
    let metadata = object::metadata_mut(new);
    for field in ["deletionTimestamp", "ownerReferences"] {
        match object::meta(old, field) {
            Some(value) => metadata.insert(field.to_owned(), value.clone()),
            None => metadata.remove(field),
        };
    }
    let status = object::child_mut(new, "status");
    let old = &old["status"];
    for field in ["qosClass", "observedGeneration"] {
        if is_set(old, field) && !status.get(field).is_some_and(is_something) {
            status.insert(field.to_owned(), old[field].clone());
        }
    }
    let mut generations: HashMap<&str, VecDeque<i64>> = HashMap::new();
    for condition in list(old, "conditions") {
        let own = generations.entry(text(condition, "type")).or_default();
        own.push_back(number(condition, "observedGeneration"));
    }
    for condition in objects_mut(status, "conditions") {
        let name = condition.get("type").and_then(Value::as_str).unwrap_or_default();
        let old = generations.get_mut(name).and_then(VecDeque::pop_front).unwrap_or_default();
        if old != 0 && !condition.get("observedGeneration").is_some_and(is_something) {
            condition.insert("observedGeneration".to_owned(), old.into());
        }
    }
}

fn is_something(value: &Value) -> bool {
    !value.is_null() && value != "" && value != 0
}

/// What is wrong with a write to the status.
pub fn validate(errors: &mut FieldErrors, new: &Value, old: &Value) {
    update::validate_annotations(errors, new, old);
    let path = Path::new("status");
    let (spec, status, old_status) = (&new["spec"], &new["status"], &old["status"]);
    validate_conditions(errors, &path.child("conditions"), list(status, "conditions"));
    let nominated = text(status, "nominatedNodeName");
    if !nominated.is_empty() && nominated != text(old_status, "nominatedNodeName") {
        let path = path.child("nominatedNodeName");
        rules::object_name(errors, &path, nominated);
        if !text(&old["spec"], "nodeName").is_empty() {
            errors.forbidden(&path, "may not be set on pods that are already bound to a node");
        }
    }
    if let Some(generation) = integer(status, "observedGeneration").filter(|number| *number < 0) {
        errors.invalid(&path.child("observedGeneration"), generation, NOT_NEGATIVE);
    }
    metadata::immutable(errors, &path.child("qosClass"), &status["qosClass"], &old_status["qosClass"]);
    for (field, containers) in STATUSES {
        let (new, old) = (list(status, field), list(old_status, field));
        validate_transitions(errors, &path.child(field), new, old, spec, containers);
    }
    validate_claims(errors, &path.child("resourceClaimStatuses"), status, spec);
    if let Some(claim) = present(status, "extendedResourceClaimStatus") {
        validate_extended_claim(errors, &path.child("extendedResourceClaimStatus"), claim, spec);
    }
    validate_addresses(errors, &path.child("podIPs"), status, old_status, "podIPs");
    let first = status["hostIPs"][0]["ip"].as_str();
    if let Some(first) = first.filter(|first| *first != text(status, "hostIP")) {
        let path = path.child("hostIPs");
        errors.invalid(&path.index(0).child("ip"), first, "must be equal to `hostIP`");
    }
    validate_addresses(errors, &path.child("hostIPs"), status, old_status, "hostIPs");
    for (field, _) in STATUSES {
        validate_users(errors, &path.child(field), list(status, field), spec);
    }
    for (field, containers) in &STATUSES[..2] {
        validate_health(errors, &path.child(field), list(status, field), list(spec, containers));
    }
    let field = STATUSES[2].0;
    let ephemeral = path.child(field);
    for (index, own) in list(status, field).iter().enumerate() {
        if is_set(own, "allocatedResourcesStatus") {
            let path = ephemeral.index(index);
            let detail = "must not be specified in container status";
            errors.forbidden(&path.child("allocatedResourcesStatus"), detail);
        }
    }
    for (field, _) in STATUSES {
        validate_images(errors, &path.child(field), list(status, field));
    }
}

fn validate_conditions(errors: &mut FieldErrors, path: &Path<'_>, conditions: &[Value]) {
    for (index, condition) in conditions.iter().enumerate() {
        let path = path.index(index);
        if let Some(generation) = integer(condition, "observedGeneration").filter(|number| *number < 0) {
            errors.invalid(&path.child("observedGeneration"), generation, NOT_NEGATIVE);
        }
        let name = text(condition, "type");
        if !matches!(name, "PodScheduled" | "Ready" | "Initialized") {
            rules::qualified_name(errors, &path.child("Type"), name);
        }
    }
}

/// Containers that have ended start again only where they are allowed to.
fn validate_transitions(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    new: &[Value],
    old: &[Value],
    spec: &Value,
    containers: &str,
) {
    let ephemeral = containers == "ephemeralContainers";
    if !ephemeral && restarts_all_containers(spec) {
        return;
    }
    let by_name = |values: &'_ [Value]| -> HashMap<String, usize> {
        // Of several with one name the first counts.
        let names = values.iter().enumerate().rev();
        names.map(|(index, value)| (text(value, "name").to_owned(), index)).collect()
    };
    let (new_indexes, container_list) = (by_name(new), list(spec, containers));
    let container_indexes = by_name(container_list);
    for (index, old) in old.iter().enumerate() {
        let name = text(old, "name");
        let Some(ended) = present(&old["state"], "terminated") else { continue };
        let Some(new) = new_indexes.get(name).map(|index| &new[*index]) else { continue };
        if present(&new["state"], "terminated").is_some() {
            continue;
        }
        let container = container_indexes.get(name).map(|index| &container_list[*index]);
        let exit_code = number(ended, "exitCode");
        let allowed =
            !ephemeral && container.is_some_and(|container| starts_again(container, spec, exit_code));
        if !allowed {
            errors.forbidden(
                &path.index(index).child("state"),
                "may not be transitioned to non-terminated state",
            );
        }
    }
}

/// Whether the end of some container can start all of them again.
fn restarts_all_containers(spec: &Value) -> bool {
    let containers = list(spec, "initContainers").iter().chain(list(spec, "containers"));
    let mut rules = containers.flat_map(|container| list(container, "restartPolicyRules"));
    rules.any(|rule| text(rule, "action") == "RestartAllContainers")
}

/// Whether a container that ended with an exit code starts again.
fn starts_again(container: &Value, spec: &Value, exit_code: i64) -> bool {
    let own = text(container, "restartPolicy");
    if !own.is_empty() {
        let rule = list(container, "restartPolicyRules").iter().find(|rule| {
            let codes = &rule["exitCodes"];
            let listed = list(codes, "values").iter().any(|code| code.as_i64() == Some(exit_code));
            match text(codes, "operator") {
                "In" => listed,
                "NotIn" => !listed,
                _ => false,
            }
        });
        if rule.is_some_and(|rule| text(rule, "action") == "Restart") {
            return true;
        }
    }
    let policy = if own.is_empty() { text(spec, "restartPolicy") } else { own };
    match policy {
        "OnFailure" => exit_code != 0,
        "Never" => false,
        _ => true,
    }
}

fn validate_claims(errors: &mut FieldErrors, path: &Path<'_>, status: &Value, spec: &Value) {
    let claims: HashSet<&str> =
        list(spec, "resourceClaims").iter().map(|claim| text(claim, "name")).collect();
    let mut seen = HashSet::new();
    for (index, own) in list(status, "resourceClaimStatuses").iter().enumerate() {
        let path = path.index(index);
        let path = path.child("name");
        let name = text(own, "name");
        if !claims.contains(name) {
            errors.invalid(&path, name, "must match the name of an entry in `spec.resourceClaims`");
        }
        if !seen.insert(name) {
            errors.duplicate(&path, name);
        }
        if let Some(claim) = present(own, "resourceClaimName").and_then(Value::as_str) {
            rules::object_name(errors, &path, claim);
        }
    }
}

fn validate_extended_claim(errors: &mut FieldErrors, path: &Path<'_>, claim: &Value, spec: &Value) {
    let containers = list(spec, "initContainers").iter().chain(list(spec, "containers"));
    let containers: HashMap<&str, &Value> =
        containers.map(|container| (text(container, "name"), container)).collect();
    let mappings_path = path.child("requestMappings");
    let mappings = list(claim, "requestMappings");
    if mappings.is_empty() {
        errors.required(&mappings_path, "at least one request mapping is required");
    }
    let mut seen = HashSet::new();
    for (index, mapping) in mappings.iter().enumerate() {
        const FIELDS: [&str; 3] = ["containerName", "resourceName", "requestName"];
        let own = mappings_path.index(index);
        let values = FIELDS.map(|field| text(mapping, field));
        let [container, resource, request] = values;
        match containers.get(container) {
            None => {
                let detail =
                    "must match the name of an entry in spec.initContainers.name or spec.containers.name";
                errors.invalid(&own.child("containerName"), container, detail);
            }
            Some(container) if container["resources"]["requests"].get(resource).is_none() => {
                let detail = "must match the extended resource name of an entry in \
                              spec.initContainers.resources.requests or spec.containers.resources.requests";
                errors.invalid(&own.child("resourceName"), resource, detail);
            }
            Some(_) => {}
        }
        rules::label(errors, &path.child("requestName"), request);
        if !seen.insert(values) {
            for (field, value) in FIELDS.iter().zip(values) {
                errors.duplicate(&own.child(field), value);
            }
        }
    }
    match text(claim, "resourceClaimName") {
        "" => errors.required(&path.child("resourceClaimName"), ""),
        name => rules::object_name(errors, &path.child("resourceClaimName"), name),
    }
}

/// One address, or one of each family.
fn validate_addresses(errors: &mut FieldErrors, path: &Path<'_>, new: &Value, old: &Value, field: &str) {
    let of = |status| -> Vec<&str> { list(status, field).iter().map(|own| text(own, "ip")).collect() };
    let (addresses, old) = (of(new), of(old));
    for (index, own) in addresses.iter().enumerate() {
        address::validate_legacy(errors, &path.index(index), own, &old);
    }
    if addresses.len() > 1 {
        let parsed: Vec<_> = addresses.iter().filter_map(|own| address::parse(own)).collect();
        let both = parsed.iter().any(IpAddr::is_ipv4) && parsed.iter().any(IpAddr::is_ipv6);
        if !both || addresses.len() > 2 {
            let detail = "may specify no more than one IP for each IP family";
            errors.invalid(path, new[field].clone(), detail);
        }
    }
}

fn validate_users(errors: &mut FieldErrors, path: &Path<'_>, statuses: &[Value], spec: &Value) {
    let os = present(spec, "os").map_or("linux", |os| text(os, "name"));
    for (index, status) in statuses.iter().enumerate() {
        let Some(user) = present(&status["user"], "linux") else { continue };
        let path = path.index(index);
        let path = path.child("user");
        let path = path.child("linux");
        match os {
            "windows" => errors.forbidden(&path, "cannot be set for a windows pod"),
            "linux" => {
                rules::account(errors, &path, user, "uid");
                rules::account(errors, &path, user, "gid");
                let path = path.child("supplementalGroups");
                for (index, group) in list(user, "supplementalGroups").iter().enumerate() {
                    let group = group.as_i64().unwrap_or_default();
                    rules::in_range(errors, &path.index(index), group, 0, i32::MAX.into());
                }
            }
            _ => {}
        }
    }
}

/// The health of devices must be that of devices that the container has.
fn validate_health(errors: &mut FieldErrors, path: &Path<'_>, statuses: &[Value], containers: &[Value]) {
    for (index, status) in statuses.iter().enumerate() {
        let path = path.index(index);
        let path = path.child("allocatedResourcesStatus");
        let name = text(status, "name");
        let container = containers.iter().find(|container| text(container, "name") == name);
        for (index, own) in list(status, "allocatedResourcesStatus").iter().enumerate() {
            let path = path.index(index);
            let name = text(own, "name");
            if let Some(detail) = container.and_then(|container| problem_of_device(container, name)) {
                errors.invalid(&path.child("name"), name, detail);
            }
            let path = path.child("resources");
            let mut seen = HashSet::new();
            for (index, resource) in list(own, "resources").iter().enumerate() {
                let path = path.index(index);
                let supported = ["Healthy", "Unhealthy", "Unknown"];
                rules::one_of(errors, &path.child("health"), text(resource, "health"), &supported);
                let id = text(resource, "resourceID");
                if !seen.insert(id) {
                    errors.duplicate(&path.child("resourceID"), id);
                }
            }
        }
    }
}

fn problem_of_device(container: &Value, name: &str) -> Option<&'static str> {
    let resources = &container["resources"];
    if name.starts_with("claim:") {
        let found = list(resources, "claims").iter().any(|claim| {
            let (own, request) = (text(claim, "name"), text(claim, "request"));
            name == if request.is_empty() { format!("claim:{own}") } else { format!("claim:{own}/{request}") }
        });
        let detail = "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or \
                      'claim:<claimName>' if request is empty";
        (!found).then_some(detail)
    } else {
        let found = entries(resources, "requests").any(|(own, _)| own == name);
        (!found).then_some("must match one of the container's resource requests")
    }
}

/// The images that are mounted as volumes.
fn validate_images(errors: &mut FieldErrors, path: &Path<'_>, statuses: &[Value]) {
    const REFERENCE_LENGTH_MAX: usize = 256;
    for (index, status) in statuses.iter().enumerate() {
        let path = path.index(index);
        let path = path.child("volumeMounts");
        for (index, mount) in list(status, "volumeMounts").iter().enumerate() {
            let Some(image) = present(&mount["volumeStatus"], "image") else { continue };
            let path = path.index(index);
            let path = path.child("volumeStatus");
            let path = path.child("imageVolumeStatus");
            let path = path.child("imageRef");
            let reference = text(image, "imageRef");
            if reference.is_empty() {
                errors.required(&path, "imageRef must not be empty");
            }
            if reference.len() > REFERENCE_LENGTH_MAX {
                errors.too_long(&path, REFERENCE_LENGTH_MAX);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{
        super::testing::{assert_lines, container, pod, reported, with},
        STRATEGY,
    };
    use super::*;

    fn check(spec: &Value, old: &Value, new: &Value, want: &[&str]) {
        let of = |status: &Value| {
            let mut pod = pod(spec);
            pod["status"] = with(json!({"phase": "Running", "qosClass": "BestEffort"}), status);
            pod
        };
        assert_lines(&reported(&STRATEGY, &of(new), &of(old)), want, new);
    }

    #[test]
    fn what_is_reported_is_validated() {
        for (old, new, want) in [
            (
                json!({}),
                json!({"conditions": [{"type": "Ready"}, {"type": "a/b"}, {"type": "a b", "observedGeneration": -1}]}),
                vec![
                    "status.conditions[2].observedGeneration: Invalid value: -1: must be a non-negative integer",
                    "status.conditions[2].Type: Invalid value: \"a b\": name part must…",
                ],
            ),
            (
                json!({}),
                json!({"qosClass": "Guaranteed", "observedGeneration": -1, "nominatedNodeName": "N"}),
                vec![
                    "status.nominatedNodeName: Invalid value: \"N\": a lowercase RFC 1123 subdomain must…",
                    "status.observedGeneration: Invalid value: -1: must be a non-negative integer",
                    "status.qosClass: Invalid value: \"Guaranteed\": field is immutable",
                ],
            ),
            (json!({}), json!({"podIP": "1.2.3.4", "podIPs": [{"ip": "1.2.3.4"}, {"ip": "::1"}]}), vec![]),
            (
                json!({}),
                json!({"podIPs": [{"ip": "1.2.3.4"}, {"ip": "1.2.3.5"}]}),
                vec![
                    "status.podIPs: Invalid value: [{\"ip\":\"1.2.3.4\"},{\"ip\":\"1.2.3.5\"}]: may specify no more than one IP for each IP family",
                ],
            ),
            (json!({"podIPs": [{"ip": "x"}]}), json!({"podIPs": [{"ip": "x"}]}), vec![]),
            (
                json!({}),
                json!({"hostIP": "1.2.3.4", "hostIPs": [{"ip": "x"}]}),
                vec![
                    "status.hostIPs[0].ip: Invalid value: \"x\": must be equal to `hostIP`",
                    "status.hostIPs[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
                ],
            ),
            (
                json!({}),
                json!({"resourceClaimStatuses": [{"name": "x"}]}),
                vec![
                    "status.resourceClaimStatuses[0].name: Invalid value: \"x\": must match the name of an entry in `spec.resourceClaims`",
                ],
            ),
            (
                json!({}),
                json!({"containerStatuses": [{"name": "c", "user": {"linux": {"uid": -1, "gid": 0}}, "allocatedResourcesStatus": [
                {"name": "a/b", "resources": [{"resourceID": "1", "health": "Healthy"}, {"resourceID": "1", "health": "x"}]}]}]}),
                vec![
                    "status.containerStatuses[0].user.linux.uid: Invalid value: -1: must be between 0 and 2147483647, inclusive",
                    "status.containerStatuses[0].allocatedResourcesStatus[0].name: Invalid value: \"a/b\": must match one of the container's resource requests",
                    "status.containerStatuses[0].allocatedResourcesStatus[0].resources[1].health: Unsupported value: \"x\": supported values: \"Healthy\", \"Unhealthy\", \"Unknown\"",
                    "status.containerStatuses[0].allocatedResourcesStatus[0].resources[1].resourceID: Duplicate value: \"1\"",
                ],
            ),
        ] {
            check(&json!({}), &old, &new, &want);
        }
        let bound =
            "status.nominatedNodeName: Forbidden: may not be set on pods that are already bound to a node";
        check(&json!({"nodeName": "n"}), &json!({}), &json!({"nominatedNodeName": "m"}), &[bound]);
    }

    #[test]
    fn what_ended_starts_again_only_where_it_may() {
        let rule = json!({"action": "Restart", "exitCodes": {"operator": "In", "values": [3]}});
        let all = json!({"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [3]}});
        for (policy, own, code, allowed) in [
            ("Always", json!({}), 0, true),
            ("OnFailure", json!({}), 0, false),
            ("OnFailure", json!({}), 1, true),
            ("Never", json!({}), 1, false),
            ("Never", json!({"restartPolicy": "Never", "restartPolicyRules": [rule]}), 3, true),
            ("Never", json!({"restartPolicy": "Never", "restartPolicyRules": [rule]}), 4, false),
            ("Never", json!({"restartPolicy": "Never", "restartPolicyRules": [all]}), 4, true),
            ("Always", json!({"restartPolicy": "Never"}), 1, false),
        ] {
            let spec = json!({"restartPolicy": policy, "containers": [container(&own)]});
            let old =
                json!({"containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": code}}}]});
            let new = json!({"containerStatuses": [{"name": "c", "state": {"running": {}}}]});
            let refused = [
                "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state",
            ];
            check(&spec, &old, &new, if allowed { &[] } else { &refused });
            check(&spec, &old, &old, &[]);
        }
    }

    #[test]
    fn what_an_old_kubelet_leaves_out_stays() {
        let old = json!({
            "metadata": {"name": "p", "ownerReferences": [{"name": "o"}]},
            "spec": {"a": 1},
            "status": {"qosClass": "BestEffort", "observedGeneration": 2, "conditions": [
                {"type": "Ready", "observedGeneration": 2}, {"type": "x"}]},
        });
        let mut new = json!({
            "metadata": {"name": "p", "deletionTimestamp": "t", "labels": {"l": "m"}},
            "spec": {"a": 2},
            "status": {"conditions": [{"type": "Ready"}, {"type": "x", "observedGeneration": 3}]},
        });
        prepare(&mut new, &old);
        assert_eq!(
            new,
            json!({
                "metadata": {"name": "p", "ownerReferences": [{"name": "o"}], "labels": {"l": "m"}},
                "spec": {"a": 1},
                "status": {"qosClass": "BestEffort", "observedGeneration": 2, "conditions": [
                    {"type": "Ready", "observedGeneration": 2}, {"type": "x", "observedGeneration": 3}]},
            })
        );
    }
}
