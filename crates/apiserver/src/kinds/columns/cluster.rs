//! Rows of what a cluster is made of and configured with: nodes, namespaces, configuration, quotas, leases, events.

use std::{collections::BTreeSet, fmt::Write as _};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    format::{self, age, created},
    read::{at, count, flag, map, number, of_type, text, text_or},
};
use crate::machinery::object;

/// The cells of a Node.
pub fn node(node: &Value, now: Timestamp) -> Vec<Value> {
    let mut status = match of_type(node, "status.conditions", "Ready") {
        None => "Unknown",
        Some(ready) if text(ready, "status") == "True" => "Ready",
        Some(_) => "NotReady",
    }
    .to_owned();
    if flag(node, "spec.unschedulable") {
        status.push_str(",SchedulingDisabled");
    }
    let info = at(node, "status.nodeInfo");
    let address = |type_| match of_type(node, "status.addresses", type_) {
        Some(address) => text(address, "address"),
        None => "<none>",
    };
    let mut kernel = text_or(info, "kernelVersion", "<unknown>").to_owned();
    let architecture = text(info, "architecture");
    if !architecture.is_empty() {
        let _ = write!(kernel, " ({architecture})");
    }
    vec![
        object::name(node).into(),
        status.into(),
        roles(node).into(),
        created(node, now),
        text(info, "kubeletVersion").into(),
        address("InternalIP").into(),
        address("ExternalIP").into(),
        text_or(info, "osImage", "<unknown>").into(),
        kernel.into(),
        text_or(info, "containerRuntimeVersion", "<unknown>").into(),
    ]
}

fn roles(node: &Value) -> String {
    let roles: BTreeSet<&str> = object::labels(node)
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            None if key == "kubernetes.io/role" => value.as_str(),
            role => role,
        })
        .filter(|role| !role.is_empty())
        .collect();
    if roles.is_empty() {
        return "<none>".to_owned();
    }
    roles.into_iter().collect::<Vec<_>>().join(",")
}

/// The cells of a Namespace.
pub fn namespace(namespace: &Value, now: Timestamp) -> Vec<Value> {
    vec![object::name(namespace).into(), text(namespace, "status.phase").into(), created(namespace, now)]
}

/// The cells of a ConfigMap.
pub fn config_map(config: &Value, now: Timestamp) -> Vec<Value> {
    let entries = count(config, "data") + count(config, "binaryData");
    vec![object::name(config).into(), entries.into(), created(config, now)]
}

/// The cells of a Secret.
pub fn secret(secret: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        object::name(secret).into(),
        text(secret, "type").into(),
        count(secret, "data").into(),
        created(secret, now),
    ]
}

/// The cells of what has but a name and an age: ServiceAccount, DeviceClass, ResourceClaimTemplate.
pub fn name_and_age(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![object::name(object).into(), created(object, now)]
}

/// The cells of a Lease.
pub fn lease(lease: &Value, now: Timestamp) -> Vec<Value> {
    vec![object::name(lease).into(), text(lease, "spec.holderIdentity").into(), created(lease, now)]
}

/// The cells of a ResourceQuota: limits in a column of their own.
pub fn quota(quota: &Value, now: Timestamp) -> Vec<Value> {
    let (mut requests, mut limits) = (String::new(), String::new());
    let hard = map(quota, "status.hard");
    let names: BTreeSet<&str> = hard.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let amount = |amounts: &Value, name: &str| {
        amounts.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).unwrap_or("0").to_owned()
    };
    for name in names {
        let cell = if name.starts_with("limits.") { &mut limits } else { &mut requests };
        let separator = if cell.is_empty() { "" } else { ", " };
        let used = amount(at(quota, "status.used"), name);
        let hard = amount(at(quota, "status.hard"), name);
        let _ = write!(cell, "{separator}{name}: {used}/{hard}");
    }
    vec![object::name(quota).into(), requests.into(), limits.into(), created(quota, now)]
}

