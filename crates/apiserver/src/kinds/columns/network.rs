//! Rows of services and what leads to them: Service, endpoints, ingresses, network policies, addresses.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    format::{self, created, first_three},
    read::{at, items, map, number, pointer_or, text, texts},
};
use crate::machinery::object;

/// The cells of a Service.
pub fn service(service: &Value, now: Timestamp) -> Vec<Value> {
    let spec = at(service, "spec");
    let ports: Vec<String> = items(spec, "ports").iter().map(service_port).collect();
    vec![
        object::name(service).into(),
        text(spec, "type").into(),
        texts(spec, "clusterIPs").first().copied().unwrap_or("<none>").into(),
        external_ip(service).into(),
        if ports.is_empty() { "<none>".into() } else { ports.join(",").into() },
        created(service, now),
        format::labels(map(spec, "selector")).into(),
    ]
}

fn service_port(port: &Value) -> String {
    let (number_, protocol) = (number(port, "port"), text(port, "protocol"));
    match number(port, "nodePort") {
        node if node > 0 => format!("{number_}:{node}/{protocol}"),
        _ => format!("{number_}/{protocol}"),
    }
}

fn external_ip(service: &Value) -> String {
    let own = texts(service, "spec.externalIPs");
    match text(service, "spec.type") {
        "ClusterIP" | "NodePort" if own.is_empty() => "<none>".to_owned(),
        "ClusterIP" | "NodePort" => own.join(","),
        "LoadBalancer" => {
            let mut all = load_balancer(service);
            all.extend(own);
            if all.is_empty() { "<pending>".to_owned() } else { all.join(",") }
        }
        "ExternalName" => text(service, "spec.externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

/// Addresses or names of the load balancer, each once, sorted.
fn load_balancer(object: &Value) -> Vec<&str> {
    let addresses: BTreeSet<&str> = items(object, "status.loadBalancer.ingress")
        .iter()
        .map(|ingress| super::read::text_or(ingress, "ip", text(ingress, "hostname")))
        .filter(|address| !address.is_empty())
        .collect();
    addresses.into_iter().collect()
}

/// The cells of an Ingress.
pub fn ingress(ingress: &Value, now: Timestamp) -> Vec<Value> {
    let ports = if items(ingress, "spec.tls").is_empty() { "80" } else { "80, 443" };
    vec![
        object::name(ingress).into(),
        pointer_or(ingress, "spec.ingressClassName", "<none>").into(),
        hosts(items(ingress, "spec.rules")).into(),
        load_balancer(ingress).join(",").into(),
        ports.into(),
        created(ingress, now),
    ]
}

/// The first three hosts. How many more there are is counted by rules, as Kubernetes counts them.
fn hosts(rules: &[Value]) -> String {
    let mut hosts = Vec::new();
    for rule in rules {
        if hosts.len() == 3 {
            return format!("{} + {} more...", hosts.join(","), rules.len() - 3);
        }
        hosts.extend(Some(text(rule, "host")).filter(|host| !host.is_empty()));
    }
    if hosts.is_empty() { "*".to_owned() } else { hosts.join(",") }
}

/// The cells of an IngressClass.
pub fn ingress_class(class: &Value, now: Timestamp) -> Vec<Value> {
    let parameters = match at(class, "spec.parameters") {
        Value::Null => "<none>".to_owned(),
        parameters => {
            let group = match at(parameters, "apiGroup").as_str() {
                Some(group) => format!(".{group}"),
                None => String::new(),
            };
            format!("{}{group}/{}", text(parameters, "kind"), text(parameters, "name"))
        }
    };
    vec![
        object::name(class).into(),
        text(class, "spec.controller").into(),
        parameters.into(),
        created(class, now),
    ]
}

/// The cells of a NetworkPolicy.
pub fn network_policy(policy: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        object::name(policy).into(),
        format::selector_cell(at(policy, "spec.podSelector")).into(),
        created(policy, now),
    ]
}

/// The cells of an Endpoints.
pub fn endpoints(endpoints: &Value, now: Timestamp) -> Vec<Value> {
    vec![object::name(endpoints).into(), subsets(items(endpoints, "subsets")).into(), created(endpoints, now)]
}

fn subsets(subsets: &[Value]) -> String {
    if subsets.is_empty() {
        return "<none>".to_owned();
    }
    let mut shown = Vec::new();
    let mut all = 0;
    for subset in subsets {
        let addresses = items(subset, "addresses");
        let ips = || addresses.iter().map(|address| text(address, "ip"));
        match items(subset, "ports") {
            // A headless service may have no ports.
            [] => {
                all += addresses.len();
                let room = 3 - shown.len();
                shown.extend(ips().take(room).map(str::to_owned));
            }
            ports => {
                for port in ports {
                    all += addresses.len();
                    let (room, port) = (3 - shown.len(), number(port, "port"));
                    shown.extend(ips().take(room).map(|ip| host_port(ip, port)));
                }
            }
        }
    }
    match all - shown.len() {
        0 => shown.join(","),
        more => format!("{} + {more} more...", shown.join(",")),
    }
}

fn host_port(ip: &str, port: i64) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

/// The cells of an EndpointSlice.
pub fn endpoint_slice(slice: &Value, now: Timestamp) -> Vec<Value> {
    let ports: Vec<String> = items(slice, "ports")
        .iter()
        .map(|port| match at(port, "port").as_i64() {
            Some(number) => number.to_string(),
            None => pointer_or(port, "name", "*").to_owned(),
        })
        .collect();
    let addresses: Vec<&str> =
        items(slice, "endpoints").iter().flat_map(|endpoint| texts(endpoint, "addresses")).collect();
    vec![
        object::name(slice).into(),
        text(slice, "addressType").into(),
        first_three(&ports).into(),
        first_three(&addresses).into(),
        created(slice, now),
    ]
}

/// The cells of a ServiceCIDR.
pub fn service_cidr(cidr: &Value, now: Timestamp) -> Vec<Value> {
    vec![object::name(cidr).into(), texts(cidr, "spec.cidrs").join(",").into(), created(cidr, now)]
}

/// The cells of an IPAddress. Its rows have an age more than there are columns, in Kubernetes too.
pub fn ip_address(address: &Value, now: Timestamp) -> Vec<Value> {
    let parent = match at(address, "spec.parentRef") {
        Value::Null => "<none>".to_owned(),
        parent => {
            let mut path = text(parent, "resource").to_lowercase();
            for (separator, field) in [('.', "group"), ('/', "namespace")] {
                let part = text(parent, field);
                if !part.is_empty() {
                    path.push(separator);
                    path.push_str(part);
                }
            }
            format!("{path}/{}", text(parent, "name"))
        }
    };
    vec![object::name(address).into(), parent.into(), created(address, now)]
}
