//! Questions to the API that are answered and forgotten: may somebody do something, who am I, whose token is this.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{attributes::Attributes, authentication::Authentication, rbac::Index, user::User};
use crate::{
    machinery::{
        FieldErrors, Path,
        conform::seconds,
        format::{is_label_value, is_qualified_name, report},
        object,
        selector::{FieldSelector, LabelSelector, Operator, Requirement},
    },
    status::{ApiError, ApiResult, Qualified},
};

const AUTHORIZATION: &str = "authorization.k8s.io";

/// Answers the reviews of one request.
#[derive(Clone, Copy)]
pub struct Reviewer<'a> {
    /// Who asks.
    pub user: &'a User,
    /// The namespace of the request; empty where it has none.
    pub namespace: &'a str,
    /// The rules as they stand.
    pub index: &'a Index,
    /// How users are known.
    pub authentication: &'a Authentication,
    /// The time.
    pub now: Timestamp,
}

impl Reviewer<'_> {
    /// Answers `review`, an object of `kind` in the normal form of its schema.
    ///
    /// # Errors
    /// 400 or 422 for a question that makes no sense; 404 if there is no such kind of review.
    pub fn answer(&self, kind: &str, review: Value) -> ApiResult<Value> {
        match kind {
            "SubjectAccessReview" => self.subject_access(review),
            "SelfSubjectAccessReview" => self.self_subject_access(review),
            "LocalSubjectAccessReview" => self.local_subject_access(review),
            "SelfSubjectRulesReview" => self.self_subject_rules(review),
            "SelfSubjectReview" => Ok(self.self_subject(&review)),
            "TokenReview" => self.token(review),
            _ => Err(ApiError::no_such_resource()),
        }
    }

    fn subject_access(&self, review: Value) -> ApiResult<Value> {
        let mut errors = FieldErrors::new();
        validate_spec(&mut errors, spec(&review));
        validate_subject(&mut errors, spec(&review));
        validate_resource(&mut errors, spec(&review));
        validate_metadata(&mut errors, &review, false);
        refuse(errors)?;
        Ok(self.decided(&subject(spec(&review)), review))
    }

    fn self_subject_access(&self, review: Value) -> ApiResult<Value> {
        let mut errors = FieldErrors::new();
        validate_spec(&mut errors, spec(&review));
        validate_resource(&mut errors, spec(&review));
        validate_metadata(&mut errors, &review, false);
        refuse(errors)?;
        Ok(self.decided(self.user, review))
    }

    fn local_subject_access(&self, review: Value) -> ApiResult<Value> {
        let mut errors = FieldErrors::new();
        let spec = spec(&review);
        let namespace = object::namespace(&review);
        validate_spec(&mut errors, spec);
        validate_subject(&mut errors, spec);
        validate_resource(&mut errors, spec);
        validate_metadata(&mut errors, &review, true);
        if let Some(asked) = resource_attributes(spec)
            && object::text(asked, "namespace") != namespace
        {
            let path = Path::new("spec.resourceAttributes.namespace");
            errors.invalid(&path, object::text(asked, "namespace"), "must match metadata.namespace");
        }
        if let Some(asked) = non_resource_attributes(spec) {
            let path = Path::new("spec.nonResourceAttributes");
            errors.invalid(&path, in_go(asked), "disallowed on this kind of request");
        }
        refuse(errors)?;
        if self.namespace.is_empty() {
            return Err(ApiError::bad_request("namespace is required on this type: "));
        }
        if self.namespace != namespace {
            let message =
                format!("spec.resourceAttributes.namespace must match namespace: {}", self.namespace);
            return Err(ApiError::bad_request(message));
        }
        Ok(self.decided(&subject(spec), review))
    }

    fn self_subject_rules(&self, review: Value) -> ApiResult<Value> {
        let namespace = object::text(spec(&review), "namespace");
        if namespace.is_empty() {
            return Err(ApiError::bad_request("no namespace on request"));
        }
        let status = self.index.rules_for(self.user, namespace);
        Ok(anew(&review, json!({"metadata": {}, "spec": {}, "status": status})))
    }

    fn self_subject(&self, review: &Value) -> Value {
        let metadata = json!({"creationTimestamp": seconds(self.now)});
        let status = json!({"userInfo": self.user.to_user_info()});
        anew(review, json!({"metadata": metadata, "status": status}))
    }

    fn token(&self, mut review: Value) -> ApiResult<Value> {
        let token = object::text(spec(&review), "token");
        if token.is_empty() {
            return Err(ApiError::bad_request("token is required for TokenReview in authentication"));
        }
        let mut audiences: Vec<String> =
            object::texts(spec(&review), "audiences").map(str::to_owned).collect();
        if audiences.is_empty() {
            audiences.clone_from(&self.authentication.audiences);
        }
        review["status"] = match self.authentication.review_token(token, &audiences) {
            Err(error) => json!({"user": {}, "error": error}),
            Ok(known) => {
                if !audiences.is_empty() && known.audiences.is_empty() {
                    return Err(ApiError::internal("error validating audiences"));
                }
                let mut status = json!({"authenticated": true, "user": known.user.to_user_info()});
                if !known.audiences.is_empty() {
                    status["audiences"] = known.audiences.into();
                }
                status
            }
        };
        Ok(review)
    }

    /// The review with the decision on what it asks for `user`.
    fn decided(&self, user: &User, mut review: Value) -> Value {
        let decision = self.index.allows(&asked(user, spec(&review)));
        let mut status = Map::from_iter([("allowed".to_owned(), Value::Bool(decision.allowed))]);
        let texts = [("reason", decision.reason()), ("evaluationError", evaluation_error(spec(&review)))];
        for (field, text) in texts {
            if !text.is_empty() {
                status.insert(field.to_owned(), text.into());
            }
        }
        review["status"] = Value::Object(status);
        review
    }
}

