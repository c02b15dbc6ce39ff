//! A custom resource `DnsRecord`: a record in a name server that is outside the cluster, and speaks HTTP.
//!
//! It cannot be pure, because it speaks with something besides the API server: a [`Reconciler`]. The record is put anew
//! every ten minutes, whoever changed it outside; it is taken away before the object goes, and when it gets another host.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpStream;
use xebec_coordinator::{
    Action, Backoff, BoxError, Conditions, Context, Key, Object, ObserverSpec, Reconciler, Right, Truth,
    Watch, Write, async_trait,
};

/// The finalizer of records.
pub const FINALIZER: &str = "dns.examples.xebec.dev/record";
/// How often a record is put though nothing changed here.
const PUT_EVERY: Duration = Duration::from_mins(10);
/// How long the name server may take for all that one object needs.
const TAKES_MAX: Duration = Duration::from_secs(30);

/// What is wanted of a [`DnsRecord`].
#[derive(Clone, CustomResource, Debug, Deserialize, JsonSchema, Serialize)]
#[kube(group = "examples.xebec.dev", version = "v1alpha1", kind = "DnsRecord", namespaced)]
#[kube(status = "DnsRecordStatus", doc = "A record in a name server outside the cluster.")]
pub struct DnsRecordSpec {
    /// The name to be found.
    #[schemars(length(max = 253), regex(pattern = r"^[a-z0-9.-]+$"))]
    pub host: String,
    /// The address that is found by it.
    #[schemars(length(min = 1))]
    pub address: String,
}

/// What is of a [`DnsRecord`].
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DnsRecordStatus {
    /// Of which generation of the spec this speaks.
    pub observed_generation: Option<i64>,
    /// The name that the name server may know.
    pub host: Option<String>,
    /// `Registered`, and why not.
    #[serde(default)]
    #[schemars(schema_with = "crate::conditions::schema")]
    pub conditions: Vec<Condition>,
}

/// The name server: `PUT` and `DELETE` on `/records/HOST`.
#[derive(Clone, Debug)]
pub struct NameServer {
    /// Host and port.
    authority: String,
}

/// The name server answered, but not as it should.
#[derive(Debug)]
pub struct Refused(StatusCode);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name server answered {}", self.0)
    }
}

impl std::error::Error for Refused {}

impl NameServer {
    /// At `host:port`.
    pub fn new(authority: impl Into<String>) -> Self {
        Self { authority: authority.into() }
    }

    async fn put(&self, record: &DnsRecordSpec) -> Result<(), BoxError> {
        self.ask(Method::PUT, &record.host, record.address.clone()).await
    }

    /// Taking away what is not there is no failure: it is what was wanted.
    async fn delete(&self, host: &str) -> Result<(), BoxError> {
        match self.ask(Method::DELETE, host, String::new()).await {
            Err(error)
                if error.downcast_ref().is_some_and(|Refused(code)| *code == StatusCode::NOT_FOUND) =>
            {
                Ok(())
            }
            result => result,
        }
    }

    async fn ask(&self, method: Method, host: &str, body: String) -> Result<(), BoxError> {
        let stream = TcpStream::connect(&self.authority).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let request = Request::builder()
            .method(method)
            .uri(format!("/records/{host}"))
            .header(header::HOST, &self.authority)
            .body(Full::new(Bytes::from(body)))?;
        // Both end with this call, whichever way it ends: nothing is left behind when it is dropped.
        let answer = tokio::select! {
            answer = sender.send_request(request) => answer?,
            ended = connection => return Err(ended.err().map_or_else(|| "no answer".into(), Into::into)),
        };
        if answer.status().is_success() { Ok(()) } else { Err(Refused(answer.status()).into()) }
    }
}

/// Keeps [`DnsRecord`]s in a name server.
#[derive(Clone, Debug)]
pub struct DnsRecords {
    server: NameServer,
}

impl DnsRecords {
    /// In this one.
    pub fn new(server: NameServer) -> Self {
        Self { server }
    }
}

#[async_trait]
impl Reconciler for DnsRecords {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("dns", "keeps DnsRecords in a name server")
            .watch(Watch::of::<DnsRecord>())
            .right(Right::to_subresource::<DnsRecord>("status", &["patch"]))
            .finalizer(FINALIZER)
            .concurrency(8)
            .hangs_after(TAKES_MAX)
            .backoff(Backoff { max: PUT_EVERY, ..Backoff::default() })
    }

    async fn reconcile(&self, key: &Key, cx: &Context) -> Result<Action, BoxError> {
        let Some(object) = cx.object(key) else { return Ok(Action::done()) };
        let record: DnsRecord = object.decode()?;
        let known = record.status.as_ref().and_then(|status| status.host.clone());
        if known.as_ref() != Some(&record.spec.host) {
            if let Some(before) = known {
                self.server.delete(&before).await?;
            }
            // Noted before the name server may know it, so that it is never forgotten there.
            let mut conditions = Conditions::of(object, cx.now())?;
            conditions.set("Registered", Truth::Unknown, "Putting", "");
            cx.write(status(&record, object, &conditions)?).await?;
        }
        let put = self.server.put(&record.spec).await;
        let mut conditions = Conditions::of(object, cx.now())?;
        match &put {
            Ok(()) => {
                let message = format!("{} is {}", record.spec.host, record.spec.address);
                conditions.set("Registered", true, "Put", message)
            }
            Err(error) => conditions.set("Registered", false, "Failed", error.to_string()),
        };
        cx.write(status(&record, object, &conditions)?).await?; // where it changes something
        put?;
        Ok(Action::after(PUT_EVERY))
    }

    async fn finalize(&self, _key: &Key, object: &Object, _cx: &Context) -> Result<Action, BoxError> {
        let record: DnsRecord = object.decode()?;
        let before =
            record.status.and_then(|status| status.host).filter(|before| *before != record.spec.host);
        for host in [Some(record.spec.host), before].into_iter().flatten() {
            self.server.delete(&host).await?;
        }
        Ok(Action::done())
    }
}

/// Says in the status what came of it.
fn status(record: &DnsRecord, object: &Object, conditions: &Conditions) -> Result<Write, BoxError> {
    let status = json!({"observedGeneration": object.generation(), "host": record.spec.host});
    Ok(conditions.apply_with(object, status)?)
}
