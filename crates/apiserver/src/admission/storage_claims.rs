//! What the cluster adds to volumes and claims: finalizers that keep them while they are used, a default class.

use serde_json::{Value, json};

use super::Plugin;
use crate::{machinery::object, status::ApiResult, verbs::Call};

/// `StorageObjectInUseProtection`: volumes and claims go only when nothing uses them.
pub const IN_USE_PROTECTION: Plugin =
    Plugin { name: "StorageObjectInUseProtection", mutate_create: protect, ..Plugin::NONE };
/// `DefaultStorageClass`: a claim without a class gets the default one.
pub const DEFAULT_STORAGE_CLASS: Plugin =
    Plugin { name: "DefaultStorageClass", mutate_create: set_storage_class, ..Plugin::NONE };
/// `DefaultIngressClass`: an ingress without a class gets the default one.
pub const DEFAULT_INGRESS_CLASS: Plugin =
    Plugin { name: "DefaultIngressClass", mutate_create: set_ingress_class, ..Plugin::NONE };

/// The annotations that named classes before fields did.
const OLD_STORAGE_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
const OLD_INGRESS_CLASS: &str = "kubernetes.io/ingress.class";
const IS_DEFAULT_STORAGE: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
const IS_DEFAULT_INGRESS: &str = "ingressclass.kubernetes.io/is-default-class";

fn protect(call: &mut Call<'_>, value: &mut Value) -> ApiResult<()> {
    let finalizer = match &*call.resource.storage {
        "/persistentvolumes" => "kubernetes.io/pv-protection",
        "/persistentvolumeclaims" => "kubernetes.io/pvc-protection",
        _ => return Ok(()),
    };
    let finalizers = object::metadata_mut(value).entry("finalizers").or_insert_with(|| json!([]));
    if let Some(finalizers) = finalizers.as_array_mut()
        && !finalizers.iter().any(|own| own == finalizer)
    {
        finalizers.push(finalizer.into());
    }
    Ok(())
}

fn set_storage_class(call: &mut Call<'_>, claim: &mut Value) -> ApiResult<()> {
    if &*call.resource.storage != "/persistentvolumeclaims" {
        return Ok(());
    }
    let named = !claim["spec"]["storageClassName"].is_null()
        || object::annotations(claim).is_some_and(|annotations| annotations.contains_key(OLD_STORAGE_CLASS));
    if named {
        return Ok(());
    }
    if let Some(class) = default_class(call, "storage.k8s.io/storageclasses", &IS_DEFAULT_STORAGE) {
        object::child_mut(claim, "spec").insert("storageClassName".into(), class.into());
    }
    Ok(())
}

fn set_ingress_class(call: &mut Call<'_>, ingress: &mut Value) -> ApiResult<()> {
    if &*call.resource.storage != "networking.k8s.io/ingresses" {
        return Ok(());
    }
    let named = !ingress["spec"]["ingressClassName"].is_null()
        || object::annotations(ingress)
            .is_some_and(|annotations| annotations.contains_key(OLD_INGRESS_CLASS));
    if named {
        return Ok(());
    }
    if let Some(class) = default_class(call, "networking.k8s.io/ingressclasses", &[IS_DEFAULT_INGRESS]) {
        object::child_mut(ingress, "spec").insert("ingressClassName".into(), class.into());
    }
    Ok(())
}

/// The name of the class that is marked as the default; of several the newest, then the first by name.
fn default_class(call: &Call<'_>, storage: &str, marks: &[&str]) -> Option<String> {
    let snapshot = call.cluster.storage().snapshot();
    let mut classes: Vec<Value> = snapshot
        .range(storage, "", None)
        .map(|stored| stored.decode())
        .filter(|class| {
            let annotations = object::annotations(class);
            marks.iter().any(|mark| {
                annotations.and_then(|annotations| annotations.get(*mark)).is_some_and(|v| v == "true")
            })
        })
        .collect();
    let created =
        |class: &Value| object::meta(class, "creationTimestamp").and_then(Value::as_str).map(str::to_owned);
    classes.sort_by(|a, b| created(b).cmp(&created(a)).then_with(|| object::name(a).cmp(object::name(b))));
    classes.first().map(|class| object::name(class).to_owned())
}
