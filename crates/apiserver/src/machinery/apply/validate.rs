//! Whether an applied configuration fits its schema, and what is said where it does not (`typed.Validate` in
//! Kubernetes).

use std::{collections::BTreeSet, fmt};

use serde_json::Value;

use crate::machinery::go_format;

use super::{
    atom::{Atom, Scalar, Type, Unidentified},
    path_element::PathElement,
};

/// Where a value does not fit its schema, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaError {
    path: String,
    message: String,
}

impl SchemaError {
    fn new(message: impl Into<String>) -> Self {
        Self { path: String::new(), message: message.into() }
    }

    /// A field that the schema does not have.
    pub fn undeclared(name: &str) -> Self {
        Self { path: format!(".{name}"), message: "field not declared in schema".to_owned() }
    }
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that does not fit a schema.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SchemaErrors(Vec<SchemaError>);

impl SchemaErrors {
    /// A single one.
    pub fn one(error: SchemaError) -> Self {
        Self(vec![error])
    }

    /// The item at `index` of a list cannot be told from others.
    pub fn item(index: usize, why: &Unidentified) -> Self {
        Self::one(SchemaError::new(format!("element {index}: {why}")))
    }

    /// Several items of a list are known by the same.
    pub fn duplicate(element: &PathElement) -> Self {
        Self::one(SchemaError::new(format!("duplicate entries for key {element}")))
    }

    /// The same errors, seen from the value around.
    #[must_use]
    pub fn below(mut self, element: &PathElement) -> Self {
        for error in &mut self.0 {
            error.path.insert_str(0, &element.to_string());
        }
        self
    }
}

impl fmt::Display for SchemaErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => one.fmt(f),
            many => {
                f.write_str("errors:")?;
                many.iter().try_for_each(|error| write!(f, "\n  {error}"))
            }
        }
    }
}

impl std::error::Error for SchemaErrors {}

/// More errors than this in one object are not told.
const ERRORS_MAX: usize = 100;

/// Checks that `value` is of the type: all fields declared, of the right sort, and list items told apart by their
/// keys (unless `allow_duplicates`).
///
/// # Errors
/// Everything that does not fit.
pub fn validate(of: Type<'_>, value: &Value, allow_duplicates: bool) -> Result<(), SchemaErrors> {
    let mut errors = SchemaErrors::default();
    walk(of, value, allow_duplicates, &mut errors);
    errors.0.truncate(ERRORS_MAX);
    if errors.0.is_empty() { Ok(()) } else { Err(errors) }
}

fn walk(of: Type<'_>, value: &Value, allow_duplicates: bool, errors: &mut SchemaErrors) {
    if value.is_null() || errors.0.len() >= ERRORS_MAX {
        return;
    }
    let mut error = |message: String| errors.0.push(SchemaError::new(message));
    match (of.atom(value), value) {
        (Atom::Scalar(scalar), _) => {
            if let Some(message) = mismatch(scalar, value) {
                error(message);
            }
        }
        (Atom::Map(fields), Value::Object(map)) => {
            for (name, value) in map {
                let Some(of) = fields.child(name) else {
                    errors.0.push(SchemaError::undeclared(name));
                    return;
                };
                below(&PathElement::field(name), errors, |errors| walk(of, value, allow_duplicates, errors));
            }
        }
        (Atom::Map(_), _) => error(format!("expected map, got &{{{}}}", go_format::plain(value))),
        (Atom::List(list), Value::Array(items)) => {
            let mut seen = BTreeSet::new();
            for (index, item) in items.iter().enumerate() {
                let element = if list.is_atomic() {
                    PathElement::Index(i64::try_from(index).unwrap_or(i64::MAX))
                } else {
                    match list.element(item) {
                        Ok(element) => element,
                        Err(why) => {
                            errors.0.extend(SchemaErrors::item(index, &why).0);
                            return;
                        }
                    }
                };
                if !allow_duplicates && !list.is_atomic() && !seen.insert(element.clone()) {
                    errors.0.extend(SchemaErrors::duplicate(&element).0);
                }
                below(&element, errors, |errors| walk(list.items, item, allow_duplicates, errors));
            }
        }
        (Atom::List(_), _) => error(format!("expected list, got &{{{}}}", go_format::plain(value))),
    }
}

