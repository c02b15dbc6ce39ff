//! Patch: JSON patch, merge patch, strategic merge patch, and server-side apply.

use serde_json::Value;

use super::{
    Answer, Call,
    body::{self, Wanted},
    create,
    pipeline::{self, Ownership},
    update,
};
use crate::{
    http::query::{FieldValidation, WriteOptions},
    kinds::Part,
    machinery::{
        FieldErrors, Path, decode as bodies, defaults, object,
        patch::{Patch, PatchError, PatchType},
    },
    status::{ApiError, ApiResult, Qualified},
};

/// How the body of a patch is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// A change of what is there.
    Patch(PatchType),
    /// Server-side apply.
    Apply,
}

impl Sort {
    /// Of the body's media type.
    ///
    /// # Errors
    /// 415 for others; strategic merge patches are for built-in kinds only.
    pub fn of(call: &Call<'_>) -> ApiResult<Self> {
        let builtin = call.resource.type_name.is_some();
        match call.content_type.as_str() {
            "application/json-patch+json" => Ok(Self::Patch(PatchType::Json)),
            "application/merge-patch+json" => Ok(Self::Patch(PatchType::Merge)),
            "application/strategic-merge-patch+json" if builtin => Ok(Self::Patch(PatchType::Strategic)),
            "application/strategic-merge-patch+json" => Err(ApiError::unsupported_media_type(
                "the body of the request was in an unknown format - accepted media types include: \
                 application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            )),
            "application/apply-patch+yaml" => Ok(Self::Apply),
            _ => {
                let error = ApiError::unsupported_media_type("415: Unsupported Media Type");
                Err(error.with_details(serde_json::json!({})))
            }
        }
    }
}

/// Patches the object that the path names.
pub async fn patch(call: &mut Call<'_>, part: Part) -> ApiResult<Answer> {
    let sort = Sort::of(call)?;
    let options = patch_options(call, sort)?;
    let Sort::Patch(patch_type) = sort else { return apply_patch(call, part, &options).await };
    let resource = call.resource.clone();
    let patch = decode(call, patch_type, options.field_validation)?;
    let replaced = pipeline::replace(call, part, &options, Ownership::Caller, |call, old| {
        let new = patched(call, &patch, &Wanted::resource(&resource), old, options.field_validation)?;
        check_identity(call, old, new)
    })
    .await?;
    Ok(update::answer(replaced, options.dry_run))
}

/// The options of a patch.
pub fn patch_options(call: &Call<'_>, sort: Sort) -> ApiResult<WriteOptions> {
    let options = call.query.write_options("PatchOptions")?;
    let mut errors = FieldErrors::new();
    if sort == Sort::Apply {
        if options.field_manager.is_empty() {
            errors.required(&Path::new("fieldManager"), "is required for apply patch");
        }
    } else if call.query.has("force") {
        errors.forbidden(&Path::new("force"), "may not be specified for non-apply patch");
    }
    if errors.is_empty() {
        Ok(options)
    } else {
        Err(ApiError::invalid(Qualified { group: "meta.k8s.io", name: "PatchOptions" }, "", &errors))
    }
}

/// The patch of the body; what strict decoding finds is told as `validation` says.
pub fn decode(call: &mut Call<'_>, patch_type: PatchType, validation: FieldValidation) -> ApiResult<Patch> {
    let patch = Patch::decode(patch_type, &call.body, validation != FieldValidation::Ignore)?;
    if validation == FieldValidation::Warn {
        for sentence in &patch.strict_errors {
            call.warn(sentence.as_str());
        }
    }
    Ok(patch)
}

/// `old` with the patch, in its normal form, with defaults.
pub fn patched(
    call: &mut Call<'_>,
    patch: &Patch,
    wanted: &Wanted<'_>,
    old: &Value,
    validation: FieldValidation,
) -> ApiResult<Value> {
    let mut new = patch.apply(wanted.schema, old.clone())?;
    check_kind(call, patch, wanted, &mut new)?;
    let mut wrong = Vec::new();
    let conformed =
        body::tell(wanted, new.clone(), &mut wrong).map_err(|why| PatchError::unfit(&new, why))?;
    match validation {
        FieldValidation::Strict if !(wrong.is_empty() && patch.strict_errors.is_empty()) => {
            let all: Vec<&str> = patch.strict_errors.iter().chain(&wrong).map(String::as_str).collect();
            Err(PatchError::unfit(&new, format!("strict decoding error: {}", all.join(", "))).into())
        }
        FieldValidation::Warn => {
            wrong.into_iter().take(body::WARNINGS_MAX).for_each(|sentence| call.warn(sentence));
            Ok(conformed)
        }
        _ => Ok(conformed),
    }
}

/// A patch may not make an object of another kind. Without a kind it is one of the old, and a strategic merge patch is
/// not even asked.
fn check_kind(call: &Call<'_>, patch: &Patch, wanted: &Wanted<'_>, new: &mut Value) -> ApiResult<()> {
    let text = |field: &str| match new.get(field).and_then(Value::as_str) {
        Some(text) if !text.is_empty() => Some(text.to_owned()),
        _ => None,
    };
    let api_version = text("apiVersion").unwrap_or_else(|| wanted.api_version.to_owned());
    let kind = text("kind").unwrap_or_else(|| wanted.kind.to_owned());
    if call.resource.custom.is_some() && wanted.kind == &*call.resource.kind {
        body::check_custom_kind(wanted, &api_version, &kind, new)?;
    } else if patch.patch_type() != PatchType::Strategic
        && let Some(why) = body::wrong_kind(call, wanted, &api_version, &kind)
    {
        return Err(PatchError::unfit(new, why).into());
    }
    let map = object::map_mut(new);
    map.insert("apiVersion".into(), wanted.api_version.into());
    map.insert("kind".into(), wanted.kind.into());
    Ok(())
}

/// A patch may not make another object of it. An emptied resourceVersion asks for none.
fn check_identity(call: &Call<'_>, old: &Value, mut new: Value) -> ApiResult<Value> {
    if object::name(&new) != object::name(old) {
        update::check_name(call, &new)?;
    }
    if object::namespace(&new) != object::namespace(old) {
        pipeline::settle_namespace(call, &mut new)?;
    }
    (call.resource.strategy.default)(&mut new);
    Ok(new)
}

/// Server-side apply: the caller owns what it sends, and gives up what it no longer sends.
async fn apply_patch(call: &mut Call<'_>, part: Part, options: &WriteOptions) -> ApiResult<Answer> {
    let resource = call.resource.clone();
    let config = applied(call)?;
    let time = call.timestamp();
    let merge = |call: &mut Call<'_>, live: Option<&Value>| -> ApiResult<Value> {
        let merged = resource.field_manager(part).apply(
            live,
            &config,
            &options.field_manager,
            options.force,
            &time,
        )?;
        let mut merged = pipeline::conform_again(call, merged);
        defaults::fill(&resource.schema, &mut merged);
        (resource.strategy.default)(&mut merged);
        Ok(merged)
    };
    for _ in 0..pipeline::ATTEMPTS_MAX {
        let exists = call.cluster.storage().snapshot().get(&resource.storage, &call.key()).is_some();
        if !exists && part == Part::Main {
            let mut value = merge(call, None)?;
            if !object::uid(&value).is_empty() {
                let why = format!(
                    "uid mismatch: the provided object specified uid {}, and no existing object was found",
                    object::uid(&value)
                );
                return Err(ApiError::conflict(resource.qualified(), &call.target.name, &why));
            }
            pipeline::settle_namespace(call, &mut value)?;
            pipeline::drop_resource_version(&mut value)?;
            match create::create_owned(call, value, options).await {
                Err(error) if error.reason == "AlreadyExists" => continue,
                answer => return answer,
            }
        }
        let replaced =
            pipeline::replace(call, part, options, Ownership::Settled, |call, old| merge(call, Some(old)))
                .await?;
        return Ok(update::answer(replaced, options.dry_run));
    }
    Err(ApiError::modified(resource.qualified(), &call.target.name))
}

/// The configuration that is applied: YAML or JSON, of the right kind and name.
pub fn applied(call: &mut Call<'_>) -> ApiResult<Value> {
    let sent = bodies::yaml(&call.body)
        .map_err(|why| ApiError::bad_request(format!("error decoding YAML: {why}")))?;
    let config = sent.value;
    if !config.is_object() {
        return Err(ApiError::bad_request("error decoding YAML: the configuration is not an object"));
    }
    let text = |config: &Value, field: &str| {
        config.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let (api_version, kind) = (text(&config, "apiVersion"), text(&config, "kind"));
    if api_version.is_empty() || kind.is_empty() {
        return Err(ApiError::bad_request("invalid object type: apiVersion and kind must be set"));
    }
    if object::meta(&config, "managedFields")
        .is_some_and(|fields| fields.as_array().is_none_or(|fields| !fields.is_empty()))
    {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    update::check_name(call, &config)?;
    // What is sent is what is owned and named in errors: a missing namespace stays missing.
    pipeline::settle_namespace(call, &mut config.clone())?;
    Ok(config)
}
