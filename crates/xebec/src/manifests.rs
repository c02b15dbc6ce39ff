//! `xebec manifests`: what to apply to a cluster so that xebec runs there, derived from the observers' specs.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde_json::{Value, json};
use xebec_coordinator::{Election, Right};

use crate::{chosen::Chosen, cli::ManifestsArguments, output::yaml};

const PORT: u16 = 9476;
/// One that no image has: the numbers of nobody and its group in images without a shell.
const USER: u32 = 65532;
/// Namespaces that every cluster has, so that they are no part of what is installed.
const OF_KUBERNETES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// The manifests as a stream of YAML documents.
///
/// # Errors
/// They cannot be encoded; an option is set of an observer that is not to run.
pub fn text(arguments: &ManifestsArguments) -> Result<String> {
    let chosen = arguments.observers.chosen()?;
    let documents: Vec<String> = documents(arguments, &chosen).iter().map(yaml).collect::<Result<_>>()?;
    Ok(documents.join("---\n"))
}

fn documents(arguments: &ManifestsArguments, chosen: &[Chosen]) -> Vec<Value> {
    let ManifestsArguments { namespace, name, .. } = arguments;
    let labels = json!({ "app.kubernetes.io/name": "xebec", "app.kubernetes.io/instance": name });
    // Two installations share nothing, roles of the cluster neither.
    let cluster_name = if name == namespace { name.clone() } else { format!("{namespace}:{name}") };
    let of_cluster = json!({ "name": cluster_name, "labels": labels });
    let here = json!({ "name": name, "namespace": namespace, "labels": labels });
    let subjects = json!([{ "kind": "ServiceAccount", "name": name, "namespace": namespace }]);
    let role = |kind: &str, name: &str| json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name });
    let rights = chosen.iter().flat_map(|observer| observer.spec().rights());
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
            "spec": deployment(arguments, &labels),
        }),
    ]);
    documents
}

fn deployment(arguments: &ManifestsArguments, labels: &Value) -> Value {
    let ManifestsArguments { namespace, name, image, .. } = arguments;
    let mut flags = vec![
        "run".to_owned(),
        format!("--leader-elect={namespace}/{name}"),
        format!("--metrics-address=0.0.0.0:{PORT}"),
    ];
    flags.extend(arguments.observers.flags());
    let variables =
        [("POD_NAME", "metadata.name"), ("POD_NAMESPACE", "metadata.namespace"), ("POD_UID", "metadata.uid")];
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
                    "name": "xebec",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chosen::{ObserversArgument, OptionArguments};

    fn arguments(namespace: &str, observers: Option<&str>) -> ManifestsArguments {
        ManifestsArguments {
            namespace: namespace.to_owned(),
            name: "xebec".to_owned(),
            image: "xebec:1".to_owned(),
            observers: ObserversArgument {
                observers: observers.map(|name| vec![name.to_owned()]),
                options: OptionArguments::default(),
            },
        }
    }

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
    fn only_chosen_observers_get_rights() {
        let rules = |observers| {
            let arguments = arguments("xebec", observers);
            documents(&arguments, &arguments.observers.chosen().unwrap())[2]["rules"].clone()
        };
        assert_eq!(rules(Some("")), json!([]));
        assert!(rules(None).to_string().contains("secrets"));
        assert_eq!(rules(None), rules(Some("reload")));
    }

    #[test]
    fn namespaces_of_kubernetes_are_left_alone() {
        for (namespace, first) in [("xebec", "Namespace"), ("default", "ServiceAccount")] {
            assert_eq!(documents(&arguments(namespace, None), &[])[0]["kind"], first);
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
