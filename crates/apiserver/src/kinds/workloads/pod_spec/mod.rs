//! The spec of a Pod, which Pods have and templates of them: what it means by leaving fields out ([`defaults`]), and
//! what is wrong with it ([`validate`]), by subject.
//!
//! Kubernetes lets objects that an older version accepted stay as they are, though new ones must obey stricter rules.
//! There are no older objects here: what is stored was valid when it was stored, so that every write is checked alike.

pub mod aggregate;
pub mod annotations;
pub mod claim;
pub mod containers;
pub mod defaults;
mod env;
pub mod gates;
mod image;
mod mounts;
mod network;
mod probes;
mod projected;
pub mod resources;
pub mod rules;
pub mod scheduling;
mod security;
pub mod volumes;
mod windows;

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use self::{containers::Surroundings, resources::Asker};
use crate::machinery::{
    FieldErrors, Path,
    fields::{integer, list, present, text},
    object, selector,
};

/// The path of what stands at no field, which Kubernetes writes as `[]`.
pub const NOWHERE: Path<'static> = Path::ROOT.key("");

/// Calls `visit` with every container of a spec and its path: init containers first, those that were added last.
pub fn visit_containers(path: &Path<'_>, spec: &Value, mut visit: impl FnMut(&Path<'_>, &Value)) {
    for field in ["initContainers", "containers", "ephemeralContainers"] {
        let path = path.child(field);
        for (index, container) in list(spec, field).iter().enumerate() {
            visit(&path.index(index), container);
        }
    }
}

/// What is wrong with a spec. `pod` is the Pod whose spec it is; `None` for that of a template.
pub fn validate(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value, pod: Option<&Value>) {
    let grace_period = integer(spec, "terminationGracePeriodSeconds");
    if grace_period.is_none() {
        errors.required(&path.child("terminationGracePeriodSeconds"), "");
    }
    let (containers, init) = (list(spec, "containers"), list(spec, "initContainers"));
    let volumes = volumes::validate(errors, &path.child("volumes"), list(spec, "volumes"), pod);
    let around = Surroundings {
        volumes,
        claims: claim_names(spec),
        grace_period,
        restart_policy: text(spec, "restartPolicy"),
        host_users: spec["hostUsers"] != false,
        os: present(spec, "os").map(|os| text(os, "name")),
    };
    validate_resource_claims(errors, &path.child("resourceClaims"), list(spec, "resourceClaims"), pod);
    containers::validate(errors, &path.child("containers"), containers, &around);
    containers::validate_init(errors, &path.child("initContainers"), init, containers, &around);
    containers::validate_ephemeral(errors, &path.child("ephemeralContainers"), spec, &around);
    resources::validate_pod_resources(errors, path, spec, &around.claims);
    network::validate_host_network(errors, path, spec, pod.is_some());
    let restart_policy = text(spec, "restartPolicy");
    rules::required_one_of(
        errors,
        &path.child("restartPolicy"),
        restart_policy,
        &["Always", "OnFailure", "Never"],
    );
    rules::required_one_of(
        errors,
        &path.child("dnsPolicy"),
        text(spec, "dnsPolicy"),
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
    );
    selector::validate_labels(errors, &path.child("nodeSelector"), &spec["nodeSelector"]);
    security::validate_pod(errors, &path.child("securityContext"), spec);
    if let Some(affinity) = present(spec, "affinity") {
        scheduling::validate_affinity(errors, &path.child("affinity"), affinity);
    }
    network::validate_dns(errors, path, spec);
    let gates = path.child("readinessGates");
    for (index, gate) in list(spec, "readinessGates").iter().enumerate() {
        rules::qualified_name(
            errors,
            &gates.index(index).child("conditionType"),
            text(gate, "conditionType"),
        );
    }
    scheduling::validate_gates(errors, &path.child("schedulingGates"), list(spec, "schedulingGates"));
    let constraints = list(spec, "topologySpreadConstraints");
    scheduling::validate_spreading(errors, &path.child("topologySpreadConstraints"), constraints);
    windows::validate_host_processes(errors, path, spec);
    network::validate_host_users(errors, path, spec);
    network::validate_hostname_override(errors, path, spec);
    validate_names(errors, path, spec);
    validate_priority_and_overhead(errors, path, spec);
    windows::validate_os(errors, path, spec);
    env::validate_files(errors, path, spec);
}

