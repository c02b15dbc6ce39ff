//! The `scale` subresource: the replicas of a workload, without the rest of it. A write makes a new object of the old
//! one by way of their scales, and who owns the replicas passes with them.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::{
    Answer, Call,
    body::{self, Wanted},
    patch::{self, Sort},
    pipeline::{self, Ownership, Preconditions},
    update,
};
use crate::{
    http::query::WriteOptions,
    kinds::{Part, Resource, definitions::scale::at},
    machinery::{
        FieldErrors, Path,
        apply::{FieldManager, Filter, ScaleFields, Version},
        builtin, conform, format, metadata, object,
        selector::LabelSelector,
    },
    status::{ApiError, ApiResult, Qualified},
};

const TYPE: &str = "io.k8s.api.autoscaling.v1.Scale";
const API_VERSION: &str = "autoscaling/v1";
const KIND: &str = "Scale";
/// Stands in the scale of a custom resource for replicas that are not set; whoever writes must set them.
const REPLICAS_UNSET: i64 = i32::MIN as i64;

/// Gets the scale of the object that the path names.
pub fn get(call: &Call<'_>) -> ApiResult<Answer> {
    let snapshot = call.cluster.storage().snapshot();
    let Some(stored) = snapshot.get(&call.resource.storage, &call.key()) else {
        return Err(ApiError::not_found(call.resource.qualified(), &call.target.name));
    };
    let value = call.decode(stored);
    let paths = paths(&call.resource);
    if call.resource.custom.is_some() && at(&value, paths.replicas).is_none() {
        return Err(ApiError::internal(format!(
            "the spec replicas field \".{}\" does not exist",
            paths.replicas
        )));
    }
    Ok(Answer::Other { code: 200, body: scale_of(&call.resource, &value) })
}

/// Replaces the scale.
pub async fn update(call: &mut Call<'_>) -> ApiResult<Answer> {
    let options = call.query.write_options("UpdateOptions")?;
    let mut scale = body::object(call, &wanted()?, options.field_validation)?;
    update::check_name(call, &scale)?;
    pipeline::settle_namespace(call, &mut scale)?;
    let uid = Some(object::uid(&scale).to_owned()).filter(|uid| !uid.is_empty());
    let preconditions = Preconditions { uid, resource_version: None };
    let name = call.target.name.clone();
    write(call, &options, |call, object, old| {
        preconditions.check(call, &name, object)?;
        let mut new = scale.clone();
        own(call, old, &mut new, &options)?;
        Ok(new)
    })
    .await
}

/// Patches the scale.
pub async fn patch(call: &mut Call<'_>) -> ApiResult<Answer> {
    let sort = Sort::of(call)?;
    let options = patch::patch_options(call, sort)?;
    let wanted = wanted()?;
    match sort {
        Sort::Apply => {
            let config = patch::applied(call)?;
            let time = call.timestamp();
            write(call, &options, |_, _, old| {
                let manager = field_manager()?;
                let applied = manager.apply(Some(old), &config, &options.field_manager, options.force, &time);
                let mut new = applied?;
                // What does not fit the schema is refused by `apply`.
                let _ = conform::conform(wanted.schema, &mut new);
                Ok(new)
            })
            .await
        }
        Sort::Patch(patch_type) => {
            let patch = patch::decode(call, patch_type, options.field_validation)?;
            write(call, &options, |call, _, old| {
                let mut new = patch::patched(call, &patch, &wanted, old, options.field_validation)?;
                update::check_name(call, &new)?;
                pipeline::settle_namespace(call, &mut new)?;
                own(call, old, &mut new, &options)?;
                Ok(new)
            })
            .await
        }
    }
}

fn wanted() -> ApiResult<Wanted<'static>> {
    match builtin::schema(TYPE) {
        Some(schema) => Ok(Wanted { api_version: API_VERSION, kind: KIND, schema }),
        None => Err(ApiError::internal("no schema of Scale")),
    }
}

/// Keeps the managedFields of scales.
fn field_manager() -> ApiResult<&'static FieldManager> {
    static MANAGER: LazyLock<Option<FieldManager>> = LazyLock::new(|| {
        let version = Version { schema: builtin::schema(TYPE)?.clone(), filter: Filter::All };
        Some(FieldManager::new(version, API_VERSION, KIND, Part::Scale.subresource()))
    });
    MANAGER.as_ref().ok_or_else(|| ApiError::internal("no schema of Scale"))
}

/// Makes the caller the owner of what it changed of a scale.
fn own(call: &Call<'_>, old: &Value, new: &mut Value, options: &WriteOptions) -> ApiResult<()> {
    let manager = pipeline::manager_name(call, options);
    field_manager()?.update(Some(old), new, &manager, &call.timestamp());
    Ok(())
}

