//! Who a request comes from (`user.Info` in Kubernetes), and the users and groups that every cluster knows.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::machinery::format::{is_dns1123_label, is_dns1123_subdomain};

/// The group whose members may do everything, whatever the rules say.
pub const MASTERS: &str = "system:masters";
/// The group of every user that is known.
pub const AUTHENTICATED: &str = "system:authenticated";
/// The group of the user that is not known.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// The name of the user that is not known.
pub const ANONYMOUS: &str = "system:anonymous";
/// The group of the kubelets.
pub const NODES: &str = "system:nodes";
/// The group of all service accounts; with `:NAMESPACE` behind it, that of the accounts of a namespace.
pub const SERVICE_ACCOUNTS: &str = "system:serviceaccounts";
/// The extra field that names the credential by which a user was known.
pub const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

const SERVICE_ACCOUNT_PREFIX: &str = "system:serviceaccount:";
const NODE_PREFIX: &str = "system:node:";

/// A user, however it became known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// What rules and refusals call it.
    pub name: String,
    /// Tells users of the same name apart over time; empty where nothing does.
    pub uid: String,
    /// The groups it is in, in the order in which its credential names them.
    pub groups: Vec<String>,
    /// What else its credential says.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A user of these groups.
    pub fn new<G: Into<String>>(name: impl Into<String>, groups: impl IntoIterator<Item = G>) -> Self {
        Self { name: name.into(), groups: groups.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// The administrator of a cluster that has no other: a member of [`MASTERS`].
    pub fn admin() -> Self {
        Self::new("admin", [MASTERS, AUTHENTICATED])
    }

    /// The user of a request that brings no credential.
    pub fn anonymous() -> Self {
        Self::new(ANONYMOUS, [UNAUTHENTICATED])
    }

    /// A service account as user; `uid` is that of the object.
    pub fn service_account(namespace: &str, name: &str, uid: &str) -> Self {
        Self {
            name: service_account_user_name(namespace, name),
            uid: uid.to_owned(),
            groups: service_account_groups(namespace),
            extra: BTreeMap::new(),
        }
    }

    /// The same user as a member of [`AUTHENTICATED`], unless it is anonymous or its credential says which it is.
    #[must_use]
    pub fn authenticated(mut self) -> Self {
        if self.name != ANONYMOUS && !self.is_in(AUTHENTICATED) && !self.is_in(UNAUTHENTICATED) {
            self.groups.push(AUTHENTICATED.to_owned());
        }
        self
    }

    /// Whether the user is a member of `group`.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }

    /// The user as reviews and admission webhooks show it (`authentication.k8s.io/v1` `UserInfo`).
    pub fn to_user_info(&self) -> Value {
        let mut info = Map::new();
        if !self.name.is_empty() {
            info.insert("username".into(), self.name.as_str().into());
        }
        if !self.uid.is_empty() {
            info.insert("uid".into(), self.uid.as_str().into());
        }
        if !self.groups.is_empty() {
            info.insert("groups".into(), self.groups.clone().into());
        }
        if !self.extra.is_empty() {
            let extra = self.extra.iter().map(|(key, values)| (key.clone(), values.clone().into()));
            info.insert("extra".into(), Value::Object(extra.collect()));
        }
        Value::Object(info)
    }
}

/// The user name of a service account.
pub fn service_account_user_name(namespace: &str, name: &str) -> String {
    format!("{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}")
}

/// The groups that the service accounts of a namespace are in, [`AUTHENTICATED`] left out.
pub fn service_account_groups(namespace: &str) -> Vec<String> {
    vec![SERVICE_ACCOUNTS.to_owned(), format!("{SERVICE_ACCOUNTS}:{namespace}")]
}

/// Namespace and name of the service account that a user name stands for, if it does.
pub fn service_account_of(user_name: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user_name.strip_prefix(SERVICE_ACCOUNT_PREFIX)?.split_once(':')?;
    (is_dns1123_label(namespace).is_empty() && is_subdomain(name)).then_some((namespace, name))
}

/// The node that a user name stands for, if it does.
pub fn node_of(user_name: &str) -> Option<&str> {
    user_name.strip_prefix(NODE_PREFIX).filter(|name| is_subdomain(name))
}

fn is_subdomain(name: &str) -> bool {
    is_dns1123_subdomain(name).is_empty()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_known_user_is_authenticated_once() {
        let cases: [(User, &[&str]); 5] = [
            (User::new("bob", ["devs"]), &["devs", AUTHENTICATED]),
            (User::new("bob", [AUTHENTICATED, "devs"]), &[AUTHENTICATED, "devs"]),
            (User::new("bob", [UNAUTHENTICATED]), &[UNAUTHENTICATED]),
            (User::anonymous(), &[UNAUTHENTICATED]),
            (User::new(ANONYMOUS, ["devs"]), &["devs"]),
        ];
        for (user, groups) in cases {
            assert_eq!(user.authenticated().groups, groups);
        }
    }

    #[test]
    fn a_service_account_is_a_user_and_back() {
        let user = User::service_account("shop", "robot", "u-1");
        assert_eq!(user.name, "system:serviceaccount:shop:robot");
        assert_eq!(user.groups, ["system:serviceaccounts", "system:serviceaccounts:shop"]);
        assert_eq!(service_account_of(&user.name), Some(("shop", "robot")));
        let label = "a".repeat(64);
        let long = format!("system:serviceaccount:{label}:robot");
        for other in [
            "robot",
            "system:serviceaccount:shop",
            "system:serviceaccount:shop:",
            "system:serviceaccount::robot",
            "system:serviceaccount:a.b:robot",
            "system:serviceaccount:shop:ro:bot",
            "system:serviceaccount:Shop:robot",
            &long,
        ] {
            assert_eq!(service_account_of(other), None, "{other}");
        }
        assert_eq!(node_of("system:node:n1.example.com"), Some("n1.example.com"));
        assert_eq!(node_of("system:node:"), None);
        assert_eq!(node_of("system:nodes:n1"), None);
    }

    #[test]
    fn what_a_user_has_not_is_not_shown() {
        assert_eq!(User::new("", [""; 0]).to_user_info(), json!({}));
        let mut user = User::new("zoe", ["qa"]);
        user.uid = "u-1".into();
        user.extra.insert("scopes".into(), vec!["view".into()]);
        assert_eq!(
            user.to_user_info(),
            json!({"username": "zoe", "uid": "u-1", "groups": ["qa"], "extra": {"scopes": ["view"]}})
        );
    }
}
