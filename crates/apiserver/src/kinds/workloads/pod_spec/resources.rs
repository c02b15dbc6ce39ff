//! What containers and Pods may ask for: the names of resources, their amounts, and limits against requests.

use std::{borrow::Cow, collections::BTreeSet};

use serde_json::Value;

use super::aggregate::{amounts, container_resources, quantity};
use crate::machinery::{
    FieldErrors, Path,
    fields::{entries, list, present, text},
    format,
    invalid::{Cause, go_quoted},
    quantity::Quantity,
};

/// The prefix of resources that are huge pages; the size of a page follows.
const HUGE_PAGES: &str = "hugepages-";
/// Resources that containers may name without a domain.
const FOR_CONTAINERS: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
/// Resources that may be named without a domain somewhere.
const STANDARD: [&str; 20] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "storage",
    "requests.storage",
    "services.nodeports",
    "services.loadbalancers",
];
/// Resources that only come whole.
const WHOLE: [&str; 9] = [
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];

/// Whether a resource is huge pages of some size.
pub fn is_huge_page(name: &str) -> bool {
    name.starts_with(HUGE_PAGES)
}

/// Whether a resource is Kubernetes' own: it has no domain, or one of Kubernetes.
pub fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Whether more of a resource may be limited than is there, so that limit and request may differ.
pub fn may_overcommit(name: &str) -> bool {
    is_native(name) && !is_huge_page(name)
}

/// Whether a Pod as a whole may ask for a resource.
pub fn is_supported_for_pods(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || is_huge_page(name)
}

/// Whether a resource is a device or the like, under the domain of its vendor.
pub fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && format::is_qualified_name(&format!("requests.{name}")).is_empty()
}

fn comes_whole(name: &str) -> bool {
    WHOLE.contains(&name) || is_extended(name)
}

/// What is wrong with the name of a resource anywhere.
pub fn validate_name(errors: &mut FieldErrors, path: &Path<'_>, name: &str) {
    let problems = format::is_qualified_name(name);
    if problems.is_empty()
        && !name.contains('/')
        && !STANDARD.contains(&name)
        && !is_huge_page(name.trim_start_matches("requests."))
    {
        errors.invalid(path, name, "must be a standard resource type or fully qualified");
    }
    format::report(errors, path, name, problems);
}

/// What is wrong with the name of a resource in a container.
pub fn validate_container_name(errors: &mut FieldErrors, path: &Path<'_>, name: &str) {
    validate_name(errors, path, name);
    if !name.contains('/') {
        if !FOR_CONTAINERS.contains(&name) && !is_huge_page(name) {
            errors.invalid(path, name, "must be a standard resource for containers");
        }
    } else if !is_native(name) && !is_extended(name) {
        errors.invalid(path, name, "doesn't follow extended resource name standard");
    }
}

fn validate_pod_name(errors: &mut FieldErrors, path: &Path<'_>, name: &str) {
    let before = errors.len();
    validate_name(errors, path, name);
    if errors.len() == before && !is_supported_for_pods(name) {
        errors.not_supported(path, name, &["cpu", "hugepages-", "memory"]);
    }
}

/// What is wrong with an amount of a resource.
pub fn validate_amount(errors: &mut FieldErrors, path: &Path<'_>, name: &str, amount: &Value) {
    validate_nonnegative_amount(errors, path, amount);
    if comes_whole(name) && !quantity(amount).is_whole() {
        errors.invalid(path, amount.clone(), "must be an integer");
    }
}

/// An amount must not be negative.
pub fn validate_nonnegative_amount(errors: &mut FieldErrors, path: &Path<'_>, amount: &Value) {
    if quantity(amount).signum() < 0 {
        errors.invalid(path, amount.clone(), "must be greater than or equal to 0");
    }
}

/// Who asks: containers and Pods may name different resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// A container, or the overhead of a Pod's runtime.
    Container,
    /// A Pod as a whole.
    Pod,
}