/// Another object of the same kind.
fn anew(review: &Value, mut fields: Value) -> Value {
    for field in ["apiVersion", "kind"] {
        fields[field] = review.get(field).cloned().unwrap_or_default();
    }
    fields
}

fn spec(review: &Value) -> &Value {
    review.get("spec").unwrap_or(&Value::Null)
}

fn resource_attributes(spec: &Value) -> Option<&Value> {
    spec.get("resourceAttributes").filter(|asked| !asked.is_null())
}

fn non_resource_attributes(spec: &Value) -> Option<&Value> {
    spec.get("nonResourceAttributes").filter(|asked| !asked.is_null())
}

fn asked<'a>(user: &'a User, spec: &'a Value) -> Attributes<'a> {
    let Some(asked) = resource_attributes(spec) else {
        let asked = non_resource_attributes(spec).unwrap_or(&Value::Null);
        return Attributes::path(user, object::text(asked, "verb"), object::text(asked, "path"));
    };
    let text = |field| object::text(asked, field);
    Attributes {
        namespace: text("namespace"),
        version: if text("version").is_empty() { "*" } else { text("version") },
        subresource: text("subresource"),
        name: text("name"),
        ..Attributes::resource(user, text("verb"), text("group"), text("resource"))
    }
}

/// The user whom a review asks about.
fn subject(spec: &Value) -> User {
    let texts = |values: &Value| {
        values.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let extra = spec.get("extra").and_then(Value::as_object);
    User {
        name: object::text(spec, "user").to_owned(),
        uid: object::text(spec, "uid").to_owned(),
        groups: object::texts(spec, "groups").map(str::to_owned).collect(),
        extra: extra.into_iter().flatten().map(|(key, values)| (key.clone(), texts(values))).collect(),
    }
}

fn refuse(errors: FieldErrors) -> ApiResult<()> {
    if errors.is_empty() {
        return Ok(());
    }
    // Kubernetes has forgotten the kind by then.
    Err(ApiError::invalid(Qualified { group: AUTHORIZATION, name: "" }, "", &errors))
}

fn validate_spec(errors: &mut FieldErrors, spec: &Value) {
    let path = Path::new("spec");
    match (resource_attributes(spec), non_resource_attributes(spec)) {
        (Some(_), Some(asked)) => errors.invalid(
            &path.child("nonResourceAttributes"),
            in_go(asked),
            "cannot be specified in combination with resourceAttributes",
        ),
        (None, None) => errors.invalid(
            &path.child("resourceAttributes"),
            Value::Null,
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        ),
        _ => {}
    }
}

fn validate_subject(errors: &mut FieldErrors, spec: &Value) {
    if object::text(spec, "user").is_empty() && object::texts(spec, "groups").next().is_none() {
        let path = Path::new("spec");
        errors.invalid(&path.child("user"), "", "at least one of user or group must be specified");
    }
}

/// A review has no metadata but what the server adds.
fn validate_metadata(errors: &mut FieldErrors, review: &Value, is_local: bool) {
    let metadata = review.get("metadata").and_then(Value::as_object);
    let is_allowed = |field: &str| field == "managedFields" || (is_local && field == "namespace");
    if let Some(metadata) = metadata
        && !metadata.keys().all(|field| is_allowed(field))
    {
        let detail = if is_local { "must be empty except for namespace" } else { "must be empty" };
        errors.invalid(&Path::new("metadata"), Value::Object(metadata.clone()), detail);
    }
}

fn validate_resource(errors: &mut FieldErrors, spec: &Value) {
    let Some(asked) = resource_attributes(spec) else { return };
    let path = Path::new("spec.resourceAttributes");
    for (field, are_labels) in [("fieldSelector", false), ("labelSelector", true)] {
        let Some(selector) = asked.get(field).filter(|selector| !selector.is_null()) else { continue };
        let path = path.child(field);
        let (raw, requirements) =
            (object::text(selector, "rawSelector"), object::list(selector, "requirements"));
        if !raw.is_empty() && !requirements.is_empty() {
            let detail = "may not specified at the same time as requirements";
            errors.invalid(&path.child("rawSelector"), raw, detail);
        }
        if raw.is_empty() && requirements.is_empty() {
            let detail = format!("when {path} is specified, requirements or rawSelector is required");
            errors.required(&path.child("requirements"), &detail);
        }
        let list = path.child("requirements");
        for (position, requirement) in requirements.iter().enumerate() {
            validate_requirement(errors, &list.index(position), requirement, are_labels);
        }
    }
}

/// Operators that are not known are left alone: a newer client may mean something by them.
fn validate_requirement(errors: &mut FieldErrors, path: &Path<'_>, requirement: &Value, of_label: bool) {
    let key = object::text(requirement, "key");
    let key_path = path.child("key");
    if !of_label && key.is_empty() {
        errors.required(&key_path, "must be specified");
    }
    let values_path = path.child("values");
    let has_values = object::texts(requirement, "values").next().is_some();
    match object::text(requirement, "operator") {
        "In" | "NotIn" if !has_values => {
            errors.required(&values_path, "must be specified when `operator` is 'In' or 'NotIn'");
        }
        "Exists" | "DoesNotExist" if has_values => {
            let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.forbidden(&values_path, detail);
        }
        _ => {}
    }
    if of_label {
        report(errors, &key_path, key, is_qualified_name(key));
        for (position, value) in object::texts(requirement, "values").enumerate() {
            report(errors, &values_path.index(position), value, is_label_value(value));
        }
    }
}

/// Which selectors of the question could not be understood.
fn evaluation_error(spec: &Value) -> String {
    let asked = resource_attributes(spec).unwrap_or(&Value::Null);
    let mut sentences = Vec::new();
    for (field, understood) in [
        ("fieldSelector", (is_field_text as fn(&str) -> bool, is_field_requirement as fn(&Value) -> bool)),
        ("labelSelector", (is_label_text, is_label_requirement)),
    ] {
        let Some(selector) = asked.get(field) else { continue };
        let (is_text, is_requirement) = understood;
        let requirements = object::list(selector, "requirements");
        let known = requirements.iter().filter(|requirement| is_requirement(requirement)).count();
        let raw = object::text(selector, "rawSelector");
        let is_broken = if requirements.is_empty() {
            !raw.is_empty() && !is_text(raw)
        } else {
            known < requirements.len()
        };
        if is_broken {
            let how = if known > 0 { "partially ignored" } else { "ignored" };
            sentences.push(format!("spec.resourceAttributes.{field} {how} due to parse error"));
        }
    }
    sentences.join("; ")
}

fn is_field_text(text: &str) -> bool {
    FieldSelector::parse(text).is_ok()
}

fn is_label_text(text: &str) -> bool {
    LabelSelector::parse(text).is_ok()
}

fn is_field_requirement(requirement: &Value) -> bool {
    let is_known = matches!(object::text(requirement, "operator"), "In" | "NotIn");
    is_known && object::texts(requirement, "values").count() == 1
}

fn is_label_requirement(requirement: &Value) -> bool {
    let operator = match object::text(requirement, "operator") {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        _ => return false,
    };
    let values = object::texts(requirement, "values").map(str::to_owned).collect();
    Requirement::new(object::text(requirement, "key"), operator, values).is_ok()
}

/// Attributes of a path as Go has them.
fn in_go(asked: &Value) -> Value {
    json!({"Path": object::text(asked, "path"), "Verb": object::text(asked, "verb")})
}

#[cfg(test)]
mod tests;
