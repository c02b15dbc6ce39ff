//! What to apply to a cluster so that an operator runs there, with the rights that its observers need, and no more.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{Election, Right};

const PORT: u16 = 9476;
/// One that no image has: the numbers of nobody and its group in images without a shell.
const USER: u32 = 65532;
/// Namespaces that every cluster has, so that they are no part of what is installed.
const OF_KUBERNETES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// What to apply to a cluster so that a program with the [flags of operators](super::Flags) runs there.
#[derive(Clone, Debug)]
pub struct Manifests {
    program: String,
    namespace: String,
    name: String,
    image: String,
    arguments: Vec<String>,
}

impl Manifests {
    /// Of a program, in a namespace: all that belongs to it is called `name`. The image has the program as its entry
    /// point.
    pub fn new(
        program: impl Into<String>,
        namespace: impl Into<String>,
        name: impl Into<String>,
        image: impl Into<String>,
    ) -> Self {
        let (program, namespace) = (program.into(), namespace.into());
        Self { program, namespace, name: name.into(), image: image.into(), arguments: Vec::new() }
    }

    /// Runs the program with these arguments, before those that make it one of two replicas and serve its metrics.
    #[must_use]
    pub fn arguments(mut self, arguments: impl IntoIterator<Item = String>) -> Self {
        self.arguments.extend(arguments);
        self
    }

    /// What to apply, in this order: the namespace unless it is Kubernetes' own, a service account with these rights in
    /// the whole cluster and those on its Lease, and a Deployment of two replicas, of which one leads.
    pub fn documents(&self, rights: impl IntoIterator<Item = Right>) -> Vec<Value> {
        let Self { program, namespace, name, .. } = self;
        let labels = json!({ "app.kubernetes.io/name": program, "app.kubernetes.io/instance": name });
        // Two installations share nothing, roles of the cluster neither.
        let cluster_name = if name == namespace { name.clone() } else { format!("{namespace}:{name}") };
        let of_cluster = json!({ "name": cluster_name, "labels": labels });
        let here = json!({ "name": name, "namespace": namespace, "labels": labels });
        let subjects = json!([{ "kind": "ServiceAccount", "name": name, "namespace": namespace }]);
        let role = |kind: &str, name: &str| json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name });
        let election = Election::new(namespace, name);

        let mut documents = Vec::new();
        if !OF_KUBERNETES.contains(&namespace.as_str()) {
            let metadata = json!({ "name": namespace, "labels": labels });
            documents.push(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata }));
        }
        documents.extend([
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": here }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": of_cluster,
            "rules": rules(rights),
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": of_cluster,
            "roleRef": role("ClusterRole", &cluster_name), "subjects": subjects,
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": here,
            "rules": lease_rules(&election.rights(), name),
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": here,
            "roleRef": role("Role", name), "subjects": subjects,
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": here,
            "spec": self.deployment(&labels),
        }),
    ]);
        documents
    }

    fn deployment(&self, labels: &Value) -> Value {
        let Self { program, namespace, name, image, arguments } = self;
        let mut flags = arguments.clone();
        flags.push(format!("--leader-elect={namespace}/{name}"));
        flags.push(format!("--metrics-address=0.0.0.0:{PORT}"));
        let variables = [
            ("POD_NAME", "metadata.name"),
            ("POD_NAMESPACE", "metadata.namespace"),
            ("POD_UID", "metadata.uid"),
        ];
        let variables = variables
            .map(|(name, path)| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } }));
        let probe = |path: &str| json!({ "httpGet": { "path": path, "port": "metrics" } });
        json!({
            "replicas": 2,
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": {
                    "serviceAccountName": name,
                    "securityContext": {
                        "runAsNonRoot": true,
                        "runAsUser": USER,
                        "runAsGroup": USER,
                        "seccompProfile": { "type": "RuntimeDefault" },
                    },
                    "containers": [{
                        "name": program,
                        "image": image,
                        "args": flags,
                        "env": variables,
                        "ports": [{ "name": "metrics", "containerPort": PORT }],
                        "livenessProbe": probe("/healthz"),
                        "readinessProbe": probe("/readyz"),
                        "resources": { "requests": { "cpu": "10m", "memory": "64Mi" } },
                        "securityContext": {
                            "allowPrivilegeEscalation": false,
                            "capabilities": { "drop": ["ALL"] },
                            "readOnlyRootFilesystem": true,
                        },
                    }],
                },
            },
        })
    }
}

/// Rights as RBAC rules: each resource once, those with the same verbs together.
fn rules(rights: impl IntoIterator<Item = Right>) -> Vec<Value> {
    let mut verbs: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for right in rights {
        let resource = (right.group.into_owned(), right.resource.into_owned());
        verbs.entry(resource).or_default().extend(right.verbs.into_iter().map(std::borrow::Cow::into_owned));
    }
    let mut resources: BTreeMap<(String, BTreeSet<String>), Vec<String>> = BTreeMap::new();
    for ((group, resource), verbs) in verbs {
        resources.entry((group, verbs)).or_default().push(resource);
    }
    let rule = |((group, verbs), resources): ((String, BTreeSet<String>), Vec<String>)| json!({ "apiGroups": [group], "resources": resources, "verbs": verbs });
    resources.into_iter().map(rule).collect()
}

/// The same for one Lease: only what has no name yet, a creation, cannot be confined to it.
fn lease_rules(rights: &[Right], lease: &str) -> Vec<Value> {
    let part = |creates: bool| {
        let rights = rights.iter().cloned().map(move |mut right| {
            right.verbs.retain(|verb| (verb == "create") == creates);
            right
        });
        rules(rights.filter(|right| !right.verbs.is_empty()))
    };
    let mut named = part(false);
    for rule in &mut named {
        rule["resourceNames"] = json!([lease]);
    }
    named.into_iter().chain(part(true)).collect()
}

/// Reads a name that can be that of a namespace and a label's value: an RFC 1123 label.
///
/// # Errors
/// It is something else.
pub fn label(text: &str) -> Result<String, String> {
    let inner = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let is_label = (1..=63).contains(&text.len()) && text.chars().all(inner);
    if is_label && !text.starts_with('-') && !text.ends_with('-') {
        Ok(text.to_owned())
    } else {
        Err("it must be lower-case letters, digits and '-' within, at most 63".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_merged_and_sorted() {
        let rights = [
            Right::of("apps", "deployments", &["watch", "get"]),
            Right::of("", "secrets", &["list", "get"]),
            Right::of("apps", "deployments", &["patch", "get"]),
            Right::of("", "configmaps", &["get", "list"]),
        ];
        assert_eq!(
            rules(rights),
            [
                json!({"apiGroups": [""], "resources": ["configmaps", "secrets"], "verbs": ["get", "list"]}),
                json!({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch", "watch"]}),
            ]
        );
    }

    #[test]
    fn namespaces_of_kubernetes_are_left_alone() {
        for (namespace, first) in [("xebec", "Namespace"), ("default", "ServiceAccount")] {
            let documents = Manifests::new("xebec", namespace, "xebec", "xebec:1").documents([]);
            assert_eq!(documents[0]["kind"], first);
        }
    }

    #[test]
    fn the_lease_is_the_only_one_it_may_change() {
        let rules = lease_rules(&Election::new("a", "b").rights(), "b");
        assert_eq!(rules[0]["resourceNames"], json!(["b"]));
        assert_eq!(rules[0]["verbs"], json!(["get", "update"]));
        assert_eq!((&rules[1]["verbs"], rules[1].get("resourceNames")), (&json!(["create"]), None));
    }
}
