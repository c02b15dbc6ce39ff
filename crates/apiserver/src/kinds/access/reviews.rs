//! The reviews that ask whether somebody may do something. They are answered, never stored: their metadata is empty.

use serde_json::Value;

use crate::{
    kinds::{Strategy, go},
    machinery::{
        FieldErrors, Path,
        fields::{is_set, present, text},
        selector,
    },
};

/// The shape of a SubjectAccessReview.
pub static SUBJECT: Strategy = Strategy {
    validate_create: |review, errors| {
        validate_spec(&review["spec"], true, errors);
        validate_metadata(review, false, errors);
    },
    ..Strategy::PLAIN
};

/// The shape of a SelfSubjectAccessReview.
pub static SELF_SUBJECT: Strategy = Strategy {
    validate_create: |review, errors| {
        validate_spec(&review["spec"], false, errors);
        validate_metadata(review, false, errors);
    },
    ..Strategy::PLAIN
};

/// The shape of a LocalSubjectAccessReview.
pub static LOCAL_SUBJECT: Strategy = Strategy {
    validate_create: |review, errors| {
        let spec = &review["spec"];
        validate_spec(spec, true, errors);
        validate_metadata(review, true, errors);
        if let Some(attributes) = present(spec, "resourceAttributes")
            && text(attributes, "namespace") != text(&review["metadata"], "namespace")
        {
            let path = Path::new("spec.resourceAttributes.namespace");
            errors.invalid(&path, text(attributes, "namespace"), "must match metadata.namespace");
        }
        if let Some(attributes) = present(spec, "nonResourceAttributes") {
            let path = Path::new("spec.nonResourceAttributes");
            go::invalid(errors, &path, &urls(attributes), "disallowed on this kind of request");
        }
    },
    ..Strategy::PLAIN
};

fn urls(attributes: &Value) -> String {
    go::structure(&[("Path", go::text(attributes, "path")), ("Verb", go::text(attributes, "verb"))])
}

fn validate_spec(spec: &Value, needs_subject: bool, errors: &mut FieldErrors) {
    let path = Path::new("spec");
    match (present(spec, "resourceAttributes"), present(spec, "nonResourceAttributes")) {
        (Some(_), Some(attributes)) => {
            let detail = "cannot be specified in combination with resourceAttributes";
            go::invalid(errors, &path.child("nonResourceAttributes"), &urls(attributes), detail);
        }
        (None, None) => {
            let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            go::invalid(errors, &path.child("resourceAttributes"), "null", detail);
        }
        _ => {}
    }
    if needs_subject && !is_set(spec, "user") && !is_set(spec, "groups") {
        errors.invalid(&path.child("user"), "", "at least one of user or group must be specified");
    }
    if let Some(attributes) = present(spec, "resourceAttributes") {
        validate_selectors(attributes, errors);
    }
}

fn validate_selectors(attributes: &Value, errors: &mut FieldErrors) {
    let path = Path::new("spec.resourceAttributes");
    for field in ["fieldSelector", "labelSelector"] {
        let Some(selector) = present(attributes, field) else { continue };
        let path = path.child(field);
        let (raw, requirements) = (is_set(selector, "rawSelector"), is_set(selector, "requirements"));
        if raw && requirements {
            let raw = text(selector, "rawSelector");
            let detail = "may not specified at the same time as requirements";
            errors.invalid(&path.child("rawSelector"), raw, detail);
        }
        if !raw && !requirements {
            let detail = format!("when {path} is specified, requirements or rawSelector is required");
            errors.required(&path.child("requirements"), &detail);
        }
        if field == "labelSelector" {
            let expressions = serde_json::json!({"matchExpressions": selector.get("requirements")});
            let leniency = selector::Leniency { values: false, operators: true };
            let mut found = FieldErrors::new();
            selector::validate(&mut found, &path, &expressions, leniency);
            let renamed = found.into_iter().map(|mut error| {
                error.field = error.field.replacen(".matchExpressions", ".requirements", 1);
                error
            });
            errors.extend(renamed.collect());
        }
    }
}

fn validate_metadata(review: &Value, may_have_namespace: bool, errors: &mut FieldErrors) {
    let ignored = |name: &str| name == "managedFields" || (may_have_namespace && name == "namespace");
    let filled = review["metadata"].as_object().into_iter().flatten().any(|(name, _)| !ignored(name));
    if filled {
        let detail = if may_have_namespace { "must be empty except for namespace" } else { "must be empty" };
        errors.invalid(&Path::new("metadata"), review["metadata"].clone(), detail);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::cases;

    fn wrong(strategy: &Strategy, review: Value) -> Vec<String> {
        let mut errors = FieldErrors::new();
        (strategy.validate_create)(&review, &mut errors);
        cases::lines(&errors)
    }

    #[test]
    fn a_review_asks_one_thing_about_somebody() {
        assert_eq!(
            wrong(&SUBJECT, json!({"metadata": {}, "spec": {}})),
            [
                "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified",
                "spec.user: Invalid value: \"\": at least one of user or group must be specified",
            ]
        );
        let both = json!({"resourceAttributes": {"verb": "get"}, "nonResourceAttributes": {"path": "/x", "verb": "get"}});
        assert_eq!(
            wrong(&SELF_SUBJECT, json!({"metadata": {"name": "a"}, "spec": both})),
            [
                "spec.nonResourceAttributes: Invalid value: {\"Path\":\"/x\",\"Verb\":\"get\"}: cannot be specified in combination with resourceAttributes",
                "metadata: Invalid value: {\"name\":\"a\"}: must be empty",
            ]
        );
        let spec = json!({"user": "u", "resourceAttributes": {"namespace": "other"}});
        assert_eq!(
            wrong(&LOCAL_SUBJECT, json!({"metadata": {"namespace": "ns"}, "spec": spec})),
            ["spec.resourceAttributes.namespace: Invalid value: \"other\": must match metadata.namespace"]
        );
    }

    #[test]
    fn selectors_are_raw_or_parsed() {
        let spec = json!({"resourceAttributes": {"labelSelector": {"requirements": [{"key": "a b", "operator": "Is"}]}, "fieldSelector": {}}});
        assert_eq!(
            wrong(&SELF_SUBJECT, json!({"metadata": {}, "spec": spec})),
            [
                "spec.resourceAttributes.fieldSelector.requirements: Required value: when spec.resourceAttributes.fieldSelector is specified, requirements or rawSelector is required",
                "spec.resourceAttributes.labelSelector.requirements[0].key: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
            ]
        );
    }
}
