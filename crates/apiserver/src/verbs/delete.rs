//! Delete of an object and of a collection.

use std::sync::Arc;

use serde_json::Value;

use super::{
    Answer, Call,
    deletion::{self, Step},
    options::{self, DeleteOptions},
    pipeline, read,
};
use crate::{
    admission,
    machinery::object,
    status::{ApiError, ApiResult},
    storage::{CommitError, Expected, Object},
};

/// Deletes the object that the path names.
pub async fn delete(call: &mut Call<'_>) -> ApiResult<Answer> {
    let options = options::delete_options(call)?;
    warn_of_dependents(call, &options);
    let name = call.target.name.clone();
    let deleted = delete_named(call, &name, &options).await?;
    if deleted.gone && !call.resource.strategy.returns_deleted {
        let body = pipeline::success(call, &name, object::uid(&deleted.object));
        return Ok(Answer::Other { code: 200, body });
    }
    Ok(Answer::Object { code: 200, object: deleted.object })
}

/// Deletes what a list with the same query would give.
pub async fn delete_collection(call: &mut Call<'_>) -> ApiResult<Answer> {
    let options = options::delete_options(call)?;
    warn_of_dependents(call, &options);
    let list = read::collect(call)?;
    for object in &list.objects {
        match delete_named(call, object.name(), &options).await {
            Ok(_) => {}
            Err(error) if error.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    // What is answered is what was there.
    Ok(Answer::List(list))
}

/// What becomes of dependents may surprise whoever did not say it.
fn warn_of_dependents(call: &mut Call<'_>, options: &DeleteOptions) {
    if let Some(sentence) = call.resource.strategy.deletion_warning.filter(|_| options.propagation.is_none())
    {
        call.warn(sentence);
    }
}

/// What a deletion left.
pub struct Deleted {
    /// The object, as it was or as it lives on.
    pub object: Value,
    /// Whether it is gone.
    pub gone: bool,
}

/// Deletes one object by name.
pub async fn delete_named(call: &mut Call<'_>, name: &str, options: &DeleteOptions) -> ApiResult<Deleted> {
    let key = call.key_of(name);
    for _ in 0..pipeline::ATTEMPTS_MAX {
        let snapshot = call.cluster.storage().snapshot();
        let Some(stored) = snapshot.get(&call.resource.storage, &key).cloned() else {
            return Err(ApiError::not_found(call.resource.qualified(), name));
        };
        let old = call.decode(&stored);
        admission::validate_delete(call, &old)?;
        let step = deletion::decide(call, &old, options)?;
        let (object, gone) = match &step {
            Step::Nothing => return Ok(Deleted { object: old, gone: false }),
            Step::Mark(marked) => (marked.clone(), false),
            Step::MarkAndRemove(marked) => (marked.clone(), true),
            Step::Remove => (old, true),
        };
        if options.dry_run {
            return Ok(Deleted { object, gone });
        }
        match carry_out(call, &key, &stored, step).await {
            Ok(written) => {
                let mut object = call.decode(&written);
                if gone && !matches!(written.revision, revision if revision == stored.revision) {
                    // What is answered is the last state, not the deletion.
                    let version = stored.revision.max(written.revision).to_string();
                    object::metadata_mut(&mut object).insert("resourceVersion".into(), version.into());
                }
                return Ok(Deleted { object, gone });
            }
            Err(CommitError::Changed | CommitError::Missing) => {}
            Err(error) => return Err(pipeline::failed(call, name, &error)),
        }
    }
    Err(ApiError::modified(call.resource.qualified(), name))
}

async fn carry_out(
    call: &Call<'_>,
    key: &Arc<str>,
    stored: &Object,
    step: Step,
) -> Result<Arc<Object>, CommitError> {
    let expected = Expected::Revision(stored.revision);
    match step {
        Step::Nothing | Step::Remove => pipeline::commit(call, key, expected, None).await,
        Step::Mark(marked) => pipeline::commit(call, key, expected, Some(marked)).await,
        Step::MarkAndRemove(marked) => {
            let written = pipeline::commit(call, key, expected, Some(marked)).await?;
            match pipeline::commit(call, key, Expected::Revision(written.revision), None).await {
                Ok(removed) => Ok(removed),
                // Somebody else has removed it in between, which is what was wanted.
                Err(CommitError::Missing) => Ok(written),
                Err(error) => Err(error),
            }
        }
    }
}
