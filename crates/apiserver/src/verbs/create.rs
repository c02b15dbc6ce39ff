//! Create.

use serde_json::Value;

use super::{
    Answer, Call, allocation,
    body::{self, Wanted},
    pipeline,
};
use crate::{
    admission,
    http::query::WriteOptions,
    kinds::{Part, strategy::Generation},
    machinery::{conform, object},
    status::{ApiError, ApiResult},
    storage::Expected,
};

/// What generated names are made of: no vowels, so that no words come out, and nothing that looks alike.
const NAME_CHARACTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH: usize = 5;
const GENERATED_LENGTH_MAX: usize = 63;
/// How often another suffix is tried when the name is taken.
const NAME_ATTEMPTS_MAX: usize = 8;

/// Creates the object of the body.
pub async fn create(call: &mut Call<'_>) -> ApiResult<Answer> {
    let options = call.query.write_options("CreateOptions")?;
    let resource = call.resource.clone();
    let value = body::object(call, &Wanted::resource(&resource), options.field_validation)?;
    create_object(call, value, &options).await
}

/// Creates `value`, which is decoded and has its plain defaults.
pub async fn create_object(
    call: &mut Call<'_>,
    mut value: Value,
    options: &WriteOptions,
) -> ApiResult<Answer> {
    let resource = call.resource.clone();
    let strategy = resource.strategy;
    (strategy.default)(&mut value);
    pipeline::settle_namespace(call, &mut value)?;
    pipeline::dedup_owners(call, &mut value);
    object::metadata_mut(&mut value).remove("managedFields");
    pipeline::own_fields(call, None, &mut value, Part::Main, options);
    create_owned(call, value, options).await
}

/// Creates `value`, whose managedFields are settled.
pub async fn create_owned(
    call: &mut Call<'_>,
    mut value: Value,
    options: &WriteOptions,
) -> ApiResult<Answer> {
    if !object::resource_version(&value).is_empty() {
        return Err(ApiError::new(500, "", "resourceVersion should not be set on objects to be created"));
    }
    fill_metadata(call, &mut value);
    admission::mutate_create(call, &mut value)?;
    let generated = generate_name(call, &mut value);
    let reservation = allocation::reserve(call, &mut value, None)?;
    let created = create_reserved(call, value, options, generated).await;
    allocation::release(call, reservation);
    created
}

/// The rest of a creation, once addresses and ports are reserved.
async fn create_reserved(
    call: &mut Call<'_>,
    mut value: Value,
    options: &WriteOptions,
    generated: bool,
) -> ApiResult<Answer> {
    let resource = call.resource.clone();
    prepare(call, &mut value);
    let name = object::name(&value).to_owned();
    pipeline::refuse(&resource, &name, &pipeline::validate_create(&resource, &value))?;
    admission::validate_create(call, &value)?;
    for sentence in (resource.strategy.warnings)(&value, None) {
        call.warn(sentence);
    }
    let mut value = pipeline::conform_again(call, value);
    let mut name = name;
    for attempt in 0..NAME_ATTEMPTS_MAX {
        let key = call.key_of(&name);
        let snapshot = call.cluster.storage().snapshot();
        if let Some(existing) = snapshot.get(&resource.storage, &key) {
            if generated && attempt + 1 < NAME_ATTEMPTS_MAX {
                object::metadata_mut(&mut value).remove("name");
                generate_name(call, &mut value);
                object::name(&value).clone_into(&mut name);
                continue;
            }
            return Err(taken(call, &name, &existing.decode()));
        }
        if options.dry_run {
            return Ok(Answer::Object { code: 201, object: value });
        }
        match pipeline::commit(call, &key, Expected::Absent, Some(value.clone())).await {
            Ok(object) => return Ok(Answer::Stored { code: 201, object }),
            Err(crate::storage::CommitError::Exists) => {}
            Err(error) => return Err(pipeline::failed(call, &name, &error)),
        }
    }
    Err(ApiError::already_exists(resource.qualified(), &name))
}

fn taken(call: &Call<'_>, name: &str, existing: &Value) -> ApiError {
    let mut error = ApiError::already_exists(call.resource.qualified(), name);
    if object::deletion_timestamp(existing).is_some() {
        error.message = format!("object is being deleted: {}", error.message);
    }
    error
}

/// What the server alone says of a new object.
fn fill_metadata(call: &Call<'_>, value: &mut Value) {
    let timestamp = call.timestamp();
    let metadata = object::metadata_mut(value);
    for field in ["selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        metadata.remove(field);
    }
    let name = ["name", "generateName"].into_iter().find_map(|field| metadata.get(field)?.as_str());
    let uid =
        call.cluster.chance().uid(&call.resource.storage, &call.target.namespace, name.unwrap_or_default());
    metadata.insert("uid".into(), uid.into());
    metadata.insert("creationTimestamp".into(), timestamp.into());
}

fn prepare(call: &Call<'_>, value: &mut Value) {
    let strategy = call.resource.strategy;
    let drops_status = strategy.status && !strategy.status_on_create;
    if drops_status {
        object::map_mut(value).remove("status");
    }
    if !matches!(strategy.generation, Generation::None | Generation::SpecOnUpdate) {
        object::metadata_mut(value).insert("generation".into(), 1.into());
    }
    if drops_status
        && let Some(field) = call.resource.schema.field("status")
        && call.resource.type_name.is_some()
        && field.presence == crate::machinery::schema::Presence::OmitEmpty
    {
        object::map_mut(value).insert("status".into(), conform::zero(&field.schema));
    }
    (strategy.prepare_create)(value);
    (strategy.name_creator)(value, call.user);
    (strategy.default)(value);
    (strategy.stamp)(value, &Value::Null, &call.timestamp());
}

/// Gives a name to an object that asks for one. Returns whether it did.
fn generate_name(call: &Call<'_>, value: &mut Value) -> bool {
    let metadata = object::metadata_mut(value);
    let prefix = metadata.get("generateName").and_then(Value::as_str).unwrap_or_default();
    let named = metadata.get("name").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
    if named || prefix.is_empty() {
        return false;
    }
    let mut end = prefix.len().min(GENERATED_LENGTH_MAX - SUFFIX_LENGTH);
    while !prefix.is_char_boundary(end) {
        end -= 1;
    }
    let chance = call.cluster.chance();
    let purpose = format!("name {} {}/{prefix}", call.resource.storage, call.target.namespace);
    let suffix = chance.text(&purpose, NAME_CHARACTERS, SUFFIX_LENGTH);
    let name = format!("{}{suffix}", &prefix[..end]);
    metadata.insert("name".into(), name.into());
    true
}
