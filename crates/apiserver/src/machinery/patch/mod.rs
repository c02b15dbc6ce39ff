//! Changing an object by a patch: operations ([`mod@json`], RFC 6902), a partial object ([`mod@merge`], RFC 7386), or a
//! partial object merged as the kind's schema says ([`strategic`]).

pub mod json;
pub mod merge;
mod order;
pub mod strategic;
mod syntax;

use serde_json::{Value, json};

use super::{
    Path, Schema, decode, go_quoted,
    invalid::{Cause, FieldErrors},
};
use crate::status::{ApiError, Qualified};

pub use syntax::syntax_error;

/// Why a patch could not be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// 400: it is no patch of its sort.
    #[error("{0}")]
    Malformed(String),
    /// 413: it has more operations than a patch may have.
    #[error(
        "Request entity too large: The allowed maximum operations in a JSON patch is {max}, got {0}",
        max = json::OPERATIONS_MAX
    )]
    TooManyOperations(usize),
    /// 422: it does not fit the object. The text says why; Kubernetes does not pass it on.
    #[error("{0}")]
    Inapplicable(String),
    /// 422: what comes out of it is no object of the kind.
    #[error("patch: Invalid value: {patched}: {why}")]
    Unfit {
        /// What came out of it, as JSON.
        patched: String,
        /// Why it is no object of the kind.
        why: String,
    },
    /// 500: Kubernetes takes the mistake for its own.
    #[error("{0}")]
    Failed(String),
}

impl PatchError {
    /// What came out of a patch is no object of the kind, because `why`.
    pub fn unfit(patched: &Value, why: impl Into<String>) -> Self {
        Self::Unfit { patched: go_quoted(&patched.to_string()), why: why.into() }
    }

    /// The answer.
    pub fn to_api_error(&self) -> ApiError {
        match self {
            Self::Malformed(message) => ApiError::bad_request(message.as_str()),
            Self::TooManyOperations(_) => ApiError::new(413, "RequestEntityTooLarge", self.to_string()),
            Self::Inapplicable(_) => {
                let message = "the server rejected our request due to an error in our request";
                ApiError::new(422, "Invalid", message).with_details(json!({}))
            }
            Self::Unfit { patched, why } => {
                let mut errors = FieldErrors::new();
                let message = format!("Invalid value: {patched}: {why}");
                errors.push(Cause::FieldValueInvalid, &Path::new("patch"), message);
                ApiError::invalid(Qualified { group: "", name: "" }, "", &errors)
            }
            Self::Failed(message) => ApiError::new(500, "", message.as_str()),
        }
    }
}

impl From<PatchError> for ApiError {
    fn from(error: PatchError) -> Self {
        error.to_api_error()
    }
}

/// The sorts of patches that are no applied configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchType {
    /// `application/json-patch+json`.
    Json,
    /// `application/merge-patch+json`.
    Merge,
    /// `application/strategic-merge-patch+json`.
    Strategic,
}

/// A patch as it was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    sort: PatchType,
    document: Value,
    /// What strict decoding finds: fields that were given twice or that operations do not have. With
    /// `fieldValidation=Warn` they are warnings, with `Strict` they make the patch [`PatchError::unfit`].
    pub strict_errors: Vec<String>,
}

impl Patch {
    /// Reads the body of a patch; `strict` unless `fieldValidation` is `Ignore`.
    ///
    /// # Errors
    /// A body that is no JSON, or no patch of its sort.
    pub fn decode(patch_type: PatchType, body: &[u8], strict: bool) -> Result<Self, PatchError> {
        let sent = decode::json(body).map_err(|error| {
            let error = syntax_error(body).unwrap_or(error);
            PatchError::Malformed(match (patch_type, strict) {
                (PatchType::Strategic, _) | (PatchType::Json, false) => error,
                (PatchType::Merge, false) => "Invalid JSON Patch".to_owned(),
                (PatchType::Json | PatchType::Merge, true) => format!("error decoding patch: {error}"),
            })
        })?;
        let mut strict_errors = Vec::new();
        if strict {
            let prefix = if patch_type == PatchType::Json { "json patch " } else { "" };
            strict_errors = sent.strict_errors.iter().map(|told| format!("{prefix}{told}")).collect();
            if patch_type == PatchType::Json {
                strict_errors.extend(json::check(&sent.value)?);
            }
        }
        Ok(Self { sort: patch_type, document: sent.value, strict_errors })
    }

    /// Which sort of patch it is.
    pub fn patch_type(&self) -> PatchType {
        self.sort
    }

    /// Applies the patch to an object of a kind with this schema. What comes out of it is still to be conformed: it
    /// may be no object of the kind (see [`PatchError::unfit`]).
    ///
    /// # Errors
    /// What does not fit the object.
    pub fn apply(&self, schema: &Schema, object: Value) -> Result<Value, PatchError> {
        match self.sort {
            PatchType::Json => json::patch(object, &self.document),
            PatchType::Merge => merge::patch(object, self.document.clone()),
            PatchType::Strategic => strategic::patch(schema, object, self.document.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_are_no_patches_are_refused_in_kubernetes_words() {
        for (patch_type, strict, body, want) in [
            (PatchType::Json, true, "[{", "error decoding patch: unexpected end of JSON input"),
            (PatchType::Json, false, "[{", "unexpected end of JSON input"),
            (PatchType::Json, true, "", "error decoding patch: unexpected end of JSON input"),
            (
                PatchType::Json,
                true,
                r#"{"op": "add"}"#,
                "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
            ),
            (PatchType::Merge, true, "{", "error decoding patch: unexpected end of JSON input"),
            (PatchType::Merge, false, "{", "Invalid JSON Patch"),
            (
                PatchType::Strategic,
                true,
                "{bad",
                "invalid character 'b' looking for beginning of object key string",
            ),
        ] {
            let error = Patch::decode(patch_type, body.as_bytes(), strict).unwrap_err().to_api_error();
            assert_eq!((error.code, error.message.as_str()), (400, want), "{body}");
        }
    }

    #[test]
    fn what_is_given_twice_is_told() {
        let sent = br#"{"data": {"a": 1, "a": 2}}"#;
        let strict =
            |patch_type, body: &[u8], strict| Patch::decode(patch_type, body, strict).unwrap().strict_errors;
        assert_eq!(strict(PatchType::Merge, sent, true), [r#"duplicate field "data.a""#]);
        assert_eq!(strict(PatchType::Merge, sent, false), [""; 0]);
        let operations = br#"[{"op": "test", "path": "/a", "path": "/b", "bogus": 1}]"#;
        assert_eq!(
            strict(PatchType::Json, operations, true),
            [r#"json patch duplicate field "[0].path""#, r#"json patch unknown field "[0].bogus""#]
        );
    }

    #[test]
    fn refusals_have_kubernetes_codes() {
        let unfit = PatchError::unfit(&serde_json::json!({"a": "b"}), "why").to_api_error();
        assert_eq!((unfit.code, unfit.reason), (422, "Invalid"));
        assert_eq!(unfit.message, r#" "" is invalid: patch: Invalid value: "{\"a\":\"b\"}": why"#);
        let failed = PatchError::Failed("x".to_owned()).to_api_error().to_status();
        assert_eq!((&failed["code"], failed.get("reason"), failed.get("details")), (&500.into(), None, None));
        let inapplicable = PatchError::Inapplicable("x".to_owned()).to_api_error();
        assert_eq!(inapplicable.message, "the server rejected our request due to an error in our request");
    }
}
