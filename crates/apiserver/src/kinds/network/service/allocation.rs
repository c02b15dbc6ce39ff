//! Which addresses and ports a Service is given, and which it keeps. Nothing here holds any: they come from a [`Pool`].

use std::{collections::HashMap, net::IpAddr};

use serde_json::{Value, json};

use super::{
    NONE, is_headless, needs_cluster_ip, needs_health_check, needs_node_port, node_ports, type_of, validate,
};
use crate::machinery::{
    FieldErrors, Path, address,
    fields::{is_set, list, number, text, texts},
};

/// The family of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Version 4.
    IPv4,
    /// Version 6.
    IPv6,
}

/// Where the addresses of Services and the ports of Nodes come from.
pub trait Pool {
    /// The families that Services can have, the first being the one they get unasked.
    fn families(&self) -> &[Family];

    /// Takes an address of a family: the wanted one, or any.
    ///
    /// # Errors
    /// Why there is none, such as `provided IP is already allocated`.
    fn take_address(&mut self, family: Family, wanted: Option<IpAddr>) -> Result<IpAddr, String>;

    /// Takes a port of all Nodes: the wanted one, or any.
    ///
    /// # Errors
    /// Why there is none, such as `provided port is already allocated`.
    fn take_port(&mut self, wanted: Option<i64>) -> Result<i64, String>;
}

/// Why a Service could not be given what it needs.
#[derive(Debug, Clone, PartialEq)]
pub enum AllocationError {
    /// What it asks for cannot be (422).
    Invalid(FieldErrors),
    /// There is nothing left (500).
    Exhausted(String),
}

/// The addresses and ports that a Service holds, to be given back when it no longer does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its ports of Nodes, that of health checks included.
    pub ports: Vec<i64>,
}

impl Family {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IPv4 => "IPv4",
            Self::IPv6 => "IPv6",
        }
    }

    fn named(name: &str) -> Option<Self> {
        match name {
            "IPv4" => Some(Self::IPv4),
            "IPv6" => Some(Self::IPv6),
            _ => None,
        }
    }

    fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::IPv4 } else { Self::IPv6 }
    }

    fn other(self) -> Self {
        match self {
            Self::IPv4 => Self::IPv6,
            Self::IPv6 => Self::IPv4,
        }
    }
}

/// What a stored Service holds.
pub fn held(service: &Value) -> Held {
    let mut held = Held::default();
    if needs_cluster_ip(service) {
        held.addresses = texts(&service["spec"], "clusterIPs").filter_map(address::parse).collect();
    }
    let health_check = number(&service["spec"], "healthCheckNodePort");
    held.ports = node_ports(service).into_iter().chain((health_check != 0).then_some(health_check)).collect();
    held.ports.sort_unstable();
    held.ports.dedup();
    held
}

/// Gives a new Service (`old` is `None`) or one that replaces `old` its families, addresses and ports, and keeps those
/// that it has. It comes before `prepare_update` and validation. What was taken from the pool must be given back if
/// the write fails in the end; what `old` holds and the result does not, if it succeeds.
///
/// # Errors
/// What cannot be had.
pub fn assign(new: &mut Value, old: Option<&Value>, pool: &mut dyn Pool) -> Result<(), AllocationError> {
    if let Some(old) = old {
        keep_allocated(new, old);
    }
    normalize_addresses(new, old);
    fill_families(new, old, pool.families()).map_err(AllocationError::Invalid)?;
    assign_addresses(new, old, pool)?;
    assign_ports(new, old, pool)?;
    assign_health_check(new, old, pool)
}

fn refuse(path: &Path<'_>, value: Value, detail: &str) -> AllocationError {
    let mut errors = FieldErrors::new();
    errors.invalid(path, value, detail);
    AllocationError::Invalid(errors)
}

const SPEC: Path<'static> = Path::new("spec");

