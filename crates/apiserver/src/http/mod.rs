//! HTTP in, HTTP out: who asks, may they, what do they ask, and in which form do they get the answer.
//!
//! [`handle`] is the way of every request, whether it came from a socket or from a client in the same process.

mod answer;
mod body;
mod documents;
mod in_flight;
pub mod negotiation;
pub mod query;
pub mod serve;
mod stream;
pub mod target;
mod warnings;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};

pub use self::body::Body;
use crate::{
    access::{Attributes, User, authentication::ClientCertificate, impersonation},
    cluster::Shared,
    kinds::Resource,
    status::{ApiError, ApiResult},
    verbs::{self, Call},
};
use in_flight::{InFlight, TooMany};
use negotiation::Offer;
use query::Query;
use target::Target;

/// The largest body that is read: what kube-apiserver takes.
const BODY_BYTES_MAX: usize = 3 << 20;
/// How long a body may take to come, where the connection says nothing else.
const BODY_TIME_MAX: Duration = Duration::from_mins(1);

/// How long the body of a request may take to come: an extension of requests.
#[derive(Debug, Clone, Copy)]
struct BodyTime(Duration);

/// Whom a connection comes from, as far as the connection itself says.
#[derive(Debug, Clone)]
pub enum Peer {
    /// A client in this process, whose user is known.
    User(Arc<User>),
    /// A connection, with the certificate that its client has shown; headers may say more.
    Connection(ClientCertificate),
}

/// Answers one request.
pub async fn handle<B>(cluster: &Arc<Shared>, request: Request<B>, peer: Peer) -> Response<Body>
where
    B: http_body::Body + Send,
    B::Data: Send,
    B::Error: fmt::Display,
{
    let (parts, body) = request.into_parts();
    let mut warnings = Vec::new();
    let mut response = match respond(cluster, &parts, body, &peer, &mut warnings).await {
        Ok(response) => response,
        Err(error) => answer::error(&error, &parts.headers),
    };
    let headers = response.headers_mut();
    for warning in warnings::headers(&warnings) {
        headers.append(header::WARNING, warning);
    }
    let no_cache = HeaderValue::from_static("no-cache, private");
    headers.entry(header::CACHE_CONTROL).or_insert(no_cache);
    response
}

async fn respond<B>(
    cluster: &Arc<Shared>,
    parts: &http::request::Parts,
    body: B,
    peer: &Peer,
    warnings: &mut Vec<String>,
) -> ApiResult<Response<Body>>
where
    B: http_body::Body + Send,
    B::Data: Send,
    B::Error: fmt::Display,
{
    if matches!(peer, Peer::Connection(_)) {
        check_host(parts)?;
    }
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let target = Target::of(&parts.method, parts.uri.path(), &query);
    let mut user = cluster.authenticate(peer, &parts.headers, warnings)?;
    if let Some(wanted) = impersonation::requested(&parts.headers)? {
        let attributes = attributes(&user, &target, &query);
        user = Arc::new(cluster.impersonation().user(&cluster.rbac(), &attributes, &wanted)?);
    }
    let slot = match parts.extensions.get::<InFlight>().map(|slots| slots.enter(&user, &target)) {
        Some(Err(TooMany)) => return Ok(in_flight::too_many()),
        Some(Ok(slot)) => slot,
        None => None,
    };
    let response = answer_to(cluster, parts, body, &user, &target, &query, warnings).await?;
    Ok(response.map(|body| body.holding(slot)))
}

/// What a user is answered who was let in.
async fn answer_to<B>(
    cluster: &Arc<Shared>,
    parts: &http::request::Parts,
    body: B,
    user: &User,
    target: &Target,
    query: &Query,
    warnings: &mut Vec<String>,
) -> ApiResult<Response<Body>>
where
    B: http_body::Body + Send,
    B::Data: Send,
    B::Error: fmt::Display,
{
    authorize(cluster, user, target, query)?;
    if !target.is_resource {
        return documents::respond(cluster, parts);
    }
    let catalog = cluster.catalog();
    let Some(resource) = catalog.resource(&target.api_version(), &target.resource) else {
        if target.group.is_empty() || catalog.has_group(&target.group) {
            return Err(ApiError::no_such_resource());
        }
        return Ok(answer::page_not_found());
    };
    warn_of_deprecation(resource, target, warnings);
    let offer = if resource.custom.is_some() { Offer::Custom } else { Offer::BuiltIn };
    let representation = negotiation::negotiate(&parts.headers, offer)?;
    let mut call = Call {
        cluster,
        user,
        resource: resource.clone(),
        target,
        query,
        content_type: media_type(&parts.headers),
        body: read_body(parts, body).await?,
        agent: agent(&parts.headers),
        now: cluster.clock().now(),
        warnings: std::mem::take(warnings),
    };
    let answered = verbs::call(&mut call).await;
    *warnings = std::mem::take(&mut call.warnings);
    answer::write(&call, representation, answered?)
}

