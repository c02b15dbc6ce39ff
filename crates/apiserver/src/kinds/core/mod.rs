//! What every cluster has: ConfigMap, Secret, Namespace, Node, ServiceAccount, quotas, Event.

pub mod binding;
pub mod config_map;
pub mod event;
pub mod limit_range;
pub mod namespace;
pub mod node;
pub mod resource_quota;
pub mod secret;
pub mod service_account;

use super::{Strategy, strategies::Row};

/// The kinds of this subject.
pub static ROWS: &[Row] = &[
    Row::new("", "v1", "Binding", &binding::STRATEGY),
    Row::new("", "v1", "ConfigMap", &config_map::STRATEGY),
    Row::new("", "v1", "ComponentStatus", &Strategy::PLAIN),
    Row::new("", "v1", "LimitRange", &limit_range::STRATEGY),
    Row::new("", "v1", "Namespace", &namespace::STRATEGY),
    Row::new("", "v1", "Node", &node::STRATEGY),
    Row::new("", "v1", "ResourceQuota", &resource_quota::STRATEGY),
    Row::new("", "v1", "Secret", &secret::STRATEGY),
    Row::new("", "v1", "ServiceAccount", &service_account::STRATEGY),
    Row::new("", "v1", "Event", &event::CORE),
    Row {
        storage: Some("/events"),
        storage_version: Some("v1"),
        conversion: Some(&event::CONVERSION),
        ..Row::new("events.k8s.io", "v1", "Event", &event::EVENTS)
    },
];