/// What is wrong with a `ResourceRequirements`. `claims` are the names of the Pod's resource claims.
pub fn validate_requirements(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    requirements: &Value,
    asker: Asker,
    claims: &BTreeSet<&str>,
) {
    let validate_name = match asker {
        Asker::Container => validate_container_name,
        Asker::Pod => validate_pod_name,
    };
    let (limits_path, requests_path) = (path.child("limits"), path.child("requests"));
    let (mut computes, mut huge_pages) = (false, false);
    for (name, amount) in entries(requirements, "limits") {
        let path = limits_path.key(name);
        validate_name(errors, &path, name);
        validate_amount(errors, &path, name, amount);
        validate_huge_page_amount(errors, &path, name, amount);
        huge_pages |= is_huge_page(name);
        computes |= matches!(name, "cpu" | "memory");
    }
    for (name, amount) in entries(requirements, "requests") {
        let path = requests_path.key(name);
        validate_name(errors, &path, name);
        validate_amount(errors, &path, name, amount);
        let limit = present(&requirements["limits"], name);
        validate_against_limit(errors, (&limits_path, &requests_path), name, amount, limit);
        validate_huge_page_amount(errors, &path, name, amount);
        huge_pages |= is_huge_page(name);
        computes |= matches!(name, "cpu" | "memory");
    }
    if huge_pages && !computes {
        errors.forbidden(path, "HugePages require cpu or memory");
    }
    validate_claims(errors, &path.child("claims"), list(requirements, "claims"), claims);
}

fn validate_against_limit(
    errors: &mut FieldErrors,
    (limits_path, requests_path): (&Path<'_>, &Path<'_>),
    name: &str,
    amount: &Value,
    limit: Option<&Value>,
) {
    match limit {
        None if may_overcommit(name) => {}
        None => errors.required(limits_path, "Limit must be set for non overcommitable resources"),
        Some(limit) => {
            let written = limit.as_str().unwrap_or_default();
            let (own, most) = (quantity(amount), quantity(limit));
            if own != most && !may_overcommit(name) {
                let detail = format!("must be equal to {name} limit of {written}");
                errors.invalid(requests_path, amount.clone(), &detail);
            } else if own > most {
                let detail = format!("must be less than or equal to {name} limit of {written}");
                errors.invalid(requests_path, amount.clone(), &detail);
            }
        }
    }
}

/// Huge pages come in whole pages.
fn validate_huge_page_amount(errors: &mut FieldErrors, path: &Path<'_>, name: &str, amount: &Value) {
    let Some(size) = name.strip_prefix(HUGE_PAGES) else { return };
    let page = Quantity::parse(size).ok().filter(|page| page.signum() > 0);
    let own = quantity(amount);
    let divisible = page.is_some_and(|page| page.is_whole() && own.value() % page.value() == 0);
    if !divisible {
        let written = amount.as_str().unwrap_or_default();
        errors.invalid(
            path,
            amount.clone(),
            &format!("{written} is not positive integer multiple of {name}"),
        );
    }
}

fn validate_claims(errors: &mut FieldErrors, path: &Path<'_>, claims: &[Value], known: &BTreeSet<&str>) {
    let mut used: BTreeSet<Cow<'_, str>> = BTreeSet::new();
    let mut used_in_part: BTreeSet<&str> = BTreeSet::new();
    for (index, claim) in claims.iter().enumerate() {
        let path = path.index(index);
        let (name, request) = (text(claim, "name"), text(claim, "request"));
        if name.is_empty() {
            errors.required(&path, "");
            continue;
        }
        if used.contains(name) {
            errors.duplicate(&path, name);
        } else if request.is_empty() {
            if used_in_part.contains(name) {
                errors.duplicate(&path, name);
            }
            used.insert(name.into());
        } else {
            format::report(errors, &path.child("request"), request, format::is_dns1123_label(request));
            let key = format!("{name}/{request}");
            if used.contains(key.as_str()) {
                errors.duplicate(&path, key.as_str());
            }
            used.insert(key.into());
            used_in_part.insert(name);
        }
        if !known.contains(name) {
            let mut message = format!(
                "Not found: {}: must be one of the names in pod.spec.resourceClaims",
                go_quoted(name)
            );
            if known.is_empty() {
                message.push_str(" which is empty");
            } else {
                message.push_str(": ");
                message.push_str(&known.iter().copied().collect::<Vec<_>>().join(", "));
            }
            errors.push(Cause::FieldValueNotFound, &path, message);
        }
    }
}

