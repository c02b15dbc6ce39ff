//! Get and list.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{Answer, Call, List, pipeline};
use crate::{
    machinery::{
        FieldErrors, Path, go_quoted,
        selector::{FieldSelector, LabelSelector},
    },
    status::{ApiError, ApiResult, Qualified},
    storage::{Object, Snapshot},
};

/// Gets the object that the path names.
pub fn get(call: &Call<'_>) -> ApiResult<Answer> {
    let version = call.query.get("resourceVersion");
    if !version.is_empty() {
        pipeline::check_resource_version(version)?;
    }
    let newest = call.cluster.storage().snapshot();
    let snapshot = if version == "0" { cached(call, newest) } else { newest };
    match snapshot.get(&call.resource.storage, &call.key()) {
        Some(object) => Ok(Answer::Stored { code: 200, object: object.clone() }),
        None => Err(ApiError::not_found(call.resource.qualified(), &call.target.name)),
    }
}

/// Lists the objects of the path.
pub fn list(call: &Call<'_>) -> ApiResult<Answer> {
    collect(call).map(Answer::List)
}

/// Which objects a list or a watch wants.
#[derive(Debug, Clone)]
pub struct Selection {
    labels: LabelSelector,
    fields: FieldSelector,
    /// A name that the path asks for (`/api/v1/watch/…/NAME`).
    name: Option<String>,
    all: bool,
}

impl Selection {
    /// Reads the selectors of a query.
    ///
    /// # Errors
    /// 400 for selectors that cannot be read, or name fields that cannot be selected.
    pub fn of(call: &Call<'_>) -> ApiResult<Self> {
        let labels = LabelSelector::parse(call.query.get("labelSelector"))
            .map_err(|error| ApiError::bad_request(error.to_string()))?;
        let fields = FieldSelector::parse(call.query.get("fieldSelector"))
            .map_err(|error| ApiError::bad_request(error.to_string()))?;
        for term in fields.terms() {
            if !call.resource.selectable_fields.iter().any(|own| **own == *term.field) {
                return Err(unsupported_field(call, &term.field));
            }
        }
        let name = Some(call.target.name.clone()).filter(|name| !name.is_empty());
        let all = labels.is_everything() && fields.is_everything() && name.is_none();
        Ok(Self { labels, fields, name, all })
    }

    /// Whether an object is wanted.
    pub fn matches(&self, object: &Object) -> bool {
        if self.all {
            return true;
        }
        if self.name.as_deref().is_some_and(|name| name != object.name()) {
            return false;
        }
        let field = |name: &str| match name {
            "metadata.name" => Some(object.name()),
            "metadata.namespace" => Some(object.namespace()),
            name => object.terms.field(name),
        };
        self.labels.matches(|name| object.terms.label(name)) && self.fields.matches(field)
    }

    /// Whether everything is wanted.
    pub fn is_everything(&self) -> bool {
        self.all
    }
}

fn unsupported_field(call: &Call<'_>, field: &str) -> ApiError {
    let own: Vec<&str> = call.resource.selectable_fields.iter().map(|field| &**field).collect();
    if own.iter().all(|field| field.starts_with("metadata.")) {
        let only: Vec<String> = own.iter().map(|field| go_quoted(field)).collect();
        let field = go_quoted(field);
        return ApiError::bad_request(format!(
            "{field} is not a known field selector: only {}",
            only.join(", ")
        ));
    }
    ApiError::bad_request(format!("field label not supported: {field}"))
}

/// The start of the keys that the path is about.
pub fn prefix(call: &Call<'_>) -> String {
    if call.resource.namespaced && !call.target.namespace.is_empty() {
        format!("{}/", call.target.namespace)
    } else {
        String::new()
    }
}

/// The objects of a list.
pub fn collect(call: &Call<'_>) -> ApiResult<List> {
    let query = call.query;
    check_options(call, false)?;
    let limit = query.number("limit")?.filter(|limit| *limit > 0).map(|limit| limit as usize);
    let selection = Selection::of(call)?;
    let prefix = prefix(call);
    let storage = call.cluster.storage();
    let newest = storage.snapshot();
    let (snapshot, after) = match query.get("continue") {
        "" => (at_version(call, newest)?, None),
        token => {
            let token = Continue::decode(token)?;
            (at_revision(call, &newest, token.revision)?, Some(token.after))
        }
    };
    let mut objects = Vec::new();
    let mut rest =
        snapshot.range(&call.resource.storage, &prefix, after.as_deref()).filter(|o| selection.matches(o));
    let limit = limit.unwrap_or(usize::MAX);
    while objects.len() < limit {
        let Some(object) = rest.next() else { break };
        objects.push(object.clone());
    }
    let remaining = if objects.len() == limit { rest.count() } else { 0 };
    let continue_token = objects
        .last()
        .filter(|_| remaining > 0)
        .map(|last| Continue { revision: snapshot.revision(), after: last.key.to_string() }.encode());
    let remaining = Some(remaining).filter(|count| *count > 0 && selection.is_everything());
    Ok(List { revision: snapshot.revision(), objects, continue_token, remaining })
}

