//! What a Pod or a template is allowed to say, but had better not.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    ops::Bound,
};

use serde_json::{Map, Value};

use super::pod_spec::{aggregate::quantity, annotations, visit_containers};
use crate::machinery::{
    Path, address,
    fields::{entries, integer, list, number, present, text, texts},
    format, go_quoted,
};

/// Labels of nodes that have other names now.
const OLD_LABELS: [(&str, &str); 5] = [
    ("beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead"),
    (
        "beta.kubernetes.io/instance-type",
        "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead",
    ),
    ("beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead"),
    (
        "failure-domain.beta.kubernetes.io/region",
        "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead",
    ),
    (
        "failure-domain.beta.kubernetes.io/zone",
        "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead",
    ),
];
/// Annotations that no longer do anything.
const OLD_ANNOTATIONS: [(&str, &str); 3] = [
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "non-functional in v1.16+; use the \"priorityClassName\" field instead",
    ),
    ("security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
    (
        "security.alpha.kubernetes.io/unsafe-sysctls",
        "non-functional in v1.11+; use the \"sysctls\" field instead",
    ),
];
/// Volumes that no longer work: their field, its name in the warning, and since when.
const OLD_VOLUMES: [(&str, &str, &str); 9] = [
    ("photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
];
const NO_SECCOMP: &str = "non-functional in v1.27+; use the \"seccompProfile\" field instead";
const NULL_SELECTOR: &str = "a null labelSelector results in matching no pod";
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// Warnings about a Pod.
pub fn of_pod(pod: &Value) -> Vec<String> {
    of(&Path::ROOT, pod, false)
}

/// Warnings about a template, which stands at `path`.
pub fn of_template(path: &Path<'_>, template: &Value) -> Vec<String> {
    of(path, template, true)
}

/// Warnings about the template of a controller, when it is made or its spec changes.
pub fn of_controller(new: &Value, old: Option<&Value>) -> Vec<String> {
    match old {
        Some(old) if old["spec"] == new["spec"] => Vec::new(),
        _ => of_template(&Path::new("spec").child("template"), &new["spec"]["template"]),
    }
}

/// The warning about the name of an object whose Pods' hostnames begin with it.
pub fn of_name(name: &str) -> Option<String> {
    let problems = format::is_dns1123_label(name);
    (!problems.is_empty()).then(|| {
        format!(
            "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS \
             label is recommended: [{}]",
            problems.join(" ")
        )
    })
}

fn of(path: &Path<'_>, owner: &Value, in_template: bool) -> Vec<String> {
    let spec = &owner["spec"];
    let spec_path = path.child("spec");
    let meta_path = path.child("metadata");
    let notes = Annotations {
        path: &meta_path.child("annotations"),
        values: owner["metadata"]["annotations"].as_object(),
    };
    let mut warnings = Vec::new();
    of_labels(&mut warnings, &spec_path, spec);
    for (key, message) in OLD_ANNOTATIONS {
        notes.warn(&mut warnings, key, message);
    }
    of_volumes(&mut warnings, &spec_path.child("volumes"), spec);
    of_lists(&mut warnings, &spec_path, spec);
    for resource in ["memory", "ephemeral-storage"] {
        of_fraction(&mut warnings, &spec_path.child("overhead"), &spec["overhead"], resource);
    }
    let context = &spec["securityContext"];
    if present(context, "seccompProfile").is_none() {
        notes.warn(&mut warnings, annotations::SECCOMP_POD, NO_SECCOMP);
    }
    visit_containers(&spec_path, spec, |path, container| {
        let own = &container["securityContext"];
        let name = text(container, "name");
        if notes.values.is_some() && present(own, "seccompProfile").is_none() {
            notes.warn(&mut warnings, &format!("{}{name}", annotations::SECCOMP_CONTAINER), NO_SECCOMP);
        }
        let has_app_armor = [context, own].iter().any(|own| present(own, "appArmorProfile").is_some());
        // Pods are warned where the annotation becomes the field.
        if notes.values.is_some() && in_template && !has_app_armor {
            notes.warn(&mut warnings, &format!("{}{name}", annotations::APP_ARMOR), APP_ARMOR_OLD);
        }
        let resources = path.child("resources");
        for resource in ["memory", "ephemeral-storage"] {
            for kind in ["limits", "requests"] {
                let amounts = &container["resources"][kind];
                of_fraction(&mut warnings, &resources.child(kind), amounts, resource);
            }
        }
        of_variables(&mut warnings, &path.child("env"), list(container, "env"));
    });
    of_ports(&mut warnings, &spec_path, spec);
    if integer(spec, "terminationGracePeriodSeconds").is_some_and(|seconds| seconds < 0) {
        warnings.push(format!(
            "{}: must be >= 0; negative values are invalid and will be treated as 1",
            spec_path.child("terminationGracePeriodSeconds")
        ));
    }
    of_affinity(&mut warnings, &spec_path.child("affinity"), &spec["affinity"]);
    warnings
}

/// What is said of an AppArmor profile in an annotation.
pub const APP_ARMOR_OLD: &str = "deprecated since v1.30; use the \"appArmorProfile\" field instead";

struct Annotations<'a> {
    path: &'a Path<'a>,
    values: Option<&'a Map<String, Value>>,
}

