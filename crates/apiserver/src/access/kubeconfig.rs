//! The file by which clients find a cluster and get in: a kubeconfig.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::certificates::{Authority, Issued};

/// What a client needs to know of a cluster.
#[derive(Debug, Clone, Copy)]
pub struct Kubeconfig<'a> {
    /// What cluster, context and user are called in the file.
    pub name: &'a str,
    /// The address, such as `https://127.0.0.1:6443`.
    pub server: &'a str,
    /// Whom to trust.
    pub authority: &'a Authority,
    /// What to show.
    pub client: &'a Issued,
    /// The namespace of commands that name none; empty for `default`.
    pub namespace: &'a str,
}

impl Kubeconfig<'_> {
    /// The document; it holds the client's key, so that whoever can read it can get in.
    pub fn to_value(&self) -> Value {
        let data = |text: String| BASE64_STANDARD.encode(text);
        let mut context = json!({"cluster": self.name, "user": self.name});
        if !self.namespace.is_empty() {
            context["namespace"] = self.namespace.into();
        }
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "preferences": {},
            "clusters": [{
                "name": self.name,
                "cluster": {"server": self.server, "certificate-authority-data": data(self.authority.pem())},
            }],
            "users": [{
                "name": self.name,
                "user": {
                    "client-certificate-data": data(self.client.certificate_pem()),
                    "client-key-data": data(self.client.key_pem()),
                },
            }],
            "contexts": [{"name": self.name, "context": context}],
            "current-context": self.name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machinery::{decode, encode};

    #[test]
    fn a_client_finds_the_cluster_and_gets_in() {
        let authority = Authority::new("2026-01-02T03:04:05Z".parse().unwrap()).unwrap();
        let client = authority.issue_client("admin", &["system:masters".into()]).unwrap();
        let kubeconfig = Kubeconfig {
            name: "xebec",
            server: "https://127.0.0.1:6443",
            authority: &authority,
            client: &client,
            namespace: "shop",
        };
        let read = decode::yaml(encode::yaml(&kubeconfig.to_value()).as_bytes()).unwrap().value;
        assert_eq!(read, kubeconfig.to_value(), "a file in YAML says the same");
        let config: kube::config::Kubeconfig = serde_json::from_value(read).unwrap();
        assert_eq!(config.current_context.as_deref(), Some("xebec"));
        let context = config.contexts[0].context.as_ref().unwrap();
        assert_eq!((context.cluster.as_str(), context.namespace.as_deref()), ("xebec", Some("shop")));
        let cluster = config.clusters[0].cluster.as_ref().unwrap();
        assert_eq!(cluster.server.as_deref(), Some("https://127.0.0.1:6443"));
        let decoded = |data: Option<&String>| {
            String::from_utf8(BASE64_STANDARD.decode(data.unwrap()).unwrap()).unwrap()
        };
        assert_eq!(decoded(cluster.certificate_authority_data.as_ref()), authority.pem());
        let user = config.auth_infos[0].auth_info.as_ref().unwrap();
        assert_eq!(decoded(user.client_certificate_data.as_ref()), client.certificate_pem());
        assert!(kubeconfig.to_value()["users"][0]["user"]["client-key-data"].is_string());
        let plain = Kubeconfig { namespace: "", ..kubeconfig }.to_value();
        assert_eq!(plain["contexts"][0]["context"].get("namespace"), None);
    }
}