/// The cells of an Event, in the form of `v1`.
pub fn event(event: &Value, now: Timestamp) -> Vec<Value> {
    let is_time = |path: &str| format::time_of(at(event, path)).is_some();
    let first = age(at(event, if is_time("firstTimestamp") { "firstTimestamp" } else { "eventTime" }), now);
    let mut last =
        if is_time("lastTimestamp") { age(at(event, "lastTimestamp"), now) } else { first.clone() };
    let mut times = match number(event, "count") {
        // An event that happened once counts nothing in the new API.
        0 => 1,
        times => times,
    };
    let series = at(event, "series");
    if !series.is_null() {
        last = age(at(series, "lastObservedTime"), now);
        times = number(series, "count");
    }
    let about = at(event, "involvedObject");
    let kind = text(about, "kind").to_lowercase();
    let about_name = text(about, "name");
    let component = text_or(event, "source.component", text(event, "reportingComponent"));
    let instance = text_or(event, "source.host", text(event, "reportingInstance"));
    vec![
        last.into(),
        text(event, "type").into(),
        text(event, "reason").into(),
        if about_name.is_empty() { kind.into() } else { format!("{kind}/{about_name}").into() },
        text(about, "fieldPath").into(),
        if instance.is_empty() { component.into() } else { format!("{component}, {instance}").into() },
        text(event, "message").trim().into(),
        first.into(),
        times.into(),
        object::name(event).into(),
    ]
}

/// The cells of a ComponentStatus.
pub fn component_status(component: &Value, _: Timestamp) -> Vec<Value> {
    let healthy = of_type(component, "conditions", "Healthy");
    let status = match healthy {
        None => "Unknown",
        Some(condition) if text(condition, "status") == "True" => "Healthy",
        Some(_) => "Unhealthy",
    };
    let said = |field| healthy.map_or("", |condition| text(condition, field));
    vec![object::name(component).into(), status.into(), said("message").into(), said("error").into()]
}

/// The cells of an APIService.
pub fn api_service(service: &Value, now: Timestamp) -> Vec<Value> {
    let backend = match at(service, "spec.service") {
        Value::Null => "Local".to_owned(),
        backend => format!("{}/{}", text(backend, "namespace"), text(backend, "name")),
    };
    let available = match of_type(service, "status.conditions", "Available") {
        None => "Unknown".to_owned(),
        Some(condition) => match (text(condition, "status"), text(condition, "reason")) {
            ("True", _) => "True".to_owned(),
            (status, "") => status.to_owned(),
            (status, reason) => format!("{status} ({reason})"),
        },
    };
    vec![object::name(service).into(), backend.into(), available.into(), created(service, now)]
}

/// The cells of a FlowSchema.
pub fn flow_schema(schema: &Value, now: Timestamp) -> Vec<Value> {
    let method = match at(schema, "spec.distinguisherMethod") {
        Value::Null => "<none>",
        method => text(method, "type"),
    };
    let dangling =
        of_type(schema, "status.conditions", "Dangling").map_or("?", |condition| text(condition, "status"));
    vec![
        object::name(schema).into(),
        text(schema, "spec.priorityLevelConfiguration.name").into(),
        number(schema, "spec.matchingPrecedence").into(),
        method.into(),
        created(schema, now),
        dangling.into(),
    ]
}

/// The cells of a PriorityLevelConfiguration.
pub fn priority_level(level: &Value, now: Timestamp) -> Vec<Value> {
    let limited = at(level, "spec.limited");
    let queuing = at(limited, "limitResponse.queuing");
    let cell = |within: &Value, field| -> Value {
        if within.is_null() { "<none>".into() } else { number(within, field).into() }
    };
    vec![
        object::name(level).into(),
        text(level, "spec.type").into(),
        cell(limited, "nominalConcurrencyShares"),
        cell(queuing, "queues"),
        cell(queuing, "handSize"),
        cell(queuing, "queueLengthLimit"),
        created(level, now),
    ]
}

/// The cells of a CertificateSigningRequest.
pub fn signing_request(request: &Value, now: Timestamp) -> Vec<Value> {
    let asked = match at(request, "spec.expirationSeconds").as_i64() {
        Some(seconds) => format::human_duration(seconds.saturating_mul(1_000_000_000)),
        None => "<none>".to_owned(),
    };
    let has = |type_| of_type(request, "status.conditions", type_).is_some();
    let mut condition = match () {
        () if has("Denied") => "Denied",
        () if has("Approved") => "Approved",
        () => "Pending",
    }
    .to_owned();
    if has("Failed") {
        condition.push_str(",Failed");
    }
    if !text(request, "status.certificate").is_empty() {
        condition.push_str(",Issued");
    }
    vec![
        object::name(request).into(),
        created(request, now),
        text_or(request, "spec.signerName", "<none>").into(),
        text(request, "spec.username").into(),
        asked.into(),
        condition.into(),
    ]
}
