//! `DeleteOptions`: from the body of a deletion, else from its query.

use serde_json::{Value, json};

use super::{
    Call,
    body::{self, Wanted},
};
use crate::{
    http::query::{FieldValidation, check_dry_run},
    machinery::{
        FieldErrors, Path, builtin, decode, go_quoted, invalid::Cause, patch::syntax_error, protobuf,
    },
    status::{ApiError, ApiResult, Qualified},
};

/// How an object is to be deleted.
#[derive(Debug, Clone, Default)]
pub struct DeleteOptions {
    /// Whether nothing is to be changed.
    pub dry_run: bool,
    /// How many seconds it may live on.
    pub grace_period: Option<i64>,
    /// What becomes of its dependents.
    pub propagation: Option<Propagation>,
    /// The uid that it must have.
    pub uid: Option<String>,
    /// The resourceVersion that it must have.
    pub resource_version: Option<String>,
}

/// What becomes of the dependents of what is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They stay.
    Orphan,
    /// They are deleted afterwards.
    Background,
    /// They are deleted first.
    Foreground,
}

const TYPE: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";

/// Reads the options of a deletion.
///
/// # Errors
/// 400 for what cannot be read, 422 for what makes no sense.
pub fn delete_options(call: &mut Call<'_>) -> ApiResult<DeleteOptions> {
    let options = if call.body.is_empty() { from_query(call)? } else { from_body(call)? };
    let mut errors = FieldErrors::new();
    let dry_run = options["dryRun"].as_array().cloned().unwrap_or_default();
    let orphan = options["orphanDependents"].as_bool();
    let policy = options["propagationPolicy"].as_str();
    if orphan.is_some() && policy.is_some() {
        let why = "orphanDependents and deletionPropagation cannot be both set";
        errors.invalid(&Path::new("propagationPolicy"), policy, why);
    }
    let propagation = match policy {
        None => orphan.map(|orphan| if orphan { Propagation::Orphan } else { Propagation::Background }),
        Some("Orphan") => Some(Propagation::Orphan),
        Some("Background") => Some(Propagation::Background),
        Some("Foreground") => Some(Propagation::Foreground),
        Some(other) => {
            let supported = ["Foreground", "Background", "Orphan", "nil"];
            errors.push(
                Cause::FieldValueNotSupported,
                &Path::new("propagationPolicy"),
                format!(
                    "Unsupported value: {}: supported values: {}",
                    crate::machinery::go_quoted(other),
                    supported.map(crate::machinery::go_quoted).join(", ")
                ),
            );
            None
        }
    };
    check_dry_run(&dry_run, &mut errors);
    if !errors.is_empty() {
        return Err(ApiError::invalid(
            Qualified { group: "meta.k8s.io", name: "DeleteOptions" },
            "",
            &errors,
        ));
    }
    let precondition = |field: &str| options["preconditions"][field].as_str().map(str::to_owned);
    Ok(DeleteOptions {
        dry_run: !dry_run.is_empty(),
        grace_period: options["gracePeriodSeconds"].as_i64(),
        propagation,
        uid: precondition("uid"),
        resource_version: precondition("resourceVersion"),
    })
}

fn from_body(call: &mut Call<'_>) -> ApiResult<Value> {
    let (api_version, kind) = kind_of_body(call)?;
    if !matches!(kind.as_str(), "" | "DeleteOptions") {
        return Err(ApiError::bad_request(format!(
            "no kind {} is registered for version {} in scheme \"pkg/apis/meta/internalversion/scheme/register.go:27\"",
            go_quoted(&kind),
            go_quoted(&api_version)
        )));
    }
    // Every group has DeleteOptions of its own, all alike.
    let api_version = if api_version.is_empty() { "v1".to_owned() } else { api_version };
    let Some(schema) = builtin::schema(TYPE) else {
        return Err(ApiError::internal("no schema of DeleteOptions"));
    };
    let wanted = Wanted { api_version: &api_version, kind: "DeleteOptions", schema };
    body::object(call, &wanted, FieldValidation::Ignore)
}

fn kind_of_body(call: &Call<'_>) -> ApiResult<(String, String)> {
    let is_json = call.content_type != "application/yaml";
    let sent = match call.content_type.as_str() {
        protobuf::MEDIA_TYPE => {
            let sent = protobuf::envelope::open(&call.body);
            let sent = sent.map_err(|why| ApiError::bad_request(why.to_string()))?;
            return Ok((sent.api_version, sent.kind));
        }
        "application/yaml" => decode::yaml(&call.body),
        _ => decode::json(&call.body),
    };
    let sent = sent.map_err(|why| {
        let why = syntax_error(&call.body).filter(|_| is_json).unwrap_or(why);
        ApiError::bad_request(format!("couldn't get version/kind; json parse error: {why}"))
    })?;
    let text = |field: &str| sent.value[field].as_str().unwrap_or_default().to_owned();
    Ok((text("apiVersion"), text("kind")))
}

fn from_query(call: &Call<'_>) -> ApiResult<Value> {
    let query = call.query;
    let mut options = json!({});
    let dry_run: Vec<&str> = query.all("dryRun").filter(|value| !value.is_empty()).collect();
    if !dry_run.is_empty() {
        options["dryRun"] = dry_run.into();
    }
    if let Some(seconds) = query.number("gracePeriodSeconds")? {
        options["gracePeriodSeconds"] = seconds.into();
    }
    if query.has("orphanDependents") {
        options["orphanDependents"] = query.flag("orphanDependents").into();
    }
    if query.has("propagationPolicy") {
        options["propagationPolicy"] = query.get("propagationPolicy").into();
    }
    Ok(options)
}
