//! What a request is about, read off its method and path as kube-apiserver does (`RequestInfo`): authorization and
//! the verbs go by it.

use http::Method;
use percent_encoding::percent_decode_str;

use super::query::Query;

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// The path as it was sent, without the query.
    pub path: String,
    /// Whether it is about a resource; everything else is discovery, health and the like.
    pub is_resource: bool,
    /// `get`, `list`, `watch`, `create`, …; the method in lower case where it is about no resource.
    pub verb: &'static str,
    /// The API group.
    pub group: String,
    /// The API version.
    pub version: String,
    /// The namespace; empty for all, or none.
    pub namespace: String,
    /// The plural resource.
    pub resource: String,
    /// The name; empty for collections.
    pub name: String,
    /// The subresource; empty for the object itself.
    pub subresource: String,
    /// Whether the path is that of the old form of a watch, which serves nothing else.
    pub is_watch_path: bool,
    /// What follows the subresource (`proxy/…`).
    pub rest: String,
}

impl Target {
    /// `apiVersion` of the resource.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Reads a request's method, path and query.
    pub fn of(method: &Method, path: &str, query: &Query) -> Self {
        let mut target = Self { path: path.to_owned(), verb: method_verb(method), ..Self::default() };
        // Decoded first: a slash is a slash however it is written, so that what is authorized is what is read.
        let decoded = percent_decode_str(path).decode_utf8_lossy();
        let mut parts: Vec<String> =
            decoded.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        match parts.first().map(String::as_str) {
            Some("api") if parts.len() >= 3 => {
                target.version.clone_from(&parts[1]);
                parts.drain(..2);
            }
            Some("apis") if parts.len() >= 4 => {
                target.group.clone_from(&parts[1]);
                target.version.clone_from(&parts[2]);
                parts.drain(..3);
            }
            _ => return target,
        }
        target.is_resource = true;
        target.verb = match *method {
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            Method::GET | Method::HEAD => "get",
            _ => "",
        };
        // The old form of a watch: /api/v1/watch/namespaces/NS/pods.
        let old_watch = parts[0] == "watch";
        if old_watch {
            parts.remove(0);
        }
        if parts.first().is_some_and(|part| part == "namespaces") {
            if let Some(namespace) = parts.get(1) {
                target.namespace.clone_from(namespace);
                // Not /namespaces/NS/status and the like, which are parts of the namespace itself.
                if parts.len() > 2 && !matches!(parts[2].as_str(), "status" | "finalize") {
                    parts.drain(..2);
                }
            }
        }
        let mut parts = parts.into_iter();
        target.resource = parts.next().unwrap_or_default();
        target.name = parts.next().unwrap_or_default();
        target.subresource = parts.next().unwrap_or_default();
        target.rest = parts.collect::<Vec<_>>().join("/");
        if target.name.is_empty() {
            target.verb = match target.verb {
                "get" if query.flag("watch") => "watch",
                "get" => "list",
                "delete" => "deletecollection",
                verb => verb,
            };
        } else if target.verb == "get" && target.subresource.is_empty() && query.flag("watch") {
            target.verb = "watch";
        }
        if old_watch && *method == Method::GET {
            target.verb = "watch";
        }
        target.is_watch_path = old_watch;
        target
    }
}

fn method_verb(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::HEAD => "head",
        Method::POST => "post",
        Method::PUT => "put",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        Method::OPTIONS => "options",
        _ => "connect",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: Method, url: &str) -> String {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let t = Target::of(&method, path, &Query::parse(query));
        if !t.is_resource {
            return format!("{} {}", t.verb, t.path);
        }
        format!("{} {}|{}|{}|{}|{}", t.verb, t.api_version(), t.namespace, t.resource, t.name, t.subresource)
    }

    #[test]
    fn paths_are_read_as_kubernetes_reads_them() {
        for (method, url, want) in [
            (Method::GET, "/api/v1/namespaces/n/pods/p/log", "get v1|n|pods|p|log"),
            (Method::GET, "/api/v1/pods?watch=1", "watch v1||pods||"),
            (Method::GET, "/api/v1/watch/namespaces/n/pods", "watch v1|n|pods||"),
            (Method::GET, "/api/v1/namespaces/n", "get v1|n|namespaces|n|"),
            (Method::PUT, "/api/v1/namespaces/n/finalize", "update v1|n|namespaces|n|finalize"),
            (Method::GET, "/apis/apps/v1/namespaces/n/deployments", "list apps/v1|n|deployments||"),
            (
                Method::DELETE,
                "/apis/apps/v1/namespaces/n/deployments",
                "deletecollection apps/v1|n|deployments||",
            ),
            (Method::POST, "/api/v1/namespaces/n/pods/p/binding", "create v1|n|pods|p|binding"),
            (Method::GET, "/apis/apps/v1", "get /apis/apps/v1"),
            (Method::GET, "/api", "get /api"),
            (Method::OPTIONS, "/api/v1/pods", " v1||pods||"),
            (Method::GET, "/api/v1/configmaps/n%2Fx", "get v1||configmaps|n|x"),
            (Method::GET, "/api/v1/namespaces/n%2Fconfigmaps/x", "get v1|n|configmaps|x|"),
            (Method::GET, "/healthz", "get /healthz"),
            (
                Method::GET,
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
                "get rbac.authorization.k8s.io/v1||clusterroles|system:node|",
            ),
        ] {
            assert_eq!(read(method, url), want);
        }
    }
}