impl Annotations<'_> {
    fn warn(&self, warnings: &mut Vec<String>, key: &str, message: &str) {
        if self.values.is_some_and(|values| values.contains_key(key)) {
            warnings.push(format!("{}: {message}", self.path.key(key)));
        }
    }
}

/// What is said of a label of nodes that has another name now.
pub fn old_label(key: &str) -> Option<&'static str> {
    OLD_LABELS.iter().find(|(old, _)| *old == key).map(|(_, message)| *message)
}

/// Labels of nodes that were renamed, and spreading that selects nothing.
fn of_labels(warnings: &mut Vec<String>, path: &Path<'_>, spec: &Value) {
    let selector = path.child("nodeSelector");
    for (key, _) in entries(spec, "nodeSelector") {
        if let Some(message) = old_label(key) {
            warnings.push(format!("{}: {message}", selector.key(key)));
        }
    }
    let nodes = &spec["affinity"]["nodeAffinity"];
    let path_to_nodes = path.child("affinity");
    let path_to_nodes = path_to_nodes.child("nodeAffinity");
    let required = path_to_nodes.child(REQUIRED);
    let required = required.child("nodeSelectorTerms");
    for (index, term) in list(&nodes[REQUIRED], "nodeSelectorTerms").iter().enumerate() {
        of_node_term(warnings, &required.index(index), term, false);
    }
    let preferred = path_to_nodes.child(PREFERRED);
    for (index, term) in list(nodes, PREFERRED).iter().enumerate() {
        let path = preferred.index(index);
        of_node_term(warnings, &path.child("preference"), &term["preference"], true);
    }
    let constraints = path.child("topologySpreadConstraints");
    for (index, constraint) in list(spec, "topologySpreadConstraints").iter().enumerate() {
        let path = constraints.index(index);
        let key = text(constraint, "topologyKey");
        if let Some(message) = old_label(key) {
            warnings.push(format!("{}: {key} is {message}", path.child("topologyKey")));
        }
        if present(constraint, "labelSelector").is_none() {
            warnings.push(format!("{}: {NULL_SELECTOR}", path.child("labelSelector")));
        }
    }
}

/// Warnings about a term that selects nodes; only preferences are warned of the values of labels.
pub fn of_node_term(warnings: &mut Vec<String>, path: &Path<'_>, term: &Value, with_values: bool) {
    let path = path.child("matchExpressions");
    for (index, expression) in list(term, "matchExpressions").iter().enumerate() {
        let path = path.index(index);
        let key = text(expression, "key");
        if let Some(message) = old_label(key) {
            warnings.push(format!("{}: {key} is {message}", path.child("key")));
        }
        if with_values {
            let path = path.child("values");
            for (index, value) in texts(expression, "values").enumerate() {
                for problem in format::is_label_value(value) {
                    warnings.push(format!("{}: {value} is invalid, {problem}", path.index(index)));
                }
            }
        }
    }
}

fn of_volumes(warnings: &mut Vec<String>, path: &Path<'_>, spec: &Value) {
    let volumes = list(spec, "volumes");
    for (index, volume) in volumes.iter().enumerate() {
        let path = path.index(index);
        for (field, named, message) in OLD_VOLUMES {
            if present(volume, field).is_some() {
                warnings.push(format!("{}: {message}", path.child(named)));
            }
        }
        if let Some(template) = present(&volume["ephemeral"], "volumeClaimTemplate") {
            let path = path.child("ephemeral");
            let path = path.child("volumeClaimTemplate");
            of_claim(warnings, &path.child("spec"), &template["spec"]);
        }
    }
    for volume in volumes {
        of_overlaps(warnings, volume);
    }
}

/// Warnings about the spec of a claim of storage.
pub fn of_claim(warnings: &mut Vec<String>, path: &Path<'_>, spec: &Value) {
    let path = path.child("resources");
    of_fraction(warnings, &path.child("requests"), &spec["resources"]["requests"], "storage");
    of_fraction(warnings, &path.child("limits"), &spec["resources"]["limits"], "storage");
}

