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
