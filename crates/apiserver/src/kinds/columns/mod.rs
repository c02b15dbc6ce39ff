//! What `kubectl get` shows: the columns of each kind, the cells of a row, and the `Table` they make.
//!
//! A kind's cells are computed by its `Row` in `ROWS`; kinds that are not there show name and creation time,
//! custom resources what their definition says. To change what a kind shows, find its function through the table.

mod access;
mod autoscaling;
mod cluster;
mod custom;
mod descriptions;
mod format;
mod json_path;
mod network;
mod partial;
mod pods;
mod read;
mod storage;
mod table;
mod workloads;

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::Value;

pub use self::{
    custom::columns as custom_columns,
    json_path::{JsonPath, JsonPathError},
    partial::{
        MetaVersion, partial_object_metadata, partial_object_metadata_list, shows_metadata_as_encoded,
    },
    table::{IncludeObject, TableOptions, table_of_list, table_of_object},
};
use super::{Column, Conversion, Resource};
use crate::machinery::object;

/// The cells of an object, in the order of its kind's columns.
type Cells = fn(&Value, Timestamp) -> Vec<Value>;

/// What a list's objects are sorted by.
type Order = fn(&Value) -> (i64, &str);

/// How the row of a kind is computed, from an object in the version it is stored in.
struct Row {
    group: &'static str,
    kind: &'static str,
    cells: Cells,
    /// What is said of the row itself: whether the object has run to completion.
    conditions: Option<fn(&Value) -> Option<Value>>,
    /// What lists are sorted by before they are shown.
    order: Option<Order>,
}

const fn row(group: &'static str, kind: &'static str, cells: Cells) -> Row {
    Row { group, kind, cells, conditions: None, order: None }
}

/// Flow schemas are shown in the order in which they are tried.
fn matching_precedence(schema: &Value) -> (i64, &str) {
    (read::number(schema, "spec.matchingPrecedence"), object::name(schema))
}

const ADMISSION: &str = "admissionregistration.k8s.io";
const AUTOSCALING: &str = "autoscaling";
const FLOW_CONTROL: &str = "flowcontrol.apiserver.k8s.io";
const NETWORKING: &str = "networking.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const RESOURCE: &str = "resource.k8s.io";
const STORAGE: &str = "storage.k8s.io";

static ROWS: &[Row] = &[
    row("", "ComponentStatus", cluster::component_status),
    row("", "ConfigMap", cluster::config_map),
    row("", "Endpoints", network::endpoints),
    row("", "Event", cluster::event),
    row("", "Namespace", cluster::namespace),
    row("", "Node", cluster::node),
    row("", "PersistentVolume", storage::volume),
    row("", "PersistentVolumeClaim", storage::claim),
    Row { conditions: Some(pods::conditions), ..row("", "Pod", pods::pod) },
    row("", "PodTemplate", workloads::pod_template),
    row("", "ReplicationController", workloads::replication_controller),
    row("", "ResourceQuota", cluster::quota),
    row("", "Secret", cluster::secret),
    row("", "Service", network::service),
    row("", "ServiceAccount", cluster::name_and_age),
    row(ADMISSION, "MutatingAdmissionPolicy", access::mutating_policy),
    row(ADMISSION, "MutatingAdmissionPolicyBinding", access::policy_binding),
    row(ADMISSION, "MutatingWebhookConfiguration", access::webhooks),
    row(ADMISSION, "ValidatingAdmissionPolicy", access::validating_policy),
    row(ADMISSION, "ValidatingAdmissionPolicyBinding", access::policy_binding),
    row(ADMISSION, "ValidatingWebhookConfiguration", access::webhooks),
    row("apiregistration.k8s.io", "APIService", cluster::api_service),
    row("apps", "ControllerRevision", workloads::controller_revision),
    row("apps", "DaemonSet", workloads::daemon_set),
    row("apps", "Deployment", workloads::deployment),
    row("apps", "ReplicaSet", workloads::replica_set),
    row("apps", "StatefulSet", workloads::stateful_set),
    row(AUTOSCALING, "HorizontalPodAutoscaler", autoscaling::autoscaler),
    row("batch", "CronJob", workloads::cron_job),
    row("batch", "Job", workloads::job),
    row("certificates.k8s.io", "CertificateSigningRequest", cluster::signing_request),
    row("coordination.k8s.io", "Lease", cluster::lease),
    row("discovery.k8s.io", "EndpointSlice", network::endpoint_slice),
    row("events.k8s.io", "Event", cluster::event),
    Row { order: Some(matching_precedence), ..row(FLOW_CONTROL, "FlowSchema", cluster::flow_schema) },
    row(FLOW_CONTROL, "PriorityLevelConfiguration", cluster::priority_level),
    row(NETWORKING, "IPAddress", network::ip_address),
    row(NETWORKING, "Ingress", network::ingress),
    row(NETWORKING, "IngressClass", network::ingress_class),
    row(NETWORKING, "NetworkPolicy", network::network_policy),
    row(NETWORKING, "ServiceCIDR", network::service_cidr),
    row("node.k8s.io", "RuntimeClass", workloads::runtime_class),
    row("policy", "PodDisruptionBudget", workloads::disruption_budget),
    row(RBAC, "ClusterRoleBinding", access::binding),
    row(RBAC, "RoleBinding", access::binding),
    row(RESOURCE, "DeviceClass", cluster::name_and_age),
    row(RESOURCE, "ResourceClaim", storage::resource_claim),
    row(RESOURCE, "ResourceClaimTemplate", cluster::name_and_age),
    row(RESOURCE, "ResourceSlice", storage::resource_slice),
    row("scheduling.k8s.io", "PriorityClass", workloads::priority_class),
    row(STORAGE, "CSIDriver", storage::csi_driver),
    row(STORAGE, "CSINode", storage::csi_node),
    row(STORAGE, "StorageClass", storage::storage_class),
    row(STORAGE, "VolumeAttachment", storage::attachment),
    row(STORAGE, "VolumeAttributesClass", storage::attributes_class),
];