/// How many sources of a projected volume are looked at.
const PROJECTED_MAX: usize = 200;

/// Files of one volume that lie in each other's way.
fn of_overlaps(warnings: &mut Vec<String>, volume: &Value) {
    let name = go_quoted(text(volume, "name"));
    let paths = |source: &Value| -> Vec<String> {
        list(source, "items").iter().map(|item| text(item, "path").to_owned()).collect()
    };
    for (field, named, name_field) in [
        ("configMap", "ConfigMap", "name"),
        ("secret", "Secret", "secretName"),
        ("downwardAPI", "DownwardAPI", ""),
    ] {
        if let Some(source) = present(volume, field) {
            let what = quoted_source(named, source, name_field);
            check_overlaps(warnings, &paths(source), &format!("volume {name} ({what}): overlapping paths"));
        }
    }
    let mut known: BTreeSet<String> = BTreeSet::new();
    // Each is compared with all before it.
    for source in list(&volume["projected"], "sources").iter().take(PROJECTED_MAX) {
        let Some((own, what)) = projected_paths(source, paths) else {
            if source.as_object().is_none_or(Map::is_empty) {
                warnings.push(format!("volume {name} (Projected) has no sources provided"));
            }
            continue;
        };
        if own.is_empty() {
            continue;
        }
        let message = format!("volume {name} (Projected {what}): overlapping paths");
        check_overlaps(warnings, &own, &message);
        let own: BTreeSet<String> = own.into_iter().collect();
        let mut all: Vec<String> = own.iter().chain(&known).cloned().collect();
        all.sort();
        check_overlaps(warnings, &all, &message);
        known.extend(own);
    }
}

fn quoted_source(named: &str, source: &Value, name_field: &str) -> String {
    if name_field.is_empty() {
        named.to_owned()
    } else {
        format!("{named} {}", go_quoted(text(source, name_field)))
    }
}

fn projected_paths(source: &Value, paths: impl Fn(&Value) -> Vec<String>) -> Option<(Vec<String>, String)> {
    for (field, named, name_field) in
        [("configMap", "ConfigMap", "name"), ("secret", "Secret", "name"), ("downwardAPI", "DownwardAPI", "")]
    {
        if let Some(own) = present(source, field).filter(|own| present(own, "items").is_some()) {
            return Some((paths(own), quoted_source(named, own, name_field)));
        }
    }
    let token = present(source, "serviceAccountToken")?;
    Some((vec![text(token, "path").to_owned()], "ServiceAccountToken".to_owned()))
}

fn check_overlaps(warnings: &mut Vec<String>, paths: &[String], message: &str) {
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for path in paths {
        let path = path.trim_end_matches('/');
        if let Some(other) = overlapping(&known, path) {
            warnings.push(format!("{message}: {} with {}", go_quoted(path), go_quoted(other)));
        }
        known.insert(path);
    }
}

/// A path that is a beginning of `path`, or the other way round; Kubernetes takes any beginning of the text.
fn overlapping<'a>(known: &BTreeSet<&'a str>, path: &str) -> Option<&'a str> {
    if path.is_empty() || known.contains("") {
        return None;
    }
    // What begins with `path` stands right after it, sorted.
    if let Some(longer) = known
        .range::<str, _>((Bound::Included(path), Bound::Unbounded))
        .next()
        .filter(|longer| longer.starts_with(path))
    {
        return Some(longer);
    }
    let mut ends = (1..path.len()).rev().filter(|end| path.is_char_boundary(*end));
    ends.find_map(|end| known.get(&path[..end]).copied())
}

/// Duplicates and empty names in the lists of a spec, addresses that are not written as they should.
fn of_lists(warnings: &mut Vec<String>, path: &Path<'_>, spec: &Value) {
    let mut duplicates = |field: &str, key: &str, what: &str| {
        let path = path.child(field);
        let mut seen = HashSet::new();
        for (index, item) in list(spec, field).iter().enumerate() {
            let value = text(item, key);
            if !seen.insert(value) {
                let place = path.index(index);
                warnings.push(format!("{}: duplicate {what} {}", place.child(key), go_quoted(value)));
            }
        }
    };
    duplicates("hostAliases", "ip", "ip");
    duplicates("imagePullSecrets", "name", "name");
    let secrets = path.child("imagePullSecrets");
    for (index, secret) in list(spec, "imagePullSecrets").iter().enumerate() {
        if text(secret, "name").is_empty() {
            warnings.push(format!("{}: invalid empty name \"\"", secrets.index(index).child("name")));
        }
    }
    let aliases = path.child("hostAliases");
    for (index, alias) in list(spec, "hostAliases").iter().enumerate() {
        warnings.extend(address::warning(&aliases.index(index).child("ip"), text(alias, "ip")));
    }
    let servers = path.child("dnsConfig");
    let servers = servers.child("nameservers");
    for (index, server) in texts(&spec["dnsConfig"], "nameservers").enumerate() {
        warnings.extend(address::warning(&servers.index(index), server));
    }
}

