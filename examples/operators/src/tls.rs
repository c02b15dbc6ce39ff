//! Says on each Ingress which of its TLS Secrets are missing.
//!
//! A Secret wakes the Ingresses that name it, by an index: none is searched for. Of Secrets only metadata is watched; the
//! process never holds a key.

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::networking::v1::Ingress;
use serde_json::json;
use xebec_coordinator::{
    BoxError, EventRecord, Index, Key, Observer, ObserverSpec, Plan, Right, View, Watch, Write,
};

/// The annotation that names the missing Secrets.
pub const MISSING: &str = "tls.examples.xebec.dev/missing-secrets";

/// Looks after the Secrets of Ingresses.
#[derive(Clone, Copy, Debug, Default)]
pub struct TlsSecrets;

fn secrets(ingress: &Ingress) -> Vec<String> {
    let tls = ingress.spec.iter().flat_map(|spec| spec.tls.iter().flatten());
    tls.filter_map(|tls| tls.secret_name.clone()).collect()
}

impl Observer for TlsSecrets {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("tls", "says on each Ingress which of its TLS Secrets are missing")
            .watch(Watch::of::<Ingress>())
            .watch(Watch::of::<Secret>().metadata_only())
            .index(Index::new("secrets", secrets))
            .wakes_users_of::<Secret>("secrets")
            .right(Right::to::<Ingress>(&["patch"]))
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let Some(object) = view.object(key) else { return Ok(plan) };
        let ingress: Ingress = object.decode()?;
        let known = view.typed::<Secret>();
        let missing: Vec<String> =
            secrets(&ingress).into_iter().filter(|name| known.get(key.namespace(), name).is_none()).collect();
        let missing = missing.join(",");
        if object.annotation(MISSING).unwrap_or_default() == missing {
            return Ok(plan);
        }
        let annotation = Some(&missing).filter(|missing| !missing.is_empty());
        plan.write(Write::merge(key.clone(), json!({"metadata": {"annotations": {MISSING: annotation}}})));
        plan.record(match &*missing {
            "" => EventRecord::normal(object.reference(), "SecretsFound", "all TLS Secrets are there"),
            _ => EventRecord::warning(object.reference(), "SecretsMissing", format!("no Secret {missing}")),
        });
        Ok(plan)
    }
}
