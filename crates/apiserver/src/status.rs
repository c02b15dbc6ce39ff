//! What the server answers when it refuses: a `Status` object with a code, a reason, a message and details
//! (`metav1.Status`). The constructors carry Kubernetes' own words, which clients match on.

use serde_json::{Map, Value, json};

use crate::machinery::{go_quoted, invalid::FieldErrors};

/// A refusal, as `Status` says it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The HTTP status.
    pub code: u16,
    /// A word for machines, such as `NotFound`; empty where Kubernetes gives none.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
    /// `details`: name, group, kind, uid, causes, retryAfterSeconds.
    pub details: Option<Map<String, Value>>,
}

/// What an operation returns: its result, or the refusal.
pub type ApiResult<T> = Result<T, ApiError>;

/// A resource or kind in a message: `pods`, `deployments.apps`, `Deployment.apps`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Qualified<'a> {
    /// The API group; empty for the core group.
    pub group: &'a str,
    /// The plural resource or the kind.
    pub name: &'a str,
}

impl std::fmt::Display for Qualified<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        Ok(())
    }
}

impl ApiError {
    /// A refusal with no details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    /// The same with `details`.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        if let Value::Object(mut details) = details {
            details.retain(|_, value| *value != "" && !value.is_null());
            self.details = Some(details);
        }
        self
    }

    /// 400: the request itself makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 401: who the caller is could not be established.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 404: no object of that name. `resource` is the plural.
    pub fn not_found(resource: Qualified<'_>, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{resource} {} not found", go_quoted(name)))
            .with_details(json!({"name": name, "group": resource.group, "kind": resource.name}))
    }

    /// 404: no such resource, version or path below the API.
    pub fn no_such_resource() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource").with_details(json!({}))
    }

    /// 405: the resource does not have that verb.
    pub fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
            .with_details(json!({}))
    }

    /// 409: create of a name that is taken.
    pub fn already_exists(resource: Qualified<'_>, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{resource} {} already exists", go_quoted(name)))
            .with_details(json!({"name": name, "group": resource.group, "kind": resource.name}))
    }

    /// 409: the object is not as the caller thinks it is.
    pub fn conflict(resource: Qualified<'_>, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {resource} {}: {why}", go_quoted(name));
        Self::new(409, "Conflict", message)
            .with_details(json!({"name": name, "group": resource.group, "kind": resource.name}))
    }

    /// 409: the resourceVersion that the caller read is not the newest.
    pub fn modified(resource: Qualified<'_>, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    /// 422: fields are wrong. `kind` is the kind (most callers) or the plural.
    pub fn invalid(kind: Qualified<'_>, name: &str, errors: &FieldErrors) -> Self {
        let causes: Vec<Value> = errors
            .iter()
            .map(|error| {
                json!({"reason": error.reason.as_str(), "message": error.message, "field": error.field})
            })
            .collect();
        Self::new(422, "Invalid", format!("{kind} {} is invalid: {errors}", go_quoted(name)))
            .with_details(json!({"name": name, "group": kind.group, "kind": kind.name, "causes": causes}))
    }

    /// 403: RBAC or admission says no. `resource` is the plural, `why` what follows the colon.
    pub fn forbidden(resource: Qualified<'_>, name: &str, why: &str) -> Self {
        let object = if name.is_empty() { String::new() } else { format!(" {}", go_quoted(name)) };
        Self::new(403, "Forbidden", format!("{resource}{object} is forbidden: {why}"))
            .with_details(json!({"name": name, "group": resource.group, "kind": resource.name}))
    }

    /// 410: the revision asked for is no longer kept.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 415: the body's media type is not understood.
    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 500: what should not happen, or what Kubernetes answers 500 to.
    pub fn internal(message: impl std::fmt::Display) -> Self {
        let message = message.to_string();
        Self::new(500, "InternalError", format!("Internal error occurred: {message}"))
            .with_details(json!({"causes": [{"message": message}]}))
    }

    /// The `Status` object.
    pub fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if let Some(details) = &self.details {
            status["details"] = Value::Object(details.clone());
        }
        status
    }
}
