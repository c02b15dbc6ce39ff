//! What a Pod asks of a node: resources and ports.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::quantity::milli;

/// Amounts by resource, in thousandths.
pub(super) type Amounts = BTreeMap<String, i128>;

/// For scoring, containers that request none count with these: 100m CPUs and 200 MB.
const CPU_BY_DEFAULT: i128 = 100;
const MEMORY_BY_DEFAULT: i128 = 200 * 1024 * 1024 * 1000;

/// What a Pod asks of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Demand {
    pub(super) requests: Amounts,
    /// CPU and memory, for scoring.
    pub(super) weighed: (i128, i128),
    pub(super) ports: Vec<HostPort>,
}

/// A port of the node that a container wants for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostPort {
    address: String,
    protocol: String,
    port: i32,
}

impl Demand {
    pub(super) fn of(pod: &Pod) -> Self {
        let Some(spec) = &pod.spec else { return Self::default() };
        let requests = requests(spec, &|container| amounts(container_requests(container)));
        let weighed = self::requests(spec, &|container| {
            let asked = amounts(container_requests(container));
            let or = |name: &str, by_default| {
                asked.get(name).copied().filter(|amount| *amount != 0).unwrap_or(by_default)
            };
            Amounts::from([
                ("cpu".to_owned(), or("cpu", CPU_BY_DEFAULT)),
                ("memory".to_owned(), or("memory", MEMORY_BY_DEFAULT)),
            ])
        });
        let amount = |name| weighed.get(name).copied().unwrap_or_default();
        let weighed = (amount("cpu"), amount("memory"));
        Self { requests, weighed, ports: ports(spec) }
    }
}

fn container_requests(container: &Container) -> Option<&BTreeMap<String, Quantity>> {
    container.resources.as_ref()?.requests.as_ref()
}

fn amounts(requests: Option<&BTreeMap<String, Quantity>>) -> Amounts {
    requests.into_iter().flatten().map(|(name, quantity)| (name.clone(), milli(quantity))).collect()
}

/// The containers together, or an init container with the sidecars before it where that is more; and the overhead.
fn requests(spec: &PodSpec, of: &dyn Fn(&Container) -> Amounts) -> Amounts {
    let mut together = Amounts::new();
    for container in &spec.containers {
        add(&mut together, &of(container));
    }
    let mut sidecars = Amounts::new();
    let mut at_most = Amounts::new();
    for container in spec.init_containers.iter().flatten() {
        let mut own = of(container);
        if container.restart_policy.as_deref() == Some("Always") {
            add(&mut together, &own);
            add(&mut sidecars, &own);
            own = sidecars.clone();
        } else {
            add(&mut own, &sidecars);
        }
        raise(&mut at_most, own);
    }
    raise(&mut together, at_most);
    let whole = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    for (name, amount) in amounts(whole) {
        together.insert(name, amount);
    }
    add(&mut together, &amounts(spec.overhead.as_ref()));
    together
}

/// Adds amounts to others.
pub(super) fn add(to: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let sum = to.entry(name.clone()).or_default();
        *sum = sum.saturating_add(*amount);
    }
}

fn raise(to: &mut Amounts, other: Amounts) {
    for (name, amount) in other {
        let most = to.entry(name).or_default();
        *most = amount.max(*most);
    }
}

fn ports(spec: &PodSpec) -> Vec<HostPort> {
    let sidecars = spec.init_containers.iter().flatten();
    let sidecars = sidecars.filter(|container| container.restart_policy.as_deref() == Some("Always"));
    let ports = spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
    ports
        .filter_map(|port| {
            Some(HostPort {
                address: port
                    .host_ip
                    .clone()
                    .filter(|ip| !ip.is_empty())
                    .unwrap_or_else(|| "0.0.0.0".to_owned()),
                protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
                port: port.host_port.filter(|port| *port > 0)?,
            })
        })
        .collect()
}

impl HostPort {
    /// Whether two Pods on one node cannot both have theirs.
    pub(super) fn conflicts_with(&self, other: &Self) -> bool {
        let any = |port: &Self| port.address == "0.0.0.0";
        self.port == other.port
            && self.protocol == other.protocol
            && (self.address == other.address || any(self) || any(other))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn demand(spec: &Value) -> Demand {
        Demand::of(&serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap())
    }

    fn container(name: &str, cpu: &str, policy: Option<&str>) -> Value {
        json!({"name": name, "restartPolicy": policy, "resources": {"requests": {"cpu": cpu}}})
    }

    #[test]
    fn requests_are_those_of_the_hungriest_moment() {
        for (inits, cpu) in [
            (json!([]), 300),
            (json!([container("i", "250m", None)]), 300),
            (json!([container("i", "1", None)]), 1000),
            (json!([container("s", "50m", Some("Always"))]), 350),
            (json!([container("s", "50m", Some("Always")), container("i", "1", None)]), 1050),
            (json!([container("i", "1", None), container("s", "50m", Some("Always"))]), 1000),
        ] {
            let spec = json!({
                "initContainers": inits,
                "containers": [container("a", "100m", None), container("b", "0.2", None)],
            });
            assert_eq!(demand(&spec).requests["cpu"], cpu, "{inits}");
        }
        let spec = json!({
            "containers": [container("a", "100m", None), {"name": "b"}],
            "resources": {"requests": {"cpu": "500m"}},
            "overhead": {"cpu": "10m"},
        });
        assert_eq!(demand(&spec).requests["cpu"], 510, "of the Pod as a whole");
        assert_eq!(
            demand(&json!({"containers": [{"name": "a"}]})).weighed,
            (CPU_BY_DEFAULT, MEMORY_BY_DEFAULT)
        );
    }

    #[test]
    fn ports_conflict_by_address_and_protocol() {
        let ports = |port: Value| demand(&json!({"containers": [{"name": "a", "ports": [port]}]})).ports;
        let port = |ip: &str, protocol: &str| {
            ports(json!({"containerPort": 1, "hostPort": 80, "hostIP": ip, "protocol": protocol}))
        };
        let conflict = |one: &[HostPort], other: &[HostPort]| one[0].conflicts_with(&other[0]);
        assert!(conflict(&port("", "TCP"), &port("10.0.0.1", "TCP")));
        assert!(conflict(&port("10.0.0.1", "TCP"), &port("10.0.0.1", "TCP")));
        assert!(!conflict(&port("10.0.0.2", "TCP"), &port("10.0.0.1", "TCP")));
        assert!(!conflict(&port("", "UDP"), &port("", "TCP")));
        assert!(ports(json!({"containerPort": 80})).is_empty());
    }
}
