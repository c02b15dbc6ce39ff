//! Rules about what runs and how much: disruption budgets, priorities, runtimes, flow control, leases, API services.

pub mod api_service;
pub mod flow_schema;
pub mod lease;
pub mod pod_disruption_budget;
pub mod priority_class;
pub mod priority_level;
pub mod runtime_class;

use super::strategies::Row;

const FLOW_CONTROL: &str = "flowcontrol.apiserver.k8s.io";

/// The kinds of this subject.
pub static ROWS: &[Row] = &[
    Row::new("policy", "v1", "PodDisruptionBudget", &pod_disruption_budget::STRATEGY),
    Row::new("scheduling.k8s.io", "v1", "PriorityClass", &priority_class::STRATEGY),
    Row::new("node.k8s.io", "v1", "RuntimeClass", &runtime_class::STRATEGY),
    Row::new(FLOW_CONTROL, "v1", "FlowSchema", &flow_schema::STRATEGY),
    Row::new(FLOW_CONTROL, "v1", "PriorityLevelConfiguration", &priority_level::STRATEGY),
    Row::new("coordination.k8s.io", "v1", "Lease", &lease::STRATEGY),
    Row::new("apiregistration.k8s.io", "v1", "APIService", &api_service::STRATEGY),
];