/// A request of HTTP/1.1 names one host: two may mean another to a proxy than to us.
fn check_host(parts: &http::request::Parts) -> ApiResult<()> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(ApiError::bad_request("too many Host headers"));
    }
    if host.is_none() && parts.version == Version::HTTP_11 && parts.uri.host().is_none() {
        return Err(ApiError::bad_request("missing required Host header"));
    }
    if host.is_some_and(|host| !host.as_bytes().iter().all(|byte| is_of_host(*byte))) {
        return Err(ApiError::bad_request("malformed Host header"));
    }
    Ok(())
}

/// Whether a byte may stand in a Host header (RFC 3986: `unreserved`, `sub-delims`, brackets, colons, and escapes).
fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=[]:%".contains(&byte)
}

/// Sentences about resources that should no longer be used.
fn warn_of_deprecation(resource: &Resource, target: &Target, warnings: &mut Vec<String>) {
    const DEPRECATED: &[(&str, &str, &str)] = &[
        ("v1", "endpoints", "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
        ("v1", "componentstatuses", "v1 ComponentStatus is deprecated in v1.19+"),
    ];
    if target.verb == "delete" && target.name.is_empty() {
        return;
    }
    let sentence = match &resource.custom {
        Some(custom) => custom.deprecation_warning.as_deref(),
        None => DEPRECATED
            .iter()
            .find(|(version, plural, _)| *version == &*resource.api_version && *plural == &*resource.plural)
            .map(|(_, _, sentence)| *sentence),
    };
    warnings.extend(sentence.map(str::to_owned));
}

fn authorize(cluster: &Shared, user: &User, target: &Target, query: &Query) -> ApiResult<()> {
    if user.is_in("system:masters") {
        return Ok(());
    }
    let attributes = attributes(user, target, query);
    let rules = cluster.rbac();
    let decision = rules.allows(&attributes);
    if decision.allowed { Ok(()) } else { Err(attributes.forbidden(&decision.reason())) }
}

/// What a request asks the rules.
fn attributes<'a>(user: &'a User, target: &'a Target, query: &'a Query) -> Attributes<'a> {
    if target.is_resource {
        Attributes {
            namespace: &target.namespace,
            version: &target.version,
            subresource: &target.subresource,
            name: name_for_rules(target, query),
            ..Attributes::resource(user, target.verb, &target.group, &target.resource)
        }
    } else {
        Attributes::path(user, target.verb, &target.path)
    }
}

/// A list or watch of one name counts as one of that object.
fn name_for_rules<'a>(target: &'a Target, query: &'a Query) -> &'a str {
    let by_field =
        || query.get("fieldSelector").strip_prefix("metadata.name=").map(|name| name.trim_start_matches('='));
    match target.verb {
        "list" | "watch" | "deletecollection" if target.name.is_empty() => {
            by_field().filter(|name| !name.contains(',')).unwrap_or_default()
        }
        _ => &target.name,
    }
}

/// The media type of the body, without parameters.
fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The program that asks, as it owns fields: the `User-Agent` up to its first slash.
fn agent(headers: &HeaderMap) -> String {
    let value = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let program: String = value.split('/').next().unwrap_or_default().chars().take(128).collect();
    if program.is_empty() { "unknown".to_owned() } else { program }
}

async fn read_body<B>(parts: &http::request::Parts, body: B) -> ApiResult<Bytes>
where
    B: http_body::Body + Send,
    B::Data: Send,
    B::Error: fmt::Display,
{
    let too_large = || {
        let why = format!("Request entity too large: limit is {BODY_BYTES_MAX}");
        ApiError::new(413, "RequestEntityTooLarge", why)
    };
    let time = parts.extensions.get().map_or(BODY_TIME_MAX, |BodyTime(time)| *time);
    let announced = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > BODY_BYTES_MAX) {
        return Err(too_large());
    }
    let body = Limited::new(body.map_err(|error| BodyError(error.to_string())), BODY_BYTES_MAX);
    match tokio::time::timeout(time, body.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(ApiError::bad_request(format!("unable to read the body: {error}"))),
        Err(_) => Err(ApiError::new(408, "Timeout", format!("the body did not come within {time:?}"))),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct BodyError(String);

/// A response of a text.
fn text(code: StatusCode, media_type: &'static str, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::whole(text));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
