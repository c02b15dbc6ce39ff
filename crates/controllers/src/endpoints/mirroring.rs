//! EndpointSlices that mirror the Endpoints people write themselves, for Services without a selector.

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointSubset, Endpoints, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use xebec_coordinator::{BoxError, Event, Key, Kind, Observer, ObserverSpec, Plan, Right, View, Watch};

use super::backends::{TRIGGER_TIME, family_of, selector};
use super::packing::{Group, Packing};
use super::slices::{BY_SERVICE, MANAGED_BY, SERVICE_NAME, by_service, service_of, slices_key};
use crate::naming::Names;
use crate::ownership::controller_reference;

const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";
/// The label of Endpoints that are not to be mirrored.
const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";
/// The annotation of Endpoints that are somebody's lock.
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";
/// At most this many addresses of a subset are mirrored, and so are in a slice.
const ADDRESSES_MAX: usize = 1000;

/// Mirrors Endpoints of Services without a selector in EndpointSlices.
#[derive(Debug, Default)]
pub struct EndpointSliceMirroringController;

impl Observer for EndpointSliceMirroringController {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new(
            "endpointslicemirroring",
            "mirrors in EndpointSlices the Endpoints that people write",
        )
        .reports_as("endpoint-slice-mirroring-controller")
        .watch(Watch::of::<Endpoints>())
        .watch(Watch::of::<Service>())
        .watch(Watch::of::<EndpointSlice>())
        .index(by_service())
        .right(Right::to::<EndpointSlice>(&["create", "update", "delete"]))
        .concurrency(5)
    }

    fn wake(&self, event: &Event, _view: &View) -> Vec<Key> {
        let key = event.key();
        let name = if key.is::<EndpointSlice>() { service_of(event, MANAGER) } else { Some(key.name()) };
        name.map(|name| Key::new::<Endpoints>(key.namespace(), name)).into_iter().collect()
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let namespace = key.namespace();
        let endpoints: Option<Endpoints> = view.get_key(key)?;
        let service: Option<Service> = view.get(namespace, key.name())?;
        let unselected = service.is_some_and(|service| selector(&service).is_none());
        let mirrored = endpoints.filter(|endpoints| unselected && is_mirrored(endpoints));
        let by_service = slices_key(namespace, key.name(), MANAGER);
        let existing: Vec<EndpointSlice> = view.by_index(BY_SERVICE, &by_service)?;
        let subject = mirrored.clone().unwrap_or_default();
        let groups = subject.subsets.iter().flatten().flat_map(groups).collect();
        let mut labels = subject.metadata.labels.clone().unwrap_or_default();
        labels.insert(SERVICE_NAME.to_owned(), key.name().to_owned());
        labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
        let prefix = format!("{}-", key.name());
        let annotations = subject.metadata.annotations.as_ref();
        let packing = Packing {
            names: Names::new(&subject, &prefix, view.now())
                .among(existing.iter().filter_map(|slice| slice.metadata.uid.as_deref())),
            trigger_time: annotations.and_then(|annotations| annotations.get(TRIGGER_TIME)).cloned(),
            endpoints_max: ADDRESSES_MAX,
            metadata: ObjectMeta {
                namespace: namespace.map(str::to_owned),
                generate_name: Some(prefix),
                labels: Some(labels),
                owner_references: Some(vec![controller_reference(
                    &Kind::of::<Endpoints>(),
                    &subject.metadata,
                )]),
                ..ObjectMeta::default()
            },
        };
        let taken = |name: &str| view.typed::<EndpointSlice>().get(namespace, name).is_some();
        packing.plan(&mut plan, existing, groups, taken)?;
        Ok(plan)
    }
}

fn is_mirrored(endpoints: &Endpoints) -> bool {
    let labels = endpoints.metadata.labels.as_ref();
    let skipped = labels.and_then(|labels| labels.get(SKIP)).is_some_and(|skip| skip == "true");
    let is_lock =
        endpoints.metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(LEADER));
    endpoints.metadata.deletion_timestamp.is_none() && !skipped && !is_lock
}

/// The groups of a subset: one a family.
fn groups(subset: &EndpointSubset) -> Vec<Group> {
    let ports: Vec<EndpointPort> = subset
        .ports
        .iter()
        .flatten()
        .map(|port| EndpointPort {
            name: Some(port.name.clone().unwrap_or_default()),
            port: Some(port.port),
            protocol: port.protocol.clone(),
            app_protocol: port.app_protocol.clone(),
        })
        .collect();
    let ready = subset.addresses.iter().flatten().map(|address| (address, true));
    let not_ready = subset.not_ready_addresses.iter().flatten().map(|address| (address, false));
    let all: Vec<(&EndpointAddress, bool)> = ready.chain(not_ready).take(ADDRESSES_MAX).collect();
    ["IPv4", "IPv6"]
        .into_iter()
        .filter_map(|family| {
            let endpoints: Vec<Endpoint> = all
                .iter()
                .filter(|(address, _)| family_of(&address.ip) == family)
                .map(|(address, ready)| endpoint(address, *ready))
                .collect();
            let group = Group { address_type: family.to_owned(), ports: ports.clone(), endpoints };
            (!group.endpoints.is_empty()).then_some(group)
        })
        .collect()
}

fn endpoint(address: &EndpointAddress, ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![address.ip.clone()],
        conditions: Some(EndpointConditions { ready: Some(ready), ..EndpointConditions::default() }),
        hostname: address.hostname.clone(),
        node_name: address.node_name.clone(),
        target_ref: address.target_ref.clone(),
        ..Endpoint::default()
    }
}