/// What is wrong with the resources of a Pod as a whole.
pub fn validate_pod_resources(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    spec: &Value,
    claims: &BTreeSet<&str>,
) {
    let Some(own) = present(spec, "resources") else { return };
    let path = path.child("resources");
    if spec["os"]["name"] == "windows" {
        errors.forbidden(&path, "may not be set for a windows pod");
        return;
    }
    if present(own, "claims").is_some() {
        errors.forbidden(&path.child("claims"), "claims may not be set for Resources at pod-level");
    }
    validate_requirements(errors, &path, own, Asker::Pod, claims);
    validate_aggregates(errors, &path, spec, own);
}

/// What the containers ask for together must fit into what the Pod asks for.
fn validate_aggregates(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value, own: &Value) {
    let (requests, limits) = (amounts(own, "requests"), amounts(own, "limits"));
    for (kind, pod, only_huge_pages) in [("requests", &requests, false), ("limits", &limits, true)] {
        for (name, needed) in container_resources(spec, kind) {
            if let Some(amount) = pod.get(name).filter(|_| !only_huge_pages || is_huge_page(name))
                && needed > *amount
            {
                let detail =
                    format!("must be greater than or equal to aggregate container {kind} of {needed}");
                errors.invalid(&path.child(kind).key(name), amount.to_string(), &detail);
            }
        }
    }
    for (index, container) in list(spec, "containers").iter().enumerate() {
        for (name, limit) in amounts(&container["resources"], "limits") {
            if let Some(most) = limits.get(name)
                && limit > *most
            {
                let detail = format!("must be less than or equal to pod limits of {most}");
                let place = path.child("containers");
                let place = place.index(index);
                errors.invalid(&place.key(name).child("limits"), limit.to_string(), &detail);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::workloads::testing::{assert_lines, container, container_errors, spec_errors};

    #[test]
    fn containers_ask_for_what_there_is() {
        for (resources, want) in [
            (
                json!({"limits": {"cpu": "1", "example.com/gpu": "2"}, "requests": {"cpu": "500m", "example.com/gpu": "2"}}),
                vec![],
            ),
            (
                json!({"limits": {"cpu": "-1"}, "requests": {"cpu": "2"}}),
                vec![
                    "spec.containers[0].resources.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
                    "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of -1",
                ],
            ),
            (
                json!({"requests": {"pods": "1", "a b": "1"}}),
                vec![
                    "spec.containers[0].resources.requests[a b]: Invalid value: \"a b\": name part must consist of…",
                    "spec.containers[0].resources.requests[a b]: Invalid value: \"a b\": must be a standard resource for containers",
                    "spec.containers[0].resources.requests[pods]: Invalid value: \"pods\": must be a standard resource for containers",
                ],
            ),
            (
                json!({"requests": {"x": "1"}}),
                vec![
                    "spec.containers[0].resources.requests[x]: Invalid value: \"x\": must be a standard resource type or fully qualified",
                    "spec.containers[0].resources.requests[x]: Invalid value: \"x\": must be a standard resource for containers",
                ],
            ),
            (
                json!({"limits": {"example.com/gpu": "500m"}, "requests": {"example.com/gpu": "1"}}),
                vec![
                    "spec.containers[0].resources.limits[example.com/gpu]: Invalid value: \"500m\": must be an integer",
                    "spec.containers[0].resources.requests: Invalid value: \"1\": must be equal to example.com/gpu limit of 500m",
                ],
            ),
            (
                json!({"requests": {"example.com/gpu": "1"}}),
                vec![
                    "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources",
                ],
            ),
            (
                json!({"limits": {"hugepages-2Mi": "3Mi"}, "requests": {"hugepages-2Mi": "3Mi"}}),
                vec![
                    "spec.containers[0].resources.limits[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple of hugepages-2Mi",
                    "spec.containers[0].resources.requests[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple of hugepages-2Mi",
                    "spec.containers[0].resources: Forbidden: HugePages require cpu or memory",
                ],
            ),
            (
                json!({"claims": [{"name": "x"}]}),
                vec![
                    "spec.containers[0].resources.claims[0]: Not found: \"x\": must be one of the names in pod.spec.resourceClaims which is empty",
                ],
            ),
        ] {
            let container = json!({ "resources": resources });
            assert_lines(&container_errors(&container), &want, &container);
        }
    }

    #[test]
    fn claims_of_devices_are_used_by_name() {
        let claims =
            json!([{"name": "a", "resourceClaimName": "x"}, {"name": "b", "resourceClaimTemplateName": "y"}]);
        for (used, want) in [
            (json!([{"name": "a", "request": "r1"}, {"name": "a", "request": "r2"}, {"name": "b"}]), vec![]),
            (
                json!([{"name": ""}, {"name": "c"}]),
                vec![
                    "spec.containers[0].resources.claims[0]: Required value",
                    "spec.containers[0].resources.claims[1]: Not found: \"c\": must be one of the names in pod.spec.resourceClaims: a, b",
                ],
            ),
            (
                json!([{"name": "a"}, {"name": "a"}, {"name": "b", "request": "r"}, {"name": "b", "request": "r"}]),
                vec![
                    "spec.containers[0].resources.claims[1]: Duplicate value: \"a\"",
                    "spec.containers[0].resources.claims[3]: Duplicate value: \"b/r\"",
                ],
            ),
        ] {
            let spec = json!({"resourceClaims": claims, "containers": [container(&json!({"resources": {"claims": used}}))]});
            assert_lines(&spec_errors(&spec), &want, &spec);
        }
        let spec = json!({"resourceClaims": [{"name": "a"}, {"name": "a", "resourceClaimName": "x", "resourceClaimTemplateName": "y"}]});
        assert_lines(
            &spec_errors(&spec),
            &[
                "spec.resourceClaims[0]: Invalid value: {\"name\":\"a\"}: must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
                "spec.resourceClaims[1].name: Duplicate value: \"a\"",
                "spec.resourceClaims[1]: Invalid value: {\"name\":\"a\",\"resourceClaimName\":\"x\",\"resourceClaimTemplateName\":\"y\"}: at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
            ],
            &spec,
        );
    }

    #[test]
    fn containers_fit_into_their_pod() {
        let containers =
            json!([container(&json!({"resources": {"limits": {"cpu": "3"}, "requests": {"cpu": "2"}}}))]);
        for (resources, want) in [
            (json!({"limits": {"cpu": "4"}, "requests": {"cpu": "3"}}), vec![]),
            (
                json!({"limits": {"cpu": "2"}, "requests": {"cpu": "1", "example.com/gpu": "1"}}),
                vec![
                    "spec.resources.requests[example.com/gpu]: Unsupported value: \"example.com/gpu\": supported values: \"cpu\", \"hugepages-\", \"memory\"",
                    "spec.resources.limits: Required value: Limit must be set for non overcommitable resources",
                    "spec.resources.requests[cpu]: Invalid value: \"1\": must be greater than or equal to aggregate container requests of 2",
                    "spec.resources.containers[0][cpu].limits: Invalid value: \"3\": must be less than or equal to pod limits of 2",
                ],
            ),
        ] {
            let spec = json!({"resources": resources, "containers": containers});
            assert_lines(&spec_errors(&spec), &want, &spec);
        }
    }
}