/// Writes what `change` makes of the scale of the stored object; it is given both.
async fn write(
    call: &mut Call<'_>,
    options: &WriteOptions,
    mut change: impl FnMut(&mut Call<'_>, &Value, &Value) -> ApiResult<Value> + Send,
) -> ApiResult<Answer> {
    let resource = call.resource.clone();
    let is_custom = resource.custom.is_some();
    let replicas = paths(&resource).replicas;
    let owners = owners(call);
    if !is_custom && call.cluster.storage().snapshot().get(&resource.storage, &call.key()).is_none() {
        return Err(ApiError::not_found(
            qualified(&resource, &subresource_name(&resource)),
            &call.target.name,
        ));
    }
    let replaced = pipeline::replace(call, Part::Main, options, Ownership::Settled, |call, old| {
        let unowned = |why| ApiError::new(500, "", format!("failed to decode managed fields: {why}"));
        let entries = object::meta(old, "managedFields");
        let mut old_scale = scale_of(&resource, old);
        if is_custom && at(old, replicas).is_none() {
            old_scale["spec"]["replicas"] = REPLICAS_UNSET.into();
        }
        if let Some(entries) = owners.to_scale(entries).map_err(unowned)? {
            object::metadata_mut(&mut old_scale).insert("managedFields".into(), entries);
        }
        let scale = change(call, old, &old_scale)?;
        let wanted = scale["spec"]["replicas"].as_i64().unwrap_or(0);
        if !is_custom {
            check(call, &scale, old)?;
        } else if wanted == REPLICAS_UNSET {
            return Err(ApiError::bad_request(format!(
                "the spec replicas field \".{replicas}\" cannot be empty"
            )));
        }
        let entries = owners.to_object(entries, object::meta(&scale, "managedFields")).map_err(unowned)?;
        let mut new = old.clone();
        set_at(&mut new, replicas, wanted.into());
        let metadata = object::metadata_mut(&mut new);
        match entries {
            Some(entries) => metadata.insert("managedFields".into(), entries),
            None => metadata.remove("managedFields"),
        };
        let version = object::resource_version(&scale);
        if !version.is_empty() {
            metadata.insert("resourceVersion".into(), version.into());
        }
        Ok(new)
    })
    .await?;
    Ok(Answer::Other { code: 200, body: scale_of(&resource, &replaced.value) })
}

/// What is wrong with the new scale of a built-in kind. (That of a custom resource is checked as a part of it.)
fn check(call: &Call<'_>, scale: &Value, old: &Value) -> ApiResult<()> {
    let mut errors = FieldErrors::new();
    metadata::validate(scale, true, format::dns1123_subdomain_name, &mut errors);
    let replicas = scale["spec"]["replicas"].as_i64().unwrap_or(0);
    metadata::non_negative(&mut errors, &Path::new("spec").child("replicas"), replicas);
    if !errors.is_empty() {
        let kind = Qualified { group: "autoscaling", name: KIND };
        return Err(ApiError::invalid(kind, object::name(scale), &errors));
    }
    let (uid, own) = (object::uid(scale), object::uid(old));
    if !uid.is_empty() && uid != own {
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {own}");
        let name = subresource_name(&call.resource);
        return Err(ApiError::conflict(qualified(&call.resource, &name), object::name(old), &why));
    }
    Ok(())
}

fn subresource_name(resource: &Resource) -> String {
    format!("{}/scale", resource.plural)
}

fn qualified<'a>(resource: &'a Resource, name: &'a str) -> Qualified<'a> {
    Qualified { group: &resource.group, name }
}

/// Where a kind keeps what a scale shows.
struct Paths<'a> {
    replicas: &'a str,
    status: &'a str,
}

fn paths(resource: &Resource) -> Paths<'_> {
    match resource.custom.as_ref().and_then(|custom| custom.scale.as_ref()) {
        Some(scale) => Paths { replicas: &scale.replicas, status: &scale.status_replicas },
        None => Paths { replicas: "spec.replicas", status: "status.replicas" },
    }
}

/// Who owns the replicas, in each version that the kind is served in.
fn owners(call: &Call<'_>) -> ScaleFields {
    let own = &call.resource;
    let path = |resource| -> Vec<&str> { paths(resource).replicas.split('.').collect() };
    let mut owners = ScaleFields::new(&own.api_version, &path(own));
    for other in call.cluster.catalog().resources() {
        if other.storage == own.storage && other.api_version != own.api_version {
            let path = other.subresource(Part::Scale.subresource()).map(|_| path(other));
            owners = owners.with_other_version(&other.api_version, path.as_deref());
        }
    }
    owners
}

/// The scale of an object, without who owns it.
fn scale_of(resource: &Resource, value: &Value) -> Value {
    let paths = paths(resource);
    let mut metadata = serde_json::Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object::meta(value, field) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    let number = |path: &str| at(value, path).and_then(Value::as_i64).unwrap_or(0);
    let replicas = number(paths.replicas);
    let mut status = json!({"replicas": number(paths.status)});
    if let Some(selector) = selector_text(resource, value) {
        status["selector"] = selector.into();
    }
    let mut spec = json!({});
    if replicas != 0 {
        spec["replicas"] = replicas.into();
    }
    json!({"kind": KIND, "apiVersion": API_VERSION, "metadata": metadata, "spec": spec, "status": status})
}

fn selector_text(resource: &Resource, value: &Value) -> Option<String> {
    if let Some(custom) = &resource.custom {
        let path = custom.scale.as_ref()?.label_selector.as_deref()?;
        return at(value, path)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    }
    let selector = value.get("spec")?.get("selector")?;
    let selector = if selector.get("matchLabels").is_some() || selector.get("matchExpressions").is_some() {
        LabelSelector::of(selector).ok()?
    } else {
        LabelSelector::of_map(selector)
    };
    Some(selector.to_string()).filter(|text| !text.is_empty())
}

fn set_at(value: &mut Value, path: &str, to: Value) {
    let mut parts: Vec<&str> = path.split('.').collect();
    let Some(last) = parts.pop() else { return };
    let mut map = object::map_mut(value);
    for part in parts {
        let next = map.entry(part.to_owned()).or_insert_with(|| json!({}));
        map = object::map_mut(next);
    }
    map.insert(last.to_owned(), to);
}
