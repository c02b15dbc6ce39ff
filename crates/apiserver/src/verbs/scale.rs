//! The `scale` subresource: the replicas of a workload, without the rest of it.

use serde_json::{Value, json};

use super::{
    Answer, Call,
    body::{self, Wanted},
    patch::{self, Sort},
    pipeline::{self, Ownership},
    update,
};
use crate::{
    http::query::{FieldValidation, WriteOptions},
    kinds::Part,
    machinery::{FieldErrors, Path, builtin, object, selector::LabelSelector},
    status::{ApiError, ApiResult, Qualified},
};

const TYPE: &str = "io.k8s.api.autoscaling.v1.Scale";

/// Gets the scale of the object that the path names.
pub fn get(call: &Call<'_>) -> ApiResult<Answer> {
    let snapshot = call.cluster.storage().snapshot();
    match snapshot.get(&call.resource.storage, &call.key()) {
        Some(stored) => Ok(Answer::Other { code: 200, body: scale_of(call, &call.decode(stored))? }),
        None => Err(ApiError::not_found(call.resource.qualified(), &call.target.name)),
    }
}

/// Replaces the scale.
pub async fn update(call: &mut Call<'_>) -> ApiResult<Answer> {
    let options = call.query.write_options("UpdateOptions")?;
    let Some(schema) = builtin::schema(TYPE) else { return Err(ApiError::internal("no schema of Scale")) };
    let wanted = Wanted { api_version: "autoscaling/v1", kind: "Scale", schema };
    let scale = body::object(call, &wanted, options.field_validation)?;
    update::check_name(call, &scale)?;
    write(call, &options, |_, _| Ok(scale.clone())).await
}

/// Patches the scale.
pub async fn patch(call: &mut Call<'_>) -> ApiResult<Answer> {
    let sort = Sort::of(call)?;
    let options = patch::patch_options(call, sort)?;
    let Some(schema) = builtin::schema(TYPE) else { return Err(ApiError::internal("no schema of Scale")) };
    let wanted = Wanted { api_version: "autoscaling/v1", kind: "Scale", schema };
    match sort {
        Sort::Apply => {
            let config = patch::applied(call)?;
            write(call, &options, |_, scale| {
                let mut new = scale.clone();
                new["spec"] = config["spec"].clone();
                Ok(new)
            })
            .await
        }
        Sort::Patch(patch_type) => {
            let patch = patch::decode(call, patch_type, options.field_validation)?;
            write(call, &options, |call, scale| {
                patch::patched(call, &patch, &wanted, scale, FieldValidation::Ignore)
            })
            .await
        }
    }
}

async fn write(
    call: &mut Call<'_>,
    options: &WriteOptions,
    mut change: impl FnMut(&mut Call<'_>, &Value) -> ApiResult<Value> + Send,
) -> ApiResult<Answer> {
    let scale_options = WriteOptions { ..options.clone() };
    let replaced = pipeline::replace(call, Part::Main, &scale_options, Ownership::Settled, |call, old| {
        let scale = change(call, &scale_of(call, old)?)?;
        check(call, &scale, old)?;
        let mut new = old.clone();
        set_at(&mut new, paths(call).replicas, scale["spec"]["replicas"].clone());
        pipeline::own_fields(call, Some(old), &mut new, Part::Scale, &scale_options);
        Ok(new)
    })
    .await?;
    let body = scale_of(call, &replaced.value)?;
    Ok(Answer::Other { code: 200, body })
}

fn check(call: &Call<'_>, scale: &Value, old: &Value) -> ApiResult<()> {
    let version = object::resource_version(scale);
    if !version.is_empty() && version != object::resource_version(old) {
        return Err(ApiError::modified(call.resource.qualified(), &call.target.name));
    }
    let mut errors = FieldErrors::new();
    let replicas = scale["spec"]["replicas"].as_i64().unwrap_or(0);
    if replicas < 0 {
        errors.invalid(&Path::new("spec").child("replicas"), replicas, "must be greater than or equal to 0");
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(ApiError::invalid(Qualified { group: "autoscaling", name: "Scale" }, &call.target.name, &errors))
    }
}

/// Where a kind keeps what a scale shows.
struct Paths<'a> {
    replicas: &'a str,
    status: &'a str,
}

fn paths<'a>(call: &'a Call<'_>) -> Paths<'a> {
    match &call.resource.custom {
        Some(custom) => match &custom.scale {
            Some(scale) => Paths { replicas: &scale.replicas, status: &scale.status_replicas },
            None => Paths { replicas: "spec.replicas", status: "status.replicas" },
        },
        None => Paths { replicas: "spec.replicas", status: "status.replicas" },
    }
}

/// The scale of an object.
fn scale_of(call: &Call<'_>, value: &Value) -> ApiResult<Value> {
    let paths = paths(call);
    let mut metadata = serde_json::Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object::meta(value, field) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    let number = |path: &str| at(value, path).and_then(Value::as_i64).unwrap_or(0);
    let replicas = number(paths.replicas);
    let mut status = json!({"replicas": number(paths.status)});
    if let Some(selector) = selector_text(call, value) {
        status["selector"] = selector.into();
    }
    let mut spec = json!({});
    if replicas != 0 {
        spec["replicas"] = replicas.into();
    }
    Ok(
        json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}),
    )
}

fn selector_text(call: &Call<'_>, value: &Value) -> Option<String> {
    if let Some(custom) = &call.resource.custom {
        let path = custom.scale.as_ref()?.label_selector.as_deref()?;
        return at(value, path)?.as_str().map(str::to_owned);
    }
    let selector = value.get("spec")?.get("selector")?;
    let selector = if selector.get("matchLabels").is_some() || selector.get("matchExpressions").is_some() {
        LabelSelector::of(selector).ok()?
    } else {
        LabelSelector::of_map(selector)
    };
    Some(selector.to_string()).filter(|text| !text.is_empty())
}

fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').filter(|part| !part.is_empty()).try_fold(value, |value, part| value.get(part))
}

fn set_at(value: &mut Value, path: &str, to: Value) {
    let mut parts: Vec<&str> = path.split('.').filter(|part| !part.is_empty()).collect();
    let Some(last) = parts.pop() else { return };
    let mut map = object::map_mut(value);
    for part in parts {
        let next = map.entry(part.to_owned()).or_insert_with(|| json!({}));
        map = object::map_mut(next);
    }
    map.insert(last.to_owned(), if to.is_null() { 0.into() } else { to });
}
