//! EndpointSlices for the Pods that Services select.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use xebec_coordinator::{
    BoxError, Event, Index, Key, Kind, Observer, ObserverSpec, Plan, Right, View, Watch,
};

use super::backends::{
    HEADLESS, address, by_label, by_selector, families, has_endpoints, hostname, is_headless, pods_of,
    port_number, protocol, publishes_not_ready, services_of, target, trigger_time,
};
use super::packing::{Group, Packing};
use crate::naming::Names;
use crate::ownership::controller_reference;
use crate::pod;

/// The label of a slice with the name of its Service.
pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The label of a slice with who manages it.
pub(super) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";
/// The label of a node with its zone.
const ZONE: &str = "topology.kubernetes.io/zone";
/// At most this many endpoints are in a slice.
const ENDPOINTS_MAX: usize = 100;
/// The index over slices by namespace, Service and manager.
pub(super) const BY_SERVICE: &str = "by-service";

/// Keeps the EndpointSlices of Services with selectors.
#[derive(Debug, Default)]
pub struct EndpointSliceController;

/// The value by which slices of a Service, by this manager, are found.
pub(super) fn slices_key(namespace: Option<&str>, service: &str, manager: &str) -> String {
    format!("{}/{service}/{manager}", namespace.unwrap_or_default())
}

/// The Service of a slice of this manager.
pub(super) fn service_of<'e>(event: &'e Event, manager: &str) -> Option<&'e str> {
    let mut managed = event.states().filter(|slice| slice.label(MANAGED_BY) == Some(manager));
    managed.find_map(|slice| slice.label(SERVICE_NAME))
}

/// An index of slices by which those of a Service are found.
pub(super) fn by_service() -> Index {
    Index::over_objects(BY_SERVICE, Kind::of::<EndpointSlice>(), |slice| {
        let labels = slice.label(SERVICE_NAME).zip(slice.label(MANAGED_BY));
        labels.map(|(service, manager)| slices_key(slice.namespace(), service, manager)).into_iter().collect()
    })
}

impl Observer for EndpointSliceController {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("endpointslice", "lists in EndpointSlices the Pods that each Service selects")
            .reports_as("endpoint-slice-controller")
            .watch(Watch::of::<Service>())
            .watch(Watch::of::<Pod>())
            .watch(Watch::of::<EndpointSlice>())
            .watch(Watch::of::<Node>().metadata_only())
            .index(by_selector())
            .index(by_label())
            .index(by_service())
            .right(Right::to::<EndpointSlice>(&["create", "update", "delete"]))
            .concurrency(5)
    }

    fn wake(&self, event: &Event, view: &View) -> Vec<Key> {
        let key = event.key();
        if key.is::<Service>() {
            return vec![key.clone()];
        }
        if key.is::<Pod>() {
            return services_of(event, view);
        }
        service_of(event, MANAGER)
            .map(|service| Key::new::<Service>(key.namespace(), service))
            .into_iter()
            .collect()
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        // Slices of a Service that is gone are for the garbage collector.
        let Some(service) = view.get_key::<Service>(key)?.filter(has_endpoints) else { return Ok(plan) };
        if service.metadata.deletion_timestamp.is_some() {
            return Ok(plan);
        }
        let namespace = key.namespace();
        let pods = pods_of(&service, view, true)?;
        let by_service = slices_key(namespace, key.name(), MANAGER);
        let existing: Vec<EndpointSlice> = view.by_index(BY_SERVICE, &by_service)?;
        let groups =
            families(&service).iter().flat_map(|family| groups(&service, &pods, family, view)).collect();
        let prefix = format!("{}-", key.name());
        let names = Names::new(&service, &prefix, view.now());
        let uids = existing.iter().filter_map(|slice| slice.metadata.uid.as_deref());
        let packing = Packing {
            names: names.among(uids),
            trigger_time: trigger_time(&pods, &service),
            endpoints_max: ENDPOINTS_MAX,
            metadata: ObjectMeta {
                namespace: namespace.map(str::to_owned),
                generate_name: Some(prefix),
                labels: Some(labels(&service)),
                owner_references: Some(vec![controller_reference(&Kind::of::<Service>(), &service.metadata)]),
                ..ObjectMeta::default()
            },
        };
        let taken = |name: &str| view.typed::<EndpointSlice>().get(namespace, name).is_some();
        packing.plan(&mut plan, existing, groups, taken)?;
        Ok(plan)
    }
}

fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.remove(HEADLESS);
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels.insert(SERVICE_NAME.to_owned(), service.metadata.name.clone().unwrap_or_default());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels
}

/// The endpoints of a family by their ports, which may differ where ports are named. At least one group, if an empty one.
fn groups(service: &Service, pods: &[Pod], family: &str, view: &View) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for pod in pods {
        let Some(address) = address(pod, family) else { continue };
        let ports = ports(service, pod);
        let place = groups.iter().position(|group| group.ports == ports).unwrap_or_else(|| {
            groups.push(Group { address_type: family.to_owned(), ports, endpoints: Vec::new() });
            groups.len() - 1
        });
        groups[place].endpoints.push(endpoint(service, pod, address, view));
    }
    if groups.is_empty() {
        groups.push(Group { address_type: family.to_owned(), ..Group::default() });
    }
    groups
}

fn ports(service: &Service, pod: &Pod) -> Vec<EndpointPort> {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    ports
        .filter_map(|port| {
            Some(EndpointPort {
                name: Some(port.name.clone().unwrap_or_default()),
                port: Some(port_number(pod, port)?),
                protocol: Some(protocol(port).to_owned()),
                app_protocol: port.app_protocol.clone(),
            })
        })
        .collect()
}

fn endpoint(service: &Service, pod: &Pod, address: String, view: &View) -> Endpoint {
    let serving = pod::is_ready(pod);
    let terminating = pod::is_terminating(pod);
    let node = Some(pod::node(pod)).filter(|node| !node.is_empty());
    let zone = node.and_then(|node| view.typed::<Node>().get(None, node)?.label(ZONE));
    Endpoint {
        addresses: vec![address],
        conditions: Some(EndpointConditions {
            ready: Some(publishes_not_ready(service) || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname: hostname(pod, service),
        node_name: node.map(str::to_owned),
        target_ref: Some(target(pod)),
        zone: zone.map(str::to_owned),
        ..Endpoint::default()
    }
}
