//! What every operator's `main` does: a client, an election, signals, logs, and the manifests of its rights.

use anyhow::{Context, Result};
use kube::Client;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use xebec_coordinator::{Coordinator, Election};

/// Runs what `add` adds, on the cluster of the kubeconfig or the one the process is in, until SIGINT or SIGTERM. Of
/// several replicas one serves.
///
/// With `--manifests` it prints instead what to apply before: `definitions` and a ClusterRole.
///
/// # Errors
/// No cluster is found, or an observer cannot be added.
pub async fn run(
    name: &'static str,
    definitions: Vec<Value>,
    add: impl AsyncFnOnce(&Coordinator) -> Result<()>,
) -> Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let client =
        Client::try_default().await.context("find a cluster: set KUBECONFIG, or run within a pod")?;
    let election = Election::new(client.default_namespace(), name);
    let coordinator = Coordinator::builder(client).instance(name).election(election).build();
    add(&coordinator).await?;
    if std::env::args().any(|argument| argument == "--manifests") {
        println!("{:#}", manifests(name, definitions, &coordinator));
        return Ok(());
    }
    coordinator.run(shutdown()?).await?;
    Ok(())
}

/// A token that SIGINT and SIGTERM cancel.
fn shutdown() -> Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop.cancel();
    });
    Ok(shutdown)
}

/// What to apply to a cluster before the operator runs there: a List, as `kubectl apply -f -` takes it.
///
/// The rights on Leases are for the operator's own namespace and on Events for all, as of every observer.
pub fn manifests(name: &str, definitions: Vec<Value>, coordinator: &Coordinator) -> Value {
    let specs = coordinator.specs();
    let rules = specs.iter().flat_map(xebec_coordinator::ObserverSpec::rights);
    let mut rules: Vec<Value> =
        rules.map(|right| rule(&right.group, &right.resource, &right.verbs)).collect();
    rules.push(rule("events.k8s.io", "events", &["create", "patch"]));
    let leases = coordinator.leadership_rights();
    let leases: Vec<Value> =
        leases.iter().map(|right| rule(&right.group, &right.resource, &right.verbs)).collect();
    let meta = json!({"name": name});
    let authorization = "rbac.authorization.k8s.io/v1";
    let mut items = definitions;
    items.push(json!({"apiVersion": authorization, "kind": "ClusterRole", "metadata": meta, "rules": rules}));
    items.push(json!({"apiVersion": authorization, "kind": "Role", "metadata": meta, "rules": leases}));
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

fn rule(group: &str, resource: &str, verbs: &[impl AsRef<str>]) -> Value {
    let verbs: Vec<&str> = verbs.iter().map(AsRef::as_ref).collect();
    json!({"apiGroups": [group], "resources": [resource], "verbs": verbs})
}

/// The CustomResourceDefinition of a namespaced kind of these examples, with a status.
pub fn definition(kind: &str, plural: &str, schema: &Value) -> Value {
    let group = "examples.xebec.dev";
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": schema},
            }],
        },
    })
}

/// The schema of `status.conditions`: a list by type, so that each condition has an owner of its own.
pub fn conditions_schema() -> Value {
    let text = json!({"type": "string"});
    json!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "type": text,
                "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                "reason": text,
                "message": text,
                "lastTransitionTime": {"type": "string", "format": "date-time"},
                "observedGeneration": {"type": "integer", "format": "int64"},
            },
        },
    })
}