/// Names of other objects, the deadline, the Pod's own name in the network.
fn validate_names(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value) {
    for field in ["serviceAccountName", "nodeName"] {
        let name = text(spec, field);
        if !name.is_empty() {
            rules::object_name(errors, &path.child(field), name);
        }
    }
    if let Some(seconds) = integer(spec, "activeDeadlineSeconds") {
        rules::in_range(errors, &path.child("activeDeadlineSeconds"), seconds, 1, i32::MAX.into());
    }
    for field in ["hostname", "subdomain"] {
        let name = text(spec, field);
        if !name.is_empty() {
            rules::label(errors, &path.child(field), name);
        }
    }
    scheduling::validate_tolerations(errors, &path.child("tolerations"), list(spec, "tolerations"));
    network::validate_host_aliases(errors, &path.child("hostAliases"), list(spec, "hostAliases"));
}

fn validate_priority_and_overhead(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value) {
    let class = text(spec, "priorityClassName");
    if !class.is_empty() {
        rules::object_name(errors, &path.child("priorityClassName"), class);
    }
    if let Some(class) = present(spec, "runtimeClassName").and_then(Value::as_str) {
        rules::object_name(errors, &path.child("runtimeClassName"), class);
    }
    if let Some(policy) = present(spec, "preemptionPolicy").and_then(Value::as_str) {
        let supported = ["PreemptLowerPriority", "Never"];
        rules::required_one_of(errors, &path.child("preemptionPolicy"), policy, &supported);
    }
    if let Some(overhead) = present(spec, "overhead") {
        let limits = serde_json::json!({ "limits": overhead });
        let path = path.child("overhead");
        resources::validate_requirements(errors, &path, &limits, Asker::Container, &BTreeSet::new());
    }
}

fn claim_names(spec: &Value) -> BTreeSet<&str> {
    let names = list(spec, "resourceClaims").iter().map(|claim| text(claim, "name"));
    names.filter(|name| !name.is_empty()).collect()
}

/// What is wrong with the claims of devices that a Pod makes or uses.
fn validate_resource_claims(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    claims: &[Value],
    pod: Option<&Value>,
) {
    const FIELDS: [&str; 2] = ["resourceClaimName", "resourceClaimTemplateName"];
    let is_static = pod
        .and_then(object::annotations)
        .is_some_and(|annotations| annotations.contains_key(annotations::MIRROR_POD));
    let mut names = HashSet::new();
    for (index, claim) in claims.iter().enumerate() {
        let path = path.index(index);
        if is_static {
            errors.forbidden(&NOWHERE, "static pods do not support resource claims");
            continue;
        }
        let name = text(claim, "name");
        if name.is_empty() {
            errors.required(&path.child("name"), "");
        } else if names.insert(name) {
            rules::label(errors, &path.child("name"), name);
        } else {
            errors.duplicate(&path.child("name"), name);
        }
        match FIELDS.iter().filter(|field| present(claim, field).is_some()).count() {
            0 => {
                let detail = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`";
                errors.invalid(&path, claim.clone(), detail);
            }
            1 => {}
            _ => {
                let detail =
                    "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified";
                errors.invalid(&path, claim.clone(), detail);
            }
        }
        for field in FIELDS {
            if let Some(name) = present(claim, field).and_then(Value::as_str) {
                rules::object_name(errors, &path.child(field), name);
            }
        }
    }
}

#[cfg(test)]
mod tests;
