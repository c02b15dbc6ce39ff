//! Reading and writing Leases: the requests of an election or of sharding as data, and their execution.

use k8s_openapi::api::coordination::v1::Lease as LeaseKind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use std::time::Duration;

use http::Request as HttpRequest;
use jiff::Timestamp;
use kube::Client;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use kube::core::request::Request as Builder;
use serde_json::{Value, json};

use crate::Kind;

/// A Lease as the server has it. What is not ours in it (coordinated election, labels, annotations) is left alone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lease(pub(crate) Value);

/// One request about Leases.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    /// Read one.
    Get { namespace: String, name: String },
    /// Read all that carry a label.
    List { namespace: String, labels: String },
    /// Create one.
    Create(Lease),
    /// Replace one, if it is still as it was read.
    Replace(Lease),
    /// Delete one, if it is still as it was read.
    Delete(Lease),
}

/// What the server answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// The Lease as it is now.
    Lease(Lease),
    /// All Leases asked for.
    Leases(Vec<Lease>),
    /// It is deleted.
    Deleted,
}

/// Why there is no such answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the Lease does not exist")]
    Missing,
    #[error("somebody else has changed the Lease")]
    Conflict,
    /// It may have been executed nevertheless.
    #[error("{0}")]
    Unknown(String),
}

pub(crate) type Outcome = Result<Answer, Failure>;

impl Lease {
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self(json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"namespace": namespace, "name": name}, "spec": {},
        }))
    }

    pub(crate) fn name(&self) -> &str {
        self.0["metadata"]["name"].as_str().unwrap_or_default()
    }

    fn namespace(&self) -> &str {
        self.0["metadata"]["namespace"].as_str().unwrap_or_default()
    }

    /// Who holds it, none if it was released.
    pub(crate) fn holder(&self) -> Option<&str> {
        self.0["spec"]["holderIdentity"].as_str().filter(|holder| !holder.is_empty())
    }

    /// How long it lasts after a renewal.
    pub(crate) fn duration(&self) -> Option<Duration> {
        self.0["spec"]["leaseDurationSeconds"].as_u64().map(Duration::from_secs)
    }

    pub(crate) fn acquire_time(&self) -> Option<Timestamp> {
        self.0["spec"]["acquireTime"].as_str()?.parse().ok()
    }

    pub(crate) fn transitions(&self) -> u64 {
        self.0["spec"]["leaseTransitions"].as_u64().unwrap_or(0)
    }

    /// What changes with each renewal.
    pub(crate) fn record(&self) -> &Value {
        &self.0["spec"]
    }

    pub(crate) fn annotation(&self, name: &str) -> Option<&str> {
        self.0["metadata"]["annotations"][name].as_str()
    }

    /// Sets a label or an annotation.
    pub(crate) fn mark(&mut self, sort: &str, name: &str, value: &str) {
        let marks = &mut self.0["metadata"][sort];
        if !marks.is_object() {
            *marks = json!({});
        }
        marks[name] = value.into();
    }

    /// Writes the record as client-go does.
    pub(crate) fn set(
        &mut self,
        holder: &str,
        lasts: Duration,
        acquired: Timestamp,
        renewed: Timestamp,
        transitions: u64,
    ) {
        if !self.0["spec"].is_object() {
            self.0["spec"] = json!({});
        }
        let spec = &mut self.0["spec"];
        spec["holderIdentity"] = holder.into();
        spec["leaseDurationSeconds"] = lasts.as_secs().into();
        spec["acquireTime"] = json!(MicroTime(acquired));
        spec["renewTime"] = json!(MicroTime(renewed));
        spec["leaseTransitions"] = transitions.into();
    }
}

/// Executes a request.
pub(crate) async fn execute(client: &Client, request: &Request) -> Outcome {
    let unknown = |error: &dyn std::fmt::Display| Failure::Unknown(error.to_string());
    let built = build(request).map_err(|error| unknown(&error))?;
    let answer: Value = match client.request(built).await {
        Ok(answer) => answer,
        Err(kube::Error::Api(status)) if status.code == 404 => return Err(Failure::Missing),
        Err(kube::Error::Api(status)) if status.code == 409 => return Err(Failure::Conflict),
        Err(error) => return Err(unknown(&error)),
    };
    Ok(match (request, answer) {
        (Request::Delete(_), _) => Answer::Deleted,
        (Request::List { .. }, Value::Object(mut list)) => match list.remove("items") {
            Some(Value::Array(items)) => Answer::Leases(items.into_iter().map(Lease).collect()),
            _ => Answer::Leases(Vec::new()),
        },
        (_, answer) => Answer::Lease(Lease(answer)),
    })
}

fn build(request: &Request) -> Result<HttpRequest<Vec<u8>>, kube::core::request::Error> {
    let builder = |namespace: &str| Builder::new(Kind::of::<LeaseKind>().url(Some(namespace)));
    let body =
        |lease: &Lease| serde_json::to_vec(&lease.0).map_err(kube::core::request::Error::SerializeBody);
    let post = PostParams::default();
    match request {
        Request::Get { namespace, name } => builder(namespace).get(name, &kube::api::GetParams::default()),
        // Without a resource version: the server answers with what is now, never from a cache.
        Request::List { namespace, labels } => builder(namespace).list(&ListParams::default().labels(labels)),
        Request::Create(lease) => builder(lease.namespace()).create(&post, body(lease)?),
        Request::Replace(lease) => builder(lease.namespace()).replace(lease.name(), &post, body(lease)?),
        Request::Delete(lease) => {
            let text = |field: &str| lease.0["metadata"][field].as_str().map(str::to_owned);
            let preconditions = Preconditions { uid: text("uid"), resource_version: text("resourceVersion") };
            builder(lease.namespace())
                .delete(lease.name(), &DeleteParams::default().preconditions(preconditions))
        }
    }
}
