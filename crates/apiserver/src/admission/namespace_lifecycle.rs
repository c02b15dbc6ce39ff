//! `NamespaceLifecycle`: nothing is created in a namespace that is not there or is going, and some never go.

use serde_json::{Value, json};

use super::Plugin;
use crate::{
    machinery::object,
    status::{ApiError, ApiResult, Qualified},
    verbs::Call,
};

/// The plugin.
pub const PLUGIN: Plugin = Plugin {
    name: "NamespaceLifecycle",
    mutate_create: check_namespace,
    validate_delete: check_deletion,
    ..Plugin::NONE
};

/// Namespaces that the cluster cannot do without.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

fn check_namespace(call: &mut Call<'_>, object: &mut Value) -> ApiResult<()> {
    if !call.resource.namespaced {
        return Ok(());
    }
    let namespace = &call.target.namespace;
    let snapshot = call.cluster.storage().snapshot();
    let Some(stored) = snapshot.get("/namespaces", namespace) else {
        return Err(ApiError::not_found(Qualified { group: "", name: "namespaces" }, namespace));
    };
    // Only what is going has a deletionTimestamp: whoever creates in a living namespace does not pay for decoding it.
    if !contains(stored.bytes(), b"\"deletionTimestamp\"") {
        return Ok(());
    }
    if object::deletion_timestamp(&stored.decode()).is_none() {
        return Ok(());
    }
    let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
    let mut error = ApiError::forbidden(call.resource.qualified(), object::name(object), &why);
    let cause = json!([{
        "reason": "NamespaceTerminating", "message": format!("namespace {namespace} is being terminated"),
        "field": "metadata.namespace",
    }]);
    error.details.get_or_insert_default().insert("causes".into(), cause);
    Err(error)
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

fn check_deletion(call: &mut Call<'_>, object: &Value) -> ApiResult<()> {
    let is_namespace = call.resource.group.is_empty() && &*call.resource.plural == "namespaces";
    let name = object::name(object);
    if is_namespace && IMMORTAL.contains(&name) {
        return Err(ApiError::forbidden(
            call.resource.qualified(),
            name,
            "this namespace may not be deleted",
        ));
    }
    Ok(())
}
