//! Patch: JSON patch, merge patch, strategic merge patch, and server-side apply.

use serde_json::Value;

use super::{
    Answer, Call,
    body::{self, Wanted},
    create,
    pipeline::{self, Ownership, Part},
    update,
};
use crate::{
    http::query::{FieldValidation, WriteOptions},
    machinery::{
        FieldErrors, Path,
        apply::{self, Manager, Operation},
        decode, defaults, object,
        patch::{self, PatchError},
    },
    status::{ApiError, ApiResult, Qualified},
};

/// A sort of patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchType {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Kubernetes' own, by the schema.
    Strategic,
    /// Server-side apply.
    Apply,
}

impl PatchType {
    /// Of a media type.
    ///
    /// # Errors
    /// 415 for others; strategic merge patches are for built-in kinds only.
    pub fn of(call: &Call<'_>) -> ApiResult<Self> {
        match call.content_type.as_str() {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" if call.resource.type_name.is_some() => Ok(Self::Strategic),
            "application/strategic-merge-patch+json" => Err(ApiError::unsupported_media_type(
                "the body of the request was in an unknown format - accepted media types include: \
                 application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            )),
            "application/apply-patch+yaml" => Ok(Self::Apply),
            _ => Err(ApiError::unsupported_media_type("415: Unsupported Media Type").with_details(serde_json::json!({}))),
        }
    }
}

/// Patches the object that the path names.
pub async fn patch(call: &mut Call<'_>, part: Part) -> ApiResult<Answer> {
    let patch_type = PatchType::of(call)?;
    let options = patch_options(call, patch_type)?;
    if patch_type == PatchType::Apply {
        return apply_patch(call, part, &options).await;
    }
    let resource = call.resource.clone();
    let document = patch_document(call)?;
    let replaced = pipeline::replace(call, part, &options, Ownership::Caller, |call, old| {
        let wanted = Wanted::resource(&resource);
        let new = patched(call, patch_type, &wanted, old, &document, options.field_validation)?;
        check_identity(call, old, new)
    })
    .await?;
    Ok(update::answer(call, replaced, options.dry_run))
}

/// The options of a patch.
pub fn patch_options(call: &Call<'_>, patch_type: PatchType) -> ApiResult<WriteOptions> {
    let options = call.query.write_options("PatchOptions")?;
    let mut errors = FieldErrors::new();
    if patch_type == PatchType::Apply {
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

/// The patch of the body.
pub fn patch_document(call: &Call<'_>) -> ApiResult<Value> {
    let sent = decode::json(&call.body).map_err(|why| {
        ApiError::bad_request(format!("error decoding patch: {why}"))
    })?;
    Ok(sent.value)
}

/// `old` with the patch, in its normal form, with defaults.
pub fn patched(
    call: &mut Call<'_>,
    patch_type: PatchType,
    wanted: &Wanted<'_>,
    old: &Value,
    document: &Value,
    validation: FieldValidation,
) -> ApiResult<Value> {
    let refused = |error: PatchError| error.to_api_error(call.resource.qualified(), &call.target.name);
    let new = match patch_type {
        PatchType::Json => patch::json(old, document).map_err(refused)?,
        PatchType::Merge => patch::merge(old, document).map_err(refused)?,
        PatchType::Strategic | PatchType::Apply => patch::strategic(wanted.schema, old, document).map_err(refused)?,
    };
    // Fields that the stored object has are known; what is unknown came with the patch.
    body::conformed(call, wanted, new, Vec::new(), validation)
}

/// A patch may not make another object of it. An emptied resourceVersion asks for none.
fn check_identity(call: &Call<'_>, old: &Value, mut new: Value) -> ApiResult<Value> {
    if object::name(&new) != object::name(old) {
        update::check_name(call, &new)?;
    }
    if object::namespace(&new) != object::namespace(old) {
        pipeline::settle_namespace(call, &mut new)?;
    }
    for (field, own) in [("apiVersion", &*call.resource.api_version), ("kind", &*call.resource.kind)] {
        if new.get(field).and_then(Value::as_str) != Some(own) {
            return Err(ApiError::bad_request(format!(
                "the API version in the data ({}) does not match the expected API version ({})",
                new.get("apiVersion").and_then(Value::as_str).unwrap_or_default(),
                call.resource.api_version
            )));
        }
    }
    (call.resource.strategy.default)(&mut new);
    Ok(new)
}

/// Server-side apply: the caller owns what it sends, and gives up what it no longer sends.
async fn apply_patch(call: &mut Call<'_>, part: Part, options: &WriteOptions) -> ApiResult<Answer> {
    let resource = call.resource.clone();
    let config = applied(call)?;
    let manager = Manager {
        name: options.field_manager.clone(),
        operation: Operation::Apply,
        api_version: resource.api_version.to_string(),
        subresource: part.subresource().to_owned(),
    };
    let reset = pipeline::reset_fields(&resource, part);
    let time = call.timestamp();
    let merge = |call: &mut Call<'_>, live: Option<&Value>| -> ApiResult<Value> {
        let merged = apply::apply(&resource.schema, live, &config, &manager, options.force, &reset, &time)
            .map_err(|error| error.to_api_error())?;
        let wanted = Wanted::resource(&resource);
        let mut merged = body::conformed(call, &wanted, merged, Vec::new(), options.field_validation)?;
        defaults::fill(&resource.schema, &mut merged);
        (resource.strategy.default)(&mut merged);
        Ok(merged)
    };
    for _ in 0..pipeline::ATTEMPTS_MAX {
        let exists = call.cluster.storage().snapshot().get(&resource.storage, &call.key()).is_some();
        if !exists && part == Part::Main {
            if !object::uid(&config).is_empty() {
                let why = format!(
                    "uid mismatch: the provided object specified uid {}, and no existing object was found",
                    object::uid(&config)
                );
                return Err(ApiError::conflict(resource.qualified(), &call.target.name, &why));
            }
            let mut value = merge(call, None)?;
            pipeline::settle_namespace(call, &mut value)?;
            match create::create_owned(call, value, options).await {
                Err(error) if error.reason == "AlreadyExists" => continue,
                answer => return answer,
            }
        }
        let replaced = pipeline::replace(call, part, options, Ownership::Settled, |call, old| {
            if object::uid(&config) != object::uid(old) && !object::uid(&config).is_empty() {
                let why = format!("uid mismatch: {} != {}", object::uid(&config), object::uid(old));
                return Err(ApiError::conflict(call.resource.qualified(), object::name(old), &why));
            }
            merge(call, Some(old))
        })
        .await?;
        return Ok(update::answer(call, replaced, options.dry_run));
    }
    Err(ApiError::modified(resource.qualified(), &call.target.name))
}

/// The configuration that is applied: YAML or JSON, of the right kind and name.
pub fn applied(call: &mut Call<'_>) -> ApiResult<Value> {
    let sent = decode::yaml(&call.body).map_err(|why| ApiError::bad_request(format!("error decoding YAML: {why}")))?;
    let mut config = sent.value;
    if !config.is_object() {
        return Err(ApiError::bad_request("error decoding YAML: the configuration is not an object"));
    }
    let text = |config: &Value, field: &str| config.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (text(&config, "apiVersion"), text(&config, "kind"));
    if api_version.is_empty() || kind.is_empty() {
        return Err(ApiError::bad_request("invalid object type: apiVersion and kind must be set"));
    }
    if object::meta(&config, "managedFields").is_some_and(|fields| fields.as_array().is_none_or(|fields| !fields.is_empty())) {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    if object::name(&config).is_empty() {
        object::metadata_mut(&mut config).insert("name".into(), call.target.name.as_str().into());
    }
    update::check_name(call, &config)?;
    pipeline::settle_namespace(call, &mut config)?;
    Ok(config)
}