static SCALE: Row = row(AUTOSCALING, "Scale", autoscaling::scale);

/// Shows objects of one resource: its columns, and how to fill them. Make one for a request or a watch.
pub struct Printer<'a> {
    group: &'a str,
    kind: &'a str,
    columns: Cow<'a, [Column]>,
    source: Source<'a>,
    /// Rows are computed from the version that objects are stored in.
    conversion: Option<&'static Conversion>,
}

/// Where cells come from.
enum Source<'a> {
    Row(&'static Row),
    /// Name and creation time.
    Default,
    /// The paths of a custom resource's columns after the name, and their types.
    Custom(Vec<(JsonPath, &'a str)>),
}

impl<'a> Printer<'a> {
    /// Shows objects of a resource.
    pub fn of(resource: &'a Resource) -> Self {
        let rows = || ROWS.iter().find(|row| row.group == &*resource.group && row.kind == &*resource.kind);
        let source = match rows() {
            _ if resource.type_name.is_none() => Source::Custom(paths(&resource.columns)),
            Some(row) => Source::Row(row),
            None => Source::Default,
        };
        let columns = match &*resource.columns {
            [] => Cow::Owned(vec![
                Column::new("Name", "string", "name", 0),
                Column::new("Created At", "date", "", 0),
            ]),
            columns => Cow::Borrowed(columns),
        };
        let conversion = resource.conversion;
        Self { group: &resource.group, kind: &resource.kind, columns, source, conversion }
    }

    /// Shows bodies of the subresource `scale`.
    pub fn of_scale() -> Printer<'static> {
        let columns = vec![
            Column::new("Name", "string", "", 0),
            Column::new("Desired", "integer", "", 0),
            Column::new("Available", "integer", "", 0),
            Column::new("Age", "string", "", 0),
        ];
        let (group, kind, source) = (SCALE.group, SCALE.kind, Source::Row(&SCALE));
        Printer { group, kind, columns: Cow::Owned(columns), source, conversion: None }
    }

    /// The cells of an object (in the version that the resource serves), in the order of the columns.
    pub fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        match &self.source {
            Source::Row(row) => (row.cells)(&self.as_stored(object), now),
            Source::Default => vec![object::name(object).into(), created_at(object)],
            Source::Custom(paths) => std::iter::once(object::name(object).into())
                .chain(paths.iter().map(|(path, type_)| custom::cell(path, type_, object, now)))
                .collect(),
        }
    }

    fn conditions(&self, object: &Value) -> Option<Value> {
        match &self.source {
            Source::Row(Row { conditions: Some(conditions), .. }) => conditions(object),
            _ => None,
        }
    }

    fn order(&self) -> Option<Order> {
        match &self.source {
            Source::Row(row) => row.order,
            _ => None,
        }
    }

    fn as_stored<'b>(&self, object: &'b Value) -> Cow<'b, Value> {
        match self.conversion {
            Some(conversion) => Cow::Owned((conversion.to_storage)(object.clone())),
            None => Cow::Borrowed(object),
        }
    }
}

fn paths(columns: &[Column]) -> Vec<(JsonPath, &str)> {
    columns
        .iter()
        .filter_map(|column| Some((JsonPath::parse(column.json_path.as_deref()?).ok()?, &*column.type_)))
        .collect()
}

/// The time of creation itself, which Go writes even where there is none.
fn created_at(object: &Value) -> Value {
    match object::meta(object, "creationTimestamp") {
        Some(Value::String(time)) => time.as_str().into(),
        _ => "0001-01-01T00:00:00Z".into(),
    }
}

#[cfg(test)]
mod tests;
