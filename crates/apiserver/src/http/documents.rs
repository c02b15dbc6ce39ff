//! Documents that are about no object: discovery, the version, health, and (through [`crate::discovery`]) OpenAPI.

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use jiff::{ToSpan, tz::TimeZone};
use serde_json::Value;

use super::{
    Body, answer,
    negotiation::{self, Format, Offer},
    query::Query,
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
    if let Some(path) = parts.uri.path().strip_prefix("/openapi/v3/") {
        return Ok(openapi_v3(cluster, parts, path));
    }
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
        Document::Bytes { media_type, bytes, etag } => tagged(parts, media_type, bytes, &etag),
    })
}

/// A document that clients may keep for as long as its tag is the same.
fn tagged(
    parts: &http::request::Parts,
    media_type: &'static str,
    bytes: Bytes,
    etag: &str,
) -> Response<Body> {
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

/// A document that the index of OpenAPI v3 names. What is asked for by its hash may be kept for a year; who asks for
/// another hash is sent to the right one.
fn openapi_v3(cluster: &Shared, parts: &http::request::Parts, path: &str) -> Response<Body> {
    let Some(document) = cluster.catalog().discovery().openapi_v3(path) else {
        let mut response = Response::new(Body::whole(Bytes::new()));
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    };
    let mut response = tagged(parts, document.media_type, document.bytes, &document.etag);
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let hash = query.get("hash");
    if !hash.is_empty() && hash != &*document.etag {
        let url = discovery::openapi::url(&format!("/openapi/v3/{path}"), &document.etag);
        *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
        *response.body_mut() = Body::whole(Bytes::new());
        response.headers_mut().extend(HeaderValue::try_from(url).map(|url| (header::LOCATION, url)));
    } else if !hash.is_empty() {
        let in_a_year = (cluster.clock().now().to_zoned(TimeZone::UTC)).saturating_add(1.year());
        let expires = in_a_year.strftime("%a, %d %b %Y %H:%M:%S UTC").to_string();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
        headers.extend(HeaderValue::try_from(expires).map(|expires| (header::EXPIRES, expires)));
    }
    response
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

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Request};
    use http_body_util::{BodyExt, Empty};

    use super::*;
    use crate::{access::User, clock::Clock, cluster::Cluster, http::Peer};

    async fn get(cluster: &Cluster, path: &str) -> (u16, HeaderMap, Bytes) {
        let user = User { groups: vec!["system:masters".into()], ..User::default() };
        let request = Request::get(path).body(Empty::<Bytes>::new()).unwrap();
        let (parts, body) = cluster.handle(request, Peer::User(user.into())).await.into_parts();
        (parts.status.as_u16(), parts.headers, body.collect().await.unwrap().to_bytes())
    }

    #[tokio::test]
    async fn documents_of_openapi_v3_may_be_kept_under_their_hash() {
        let cluster = Cluster::with_clock(Clock::still("2024-03-01T12:00:00Z".parse().unwrap()));
        let (code, headers, body) = get(&cluster, "/openapi/v3/apis/apps/v1").await;
        assert_eq!((code, headers["cache-control"].to_str().unwrap()), (200, "no-cache, private"));
        let etag = headers["etag"].to_str().unwrap().trim_matches('"');
        let url = format!("/openapi/v3/apis/apps/v1?hash={etag}");

        let (code, kept, same) = get(&cluster, &url).await;
        assert_eq!((code, &same), (200, &body));
        assert_eq!(kept["cache-control"], "public, immutable");
        assert_eq!(kept["expires"], "Sat, 01 Mar 2025 12:00:00 UTC");

        let (code, moved, nothing) = get(&cluster, "/openapi/v3/apis/apps/v1?hash=OLD").await;
        assert_eq!((code, moved["location"].to_str().unwrap(), &*nothing), (301, &*url, &b""[..]));

        for path in ["/openapi/v3/apis/nope/v1", "/openapi/v3/", "/openapi/v3/apis/apps/v1/"] {
            let (code, headers, body) = get(&cluster, path).await;
            assert_eq!((code, headers.get("content-type"), &*body), (404, None, &b""[..]), "{path}");
        }
    }
}
