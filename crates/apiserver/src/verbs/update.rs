//! Update: PUT of a whole object, or of its status.

use serde_json::Value;

use super::{
    Answer, Call,
    body::{self, Wanted},
    create,
    pipeline::{self, Ownership, Preconditions},
};
use crate::{
    kinds::Part,
    machinery::{FieldErrors, Path, object},
    status::{ApiError, ApiResult},
};

/// Replaces the object that the path names by that of the body.
pub async fn update(call: &mut Call<'_>, part: Part) -> ApiResult<Answer> {
    let options = call.query.write_options("UpdateOptions")?;
    let resource = call.resource.clone();
    let value = body::object(call, &Wanted::resource(&resource), options.field_validation)?;
    update_object(call, value, part, &options).await
}

/// Replaces the object that the path names by `value`.
pub async fn update_object(
    call: &mut Call<'_>,
    mut value: Value,
    part: Part,
    options: &crate::http::query::WriteOptions,
) -> ApiResult<Answer> {
    let resource = call.resource.clone();
    check_name(call, &value)?;
    pipeline::settle_namespace(call, &mut value)?;
    (resource.strategy.default)(&mut value);
    let name = call.target.name.clone();
    let preconditions = Preconditions {
        uid: Some(object::uid(&value).to_owned()).filter(|uid| !uid.is_empty()),
        resource_version: None,
    };
    let missing = call.cluster.storage().snapshot().get(&resource.storage, &call.key()).is_none();
    if missing && resource.strategy.create_on_update && part == Part::Main {
        preconditions.check(call, &name, &Value::Null)?;
        pipeline::drop_resource_version(&mut value)?;
        return create::create_object(call, value, options).await;
    }
    let replaced = pipeline::replace(call, part, options, Ownership::Caller, |call, old| {
        preconditions.check(call, &name, old)?;
        if object::resource_version(&value).is_empty() && !call.resource.strategy.unconditional_update {
            let mut errors = FieldErrors::new();
            let metadata = Path::new("metadata");
            errors.invalid(&metadata.child("resourceVersion"), 0, "must be specified for an update");
            return Err(ApiError::invalid(call.resource.qualified(), &name, &errors));
        }
        Ok(value.clone())
    })
    .await?;
    Ok(answer(replaced, options.dry_run))
}

/// The object that a replacement left.
pub fn answer(replaced: pipeline::Replaced, dry_run: bool) -> Answer {
    if dry_run || replaced.deleted {
        Answer::Object { code: 200, object: replaced.value }
    } else {
        Answer::Stored { code: 200, object: replaced.stored }
    }
}

/// Checks that the object's name is that of the path.
pub fn check_name(call: &Call<'_>, value: &Value) -> ApiResult<()> {
    let (own, wanted) = (object::name(value), call.target.name.as_str());
    if own.is_empty() {
        let why = format!(
            "the name of the object ({wanted} based on URL) was undeterminable: name must be provided"
        );
        return Err(ApiError::bad_request(why));
    }
    if own != wanted {
        let why = format!("the name of the object ({own}) does not match the name on the URL ({wanted})");
        return Err(ApiError::bad_request(why));
    }
    Ok(())
}