fn of_fraction(warnings: &mut Vec<String>, path: &Path<'_>, amounts: &Value, resource: &str) {
    if let Some(amount) = present(amounts, resource)
        && !quantity(amount).is_whole()
    {
        let written = go_quoted(amount.as_str().unwrap_or_default());
        let place = path.key(resource);
        warnings.push(format!("{place}: fractional byte value {written} is invalid, must be an integer"));
    }
}

fn of_variables(warnings: &mut Vec<String>, path: &Path<'_>, variables: &[Value]) {
    let mut seen = HashSet::new();
    for (index, variable) in variables.iter().enumerate() {
        let name = text(variable, "name");
        if seen.insert(name) {
            continue;
        }
        // A variable may build on its own earlier value.
        let reference = format!("$({name})");
        let value = text(variable, "value");
        if present(variable, "valueFrom").is_some() || value == reference || !value.contains(&reference) {
            warnings.push(format!(
                "{}: hides previous definition of {}, which may be dropped when using apply",
                path.index(index),
                go_quoted(name)
            ));
        }
    }
}

/// How many warnings about ports there may be: ports that are all alike would give one for every pair.
const PORT_WARNINGS_MAX: usize = 1000;

/// Ports that are declared twice, or collide on the node.
fn of_ports(warnings: &mut Vec<String>, path: &Path<'_>, spec: &Value) {
    let most = warnings.len() + PORT_WARNINGS_MAX;
    let mut known: HashMap<(i64, &str), Vec<(String, &Value)>> = HashMap::new();
    let mut found: Vec<(String, &Value)> = Vec::new();
    for field in ["initContainers", "containers", "ephemeralContainers"] {
        let path = path.child(field);
        for (index, container) in list(spec, field).iter().enumerate() {
            let path = path.index(index);
            let path = path.child("ports");
            for (index, port) in list(container, "ports").iter().enumerate() {
                found.push((path.index(index).to_string(), port));
            }
        }
    }
    for (place, port) in found {
        let (address, host) = (text(port, "hostIP"), number(port, "hostPort"));
        if !address.is_empty() && host == 0 {
            warnings.push(format!("{place}: hostIP set without hostPort: {}", as_go_struct(port)));
        }
        let others = known.entry((number(port, "containerPort"), text(port, "protocol"))).or_default();
        for (other_place, other) in others.iter() {
            let (other_address, other_host) = (text(other, "hostIP"), number(other, "hostPort"));
            let what = if address == other_address && host == other_host {
                "duplicate"
            } else if host == 0 || other_host == 0 {
                "overlapping"
            } else if host == other_host && address.is_empty() != other_address.is_empty() {
                "dangerously ambiguous"
            } else {
                continue;
            };
            if warnings.len() >= most {
                return;
            }
            warnings.push(format!("{place}: {what} port definition with {other_place}"));
        }
        others.push((place, port));
    }
}

/// A port as Go prints the struct.
fn as_go_struct(port: &Value) -> String {
    format!(
        "{{Name:{} HostPort:{} ContainerPort:{} Protocol:{} HostIP:{}}}",
        text(port, "name"),
        number(port, "hostPort"),
        number(port, "containerPort"),
        text(port, "protocol"),
        text(port, "hostIP")
    )
}

fn of_affinity(warnings: &mut Vec<String>, path: &Path<'_>, affinity: &Value) {
    for field in ["podAffinity", "podAntiAffinity"] {
        let pods = &affinity[field];
        let path = path.child(field);
        let required = path.child(REQUIRED);
        for (index, term) in list(pods, REQUIRED).iter().enumerate() {
            if present(term, "labelSelector").is_none() {
                let place = required.index(index);
                warnings.push(format!("{}: {NULL_SELECTOR}", place.child("labelSelector")));
            }
        }
        let preferred = path.child(PREFERRED);
        for (index, term) in list(pods, PREFERRED).iter().enumerate() {
            if present(&term["podAffinityTerm"], "labelSelector").is_none() {
                let place = preferred.index(index);
                let place = place.child("podAffinityTerm");
                warnings.push(format!("{}: {NULL_SELECTOR}", place.child("labelSelector")));
            }
        }
    }
}

#[cfg(test)]
mod tests;
