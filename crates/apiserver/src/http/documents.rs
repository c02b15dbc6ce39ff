//! Documents that are about no object: discovery, the version, health, and (through [`crate::discovery`]) OpenAPI.

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::Value;

use super::{
    Body, answer,
    negotiation::{self, Format, Offer},
    text,
};
use crate::{
    cluster::Shared,
    discovery,
    machinery::protobuf,
    status::{ApiError, ApiResult},
};

const HEALTH: [&str; 3] = ["/healthz", "/livez", "/readyz"];
/// The checks that can be asked for one by one.
const CHECKS: [&str; 3] = ["ping", "log", "etcd"];
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Answers a request that is about no resource.
pub fn respond(cluster: &Shared, parts: &http::request::Parts) -> ApiResult<Response<Body>> {
    let path = parts.uri.path().trim_end_matches('/');
    let Some(document) = find(cluster, parts, path)? else { return Ok(answer::page_not_found()) };
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return Err(ApiError::method_not_allowed());
    }
    Ok(match document {
        Document::Text(body) => text(StatusCode::OK, "text/plain; charset=utf-8", body),
        Document::Value(value) => {
            let format = negotiated(parts)?;
            answer::value(200, format, &value)
        }
        Document::Bytes { media_type, bytes, etag } => {
            let mut response = text(StatusCode::OK, media_type, bytes);
            if let Ok(etag) = HeaderValue::from_str(&format!("\"{etag}\"")) {
                if parts.headers.get(header::IF_NONE_MATCH) == Some(&etag) {
                    response = text(StatusCode::NOT_MODIFIED, media_type, Bytes::new());
                }
                response.headers_mut().insert(header::ETAG, etag);
            }
            response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
            response
        }
    })
}

enum Document {
    Text(Bytes),
    Value(Value),
    Bytes { media_type: &'static str, bytes: Bytes, etag: std::sync::Arc<str> },
}

fn find(cluster: &Shared, parts: &http::request::Parts, path: &str) -> ApiResult<Option<Document>> {
    if let Some(check) = HEALTH.iter().find_map(|root| path.strip_prefix(root)) {
        let known = check.is_empty() || check.strip_prefix('/').is_some_and(|check| CHECKS.contains(&check));
        return Ok(known.then(|| Document::Text("ok".into())));
    }
    if path == "/version" {
        return Ok(Some(Document::Value(discovery::version())));
    }
    let catalog = cluster.catalog();
    let discovery = catalog.discovery();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let unknown_version = || Err(ApiError::no_such_resource());
    match segments.as_slice() {
        ["api"] if wants_aggregated(parts) => Ok(Some(aggregated(discovery.aggregated_core()))),
        ["apis"] if wants_aggregated(parts) => Ok(Some(aggregated(discovery.aggregated()))),
        ["api"] => Ok(Some(Document::Value(discovery.api_versions(&address(parts))))),
        ["apis"] => Ok(Some(Document::Value(discovery.api_groups()))),
        ["api", version] => match discovery.api_resources("", version) {
            Some(resources) => Ok(Some(Document::Value(resources))),
            None => unknown_version(),
        },
        ["apis", group] => Ok(discovery.api_group(group).map(Document::Value)),
        ["apis", group, version] => match discovery.api_resources(group, version) {
            Some(resources) => Ok(Some(Document::Value(resources))),
            None if catalog.has_group(group) => unknown_version(),
            None => Ok(None),
        },
        ["openapi", ..] => Ok(discovery.openapi(path, wants_protobuf(parts)).map(|document| {
            Document::Bytes { media_type: document.media_type, bytes: document.bytes, etag: document.etag }
        })),
        [] | [""] => Ok(Some(Document::Value(paths(catalog.resources())))),
        _ => Ok(None),
    }
}

/// The paths that there are (`GET /`).
fn paths(resources: &[std::sync::Arc<crate::kinds::Resource>]) -> Value {
    let mut paths: Vec<String> = vec!["/api".into(), "/api/v1".into(), "/apis".into(), "/apis/".into()];
    for resource in resources.iter().filter(|resource| !resource.group.is_empty()) {
        for path in [format!("/apis/{}", resource.group), format!("/apis/{}", resource.api_version)] {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    paths.extend(HEALTH.map(str::to_owned));
    paths.extend(["/openapi/v2", "/openapi/v3", "/version"].map(str::to_owned));
    serde_json::json!({"paths": paths})
}

fn aggregated(document: discovery::Document) -> Document {
    Document::Bytes { media_type: AGGREGATED, bytes: document.bytes, etag: document.etag }
}

/// Whether OpenAPI in protobuf is accepted: clients that know it ask for nothing else.
fn wants_protobuf(parts: &http::request::Parts) -> bool {
    let accept = negotiation::accept(&parts.headers);
    negotiation::ranges(accept).iter().any(|range| discovery::openapi::is_protobuf(range.media_type))
}

/// Whether aggregated discovery is the best that is accepted and can be had.
fn wants_aggregated(parts: &http::request::Parts) -> bool {
    let accept = negotiation::accept(&parts.headers);
    negotiation::ranges(accept).iter().find_map(|range| match (range.media_type, range.parameter("as")) {
        ("application/json", Some("APIGroupDiscoveryList")) => {
            let ours =
                range.parameter("g") == Some("apidiscovery.k8s.io") && range.parameter("v") == Some("v2");
            ours.then_some(true)
        }
        ("application/json" | "application/yaml" | "*/*" | protobuf::MEDIA_TYPE, None) => Some(false),
        _ => None,
    }) == Some(true)
}

fn negotiated(parts: &http::request::Parts) -> ApiResult<Format> {
    let segments = parts.uri.path().trim_end_matches('/').split('/').skip(1);
    let of_groups = matches!(segments.collect::<Vec<_>>().as_slice(), ["apis"] | ["apis", _]);
    let offer = if of_groups { Offer::Groups } else { Offer::Document };
    negotiation::negotiate(&parts.headers, offer).map(|chosen| chosen.format)
}

/// This server's address, as the client knows it.
fn address(parts: &http::request::Parts) -> String {
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.or_else(|| parts.uri.host()).unwrap_or("localhost").to_owned()
}
