//! How requests are told in a journal: what they are about, without what a reader does not look for.

use http::{Method, Uri};

/// What of a query matters to readers, and how it is told.
const TOLD: &[(&str, &str)] = &[
    ("resourceVersion", "from"),
    ("continue", "after"),
    ("labelSelector", "labelled"),
    ("fieldSelector", "with"),
];

/// A request in words: `PUT town/configmaps/a`, `WATCH configmaps from 233`.
pub(super) fn request(method: &Method, uri: &Uri) -> String {
    let mut parts: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
    // The group, if it has one, and the version.
    parts.drain(..parts.len().min(if parts.first() == Some(&"api") { 2 } else { 3 }));
    if parts.len() > 2 && parts[0] == "namespaces" {
        parts.remove(0);
    }
    let query: Vec<(&str, &str)> =
        uri.query().unwrap_or_default().split('&').filter_map(|part| part.split_once('=')).collect();
    let watches = query.contains(&("watch", "true"));
    let verb = if watches { "WATCH" } else { method.as_str() };
    let mut told = format!("{verb} {}", parts.join("/"));
    for (name, word) in TOLD {
        let values = query.iter().filter(|(key, value)| key == name && !value.is_empty());
        values.for_each(|(_, value)| told.extend([" ", word, " ", value]));
    }
    if query.contains(&("sendInitialEvents", "true")) {
        told.push_str(" with what is there");
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_told_by_what_it_is_about() {
        for (method, uri, told) in [
            (Method::PUT, "/api/v1/namespaces/town/configmaps/a?&fieldManager=copy", "PUT town/configmaps/a"),
            (Method::GET, "/api/v1/configmaps?&limit=500", "GET configmaps"),
            (
                Method::GET,
                "/apis/apps/v1/deployments?&watch=true&timeoutSeconds=241&allowWatchBookmarks=true&resourceVersion=233",
                "WATCH deployments from 233",
            ),
            (
                Method::GET,
                "/api/v1/pods?watch=true&sendInitialEvents=true&resourceVersion=",
                "WATCH pods with what is there",
            ),
            (Method::GET, "/api/v1/namespaces/town", "GET namespaces/town"),
            (Method::GET, "/", "GET "),
        ] {
            assert_eq!(request(&method, &uri.parse().unwrap()), told, "{uri}");
        }
    }
}
