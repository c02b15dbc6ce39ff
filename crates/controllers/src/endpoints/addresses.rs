//! Endpoints, the older list of the Pods that Services select, by name of the Service.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use xebec_coordinator::{BoxError, Event, Key, Observer, ObserverSpec, Plan, Right, View, Watch, Write};

use super::backends::{
    HEADLESS, TRIGGER_TIME, address, by_label, by_selector, families, has_endpoints, hostname, is_headless,
    pods_of, port_number, protocol, publishes_not_ready, services_of, target, trigger_time,
};
use crate::controller::Writes;
use crate::pod;

/// The label of Endpoints that are ours.
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const MANAGER: &str = "endpoint-controller";
/// Says that addresses were left out.
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
const TRUNCATED: &str = "truncated";
/// At most this many addresses are listed.
const ADDRESSES_MAX: usize = 1000;

/// Keeps the Endpoints of Services with selectors.
#[derive(Debug, Default)]
pub struct EndpointsController;

impl Observer for EndpointsController {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("endpoints", "lists in Endpoints the Pods that each Service selects")
            .reports_as("endpoint-controller")
            .watch(Watch::of::<Service>())
            .watch(Watch::of::<Pod>())
            .watch(Watch::of::<Endpoints>())
            .index(by_selector())
            .index(by_label())
            .right(Right::to::<Endpoints>(&["create", "update", "delete"]))
            .concurrency(5)
    }

    fn wake(&self, event: &Event, view: &View) -> Vec<Key> {
        let key = event.key();
        if key.is::<Pod>() {
            return services_of(event, view);
        }
        vec![Key::new::<Service>(key.namespace(), key.name())]
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let found: Option<Endpoints> = view.get(key.namespace(), key.name())?;
        let Some(service) = view.get_key::<Service>(key)? else {
            // Only ours: what somebody else made for no Service is none of our business.
            let ours = |found: &Endpoints| {
                found.metadata.labels.as_ref().and_then(|labels| labels.get(MANAGED_BY)).is_some()
            };
            if let Some(found) = found.filter(ours) {
                plan.put(
                    Write::delete(Key::of(&found)).if_uid(found.metadata.uid.as_deref().unwrap_or_default()),
                );
            }
            return Ok(plan);
        };
        if !has_endpoints(&service) {
            return Ok(plan);
        }
        let pods = pods_of(&service, view, publishes_not_ready(&service))?;
        let mut subsets = subsets(&service, &pods);
        let truncated = truncate(&mut subsets);
        let is_new = found.is_none();
        let before = found.unwrap_or_else(|| Endpoints {
            metadata: ObjectMeta {
                name: Some(key.name().to_owned()),
                namespace: key.namespace().map(str::to_owned),
                ..ObjectMeta::default()
            },
            subsets: None,
        });
        let mut after = before.clone();
        after.subsets = Some(subsets).filter(|subsets| !subsets.is_empty());
        let mut labels = service.metadata.labels.clone().unwrap_or_default();
        labels.remove(HEADLESS);
        if is_headless(&service) {
            labels.insert(HEADLESS.to_owned(), String::new());
        }
        labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
        after.metadata.labels = Some(labels);
        let annotations = after.metadata.annotations.get_or_insert_default();
        if truncated {
            annotations.insert(OVER_CAPACITY.to_owned(), TRUNCATED.to_owned());
        } else {
            annotations.remove(OVER_CAPACITY);
        }
        after.metadata.annotations.take_if(|annotations| annotations.is_empty());
        if !is_new && after == before {
            return Ok(plan);
        }
        if let Some(time) = trigger_time(&pods, &service) {
            after.metadata.annotations.get_or_insert_default().insert(TRIGGER_TIME.to_owned(), time);
        }
        if is_new {
            plan.put_new(&after)?
        } else {
            plan.put_update(&after)?
        };
        Ok(plan)
    }
}

/// Addresses in order, with their Pods' unique ids, and whether they are ready.
type Addresses = BTreeMap<(IpOrder, String), (EndpointAddress, bool)>;

/// The addresses by what ports they have, ready and not.
fn subsets(service: &Service, pods: &[Pod]) -> Vec<EndpointSubset> {
    let family = families(service).into_iter().next().unwrap_or_default();
    let service_ports: Vec<_> = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten()).collect();
    // By ports, then by address: ready and not ready are two lists.
    let mut groups: Vec<(Vec<EndpointPort>, Addresses)> = Vec::new();
    for pod in pods {
        let Some(ip) = address(pod, &family) else { continue };
        let ports: Vec<EndpointPort> = service_ports
            .iter()
            .filter_map(|port| {
                Some(EndpointPort {
                    name: port.name.clone().filter(|name| !name.is_empty()),
                    port: port_number(pod, port)?,
                    protocol: Some(protocol(port).to_owned()),
                    app_protocol: port.app_protocol.clone(),
                })
            })
            .collect();
        if ports.is_empty() && !(service_ports.is_empty() && is_headless(service)) {
            continue;
        }
        let ready = publishes_not_ready(service) || pod::is_ready(pod);
        let order = (IpOrder::of(&ip), pod.metadata.uid.clone().unwrap_or_default());
        let address = EndpointAddress {
            ip,
            hostname: hostname(pod, service),
            node_name: Some(pod::node(pod).to_owned()).filter(|node| !node.is_empty()),
            target_ref: Some(target(pod)),
        };
        match groups.iter_mut().find(|(known, _)| *known == ports) {
            Some((_, addresses)) => {
                addresses.insert(order, (address, ready));
            }
            None => groups.push((ports, [(order, (address, ready))].into())),
        }
    }
    let subset = |(ports, addresses): (Vec<EndpointPort>, Addresses)| {
        let (ready, not_ready): (Vec<_>, Vec<_>) = addresses.into_values().partition(|(_, ready)| *ready);
        let list = |addresses: Vec<(EndpointAddress, bool)>| {
            Some(addresses.into_iter().map(|(address, _)| address).collect::<Vec<_>>())
                .filter(|list| !list.is_empty())
        };
        EndpointSubset {
            addresses: list(ready),
            not_ready_addresses: list(not_ready),
            ports: Some(ports).filter(|ports| !ports.is_empty()),
        }
    };
    groups.into_iter().map(subset).collect()
}

/// Addresses in the order of their bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct IpOrder(Option<IpAddr>, String);

impl IpOrder {
    fn of(ip: &str) -> Self {
        Self(ip.parse().ok(), ip.to_owned())
    }
}

/// Leaves out what is too much, those that are not ready first; whether there was too much.
fn truncate(subsets: &mut Vec<EndpointSubset>) -> bool {
    let count = |list: &Option<Vec<EndpointAddress>>| list.as_ref().map_or(0, Vec::len);
    let total: usize =
        subsets.iter().map(|subset| count(&subset.addresses) + count(&subset.not_ready_addresses)).sum();
    if total <= ADDRESSES_MAX {
        return false;
    }
    let mut room = ADDRESSES_MAX;
    let mut keep = |list: &mut Option<Vec<EndpointAddress>>| {
        if let Some(addresses) = list {
            addresses.truncate(room);
            room -= addresses.len();
        }
        list.take_if(|addresses| addresses.is_empty());
    };
    for subset in subsets.iter_mut() {
        keep(&mut subset.addresses);
    }
    for subset in subsets.iter_mut() {
        keep(&mut subset.not_ready_addresses);
    }
    subsets.retain(|subset| subset.addresses.is_some() || subset.not_ready_addresses.is_some());
    true
}
