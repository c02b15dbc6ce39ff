//! What a Pod contributes to a Service: addresses, ports, and whether it serves.

use k8s_openapi::api::core::v1::{ContainerPort, ObjectReference, Pod, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use xebec_coordinator::{Event, Index, Key, Kind, Object, View};

use crate::pod;

/// The label of a Service without an address of its own, on what is made for it.
pub(super) const HEADLESS: &str = "service.kubernetes.io/headless";
/// When the change happened that an object was last written for.
pub(super) const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";
/// The index over Services by namespace and one pair of their selector.
const BY_SELECTOR: &str = "by-selector";

/// The namespace and the pairs of a label set, by which Services are found.
fn pair(namespace: Option<&str>, name: &str, value: &str) -> String {
    format!("{}/{name}={value}", namespace.unwrap_or_default())
}

/// An index of Services by which those of a Pod are found.
pub(super) fn by_selector() -> Index {
    Index::new(BY_SELECTOR, |service: &Service| {
        let first = selector(service).and_then(|selector| selector.first_key_value());
        let namespace = service.metadata.namespace.as_deref();
        first.map(|(name, value)| pair(namespace, name, value)).into_iter().collect()
    })
}

/// The selector, if it selects anything.
pub(super) fn selector(service: &Service) -> Option<&std::collections::BTreeMap<String, String>> {
    service.spec.as_ref()?.selector.as_ref().filter(|selector| !selector.is_empty())
}

/// Whether its endpoints are to be made of the Pods it selects.
pub(super) fn has_endpoints(service: &Service) -> bool {
    let external = service.spec.as_ref().is_some_and(|spec| spec.type_.as_deref() == Some("ExternalName"));
    !external && selector(service).is_some()
}

/// The keys of the Services that select a Pod, or did before the event.
pub(super) fn services_of(event: &Event, view: &View) -> Vec<Key> {
    let mut keys = Vec::new();
    for state in event.states() {
        for (name, value) in state.labels() {
            for candidate in
                view.typed::<Service>().by_index(BY_SELECTOR, &pair(state.namespace(), name, value))
            {
                let selects = candidate.decode::<Service>().is_ok_and(|service| selects(&service, state));
                if selects && !keys.contains(candidate.key()) {
                    keys.push(candidate.key().clone());
                }
            }
        }
    }
    keys
}

fn selects(service: &Service, pod: &Object) -> bool {
    selector(service)
        .is_some_and(|selector| selector.iter().all(|(name, value)| pod.label(name) == Some(value.as_str())))
}

/// The index over Pods by namespace and each of their labels.
const BY_LABEL: &str = "by-label";

/// An index of Pods by which those of a Service are found.
pub(super) fn by_label() -> Index {
    Index::over_objects(BY_LABEL, Kind::of::<Pod>(), |object| {
        object.labels().map(|(name, value)| pair(object.namespace(), name, value)).collect()
    })
}

/// The Pods that a Service selects and that have an address. Those that are terminating are among them if asked for.
pub(super) fn pods_of(
    service: &Service,
    view: &View,
    terminating: bool,
) -> Result<Vec<Pod>, xebec_coordinator::DecodeError> {
    let Some((name, value)) = selector(service).and_then(|selector| selector.first_key_value()) else {
        return Ok(Vec::new());
    };
    let key = pair(service.metadata.namespace.as_deref(), name, value);
    let candidates = view.typed::<Pod>().by_index(BY_LABEL, &key);
    let selected = candidates.iter().filter(|candidate| selects(service, candidate));
    let pods: Result<Vec<Pod>, _> = selected.map(Object::decode::<Pod>).collect();
    let counts = |pod: &Pod| {
        !pod::is_finished(pod) && !addresses(pod).is_empty() && (terminating || !pod::is_terminating(pod))
    };
    Ok(pods?.into_iter().filter(counts).collect())
}

/// The addresses of a Pod, the main one first.
fn addresses(pod: &Pod) -> Vec<&str> {
    let Some(status) = &pod.status else { return Vec::new() };
    match &status.pod_ips {
        Some(ips) if !ips.is_empty() => ips.iter().map(|ip| ip.ip.as_str()).collect(),
        _ => status.pod_ip.as_deref().filter(|ip| !ip.is_empty()).into_iter().collect(),
    }
}

/// The address of a Pod in a family (`IPv4`, `IPv6`).
pub(super) fn address(pod: &Pod, family: &str) -> Option<String> {
    let is_of_family = |address: &&str| family_of(address) == family;
    addresses(pod).into_iter().find(is_of_family).map(str::to_owned)
}

/// The family of an address.
pub(super) fn family_of(address: &str) -> &'static str {
    if address.contains(':') { "IPv6" } else { "IPv4" }
}

/// The families of a Service, the main one first.
pub(super) fn families(service: &Service) -> Vec<String> {
    let Some(spec) = &service.spec else { return Vec::new() };
    match &spec.ip_families {
        Some(families) if !families.is_empty() => families.clone(),
        _ => vec![family_of(spec.cluster_ip.as_deref().unwrap_or_default()).to_owned()],
    }
}

/// Whether it has no address of its own.
pub(super) fn is_headless(service: &Service) -> bool {
    service.spec.as_ref().is_some_and(|spec| spec.cluster_ip.as_deref() == Some("None"))
}

/// Whether Pods count as ready whatever they say.
pub(super) fn publishes_not_ready(service: &Service) -> bool {
    service.spec.as_ref().is_some_and(|spec| spec.publish_not_ready_addresses == Some(true))
}

pub(super) fn protocol(port: &ServicePort) -> &str {
    port.protocol.as_deref().unwrap_or("TCP")
}

/// The port of a Pod that a port of a Service leads to; none if it has no port of that name.
pub(super) fn port_number(pod: &Pod, port: &ServicePort) -> Option<i32> {
    match &port.target_port {
        None => Some(port.port),
        Some(IntOrString::Int(number)) => Some(*number),
        Some(IntOrString::String(name)) => {
            let spec = pod.spec.as_ref()?;
            let sidecars = spec.init_containers.iter().flatten();
            let sidecars = sidecars.filter(|container| container.restart_policy.as_deref() == Some("Always"));
            let mut ports =
                spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
            let matches = |candidate: &&ContainerPort| {
                candidate.name.as_ref() == Some(name)
                    && candidate.protocol.as_deref().unwrap_or("TCP") == protocol(port)
            };
            ports.find(matches).map(|found| found.container_port)
        }
    }
}

/// The name by which a Pod is found below its Service's, if it has one.
pub(super) fn hostname(pod: &Pod, service: &Service) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let below = spec.subdomain.is_some() && spec.subdomain == service.metadata.name;
    spec.hostname.clone().filter(|hostname| below && !hostname.is_empty())
}

/// The reference to the Pod behind an address.
pub(super) fn target(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".to_owned()),
        namespace: pod.metadata.namespace.clone(),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
        ..ObjectReference::default()
    }
}

/// When the latest of these Pods came to serve or ceased to, as annotations say it.
pub(super) fn trigger_time(pods: &[Pod], service: &Service) -> Option<String> {
    let changes =
        pods.iter().filter_map(|pod| Some(pod::condition(pod, "Ready")?.last_transition_time.as_ref()?.0));
    let created = service.metadata.creation_timestamp.as_ref().map(|time| time.0);
    changes.max().or(created).map(|time| time.to_string())
}
