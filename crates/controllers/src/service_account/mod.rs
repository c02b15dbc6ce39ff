//! What Pods find in every namespace: the `default` ServiceAccount, and the certificates of the API server.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use xebec_coordinator::{BoxError, Event, Key, Observer, ObserverSpec, Plan, Right, View, Watch};

use crate::controller::Writes;

/// The ServiceAccount of Pods that name none.
const ACCOUNT: &str = "default";
/// The ConfigMap with the API server's certificates.
const CERTIFICATES: &str = "kube-root-ca.crt";
const CERTIFICATES_FIELD: &str = "ca.crt";
const DESCRIPTION: &str = "kubernetes.io/description";
const DESCRIPTION_TEXT: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal \
    endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across \
    distributions of Kubernetes clusters.";

/// Keeps the `default` ServiceAccount in every namespace.
#[derive(Debug, Default)]
pub struct ServiceAccountController;

/// Keeps the API server's certificates in every namespace.
#[derive(Debug)]
pub struct RootCertificatePublisher {
    /// The certificates, in PEM form.
    pub certificates: String,
}

impl Observer for ServiceAccountController {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("serviceaccount", "keeps a default ServiceAccount in every namespace")
            .reports_as("serviceaccount-controller")
            .watch(Watch::of::<Namespace>())
            .watch(Watch::of::<ServiceAccount>().fields(format!("metadata.name={ACCOUNT}")).metadata_only())
            .right(Right::to::<ServiceAccount>(&["create"]))
    }

    fn wake(&self, event: &Event, _view: &View) -> Vec<Key> {
        vec![namespace_of(event)]
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        if is_active(key, view)? && view.typed::<ServiceAccount>().get(key.name(), ACCOUNT).is_none() {
            plan.put_new(&ServiceAccount { metadata: named(key, ACCOUNT), ..ServiceAccount::default() })?;
        }
        Ok(plan)
    }
}

impl Observer for RootCertificatePublisher {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("root-ca-certificate", "keeps the API server's certificates in every namespace")
            .reports_as("root-ca-certificate-publisher")
            .watch(Watch::of::<Namespace>())
            .watch(Watch::of::<ConfigMap>().fields(format!("metadata.name={CERTIFICATES}")))
            .right(Right::to::<ConfigMap>(&["create", "update"]))
    }

    fn wake(&self, event: &Event, _view: &View) -> Vec<Key> {
        vec![namespace_of(event)]
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        if !is_active(key, view)? {
            return Ok(plan);
        }
        let data = [(CERTIFICATES_FIELD.to_owned(), self.certificates.clone())].into();
        let found: Option<ConfigMap> = view.get(key.name(), CERTIFICATES)?;
        let described = |map: &ConfigMap| {
            map.meta().annotations.as_ref().and_then(|annotations| annotations.get(DESCRIPTION)).is_some()
        };
        let is_new = found.is_none();
        let mut map = match found {
            Some(map) if map.data.as_ref() == Some(&data) && described(&map) => return Ok(plan),
            Some(map) => map,
            None => ConfigMap { metadata: named(key, CERTIFICATES), ..ConfigMap::default() },
        };
        map.data = Some(data);
        let annotations = map.metadata.annotations.get_or_insert_default();
        annotations.entry(DESCRIPTION.to_owned()).or_insert_with(|| DESCRIPTION_TEXT.to_owned());
        if is_new {
            plan.put_new(&map)?
        } else {
            plan.put_update(&map)?
        };
        Ok(plan)
    }
}

/// The namespace that an event is of, or in.
fn namespace_of(event: &Event) -> Key {
    let key = event.key();
    key.namespace().map_or_else(|| key.clone(), |namespace| Key::new::<Namespace>(None, namespace))
}

fn is_active(key: &Key, view: &View) -> Result<bool, BoxError> {
    let namespace: Option<Namespace> = view.get_key(key)?;
    Ok(namespace.is_some_and(|namespace| {
        let phase = namespace.status.and_then(|status| status.phase);
        namespace.metadata.deletion_timestamp.is_none() && phase.as_deref() != Some("Terminating")
    }))
}

fn named(namespace: &Key, name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(namespace.name().to_owned()),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{lines, object, plan, with, written};

    fn namespace() -> Value {
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns"}, "status": {"phase": "Active"}})
    }

    fn map() -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": CERTIFICATES, "annotations": {DESCRIPTION: "x"}},
            "data": {"ca.crt": "pem"}})
    }

    fn publisher() -> RootCertificatePublisher {
        RootCertificatePublisher { certificates: "pem".to_owned() }
    }

    #[test]
    fn every_namespace_gets_an_account() {
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
        let terminating = with(namespace(), "/status/phase", "Terminating");
        assert_eq!(
            lines(&plan(&ServiceAccountController, [namespace()]), ""),
            [r#"create ServiceAccount ns/default {"metadata":{"name":"default","namespace":"ns"}}"#
                .replace("{\"metadata\"", "{\"apiVersion\":\"v1\",\"kind\":\"ServiceAccount\",\"metadata\""),]
        );
        assert!(plan(&ServiceAccountController, [namespace(), account]).is_empty());
        assert!(plan(&ServiceAccountController, [terminating]).is_empty());
    }

    #[test]
    fn every_namespace_gets_the_certificates() {
        let created = plan(&publisher(), [namespace()]);
        let created = written(&created, "create ConfigMap ns/kube-root-ca.crt");
        assert_eq!(created["data"], json!({"ca.crt": "pem"}));
        assert_eq!(created["metadata"]["annotations"][DESCRIPTION], DESCRIPTION_TEXT);
        assert!(plan(&publisher(), [namespace(), map()]).is_empty());
        let restored = plan(&publisher(), [namespace(), with(map(), "/data/ca.crt", "other")]);
        assert_eq!(written(&restored, "update ConfigMap")["data"], json!({"ca.crt": "pem"}));
    }

    #[test]
    fn what_is_in_a_namespace_wakes_it() {
        let view = crate::testing::view(&publisher(), []);
        let keys = publisher().wake(&Event::Deleted(object(map())), &view);
        assert_eq!(format!("{keys:?}"), "[Namespace ns]");
    }
}
