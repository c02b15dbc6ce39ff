//! What a request asks to be allowed (`authorizer.Attributes` in Kubernetes), and the sentence that refuses it.

use serde_json::json;

use super::user::User;
use crate::{
    machinery::go_quoted,
    status::{ApiError, Qualified},
};

/// One question to the rules. Made with [`Attributes::resource`] or [`Attributes::path`] and struct update syntax:
/// fields that a question lacks are empty.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    /// Who asks.
    pub user: &'a User,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, or another that rules know;
    /// of a path, the HTTP method in lower case.
    pub verb: &'a str,
    /// Empty at the cluster scope.
    pub namespace: &'a str,
    /// The API group; empty for the core group.
    pub group: &'a str,
    /// The version of the API group. No rule looks at it.
    pub version: &'a str,
    /// The plural resource.
    pub resource: &'a str,
    /// Such as `status`.
    pub subresource: &'a str,
    /// Of the object; empty where the request names none.
    pub name: &'a str,
    /// The URL's path.
    pub path: &'a str,
    /// Whether a resource is asked for, or a path.
    pub is_resource: bool,
}

impl<'a> Attributes<'a> {
    /// Asks for `verb` on a resource.
    pub fn resource(user: &'a User, verb: &'a str, group: &'a str, resource: &'a str) -> Self {
        Self { verb, group, resource, is_resource: true, ..Self::nothing(user) }
    }

    /// Asks for a path that is no resource.
    pub fn path(user: &'a User, verb: &'a str, path: &'a str) -> Self {
        Self { verb, path, ..Self::nothing(user) }
    }

    fn nothing(user: &'a User) -> Self {
        Self {
            user,
            verb: "",
            namespace: "",
            group: "",
            version: "",
            resource: "",
            subresource: "",
            name: "",
            path: "",
            is_resource: false,
        }
    }

    /// The refusal, 403; `reason` is what the authorizer has to say, or empty.
    pub fn forbidden(&self, reason: &str) -> ApiError {
        let mut why = self.refusal();
        if !reason.is_empty() {
            why.push_str(": ");
            why.push_str(reason);
        }
        let resource = Qualified { group: self.group, name: self.resource };
        if resource.group.is_empty() && resource.name.is_empty() {
            return ApiError::new(403, "Forbidden", format!("forbidden: {why}")).with_details(json!({}));
        }
        ApiError::forbidden(resource, self.name, &why)
    }

    /// What the user cannot do, such as `User "bob" cannot list resource "pods" in API group "" at the cluster scope`.
    fn refusal(&self) -> String {
        let (user, verb) = (go_quoted(&self.user.name), self.verb);
        if !self.is_resource {
            return inert(&format!("User {user} cannot {verb} path {}", go_quoted(self.path)));
        }
        let resource = if self.subresource.is_empty() {
            go_quoted(self.resource)
        } else {
            go_quoted(&format!("{}/{}", self.resource, self.subresource))
        };
        let scope = if self.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {}", go_quoted(self.namespace))
        };
        let group = go_quoted(self.group);
        inert(&format!("User {user} cannot {verb} resource {resource} in API group {group} {scope}"))
    }
}

/// Paths and names come from the caller: a browser must not take them for HTML.
fn inert(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn refusals_read_as_kubernetes_writes_them() {
        let bob = User::new("bob", ["devs"]);
        let get =
            Attributes { namespace: "x", name: "a", ..Attributes::resource(&bob, "get", "", "configmaps") };
        let scale = Attributes {
            namespace: "x",
            name: "web",
            subresource: "scale",
            ..Attributes::resource(&bob, "update", "apps", "deployments")
        };
        let cases = [
            (
                get,
                "",
                r#"configmaps "a" is forbidden: User "bob" cannot get resource "configmaps" in API group "" in the namespace "x""#,
                json!({"name": "a", "kind": "configmaps"}),
            ),
            (
                Attributes::resource(&bob, "watch", "apps", "deployments"),
                "",
                r#"deployments.apps is forbidden: User "bob" cannot watch resource "deployments" in API group "apps" at the cluster scope"#,
                json!({"group": "apps", "kind": "deployments"}),
            ),
            (
                scale,
                "",
                r#"deployments.apps "web" is forbidden: User "bob" cannot update resource "deployments/scale" in API group "apps" in the namespace "x""#,
                json!({"name": "web", "group": "apps", "kind": "deployments"}),
            ),
            (
                Attributes::path(&bob, "get", "/nope?<b>&"),
                "",
                r#"forbidden: User "bob" cannot get path "/nope?&lt;b&gt;&amp;""#,
                json!({}),
            ),
            (
                Attributes::resource(&bob, "list", "", "nodes"),
                r#"RBAC: clusterrole.rbac.authorization.k8s.io "x" not found"#,
                r#"nodes is forbidden: User "bob" cannot list resource "nodes" in API group "" at the cluster scope: RBAC: clusterrole.rbac.authorization.k8s.io "x" not found"#,
                json!({"kind": "nodes"}),
            ),
        ];
        for (attributes, reason, message, details) in cases {
            let error = attributes.forbidden(reason);
            assert_eq!(error.message, message);
            assert_eq!(error.code, 403);
            assert_eq!(error.details.map(Value::Object), Some(details));
        }
    }
}
