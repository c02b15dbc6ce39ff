//! What ReplicaSets and ReplicationControllers have in common: the latter are handled as the former.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetSpec, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{
    ReplicationController, ReplicationControllerCondition, ReplicationControllerStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A kind that asks for a number of Pods of a template.
pub trait Replicated:
    Resource<DynamicType = ()> + DeserializeOwned + Serialize + Send + Sync + 'static
{
    /// The name of its controller.
    const NAME: &'static str;
    /// What its controller does.
    const DESCRIPTION: &'static str;
    /// The name under which its controller records Events.
    const COMPONENT: &'static str;
    /// Whether its status tells how many Pods are terminating.
    const COUNTS_TERMINATING: bool;

    /// The same as a ReplicaSet.
    fn as_replica_set(&self) -> ReplicaSet;

    /// The same with another status.
    fn with_status(self, status: ReplicaSetStatus) -> Self;
}

impl Replicated for ReplicaSet {
    const NAME: &'static str = "replicaset";
    const DESCRIPTION: &'static str = "keeps as many Pods as each ReplicaSet asks for";
    const COMPONENT: &'static str = "replicaset-controller";
    const COUNTS_TERMINATING: bool = true;

    fn as_replica_set(&self) -> ReplicaSet {
        self.clone()
    }

    fn with_status(self, status: ReplicaSetStatus) -> Self {
        Self { status: Some(status), ..self }
    }
}

impl Replicated for ReplicationController {
    const NAME: &'static str = "replicationcontroller";
    const DESCRIPTION: &'static str = "keeps as many Pods as each ReplicationController asks for";
    const COMPONENT: &'static str = "replication-controller";
    const COUNTS_TERMINATING: bool = false;

    fn as_replica_set(&self) -> ReplicaSet {
        let spec = self.spec.clone().unwrap_or_default();
        let selector = spec.selector.filter(|labels: &BTreeMap<String, String>| !labels.is_empty());
        ReplicaSet {
            metadata: self.metadata.clone(),
            // Without a selector it selects nothing, where a ReplicaSet's empty one would select everything.
            spec: selector.map(|labels| ReplicaSetSpec {
                min_ready_seconds: spec.min_ready_seconds,
                replicas: spec.replicas,
                selector: LabelSelector { match_labels: Some(labels), match_expressions: None },
                template: spec.template,
            }),
            status: self.status.clone().map(|status| ReplicaSetStatus {
                available_replicas: status.available_replicas,
                conditions: status.conditions.map(|conditions| conditions.into_iter().map(for_set).collect()),
                fully_labeled_replicas: status.fully_labeled_replicas,
                observed_generation: status.observed_generation,
                ready_replicas: status.ready_replicas,
                replicas: status.replicas,
                terminating_replicas: None,
            }),
        }
    }

    fn with_status(self, status: ReplicaSetStatus) -> Self {
        let status = ReplicationControllerStatus {
            available_replicas: status.available_replicas,
            conditions: status.conditions.map(|conditions| conditions.into_iter().map(from_set).collect()),
            fully_labeled_replicas: status.fully_labeled_replicas,
            observed_generation: status.observed_generation,
            ready_replicas: status.ready_replicas,
            replicas: status.replicas,
        };
        Self { status: Some(status), ..self }
    }
}

fn for_set(condition: ReplicationControllerCondition) -> ReplicaSetCondition {
    let ReplicationControllerCondition { last_transition_time, message, reason, status, type_ } = condition;
    ReplicaSetCondition { last_transition_time, message, reason, status, type_ }
}

fn from_set(condition: ReplicaSetCondition) -> ReplicationControllerCondition {
    let ReplicaSetCondition { last_transition_time, message, reason, status, type_ } = condition;
    ReplicationControllerCondition { last_transition_time, message, reason, status, type_ }
}