/// Lets `check` add errors, and gives those the path they have from here.
fn below(element: &PathElement, errors: &mut SchemaErrors, check: impl FnOnce(&mut SchemaErrors)) {
    let before = errors.0.len();
    check(errors);
    if errors.0.len() > before {
        let prefix = element.to_string();
        for error in &mut errors.0[before..] {
            error.path.insert_str(0, &prefix);
        }
    }
}

/// What is said of a value that is not of the sort, in Kubernetes' words (which name Go's types).
fn mismatch(scalar: Scalar, value: &Value) -> Option<String> {
    match (scalar, value) {
        (Scalar::Numeric, Value::Number(_))
        | (Scalar::Text, Value::String(_))
        | (Scalar::Boolean, Value::Bool(_))
        | (Scalar::Untyped, Value::Number(_) | Value::String(_) | Value::Bool(_)) => None,
        (Scalar::Numeric, _) => {
            Some(format!("expected numeric (int or float), got {}", go_format::type_of(value)))
        }
        (Scalar::Text, _) => Some(format!(
            "expected string, got &value.valueUnstructured{{Value:{}}}",
            go_format::syntax(value)
        )),
        (Scalar::Boolean, _) => Some(format!("expected boolean, got &{{{}}}", go_format::plain(value))),
        (Scalar::Untyped, _) => Some(format!("expected any scalar, got &{{{}}}", go_format::plain(value))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::machinery::builtin;

    #[test]
    fn what_does_not_fit_is_told_in_kubernetes_words() {
        let schema = builtin::schema("io.k8s.api.core.v1.Pod").unwrap();
        for (value, want) in [
            (json!({"bogus": 1}), ".bogus: field not declared in schema"),
            (json!({"spec": {"bogus": 1}}), ".spec.bogus: field not declared in schema"),
            (
                json!({"metadata": {"labels": {"a": 1}}}),
                ".metadata.labels.a: expected string, got &value.valueUnstructured{Value:1}",
            ),
            (
                json!({"spec": {"terminationGracePeriodSeconds": "x"}}),
                ".spec.terminationGracePeriodSeconds: expected numeric (int or float), got string",
            ),
            (json!({"spec": {"hostNetwork": "x"}}), ".spec.hostNetwork: expected boolean, got &{x}"),
            (json!({"spec": {"containers": {"a": 1}}}), ".spec.containers: expected list, got &{map[a:1]}"),
            (json!({"spec": [1]}), ".spec: expected map, got &{[1]}"),
            (
                json!({"spec": {"containers": [{"name": "a"}, {"name": "a"}]}}),
                ".spec.containers: duplicate entries for key [name=\"a\"]",
            ),
            (
                json!({"metadata": {"finalizers": [null]}}),
                ".metadata.finalizers: element 0: associative list without keys has an element that's an explicit null",
            ),
            (
                json!({"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": []}}}],
                    "tolerations": [{"key": 1}]}}),
                "errors:\n  .spec.containers[name=\"a\"].resources.limits.cpu: expected any scalar, got &{[]}\n  \
                 .spec.tolerations[0].key: expected string, got &value.valueUnstructured{Value:1}",
            ),
        ] {
            let errors = validate(Type::object(schema), &value, false).unwrap_err();
            assert_eq!(errors.to_string(), want, "{value}");
        }
        let fits = json!({"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": 1}}}], "nodeName": null}});
        assert_eq!(validate(Type::object(schema), &fits, false), Ok(()));
        let twice = json!({"metadata": {"finalizers": ["a", "a"]}});
        assert_eq!(validate(Type::object(schema), &twice, true), Ok(()));
    }

    #[test]
    fn errors_are_bounded() {
        let schema = builtin::schema("io.k8s.api.core.v1.ConfigMap").unwrap();
        let data: serde_json::Map<String, Value> = (0..1000).map(|n| (n.to_string(), json!(n))).collect();
        let errors = validate(Type::object(schema), &json!({"data": data}), false).unwrap_err();
        assert_eq!(errors.0.len(), ERRORS_MAX);
    }
}
