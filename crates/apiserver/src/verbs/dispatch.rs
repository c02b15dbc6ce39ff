//! Which function answers a request on a resource.

use super::{
    Answer, Call, create, definitions, delete, patch, read, scale, streams, subresources, update, watch,
};
use crate::{
    kinds::Part,
    status::{ApiError, ApiResult},
};

/// Answers a request on a resource.
pub async fn call(call: &mut Call<'_>) -> ApiResult<Answer> {
    let answer = answer(call).await;
    let reads = matches!(call.target.verb, "get" | "list" | "watch");
    if !reads && answer.is_ok() && definitions::concerns(call.cluster, &call.resource) {
        definitions::settle(call.cluster, call.now).await;
    }
    answer
}

async fn answer(call: &mut Call<'_>) -> ApiResult<Answer> {
    let verb = call.target.verb;
    let subresource = call.target.subresource.clone();
    if !subresource.is_empty() {
        return on_subresource(call, verb, &subresource).await;
    }
    if !call.resource.allows(verb) || (call.target.is_watch_path && verb != "watch") {
        return Err(ApiError::method_not_allowed());
    }
    check_scope(call, verb)?;
    match verb {
        "get" => read::get(call),
        "list" => read::list(call),
        "watch" => watch::watch(call),
        "create" if !call.target.name.is_empty() => Err(ApiError::method_not_allowed()),
        "create" if subresources::is_review(call) => subresources::review(call),
        "create" if subresources::is_binding(call) => subresources::bind(call).await,
        "create" => create::create(call).await,
        "update" | "patch" if call.target.name.is_empty() => Err(ApiError::method_not_allowed()),
        "update" => update::update(call, Part::Main).await,
        "patch" => patch::patch(call, Part::Main).await,
        "delete" => delete::delete(call).await,
        "deletecollection" => delete::delete_collection(call).await,
        _ => Err(ApiError::method_not_allowed()),
    }
}

/// Namespaced objects are reached through their namespace, except to read all of them; others never are.
fn check_scope(call: &Call<'_>, verb: &str) -> ApiResult<()> {
    let in_namespace = !call.target.namespace.is_empty() && &*call.resource.plural != "namespaces";
    if in_namespace && !call.resource.namespaced {
        return Err(ApiError::no_such_resource());
    }
    if call.resource.namespaced && call.target.namespace.is_empty() {
        if !call.target.name.is_empty() {
            return Err(ApiError::no_such_resource());
        }
        let reviews_and_reads = matches!(verb, "list" | "watch");
        if !reviews_and_reads {
            return Err(ApiError::method_not_allowed());
        }
    }
    Ok(())
}

async fn on_subresource(call: &mut Call<'_>, verb: &str, name: &str) -> ApiResult<Answer> {
    let resource = call.resource.clone();
    let Some(subresource) = resource.subresource(name) else { return Err(ApiError::no_such_resource()) };
    if !subresource.verbs.iter().any(|own| **own == *verb) {
        return Err(ApiError::method_not_allowed());
    }
    if resource.namespaced && call.target.namespace.is_empty() {
        return Err(ApiError::no_such_resource());
    }
    match (name, verb) {
        ("scale", "get") => scale::get(call),
        ("scale", "update") => scale::update(call).await,
        ("scale", "patch") => scale::patch(call).await,
        ("binding", "create") => subresources::bind(call).await,
        ("eviction", "create") => subresources::evict(call).await,
        ("log", "get") => streams::log(call),
        ("exec" | "attach" | "portforward" | "proxy", _) => streams::connect(call),
        ("token", "create") => Err(ApiError::new(
            501,
            "NotImplemented",
            "service account tokens are not issued yet: use a client certificate or --token-auth-file",
        )),
        (_, "get") => read::get(call),
        _ => match (Part::of_subresource(name), verb) {
            (Some(part), "update") => update::update(call, part).await,
            (Some(part), "patch") => patch::patch(call, part).await,
            _ => Err(ApiError::method_not_allowed()),
        },
    }
}