/// Whoever sends the same manifest again need not name what was allocated (`patchAllocatedValues`).
fn keep_allocated(new: &mut Value, old: &Value) {
    if needs_cluster_ip(old) && needs_cluster_ip(new) {
        for field in ["clusterIP", "clusterIPs"] {
            if !is_set(&new["spec"], field) && is_set(&old["spec"], field) {
                new["spec"][field] = old["spec"][field].clone();
            }
        }
    }
    if needs_node_port(old) && needs_node_port(new) {
        let (mut used, of_old) = (node_ports(new), node_ports(old));
        used.retain(|port| of_old.contains(port));
        let by_name: HashMap<&str, i64> = list(&old["spec"], "ports")
            .iter()
            .map(|port| (text(port, "name"), number(port, "nodePort")))
            .collect();
        for port in new["spec"]["ports"].as_array_mut().into_iter().flatten() {
            let kept = by_name.get(text(port, "name")).copied().unwrap_or_default();
            if number(port, "nodePort") == 0 && kept != 0 && !used.contains(&kept) {
                port["nodePort"] = kept.into();
            }
        }
    }
    if needs_health_check(old) && needs_health_check(new) && !is_set(&new["spec"], "healthCheckNodePort") {
        let port = number(&old["spec"], "healthCheckNodePort");
        if port != 0 {
            new["spec"]["healthCheckNodePort"] = port.into();
        }
    }
}

/// `clusterIP` is the first of `clusterIPs`: older clients know only the one (`normalizeClusterIPs`).
fn normalize_addresses(new: &mut Value, old: Option<&Value>) {
    let one = text(&new["spec"], "clusterIP").to_owned();
    let has_many = is_set(&new["spec"], "clusterIPs");
    let Some(old) = old else {
        if !one.is_empty() && !has_many {
            new["spec"]["clusterIPs"] = json!([one]);
        }
        return;
    };
    let old_one = text(&old["spec"], "clusterIP");
    if is_set(&old["spec"], "clusterIPs") && !has_many && old_one == one {
        new["spec"]["clusterIPs"] = old["spec"]["clusterIPs"].clone();
    }
    if old_one != one && new["spec"]["clusterIPs"] == old["spec"]["clusterIPs"] {
        if one.is_empty() {
            remove(new, "clusterIPs");
        } else {
            new["spec"]["clusterIPs"] = json!([one]);
        }
    }
}

fn remove(service: &mut Value, field: &str) {
    if let Some(spec) = service["spec"].as_object_mut() {
        spec.remove(field);
    }
}

/// The families that a Service has, by its policy, its addresses and what the cluster has (`initIPFamilyFields`).
fn fill_families(new: &mut Value, old: Option<&Value>, available: &[Family]) -> Result<(), FieldErrors> {
    if type_of(new) == "ExternalName" || old.is_some_and(|old| keeps_preferred_stack(new, old)) {
        return Ok(());
    }
    let is_selectorless = text(&new["spec"], "clusterIP") == NONE && !is_set(&new["spec"], "selector");
    if !is_set(&new["spec"], "ipFamilyPolicy") {
        let kept = old.map(|old| text(&old["spec"], "ipFamilyPolicy")).filter(|policy| !policy.is_empty());
        let unasked = if is_selectorless { "RequireDualStack" } else { "SingleStack" };
        new["spec"]["ipFamilyPolicy"] = kept.unwrap_or(unasked).into();
    }
    let mut errors = FieldErrors::new();
    validate::validate_cluster_ips(new, old.unwrap_or(&Value::Null), &mut errors);
    refuse_if_any(errors)?;
    let policy = new["spec"]["ipFamilyPolicy"].clone();
    let is_single = policy == "SingleStack";
    let mut errors = FieldErrors::new();
    if let Some(old) = old {
        release_second(new, old, is_single, &mut errors);
    }
    let policy_path = SPEC.child("ipFamilyPolicy");
    if is_single {
        for (field, what) in [("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")] {
            if list(&new["spec"], field).len() == 2 {
                let detail =
                    format!("must be RequireDualStack or PreferDualStack when multiple {what} are specified");
                errors.invalid(&policy_path, policy.clone(), &detail);
            }
        }
    }
    let mut families: Vec<Family> = texts(&new["spec"], "ipFamilies").filter_map(Family::named).collect();
    let ips_path = SPEC.child("clusterIPs");
    for (index, ip) in texts(&new["spec"], "clusterIPs").enumerate().skip(families.len()) {
        let Some(family) = address::parse(ip).map(Family::of) else { break };
        if available.contains(&family) {
            families.push(family);
        } else {
            let detail = format!("{} is not configured on this cluster", family.as_str());
            errors.invalid(&ips_path.index(index), new["spec"]["clusterIPs"].clone(), &detail);
        }
    }
    refuse_if_any(errors)?;
    let unasked = available.first().copied().unwrap_or(Family::IPv4);
    if is_selectorless {
        if families.is_empty() {
            families.push(unasked);
        }
        if families.len() < 2 && !is_single {
            families.push(families[0].other());
        }
    } else {
        let mut errors = FieldErrors::new();
        if policy == "RequireDualStack" && available.len() < 2 {
            let detail = "this cluster is not configured for dual-stack services";
            errors.invalid(&policy_path, policy, detail);
        }
        let path = SPEC.child("ipFamilies");
        for (index, family) in families.iter().enumerate().filter(|(_, family)| !available.contains(family)) {
            errors.invalid(&path.index(index), family.as_str(), "not configured on this cluster");
        }
        refuse_if_any(errors)?;
        if families.is_empty() {
            families.push(unasked);
        }
        if !is_single && families.len() == 1 && available.len() == 2 {
            families.push(families[0].other());
        }
    }
    new["spec"]["ipFamilies"] = families.into_iter().map(Family::as_str).collect();
    Ok(())
}