fn at_version(call: &Call<'_>, newest: Arc<Snapshot>) -> ApiResult<Arc<Snapshot>> {
    let version = call.query.get("resourceVersion");
    if version.is_empty() {
        return Ok(newest);
    }
    if version == "0" {
        return Ok(cached(call, newest));
    }
    let Ok(revision) = version.parse::<u64>() else {
        let quoted = go_quoted(version);
        return Err(ApiError::bad_request(format!(
            "invalid resource version: resourceVersion: Invalid value: {quoted}: strconv.ParseUint: parsing {quoted}: invalid syntax"
        )));
    };
    if revision > newest.revision() {
        return Err(too_large(revision, newest.revision()));
    }
    // Without a match rule, a version with a limit means exactly that version.
    match call.query.get("resourceVersionMatch") {
        "Exact" => at_revision(call, &newest, revision),
        "" if call.query.number("limit")?.is_some_and(|limit| limit > 0) => {
            at_revision(call, &newest, revision)
        }
        _ => Ok(newest),
    }
}

/// The state that a read sees which any version suits: an older one where a fault says that the cache is behind.
fn cached(call: &Call<'_>, newest: Arc<Snapshot>) -> Arc<Snapshot> {
    if call.stale_by == 0 {
        return newest;
    }
    let then = newest.back_to(&call.resource.storage, newest.revision().saturating_sub(call.stale_by));
    then.map_or(newest, Arc::new)
}

fn at_revision(call: &Call<'_>, newest: &Arc<Snapshot>, revision: u64) -> ApiResult<Arc<Snapshot>> {
    if revision >= newest.revision() {
        return Ok(newest.clone());
    }
    newest.back_to(&call.resource.storage, revision).map(Arc::new).map_err(|_| {
        ApiError::expired(if call.query.has("continue") {
            "The provided continue parameter is too old to display a consistent list result. You can start a new list \
             without the continue parameter."
        } else {
            "The resourceVersion for the provided list is too old."
        })
    })
}

/// 504: the version has not been reached.
pub fn too_large(wanted: u64, current: u64) -> ApiError {
    ApiError::new(504, "Timeout", format!("Too large resource version: {wanted}, current: {current}"))
        .with_details(json!({
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        }))
}

/// Where a list goes on.
struct Continue {
    revision: u64,
    after: String,
}

impl Continue {
    fn encode(&self) -> String {
        let token = json!({"v": "meta.k8s.io/v1", "rv": self.revision, "start": self.after});
        BASE64_URL_SAFE_NO_PAD.encode(token.to_string())
    }

    fn decode(token: &str) -> ApiResult<Self> {
        let invalid = || ApiError::bad_request("continue key is not valid: it was not made by this server");
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
        let token: Value = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
        match (token["v"].as_str(), token["rv"].as_u64(), token["start"].as_str()) {
            (Some("meta.k8s.io/v1"), Some(revision), Some(after)) => {
                Ok(Self { revision, after: after.to_owned() })
            }
            _ => Err(invalid()),
        }
    }
}

/// Checks options against each other (`ValidateListOptions`).
pub fn check_options(call: &Call<'_>, watch: bool) -> ApiResult<()> {
    let query = call.query;
    let version = query.get("resourceVersion");
    let rule = query.get("resourceVersionMatch");
    let initial = query.has("sendInitialEvents");
    let mut errors = FieldErrors::new();
    let (match_path, initial_path) = (Path::new("resourceVersionMatch"), Path::new("sendInitialEvents"));
    if watch && initial {
        if rule != "NotOlderThan" {
            errors.forbidden(
                &match_path,
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            );
        }
        if !rule.is_empty() && rule != "NotOlderThan" {
            errors.not_supported(&match_path, rule, &["NotOlderThan"]);
        }
    } else if watch {
        if !rule.is_empty() {
            errors.forbidden(
                &match_path,
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            );
        }
    } else {
        if !rule.is_empty() {
            if version.is_empty() {
                errors.forbidden(
                    &match_path,
                    "resourceVersionMatch is forbidden unless resourceVersion is provided",
                );
            }
            if query.has("continue") && !query.get("continue").is_empty() {
                errors.forbidden(&match_path, "resourceVersionMatch is forbidden when continue is provided");
            }
            if !matches!(rule, "Exact" | "NotOlderThan") {
                errors.not_supported(&match_path, rule, &["Exact", "NotOlderThan", ""]);
            }
            if rule == "Exact" && version == "0" {
                errors.forbidden(
                    &match_path,
                    "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
                );
            }
        }
        if initial {
            errors.forbidden(&initial_path, "sendInitialEvents is forbidden for list");
        }
    }
    if !errors.is_empty() {
        return Err(ApiError::invalid(Qualified { group: "meta.k8s.io", name: "ListOptions" }, "", &errors));
    }
    if !watch && !query.get("continue").is_empty() && !version.is_empty() {
        return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
    }
    Ok(())
}
