//! How Pods are reached: Service, its endpoints, Ingress, NetworkPolicy, and the addresses of Services.

pub mod endpoint_slice;
pub mod endpoints;
pub mod ingress;
pub mod ingress_class;
pub mod ip_address;
pub mod network_policy;
pub mod service;
pub mod service_cidr;

use super::strategies::Row;

/// The kinds of this subject.
pub static ROWS: &[Row] = &[
    Row::new("", "v1", "Service", &service::STRATEGY),
    Row::new("", "v1", "Endpoints", &endpoints::STRATEGY),
    Row::new("discovery.k8s.io", "v1", "EndpointSlice", &endpoint_slice::STRATEGY),
    Row::new("networking.k8s.io", "v1", "Ingress", &ingress::STRATEGY),
    Row::new("networking.k8s.io", "v1", "IngressClass", &ingress_class::STRATEGY),
    Row::new("networking.k8s.io", "v1", "IPAddress", &ip_address::STRATEGY),
    Row::new("networking.k8s.io", "v1", "NetworkPolicy", &network_policy::STRATEGY),
    Row::new("networking.k8s.io", "v1", "ServiceCIDR", &service_cidr::STRATEGY),
];