fn refuse_if_any(errors: FieldErrors) -> Result<(), FieldErrors> {
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// With a single stack the second address and family go; otherwise whoever takes them away must say so.
fn release_second(new: &mut Value, old: &Value, is_single: bool, errors: &mut FieldErrors) {
    for (field, what) in [("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")] {
        let count = list(&new["spec"], field).len();
        if is_single && count > 1 && new["spec"][field] == old["spec"][field] {
            let first = new["spec"][field][0].clone();
            new["spec"][field] = Value::Array(vec![first]);
        } else if !is_single && count != 0 && count < list(&old["spec"], field).len() {
            let policy = new["spec"]["ipFamilyPolicy"].clone();
            let detail = format!("must be 'SingleStack' to release the secondary {what}");
            errors.invalid(&SPEC.child("ipFamilyPolicy"), policy, &detail);
        }
    }
}

/// A Service that prefers two stacks keeps what it got when nothing of this changed, whatever the cluster has by now.
fn keeps_preferred_stack(new: &Value, old: &Value) -> bool {
    let policy = text(&new["spec"], "ipFamilyPolicy");
    let same = |field: &str| new["spec"][field] == old["spec"][field];
    policy == "PreferDualStack"
        && type_of(old) != "ExternalName"
        && same("ipFamilyPolicy")
        && same("clusterIPs")
        && same("ipFamilies")
        && is_set(&old["spec"], "ipFamilies")
}

fn assign_addresses(
    new: &mut Value,
    old: Option<&Value>,
    pool: &mut dyn Pool,
) -> Result<(), AllocationError> {
    if !needs_cluster_ip(new) || is_headless(new) {
        return Ok(());
    }
    let before = old.filter(|old| needs_cluster_ip(old));
    if before.is_some_and(|old| is_headless(old) || keeps_preferred_stack(new, old)) {
        return Ok(());
    }
    let families: Vec<Family> = texts(&new["spec"], "ipFamilies").filter_map(Family::named).collect();
    let kept = match before.map(|old| list(&old["spec"], "ipFamilies").len()) {
        None => 0,
        Some(1) if families.len() == 2 => 1,
        // Addresses that were given once do not change: validation says so.
        Some(_) => return Ok(()),
    };
    let mut ips: Vec<String> = texts(&new["spec"], "clusterIPs").map(str::to_owned).collect();
    let asked = new["spec"]["clusterIPs"].clone();
    for (index, family) in families.into_iter().enumerate().skip(kept) {
        let wanted = ips.get(index).filter(|ip| !ip.is_empty()).cloned();
        let address = match (&wanted, wanted.as_deref().and_then(address::parse)) {
            (Some(ip), Some(parsed)) => pool.take_address(family, Some(parsed)).map_err(|why| {
                let path = SPEC.child("clusterIPs");
                refuse(&path, asked.clone(), &format!("failed to allocate IP {ip}: {why}"))
            })?,
            _ => pool.take_address(family, None).map_err(|why| {
                AllocationError::Exhausted(format!("failed to allocate a serviceIP: {why}"))
            })?,
        };
        let written = wanted.unwrap_or_else(|| address.to_string());
        match ips.get_mut(index) {
            Some(ip) => *ip = written,
            None => ips.push(written),
        }
    }
    if let Some(first) = ips.first() {
        new["spec"]["clusterIP"] = first.as_str().into();
        new["spec"]["clusterIPs"] = ips.into();
    }
    Ok(())
}

fn assign_ports(new: &mut Value, old: Option<&Value>, pool: &mut dyn Pool) -> Result<(), AllocationError> {
    if !needs_node_port(new) {
        return Ok(());
    }
    let unasked = type_of(new) == "NodePort" || new["spec"]["allocateLoadBalancerNodePorts"] == true;
    let mut known = old.map(node_ports).unwrap_or_default();
    // A new Service has one port of the Nodes for all protocols of one port of its own.
    let mut by_port: HashMap<i64, i64> = HashMap::new();
    let ports = new["spec"]["ports"].as_array().cloned().unwrap_or_default();
    let ports_path = SPEC.child("ports");
    for (index, port) in ports.iter().enumerate() {
        let own = number(port, "port");
        let wanted = match number(port, "nodePort") {
            0 if !unasked => continue,
            0 if old.is_none() => by_port.get(&own).copied().or_else(|| requested(own, &ports)),
            0 => None,
            wanted => Some(wanted),
        };
        let taken = match wanted {
            Some(wanted) if known.contains(&wanted) => wanted,
            Some(wanted) => pool.take_port(Some(wanted)).map_err(|why| {
                let path = ports_path.index(index);
                refuse(&path.child("nodePort"), wanted.into(), &why)
            })?,
            None => pool
                .take_port(None)
                .map_err(|why| AllocationError::Exhausted(format!("failed to allocate a nodePort: {why}")))?,
        };
        known.insert(taken);
        by_port.entry(own).or_insert(taken);
        new["spec"]["ports"][index]["nodePort"] = taken.into();
    }
    Ok(())
}

/// The port of the Nodes that is asked for by another entry with the same port.
fn requested(port: i64, ports: &[Value]) -> Option<i64> {
    let same = ports.iter().filter(|other| number(other, "port") == port);
    same.map(|other| number(other, "nodePort")).find(|asked| *asked != 0)
}

fn assign_health_check(
    new: &mut Value,
    old: Option<&Value>,
    pool: &mut dyn Pool,
) -> Result<(), AllocationError> {
    if !needs_health_check(new) || old.is_some_and(needs_health_check) {
        return Ok(());
    }
    let wanted = Some(number(&new["spec"], "healthCheckNodePort")).filter(|port| *port != 0);
    let port = pool.take_port(wanted).map_err(|why| {
        AllocationError::Exhausted(match wanted {
            Some(port) => format!("failed to allocate requested HealthCheck NodePort {port}: {why}"),
            None => format!("failed to allocate a HealthCheck NodePort: {why}"),
        })
    })?;
    new["spec"]["healthCheckNodePort"] = port.into();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::kinds::cases;

    /// Gives 10.96.0.1 and up, and 30000 and up; remembers what was taken.
    struct Taken {
        families: Vec<Family>,
        addresses: HashSet<IpAddr>,
        ports: HashSet<i64>,
    }

    fn pool(families: &[Family]) -> Taken {
        Taken { families: families.to_vec(), addresses: HashSet::new(), ports: HashSet::new() }
    }

    impl Pool for Taken {
        fn families(&self) -> &[Family] {
            &self.families
        }

        fn take_address(&mut self, family: Family, wanted: Option<IpAddr>) -> Result<IpAddr, String> {
            let next = u8::try_from(self.addresses.len() + 1).map_err(|error| error.to_string())?;
            let any = match family {
                Family::IPv4 => IpAddr::from([10, 96, 0, next]),
                Family::IPv6 => IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(next)]),
            };
            let address = wanted.unwrap_or(any);
            if self.addresses.insert(address) {
                Ok(address)
            } else {
                Err("provided IP is already allocated".into())
            }
        }

        fn take_port(&mut self, wanted: Option<i64>) -> Result<i64, String> {
            let port = wanted.unwrap_or(30_000 + self.ports.len() as i64);
            if self.ports.insert(port) { Ok(port) } else { Err("provided port is already allocated".into()) }
        }
    }

    fn service(spec: Value) -> Value {
        cases::decoded(
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec}),
        )
    }

    fn assigned(spec: Value, families: &[Family]) -> Result<Value, AllocationError> {
        let mut new = service(spec);
        assign(&mut new, None, &mut pool(families))?;
        Ok(new["spec"].clone())
    }

    const V4: &[Family] = &[Family::IPv4];
    const DUAL: &[Family] = &[Family::IPv4, Family::IPv6];

    #[test]
    fn a_new_service_gets_what_its_type_needs() {
        for (spec, families, want) in [
            (
                json!({"ports": [{"port": 1}]}),
                V4,
                json!({"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}),
            ),
            (
                json!({"ipFamilyPolicy": "PreferDualStack"}),
                V4,
                json!({"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "PreferDualStack"}),
            ),
            (
                json!({"ipFamilyPolicy": "PreferDualStack"}),
                DUAL,
                json!({"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00::2"], "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "PreferDualStack"}),
            ),
            (
                json!({"clusterIP": "10.96.0.9"}),
                V4,
                json!({"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}),
            ),
            (
                json!({"clusterIP": "None", "selector": {"a": "b"}}),
                V4,
                json!({"clusterIP": "None", "clusterIPs": ["None"], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}),
            ),
            (
                json!({"clusterIP": "None"}),
                V4,
                json!({"clusterIP": "None", "clusterIPs": ["None"], "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack"}),
            ),
            (json!({"type": "ExternalName"}), V4, json!({})),
        ] {
            let got = assigned(spec.clone(), families).unwrap();
            for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                assert_eq!(got[field], want[field], "{spec} {field}");
            }
        }
    }

    #[test]
    fn node_ports_are_given_to_those_who_need_them() {
        let ports = |spec: Value| -> Vec<i64> {
            let spec = assigned(spec, V4).unwrap();
            list(&spec, "ports").iter().map(|port| number(port, "nodePort")).collect()
        };
        let two = json!([{"port": 53, "protocol": "UDP", "name": "a"}, {"port": 53, "name": "b"}, {"port": 54, "name": "c"}]);
        assert_eq!(ports(json!({"type": "NodePort", "ports": two})), [30_000, 30_000, 30_001]);
        assert_eq!(ports(json!({"type": "ClusterIP", "ports": two})), [0, 0, 0]);
        assert_eq!(
            ports(json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "ports": two})),
            [0, 0, 0]
        );
        assert_eq!(
            ports(
                json!({"type": "NodePort", "ports": [{"port": 1, "name": "a"}, {"port": 1, "protocol": "UDP", "name": "b", "nodePort": 30500}]})
            ),
            [30_500, 30_500]
        );
        let local = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 1}]});
        assert_eq!(assigned(local, V4).unwrap()["healthCheckNodePort"], 30_001);
    }

    #[test]
    fn an_update_keeps_what_was_given() {
        let mut pool = pool(V4);
        let mut old = service(json!({"type": "NodePort", "ports": [{"port": 1}]}));
        assign(&mut old, None, &mut pool).unwrap();
        let mut same = service(json!({"type": "NodePort", "ports": [{"port": 2}]}));
        assign(&mut same, Some(&old), &mut pool).unwrap();
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            assert_eq!(same["spec"][field], old["spec"][field], "{field}");
        }
        assert_eq!(same["spec"]["ports"][0]["nodePort"], 30_000);
        assert_eq!(held(&same), Held { addresses: vec![[10, 96, 0, 1].into()], ports: vec![30_000] });
        let mut named = old.clone();
        named["spec"]["type"] = "ExternalName".into();
        assign(&mut named, Some(&old), &mut pool).unwrap();
        assert_eq!(held(&named).addresses, Vec::<IpAddr>::new());
    }

    #[test]
    fn what_cannot_be_had_is_refused() {
        let errors = |spec: Value, families: &[Family]| match assigned(spec, families) {
            Err(AllocationError::Invalid(errors)) => cases::lines(&errors),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            errors(json!({"ipFamilyPolicy": "RequireDualStack"}), V4),
            [
                "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services"
            ]
        );
        assert_eq!(
            errors(json!({"ipFamilies": ["IPv6"]}), V4),
            ["spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster"]
        );
        assert_eq!(
            errors(json!({"clusterIP": "fd00::1"}), V4),
            ["spec.clusterIPs[0]: Invalid value: [\"fd00::1\"]: IPv6 is not configured on this cluster"]
        );
        assert_eq!(
            errors(json!({"ipFamilies": ["IPv4", "IPv6"]}), DUAL),
            [
                "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be RequireDualStack or PreferDualStack when multiple IP families are specified"
            ]
        );
        let mut pool = pool(V4);
        pool.addresses.insert([10, 96, 0, 9].into());
        let mut new = service(json!({"clusterIP": "10.96.0.9"}));
        let Err(AllocationError::Invalid(errors)) = assign(&mut new, None, &mut pool) else { panic!() };
        assert_eq!(
            cases::lines(&errors),
            [
                "spec.clusterIPs: Invalid value: [\"10.96.0.9\"]: failed to allocate IP 10.96.0.9: provided IP is already allocated"
            ]
        );
    }
}
